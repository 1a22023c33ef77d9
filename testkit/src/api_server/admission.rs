//! What happens to every new and changed object before it is stored: pruning, defaults, judgement.

use serde_json::Value;

use super::built_in;
use super::call::Call;
use super::errors::{FieldError, Refusal};
use super::kinds::Kind;
use super::meta;
use super::schema;
use super::validate::validate;

/// Judges a new object, after pruning and defaulting it; `Err` is what the client gets.
pub fn admit(kind: &Kind, call: &Call, object: &mut Value, old: Option<&Value>) -> Result<(), Refusal> {
    check_kind(kind, object)?;
    let mut unknown = meta::tidy(object);
    let Some(schema) = &kind.schema else {
        return built_in::admit(kind, object, old);
    };
    unknown.extend(schema::prune(schema, object));
    if call.parameter("fieldValidation") == Some("Strict") && !unknown.is_empty() {
        let listed: Vec<String> = unknown
            .iter()
            .map(|path| format!("unknown field \"{path}\""))
            .collect();
        return Err(Refusal::bad_request(format!(
            "{0} in version \"{1}\" cannot be handled as a {0}: strict decoding error: {2}",
            kind.kind,
            kind.version,
            listed.join(", ")
        )));
    }
    schema::default(schema, object);
    let mut errors = meta::validate(object);
    validate(
        kind,
        schema,
        call.subresource == "status",
        object,
        old,
        &mut errors,
    );
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Refusal::invalid(kind, meta::name(object), &errors))
    }
}

/// The type of a custom resource is a field like any other, and only one value of it is valid.
fn check_kind(kind: &Kind, object: &Value) -> Result<(), Refusal> {
    let written_kind = object["kind"].as_str().unwrap_or_default();
    let written_version = object["apiVersion"].as_str().unwrap_or_default();
    let mut errors = Vec::new();
    if written_kind != kind.kind {
        errors.push(FieldError::invalid(
            "kind",
            &object["kind"],
            format!("must be {}", kind.kind),
        ));
    }
    if written_version != kind.api_version() {
        let why = format!("must be {}", kind.api_version());
        errors.push(FieldError::invalid("apiVersion", &object["apiVersion"], why));
    }
    if errors.is_empty() {
        return Ok(());
    }
    let group = written_version.split_once('/').map_or("", |(group, _)| group);
    Err(Refusal::invalid_thing(
        group,
        written_kind,
        meta::name(object),
        &errors,
    ))
}
