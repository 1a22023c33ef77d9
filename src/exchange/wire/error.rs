//! What an error answer of the admin API means.
//!
//! The .NET type decides where the service sends one, then the status, and a few well-known sentences only
//! where there is neither: 500 is used for transient faults and permanent conflicts alike.

use serde_json::Value;

use super::reply::{Reply, error_object};
use crate::exchange::error::{ErrorClass, ExchangeError, Stage};
use crate::exchange::text;

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub error: Box<ExchangeError>,
    /// False when the cmdlet surely changed nothing.
    pub perhaps_executed: bool,
}

impl Failure {
    pub fn new(error: ExchangeError, perhaps_executed: bool) -> Self {
        Self {
            error: Box::new(error),
            perhaps_executed,
        }
    }

    /// An attempt that surely changed nothing.
    pub fn without_effect(error: ExchangeError) -> Self {
        Self::new(error, false)
    }

    pub fn from_reply(operation: &str, reply: &Reply) -> Self {
        let told = Told::by(reply);
        let class = classify(reply, &told);
        let perhaps_executed = class == ErrorClass::Transient && !surely_refused(reply.status);
        let error = ExchangeError {
            class,
            stage: Stage::Exchange,
            operation: operation.to_owned(),
            exception: told
                .exception
                .as_deref()
                .map(|name| text::bounded(short_name(name))),
            message: message(reply, &told),
            status: Some(reply.status),
            request_id: reply.request_id.clone(),
            retry_after: reply.retry_after,
        };
        Self::new(error, perhaps_executed)
    }
}

/// Statuses that the front end gives before any cmdlet runs.
fn surely_refused(status: u16) -> bool {
    matches!(status, 300..=399 | 401 | 403 | 405 | 413 | 429)
}

/// What the body and headers of an error answer tell.
#[derive(Debug, Default)]
struct Told {
    /// The .NET type with its namespace.
    exception: Option<String>,
    text: String,
    /// `error.code`.
    code: Option<String>,
    is_json_error: bool,
}

impl Told {
    fn by(reply: &Reply) -> Self {
        let Some(error) = reply.json.as_ref().and_then(error_object) else {
            return Self {
                exception: reply.exception_type.clone(),
                text: reply.text.clone(),
                ..Self::default()
            };
        };
        let detail = error
            .pointer("/details/0/message")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let (detail_type, detail_text) = split_detail(detail);
        let inner = error
            .pointer("/innererror/internalexception")
            .unwrap_or(&Value::Null);
        let inner_text = |key: &str| {
            inner
                .get(key)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let exception = detail_type
            .or_else(|| inner_text("type"))
            .map(str::to_owned)
            .or_else(|| reply.exception_type.clone());
        let text = inner_text("message")
            .or(Some(detail_text).filter(|text| !text.is_empty()))
            .or_else(|| error.get("message").and_then(Value::as_str))
            .unwrap_or_default();
        Self {
            exception,
            text: text::bounded(text).replace('\u{2019}', "'"),
            code: error.get("code").and_then(Value::as_str).map(str::to_owned),
            is_json_error: true,
        }
    }
}

/// `Ex6F9304|Microsoft.Exchange.….SomeException|text`; the id before the first bar may be empty.
fn split_detail(detail: &str) -> (Option<&str>, &str) {
    let mut parts = detail.splitn(3, '|');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(kind), Some(text)) if !kind.is_empty() && !kind.contains(' ') => (Some(kind), text),
        _ => (None, detail),
    }
}

fn short_name(exception: &str) -> &str {
    exception.rsplit('.').next().unwrap_or(exception)
}

fn classify(reply: &Reply, told: &Told) -> ErrorClass {
    match reply.status {
        429 => return ErrorClass::Throttled,
        401 => return ErrorClass::Denied,
        _ => {}
    }
    let name = told.exception.as_deref().map(short_name).unwrap_or_default();
    if let Some(class) = by_type(name, &told.text) {
        return class;
    }
    // A proxy between back ends wraps the real exception and keeps only its text.
    if (name.is_empty() || name == "CmdletProxyException")
        && let Some(class) = by_text(&told.text)
    {
        return class;
    }
    match reply.status {
        403 => ErrorClass::Denied,
        404 if told.code.as_deref() == Some("NotFound") => ErrorClass::NotFound,
        400 if told.is_json_error => ErrorClass::Invalid,
        // Anything else, a 404 without Exchange's own words included, proves nothing.
        _ => ErrorClass::Transient,
    }
}

