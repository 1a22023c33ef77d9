//! Programs that never outlive us.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow};

use crate::process::wait_until;

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
    /// Where to run it; our own working directory when left out.
    pub folder: Option<PathBuf>,
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
            folder: None,
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
        if let Some(folder) = &program.folder {
            command.current_dir(folder);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::temporary_directory;

    #[test]
    fn the_tail_of_a_log_is_its_last_lines() {
        let directory = temporary_directory("xtask-test").unwrap();
        let log = directory.join("some.log");
        fs::write(&log, "one\ntwo\nthree\n").unwrap();
        assert_eq!(tail(&log, 2), "    two\n    three");
        assert_eq!(tail(&log, 9), "    one\n    two\n    three");
        fs::remove_dir_all(directory).unwrap();
    }
}
