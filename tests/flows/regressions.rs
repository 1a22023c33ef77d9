//! Runs that once failed, each under the name of what was wrong.
//!
//! `cargo xtask regression NAME 'LINE'` adds one.

use super::crash::scenarios;
use testkit::simulation::replay_line;

/// `NAME: LINE`, one each line; `#` starts a comment.
const FOUND: &str = include_str!("regressions.txt");

fn found() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = FOUND
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").expect("a line is NAME: LINE"))
}

#[test]
fn what_failed_once_fails_never_again() {
    let scenarios = scenarios();
    let failures: Vec<String> = found()
        .filter_map(|(name, line)| {
            let why = replay_line(&scenarios, line).err()?;
            Some(format!("{name} ({line}): {why}"))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn every_regression_has_a_name_of_its_own() {
    let mut names: Vec<&str> = found().map(|(name, _)| name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

/// `SMO_SIMULATION_LINE='schedule 7' SMO_SIMULATION_LOGS=1 cargo test --test flows one_line -- --nocapture`
#[test]
fn one_line_from_the_environment_runs_again() {
    if let Ok(line) = std::env::var("SMO_SIMULATION_LINE")
        && let Err(why) = replay_line(&scenarios(), &line)
    {
        panic!("{line}: {why}");
    }
}
