//! A run as one line, to be run again.

use super::{Phase, Scenario, replay_crash, replay_day, replay_schedule, replay_sequence};

/// Runs what a line names: `crash SCENARIO NUMBER PHASE`, `schedule SCENARIO SEED`, `sequence STEP,STEP,…` or
/// `day SEED`. A part in brackets at the end is for readers.
pub fn replay_line(scenarios: &[Scenario], line: &str) -> Result<(), String> {
    let line = line.split(" (").next().unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    match words.as_slice() {
        ["crash", name, point, phase] => {
            let scenario = called(scenarios, name)?;
            let phase = Phase::ALL
                .into_iter()
                .find(|known| format!("{known:?}") == *phase);
            let phase = phase.ok_or_else(|| "a phase is BeforeSent, Unanswered or Answered".to_owned())?;
            let point = usize::try_from(number(point)?).map_err(|error| error.to_string())?;
            replay_crash(scenario, point, phase)
        }
        ["schedule", name, seed] => replay_schedule(called(scenarios, name)?, number(seed)?),
        ["day", seed] => replay_day(number(seed)?),
        ["sequence", steps] => {
            let steps = steps
                .split(',')
                .map(|step| step.parse().map_err(|error| format!("{step:?}: {error}")));
            replay_sequence(&steps.collect::<Result<Vec<u64>, String>>()?)
        }
        _ => Err(format!("no run is written like {line:?}")),
    }
}

fn called<'a>(scenarios: &'a [Scenario], name: &str) -> Result<&'a Scenario, String> {
    let found = scenarios.iter().find(|scenario| scenario.name == name);
    found.ok_or_else(|| format!("no scenario is called {name:?}"))
}
