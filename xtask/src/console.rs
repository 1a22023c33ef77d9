//! What people see: progress on standard error, results on standard output.

use std::time::{Duration, Instant};

use anyhow::Result;
use xtask::process::humane;

/// A line about something that takes a while.
pub fn progress(line: &str) {
    eprintln!("  … {line}");
}

/// Steps that run one after the other, each named before and timed after; the first failure ends the row.
#[derive(Default)]
pub struct Steps {
    finished: Vec<(String, Outcome, Duration)>,
}

/// How a step ended, when it didn't fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// Not run, and why.
    Skipped(String),
    Failed,
}

impl Steps {
    /// Runs a step that either passes or fails.
    pub fn run<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut value = None;
        self.run_or_skip(name, || {
            value = Some(step()?);
            Ok(Outcome::Passed)
        })?;
        value.ok_or_else(|| anyhow::anyhow!("{name} returned nothing"))
    }

    /// Runs a step that may also decide that there is nothing to do.
    pub fn run_or_skip(&mut self, name: &str, step: impl FnOnce() -> Result<Outcome>) -> Result<()> {
        eprintln!("── {name}");
        let started = Instant::now();
        let result = step();
        let took = started.elapsed();
        let outcome = result.as_ref().map_or(Outcome::Failed, Outcome::clone);
        eprintln!("── {name}: {} in {}\n", outcome.describe(), humane(took));
        self.finished.push((name.to_owned(), outcome, took));
        result
            .map(|_| ())
            .map_err(|error| error.context(format!("step '{name}' failed")))
    }

    /// A table of all steps so far.
    pub fn table(&self) -> String {
        let width = self
            .finished
            .iter()
            .map(|(name, ..)| name.chars().count())
            .max()
            .unwrap_or(0);
        let row = |(name, outcome, took): &(String, Outcome, Duration)| {
            format!("{name:width$}  {:>8}  {}\n", humane(*took), outcome.describe())
        };
        let total: Duration = self.finished.iter().map(|(.., took)| *took).sum();
        let rows: String = self.finished.iter().map(row).collect();
        format!("{rows}{:width$}  {:>8}\n", "all", humane(total))
    }
}

impl Outcome {
    fn describe(&self) -> String {
        match self {
            Self::Passed => "passed".to_owned(),
            Self::Skipped(why) => format!("skipped: {why}"),
            Self::Failed => "FAILED".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_every_step_up_to_the_one_that_failed() {
        let mut steps = Steps::default();
        assert_eq!(steps.run("compile", || Ok(7)).unwrap(), 7);
        steps
            .run_or_skip("licences", || Ok(Outcome::Skipped("no tool".to_owned())))
            .unwrap();
        let error = steps
            .run("test", || -> Result<()> { anyhow::bail!("exit status: 1") })
            .unwrap_err();
        assert_eq!(format!("{error:#}"), "step 'test' failed: exit status: 1");
        assert_eq!(
            steps.table(),
            "compile       0.0s  passed\nlicences      0.0s  skipped: no tool\ntest          0.0s  FAILED\nall           0.0s\n"
        );
    }
}
