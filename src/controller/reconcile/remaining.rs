//! What a mailbox still waits for after a reconcile, for metrics.

use super::applied::Applied;
use super::outcome::Outcome;
use crate::controller::state::pending::{Edits, Remaining};
use crate::ledger::Ledger;
use crate::plan::Plan;

/// `ledger` is what is remembered of the mailbox.
pub fn remaining(applied: &Applied, ledger: Option<&Ledger>) -> Remaining {
    let edits = match &applied.outcome {
        Outcome::UpToDate | Outcome::Observed | Outcome::Released => Edits::Effective,
        Outcome::Progressing(_) | Outcome::Unavailable(_) | Outcome::Conflict | Outcome::TenantPending => {
            Edits::Waiting
        }
        Outcome::Drift(_) | Outcome::Paused(_) | Outcome::Stalled(_) | Outcome::Held(_) => Edits::Stuck,
    };
    let owed = match (&applied.snapshot, &applied.outcome) {
        (Some(snapshot), _) if snapshot.prepared.writes => Some(revocations(&snapshot.rest)),
        // By somebody's decision nothing is taken away.
        (Some(_), _) | (None, Outcome::Paused(_) | Outcome::Drift(_)) => Some(0),
        (None, _) if ledger.is_none_or(|ledger| ledger.grants.is_empty()) => Some(0),
        (None, _) => None,
    };
    Remaining { edits, owed }
}

/// Rights that a plan takes away for good.
fn revocations(plan: &Plan) -> usize {
    plan.changes()
        .iter()
        .filter(|change| change.removes_a_grant())
        .count()
}
