//! `cargo xtask image`: the container image, without a container engine.

use std::env;
use std::fs;
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
    let (target, architecture) = match env::consts::ARCH {
        "x86_64" => ("x86_64-unknown-linux-gnu", "amd64"),
        "aarch64" => ("aarch64-unknown-linux-gnu", "arm64"),
        other => bail!("there is no image for {other}"),
    };
    let folders = Folders::of_this_machine()?;
    let variable = format!(
        "CARGO_TARGET_{}_RUSTFLAGS",
        target.to_uppercase().replace('-', "_")
    );
    let environment = [
        (variable.as_str(), folders.for_rust()),
        ("CFLAGS", folders.for_c()),
        // What a C compiler takes for now.
        ("SOURCE_DATE_EPOCH", "0".to_owned()),
    ];
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
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let programs = Programs::build_with(&arguments, &environment)?;
    let program = programs.get(program)?;
    folders.ensure_unknown_to(program)?;
    let version = env!("CARGO_PKG_VERSION");
    let image = Image::of(subject, program, architecture, version)?;
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

/// Folders of this machine, each with what it is called in programs: so the same source makes the same program,
/// wherever it is built.
struct Folders([(String, &'static str); 3]);

impl Folders {
    fn of_this_machine() -> Result<Self> {
        let home = env::var("CARGO_HOME").or_else(|_| env::var("HOME").map(|home| home + "/.cargo"))?;
        Ok(Self([
            (home, "/cargo"),
            (workspace::root().display().to_string(), "/source"),
            // After the source, in which it may lie: the last one that fits counts.
            (
                workspace::target_directory()?.display().to_string(),
                "/source/target",
            ),
        ]))
    }

    /// And everything inside one file.
    fn for_rust(&self) -> String {
        let flags = self.0.iter();
        let flags = flags.map(|(folder, name)| format!(" --remap-path-prefix={folder}={name}"));
        "-C target-feature=+crt-static".to_owned() + &flags.collect::<String>()
    }

    fn for_c(&self) -> String {
        let flags = self.0.iter();
        let flags = flags.map(|(folder, name)| format!("-ffile-prefix-map={folder}={name}"));
        flags.collect::<Vec<_>>().join(" ")
    }

    fn ensure_unknown_to(&self, program: &Path) -> Result<()> {
        let bytes = fs::read(program)?;
        for (folder, _) in &self.0 {
            let path = format!("{folder}/");
            let found = bytes
                .windows(path.len())
                .position(|window| window == path.as_bytes());
            if let Some(place) = found {
                let text =
                    String::from_utf8_lossy(&bytes[place..(place + 120).min(bytes.len())]).into_owned();
                bail!(
                    "{} names a folder of this machine, so it is another program elsewhere: {text:?}",
                    program.display()
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask::process::temporary_directory;

    #[test]
    fn a_program_that_names_a_folder_of_its_builder_is_refused() {
        let directory = temporary_directory("xtask-folders").unwrap();
        let program = directory.join("program");
        let folders = Folders([
            ("/home/me/.cargo".to_owned(), "/cargo"),
            ("/home/me/project".to_owned(), "/source"),
            ("/fast/target".to_owned(), "/source/target"),
        ]);
        fs::write(
            &program,
            b"\0/source/src/main.rs\0/cargo/registry/x.rs\0/fast/targets\0",
        )
        .unwrap();
        folders.ensure_unknown_to(&program).unwrap();
        fs::write(&program, b"\0\xff/fast/target/release/build/x/out/y.rs\0").unwrap();
        let error = folders.ensure_unknown_to(&program).unwrap_err().to_string();
        assert!(error.contains("/fast/target/release"), "{error}");
        fs::remove_dir_all(directory).unwrap();
    }
}