fn by_type(name: &str, text: &str) -> Option<ErrorClass> {
    let ends_with_any = |suffixes: &[&str]| suffixes.iter().any(|suffix| name.ends_with(suffix));
    let class = if ends_with_any(&["ManagementObjectNotFoundException", "RecipientNotFoundException"]) {
        ErrorClass::NotFound
    } else if ends_with_any(&["AlreadyExistsException", "ProxyAddressExistsException"]) {
        ErrorClass::Conflict
    } else if name == "RecipientTaskException" {
        recipient_task(text)
    } else if name == "InvalidOperationException" && text.contains("maximum allowed access control entries") {
        // Told with status 500 like a passing failure; it lasts until somebody makes room.
        ErrorClass::Invalid
    } else if ends_with_any(&[
        "TransientException",
        "UnableToWriteToAadException",
        "DCOverloadedException",
        "SuitabilityDirectoryException",
        "ServerInMMException",
        "ADServerSettingsChangedException",
        "CmdletProxyNotAvailableFailure",
        "ServerBusyException",
        "BackendCommunicationException",
    ]) {
        ErrorClass::Transient
    } else if ends_with_any(&[
        "UnauthorizedAccessException",
        "CmdletAccessDeniedException",
        "CommandNotFoundException",
    ]) {
        ErrorClass::Denied
    } else if ends_with_any(&[
        "ManagementObjectAmbiguousException",
        "ValidationException",
        "ArgumentException",
        "ArgumentNullException",
        "ArgumentOutOfRangeException",
        "ParameterBindingException",
        "TransformationMetadataException",
        "TransformationException",
        "ParsingException",
        "FormatException",
        "InvalidCastException",
    ]) {
        // A parameter outside the app's role is reported as an unknown parameter, in one known sentence.
        if is_role_gap(text) {
            ErrorClass::Denied
        } else {
            ErrorClass::Invalid
        }
    } else {
        return None;
    };
    Some(class)
}

/// One type for many refusals; an address held by a soft-deleted object is the one that is nobody's mistake.
fn recipient_task(text: &str) -> ErrorClass {
    if text.contains("ExternalDirectoryObjectId") {
        ErrorClass::Conflict
    } else {
        ErrorClass::Invalid
    }
}

fn is_role_gap(text: &str) -> bool {
    text.contains("role definition of the current user")
}

fn by_text(text: &str) -> Option<ErrorClass> {
    let text = text.to_ascii_lowercase();
    let has = |part: &str| text.contains(part);
    if has("maximum number of concurrent") {
        Some(ErrorClass::Throttled)
    } else if has("issue may be transient") {
        Some(ErrorClass::Transient)
    } else if is_role_gap(&text) {
        Some(ErrorClass::Denied)
    } else if has("multiple recipients matching") {
        Some(ErrorClass::Invalid)
    } else if has("already being used") || has("already exists") {
        Some(ErrorClass::Conflict)
    } else if has("object '") && (has("couldn't be found") || has("wasn't found")) {
        Some(ErrorClass::NotFound)
    } else {
        None
    }
}

