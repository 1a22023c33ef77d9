//! What surrounds the operator: alerts, dashboard, runbooks, health checks, values of the chart. No cluster needed.
//!
//! Without helm, promtool and the Lua runner (`cargo xtask generate` builds them) the tests that need one say so and are
//! skipped; where SMO_REQUIRE_CONTROL_PLANE is set they fail instead.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, where a panic is a failure"
)]

mod alerts;
mod documents;
mod health;
mod queries;
mod values;

use std::fs;
use std::process::Command;

use serde_json::Value;
use xtask::process::capture;
use xtask::workspace;

/// A file of the repository.
fn file(path: &str) -> String {
    fs::read_to_string(workspace::root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// How a command ends.
struct Ended {
    succeeded: bool,
    /// What it prints on both streams.
    said: String,
}

fn outcome(command: &mut Command) -> Ended {
    let output = capture(command.current_dir(workspace::root())).unwrap();
    let said = [output.stdout, output.stderr].concat();
    Ended {
        succeeded: output.status.success(),
        said: String::from_utf8(said).unwrap(),
    }
}
