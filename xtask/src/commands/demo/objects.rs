//! Reading conditions and events out of what kubectl prints as JSON.

use serde_json::Value;

/// The first object that is not ready and won't become so by itself, in a list or as the only one.
pub fn stalled(found: &Value) -> Option<&Value> {
    let objects = found["items"]
        .as_array()
        .map_or(std::slice::from_ref(found), Vec::as_slice);
    objects
        .iter()
        .find(|object| has(object, "Ready", "False") && has(object, "Stalled", "True"))
}

/// Whether a condition has that status, and is about the newest generation.
pub fn has(object: &Value, kind: &str, status: &str) -> bool {
    let generation = &object["metadata"]["generation"];
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| {
        let observed = &condition["observedGeneration"];
        let current = observed.is_null() || generation.is_null() || observed == generation;
        current && condition["type"] == kind && condition["status"] == status
    })
}

/// Whether an event with that reason has `text` in its message, in any case.
pub fn reports(events: &Value, reason: &str, text: &str) -> bool {
    let mut events = events["items"].as_array().into_iter().flatten();
    events.any(|event| {
        let message = event["message"].as_str().unwrap_or_default();
        event["reason"] == reason && message.to_lowercase().contains(text)
    })
}

/// `kind/name`, as kubectl takes it.
pub fn reference(object: &Value) -> Option<String> {
    let kind = object["kind"].as_str()?.to_lowercase();
    Some(format!("{kind}/{}", object["metadata"]["name"].as_str()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mailbox(ready: &str, stalled: Option<&str>) -> Value {
        let mut conditions = vec![json!({ "type": "Ready", "status": ready, "observedGeneration": 2 })];
        conditions.extend(stalled.map(|status| json!({ "type": "Stalled", "status": status })));
        let metadata = json!({ "name": "sales", "generation": 2 });
        json!({ "kind": "SharedMailbox", "metadata": metadata, "status": { "conditions": conditions } })
    }

    #[test]
    fn refused_is_what_is_not_ready_and_stalled() {
        assert!(stalled(&mailbox("False", Some("True"))).is_some());
        assert!(stalled(&mailbox("False", None)).is_none());
        assert!(stalled(&mailbox("True", Some("True"))).is_none());
        let list = json!({ "items": [{ "kind": "Namespace" }, mailbox("False", Some("True"))] });
        assert_eq!(reference(stalled(&list).unwrap()).unwrap(), "sharedmailbox/sales");
    }

    #[test]
    fn a_condition_about_an_older_generation_does_not_count() {
        let mut changed = mailbox("True", None);
        assert!(has(&changed, "Ready", "True"));
        changed["metadata"]["generation"] = json!(3);
        assert!(!has(&changed, "Ready", "True"));
        assert!(!has(&json!({}), "Ready", "True"));
    }

    #[test]
    fn events_are_searched_by_reason_and_message() {
        let events = json!({ "items": [{ "reason": "Repaired", "message": "Sign-in was blocked again" }] });
        assert!(reports(&events, "Repaired", "sign-in"));
        assert!(!reports(&events, "Repaired", "address"));
        assert!(!reports(&events, "Changed", "sign-in"));
        assert!(!reports(&json!({ "items": [] }), "Repaired", "sign-in"));
    }
}
