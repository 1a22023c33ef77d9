//! What a changed manifest requests, and how urgent that is.

use kube::ResourceExt;
use kube::core::ObjectMeta;

use crate::api::{
    APPROVE, FLUX_REQUESTED_AT, LET_GO, MailboxPermission, RECONCILE_REQUESTED_AT, RECREATE, REMOVE_ORPHANS,
    SharedMailbox, reconcile_requests,
};
use crate::lane::Lane;

/// Annotations by which people ask for something.
const REQUESTS: [&str; 6] = [
    RECONCILE_REQUESTED_AT,
    FLUX_REQUESTED_AT,
    APPROVE,
    LET_GO,
    REMOVE_ORPHANS,
    RECREATE,
];

/// What somebody asks for is no longer: a time, or an id.
const LONGEST: usize = 256;

/// Keeps of an object's metadata what is read here. The rest is its writer's, who may make it as large as etcd takes it; a
/// write of the status changes none of it.
pub fn prune(metadata: &mut ObjectMeta) {
    let whole = std::mem::take(metadata);
    let annotations = whole.annotations.map(|mut annotations| {
        annotations.retain(|key, _| REQUESTS.contains(&key.as_str()));
        annotations.values_mut().for_each(cut);
        annotations
    });
    *metadata = ObjectMeta {
        name: whole.name,
        namespace: whole.namespace,
        uid: whole.uid,
        generation: whole.generation,
        resource_version: whole.resource_version,
        creation_timestamp: whole.creation_timestamp,
        deletion_timestamp: whole.deletion_timestamp,
        annotations: annotations.filter(|annotations| !annotations.is_empty()),
        ..ObjectMeta::default()
    };
}

/// Nothing of ours is longer.
pub fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(LONGEST));
}

/// A status that is gone, as after a restore, is to be reported again.
fn is_wiped(conditions_before: usize, conditions_after: usize) -> bool {
    conditions_before > 0 && conditions_after == 0
}

/// Our own status writes request nothing.
pub fn same_mailbox_request(before: &SharedMailbox, after: &SharedMailbox) -> bool {
    let request = |m: &SharedMailbox| {
        let requested = REQUESTS.map(|name| m.annotations().get(name).cloned());
        (
            m.uid(),
            m.metadata.generation,
            requested,
            m.metadata.deletion_timestamp.is_some(),
        )
    };
    let reported = |m: &SharedMailbox| m.status.as_ref().map_or(0, |status| status.conditions.len());
    request(before) == request(after) && !is_wiped(reported(before), reported(after))
}

pub fn first_lane(object: &SharedMailbox) -> Lane {
    let status = object.status.as_ref();
    lane_when_seen_first(
        status.and_then(|status| status.observed_generation),
        object.metadata.generation,
    )
}

/// After a restart what is already reported waits behind what is not.
fn lane_when_seen_first(reported: Option<i64>, generation: Option<i64>) -> Lane {
    if reported.is_some() && reported == generation {
        Lane::Sweep
    } else {
        Lane::Edit
    }
}

/// Taking somebody away is a revocation; None when nothing is requested.
pub fn permission_lane(before: Option<&MailboxPermission>, after: &MailboxPermission) -> Option<Lane> {
    let Some(before) = before else {
        let status = after.status.as_ref();
        let reported = status.and_then(|status| status.observed_generation);
        return Some(lane_when_seen_first(reported, after.metadata.generation));
    };
    let deleting = after.metadata.deletion_timestamp.is_some();
    if before.uid() == after.uid()
        && before.metadata.generation == after.metadata.generation
        && before.metadata.deletion_timestamp.is_some() == deleting
    {
        let asked = reconcile_requests(before.annotations()) != reconcile_requests(after.annotations());
        let reported = |p: &MailboxPermission| p.status.as_ref().map_or(0, |status| status.conditions.len());
        let asked = asked || is_wiped(reported(before), reported(after));
        return asked.then_some(Lane::Edit);
    }
    let kept = |member| after.spec.members.contains(member);
    let loses = deleting
        || before.uid() != after.uid()
        || !before.spec.members.iter().all(kept)
        || !before
            .spec
            .rights
            .iter()
            .all(|right| after.spec.rights.contains(right));
    Some(if loses { Lane::Revocation } else { Lane::Edit })
}
