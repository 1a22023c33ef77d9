//! What is remembered after a plan was carried out, perhaps in part: everything announced, less what was never made.

use jiff::Timestamp;

use crate::api::{Record, RecordedGrant};
use crate::controller::apply::Applied;
use crate::mail::Right;
use crate::plan::{Change, Plan};

/// What must be remembered after a plan was carried out, perhaps in part: everything announced. What Exchange
/// acknowledged as taken away stays until a read shows it.
pub(super) fn remembered(planned: &Plan, applied: &Applied, now: Timestamp) -> Record {
    let done = |change: Change| applied.acknowledged.contains(&change);
    let mut record = planned.announced.clone();
    let cleared = done(Change::AutoMappingCleared);
    for grant in &mut record.grants {
        let remapped = |to: &bool| done(Change::Remapped(grant.object_id, *to));
        let again = done(Change::Granted(grant.object_id, grant.right));
        let remapped = grant.right == Right::FullAccess && [true, false].iter().any(remapped);
        if again || remapped {
            grant.at = Some(now);
        }
        if grant.right == Right::FullAccess {
            grant.remapping &= !(again || remapped);
            if cleared {
                grant.auto_mapping = Some(false);
            }
        }
    }
    // The intent says whose the mailbox is until a read shows the marker: an answer is not enough.
    if !planned.changes().contains(&Change::Marker) {
        record.intent = None;
    }
    without_refused(record, applied)
}

/// A grant that Exchange refused for good was never made.
pub(super) fn without_refused(mut record: Record, applied: &Applied) -> Record {
    record.grants.retain(|grant| {
        !applied
            .refused_grants
            .contains_key(&(grant.object_id, grant.right))
    });
    record
}

/// A grant that was announced just now and not made, because its member is gone, leaves nothing to revoke.
pub(super) fn without_unmade(mut record: Record, before: &Record, applied: &Applied) -> Record {
    record.grants.retain(|grant| {
        let known = before.grants.iter().any(|other| same_right(other, grant));
        known || !applied.not_found.contains(&(grant.object_id, grant.right))
    });
    record
}

fn same_right(one: &RecordedGrant, other: &RecordedGrant) -> bool {
    (one.object_id, one.right) == (other.object_id, other.right)
}
