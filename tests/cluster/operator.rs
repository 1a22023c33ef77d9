//! The operator as a process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use xtask::control_plane::ControlPlane;
use xtask::process::free_port;

pub const PATIENCE: Duration = Duration::from_mins(1);

/// What differs between two operators.
pub struct Launch<'a> {
    /// Of its log.
    pub name: &'a str,
    /// The program with what runs it: [`built`], as a rule.
    pub program: Vec<String>,
    pub kubeconfig: &'a Path,
    pub arguments: Vec<String>,
    pub environment: Vec<(&'a str, String)>,
}

impl Launch<'_> {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program[0]);
        command.args(&self.program[1..]);
        command
    }
}

/// The operator as cargo built it.
pub fn built() -> Vec<String> {
    vec![env!("CARGO_BIN_EXE_shared-mailbox-operator").to_owned()]
}

/// What the operator's own server says.
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// Ended when it is dropped.
pub struct Operator {
    child: Child,
    log: PathBuf,
    listen: String,
}

impl Operator {
    pub fn start(control_plane: &ControlPlane, launch: &Launch<'_>) -> Self {
        let listen = format!("127.0.0.1:{}", free_port().unwrap());
        let mut command = launch.command();
        command
            .arg("run")
            .args(&launch.arguments)
            .arg(format!("--listen={listen}"));
        Self::spawn(control_plane, launch, command, listen)
    }

    /// With the arguments as they are, `run` and `--listen` among them, and no variable of ours.
    pub fn start_exactly(control_plane: &ControlPlane, launch: &Launch<'_>) -> Self {
        let mut command = launch.command();
        command.args(&launch.arguments).env_clear();
        let mut arguments = launch.arguments.iter();
        let listen = arguments.find_map(|argument| argument.strip_prefix("--listen="));
        Self::spawn(control_plane, launch, command, listen.unwrap().to_owned())
    }

    fn spawn(
        control_plane: &ControlPlane,
        launch: &Launch<'_>,
        mut command: Command,
        listen: String,
    ) -> Self {
        let Launch {
            name,
            program: _,
            kubeconfig,
            arguments: _,
            environment,
        } = launch;
        let log = control_plane.directory().join(format!("{name}.log"));
        let out = control_plane.directory().join(format!("{name}.out"));
        let child = command
            .envs(environment.iter().map(|(key, value)| (key, value)))
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(File::create(out).unwrap())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, log, listen }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The answer of its own server; None while it does not listen.
    pub async fn get(&self, path: &str) -> Option<Answer> {
        let ask = async {
            let mut stream = TcpStream::connect(&self.listen).await.ok()?;
            let request = format!("GET {path} HTTP/1.1\r\nHost: operator\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            let (head, body) = answer.split_once("\r\n\r\n")?;
            Some(Answer {
                status: head.split(' ').nth(1)?.parse().ok()?,
                body: body.to_owned(),
            })
        };
        // One that is stopped accepts and never answers.
        tokio::time::timeout(Duration::from_secs(5), ask).await.ok()?
    }

    pub async fn wait_for(&self, path: &str, status: u16) -> String {
        let found = wait(async || self.get(path).await.filter(|answer| answer.status == status)).await;
        let found = found.unwrap_or_else(|| panic!("{path} was never {status}:\n{}", self.log()));
        found.body
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// `TERM`, `KILL`, `STOP` or `CONT`.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        let ended = wait(async || self.child.try_wait().unwrap());
        let Some(status) = ended.await else {
            panic!("it did not end:\n{}", self.log())
        };
        status
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks ten times a second until something is found, for a minute.
pub async fn wait<T>(mut check: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        if let Some(found) = check().await {
            return Some(found);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    None
}
