//! The difference between the grants that are wanted, those that are there and those that we remember.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::removal::{Veto, removal};
use super::{Cause, Change, Desired, Observed, Presence, Step, WantedGrant, foreign, removed};
use crate::ledger::{Ledger, RecordedGrant, RightOf};
use crate::mail::{Holder, ObjectId, Right, Sid};

#[derive(Default)]
pub(super) struct GrantPlan {
    pub revocations: Vec<Step>,
    /// Members who lost their access in a change of automapping that was not finished.
    pub interrupted: Vec<Step>,
    pub remappings: Vec<Step>,
    pub additions: Vec<Step>,
    pub add_on_behalf: BTreeSet<ObjectId>,
    pub remove_on_behalf: BTreeSet<ObjectId>,
    pub causes: BTreeMap<Change, Cause>,
    /// Removals that wait because the mailbox was taken up again a moment ago.
    pub due: BTreeSet<Change>,
    /// Declared rights of which nobody knows whether they are there.
    pub unread: BTreeSet<(ObjectId, Right)>,
    pub announced: Vec<RecordedGrant>,
    pub settled: Vec<RecordedGrant>,
}

pub(super) fn plan(desired: &Desired, observed: &Observed, ledger: &Ledger) -> GrantPlan {
    let recorded: BTreeMap<(ObjectId, Right), &RecordedGrant> = ledger
        .grants
        .iter()
        .map(|grant| ((grant.object_id, grant.right), grant))
        .collect();
    let announced: BTreeSet<RightOf> = ledger.weighed.iter().map(|one| one.what.clone()).collect();
    let mut plan = GrantPlan::default();
    for (key, grant) in &recorded {
        if desired.grants.contains_key(key) {
            continue;
        }
        let is_announced = announced.contains(&grant.right_of());
        if is_cut_in_half(grant, desired, is_announced) {
            plan.finish_remapping(grant, observed, desired.now);
        } else {
            plan.undeclared(grant, desired, is_announced);
        }
    }
    let strangers = plan.strangers(desired, observed, ledger);
    for ((object_id, right), wanted) in &desired.grants {
        let known = recorded.get(&(*object_id, *right)).copied();
        // What was learned with one right holds for the others, as long as nothing else is known of them.
        let sid = known
            .and_then(|grant| grant.sid.as_ref())
            .or_else(|| ledger.sid_of(object_id))
            .or_else(|| observed.sid_of(object_id))
            .or_else(|| observed.tied_sid(object_id))
            .cloned();
        plan.declared((*object_id, *right), wanted, known, sid, (observed, desired.now));
    }
    if !strangers {
        plan.clear_auto_mapping(desired);
    }
    plan
}

/// Whether a change of automapping was under way when the resource was deleted, of a right that nothing takes away.
fn is_cut_in_half(grant: &RecordedGrant, desired: &Desired, is_announced: bool) -> bool {
    let stays = || match removal(grant, desired, is_announced) {
        Ok(Cause::Undeclared) | Err(Veto::Protected | Veto::TakenUp | Veto::PerhapsDeclared) => true,
        Ok(Cause::Departed | Cause::Expired | Cause::Deleted | Cause::Exclusive | Cause::Orphaned)
        | Err(Veto::Stuck | Veto::StillDeclared) => false,
    };
    desired.purpose.is_without_resource() && grant.remapping && !is_announced && stays()
}

impl GrantPlan {
    /// A grant of ours that no manifest names by this object any more.
    fn undeclared(&mut self, grant: &RecordedGrant, desired: &Desired, is_announced: bool) {
        self.announced.push(grant.clone());
        let cause = match removal(grant, desired, is_announced) {
            Ok(cause) => cause,
            Err(veto) => {
                if veto == Veto::TakenUp {
                    self.due.insert(Change::Revoked(grant.object_id, grant.right));
                }
                self.settled.push(grant.clone());
                return;
            }
        };
        // Sent even when the read shows no such grant: a lagging replica may hide it, and a repeated
        // removal is only a warning.
        let object_id = grant.object_id;
        self.causes.insert(Change::Revoked(object_id, grant.right), cause);
        match grant.right {
            Right::SendOnBehalf => {
                self.remove_on_behalf.insert(object_id);
            }
            right @ (Right::FullAccess | Right::SendAs) => {
                self.revocations.push(Step::Revoke { object_id, right });
            }
        }
    }

    /// The resource was deleted while automapping was being changed, perhaps between the revoke and the grant. Who holds
    /// nothing is granted it again. Who holds it counts as settled once they were granted it again, or once no replica can still
    /// show what was there before.
    fn finish_remapping(&mut self, grant: &RecordedGrant, observed: &Observed, now: Timestamp) {
        let (object_id, right) = grant.key();
        let sid = grant.sid.as_ref().or_else(|| observed.sid_of(&object_id));
        let is_over = grant.at.is_none_or(|at| removed::shown_by_then(at) <= now);
        let mut settled = grant.clone();
        match observed.presence(&object_id, right, sid) {
            Presence::Absent | Presence::Unknown => {
                settled.pending = true;
                self.interrupted.push(Step::Grant {
                    object_id,
                    right,
                    auto_mapping: grant.auto_mapping.unwrap_or(true),
                });
            }
            Presence::Present(_) if is_over || grant.pending => {
                settled.remapping = false;
                settled.pending = false;
                // Nobody knows whether the revoke was ever sent, but for who was granted it again.
                settled.auto_mapping = grant.auto_mapping.filter(|_| grant.pending);
            }
            Presence::Present(_) | Presence::Unread => {}
        }
        self.announced.push(settled.clone());
        self.settled.push(settled);
    }

