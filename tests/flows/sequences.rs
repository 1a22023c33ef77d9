//! Random sequences of manifests and admin actions, shrunk when they fail.
//!
//! `SMO_SIMULATION_SEQUENCES=1000 cargo test --test flows sequences` runs more of them.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use simulator::Profile;
use testkit::simulation::{ABOUT_LEDGERS, ABOUT_PEOPLE, STORY, actions_of, replay_sequence, with_profile};

const STEPS: usize = 20;

fn sequences(share: u8, with_ledgers: bool) {
    let wanted = std::env::var("SMO_SIMULATION_SEQUENCES")
        .ok()
        .and_then(|text| text.parse().ok());
    let cases: u32 = wanted.unwrap_or(200);
    let config = Config {
        cases: cases / if with_ledgers { 4 } else { 2 },
        failure_persistence: None,
        max_shrink_iters: 100,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[share; 32]);
    let mut runner = TestRunner::new_with_rng(config, rng);
    // A step that shrinks away becomes None.
    let number = || any::<u32>().no_shrink().prop_map(u64::from);
    let about_people = number().prop_map(|number| ABOUT_PEOPLE + number);
    let about_ledgers = number().prop_map(|number| ABOUT_LEDGERS + number);
    let step = prop_oneof![2 => number(), 1 => about_people];
    // A choice more would be another draw, and all sequences would be others.
    let step = if with_ledgers {
        prop_oneof![2 => step, 1 => about_ledgers].boxed()
    } else {
        step.boxed()
    };
    let steps = proptest::collection::vec(proptest::option::weighted(0.98, step), STEPS);
    let steps = if with_ledgers {
        // Every other one begins with a story, and half of these end soon after it: more steps hide where it leads.
        let story = proptest::option::weighted(0.5, number().prop_map(|number| STORY + number));
        let length = prop_oneof![Just(STEPS), Just(STEPS / 5)];
        let steps = (story, steps, length).prop_map(|(story, steps, length)| {
            let length = if story.is_some() { length } else { STEPS };
            let steps = steps.into_iter().take(length);
            std::iter::once(story).chain(steps).collect::<Vec<_>>()
        });
        steps.boxed()
    } else {
        steps.boxed()
    };
    // Not drawn with the steps, which would be others. A shorter sequence is to fail in the same kind of tenant.
    let (case, has_failed) = (Cell::new(0_u64), Cell::new(false));
    let outcome = runner.run(&steps, |steps| {
        if !has_failed.get() {
            case.set(case.get() + 1);
        }
        let profile = Profile::drawn(case.get() + (u64::from(share) << 32));
        let steps: Vec<u64> = steps.into_iter().flatten().collect();
        replay_sequence(&steps, profile).map_err(|why| {
            has_failed.set(true);
            let line: Vec<String> = steps.iter().map(ToString::to_string).collect();
            let line = with_profile(format!("sequence {}", line.join(",")), profile);
            let actions: Vec<String> = actions_of(&steps)
                .iter()
                .map(|action| format!("  {action:?}"))
                .collect();
            eprintln!(
                "{line} fails: {}",
                why.lines().take(3).collect::<Vec<_>>().join("; ")
            );
            let text = format!("{line}\n{}\n{why}", actions.join("\n"));
            TestCaseError::fail(text)
        })
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
fn sequences_of_manifests_and_admin_actions_end_as_declared() {
    sequences(1, false);
}

#[test]
fn more_sequences_of_manifests_and_admin_actions_end_as_declared() {
    sequences(2, false);
}

#[test]
fn sequences_with_lost_and_restored_memory_end_as_declared() {
    sequences(3, true);
}
