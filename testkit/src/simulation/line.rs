//! A run as one line, to be run again.

use simulator::Profile;

use super::{Phase, Scenario, replay_crash, replay_day, replay_schedule, replay_sequence};

/// Runs what a line names: `crash SCENARIO NUMBER PHASE`, `schedule SCENARIO SEED`, `sequence STEP,STEP,…` or
/// `day SEED`; in another kind of tenant than the likeliest, with ` in PROFILE`. A part in brackets at the end is for readers.
pub fn replay_line(scenarios: &[Scenario], line: &str) -> Result<(), String> {
    let line = line.split(" (").next().unwrap_or_default();
    let (line, profile) = match line.split_once(" in ") {
        Some((line, name)) => (line, Some(name.trim().parse::<Profile>()?)),
        None => (line, None),
    };
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
        ["schedule", name, seed] => replay_schedule(called(scenarios, name)?, number(seed)?, profile),
        ["day", seed] => replay_day(number(seed)?, profile),
        ["sequence", steps] => {
            let steps = steps
                .split(',')
                .map(|step| step.parse().map_err(|error| format!("{step:?}: {error}")));
            replay_sequence(&steps.collect::<Result<Vec<u64>, String>>()?, profile)
        }
        _ => Err(format!("no run is written like {line:?}")),
    }
}

/// The line of a run in a tenant of this kind.
pub fn with_profile(line: String, profile: Option<Profile>) -> String {
    match profile {
        Some(profile) => format!("{line} in {profile}"),
        None => line,
    }
}

fn called<'a>(scenarios: &'a [Scenario], name: &str) -> Result<&'a Scenario, String> {
    let found = scenarios.iter().find(|scenario| scenario.name == name);
    found.ok_or_else(|| format!("no scenario is called {name:?}"))
}
