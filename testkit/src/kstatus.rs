//! kstatus's judgement of a custom resource, as Flux, kpt and Argo CD's users know it: ported from cli-utils
//! (pkg/kstatus/status: `checkGenericProperties`, `checkReadyCondition`), in its order.

use serde::Serialize;
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kstatus {
    Terminating,
    InProgress,
    Failed,
    Current,
}

pub fn of<K: Serialize>(object: &K) -> Kstatus {
    let object = serde_json::to_value(object).unwrap();
    let (metadata, status) = (&object["metadata"], &object["status"]);
    if metadata["deletionTimestamp"].is_string() {
        return Kstatus::Terminating;
    }
    let (generation, observed) = (&metadata["generation"], &status["observedGeneration"]);
    if generation.is_number() && observed.is_number() && generation != observed {
        return Kstatus::InProgress;
    }
    let conditions = status["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    for condition in conditions {
        match (condition["type"].as_str(), condition["status"].as_str()) {
            (Some("Reconciling"), Some("True")) => return Kstatus::InProgress,
            (Some("Stalled"), Some("True")) => return Kstatus::Failed,
            _ => {}
        }
    }
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
    match ready.and_then(|ready: &Value| ready["status"].as_str()) {
        Some("False" | "Unknown") => Kstatus::InProgress,
        // An object that says nothing counts as done: hence a first status within a second.
        Some(_) | None => Kstatus::Current,
    }
}
