//! What came of a reconcile.

use super::execution::Execution;
use super::observation::ObservedMailbox;
use super::outcome::Outcome;
use super::prepared::Prepared;
use super::validate::{Judged, Wanted};
use crate::ledger::{Ledger, RecordedGrant};
use crate::plan::{Desired, Observed, Plan};

/// Steps that a status lists at most.
pub const LISTED: usize = 50;

/// How it ended, and what the report says of it.
pub struct Applied {
    pub outcome: Outcome,
    /// None: the ledger stays as it is.
    pub ledger: Option<Ledger>,
    /// None: it ended without a complete read.
    pub snapshot: Option<Snapshot>,
    /// What was written, as people read it.
    pub done: Vec<String>,
    /// Grants that were taken away.
    pub revoked: Vec<RecordedGrant>,
}

/// The mailbox as the last read showed it, and what is left to do.
pub struct Snapshot {
    pub prepared: Prepared,
    pub wanted: Wanted,
    pub desired: Desired,
    pub observed: Observed,
    pub kind: String,
    pub rest: Plan,
    pub execution: Execution,
}

impl Applied {
    /// What is remembered of the mailbox that was read.
    pub fn remembered<'a>(&'a self, snapshot: &'a Snapshot) -> &'a Ledger {
        self.ledger.as_ref().unwrap_or(&snapshot.prepared.ledger)
    }

    /// The same with another end, and with what is left to do according to `rest`.
    pub fn with(self, outcome: Outcome, rest: Plan) -> Self {
        let snapshot = self.snapshot.map(|snapshot| Snapshot { rest, ..snapshot });
        Self {
            outcome,
            snapshot,
            ..self
        }
    }
}

impl Judged {
    pub(super) fn end(
        self,
        outcome: Outcome,
        ledger: Option<Ledger>,
        seen: ObservedMailbox,
        rest: Plan,
        execution: Execution,
    ) -> Applied {
        let Self {
            prepared,
            wanted,
            desired,
            reattached: _,
            adopts: _,
            refused: _,
            gone,
        } = self;
        let done = execution.done.clone();
        Applied {
            outcome,
            ledger,
            snapshot: Some(Snapshot {
                prepared,
                wanted,
                desired,
                observed: seen.observed,
                kind: seen.kind,
                rest,
                execution,
            }),
            done,
            revoked: gone,
        }
    }
}

impl From<Outcome> for Applied {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            ledger: None,
            snapshot: None,
            done: Vec::new(),
            revoked: Vec::new(),
        }
    }
}
