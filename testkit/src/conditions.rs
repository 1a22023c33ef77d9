//! What an object reports in its conditions.

use kube::Resource;
use serde::Serialize;
use serde_json::Value;

/// One condition of an object. What it lacks is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub status: String,
    pub reason: String,
    pub message: String,
}

impl Condition {
    /// Status and reason, as `True UpToDate`.
    pub fn in_short(&self) -> String {
        format!("{} {}", self.status, self.reason)
    }
}

/// The condition of this type.
pub fn condition<K: Serialize>(object: &K, kind: &str) -> Option<Condition> {
    let whole = serde_json::to_value(object).unwrap();
    let conditions = whole["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|condition| condition["type"] == kind)?;
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    Some(Condition {
        status: text("status"),
        reason: text("reason"),
        message: text("message"),
    })
}

/// Whether Ready has this status and reason, and the status speaks of the newest spec.
pub fn ready<K: Resource + Serialize>(object: &K, status: &str, reason: &str) -> bool {
    let whole = serde_json::to_value(object).unwrap();
    let reported = whole["status"]["observedGeneration"] == whole["metadata"]["generation"];
    let conditions = whole["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let is_ready = |c: &Value| c["type"] == "Ready" && c["status"] == status && c["reason"] == reason;
    reported && conditions.iter().any(is_ready)
}
