//! Who got and lost access, when and why.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::MailboxLedgerSpec;
use crate::mail::{ObjectId, Right};

/// Why rights changed with one write.
#[derive(Clone, Debug, Default)]
pub struct Why {
    /// The cause of each change that has one of its own; the others are because a manifest declares them.
    pub causes: BTreeMap<(ObjectId, Right), &'static str>,
    /// By which Microsoft's support finds the last request.
    pub request: Option<String>,
}

/// Who had what at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// The history does not reach back so far: see the audit log.
    Unknown,
    Known(BTreeMap<ObjectId, BTreeSet<Right>>),
}

/// Adds to the history of `spec` what changed since `before`.
pub fn note(_spec: &mut MailboxLedgerSpec, _before: Option<&MailboxLedgerSpec>, _why: &Why, _now: Timestamp) {
}

/// Who had what on the mailbox at `at`.
pub fn held_on(_spec: &MailboxLedgerSpec, _at: Timestamp) -> Access {
    Access::Unknown
}
