//! Programs that never outlive us, and waiting for things to happen.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, bail};

use crate::interrupt;

const POLL: Duration = Duration::from_millis(50);
/// Lines of a log that are shown when its program failed.
const TAIL_LINES: usize = 20;

/// How to start a [`Supervised`] program.
#[derive(Debug, Clone)]
pub struct Program {
    /// What to call it in messages; its log is `<name>.log`.
    pub name: &'static str,
    pub path: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// Time between SIGTERM and SIGKILL when it is stopped; zero kills at once.
    pub grace: Duration,
    /// A directory that is removed should this process vanish without stopping the program.
    pub remove: Option<PathBuf>,
}

impl Program {
    /// A program without arguments, which may be killed at once.
    pub fn new(name: &'static str, path: &Path) -> Self {
        Self {
            name,
            path: path.to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            grace: Duration::ZERO,
            remove: None,
        }
    }
}

/// A running program that is stopped on drop, and also when this process dies, even by SIGKILL: the `supervise`
/// program in between notices that its standard input closes.
#[derive(Debug)]
pub struct Supervised {
    name: &'static str,
    supervisor: Child,
    lifeline: Option<ChildStdin>,
    log: PathBuf,
}

impl Supervised {
    /// Starts `program` with the help of the `supervise` binary; its output goes to a log file in `logs`.
    pub fn start(supervise: &Path, program: &Program, logs: &Path) -> Result<Self> {
        let log = logs.join(format!("{}.log", program.name));
        let output = File::create(&log).with_context(|| format!("can't write {}", log.display()))?;
        let mut command = Command::new(supervise);
        command
            .arg("-grace")
            .arg(format!("{}ms", program.grace.as_millis()));
        if let Some(directory) = &program.remove {
            command.arg("-remove").arg(directory);
        }
        command.arg("--").arg(&program.path).args(&program.arguments);
        command.envs(program.environment.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output);
        let mut supervisor = command
            .spawn()
            .with_context(|| format!("can't start {}", program.path.display()))?;
        let lifeline = supervisor.stdin.take();
        Ok(Self {
            name: program.name,
            supervisor,
            lifeline,
            log,
        })
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Fails, with the end of the log, when the program ended by itself.
    pub fn check(&mut self) -> Result<()> {
        match self.supervisor.try_wait()? {
            None => Ok(()),
            Some(status) => Err(self.failure(&format!("{} stopped unexpectedly ({status})", self.name))),
        }
    }

    /// The rest of the first line of output that begins with `prefix`, waited for up to `timeout`.
    pub fn wait_for_line(&mut self, prefix: &str, timeout: Duration) -> Result<String> {
        let found = wait_until(timeout, POLL, || {
            self.check()?;
            let text = fs::read(&self.log)?;
            let text = String::from_utf8_lossy(&text);
            // A line without its end may still be being written.
            let complete = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            Ok(complete
                .filter_map(|line| line.trim_end().strip_prefix(prefix))
                .map(str::to_owned)
                .next())
        })?;
        found.ok_or_else(|| self.failure(&format!("{} did not print '{prefix}…' in time", self.name)))
    }

    /// An error with the end of the log and where all of it is.
    pub fn failure(&self, message: &str) -> Error {
        let log = self.log.display();
        anyhow!(
            "{message}; its log is {log} and ends with\n{}",
            tail(&self.log, TAIL_LINES)
        )
    }

    /// Stops the program and waits until it is gone.
    pub fn stop(&mut self) {
        if let Some(mut lifeline) = self.lifeline.take() {
            // An error means that the supervisor is gone, which is what we want.
            let _ = lifeline.write_all(b"done\n");
        }
        let _ = self.supervisor.wait();
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The last `lines` lines of a file, indented; a note when it can't be read.
pub fn tail(file: &Path, lines: usize) -> String {
    match fs::read(file) {
        Ok(content) => {
            let text = String::from_utf8_lossy(&content);
            let all: Vec<&str> = text.lines().collect();
            let kept = &all[all.len().saturating_sub(lines)..];
            kept.iter()
                .map(|line| format!("    {line}"))
                .collect::<Vec<_>>()
                .join("\n")
        }
        Err(error) => format!("    (can't be read: {error})"),
    }
}

/// Calls `attempt` until it finds something, fails, `timeout` is over (`None`) or someone interrupts us.
pub fn wait_until<T>(
    timeout: Duration,
    every: Duration,
    mut attempt: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let deadline = Instant::now() + timeout;
    loop {
        interrupt::check()?;
        if let Some(found) = attempt()? {
            return Ok(Some(found));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(every);
    }
}

/// Runs a command to its end, with our own standard output and error unless it says otherwise. `tick` is called
/// with the time it has been running, about twenty times a second.
pub fn run(command: &mut Command, mut tick: impl FnMut(Duration)) -> Result<ExitStatus> {
    let started = Instant::now();
    let mut child = spawn(command)?;
    wait(&mut child, || tick(started.elapsed()))
}

/// Runs a command to its end and returns what it printed.
pub fn capture(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = spawn(command)?;
    let stdout = child.stdout.take().map(read_in_background);
    let stderr = child.stderr.take().map(read_in_background);
    let status = wait(&mut child, || ())?;
    Ok(Output {
        status,
        stdout: collect(stdout),
        stderr: collect(stderr),
    })
}

/// Like [`capture`], but what it prints on standard error goes where ours goes.
pub fn capture_stdout(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = spawn(command)?;
    let stdout = child.stdout.take().map(read_in_background);
    let status = wait(&mut child, || ())?;
    Ok(Output {
        status,
        stdout: collect(stdout),
        stderr: Vec::new(),
    })
}

fn spawn(command: &mut Command) -> Result<Child> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.spawn().with_context(|| format!("can't start {program}"))
}

fn wait(child: &mut Child, mut tick: impl FnMut()) -> Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            // A child that was stopped by the same ctrl-c has not failed.
            interrupt::check()?;
            return Ok(status);
        }
        if let Err(interrupted) = interrupt::check() {
            child.kill()?;
            child.wait()?;
            return Err(interrupted);
        }
        tick();
        thread::sleep(POLL);
    }
}

