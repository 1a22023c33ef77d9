//! Running commands to their end and waiting for things to happen, both ended by ctrl-c.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::interrupt;

const POLL: Duration = Duration::from_millis(50);

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

/// The status of the answer to a plain HTTP request, `None` when there is no answer. For health checks on this
/// machine; everything else deserves a real client.
pub fn http_status(address: &str, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
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

    #[test]
    fn the_status_of_an_http_answer_is_read() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut request = String::new();
            BufReader::new(&stream).read_line(&mut request).unwrap();
            stream
                .write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
                .unwrap();
            request
        });
        assert_eq!(http_status(&address, "/readyz"), Some(503));
        assert_eq!(server.join().unwrap(), "GET /readyz HTTP/1.1\r\n");
        assert_eq!(
            http_status(&address, "/readyz"),
            None,
            "nobody listens there any more"
        );
    }
}
