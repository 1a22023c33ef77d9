//! `cargo xtask control-plane`: a local control plane to try things on.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use xtask::control_plane::{Binaries, ControlPlane, Options};
use xtask::interrupt;
use xtask::process::humane;

use crate::console::progress;

const POLL: Duration = Duration::from_millis(200);

#[derive(clap::Args)]
pub struct Arguments {
    /// Write every request with its user to a file
    #[arg(long)]
    audit_log: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let binaries = Binaries::locate_or_build(&mut progress)?;
    let started = Instant::now();
    let mut control_plane = ControlPlane::start(
        &binaries,
        Options {
            audit_log: arguments.audit_log,
            ..Options::default()
        },
    )?;
    progress(&format!(
        "{} ready after {}",
        control_plane.server_url(),
        humane(started.elapsed())
    ));
    if let Some(log) = control_plane.audit_log() {
        progress(&format!("audit log: {}", log.display()));
    }
    for line in control_plane.shell_setup() {
        println!("{line}");
    }
    progress("ctrl-c stops it and removes its files");
    stay(|| control_plane.check())
}

/// Returns on ctrl-c, which is how this is meant to end; fails when `check` does.
pub fn stay(mut check: impl FnMut() -> Result<()>) -> Result<()> {
    while !interrupt::requested() {
        check()?;
        thread::sleep(POLL);
    }
    Ok(())
}

/// The programs of the control plane, looked for and built while something else goes on: cargo leaves a core idle
/// now and then.
pub struct BackgroundBuild(Option<JoinHandle<Result<Binaries>>>);

impl BackgroundBuild {
    pub fn start() -> Self {
        Self(Some(thread::spawn(|| {
            Binaries::locate_or_build(&mut |line| progress(&format!("[control plane] {line}")))
        })))
    }

    pub fn finish(mut self) -> Result<Binaries> {
        let thread = self
            .0
            .take()
            .ok_or_else(|| anyhow!("the build of the control plane was never started"))?;
        thread
            .join()
            .map_err(|_| anyhow!("the build of the control plane panicked"))?
    }
}

impl Drop for BackgroundBuild {
    /// A step failed meanwhile: nothing may be left running.
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            interrupt::request();
            let _ = thread.join();
        }
    }
}
