//! Validation of the built-in kinds that the operator writes: leases and events.

use serde_json::{Value, json};

use super::errors::FieldError;
use super::kinds::Kind;
use super::meta;

/// Adds what is wrong with a built-in object.
pub fn validate(kind: &Kind, object: &Value, errors: &mut Vec<FieldError>) {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("coordination.k8s.io", "leases") => check_lease(object, errors),
        ("events.k8s.io", "events") => check_event(object, errors),
        _ => {}
    }
}

fn check_lease(lease: &Value, errors: &mut Vec<FieldError>) {
    let spec = &lease["spec"];
    let duration = &spec["leaseDurationSeconds"];
    if duration.as_i64().is_some_and(|seconds| seconds <= 0) {
        errors.push(FieldError::invalid("spec.leaseDurationSeconds", duration, "must be greater than 0"));
    }
    let transitions = &spec["leaseTransitions"];
    if transitions.as_i64().is_some_and(|count| count < 0) {
        let why = "must be greater than or equal to 0";
        errors.push(FieldError::invalid("spec.leaseTransitions", transitions, why));
    }
}

fn check_event(event: &Value, errors: &mut Vec<FieldError>) {
    let text = |field: &str| event[field].as_str().unwrap_or_default();
    let (namespace, about) = (&event["metadata"]["namespace"], &event["regarding"]["namespace"]);
    let expected = about.as_str().filter(|about| !about.is_empty()).unwrap_or("default");
    if namespace.as_str() != Some(expected) {
        errors.push(FieldError::invalid("involvedObject.namespace", about, "does not match event.namespace"));
    }
    if event["eventTime"].is_null() {
        errors.push(FieldError::required("eventTime", ""));
    }
    if text("reportingController").is_empty() {
        errors.push(FieldError::required("reportingController", ""));
    }
    meta::check_qualified_name("reportingController", text("reportingController"), errors);
    for field in ["reportingInstance", "action", "reason"] {
        match text(field).len() {
            0 => errors.push(FieldError::required(field, "")),
            1..=128 => {}
            _ => {
                let why = "can have at most 128 characters";
                errors.push(FieldError::invalid(field, &json!(text(field)), why));
            }
        }
    }
    if !matches!(text("type"), "Normal" | "Warning") {
        let why = format!("has invalid value: {}", text("type"));
        errors.push(FieldError::invalid("type", &json!(text("type")), why));
    }
    if text("note").len() > 1024 {
        errors.push(FieldError::invalid("note", &json!(text("note")), "can have at most 1024 characters"));
    }
}
