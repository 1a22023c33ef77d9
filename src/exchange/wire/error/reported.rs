//! What an error answer says, wherever it says it.

use serde_json::Value;

use crate::exchange::text;
use crate::exchange::wire::reply::{Reply, error_object};

/// What the body and headers of an error answer say.
#[derive(Debug, Default)]
pub struct Reported {
    /// The .NET type with its namespace.
    pub exception: Option<String>,
    pub text: String,
    /// `error.code`.
    pub code: Option<String>,
    pub is_json_error: bool,
}

impl Reported {
    pub fn by(reply: &Reply) -> Self {
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
