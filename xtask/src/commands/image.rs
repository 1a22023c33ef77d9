//! `cargo xtask image`: the container image, without a container engine.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use xtask::image::{Image, Subject, Written};
use xtask::workspace;

use super::cargo::Programs;
use crate::console::progress;

/// More would be a mistake: the program is one file without debug information.
const LARGEST: u64 = 12 * 1024 * 1024;

#[derive(clap::Args)]
pub struct Arguments {
    /// Cargo's profile: `release` for what is released, `image-test` for what is only tried out
    #[arg(long, default_value = "release")]
    profile: String,
    /// Where to write the archive; `image` in cargo's target folder when left out
    #[arg(long, value_name = "DIRECTORY")]
    output: Option<PathBuf>,
    /// Build the image of the simulated tenant too
    #[arg(long)]
    simulated_tenant: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let folder = match &arguments.output {
        Some(folder) => folder.clone(),
        None => workspace::target_directory()?.join("image"),
    };
    let mut subjects = vec![Subject::Operator];
    subjects.extend(arguments.simulated_tenant.then_some(Subject::SimulatedTenant));
    for subject in subjects {
        let written = build(subject, &arguments.profile, &folder)?;
        println!("{} {}", written.archive.display(), written.digest);
    }
    Ok(())
}

/// Builds the program with this profile and writes the archive into `folder`; the operator's root is laid out beside it,
/// for tests that run it there.
pub fn build(subject: Subject, profile: &str, folder: &Path) -> Result<Written> {
    let (target, architecture) = match std::env::consts::ARCH {
        "x86_64" => ("x86_64-unknown-linux-gnu", "amd64"),
        "aarch64" => ("aarch64-unknown-linux-gnu", "arm64"),
        other => bail!("there is no image for {other}"),
    };
    let flags = flags();
    let variable = format!(
        "CARGO_TARGET_{}_RUSTFLAGS",
        target.to_uppercase().replace('-', "_")
    );
    let program = subject.program();
    let arguments = [
        "build",
        "--package",
        program,
        "--bin",
        program,
        "--locked",
        "--profile",
        profile,
        "--target",
        target,
    ];
    let programs = Programs::build_with(&arguments, &[(&variable, &flags)])?;
    let version = env!("CARGO_PKG_VERSION");
    let image = Image::of(subject, programs.get(program)?, architecture, version)?;
    let written = image.write(folder)?;
    if subject == Subject::Operator {
        image.unpack(&folder.join("root"))?;
    }
    let kilobytes = written.compressed / 1024;
    progress(&format!(
        "{}: {kilobytes} KiB compressed, profile {profile}, {}",
        subject.name(),
        written.digest
    ));
    ensure!(
        written.compressed <= LARGEST,
        "the image has {kilobytes} KiB compressed, more than {} KiB",
        LARGEST / 1024
    );
    Ok(written)
}

/// Everything inside one file, and no folder of this machine in it: the same source makes the same program.
fn flags() -> String {
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| home + "/.cargo"));
    let mut flags = vec![
        "-C target-feature=+crt-static".to_owned(),
        format!("--remap-path-prefix={}=/source", workspace::root().display()),
    ];
    flags.extend(home.map(|home| format!("--remap-path-prefix={home}=/cargo")));
    flags.join(" ")
}