fn message(reply: &Reply, told: &Told) -> String {
    let advice = match reply.status {
        401 => {
            "the token is refused: the app has no application role on Office 365 Exchange Online; grant it \
             Exchange.ManageAsApp with admin consent"
        }
        403 if told.exception.is_none() => {
            "access is refused: the app lacks a directory role (such as Exchange Recipient Administrator) or an \
             Exchange role group, or the role is still propagating, which can take hours"
        }
        300..=399 => "the service redirects to another address, which is not followed",
        _ if told.text.is_empty() => "the service gave no reason",
        _ => return told.text.clone(),
    };
    let reason = reply.diagnostics.as_deref().unwrap_or(&told.text);
    if reason.is_empty() {
        advice.to_owned()
    } else {
        format!("{advice}; the service says: {reason}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn typed(status: u16, exception: &str, text: &str) -> Reply {
        let json = json!({"error": {
            "code": "NotFound", "message": "Error executing cmdlet",
            "details": [{"code": "Client", "target": "", "message": format!("Ex6F9304|{exception}|{text}")}],
            "innererror": {"type": "Microsoft.Exchange.Admin.OData.Core.ODataServiceException",
                "internalexception": {"message": text, "type": exception}}}});
        Reply {
            status,
            json: Some(json),
            ..Reply::default()
        }
    }

    fn plain(status: u16, text: &str) -> Reply {
        Reply {
            status,
            text: text.to_owned(),
            ..Reply::default()
        }
    }

    fn class(reply: &Reply) -> ErrorClass {
        Failure::from_reply("Set-Mailbox", reply).error.class
    }

    #[test]
    fn the_type_decides_whatever_the_status() {
        use ErrorClass::{Conflict, Denied, Invalid, NotFound, Transient};
        for (exception, expected) in [
            (
                "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException",
                NotFound,
            ),
            (
                "Microsoft.Exchange.Data.Directory.ADObjectAlreadyExistsException",
                Conflict,
            ),
            (
                "Microsoft.Exchange.Management.Tasks.ProxyAddressExistsException",
                Conflict,
            ),
            (
                "Microsoft.Exchange.Configuration.Tasks.RecipientTaskException",
                Invalid,
            ),
            (
                "Microsoft.Exchange.Configuration.Tasks.ManagementObjectAmbiguousException",
                Invalid,
            ),
            ("Microsoft.Exchange.Data.DataValidationException", Invalid),
            ("System.Management.Automation.ParameterBindingException", Invalid),
            (
                "Microsoft.Exchange.Data.Storage.StorageTransientException",
                Transient,
            ),
            (
                "Microsoft.Exchange.Management.UnableToWriteToAadException",
                Transient,
            ),
            (
                "Microsoft.Exchange.Data.Directory.SuitabilityDirectoryException",
                Transient,
            ),
            (
                "Microsoft.Exchange.Configuration.CmdletProxyNotAvailableFailure",
                Transient,
            ),
            (
                "Microsoft.Exchange.Data.Directory.DCOverloadedException",
                Transient,
            ),
            ("System.Management.Automation.CommandNotFoundException", Denied),
        ] {
            for status in [200, 400, 404, 500] {
                assert_eq!(
                    class(&typed(status, exception, "some text")),
                    expected,
                    "{exception} {status}"
                );
            }
        }
    }

    #[test]
    fn a_full_access_list_is_no_passing_failure() {
        let text = "The mailbox x has reached the limit of maximum allowed access control entries of 500.";
        let reply = |text| typed(500, "System.InvalidOperationException", text);
        assert_eq!(class(&reply(text)), ErrorClass::Invalid);
        assert_eq!(
            class(&reply("Sequence contains no elements")),
            ErrorClass::Transient
        );
    }

    #[test]
    fn prose_does_not_override_a_type() {
        let reply = typed(
            500,
            "Microsoft.Exchange.Data.Storage.StorageTransientException",
            "object 'x' couldn't be found",
        );
        assert_eq!(class(&reply), ErrorClass::Transient);
    }

    #[test]
    fn the_type_is_found_in_details_inner_error_or_header() {
        let without_id =
            json!({"error": {"details": [{"message": "|A.ADObjectAlreadyExistsException|text | with bar"}]}});
        let failure = Failure::from_reply(
            "New-Mailbox",
            &Reply {
                status: 500,
                json: Some(without_id),
                ..Reply::default()
            },
        );
        assert_eq!(
            failure.error.exception.as_deref(),
            Some("ADObjectAlreadyExistsException")
        );
        assert_eq!(failure.error.message, "text | with bar");
        let inner = json!({"error": {"message": "Error executing cmdlet", "innererror":
            {"internalexception": {"type": "A.ADObjectAlreadyExistsException", "message": "taken"}}}});
        assert_eq!(
            class(&Reply {
                status: 500,
                json: Some(inner),
                ..Reply::default()
            }),
            ErrorClass::Conflict
        );
        let header = Reply {
            status: 500,
            exception_type: Some("UnableToWriteToAadException".to_owned()),
            ..Reply::default()
        };
        assert_eq!(class(&header), ErrorClass::Transient);
    }

    #[test]
    fn without_a_type_the_status_and_known_sentences_decide() {
        use ErrorClass::{Conflict, Denied, Invalid, NotFound, Throttled, Transient};
        for (status, text, expected) in [
            (429, "", Throttled),
            (
                400,
                "You have reached the maximum number of concurrent requests per tenant. Please wait",
                Throttled,
            ),
            (503, "", Transient),
            (504, "", Transient),
            (500, "", Transient),
            (302, "", Transient),
            (405, "", Transient),
            (404, "<html>no such page</html>", Transient),
            (400, "", Transient),
            (401, "", Denied),
            (403, "", Denied),
        ] {
            assert_eq!(class(&plain(status, text)), expected, "{status} {text}");
        }
        for (text, expected) in [
            (
                "The operation couldn\u{2019}t be performed because object 'x' couldn\u{2019}t be found on 'DB6'.",
                NotFound,
            ),
            ("The backend server couldn't be found", Transient),
            (
                "There are multiple recipients matching identity \"Sales\"",
                Invalid,
            ),
            (
                "The proxy address \"SMTP:a@contoso.com\" is already being used by \"x\"",
                Conflict,
            ),
            ("This issue may be transient", Transient),
        ] {
            for exception in ["", "Microsoft.Exchange.CmdletProxyException"] {
                let json = json!({"error": {"code": "InternalServerError", "message": "Error executing cmdlet",
                    "innererror": {"internalexception": {"type": exception, "message": text}}}});
                let reply = Reply {
                    status: 500,
                    json: Some(json),
                    ..Reply::default()
                };
                assert_eq!(class(&reply), expected, "{exception:?} {text}");
            }
        }
    }

    #[test]
    fn a_parameter_outside_the_apps_role_is_denied() {
        let text = "The parameter 'AccountDisabled' isn't present in the role definition of the current user";
        let reply = typed(
            400,
            "System.Management.Automation.ParameterBindingException",
            text,
        );
        assert_eq!(class(&reply), ErrorClass::Denied);
    }

    #[test]
    fn an_address_of_a_soft_deleted_object_is_a_conflict() {
        let text = "ExternalDirectoryObjectId was not returned for the new object";
        assert_eq!(
            class(&typed(500, "A.RecipientTaskException", text)),
            ErrorClass::Conflict
        );
    }

    #[test]
    fn a_403_of_nul_bytes_says_what_to_grant() {
        let failure = Failure::from_reply("Get-Mailbox", &plain(403, &text::bounded(&"\0".repeat(5000))));
        assert_eq!(failure.error.class, ErrorClass::Denied);
        assert!(
            failure.error.message.contains("directory role"),
            "{}",
            failure.error.message
        );
        assert!(!failure.perhaps_executed);
        let with_reason = Reply {
            diagnostics: Some("2000010;reason=\"x\"".to_owned()),
            ..plain(403, "")
        };
        assert!(
            Failure::from_reply("Get-Mailbox", &with_reason)
                .error
                .message
                .ends_with("2000010;reason=\"x\"")
        );
        let no_role = Failure::from_reply("Get-Mailbox", &plain(401, ""));
        assert!(
            no_role.error.message.contains("Exchange.ManageAsApp"),
            "{}",
            no_role.error.message
        );
    }

    #[test]
    fn only_answers_from_before_the_cmdlet_prove_that_nothing_was_executed() {
        for (status, perhaps) in [
            (429, false),
            (401, false),
            (302, false),
            (500, true),
            (503, true),
            (504, true),
        ] {
            assert_eq!(
                Failure::from_reply("New-Mailbox", &plain(status, "")).perhaps_executed,
                perhaps,
                "{status}"
            );
        }
    }
}
