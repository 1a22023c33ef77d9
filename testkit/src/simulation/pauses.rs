//! Whether the operator leaves a service alone for as long as that asked for.
//!
//! What counts is the answers that one process got, and where: answers that never arrived ask for nothing, and
//! a new process knows nothing of the old one's.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::Instant;

/// A service with a Retry-After of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    Exchange,
    Graph,
    Token,
}

impl Side {
    pub fn of(path: &str) -> Self {
        if path.to_ascii_lowercase().starts_with("/adminapi/") {
            Self::Exchange
        } else if path.ends_with("/token") {
            Self::Token
        } else {
            Self::Graph
        }
    }
}

struct Pause {
    since: Instant,
    until: Instant,
}

/// The pauses that one process was asked for.
#[derive(Default)]
pub struct Pauses {
    asked: Mutex<BTreeMap<Side, Pause>>,
}

impl Pauses {
    /// A request leaves now. Answers what is wrong with that, if anything is.
    pub fn sends(&self, side: Side) -> Option<String> {
        let now = Instant::now();
        let asked = self.asked.lock();
        // What leaves at the very moment of the answer can't know it yet.
        let pause = asked
            .get(&side)
            .filter(|pause| pause.since < now && now < pause.until)?;
        Some(format!(
            "a request to {side:?} left {:?} after it asked for a pause of {:?}",
            now - pause.since,
            pause.until - pause.since
        ))
    }

    /// An answer has arrived.
    pub fn heard(&self, side: Side, answer: &Response<Bytes>) {
        let Some(wait) = wait_of(answer) else { return };
        let since = Instant::now();
        let until = since + Duration::from_secs(wait);
        let mut asked = self.asked.lock();
        let longer = asked.get(&side).is_none_or(|known| known.until < until);
        if longer {
            asked.insert(side, Pause { since, until });
        }
    }
}

/// The longest Retry-After in an answer, in seconds: its own, or that of a call in its batch.
fn wait_of(answer: &Response<Bytes>) -> Option<u64> {
    if asks_to_wait(answer.status().as_u16()) {
        return seconds(answer.headers().get("retry-after")?.to_str().ok()?);
    }
    let names_it = |body: &[u8]| String::from_utf8_lossy(body).contains("retry-after");
    if answer.status() != StatusCode::OK || !names_it(answer.body()) {
        return None;
    }
    let batch: Value = serde_json::from_slice(answer.body()).ok()?;
    let calls = batch["responses"].as_array()?.iter();
    let refused = calls.filter(|call| {
        let status = call["status"].as_u64().and_then(|status| status.try_into().ok());
        status.is_some_and(asks_to_wait)
    });
    refused
        .filter_map(|call| seconds(call["headers"]["retry-after"].as_str()?))
        .max()
}

fn asks_to_wait(status: u16) -> bool {
    matches!(status, 429 | 503)
}

fn seconds(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}
