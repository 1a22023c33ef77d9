//! `cargo xtask test`: everything that CI runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;
use xtask::go_programs::REQUIRED_VARIABLE;
use xtask::image::Subject;
use xtask::workspace;

use super::cargo::{Programs, cargo, succeed};
use super::control_plane::BackgroundBuild;
use super::{charts, generate, image};
use crate::console::{Outcome, Steps};

/// Says to the tests where the root of the image is.
const IMAGE_ROOT_VARIABLE: &str = "SMO_IMAGE_ROOT";
/// With optional parts, so that these are tested too; the image is the program without them.
const TESTS: [&str; 4] = ["test", "--workspace", "--all-features", "--locked"];
/// The kinds of tenant under which the flows run again (`simulator::Profile`), and the variable that names one.
const PROFILES: [&str; 5] = ["2020", "2026", "narrow-role", "hybrid", "linked-accounts"];
const PROFILE_VARIABLE: &str = "SMO_PROFILE";
/// The build of all tests has built these.
const FLOWS: [&str; 6] = [
    "test",
    "--workspace",
    "--all-features",
    "--locked",
    "--test",
    "flows",
];
/// What draws its own tenants, or none.
const SKIPPED: [&str; 11] = [
    "--",
    "--skip",
    "schedules::",
    "--skip",
    "sequences::",
    "--skip",
    "day::",
    "--skip",
    "crash::",
    "--skip",
    "architecture::",
];
/// Installed by CI when it is missing, into the target folder.
const CARGO_DENY_VERSION: &str = "0.20.2";

pub fn run() -> Result<()> {
    let mut steps = Steps::default();
    let outcome = all(&mut steps);
    eprintln!("{}", steps.table());
    outcome
}

fn all(steps: &mut Steps) -> Result<()> {
    steps.run("formatting", || cargo(&["fmt", "--all", "--check"], &[]))?;
    // Takes minutes the first time.
    let in_go = BackgroundBuild::start_with_chart_tools();
    steps.run("lints", || {
        cargo(
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--locked",
                "--",
                "--deny",
                "warnings",
            ],
            &[],
        )
    })?;
    let programs = steps.run("build of the tests", || {
        Programs::build(&[&TESTS[..], &["--no-run"]].concat())
    })?;
    let (binaries, chart_tools) = steps.run("build of the control plane and the chart tools", || {
        in_go.finish()
    })?;
    steps.run("generated files and charts", || {
        generate::check(programs.get("shared-mailbox-operator")?, &chart_tools)?;
        charts::lint(&chart_tools)
    })?;
    let image = workspace::target_directory()?.join("image");
    steps.run("image", || {
        image::build(Subject::Operator, "image-test", &image).map(drop)
    })?;
    let root = image.join("root");
    steps.run("unit, property, simulator and cluster tests", || {
        let mut environment = binaries.environment().to_vec();
        environment.push((REQUIRED_VARIABLE, Path::new("1")));
        environment.push((IMAGE_ROOT_VARIABLE, &root));
        cargo(&TESTS, &environment)
    })?;
    for profile in PROFILES {
        steps.run(&format!("flows of the main job, tenant {profile}"), || {
            let environment = [(PROFILE_VARIABLE, Path::new(profile))];
            cargo(&[&FLOWS[..], &SKIPPED[..]].concat(), &environment)
        })?;
    }
    steps.run_or_skip("licences and sources of dependencies", cargo_deny)
}

fn cargo_deny() -> Result<Outcome> {
    let Some(program) = find_cargo_deny()? else {
        return Ok(Outcome::Skipped(
            "cargo-deny is not installed (`cargo install --locked cargo-deny`)".to_owned(),
        ));
    };
    // Everything in the lock file, also what only other platforms use, so that the check itself can stay offline.
    cargo(&["fetch", "--locked"], &[])?;
    let mut check = Command::new(program);
    check.current_dir(workspace::root());
    check.args(["deny", "--offline", "check", "bans", "licenses", "sources"]);
    succeed(&mut check)?;
    Ok(Outcome::Passed)
}

/// The installed one, or in CI one built on the spot; `None` where it is only skipped.
fn find_cargo_deny() -> Result<Option<PathBuf>> {
    let own = workspace::target_directory()?.join("tools");
    let candidates = [PathBuf::from("cargo-deny"), own.join("bin/cargo-deny")];
    let runs = |program: &PathBuf| {
        let mut command = Command::new(program);
        command
            .args(["deny", "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if let Some(program) = candidates.iter().find(|program| runs(program)) {
        return Ok(Some(program.clone()));
    }
    if std::env::var("CI").as_deref() != Ok("true") {
        return Ok(None);
    }
    let root = own.to_string_lossy().into_owned();
    cargo(
        &[
            "install",
            "cargo-deny",
            "--locked",
            "--version",
            CARGO_DENY_VERSION,
            "--root",
            &root,
        ],
        &[],
    )?;
    Ok(Some(own.join("bin/cargo-deny")))
}
