//! What can go wrong, classified once.

use std::fmt;
use std::time::Duration;

/// What the caller can do about an error. Decided from .NET type names and status codes; from prose only
/// where the service sends no type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The object does not exist, or not yet on the replica that answered.
    NotFound,
    /// Another object holds the name or address.
    Conflict,
    /// The tenant's budget is used up; nothing was executed.
    Throttled,
    /// Credentials, consent or roles are missing; nothing was executed.
    Denied,
    /// The service refuses the values for good; nothing was executed.
    Invalid,
    /// May go away by itself; repeating the call is safe.
    Transient,
    /// A create of which nobody knows whether it was executed. Look before repeating it.
    Ambiguous,
}

impl ErrorClass {
    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::Transient => "transient",
            Self::Ambiguous => "ambiguous",
        }
    }
}

/// Which service an error came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The token endpoint of Entra.
    Token,
    Exchange,
    Graph,
}

impl Stage {
    pub fn label(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Exchange => "exchange",
            Self::Graph => "graph",
        }
    }
}

/// A failed operation. Holds no secret and no more than a few hundred characters of the service's own text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ExchangeError {
    pub class: ErrorClass,
    pub stage: Stage,
    /// The cmdlet or the call, as a person knows it: `Set-Mailbox`.
    pub operation: String,
    /// The .NET type without its namespace, Graph's error code, or Entra's AADSTS code.
    pub exception: Option<String>,
    pub message: String,
    pub status: Option<u16>,
    /// What Microsoft's support asks for: the service's id of the request, or ours when there was no answer.
    pub request_id: Option<String>,
    /// How long the service wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl ExchangeError {
    pub(super) fn new(class: ErrorClass, stage: Stage, operation: &str, message: impl Into<String>) -> Self {
        Self {
            class,
            stage,
            operation: operation.to_owned(),
            exception: None,
            message: message.into(),
            status: None,
            request_id: None,
            retry_after: None,
        }
    }

    /// True when it is `identity` that is not found, and nothing else that the call named: Exchange repeats the
    /// identity it was given.
    pub fn does_not_find(&self, identity: impl fmt::Display) -> bool {
        self.class == ErrorClass::NotFound && self.message.contains(&identity.to_string())
    }

    /// Logs a call that failed for good: loudly when no retry helps, quietly when the failure is an answer.
    pub(super) fn log(&self) {
        let (class, error) = (self.class.label(), self.traced());
        match self.class {
            ErrorClass::Denied | ErrorClass::Invalid | ErrorClass::Ambiguous => {
                tracing::warn!(class, error, "call failed");
            }
            ErrorClass::Throttled | ErrorClass::Transient => tracing::info!(class, error, "call failed"),
            ErrorClass::NotFound | ErrorClass::Conflict => tracing::debug!(class, error, "call failed"),
        }
    }

    /// The text for logs: with the id that Microsoft's support asks for.
    pub fn traced(&self) -> String {
        let details: Vec<String> = [
            self.request_id.as_ref().map(|id| format!("request {id}")),
            self.retry_after
                .map(|wait| format!("retry after {} s", wait.as_secs())),
        ]
        .into_iter()
        .flatten()
        .collect();
        if details.is_empty() {
            self.to_string()
        } else {
            format!("{self} ({})", details.join(", "))
        }
    }
}

/// The same text whenever the same thing goes wrong, so that a condition that holds it is not rewritten with
/// each try. [`ExchangeError::traced`] adds what differs.
impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            class: _,
            stage: _,
            operation,
            exception,
            message,
            status,
            request_id: _,
            retry_after: _,
        } = self;
        let status = status.map(|status| format!("HTTP {status}"));
        let details: Vec<String> = [exception.clone(), status].into_iter().flatten().collect();
        write!(f, "{operation} failed: {}", message.trim_end_matches('.'))?;
        if details.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", details.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_a_sentence_that_is_the_same_with_each_try() {
        let mut error = ExchangeError::new(
            ErrorClass::Conflict,
            Stage::Exchange,
            "Set-Mailbox",
            "The proxy address \"smtp:a@contoso.com\" is already being used.",
        );
        assert_eq!(
            error.to_string(),
            "Set-Mailbox failed: The proxy address \"smtp:a@contoso.com\" is already being used"
        );
        error.exception = Some("ProxyAddressExistsException".to_owned());
        error.status = Some(500);
        error.request_id = Some("1b2c".to_owned());
        error.retry_after = Some(Duration::from_secs(30));
        assert!(
            error
                .to_string()
                .ends_with("(ProxyAddressExistsException, HTTP 500)")
        );
        assert!(
            error
                .traced()
                .ends_with("HTTP 500) (request 1b2c, retry after 30 s)")
        );
    }
}
