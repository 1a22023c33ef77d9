//! Every crash point of a scenario: around each of its effects, in each phase, the process dies and another one
//! takes over; the end and the counts must be those of the undisturbed run.

use std::collections::BTreeMap;
use std::future::Future;

use super::oracle::MEMORY_HOLDS;
use super::snapshot::End;
use super::{Actions, Patience, Phase, Simulation};

/// Actions whose effects are the crash points, after those that lead up to them.
pub struct Scenario {
    pub name: &'static str,
    pub before: Actions,
    pub actions: Actions,
    /// What may be done more often than in the undisturbed run, by the start of its name: a pair of a revoke and
    /// a grant is repeated until both are known to be done.
    pub repeated: &'static [&'static str],
}

/// How often in a row a status may be written more than in the undisturbed run: a new process reports anew what
/// it found half reported.
const MORE_STATUS_WRITES: usize = 8;

/// Runs on a clock of its own that jumps from timer to timer.
pub fn on_paused_time<T>(run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(run)
}

/// Runs every crash point. Answers how many there were.
///
/// # Panics
/// With one line for each crash point that came to another end.
pub fn crash_everywhere(scenario: &Scenario) -> usize {
    let undisturbed = on_paused_time(run(scenario, None));
    let Run { end, effects } = match undisturbed {
        Ok(undisturbed) => undisturbed,
        Err(why) => panic!("{} fails without any crash: {why}", scenario.name),
    };
    assert!(!effects.is_empty(), "{} does nothing", scenario.name);
    let mut failures = Vec::new();
    for number in 1..=effects.len() {
        for phase in Phase::ALL {
            if let Err(why) = on_paused_time(crash(scenario, &end, (number, phase))) {
                failures.push(format!(
                    "crash {} {number} {phase:?} ({}): {why}",
                    scenario.name,
                    effects[number - 1]
                ));
            }
        }
    }
    let count = effects.len() * Phase::ALL.len();
    assert!(
        failures.is_empty(),
        "{} of {count} crash points of {} fail; the first:\n{}\nall:\n{}",
        failures.len(),
        scenario.name,
        failures[0],
        failures
            .iter()
            .filter_map(|failure| failure.lines().next())
            .collect::<Vec<_>>()
            .join("\n")
    );
    count
}

/// One crash point again.
pub fn replay_crash(scenario: &Scenario, number: usize, phase: Phase) -> Result<(), String> {
    let undisturbed = on_paused_time(run(scenario, None))?;
    on_paused_time(crash(scenario, &undisturbed.end, (number, phase)))
}

async fn crash(scenario: &Scenario, undisturbed: &End, point: (usize, Phase)) -> Result<(), String> {
    let crashed = run(scenario, Some(point)).await?;
    compare(scenario, undisturbed, &crashed.end)
}

/// How a run ended, and its effects in their order.
struct Run {
    end: End,
    effects: Vec<String>,
}

async fn run(scenario: &Scenario, crash_at: Option<(usize, Phase)>) -> Result<Run, String> {
    let mut simulation = Simulation::start().await;
    simulation.run_all(&scenario.before).await?;
    // What is still being reported of the actions before is no part of this run.
    simulation.pass(std::time::Duration::from_secs(30)).await;
    let sequence = simulation
        .world
        .tenant
        .journal()
        .last()
        .map_or(0, |entry| entry.sequence);
    let requests = simulation.world.server.requests().len();
    simulation.wire.count_from_here(crash_at);
    simulation.run_all(&scenario.actions).await?;
    simulation.settle(Patience::usual()).await?;
    let effects = simulation.wire.effects();
    // By then, what was revoked is no longer rechecked either.
    simulation.pass(MEMORY_HOLDS).await;
    simulation.calm();
    simulation.settle(Patience::usual()).await?;
    let end = simulation.end(sequence, requests);
    simulation.stays().await?;
    simulation.settle(Patience::usual()).await?;
    let wrongs = simulation.wrongs(Patience::usual());
    if !wrongs.is_empty() {
        return Err(wrongs.join("\n  "));
    }
    match crash_at {
        Some(_) if !simulation.wire.crashed() => {
            Err("the process did not die: this point was not reached".to_owned())
        }
        _ => Ok(Run { end, effects }),
    }
}

fn compare(scenario: &Scenario, undisturbed: &End, end: &End) -> Result<(), String> {
    if let Some(difference) = first_difference(&undisturbed.state, &end.state) {
        return Err(format!("another end: {difference}"));
    }
    let may_repeat = |what: &str| {
        scenario
            .repeated
            .iter()
            .any(|start| what.trim_start_matches('"').starts_with(start))
    };
    let without = |changes: &BTreeMap<String, usize>| {
        let rest = changes.iter().filter(|(what, _)| !may_repeat(what));
        rest.map(|(what, count)| (what.clone(), *count))
            .collect::<BTreeMap<_, _>>()
    };
    for (what, count) in &end.changes {
        let usual = undisturbed.changes.get(what).copied().unwrap_or_default();
        if *count > usual + 1 {
            return Err(format!("{what}: {count} times instead of {usual}"));
        }
    }
    // A Set-Mailbox may be cut in two: what one left undone the next does.
    let whole = |changes: &BTreeMap<String, usize>| {
        let mut changes = without(changes);
        changes.retain(|what, _| !what.trim_start_matches('"').starts_with("Set-Mailbox"));
        changes
    };
    if whole(&end.changes) != whole(&undisturbed.changes) {
        return Err(format!(
            "other changes: {:#?} instead of {:#?}",
            end.changes, undisturbed.changes
        ));
    }
    if end.kubernetes_writes > undisturbed.kubernetes_writes + MORE_STATUS_WRITES {
        return Err(format!(
            "{} writes to Kubernetes instead of {}",
            end.kubernetes_writes, undisturbed.kubernetes_writes
        ));
    }
    Ok(())
}

fn first_difference(one: &str, other: &str) -> Option<String> {
    let mut lines = one.lines().zip(other.lines()).enumerate();
    if let Some((number, (wanted, got))) = lines.find(|(_, (wanted, got))| wanted != got) {
        let context: Vec<&str> = other.lines().skip(number.saturating_sub(12)).take(24).collect();
        return Some(format!(
            "{got:?} instead of {wanted:?}, at\n{}",
            context.join("\n")
        ));
    }
    (one.lines().count() != other.lines().count()).then(|| "one end is longer".to_owned())
}
