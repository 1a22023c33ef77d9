//! One answer, whether it came by itself or inside a batch.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of JSON, what has another form than the one that is known is not understood"
)]

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use jiff::Timestamp;
use serde_json::Value;

use crate::exchange::text;

/// Nobody waits longer because of one header.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// The parts of an answer that say what happened.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub request_id: Option<String>,
    pub retry_after: Option<Duration>,
    /// When the service answered, by its own clock.
    pub date: Option<Timestamp>,
    /// `X-ExceptionType`.
    pub exception_type: Option<String>,
    /// `x-ms-diagnostics`, the real reason of some 403 answers.
    pub diagnostics: Option<String>,
    /// None when the body is not JSON.
    pub json: Option<Value>,
    /// The body when it is not JSON; bounded.
    pub text: String,
}

impl Reply {
    pub fn from_http(response: &Response<Bytes>, now: Timestamp) -> Self {
        let headers = response.headers();
        let header = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let json = serde_json::from_slice(response.body()).ok();
        let text = if json.is_some() {
            String::new()
        } else {
            // Enough for any sentence; the rest of a long page is not even decoded.
            let head = &response.body()[..response.body().len().min(8192)];
            text::bounded(&String::from_utf8_lossy(head))
        };
        Self {
            json,
            text,
            ..Self::with_headers(response.status().as_u16(), header, now)
        }
    }

    /// One item of a batch answer; None when it is not shaped like one.
    pub fn from_batch_item(item: Value, now: Timestamp) -> Option<(usize, Self)> {
        let Value::Object(mut item) = item else {
            return None;
        };
        let place = match item.get("id")? {
            Value::String(id) => id.parse().ok()?,
            id => usize::try_from(id.as_u64()?).ok()?,
        };
        let status = u16::try_from(item.get("status")?.as_u64()?).ok()?;
        let headers = item.remove("headers").unwrap_or_default();
        let header = |name: &str| {
            let (_, value) = headers
                .as_object()?
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            match value {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            }
        };
        let reply = Self::with_headers(status, header, now);
        let reply = match item.remove("body").unwrap_or_default() {
            Value::String(body) => match serde_json::from_str(&body) {
                Ok(json) => Self {
                    json: Some(json),
                    ..reply
                },
                Err(_) => Self {
                    text: text::bounded(&body),
                    ..reply
                },
            },
            Value::Null => reply,
            json => Self {
                json: Some(json),
                ..reply
            },
        };
        Some((place, reply))
    }

    fn with_headers(status: u16, header: impl Fn(&str) -> Option<String>, now: Timestamp) -> Self {
        Self {
            status,
            request_id: header("request-id")
                .or_else(|| header("x-ms-request-id"))
                .map(|id| text::bounded(&id)),
            retry_after: header("retry-after").and_then(|value| retry_after(&value, now)),
            date: header("date").and_then(|value| {
                let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?;
                Some(date.timestamp())
            }),
            exception_type: header("x-exceptiontype").map(|value| text::bounded(&value)),
            diagnostics: header("x-ms-diagnostics").map(|value| text::bounded(&value)),
            json: None,
            text: String::new(),
        }
    }

    pub fn is_batch_answer(&self) -> bool {
        self.json
            .as_ref()
            .is_some_and(|json| json.get("responses").is_some_and(Value::is_array))
    }

    /// The items of a batch answer, by their place in the request.
    pub fn into_batch_items(self, now: Timestamp) -> Option<Vec<(usize, Self)>> {
        let Some(Value::Object(mut body)) = self.json else {
            return None;
        };
        let Value::Array(items) = body.remove("responses")? else {
            return None;
        };
        Some(
            items
                .into_iter()
                .filter_map(|item| Self::from_batch_item(item, now))
                .collect(),
        )
    }
}

/// The error object of an answer. A 200 can carry one too.
pub fn error_object(json: &Value) -> Option<&Value> {
    ["error", "@odata.error", "odata.error"]
        .into_iter()
        .find_map(|key| json.get(key).filter(|value| value.is_object()))
}

/// Seconds or an HTTP date, at most an hour.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = if let Ok(seconds) = value.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
        Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::error::ErrorClass;
    use serde_json::json;

    fn now() -> Timestamp {
        "2026-11-22T09:00:00Z".parse().unwrap()
    }

    fn ok(body: Value) -> Reply {
        Reply {
            status: 200,
            json: Some(body),
            ..Reply::default()
        }
    }

    #[test]
    fn rows_and_warnings_are_read() {
        let answer = ok(json!({"@adminapi.warnings": ["careful"], "value": [{"Alias": "a"}]}))
            .interpret("Get-Mailbox")
            .unwrap();
        assert_eq!(answer.warnings, ["careful"]);
        assert_eq!(answer.rows[0]["Alias"], "a");
        assert_eq!(answer.next, None);
    }

    #[test]
    fn an_error_inside_a_200_is_an_error() {
        for key in ["error", "@odata.error"] {
            let failure = ok(json!({key: {"code": "BadRequest", "message": "no"}, "value": []}))
                .interpret("Get-Mailbox")
                .unwrap_err();
            assert_eq!(failure.error.message, "no");
        }
    }

    #[test]
    fn a_200_that_is_no_list_is_not_an_empty_list() {
        for json in [
            None,
            Some(json!({})),
            Some(json!([])),
            Some(json!({"value": "x"})),
        ] {
            let reply = Reply {
                status: 200,
                json,
                ..Reply::default()
            };
            assert_eq!(
                reply.interpret("Get-Mailbox").unwrap_err().error.class,
                ErrorClass::Transient
            );
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_never_more_than_an_hour() {
        assert_eq!(retry_after("30", now()), Some(Duration::from_secs(30)));
        assert_eq!(
            retry_after("Sun, 22 Nov 2026 09:01:30 GMT", now()),
            Some(Duration::from_secs(90))
        );
        assert_eq!(
            retry_after("Sun, 22 Nov 2026 08:00:00 GMT", now()),
            Some(Duration::ZERO)
        );
        assert_eq!(retry_after("99999999", now()), Some(LONGEST_RETRY_AFTER));
        assert_eq!(retry_after("soon", now()), None);
    }

    #[test]
    fn batch_items_are_distinguished_by_id_whatever_their_order_and_body() {
        let items = ok(json!({"responses": [
            {"id": "1", "status": 429, "headers": {"Retry-After": 7, "Request-Id": "r"}, "body": "plain"},
            {"id": "0", "status": 200, "body": {"value": []}},
            {"id": "other", "status": 200},
            "noise",
        ]}))
        .into_batch_items(now())
        .unwrap();
        assert_eq!(items.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(items[0].1.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(items[0].1.request_id.as_deref(), Some("r"));
        assert_eq!(items[0].1.text, "plain");
    }
}
