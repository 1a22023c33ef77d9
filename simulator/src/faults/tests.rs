use std::time::Duration;

use serde_json::Map;

use super::{Delay, Fault, FaultEngine, FaultRule, Faults, Surface};
use crate::random::Random;

#[test]
fn a_fixed_delay_is_always_the_same() {
    let mut random = Random::seeded(3);
    assert!((0..100).all(|_| Delay::fixed(250).draw(&mut random) == Duration::from_millis(250)));
}

#[test]
fn a_spread_has_its_median_and_its_maximum_where_they_were_put() {
    let mut random = Random::seeded(3);
    let delay = Delay::spread(100, 1_000, 5_000);
    let mut drawn: Vec<u128> = (0..50_000).map(|_| delay.draw(&mut random).as_millis()).collect();
    drawn.sort_unstable();
    assert!((80..=160).contains(&drawn[25_000]), "{}", drawn[25_000]);
    assert!((800..=1_300).contains(&drawn[47_500]), "{}", drawn[47_500]);
    assert!(drawn[49_999] <= 5_000 && drawn[49_999] > 1_000);
}

#[test]
fn a_rule_strikes_as_often_as_it_says_and_is_counted() {
    let rule = FaultRule::next(2, Fault::TenantConcurrency)
        .after(1)
        .on(&["New-*"]);
    let mut engine = FaultEngine::new(Faults::rules([rule]));
    let struck: Vec<bool> = (0..5)
        .map(|_| engine.on_cmdlet("New-Mailbox", &Map::new()).is_some())
        .collect();
    assert_eq!(struck, [false, true, true, false, false]);
    assert!(engine.on_cmdlet("Get-Mailbox", &Map::new()).is_none());
    assert_eq!(engine.counts()["tenantConcurrency"], 2);
}

#[test]
fn a_rule_can_wait_for_a_parameter() {
    let rule = FaultRule::always(Fault::Denied)
        .on(&["Set-*"])
        .naming("DisplayName");
    let mut engine = FaultEngine::new(Faults::rules([rule]));
    let mut struck = |cmdlet, parameter: &str| {
        let parameters = Map::from_iter([(parameter.to_owned(), "Sales".into())]);
        engine.on_cmdlet(cmdlet, &parameters).is_some()
    };
    assert!(struck("Set-Mailbox", "displayname"));
    assert!(!struck("Set-Mailbox", "Alias"));
    assert!(!struck("New-Mailbox", "DisplayName"));
}

#[test]
fn surfaces_are_kept_apart() {
    let rule = FaultRule::always(Fault::Denied).at(Surface::Graph);
    let mut engine = FaultEngine::new(Faults::rules([rule]));
    assert!(engine.on_request(Surface::Exchange).is_none());
    assert!(engine.on_request(Surface::Graph).is_some());
}

#[test]
fn faults_read_from_json() {
    let text = r#"{"rules": [{"fault": {"kind": "throttled", "retryAfterSeconds": 7}, "times": 1}],
                   "lag": {"delay": {"p50Ms": 100, "p95Ms": 400, "maxMs": 900}, "replicas": 3}}"#;
    let faults: Faults = serde_json::from_str(text).unwrap();
    assert_eq!(
        faults.rules[0].fault,
        Fault::Throttled {
            retry_after_seconds: Some(7)
        }
    );
    assert_eq!(faults.lag.replicas, 3);
    assert!(serde_json::from_str::<Faults>(r#"{"ruls": []}"#).is_err());
}
