//! The `Status` answers of an API server: reasons, codes, wording and causes as the real one words them.

use std::fmt::Write as _;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::kinds::Kind;

/// A refusal, ready to be sent as `metav1.Status`.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub code: StatusCode,
    pub reason: &'static str,
    pub message: String,
    pub details: Option<Value>,
    pub retry_after_seconds: Option<u32>,
}

/// One thing wrong with one field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    pub reason: &'static str,
    pub field: String,
    pub message: String,
}

impl FieldError {
    fn new(reason: &'static str, field: &str, message: String) -> Self {
        Self {
            reason,
            field: field.to_owned(),
            message,
        }
    }

    /// `value` is the offending JSON value, shown as the server shows it.
    pub fn invalid(field: &str, value: &Value, why: impl AsRef<str>) -> Self {
        Self::new(
            "FieldValueInvalid",
            field,
            format!("Invalid value: {}: {}", shown(value), why.as_ref()),
        )
    }

    /// As `invalid`, for values that are not repeated in the message.
    pub fn invalid_unshown(field: &str, why: impl AsRef<str>) -> Self {
        Self::new(
            "FieldValueInvalid",
            field,
            format!("Invalid value: {}", why.as_ref()),
        )
    }

    pub fn wrong_type(field: &str, actual: &str, why: impl AsRef<str>) -> Self {
        Self::new(
            "FieldValueTypeInvalid",
            field,
            format!("Invalid value: \"{actual}\": {}", why.as_ref()),
        )
    }

    pub fn required(field: &str, why: &str) -> Self {
        let message = if why.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {why}")
        };
        Self::new("FieldValueRequired", field, message)
    }

    pub fn forbidden(field: &str, why: impl AsRef<str>) -> Self {
        Self::new(
            "FieldValueForbidden",
            field,
            format!("Forbidden: {}", why.as_ref()),
        )
    }

    pub fn duplicate(field: &str, value: &str) -> Self {
        Self::new("FieldValueDuplicate", field, format!("Duplicate value: {value}"))
    }

    pub fn unsupported(field: &str, value: &Value, supported: &[Value]) -> Self {
        let supported: Vec<String> = supported.iter().map(shown).collect();
        let message = format!(
            "Unsupported value: {}: supported values: {}",
            shown(value),
            supported.join(", ")
        );
        Self::new("FieldValueNotSupported", field, message)
    }

    pub fn too_long(field: &str, limit: u64) -> Self {
        let unit = if limit == 1 { "byte" } else { "bytes" };
        Self::new(
            "FieldValueTooLong",
            field,
            format!("Too long: may not be more than {limit} {unit}"),
        )
    }

    pub fn too_many(field: &str, actual: usize, limit: u64) -> Self {
        let unit = if limit == 1 { "item" } else { "items" };
        Self::new(
            "FieldValueTooMany",
            field,
            format!("Too many: {actual}: must have at most {limit} {unit}"),
        )
    }

    /// The same error as seen from further up.
    pub fn below(self, parent: &str) -> Self {
        let field = match self.field.as_str() {
            "" => parent.to_owned(),
            "<nil>" => self.field,
            field => format!("{parent}.{field}"),
        };
        Self { field, ..self }
    }

    /// Errors after which the server doesn't run CEL rules: the values they would see make no sense.
    pub fn stops_rules(&self) -> bool {
        matches!(
            self.reason,
            "FieldValueNotSupported"
                | "FieldValueRequired"
                | "FieldValueTooLong"
                | "FieldValueTooMany"
                | "FieldValueTypeInvalid"
        )
    }
}

/// A JSON value as Go's `%v`-ish field errors print it: strings quoted, the rest as JSON.
pub fn shown(value: &Value) -> String {
    value.to_string()
}

impl Refusal {
    fn new(code: StatusCode, reason: &'static str, message: String) -> Self {
        Self {
            code,
            reason,
            message,
            details: None,
            retry_after_seconds: None,
        }
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details = Some(details(kind, name));
        self
    }

