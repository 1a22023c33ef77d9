//! What was asked of the tenant and what came of it. Holds no secret and no token.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Actor {
    /// A client with a token.
    App,
    /// The admin's hand ([`crate::Control`]).
    Admin,
}

/// One thing that was asked: a token, one cmdlet (alone or in a batch), or one Graph call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JournalEntry {
    /// Counts from 1 and never repeats, not even after the journal was cleared.
    pub sequence: u64,
    /// Simulated time.
    pub at: Timestamp,
    pub actor: Actor,
    /// Number of the HTTP request, counting from 1; the cmdlets of one batch share it. `None` for the admin.
    pub request: Option<u64>,
    pub kind: JournalKind,
    /// HTTP status of the answer, inside the batch where there is one. 0 when the request never arrived.
    pub status: u16,
    /// The directory is different now.
    pub changed: bool,
    /// The asker never got the answer.
    pub answer_lost: bool,
    /// .NET type of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,
    /// The answer was made up by a fault rule instead of by the tenant.
    pub injected: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum JournalKind {
    /// A token request for `resource` (`exchange` or `graph`).
    #[serde(rename_all = "camelCase")]
    Token { resource: String },
    #[serde(rename_all = "camelCase")]
    Cmdlet {
        name: String,
        parameters: Value,
        batch_item: Option<String>,
    },
    #[serde(rename_all = "camelCase")]
    Graph {
        method: String,
        path: String,
        body: Option<Value>,
    },
    /// A request that is none of these, or whose body could not be read.
    #[serde(rename_all = "camelCase")]
    Other { method: String, path: String },
}

impl JournalEntry {
    /// Whether this is of the kind that changes things, whether or not it did.
    pub fn is_write(&self) -> bool {
        match &self.kind {
            JournalKind::Token { .. } | JournalKind::Other { .. } => false,
            JournalKind::Cmdlet { name, .. } => !name
                .get(..4)
                .is_some_and(|verb| verb.eq_ignore_ascii_case("Get-")),
            JournalKind::Graph { method, .. } => method != "GET",
        }
    }

    /// The cmdlet's name, if it is one.
    pub fn cmdlet(&self) -> Option<&str> {
        match &self.kind {
            JournalKind::Cmdlet { name, .. } => Some(name),
            JournalKind::Token { .. } | JournalKind::Graph { .. } | JournalKind::Other { .. } => None,
        }
    }
}

/// Entries kept; older ones make room.
const CAPACITY: usize = 200_000;

/// The newest [`CAPACITY`] entries.
#[derive(Debug, Default)]
pub struct Journal {
    entries: VecDeque<JournalEntry>,
    written: u64,
}

/// What the one who answers knows about an entry.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub status: u16,
    pub changed: bool,
    pub answer_lost: bool,
    pub exception: Option<String>,
    pub injected: bool,
}

impl Journal {
    pub fn write(
        &mut self,
        at: Timestamp,
        actor: Actor,
        request: Option<u64>,
        kind: JournalKind,
        outcome: Outcome,
    ) {
        self.written += 1;
        if self.entries.len() >= CAPACITY {
            self.entries.pop_front();
        }
        let Outcome {
            status,
            changed,
            answer_lost,
            exception,
            injected,
        } = outcome;
        self.entries.push_back(JournalEntry {
            sequence: self.written,
            at,
            actor,
            request,
            kind,
            status,
            changed,
            answer_lost,
            exception,
            injected,
        });
    }

    pub fn entries(&self) -> Vec<JournalEntry> {
        self.entries.iter().cloned().collect()
    }

    /// Entries after the given sequence number.
    pub fn since(&self, sequence: u64) -> Vec<JournalEntry> {
        let from = self.entries.partition_point(|entry| entry.sequence <= sequence);
        self.entries.iter().skip(from).cloned().collect()
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }
}
