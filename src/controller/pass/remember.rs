//! What is remembered after a plan was carried out, perhaps in part: everything announced, less what is surely done.

use std::collections::BTreeSet;

use crate::api::{AdmittedRemoval, Record, RecordedGrant};
use crate::controller::apply::Applied;
use crate::mail::{Holder, Right, Sid};
use crate::plan::{self, Change, Desired, Observed, Plan};

/// Grants of ours that Exchange acknowledged as taken away.
pub(super) fn taken_away(before: &Record, desired: &Desired, acknowledged: &[Change]) -> Vec<RecordedGrant> {
    let gone = |grant: &&RecordedGrant| {
        let key = (grant.object_id, grant.right);
        !desired.grants.contains_key(&key) && acknowledged.contains(&Change::Revoked(key.0, key.1))
    };
    before.grants.iter().filter(gone).cloned().collect()
}

/// What must be remembered after a plan was carried out, perhaps in part: everything announced, less what
/// Exchange acknowledged as taken away.
pub(super) fn remembered(planned: &Plan, applied: &Applied) -> Record {
    let done = |change: Change| applied.acknowledged.contains(&change);
    let mut record = planned.announced.clone();
    record.grants.retain(|grant| {
        let settled = planned
            .settled
            .grants
            .iter()
            .any(|other| same_right(other, grant));
        settled || !done(Change::Revoked(grant.object_id, grant.right))
    });
    let cleared = done(Change::AutoMappingCleared);
    for grant in &mut record.grants {
        let remapped = |to: &bool| done(Change::Remapped(grant.object_id, *to));
        let again = done(Change::Granted(grant.object_id, grant.right));
        if grant.right == Right::FullAccess {
            grant.remapping &= !(again || [true, false].iter().any(remapped));
            if cleared {
                grant.auto_mapping = Some(false);
            }
        }
    }
    let removed: BTreeSet<Change> = applied.acknowledged.iter().cloned().collect();
    record.admitted.retain(|entry| !plan::is_done(entry, &removed));
    record.addresses.retain(|address| {
        planned.settled.addresses.contains(address) || !done(Change::AddressRemoved(address.clone()))
    });
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

/// Grants and addresses that Exchange acknowledged as taken away, or said not to have, and goes on showing: they are
/// still to go, be it that a replica lags or that the removal was forgotten. What was let go is not weighed again.
pub(super) fn with_unremoved(
    mut record: Record,
    before: &Record,
    applied: &Applied,
    observed: &Observed,
) -> Record {
    let removed = |grant: &RecordedGrant| {
        let said_missing = |sid: &Sid| {
            applied
                .stubborn
                .contains(&(Holder::Sid(sid.clone()), grant.right))
        };
        let acknowledged = Change::Revoked(grant.object_id, grant.right);
        applied.acknowledged.contains(&acknowledged) || grant.sid.as_ref().is_some_and(said_missing)
    };
    let still_shown = before
        .grants
        .iter()
        .filter(|grant| removed(grant) && is_shown(grant, observed));
    let addresses = before.addresses.iter().filter(|address| {
        let acknowledged = Change::AddressRemoved((*address).clone());
        applied.acknowledged.contains(&acknowledged) && observed.addresses.contains(*address)
    });
    for address in addresses {
        if !record.addresses.contains(address) {
            record.addresses.push(address.clone());
        }
    }
    for grant in still_shown {
        if !record.grants.iter().any(|other| same_right(other, grant)) {
            record.grants.push(grant.clone());
            record.admitted.push(AdmittedRemoval {
                holder: Holder::ObjectId(grant.object_id),
                right: grant.right,
            });
        }
    }
    record
}

/// Whether a read shows the grant, as far as it can be told.
pub(super) fn is_shown(grant: &RecordedGrant, observed: &Observed) -> bool {
    match grant.right {
        Right::FullAccess | Right::SendAs => {
            let shown = |sid: &Sid| observed.shows(sid, grant.right);
            grant.sid.as_ref().is_some_and(shown)
        }
        Right::SendOnBehalf => observed.on_behalf.ids.contains(&grant.object_id),
    }
}

pub(super) fn same_right(one: &RecordedGrant, other: &RecordedGrant) -> bool {
    (one.object_id, one.right) == (other.object_id, other.right)
}
