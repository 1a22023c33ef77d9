//! What statuses are computed from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{Record, RecordedGrant, Revoked};
use crate::mail::{ObjectId, Right, TenantGuid};
use crate::plan::{Desired, Observed, Plan, Step};

/// A mailbox that was read in this pass, and what is still to be done to it.
pub struct Facts<'a> {
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    pub kind: &'a str,
    pub record: &'a Record,
    /// What still differs.
    pub rest: &'a Plan,
    pub refused_settings: &'a [String],
    pub refused_grants: &'a BTreeMap<(ObjectId, Right), String>,
    pub tenant: TenantGuid,
    /// How many members of all permissions get nothing.
    pub members_refused: usize,
    /// False under Observe.
    pub writes: bool,
    /// After how long people may use what was granted.
    pub propagation: Duration,
}

/// What a pass saw of its mailbox.
pub enum Sight<'a> {
    /// It ended before it saw anything.
    Nothing,
    /// The manifest is refused: only what holds whatever is declared is told.
    OfRefused(&'a Facts<'a>),
    Whole(&'a Facts<'a>),
}

/// Lost rights that a status lists at most, and for how long.
const SHOWN_REVOKED: usize = 100;
const SHOWN_FOR: SignedDuration = SignedDuration::from_hours(24);

/// The list with what was revoked just now, without what is older than a day.
pub fn remember_revoked(list: &mut Vec<Revoked>, now_gone: &[RecordedGrant], now: Timestamp) {
    list.retain(|entry| now.duration_since(entry.revoked_at.0) < SHOWN_FOR);
    for grant in now_gone {
        let object_id = grant.object_id.to_string();
        list.retain(|entry| entry.object_id != object_id || entry.right != grant.right);
        list.push(Revoked {
            address: grant.member.to_string(),
            object_id,
            right: grant.right,
            revoked_at: whole_seconds(now),
            by: grant.by.clone(),
        });
    }
    let over = list.len().saturating_sub(SHOWN_REVOKED);
    list.drain(..over);
}

/// Of what the mailbox lost, what the permission of this name had declared.
pub(super) fn revoked_from(name: &str, list: &[Revoked]) -> Vec<Revoked> {
    let here = list.iter().filter(|entry| entry.by.iter().any(|by| by == name));
    here.map(|entry| Revoked {
        by: Vec::new(),
        ..entry.clone()
    })
    .collect()
}

/// Kubernetes keeps seconds: a fraction would be a difference for ever.
pub fn whole_seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

/// Wanted rights that are not there yet.
pub(super) fn missing_grants(rest: &Plan) -> BTreeSet<(ObjectId, Right)> {
    let mut missing = BTreeSet::new();
    for step in &rest.steps {
        match step {
            Step::Grant { object_id, right, .. } => {
                missing.insert((*object_id, *right));
            }
            Step::Set(settings) => {
                missing.extend(settings.add_on_behalf.iter().map(|id| (*id, Right::SendOnBehalf)));
            }
            // He holds it, or is about to hold it again.
            Step::Remap { object_id, .. } => {
                missing.insert((*object_id, Right::FullAccess));
            }
            Step::Revoke { .. }
            | Step::Evict(_)
            | Step::ClearAutoMapping
            | Step::SetDirectorySignIn { .. } => {}
        }
    }
    missing
}
