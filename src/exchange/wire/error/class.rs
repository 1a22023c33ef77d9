//! Which class an error answer has, and which parameter it refuses.

use super::reported::Reported;
use crate::exchange::error::ErrorClass;
use crate::exchange::wire::reply::Reply;

/// The .NET type without its namespace.
pub fn short_name(exception: &str) -> &str {
    exception.rsplit('.').next().unwrap_or(exception)
}

pub fn classify(reply: &Reply, reported: &Reported) -> ErrorClass {
    match reply.status {
        429 => return ErrorClass::Throttled,
        401 => return ErrorClass::Denied,
        _ => {}
    }
    let name = reported.exception.as_deref().map(short_name).unwrap_or_default();
    if let Some(class) = by_type(name, &reported.text) {
        return class;
    }
    // A proxy between back ends wraps the real exception and keeps only its text.
    if (name.is_empty() || name == "CmdletProxyException")
        && let Some(class) = by_text(&reported.text)
    {
        return class;
    }
    match reply.status {
        403 => ErrorClass::Denied,
        404 if reported.code.as_deref() == Some("NotFound") => ErrorClass::NotFound,
        400 if reported.is_json_error => ErrorClass::Invalid,
        // Anything else, a 404 without Exchange's own words included, proves nothing.
        _ => ErrorClass::Transient,
    }
}

/// What an exception's type says. The first row that ends the type's name decides.
const BY_TYPE: [(&[&str], ErrorClass); 5] = [
    (
        &["ManagementObjectNotFoundException", "RecipientNotFoundException"],
        ErrorClass::NotFound,
    ),
    (
        &["AlreadyExistsException", "ProxyAddressExistsException"],
        ErrorClass::Conflict,
    ),
    (
        &[
            "TransientException",
            "UnableToWriteToAadException",
            "DCOverloadedException",
            "SuitabilityDirectoryException",
            "ServerInMMException",
            "ADServerSettingsChangedException",
            "CmdletProxyNotAvailableFailure",
            "ServerBusyException",
            "BackendCommunicationException",
        ],
        ErrorClass::Transient,
    ),
    (
        &[
            "UnauthorizedAccessException",
            "CmdletAccessDeniedException",
            "CommandNotFoundException",
            // The app's role lacks a parameter, or the service does not know it: never the user's mistake.
            "AmbiguousParameterSetException",
        ],
        ErrorClass::Denied,
    ),
    (
        &[
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
        ],
        ErrorClass::Invalid,
    ),
];

fn by_type(name: &str, text: &str) -> Option<ErrorClass> {
    match name {
        "RecipientTaskException" => return Some(recipient_task(text)),
        "InvalidOperationException" => return invalid_operation(text),
        _ => {}
    }
    let (_, class) = BY_TYPE
        .iter()
        .find(|(suffixes, _)| suffixes.iter().any(|suffix| name.ends_with(suffix)))?;
    // A parameter outside the app's role is also reported as one that can't be bound.
    if *class == ErrorClass::Invalid && is_role_gap(text) {
        return Some(ErrorClass::Denied);
    }
    Some(*class)
}

/// One type for many refusals; an address held by a soft-deleted object is the one that is nobody's mistake.
fn recipient_task(text: &str) -> ErrorClass {
    if text.contains("ExternalDirectoryObjectId") {
        ErrorClass::Conflict
    } else {
        ErrorClass::Invalid
    }
}

/// Sent with status 500 like a failure that passes; some last until somebody removes entries or changes a right.
fn invalid_operation(text: &str) -> Option<ErrorClass> {
    if text.contains("maximum allowed access control entries") {
        Some(ErrorClass::Invalid)
    } else {
        WriteScope::named_by(text).map(WriteScope::class)
    }
}

/// What "out of the current user's write scope" means: one first sentence for three refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteScope {
    /// The app's role group does not reach the mailbox.
    Outside,
    /// The mailbox is mastered on premises.
    Synced,
    /// The value is above what the mailbox's licence gives.
    Licence,
}

impl WriteScope {
    /// The second sentence says which it is.
    pub fn named_by(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let has = |part: &str| text.contains(part);
        if !has("out of the current user's write scope") {
            None
        } else if has("synchronized from your on-premises") {
            Some(Self::Synced)
        } else if has("exceeds the maximum allowed") {
            Some(Self::Licence)
        } else {
            Some(Self::Outside)
        }
    }

    fn class(self) -> ErrorClass {
        match self {
            Self::Outside => ErrorClass::Denied,
            Self::Synced | Self::Licence => ErrorClass::Invalid,
        }
    }

    /// What to do, before the service's own words.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Outside => {
                "the write scope of the app's role group does not reach this mailbox: widen it, or take the mailbox out \
                 of the manifests"
            }
            Self::Synced => {
                "the mailbox is mastered on premises: change it there, or have its Exchange attributes managed in the \
                 cloud (IsExchangeCloudManaged)"
            }
            Self::Licence => "the value is above what the licence of the mailbox allows",
        }
    }
}

fn is_role_gap(text: &str) -> bool {
    text.contains("role definition of the current user")
        || text.contains("parameter cannot be found that matches parameter name")
}

fn by_text(text: &str) -> Option<ErrorClass> {
    let written = text;
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
        WriteScope::named_by(written).map(WriteScope::class)
    }
}

/// The parameter that is refused. Only where the type, or a sentence that nothing else uses, says that it is about one:
/// other texts quote values that people wrote.
pub fn refused_parameter(reported: &Reported) -> Option<String> {
    let name = reported.exception.as_deref().map(short_name).unwrap_or_default();
    let text = reported.text.as_str();
    let named = if name == "AmbiguousParameterSetException" {
        text.split_once("Invalid cmdlet parameters specified.")?.1
    } else if is_role_gap(text) || name.starts_with("Parameter") {
        // The parameter is named first, the value that it was given after it.
        let (_, named) = text
            .split_once("parameter '")
            .or_else(|| text.split_once("parameter name '"))?;
        named
    } else {
        return None;
    };
    let parameter: String = named
        .trim_start_matches([' ', '<', '-'])
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    (!parameter.is_empty()).then_some(parameter)
}
