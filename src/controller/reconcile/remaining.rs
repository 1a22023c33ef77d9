//! What a mailbox still waits for after a reconcile, for metrics.

use super::outcome::Outcome;
use super::pass::Ending;
use crate::api::Record;
use crate::controller::state::pending::{Edits, Remaining};
use crate::plan::Plan;

/// `record` is what is remembered of the mailbox.
pub fn remaining(ending: &Ending, record: Option<&Record>) -> Remaining {
    let edits = match &ending.outcome {
        Outcome::UpToDate | Outcome::Observed => Edits::Effective,
        Outcome::Progressing(_) | Outcome::Unavailable(_) | Outcome::Conflict | Outcome::TenantPending => {
            Edits::Waiting
        }
        Outcome::Drift(_) | Outcome::Paused(_) | Outcome::Stalled(_) | Outcome::Held(_) => Edits::Stuck,
    };
    let owed = match (&ending.view, &ending.outcome) {
        (Some(view), _) if view.writes => Some(revocations(&view.rest)),
        // By somebody's decision nothing is taken away.
        (Some(_), _) | (None, Outcome::Paused(_) | Outcome::Drift(_)) => Some(0),
        (None, _) if record.is_none_or(|record| record.grants.is_empty()) => Some(0),
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
