//! Plans without some of their changes.

use super::{Acknowledged, Change, Plan, Step};
use crate::api::{Record, RecordedGrant};

impl Plan {
    /// The plan without what was acknowledged a moment ago, and whether something was left out. The sign-in block is
    /// never left out.
    pub fn without(&self, acknowledged: &Acknowledged) -> (Self, bool) {
        self.keeping(|change| change.is_repeated() || !acknowledged.contains(change))
    }

    /// The plan with only those changes that `keep` admits, and whether something was left out. The records stay.
    pub fn keeping(&self, keep: impl Fn(&Change) -> bool) -> (Self, bool) {
        let mut left_out = false;
        let mut steps = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            match step {
                Step::Set { call, changes } => {
                    let rest: Vec<Change> = changes.iter().filter(|change| keep(change)).cloned().collect();
                    left_out |= rest.len() != changes.len();
                    if !rest.is_empty() {
                        steps.push(Step::Set {
                            call: *call,
                            changes: rest,
                        });
                    }
                }
                Step::Revoke { .. }
                | Step::Evict(_)
                | Step::SetDirectorySignIn { .. }
                | Step::Remap { .. }
                | Step::ClearAutoMapping
                | Step::Grant { .. } => {
                    if step.changes().iter().all(&keep) {
                        steps.push(step.clone());
                    } else {
                        left_out = true;
                    }
                }
            }
        }
        let plan = Self {
            steps,
            ..self.clone()
        };
        (plan, left_out)
    }

    /// Only what takes access away; everything else is as if nobody had planned it, and the record keeps saying so.
    pub fn only_taking_away(&self, record: &Record) -> Self {
        let (only, _) =
            self.keeping(|change| change.removes_a_grant() || *change == Change::SignIn { allowed: false });
        let changes = only.changes();
        let stays =
            |grant: &&RecordedGrant| !changes.contains(&Change::Revoked(grant.object_id, grant.right));
        Self {
            announced: record.clone(),
            settled: Record {
                grants: record.grants.iter().filter(stays).cloned().collect(),
                held: None,
                admitted: Vec::new(),
                ..record.clone()
            },
            ..only
        }
    }

    /// Only what a mailbox needs before its resource is deleted: marker, sign-in block and name. Grants stay.
    pub fn only_marking(&self, record: &Record) -> Self {
        let (only, _) = self.keeping(|change| match change {
            Change::Marker { .. } | Change::SignIn { allowed: false } => true,
            Change::Set { family, .. } => *family == "displayName",
            Change::SignIn { allowed: true }
            | Change::Revoked(..)
            | Change::Evicted(..)
            | Change::Granted(..)
            | Change::Remapped(..)
            | Change::AutoMappingCleared
            | Change::Primary(_)
            | Change::AddressAdded(_)
            | Change::AddressRemoved(_) => false,
        });
        Self {
            announced: record.clone(),
            settled: record.clone(),
            ..only
        }
    }
}
