//! The alerts do what they say, and each has a page for whoever it wakes.

use std::fs;

use serde_json::Value;
use xtask::chart_tools::ChartTools;
use xtask::workspace;

use super::{Ended, file, outcome, yaml};

const ALERTS: &str = "charts/shared-mailbox-operator/files/alerts.yaml";
const TESTS: &str = "tests/packaging/alerts.yaml";
/// What a runbook has to answer, in this order.
const QUESTIONS: [&str; 4] = [
    "## What it means",
    "## What to check",
    "## What to do",
    "## When it is over",
];

fn alerts() -> Vec<Value> {
    let groups = yaml(ALERTS);
    let rules = |group: &Value| group["rules"].as_array().unwrap().clone();
    groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(rules)
        .collect()
}

fn name(alert: &Value) -> &str {
    alert["alert"].as_str().unwrap()
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules_and_their_tests_pass() {
    let Some(tools) = ChartTools::for_tests().unwrap() else {
        return;
    };
    let Ended { succeeded, said } =
        outcome(tools.promtool().args(["check", "rules", "--lint-fatal", ALERTS]));
    assert!(succeeded, "{said}");
    let Ended { succeeded, said } = outcome(tools.promtool().args(["test", "rules", TESTS]));
    assert!(succeeded, "{said}");
}

#[test]
fn every_alert_has_a_test_in_which_it_fires() {
    let tests = file(TESTS);
    for alert in alerts() {
        let name = name(&alert);
        let fires = tests.contains(&format!(r#"alertname="{name}""#));
        assert!(fires, "{name} is in no expected sample");
    }
}

#[test]
fn every_alert_is_for_somebody_and_has_a_runbook_that_answers_the_questions() {
    for alert in alerts() {
        let name = name(&alert);
        let severity = alert["labels"]["severity"].as_str();
        assert!(
            matches!(severity, Some("page" | "ticket")),
            "{name}: {severity:?}"
        );
        let url = alert["annotations"]["runbook_url"].as_str().unwrap();
        let page = url.split_once("/blob/main/").unwrap().1;
        assert_eq!(page, format!("docs/runbooks/{name}.md"));
        let text = file(page);
        assert!(text.starts_with(&format!("# {name}\n")), "{page}");
        let places: Vec<_> = QUESTIONS.iter().map(|question| text.find(question)).collect();
        assert!(
            places.iter().all(Option::is_some) && places.is_sorted(),
            "{page}: {places:?}"
        );
    }
}

#[test]
fn no_runbook_is_left_over() {
    let known: Vec<String> = alerts()
        .iter()
        .map(|alert| format!("{}.md", name(alert)))
        .collect();
    for entry in fs::read_dir(workspace::root().join("docs/runbooks")).unwrap() {
        let found = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&found), "{found} belongs to no alert");
    }
}
