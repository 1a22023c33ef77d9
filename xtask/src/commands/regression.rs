//! Keeps a run of the simulation that failed once as a named test.

use std::fs;

use anyhow::{Context, Result, ensure};

use xtask::workspace;

const FILE: &str = "tests/flows/regressions.txt";

/// What to keep.
#[derive(clap::Args)]
pub struct Arguments {
    /// What was wrong, in a few words
    name: String,
    /// The line that the failing test printed, such as `schedule create 7`
    line: String,
}

/// Appends `NAME: LINE`, unless the name or the run is there already.
pub fn run(arguments: &Arguments) -> Result<()> {
    let path = workspace::root().join(FILE);
    let before = fs::read_to_string(&path).with_context(|| format!("can't read {FILE}"))?;
    let after = with(&before, &arguments.name, &arguments.line)?;
    fs::write(&path, after).with_context(|| format!("can't write {FILE}"))?;
    println!("kept in {FILE}; run it with `cargo test --test flows regressions`");
    Ok(())
}

fn with(before: &str, name: &str, line: &str) -> Result<String> {
    let (name, line) = (name.trim(), line.trim());
    ensure!(
        !name.is_empty() && !name.contains([':', '\n']) && !name.starts_with('#'),
        "a name has words, no colon, and no # at its start"
    );
    let kind = line.split_whitespace().next().unwrap_or_default();
    ensure!(
        ["crash", "schedule", "sequence", "day"].contains(&kind) && !line.contains('\n'),
        "a line starts with crash, schedule, sequence or day; failing tests of the simulation print it"
    );
    for known in before.lines().filter_map(|known| known.split_once(": ")) {
        ensure!(known.0 != name, "there is a regression {name:?} already");
        ensure!(known.1 != line, "the regression {:?} is this very run", known.0);
    }
    let gap = if before.is_empty() || before.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    Ok(format!("{before}{gap}{name}: {line}\n"))
}

#[cfg(test)]
mod tests {
    use super::with;

    #[test]
    fn a_run_is_kept_under_its_name_once() {
        let kept = with("# comment\n", "two mailboxes", "schedule create 7").unwrap();
        assert_eq!(kept, "# comment\ntwo mailboxes: schedule create 7\n");
        assert!(with(&kept, "two mailboxes", "schedule create 8").is_err());
        assert!(with(&kept, "another", "schedule create 7").is_err());
    }

    #[test]
    fn what_is_no_line_of_the_simulation_is_refused() {
        assert!(with("", "name", "cargo test").is_err());
        assert!(with("", "na: me", "schedule create 7").is_err());
        assert!(with("", "", "schedule create 7").is_err());
    }
}
