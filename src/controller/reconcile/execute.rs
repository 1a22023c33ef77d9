//! Sends the steps of a plan, in its order. The only caller of the gateway's writes, but for New-Mailbox.

use std::collections::BTreeSet;

use super::execution::{Execution, Refused, is_refused};
use super::executor::Executor;
use super::fetch::rows;
use crate::exchange::{ExchangeError, Receipt};
use crate::fair::some_at_once;
use crate::lane::Lane;
use crate::mail::{Holder, ObjectId, Right, Sid};
use crate::plan::{Change, Eviction, Plan, Step};

impl Executor<'_> {
    pub async fn execute(&self, plan: &Plan) -> Execution {
        let mut execution = Execution::default();
        let mut before = Vec::new();
        for group in groups(&plan.steps) {
            if group.contains(&Step::SignOut) && !execution.has_closed(plan) {
                continue;
            }
            let free: Vec<&Step> = group
                .iter()
                .filter(|step| !waits(step, &before, &execution.acknowledged))
                .collect();
            let steps = free.into_iter().map(|step| async {
                let mut execution = Execution::default();
                self.step(step, &mut execution).await;
                execution
            });
            let results = some_at_once(steps.collect()).await;
            for result in results {
                execution.absorb(result);
            }
            before.extend(group.iter().flat_map(Step::changes));
            // Later steps may rely on earlier ones; the next reconcile takes up from here.
            if execution.error.is_some() {
                break;
            }
        }
        execution
    }

    async fn step(&self, step: &Step, execution: &mut Execution) {
        if let Step::Set { call, changes } = step {
            return self.set(*call, changes, execution).await;
        }
        if let Some(result) = self.carry_out(step, execution).await {
            self.note(step, result, execution);
        }
    }

    /// None: it can't be sent yet.
    async fn carry_out(
        &self,
        step: &Step,
        execution: &mut Execution,
    ) -> Option<Result<Receipt, ExchangeError>> {
        let Self {
            gateway,
            lane,
            guid,
            object_id: account,
            ledger: _,
            observed: _,
            failing: _,
        } = *self;
        let result = match step {
            // It notes by itself what came of each of its changes.
            Step::Set { .. } => return None,
            Step::Revoke { object_id, right } => self.revoke(object_id, *right, execution).await,
            Step::Evict(eviction) => self.evict(eviction, execution).await,
            Step::Remap {
                object_id,
                auto_mapping,
            } => self.remap(object_id, *auto_mapping).await,
            Step::ClearAutoMapping => gateway.clear_auto_mapping(lane, guid).await,
            Step::Grant {
                object_id,
                right: Right::FullAccess,
                auto_mapping,
            } => {
                gateway
                    .add_full_access(lane, guid, object_id, *auto_mapping)
                    .await
            }
            Step::Grant {
                object_id,
                right: Right::SendAs | Right::SendOnBehalf,
                auto_mapping: _,
            } => gateway.add_send_as(lane, guid, object_id).await,
            // The next read shows the account's id, where it is not known.
            Step::SetDirectorySignIn { allowed } => {
                let set = gateway.set_account_enabled(lane, &account?, *allowed).await;
                set.map(|()| Receipt::default())
            }
            Step::SignOut => {
                let revoked = gateway.revoke_sessions(lane, &account?).await;
                revoked.map(|()| Receipt::default())
            }
        };
        Some(result)
    }

    /// What came of a step.
    fn note(&self, step: &Step, result: Result<Receipt, ExchangeError>, execution: &mut Execution) {
        if let (Ok(receipt), Step::Grant { object_id, .. } | Step::Remap { object_id, .. }) = (&result, step)
        {
            let holder = receipt.holder.iter().map(|sid| (*object_id, sid.clone()));
            execution.learned.extend(holder);
        }
        match (result, step) {
            (Ok(receipt), _) => execution.did(step.changes(), step.to_string(), &receipt),
            (Err(error), Step::Grant { object_id, right, .. }) if error.does_not_find(object_id) => {
                execution.not_found.insert((*object_id, *right));
            }
            (Err(error), Step::Remap { object_id, .. }) if error.does_not_find(object_id) => {
                execution.not_found.insert((*object_id, Right::FullAccess));
            }
            // Nobody knows its SID either: reported and tried again slowly, while everything else continues.
            (Err(error), Step::Revoke { object_id, right: _ }) if error.does_not_find(object_id) => {
                execution.refused.push(Refused::of(step, &[], &error));
            }
            (Err(error), Step::Grant { object_id, right, .. }) if error.refuses_what_was_asked() => {
                execution
                    .refused_grants
                    .insert((*object_id, *right), error.to_string());
            }
            // Sign-in is blocked all the same, and a permission that the app lacks is no reason to try for ever.
            (Err(error), Step::SignOut) if is_refused(&error) => {
                execution.acknowledged.push(Change::SignedOut);
                execution.sign_out_refused = Some(error.to_string());
            }
            (Err(error), Step::SetDirectorySignIn { .. } | Step::SignOut) => {
                execution.fail(error, &step.changes());
            }
            (Err(error), _) if error.refuses_what_was_asked() => {
                execution.refused.push(Refused::of(step, &[], &error));
            }
            (Err(error), _) => self.failed(step, error, execution),
        }
    }

    /// It may pass, and what follows waits for it, unless it failed too often for that.
    fn failed(&self, step: &Step, error: ExchangeError, execution: &mut Execution) {
        let changes = step.changes();
        execution.note_failed(&error, &changes);
        if self.keep_failing(&changes) && !error.class.is_throttling() {
            execution.refused.push(Refused::of(step, &[], &error));
        } else {
            execution.error = Some(error);
        }
    }

    /// Automapping is set with the grant only. A crash in between is repaired first: the ledger says so.
    async fn remap(&self, member: &ObjectId, auto_mapping: bool) -> Result<Receipt, ExchangeError> {
        // Whether anything was there to be removed does not matter for a grant that is given again.
        let mut unheeded = Execution::default();
        self.revoke(member, Right::FullAccess, &mut unheeded).await?;
        self.gateway
            .add_full_access(self.lane, self.guid, member, auto_mapping)
            .await
    }

    /// Takes a row away that nobody declares. Exchange may say that it does not exist: a lagging replica then still
    /// shows what is gone, or the entry is one that can't be removed.
    async fn evict(&self, eviction: &Eviction, execution: &mut Execution) -> Result<Receipt, ExchangeError> {
        let lane = Lane::Revocation.min(self.lane);
        let Eviction {
            holder,
            store,
            rights,
            shown: _,
        } = eviction;
        let removed = match store {
            Right::FullAccess => {
                self.gateway
                    .remove_mailbox_rights(lane, self.guid, holder, rights)
                    .await
            }
            Right::SendAs | Right::SendOnBehalf => self.gateway.remove_send_as(lane, self.guid, holder).await,
        };
        let missing = match &removed {
            Ok(receipt) => receipt.say_not_present(),
            Err(error) => error.does_not_find(holder),
        };
        if missing {
            execution.undeletable.insert((holder.clone(), *store));
            return Ok(removed.unwrap_or_default());
        }
        removed
    }

    /// Revokes by object id, and by SID what that leaves: the account may be gone, and its permission would be back with it
    /// when it is restored; or it has another SID now, and an entry with the old one. A warning that there was nothing does
    /// not say so for sure, and an entry may be left beside the one that was removed, so the list is read again.
    async fn revoke(
        &self,
        member: &ObjectId,
        right: Right,
        execution: &mut Execution,
    ) -> Result<Receipt, ExchangeError> {
        let removed = self.remove(&Holder::ObjectId(*member), right).await;
        let mut sids: BTreeSet<&Sid> = self.ledger.sid_for(member, right).into_iter().collect();
        sids.extend(self.observed.sids_of(member));
        if sids.is_empty() && removed.as_ref().is_ok_and(Receipt::say_not_present) {
            // Perhaps it has a row under a SID that nobody knows: the list that is read afterwards decides.
            execution.undeletable.insert((Holder::ObjectId(*member), right));
        }
        let left = match &removed {
            Ok(receipt) if sids.len() > 1 || receipt.say_not_present() => {
                // A removal of what is gone is only a warning, and a list that can't be read stops nothing.
                self.shown(&sids, right).await.unwrap_or(sids)
            }
            Err(error) if error.does_not_find(member) => sids,
            Ok(_) | Err(_) => BTreeSet::new(),
        };
        let mut last = removed;
        for sid in left {
            let holder = Holder::Sid(sid.clone());
            let receipt = match self.remove(&holder, right).await {
                // Neither the account nor anything of it on the mailbox is left.
                Err(error) if error.does_not_find(sid.as_str()) => Receipt::default(),
                other => other?,
            };
            if receipt.say_not_present() {
                execution.undeletable.insert((holder, right));
            }
            last = Ok(receipt);
        }
        last
    }

    /// Those of these SIDs to which the list shows an entry that allows the right. Send on Behalf has none.
    async fn shown<'s>(
        &self,
        sids: &BTreeSet<&'s Sid>,
        right: Right,
    ) -> Result<BTreeSet<&'s Sid>, ExchangeError> {
        if sids.is_empty() {
            return Ok(BTreeSet::new());
        }
        let (gateway, lane) = (self.gateway, Lane::Revocation.min(self.lane));
        let shown: BTreeSet<Sid> = match right {
            Right::FullAccess => {
                let rows = gateway.full_access(lane, self.guid, None).await?;
                rows.iter().filter_map(rows::full_access_holder).collect()
            }
            Right::SendAs => {
                let rows = gateway.send_as(lane, self.guid, None).await?;
                rows.iter().filter_map(rows::send_as_holder).collect()
            }
            Right::SendOnBehalf => BTreeSet::new(),
        };
        Ok(sids.iter().copied().filter(|sid| shown.contains(*sid)).collect())
    }

    async fn remove(&self, holder: &Holder, right: Right) -> Result<Receipt, ExchangeError> {
        let lane = Lane::Revocation.min(self.lane);
        match right {
            Right::FullAccess => self.gateway.remove_full_access(lane, self.guid, holder).await,
            Right::SendAs | Right::SendOnBehalf => self.gateway.remove_send_as(lane, self.guid, holder).await,
        }
    }
}

