//! Alerts and dashboard ask for metrics that the operator has, by labels that they have.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::{Ended, file, outcome, yaml};

const DASHBOARD: &str = "charts/shared-mailbox-operator/files/dashboard.json";
const ALERTS: &str = "charts/shared-mailbox-operator/files/alerts.yaml";

/// Labels that Prometheus adds to what it reads.
const OF_THE_TARGET: [&str; 3] = ["namespace", "pod", "instance"];
/// Words of PromQL that our queries use, and that are no metrics.
const WORDS: [&str; 17] = [
    "absent",
    "and",
    "avg",
    "by",
    "histogram_quantile",
    "increase",
    "max",
    "min",
    "on",
    "or",
    "rate",
    "sum",
    "time",
    "unless",
    "count",
    "without",
    "ignoring",
];

/// Series by name, each with its labels, as the operator prints them without a cluster.
fn exposed() -> BTreeMap<String, BTreeSet<String>> {
    let Ended { succeeded, said } =
        outcome(Command::new(env!("CARGO_BIN_EXE_shared-mailbox-operator")).arg("metrics"));
    assert!(succeeded, "{said}");
    let mut series: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in said.lines().filter(|line| !line.starts_with('#')) {
        let (id, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = id.split_once('{').unwrap_or((id, ""));
        let labels = labels.trim_end_matches('}').split(',');
        let labels = labels
            .filter_map(|label| label.split_once('='))
            .map(|(name, _)| name.to_owned());
        series.entry(name.to_owned()).or_default().extend(labels);
    }
    assert!(series.len() > 30, "{series:?}");
    series
}

/// A query, and where it is.
struct Query {
    place: String,
    text: String,
}

impl Query {
    fn at(place: &Value, text: &Value) -> Self {
        Self {
            place: place.as_str().unwrap().to_owned(),
            text: text.as_str().unwrap().to_owned(),
        }
    }
}

fn queries() -> Vec<Query> {
    let alerts = yaml(ALERTS);
    let rules = alerts["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap());
    let mut found: Vec<_> = rules
        .map(|rule| Query::at(&rule["alert"], &rule["expr"]))
        .collect();
    let dashboard: Value = serde_json::from_str(&file(DASHBOARD)).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            found.push(Query::at(&panel["title"], &target["expr"]));
        }
    }
    assert!(found.len() > 40, "{}", found.len());
    found
}

#[derive(Debug, Default, PartialEq)]
struct Names {
    metrics: BTreeSet<String>,
    labels: BTreeSet<String>,
}

/// The metrics that a query names, and the labels by which it selects and groups. Enough of PromQL for what we write.
fn names(query: &str) -> Names {
    let mut found = Names::default();
    let mut in_braces = false;
    // Set by `by`, `on` and the like until their list is over.
    let mut grouping = false;
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '"' => (None, rest[1..].split_once('"').unwrap().1),
            '[' => (None, rest.split_once(']').unwrap().1),
            'a'..='z' | 'A'..='Z' | '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
                let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
                (Some(word), after)
            }
            // A number, with its exponent.
            '0'..='9' => (
                None,
                rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.'),
            ),
            _ => {
                match first {
                    '{' => in_braces = true,
                    '}' => in_braces = false,
                    ')' => grouping = false,
                    _ => {}
                }
                (None, &rest[first.len_utf8()..])
            }
        };
        rest = after;
        match word {
            Some("by" | "on" | "without" | "ignoring") if !in_braces => grouping = true,
            Some(label) if in_braces || grouping => drop(found.labels.insert(label.to_owned())),
            Some(word) if !WORDS.contains(&word) => drop(found.metrics.insert(word.to_owned())),
            _ => {}
        }
    }
    found
}

#[test]
fn metrics_and_labels_of_a_query_are_found() {
    let query = r#"sum by (le, lane) (rate(a_bucket{namespace=~"$namespace", x!="b{c}"}[$__rate_interval])) > 7 * 86400
        unless on (namespace) max by (tenant) (d_up) == 0"#;
    let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let expected = Names {
        metrics: set(&["a_bucket", "d_up"]),
        labels: set(&["lane", "le", "namespace", "tenant", "x"]),
    };
    assert_eq!(names(query), expected);
}

#[test]
fn every_query_names_metrics_that_exist_and_labels_that_they_have() {
    let exposed = exposed();
    for Query { place, text } in queries() {
        let Names { metrics, labels } = names(&text);
        assert!(!metrics.is_empty(), "{place}: {text}");
        let mut known: BTreeSet<&str> = OF_THE_TARGET.into();
        for metric in &metrics {
            let found = exposed
                .get(metric)
                .unwrap_or_else(|| panic!("{place}: there is no metric {metric}"));
            known.extend(found.iter().map(String::as_str));
        }
        let unknown: Vec<_> = labels
            .iter()
            .filter(|label| !known.contains(label.as_str()))
            .collect();
        assert!(unknown.is_empty(), "{place}: {unknown:?} in {text}");
    }
}

#[test]
fn legends_use_labels_that_their_queries_keep() {
    let dashboard: Value = serde_json::from_str(&file(DASHBOARD)).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let labels = names(target["expr"].as_str().unwrap()).labels;
            let legend = target["legendFormat"].as_str().unwrap();
            for part in legend.split("{{").skip(1) {
                let label = part.split_once("}}").unwrap().0;
                assert!(
                    labels.contains(label) || label == "pod",
                    "{}: {legend}",
                    panel["title"]
                );
            }
        }
    }
}
