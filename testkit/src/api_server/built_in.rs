//! Validation of the built-in kinds that the operator writes: leases and events.

use serde_json::{Value, json};

use super::errors::{FieldError, Refusal};
use super::kinds::Kind;
use super::meta;

/// Refuses a new or changed object of a built-in kind that the server would not take.
pub fn admit(kind: &Kind, object: &mut Value, old: Option<&Value>) -> Result<(), Refusal> {
    let mut errors = meta::validate(object);
    let mut group = kind.group.as_str();
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("coordination.k8s.io", "leases") => {
            check_micro_times(
                kind,
                &[&object["spec"]["acquireTime"], &object["spec"]["renewTime"]],
            )?;
            check_lease(object, &mut errors);
        }
        ("events.k8s.io", "events") => {
            check_micro_times(
                kind,
                &[&object["eventTime"], &object["series"]["lastObservedTime"]],
            )?;
            check_event(object, &mut errors);
            check_event_change(object, old, &mut errors);
            // Its errors are still those of the older kind in the core group.
            group = "";
        }
        ("", "namespaces") => {
            let name = meta::name(object).to_owned();
            let labels = meta::metadata(object)
                .entry("labels")
                .or_insert_with(|| json!({}));
            labels["kubernetes.io/metadata.name"] = json!(name);
        }
        _ => {}
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(Refusal::invalid_thing(
        group,
        &kind.kind,
        meta::name(object),
        &errors,
    ))
}

/// `metav1.MicroTime` wants six digits after the second, no more and no fewer.
fn check_micro_times(kind: &Kind, times: &[&Value]) -> Result<(), Refusal> {
    for time in times.iter().filter_map(|time| time.as_str()) {
        let digits = time.split_once('.').map_or(0, |(_, rest)| {
            rest.chars().take_while(char::is_ascii_digit).count()
        });
        if digits != 6 || time.parse::<jiff::Timestamp>().is_err() {
            return Err(Refusal::bad_request(format!(
                "{0} in version \"{1}\" cannot be handled as a {0}: parsing time \"{time}\" as \
                 \"2006-01-02T15:04:05.000000Z07:00\": cannot parse",
                kind.kind, kind.version
            )));
        }
    }
    Ok(())
}

fn check_lease(lease: &Value, errors: &mut Vec<FieldError>) {
    let spec = &lease["spec"];
    let duration = &spec["leaseDurationSeconds"];
    if duration.as_i64().is_some_and(|seconds| seconds <= 0) {
        errors.push(FieldError::invalid(
            "spec.leaseDurationSeconds",
            duration,
            "must be greater than 0",
        ));
    }
    let transitions = &spec["leaseTransitions"];
    if transitions.as_i64().is_some_and(|count| count < 0) {
        let why = "must be greater than or equal to 0";
        errors.push(FieldError::invalid("spec.leaseTransitions", transitions, why));
    }
}

fn check_event(event: &Value, errors: &mut Vec<FieldError>) {
    let text = |field: &str| event[field].as_str().unwrap_or_default();
    let about = event["regarding"]["namespace"].as_str().unwrap_or_default();
    let namespace = event["metadata"]["namespace"].as_str().unwrap_or_default();
    if about.is_empty() && !matches!(namespace, "default" | "kube-system") {
        let why = "does not match event.namespace";
        errors.push(FieldError::invalid(
            "involvedObject.namespace",
            &json!(about),
            why,
        ));
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
            _ => errors.push(FieldError::invalid(
                field,
                &event[field],
                "can have at most 128 characters",
            )),
        }
    }
    if !matches!(text("type"), "Normal" | "Warning") {
        let why = format!("has invalid value: {}", text("type"));
        errors.push(FieldError::invalid("type", &json!(text("type")), why));
    }
    if text("note").len() > 1024 {
        errors.push(FieldError::invalid(
            "message",
            &event["note"],
            "can have at most 1024 characters",
        ));
    }
    let series = &event["series"];
    if series.is_object() && series["count"].as_i64().is_none_or(|count| count < 2) {
        errors.push(FieldError::invalid(
            "series.count",
            &json!(""),
            "should be at least 2",
        ));
    }
}

/// Only the series of an event ever changes.
fn check_event_change(event: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    const FIXED: [(&str, &str); 9] = [
        ("regarding", "involvedObject"),
        ("reason", "reason"),
        ("note", "message"),
        ("type", "type"),
        ("eventTime", "eventTime"),
        ("action", "action"),
        ("related", "related"),
        ("reportingController", "reportingController"),
        ("reportingInstance", "reportingInstance"),
    ];
    let Some(old) = old else { return };
    for (field, name) in FIXED {
        if old.get(field) != event.get(field) {
            errors.push(FieldError::invalid(name, &event[field], "field is immutable"));
        }
    }
}
