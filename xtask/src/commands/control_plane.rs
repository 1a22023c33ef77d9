//! `cargo xtask control-plane`: a local control plane to try things on.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
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
    println!("export KUBECONFIG={}", control_plane.kubeconfig().display());
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
