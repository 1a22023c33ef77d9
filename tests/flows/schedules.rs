//! Scenarios under faults drawn from a seed.
//!
//! `SMO_SIMULATION_SEEDS=10000 cargo test --test flows schedules` runs more of them.

use super::crash::scenarios;
use testkit::simulation::{schedules, trace_schedule};

/// Two tests, so that two cores have something to do.
const SHARES: u64 = 2;

fn seeds(share: u64) -> impl Iterator<Item = u64> {
    let wanted = std::env::var("SMO_SIMULATION_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let first = std::env::var("SMO_SIMULATION_FIRST")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let count: u64 = wanted.unwrap_or(500);
    (first..first + count).filter(move |seed| seed % SHARES == share)
}

#[test]
fn even_seeds_end_well_after_faults() {
    schedules(&scenarios(), seeds(0));
}

#[test]
fn odd_seeds_end_well_after_faults() {
    schedules(&scenarios(), seeds(1));
}

#[test]
fn a_seed_leads_to_the_same_run_to_the_last_request_and_id() {
    let scenarios = scenarios();
    for (seed, scenario) in (1000..).zip(&scenarios).take(4) {
        let (one, two) = (trace_schedule(scenario, seed), trace_schedule(scenario, seed));
        let differs = one.lines().zip(two.lines()).find(|(one, two)| one != two);
        assert_eq!(differs, None, "{} {seed}", scenario.name);
        assert_eq!(one.lines().count(), two.lines().count());
    }
}
