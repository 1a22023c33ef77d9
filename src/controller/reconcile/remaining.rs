//! What a mailbox still waits for after a reconcile, for metrics.

use super::applied::Applied;
use super::outcome::Outcome;
use crate::controller::state::pending::{Edits, Remaining};
use crate::ledger::Ledger;
use crate::plan::Plan;

/// After a reconcile that is reported to have ended like this.
pub fn of(outcome: &Outcome, owed: Option<usize>) -> Remaining {
    let edits = match outcome {
        Outcome::UpToDate
        | Outcome::Observed
        | Outcome::Released
        | Outcome::Resting(_)
        | Outcome::Absent(_) => Edits::Effective,
        Outcome::Progressing(_)
        | Outcome::Unavailable(_)
        | Outcome::Conflict
        | Outcome::TenantPending
        | Outcome::TooEarly(_)
        | Outcome::Deleting => Edits::Waiting,
        Outcome::Drift(_) | Outcome::Paused(_) | Outcome::Stalled(_) | Outcome::Held(_) => Edits::Stuck,
    };
    Remaining { edits, owed }
}

/// Rights that are still to be taken away, where that is known; `ledger` decodes what is remembered of the mailbox.
pub fn owed(applied: &Applied, ledger: impl FnOnce() -> Option<Ledger>) -> Option<usize> {
    match (&applied.snapshot, &applied.outcome) {
        (Some(snapshot), _) if snapshot.prepared.writes => Some(revocations(&snapshot.rest)),
        // By somebody's decision nothing is taken away.
        (Some(_), _) | (None, Outcome::Paused(_) | Outcome::Drift(_)) => Some(0),
        (None, _) => ledger()
            .is_none_or(|ledger| ledger.grants.is_empty())
            .then_some(0),
    }
}

/// The same of a mailbox without a resource: where nothing is to be done, nothing is owed.
pub fn owed_without_resource(applied: &Applied, ledger: impl FnOnce() -> Option<Ledger>) -> Option<usize> {
    if matches!(applied.outcome, Outcome::Released) {
        Some(0)
    } else {
        owed(applied, ledger)
    }
}

/// Rights that a plan takes away for good.
fn revocations(plan: &Plan) -> usize {
    plan.changes()
        .iter()
        .filter(|change| change.removes_a_grant())
        .count()
}
