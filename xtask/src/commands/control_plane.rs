//! `cargo xtask control-plane`: a local control plane to try things on.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use xtask::chart_tools::ChartTools;
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

/// Programs that are searched for and built while something else runs: cargo leaves a core idle now and then.
pub struct BackgroundBuild<T>(Option<JoinHandle<Result<T>>>);

impl BackgroundBuild<Binaries> {
    /// The programs of the control plane.
    pub fn start() -> Self {
        Self::of(|| Binaries::locate_or_build(&mut |line| progress(&format!("[control plane] {line}"))))
    }
}

impl BackgroundBuild<(Binaries, ChartTools)> {
    /// The programs of the control plane, and then those for the charts.
    pub fn start_with_chart_tools() -> Self {
        Self::of(|| {
            let mut report = |line: &str| progress(&format!("[programs in Go] {line}"));
            Ok((
                Binaries::locate_or_build(&mut report)?,
                ChartTools::locate_or_build(&mut report)?,
            ))
        })
    }
}

impl<T: Send + 'static> BackgroundBuild<T> {
    fn of(build: impl FnOnce() -> Result<T> + Send + 'static) -> Self {
        Self(Some(thread::spawn(build)))
    }

    pub fn finish(mut self) -> Result<T> {
        let thread = self
            .0
            .take()
            .ok_or_else(|| anyhow!("the build in the background was never started"))?;
        thread
            .join()
            .map_err(|_| anyhow!("the build in the background panicked"))?
    }
}

impl<T> Drop for BackgroundBuild<T> {
    /// A step failed meanwhile: nothing may be left running.
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            interrupt::request();
            let _ = thread.join();
        }
    }
}
