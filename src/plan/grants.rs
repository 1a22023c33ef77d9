//! The difference between the grants that are wanted, those that are there and those that we remember.

use std::collections::{BTreeMap, BTreeSet};

use super::{Desired, Observed, Presence, Step, WantedGrant};
use crate::api::{Record, RecordedGrant};
use crate::mail::{ObjectId, Right, Sid};

#[derive(Default)]
pub(super) struct GrantPlan {
    pub revocations: Vec<Step>,
    pub remappings: Vec<Step>,
    pub additions: Vec<Step>,
    pub add_on_behalf: BTreeSet<ObjectId>,
    pub remove_on_behalf: BTreeSet<ObjectId>,
    pub announced: Vec<RecordedGrant>,
    pub settled: Vec<RecordedGrant>,
}

pub(super) fn plan(desired: &Desired, observed: &Observed, record: &Record) -> GrantPlan {
    let recorded: BTreeMap<(ObjectId, Right), &RecordedGrant> = record
        .grants
        .iter()
        .map(|grant| ((grant.object_id, grant.right), grant))
        .collect();
    let mut plan = GrantPlan::default();
    for (key, grant) in &recorded {
        if !desired.grants.contains_key(key) {
            plan.undeclared(grant, desired);
        }
    }
    for ((object_id, right), wanted) in &desired.grants {
        let known = recorded.get(&(*object_id, *right)).copied();
        // A person has one SID: what was learned with one right holds for the others.
        let sid = record
            .sid_of(object_id)
            .or_else(|| observed.sid_of(object_id))
            .cloned();
        plan.declared((*object_id, *right), wanted, known, sid, observed);
    }
    plan
}

impl GrantPlan {
    /// A grant of ours that no manifest names by this object any more.
    fn undeclared(&mut self, grant: &RecordedGrant, desired: &Desired) {
        self.announced.push(grant.clone());
        if desired.kept_members.contains(&grant.member) {
            self.settled.push(grant.clone());
            return;
        }
        // Sent even when the read shows no such grant: a lagging replica may hide it, and a repeated
        // removal is only a warning.
        let object_id = grant.object_id;
        match grant.right {
            Right::SendOnBehalf => {
                self.remove_on_behalf.insert(object_id);
            }
            right @ (Right::FullAccess | Right::SendAs) => {
                self.revocations.push(Step::Revoke { object_id, right });
            }
        }
    }

    fn declared(
        &mut self,
        (object_id, right): (ObjectId, Right),
        wanted: &WantedGrant,
        known: Option<&RecordedGrant>,
        sid: Option<Sid>,
        observed: &Observed,
    ) {
        let mapped = right == Right::FullAccess;
        let presence = observed.presence(&object_id, right, sid.as_ref());
        let remap = mapped
            && matches!(presence, Presence::Present(_))
            && known.is_some_and(|grant| {
                grant.remapping || grant.auto_mapping.is_some_and(|was| was != wanted.auto_mapping)
            });
        // A grant that was there before us has an automapping that nobody can read.
        let found = matches!(presence, Presence::Present(_)) && !remap;
        let auto_mapping = match known {
            Some(grant) if found => grant.auto_mapping,
            None if found => None,
            _ => Some(wanted.auto_mapping),
        };
        let settled = RecordedGrant {
            object_id,
            right,
            sid: match (&presence, sid) {
                (Presence::Present(Some(shown)), _) => Some(shown.clone()),
                (_, sid) => sid.filter(|_| right != Right::SendOnBehalf),
            },
            auto_mapping: auto_mapping.filter(|_| mapped),
            remapping: false,
            member: wanted.member.clone(),
        };
        self.announced.push(RecordedGrant {
            remapping: remap,
            ..settled.clone()
        });
        self.settled.push(settled);
        if remap {
            self.remappings.push(Step::Revoke { object_id, right });
            self.remappings.push(Step::Grant {
                object_id,
                right,
                auto_mapping: wanted.auto_mapping,
            });
        } else if !found {
            self.add(object_id, right, wanted.auto_mapping);
        }
    }

    fn add(&mut self, object_id: ObjectId, right: Right, auto_mapping: bool) {
        match right {
            Right::SendOnBehalf => {
                self.add_on_behalf.insert(object_id);
            }
            Right::FullAccess | Right::SendAs => {
                self.additions.push(Step::Grant {
                    object_id,
                    right,
                    auto_mapping,
                });
            }
        }
    }
}
