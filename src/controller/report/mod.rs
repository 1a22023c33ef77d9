//! What people read back: statuses computed from an outcome and from what was seen. Plain functions.

mod mailbox;
mod permission;

use std::collections::{BTreeMap, BTreeSet};

pub use mailbox::mailbox;
pub use permission::{permission, permission_of_missing_mailbox, permission_without_mailbox};

use crate::api::Record;
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
}

/// Wanted rights that are not there yet.
fn missing_grants(rest: &Plan) -> BTreeSet<(ObjectId, Right)> {
    let mut missing = BTreeSet::new();
    for step in &rest.steps {
        match step {
            Step::Grant { object_id, right, .. } => {
                missing.insert((*object_id, *right));
            }
            Step::Set(settings) => {
                missing.extend(settings.add_on_behalf.iter().map(|id| (*id, Right::SendOnBehalf)));
            }
            Step::Revoke { .. } | Step::SetDirectorySignIn { .. } => {}
        }
    }
    missing
}
