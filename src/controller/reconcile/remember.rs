//! What is remembered after a plan was carried out, perhaps in part: everything announced, less what was never granted.

use jiff::Timestamp;

use super::execution::Execution;
use crate::ledger::Ledger;
use crate::mail::Right;
use crate::plan::{Change, Plan, Purpose};

/// What must be remembered after a plan was carried out, perhaps in part: everything announced. What Exchange
/// acknowledged as taken away stays until a read shows it.
///
/// A change of automapping that the deletion of the resource cut in half is rechecked: that it was acknowledged is not
/// enough where no regular recheck follows.
pub(super) fn remembered(
    planned: &Plan,
    execution: &Execution,
    before: &Ledger,
    purpose: Purpose,
    now: Timestamp,
) -> Ledger {
    let done = |change: Change| execution.acknowledged.contains(&change);
    let mut ledger = planned.announced.clone();
    let cleared = done(Change::AutoMappingCleared);
    for grant in &mut ledger.grants {
        let remapped = |to: &bool| done(Change::Remapped(grant.object_id, *to));
        let again = done(Change::Granted(grant.object_id, grant.right));
        let remapped = grant.right == Right::FullAccess && [true, false].iter().any(remapped);
        if again || remapped {
            grant.at = Some(now);
            grant.remapping &= purpose.is_without_resource();
        }
        if purpose.is_without_resource() && execution.not_found.contains(&grant.key()) {
            // There is nobody any more who could be granted it.
            grant.remapping = false;
        }
        if let Some(sid) = execution.learned.get(&grant.object_id)
            && done(Change::Granted(grant.object_id, grant.right)) | remapped
        {
            grant.sid = Some(sid.clone());
        }
        if cleared && grant.right == Right::FullAccess {
            grant.auto_mapping = Some(false);
        }
    }
    if done(Change::SignedOut) {
        ledger.sign_out_owed = false;
    }
    // The intent says whose the mailbox is until a read shows the marker: an answer is not enough.
    if !planned.changes().iter().any(Change::is_marker) {
        ledger.intent = None;
    }
    without_unmade(ledger, before, execution)
}

/// A grant that was announced just now, and that Exchange refused for good or whose member is gone, leaves nothing to revoke.
/// One that was known before may have come of an earlier attempt whose answer was lost.
pub(super) fn without_unmade(mut ledger: Ledger, before: &Ledger, execution: &Execution) -> Ledger {
    ledger.grants.retain(|grant| {
        let key = (grant.object_id, grant.right);
        let known = before
            .grants
            .iter()
            .any(|other| (other.object_id, other.right) == key);
        known || !(execution.refused_grants.contains_key(&key) || execution.not_found.contains(&key))
    });
    ledger
}
