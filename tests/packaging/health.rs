//! Argo CD's health check, run as Argo CD runs it, on objects as they are through their lives.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};
use xtask::chart_tools::ChartTools;
use xtask::workspace;

/// What the script says of an object.
#[derive(Debug, PartialEq, Eq)]
struct Health {
    status: String,
    message: String,
}

fn health(tools: &ChartTools, object: &Value) -> Health {
    let mut child = tools
        .lua()
        .arg(workspace::root().join("deploy/argocd/health.lua"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(object.to_string().as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    Health {
        status: said["status"].as_str().unwrap().to_owned(),
        message: said["message"].as_str().unwrap().to_owned(),
    }
}

/// An object of generation 2, of which generation `observed` was reconciled.
fn object(observed: i64, conditions: &[(&str, &str, &str)]) -> Value {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(kind, status, reason)| {
            json!({ "type": kind, "status": status, "reason": reason, "message": "why", "observedGeneration": observed })
        })
        .collect();
    json!({
        "apiVersion": "sharedmailbox.dev/v1alpha1", "kind": "SharedMailbox",
        "metadata": { "name": "sales", "namespace": "team-sales", "generation": 2 },
        "status": { "observedGeneration": observed, "conditions": conditions }
    })
}

#[test]
fn argo_cd_sees_each_state_of_an_object_as_it_is() {
    let Some(tools) = ChartTools::for_tests().unwrap() else {
        return;
    };
    let mut untouched = object(2, &[]);
    untouched.as_object_mut().unwrap().remove("status");
    let mut deleted = object(2, &[("Ready", "True", "UpToDate")]);
    deleted["metadata"]["deletionTimestamp"] = json!("2026-11-22T09:00:00Z");
    let cases = [
        (untouched, "Progressing", "Waiting for shared-mailbox-operator"),
        (object(2, &[]), "Progressing", ": "),
        (
            object(2, &[("Ready", "True", "UpToDate")]),
            "Healthy",
            "UpToDate: why",
        ),
        (
            object(1, &[("Ready", "True", "UpToDate")]),
            "Progressing",
            "The last change has not been reconciled yet",
        ),
        (
            object(
                2,
                &[
                    ("Ready", "False", "Creating"),
                    ("Reconciling", "True", "Creating"),
                ],
            ),
            "Progressing",
            "Creating: why",
        ),
        (
            object(
                2,
                &[
                    ("Stalled", "True", "AccessDenied"),
                    ("Ready", "False", "AccessDenied"),
                ],
            ),
            "Degraded",
            "AccessDenied: why",
        ),
        (
            object(
                2,
                &[
                    ("Ready", "False", "PartiallyGranted"),
                    ("Stalled", "True", "PartiallyGranted"),
                ],
            ),
            "Degraded",
            "PartiallyGranted: why",
        ),
        (
            object(
                2,
                &[("Ready", "Unknown", "Paused"), ("Stalled", "True", "Paused")],
            ),
            "Suspended",
            "Paused: why",
        ),
        (
            object(
                2,
                &[
                    ("Ready", "Unknown", "Unreachable"),
                    ("Reconciling", "True", "Unreachable"),
                ],
            ),
            "Progressing",
            "Unreachable: why",
        ),
        (deleted, "Progressing", "Being deleted"),
    ];
    for (object, status, message) in cases {
        let expected = Health {
            status: status.to_owned(),
            message: message.to_owned(),
        };
        assert_eq!(health(&tools, &object), expected, "{object}");
    }
}
