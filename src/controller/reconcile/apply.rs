//! Carries a plan out, in its order. The only caller of the gateway's writes.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use crate::api::Record;
use crate::exchange::{ExchangeError, Gateway, MailboxChange, Receipt};
use crate::lane::Lane;
use crate::mail::{Holder, MailboxGuid, ObjectId, Right};
use crate::plan::{Change, Eviction, Plan, Settings, Step};

/// What came of a plan.
#[derive(Default)]
pub struct Applied {
    /// What Exchange acknowledged.
    pub acknowledged: Vec<Change>,
    /// Each write that Exchange acknowledged.
    pub writes: Vec<Write>,
    /// Steps that were done, as people read them.
    pub done: Vec<String>,
    /// Settings that Exchange refuses for good: the field and why.
    pub refused_settings: Vec<String>,
    /// Grants that Exchange refuses for good, and why.
    pub refused_grants: BTreeMap<(ObjectId, Right), String>,
    /// Grants that were not made because Exchange does not find the member: its look-up is out of date.
    pub not_found: BTreeSet<(ObjectId, Right)>,
    /// Grants that Exchange said were there already, whatever a replica shows.
    pub proven: BTreeSet<(ObjectId, Right)>,
    /// Rows whose removal Exchange answered with "doesn't exist".
    pub undeletable: BTreeSet<(Holder, Right)>,
    /// The first error that may go away; what depended on it was not tried.
    pub error: Option<ExchangeError>,
}

/// One request that changed something.
#[derive(Clone, Debug)]
pub struct Write {
    pub changes: Vec<Change>,
    /// By which Microsoft's support finds the request.
    pub request_id: Option<String>,
}

/// Where a plan is carried out.
pub struct Target<'a> {
    pub gateway: &'a Gateway,
    pub lane: Lane,
    pub guid: MailboxGuid,
    /// The account behind the mailbox, once it is known.
    pub object_id: Option<ObjectId>,
    /// Knows the SIDs of members, by which accounts that are gone are revoked.
    pub record: &'a Record,
}

impl Target<'_> {
    pub async fn apply(&self, plan: &Plan) -> Applied {
        let mut applied = Applied::default();
        for group in groups(&plan.steps) {
            let results = join_all(group.iter().map(|step| async {
                let mut applied = Applied::default();
                self.step(step, &mut applied).await;
                applied
            }))
            .await;
            for result in results {
                applied.absorb(result);
            }
            // Later steps may rely on earlier ones; the next pass takes up from here.
            if applied.error.is_some() {
                break;
            }
        }
        applied
    }

    async fn step(&self, step: &Step, applied: &mut Applied) {
        let Self {
            gateway,
            lane,
            guid,
            object_id: account,
            record: _,
        } = *self;
        let result = match step {
            Step::Set(settings) => return self.set(settings, applied).await,
            Step::Revoke { object_id, right } => self.revoke(object_id, *right, applied).await,
            Step::Evict(eviction) => self.evict(eviction, applied).await,
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
            Step::SetDirectorySignIn { allowed } => match account {
                Some(id) => gateway
                    .set_account_enabled(lane, &id, *allowed)
                    .await
                    .map(|()| Receipt::default()),
                // The next read tells the account's id.
                None => return,
            },
        };
        match (result, step) {
            (Ok(receipt), _) => applied.did(step.changes(), step.to_string(), &receipt),
            (Err(error), Step::Grant { object_id, right, .. }) if error.does_not_find(object_id) => {
                applied.not_found.insert((*object_id, *right));
            }
            (Err(error), Step::Remap { object_id, .. }) if error.does_not_find(object_id) => {
                applied.not_found.insert((*object_id, Right::FullAccess));
            }
            // Nobody knows its SID either: told and tried again slowly, while everything else goes on.
            (Err(error), Step::Revoke { object_id, right: _ }) if error.does_not_find(object_id) => {
                applied.refused_settings.push(format!("{step}: {error}"));
            }
            (Err(error), Step::Grant { object_id, right, .. }) if error.refuses_what_was_asked() => {
                applied
                    .refused_grants
                    .insert((*object_id, *right), error.to_string());
            }
            (Err(error), _) if error.refuses_what_was_asked() => {
                applied.refused_settings.push(format!("{step}: {error}"));
            }
            (Err(error), _) => applied.error = Some(error),
        }
    }

    /// Automapping is set with the grant only. A crash in between is repaired first: the record says so.
    async fn remap(&self, member: &ObjectId, auto_mapping: bool) -> Result<Receipt, ExchangeError> {
        // Whether anything was there to be removed is no matter of a grant that is given again.
        let mut unheeded = Applied::default();
        self.revoke(member, Right::FullAccess, &mut unheeded).await?;
        self.gateway
            .add_full_access(self.lane, self.guid, member, auto_mapping)
            .await
    }

    /// Takes a row away that nobody declares. Exchange may say that it does not exist: a lagging replica then still
    /// shows what is gone, or the entry is one that can't be removed.
    async fn evict(&self, eviction: &Eviction, applied: &mut Applied) -> Result<Receipt, ExchangeError> {
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
            applied.undeletable.insert((holder.clone(), *store));
            return Ok(removed.unwrap_or_default());
        }
        removed
    }

    /// Revokes by object id, and by the SID of the grant when that removes nothing: the account may be gone, and its
    /// permission would be back with it when it is restored; or it has another SID now, and the entry the old one.
    async fn revoke(
        &self,
        member: &ObjectId,
        right: Right,
        applied: &mut Applied,
    ) -> Result<Receipt, ExchangeError> {
        let by_id = self.remove(&Holder::ObjectId(*member), right).await;
        let removed_nothing = match &by_id {
            Ok(receipt) => receipt.say_not_present(),
            Err(error) => error.does_not_find(member),
        };
        let sid = self.record.sid_of(member).filter(|_| removed_nothing);
        let Some(sid) = sid else { return by_id };
        let removed = match self.remove(&Holder::Sid(sid.clone()), right).await {
            // Neither the account nor anything of it on the mailbox is left.
            Err(error) if error.does_not_find(sid.as_str()) => Ok(Receipt::default()),
            other => other,
        };
        if removed.as_ref().is_ok_and(Receipt::say_not_present) {
            applied.undeletable.insert((Holder::Sid(sid.clone()), right));
        }
        removed
    }

    async fn remove(&self, holder: &Holder, right: Right) -> Result<Receipt, ExchangeError> {
        let lane = Lane::Revocation.min(self.lane);
        match right {
            Right::FullAccess => self.gateway.remove_full_access(lane, self.guid, holder).await,
            Right::SendAs | Right::SendOnBehalf => self.gateway.remove_send_as(lane, self.guid, holder).await,
        }
    }

    /// All settings in one call; when Exchange refuses them together, each family by itself, what protects
    /// first, so that the refused one holds nothing hostage.
    async fn set(&self, settings: &Settings, applied: &mut Applied) {
        let error = match self.send(settings, applied).await {
            Ok(()) => return,
            Err(error) if error.refuses_what_was_asked() => error,
            Err(error) => {
                applied.error = Some(error);
                return;
            }
        };
        let families = settings.families();
        if let [(family, _)] = families.as_slice() {
            applied.refused_settings.push(format!("{family}: {error}"));
            return;
        }
        for (family, part) in families {
            match self.send(&part, applied).await {
                Ok(()) => {}
                Err(error) if error.refuses_what_was_asked() => {
                    applied.refused_settings.push(format!("{family}: {error}"));
                }
                Err(error) => {
                    applied.error = Some(error);
                    return;
                }
            }
        }
    }

    /// One Set-Mailbox, again without each delegate that Exchange says is gone.
    async fn send(&self, settings: &Settings, applied: &mut Applied) -> Result<(), ExchangeError> {
        let mut settings = settings.clone();
        loop {
            let change = wire(&settings);
            let error = match self.gateway.set_mailbox(self.lane, self.guid, &change).await {
                Ok(receipt) => {
                    let changes = Step::Set(settings.clone()).changes();
                    applied.did(changes, settings.to_string(), &receipt);
                    return Ok(());
                }
                Err(error) => error,
            };
            let delegates = settings.add_on_behalf.iter().chain(&settings.remove_on_behalf);
            let Some(gone) = delegates.copied().find(|id| error.does_not_find(id)) else {
                return Err(error);
            };
            if settings.remove_on_behalf.remove(&gone) {
                // The list holds objects that exist only: with its account a delegate has left it.
                applied
                    .acknowledged
                    .push(Change::Revoked(gone, Right::SendOnBehalf));
            }
            if settings.add_on_behalf.remove(&gone) {
                applied.not_found.insert((gone, Right::SendOnBehalf));
            }
            if settings.is_empty() {
                return Ok(());
            }
        }
    }
}

