//! Where a plan is carried out, and what its steps need to know.

use std::collections::BTreeSet;

use crate::exchange::Gateway;
use crate::lane::Lane;
use crate::ledger::Ledger;
use crate::mail::{MailboxGuid, ObjectId};
use crate::plan::{Change, Observed};

/// Where a plan is carried out.
pub struct Executor<'a> {
    pub gateway: &'a Gateway,
    pub lane: Lane,
    pub guid: MailboxGuid,
    /// The account behind the mailbox, once it is known.
    pub object_id: Option<ObjectId>,
    /// Knows the SIDs of members, by which accounts that are gone are revoked.
    pub ledger: &'a Ledger,
    /// Knows further SIDs of theirs.
    pub observed: &'a Observed,
    /// What failed several times in a row: nothing waits for it.
    pub failing: &'a BTreeSet<Change>,
}

impl Executor<'_> {
    /// Whether one of these changes failed several times in a row.
    pub(super) fn keep_failing(&self, changes: &[Change]) -> bool {
        changes.iter().any(|change| self.failing.contains(change))
    }
}