/// Whether a part of the same setting went before it and was not taken.
fn waits(step: &Step, before: &[Change], acknowledged: &[Change]) -> bool {
    let families: BTreeSet<&str> = step.changes().iter().filter_map(Change::setting).collect();
    let is_missing = |change: &Change| {
        let of_family = change.setting().is_some_and(|family| families.contains(family));
        of_family && !acknowledged.contains(change)
    };
    before.iter().any(is_missing)
}

/// Steps that may be sent together, in groups that wait for each other: revocations; settings; sign-in; grants. A
/// change of automapping is sent by itself, one person at a time; so is each change of the mailbox itself, which
/// would conflict with another.
fn groups(steps: &[Step]) -> Vec<Vec<Step>> {
    let mut groups: Vec<Vec<Step>> = Vec::new();
    for step in steps {
        match groups.last_mut() {
            Some(group) if group.iter().all(|other| go_together(other, step)) => group.push(step.clone()),
            Some(_) | None => groups.push(vec![step.clone()]),
        }
    }
    groups
}

fn go_together(one: &Step, other: &Step) -> bool {
    let removes = |step: &Step| matches!(step, Step::Revoke { .. } | Step::Evict(_));
    let grants = |step: &Step| matches!(step, Step::Grant { .. });
    (removes(one) && removes(other)) || (grants(one) && grants(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::SignInControl;
    use crate::setting::Call;

    fn id(number: u8) -> ObjectId {
        format!("00000000-0000-4000-8000-0000000000{number:02}")
            .parse()
            .unwrap()
    }

    fn revoke(number: u8) -> Step {
        Step::Revoke {
            object_id: id(number),
            right: Right::FullAccess,
        }
    }

    fn grant(number: u8) -> Step {
        Step::Grant {
            object_id: id(number),
            right: Right::FullAccess,
            auto_mapping: false,
        }
    }

    fn remap(number: u8) -> Step {
        Step::Remap {
            object_id: id(number),
            auto_mapping: false,
        }
    }

    #[test]
    fn revocations_go_together_then_settings_then_each_remapping_alone_then_grants_together() {
        let set = Step::Set {
            call: Call::Mailbox,
            changes: vec![Change::SignIn {
                allowed: false,
                through: SignInControl::Exchange,
            }],
        };
        let steps = [
            revoke(1),
            revoke(2),
            set.clone(),
            remap(3),
            remap(4),
            grant(5),
            grant(6),
        ];
        assert_eq!(
            groups(&steps),
            vec![
                vec![revoke(1), revoke(2)],
                vec![set],
                vec![remap(3)],
                vec![remap(4)],
                vec![grant(5), grant(6)],
            ]
        );
    }
}