impl Applied {
    fn did(&mut self, changes: Vec<Change>, words: String, receipt: &Receipt) {
        if receipt.say_already_present() {
            self.proven.extend(changes.iter().filter_map(Change::granted));
        }
        self.writes.push(Write {
            changes: changes.clone(),
            request_id: receipt.request_id.clone(),
        });
        self.acknowledged.extend(changes);
        self.done.push(words);
    }

    fn absorb(&mut self, other: Self) {
        let Self {
            acknowledged,
            writes,
            done,
            refused_settings,
            refused_grants,
            not_found,
            proven,
            undeletable,
            error,
        } = other;
        self.acknowledged.extend(acknowledged);
        self.writes.extend(writes);
        self.proven.extend(proven);
        self.undeletable.extend(undeletable);
        self.done.extend(done);
        self.refused_settings.extend(refused_settings);
        self.refused_grants.extend(refused_grants);
        self.not_found.extend(not_found);
        self.error = self.error.take().or(error);
    }
}

/// Steps that may go out together, in groups that wait for each other: revocations; settings; sign-in; grants. A
/// change of automapping goes by itself, one person at a time.
fn groups(steps: &[Step]) -> Vec<Vec<Step>> {
    let mut groups: Vec<Vec<Step>> = Vec::new();
    for step in steps {
        match groups.last_mut() {
            Some(group) if group.iter().all(|other| go_together(other, step)) => group.push(step.clone()),
            _ => groups.push(vec![step.clone()]),
        }
    }
    groups
}

fn go_together(one: &Step, other: &Step) -> bool {
    let rank = |step: &Step| match step {
        Step::Revoke { .. } | Step::Evict(_) => Some(0),
        Step::Grant { .. } => Some(1),
        Step::Set(_) | Step::SetDirectorySignIn { .. } | Step::Remap { .. } | Step::ClearAutoMapping => None,
    };
    rank(one).is_some() && rank(one) == rank(other)
}

fn wire(settings: &Settings) -> MailboxChange {
    let Settings {
        marker,
        account_disabled,
        display_name,
        alias,
        primary,
        add_addresses,
        remove_addresses,
        add_on_behalf,
        remove_on_behalf,
    } = settings.clone();
    MailboxChange {
        marker,
        account_disabled,
        display_name,
        alias,
        primary,
        add_addresses: add_addresses.into_iter().collect(),
        remove_addresses: remove_addresses.into_iter().collect(),
        add_on_behalf: add_on_behalf.into_iter().collect(),
        remove_on_behalf: remove_on_behalf.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let set = Step::Set(Settings {
            display_name: Some("x".into()),
            ..Settings::default()
        });
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