    /// Rows that nobody declares and that must be removed. True when somebody else keeps a Full Access that automapping
    /// belongs to.
    fn strangers(&mut self, desired: &Desired, observed: &Observed, ledger: &Ledger) -> bool {
        // Who can't be seen may be there.
        let mut stay = observed.is_unread(Right::FullAccess);
        for row in foreign::foreign(desired, observed, ledger) {
            stay |= row.store == Right::FullAccess
                && row.removed_for.is_none()
                && row.rights.contains("FullAccess");
            let (Some(cause), Some(eviction)) = (row.removed_for, row.eviction()) else {
                continue;
            };
            if cause != Cause::Departed && desired.waits_for_permissions() {
                self.due
                    .insert(Change::Evicted(eviction.holder.clone(), eviction.store));
                continue;
            }
            match &eviction.holder {
                Holder::ObjectId(id) if eviction.store == Right::SendOnBehalf => {
                    self.causes.insert(Change::Revoked(*id, eviction.store), cause);
                    self.remove_on_behalf.insert(*id);
                }
                Holder::ObjectId(_) | Holder::Sid(_) => {
                    let change = Change::Evicted(eviction.holder.clone(), eviction.store);
                    self.causes.insert(change, cause);
                    self.revocations.push(Step::Evict(eviction));
                }
            }
        }
        stay
    }

    fn declared(
        &mut self,
        (object_id, right): (ObjectId, Right),
        wanted: &WantedGrant,
        known: Option<&RecordedGrant>,
        sid: Option<Sid>,
        (observed, now): (&Observed, Timestamp),
    ) {
        let mapped = right == Right::FullAccess;
        let presence = observed.presence(&object_id, right, sid.as_ref());
        if presence == Presence::Unread {
            return self.undecided((object_id, right), wanted, known);
        }
        let interrupted = mapped && known.is_some_and(|grant| grant.remapping);
        let there = matches!(presence, Presence::Present(_));
        let remap = there
            && (interrupted
                || known.is_some_and(|grant| {
                    grant
                        .auto_mapping
                        .is_some_and(|was| mapped && was != wanted.auto_mapping)
                }));
        // A grant that was there before us has an automapping that nobody can read.
        let found = there && !remap;
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
            also: wanted.also.iter().cloned().collect(),
            by: wanted.by.iter().cloned().collect(),
            at: match known {
                Some(grant) => grant.at,
                None => (!found).then_some(now),
            },
            pending: false,
            until: wanted.until,
        };
        self.announced.push(RecordedGrant {
            // Whoever has lost it has it back only once the grant is acknowledged.
            remapping: remap || interrupted,
            at: if remap && !interrupted {
                Some(now)
            } else {
                settled.at
            },
            pending: !there && known.is_none_or(|grant| grant.pending),
            ..settled.clone()
        });
        self.settled.push(settled);
        let auto_mapping = wanted.auto_mapping;
        if remap {
            let list = if interrupted {
                &mut self.interrupted
            } else {
                &mut self.remappings
            };
            list.push(Step::Remap {
                object_id,
                auto_mapping,
            });
        } else if !found {
            self.add(object_id, right, auto_mapping, interrupted);
        }
    }

    /// Nobody knows whether it is there: nothing is written, and what is remembered of it stays.
    fn undecided(&mut self, key: (ObjectId, Right), wanted: &WantedGrant, known: Option<&RecordedGrant>) {
        self.unread.insert(key);
        let Some(known) = known else { return };
        let remembered = RecordedGrant {
            member: wanted.member.clone(),
            also: wanted.also.iter().cloned().collect(),
            by: wanted.by.iter().cloned().collect(),
            until: wanted.until,
            ..known.clone()
        };
        self.announced.push(remembered.clone());
        self.settled.push(remembered);
    }

    fn add(&mut self, object_id: ObjectId, right: Right, auto_mapping: bool, interrupted: bool) {
        match right {
            Right::SendOnBehalf => {
                self.add_on_behalf.insert(object_id);
            }
            Right::FullAccess | Right::SendAs => {
                let list = if interrupted {
                    &mut self.interrupted
                } else {
                    &mut self.additions
                };
                list.push(Step::Grant {
                    object_id,
                    right,
                    auto_mapping,
                });
            }
        }
    }

    /// When nobody on the mailbox wants automapping, one call clears it for everybody, and nobody loses access in
    /// between. It also settles what was unknown.
    fn clear_auto_mapping(&mut self, desired: &Desired) {
        let mut wishes = desired
            .grants
            .iter()
            .filter(|((_, right), _)| *right == Right::FullAccess);
        let nobody = wishes.all(|(_, wanted)| !wanted.auto_mapping);
        let is_full_access = |grant: &&mut RecordedGrant| grant.right == Right::FullAccess;
        let kept = |grant: &RecordedGrant| grant.right == Right::FullAccess && !desired.declares_grant(grant);
        let open = |grant: &RecordedGrant| grant.right == Right::FullAccess && grant.auto_mapping.is_none();
        let to_do = !self.remappings.is_empty() || self.settled.iter().any(open);
        if !nobody || !to_do || self.settled.iter().any(kept) {
            return;
        }
        let remapped: BTreeSet<ObjectId> = self
            .remappings
            .drain(..)
            .filter_map(|step| {
                if let Step::Remap { object_id, .. } = step {
                    Some(object_id)
                } else {
                    None
                }
            })
            .collect();
        // What was there is known to be mapped, or unknown, until Exchange has acknowledged the call.
        for grant in self.announced.iter_mut().filter(is_full_access) {
            if remapped.contains(&grant.object_id) {
                grant.remapping = false;
                grant.auto_mapping = Some(true);
            }
        }
        for grant in self.settled.iter_mut().filter(is_full_access) {
            grant.auto_mapping = Some(false);
        }
        self.remappings.push(Step::ClearAutoMapping);
    }
}
