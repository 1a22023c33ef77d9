//! What an error answer of the admin API means.
//!
//! The .NET type decides where the service sends one, then the status, and a few well-known sentences only
//! where there is neither: 500 is used for transient faults and permanent conflicts alike.

mod class;
#[cfg(test)]
mod tests;

use serde_json::Value;

use self::class::{classify, refused_parameter, short_name};
use super::reply::{Reply, error_object};
use crate::exchange::error::{ErrorClass, ExchangeError, Retry, Stage};
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
        let reported = Reported::by(reply);
        let class = classify(reply, &reported);
        let parameter = refused_parameter(&reported);
        let perhaps_executed = class.retry() == Retry::Backoff && !surely_refused(reply.status);
        let error = ExchangeError {
            class,
            stage: Stage::Exchange,
            operation: operation.to_owned(),
            exception: reported
                .exception
                .as_deref()
                .map(|name| text::bounded(short_name(name))),
            message: message(reply, class, &reported, parameter.as_deref()),
            parameter,
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

/// What the body and headers of an error answer say.
#[derive(Debug, Default)]
struct Reported {
    /// The .NET type with its namespace.
    exception: Option<String>,
    text: String,
    /// `error.code`.
    code: Option<String>,
    is_json_error: bool,
}

impl Reported {
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

fn message(reply: &Reply, class: ErrorClass, reported: &Reported, parameter: Option<&str>) -> String {
    if let (ErrorClass::Denied, Some(parameter)) = (class, parameter) {
        return format!(
            "the app's role may not use {parameter}, or the service does not know it; the service says: {}",
            reported.text
        );
    }
    let advice = match reply.status {
        401 => {
            "the token is refused: the app has no application role on Office 365 Exchange Online; grant it \
             Exchange.ManageAsApp with admin consent"
        }
        403 if reported.exception.is_none() => {
            "access is refused: the app lacks a directory role (such as Exchange Recipient Administrator) or an \
             Exchange role group, or the role is still propagating, which can take hours"
        }
        300..=399 => "the service redirects to another address, which is not followed",
        _ if reported.text.is_empty() => "the service gave no reason",
        _ => return reported.text.clone(),
    };
    let reason = reply.diagnostics.as_deref().unwrap_or(&reported.text);
    if reason.is_empty() {
        advice.to_owned()
    } else {
        format!("{advice}; the service says: {reason}")
    }
}