    pub fn not_found(kind: &Kind, name: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            format!("{} \"{name}\" not found", kind.resource()),
        )
        .about(kind, name)
    }

    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", kind.resource());
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(kind, name)
    }

    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            kind.resource()
        );
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(kind, name)
    }

    /// The resourceVersion that was sent is not the newest.
    pub fn outdated(kind: &Kind, name: &str) -> Self {
        Self::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// A precondition of a delete that does not hold; this one refusal names the kind instead of the resource.
    pub fn delete_conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            kind.qualified_kind()
        );
        let mut refusal = Self::new(StatusCode::CONFLICT, "Conflict", message).about(kind, name);
        if let Some(details) = refusal.details.as_mut() {
            details["kind"] = json!(kind.kind);
        }
        refusal
    }

    pub fn apply_conflict(causes: Vec<(String, String)>) -> Self {
        let mut message = format!(
            "Apply failed with {} {}: ",
            causes.len(),
            if causes.len() == 1 {
                "conflict"
            } else {
                "conflicts"
            }
        );
        let listed: Vec<String> = causes
            .iter()
            .map(|(field, why)| format!("{why}: {field}"))
            .collect();
        message.push_str(&listed.join("\n"));
        let causes: Vec<Value> = causes
            .into_iter()
            .map(|(field, why)| json!({"reason": "FieldManagerConflict", "message": why, "field": field}))
            .collect();
        let mut refusal = Self::new(StatusCode::CONFLICT, "Conflict", message);
        refusal.details = Some(json!({ "causes": causes }));
        refusal
    }

    pub fn invalid(kind: &Kind, name: &str, errors: &[FieldError]) -> Self {
        Self::invalid_thing(&kind.group, &kind.kind, name, errors)
    }

    /// Wrong query parameters, which the server treats like a wrong object.
    pub fn invalid_options(kind: &str, errors: &[FieldError]) -> Self {
        Self::invalid_thing("meta.k8s.io", kind, "", errors)
    }

    pub fn invalid_thing(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let mut listed: Vec<String> = Vec::new();
        for error in errors {
            let line = format!("{}: {}", error.field, error.message);
            if !listed.contains(&line) {
                listed.push(line);
            }
        }
        let qualified = if group.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind}.{group}")
        };
        let mut message = format!("{qualified} \"{name}\" is invalid: ");
        if let [only] = listed.as_slice() {
            message.push_str(only);
        } else {
            let _ = write!(message, "[{}]", listed.join(", "));
        }
        let causes: Vec<Value> = errors
            .iter()
            .map(|e| json!({"reason": e.reason, "message": e.message, "field": e.field}))
            .collect();
        let mut refusal = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        let mut about = Map::new();
        if !name.is_empty() {
            about.insert("name".into(), json!(name));
        }
        if !group.is_empty() {
            about.insert("group".into(), json!(group));
        }
        about.insert("kind".into(), json!(kind));
        about.insert("causes".into(), json!(causes));
        refusal.details = Some(Value::Object(about));
        refusal
    }

    pub fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {why}", kind.resource());
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).about(kind, name)
    }

    pub fn namespace_terminating(kind: &Kind, name: &str, namespace: &str) -> Self {
        let mut refusal = Self::forbidden(
            kind,
            name,
            &format!("unable to create new content in namespace {namespace} because it is being terminated"),
        );
        if let Some(Value::Object(about)) = refusal.details.as_mut() {
            let cause = json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            }]);
            about.insert("causes".into(), cause);
        }
        refusal
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message.into())
    }

    /// What Go returns as a plain error, without a reason.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "", message.into())
    }

    /// A JSON patch whose test fails or whose path does not exist.
    pub fn unprocessable_patch() -> Self {
        let mut refusal = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Invalid",
            "the server rejected our request due to an error in our request".to_owned(),
        );
        refusal.details = Some(json!({}));
        refusal
    }

    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            message,
        )
    }

    pub fn method_not_allowed(message: &str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            message.to_owned(),
        )
    }

    /// The history a watch or a page wants was compacted away.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message.into())
    }

    /// A read wants a revision that does not exist yet.
    pub fn too_large_resource_version(wanted: u64, newest: u64) -> Self {
        let message = format!("Too large resource version: {wanted}, current: {newest}");
        let mut refusal = Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "Timeout",
            format!("Timeout: {message}"),
        );
        refusal.details = Some(json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        }));
        refusal.retry_after_seconds = Some(1);
        refusal
    }

    /// A refusal out of the blue: overload, a broken etcd, a proxy in the way.
    pub fn injected(code: StatusCode, retry_after_seconds: Option<u32>) -> Self {
        let (reason, message) = match code.as_u16() {
            401 => ("Unauthorized", "Unauthorized"),
            403 => ("Forbidden", "injected: not allowed"),
            409 => ("Conflict", "injected: the object has been modified"),
            429 => (
                "TooManyRequests",
                "The server is currently unable to handle the request, please try again later.",
            ),
            503 => (
                "ServiceUnavailable",
                "the server is currently unable to handle the request",
            ),
            504 => (
                "Timeout",
                "the server was unable to return a response in the time allotted",
            ),
            _ => (
                "InternalError",
                "Internal error occurred: injected: etcdserver: leader changed",
            ),
        };
        let mut refusal = Self::new(code, reason, message.to_owned());
        if let Some(seconds) = retry_after_seconds {
            refusal.details = Some(json!({ "retryAfterSeconds": seconds }));
            refusal.retry_after_seconds = Some(seconds);
        }
        refusal
    }

    /// The body, as `metav1.Status`.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code.as_u16(),
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        if let (Some(details), Some(fields)) = (&self.details, status.as_object_mut()) {
            fields.insert("details".into(), details.clone());
        }
        status
    }
}

fn details(kind: &Kind, name: &str) -> Value {
    let mut about = Map::new();
    about.insert("name".into(), json!(name));
    if !kind.group.is_empty() {
        about.insert("group".into(), json!(kind.group));
    }
    about.insert("kind".into(), json!(kind.plural));
    Value::Object(about)
}

/// What a delete answers once the object is really gone.
pub fn deleted(kind: &Kind, name: &str, uid: &str) -> Value {
    let mut about = details(kind, name);
    about["uid"] = json!(uid);
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": about})
}
