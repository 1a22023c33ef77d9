//! What was asked of the server, in order.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::call::{Call, Verb};

/// Requests kept; older ones are dropped.
const KEPT: usize = 200_000;

/// One request and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub at: Timestamp,
    pub verb: Verb,
    pub method: String,
    pub path: String,
    pub group: String,
    pub plural: String,
    pub namespace: String,
    pub name: String,
    pub subresource: String,
    /// The field manager, or the program where none was named.
    pub manager: String,
    pub user_agent: String,
    /// The status code that was sent, 0 when no answer left.
    pub code: u16,
    pub is_write: bool,
    /// Whether the store changed: false for a write that changed nothing or was refused.
    pub changed: bool,
    /// `metadata.resourceVersion` of the answer, where it is an object.
    pub resource_version: Option<String>,
}

/// A bounded list of requests.
#[derive(Debug, Default)]
pub struct Log {
    requests: VecDeque<Request>,
}

impl Log {
    pub fn note(
        &mut self,
        at: Timestamp,
        call: &Call,
        code: u16,
        changed: bool,
        resource_version: Option<String>,
    ) {
        if self.requests.len() >= KEPT {
            self.requests.pop_front();
        }
        self.requests.push_back(Request {
            at,
            verb: call.verb,
            method: call.method.to_string(),
            path: call.path.clone(),
            group: call.group.clone(),
            plural: call.plural.clone(),
            namespace: call.namespace.clone(),
            name: call.name.clone(),
            subresource: call.subresource.clone(),
            manager: call.manager(),
            user_agent: call.user_agent.clone(),
            code,
            is_write: call.is_write(),
            changed,
            resource_version,
        });
    }

    pub fn all(&self) -> Vec<Request> {
        self.requests.iter().cloned().collect()
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