fn read_in_background(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut content = Vec::new();
        // What was read before an error is still worth showing.
        let _ = pipe.read_to_end(&mut content);
        content
    })
}

fn collect(reader: Option<thread::JoinHandle<Vec<u8>>>) -> Vec<u8> {
    reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
}

/// A port on 127.0.0.1 that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A new directory for the files of one run, in the system's folder for temporary files, readable only by us.
pub fn temporary_directory(prefix: &str) -> Result<PathBuf> {
    let base = std::env::temp_dir();
    let process = std::process::id();
    for number in 0..1000 {
        let directory = base.join(format!("{prefix}-{process}-{number}"));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("can't create {}", directory.display())),
        }
    }
    bail!(
        "{} is full of directories named {prefix}-{process}-…",
        base.display()
    )
}

/// A duration as people say it: `0.4s`, `12s`, `3m 05s`.
pub fn humane(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", duration.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        _ => format!("{}m {:02}s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_naturally() {
        assert_eq!(humane(Duration::from_millis(430)), "0.4s");
        assert_eq!(humane(Duration::from_millis(59_900)), "59s");
        assert_eq!(humane(Duration::from_secs(185)), "3m 05s");
    }

    #[test]
    fn two_temporary_directories_differ_and_are_private() {
        let one = temporary_directory("xtask-test").unwrap();
        let two = temporary_directory("xtask-test").unwrap();
        assert_ne!(one, two);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&one).unwrap().permissions().mode() & 0o777, 0o700);
        }
        fs::remove_dir(one).unwrap();
        fs::remove_dir(two).unwrap();
    }

    #[test]
    fn the_tail_of_a_log_is_its_last_lines() {
        let directory = temporary_directory("xtask-test").unwrap();
        let log = directory.join("some.log");
        fs::write(&log, "one\ntwo\nthree\n").unwrap();
        assert_eq!(tail(&log, 2), "    two\n    three");
        assert_eq!(tail(&log, 9), "    one\n    two\n    three");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn waiting_ends_with_the_first_thing_found_or_with_the_timeout() {
        let mut attempts = 0;
        let found = wait_until(Duration::from_mins(1), Duration::ZERO, || {
            attempts += 1;
            Ok((attempts == 3).then_some("found"))
        });
        assert_eq!(found.unwrap(), Some("found"));
        let nothing = wait_until(Duration::ZERO, Duration::ZERO, || Ok(None::<()>));
        assert_eq!(nothing.unwrap(), None);
    }

    #[test]
    fn what_a_command_prints_on_either_stream_is_captured() {
        let output = capture(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).unwrap();
        assert_eq!(output.stdout, b"out\n");
        assert_eq!(output.stderr, b"err\n");
        assert_eq!(output.status.code(), Some(3));
    }
}
