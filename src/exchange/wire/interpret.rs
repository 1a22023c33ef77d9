//! What an answer means: rows, or why there are none.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of JSON, what has another form than the one that is known is not understood"
)]

use serde_json::{Map, Value};

use super::envelope::Answer;
use super::error::Failure;
use super::reply::{Reply, error_object};
use crate::exchange::error::{ErrorClass, ExchangeError, Stage};
use crate::exchange::text;

impl Reply {
    /// What the answer to `operation` says: rows, or why there are none.
    pub fn interpret(self, operation: &str) -> Result<Answer, Failure> {
        let in_body_error = self
            .json
            .as_ref()
            .is_some_and(|json| error_object(json).is_some());
        if self.status != 200 || in_body_error {
            return Err(Failure::from_reply(operation, &self));
        }
        match self.json {
            Some(Value::Object(mut body)) if body.get("value").is_some_and(Value::is_array) => Ok(Answer {
                rows: rows(body.remove("value").unwrap_or_default()),
                warnings: warnings(&body),
                request_id: self.request_id,
                next: body
                    .get("@odata.nextLink")
                    .and_then(Value::as_str)
                    .filter(|link| !link.is_empty())
                    .map(str::to_owned),
            }),
            _ => {
                let mut error = ExchangeError::new(
                    ErrorClass::Transient,
                    Stage::Exchange,
                    operation,
                    "the service answered 200 without a list of rows",
                );
                error.status = Some(200);
                error.request_id = self.request_id;
                Err(Failure::new(error, true))
            }
        }
    }
}

fn rows(value: Value) -> Vec<Map<String, Value>> {
    match value {
        Value::Array(items) => items
            .into_iter()
            .filter_map(|item| match item {
                Value::Object(row) => Some(row),
                // Some cmdlets print text beside their rows.
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn warnings(body: &Map<String, Value>) -> Vec<String> {
    match body.get("@adminapi.warnings") {
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(Value::as_str)
            .map(text::bounded)
            .collect(),
        Some(Value::String(one)) if !one.is_empty() => vec![text::bounded(one)],
        _ => Vec::new(),
    }
}
