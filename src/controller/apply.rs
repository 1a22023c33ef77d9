//! Carries a plan out, in its order. The only caller of the gateway's writes.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use crate::api::Record;
use crate::exchange::{ErrorClass, ExchangeError, Gateway, MailboxChange};
use crate::lane::Lane;
use crate::mail::{MailboxGuid, ObjectId, Right};
use crate::plan::{Change, Plan, Settings, Step};

/// What came of a plan.
#[derive(Default)]
pub struct Applied {
    /// What Exchange acknowledged.
    pub acknowledged: Vec<Change>,
    /// Steps that were done, as people read them.
    pub done: Vec<String>,
    /// Settings that Exchange refuses for good: the field and why.
    pub refused_settings: Vec<String>,
    /// Grants that Exchange refuses for good, and why.
    pub refused_grants: BTreeMap<(ObjectId, Right), String>,
    /// Grants that were not made because Exchange does not find the member: its look-up is out of date.
    pub not_found: BTreeSet<(ObjectId, Right)>,
    /// The first error that may go away; what depended on it was not tried.
    pub error: Option<ExchangeError>,
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
            let results = join_all(group.iter().map(|steps| self.in_order(steps))).await;
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

    async fn in_order(&self, steps: &[Step]) -> Applied {
        let mut applied = Applied::default();
        for step in steps {
            self.step(step, &mut applied).await;
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
            Step::Revoke { object_id, right } => self.revoke(object_id, *right).await,
            Step::Grant {
                object_id,
                right: Right::FullAccess,
                auto_mapping,
            } => gateway
                .add_full_access(lane, guid, object_id, *auto_mapping)
                .await
                .map(drop),
            Step::Grant {
                object_id,
                right: Right::SendAs | Right::SendOnBehalf,
                auto_mapping: _,
            } => gateway.add_send_as(lane, guid, object_id).await.map(drop),
            Step::SetDirectorySignIn { allowed } => match account {
                Some(id) => gateway.set_account_enabled(lane, &id, *allowed).await,
                // The next read tells the account's id.
                None => return,
            },
        };
        match (result, step) {
            (Ok(()), _) => applied.did(step.changes(), step.to_string()),
            (Err(error), Step::Grant { object_id, right, .. }) if error.does_not_find(object_id) => {
                applied.not_found.insert((*object_id, *right));
            }
            // Nobody knows its SID either: told and tried again slowly, while everything else goes on.
            (Err(error), Step::Revoke { object_id, right: _ }) if error.does_not_find(object_id) => {
                applied.refused_settings.push(format!("{step}: {error}"));
            }
            (Err(error), Step::Grant { object_id, right, .. }) if is_for_good(&error) => {
                applied
                    .refused_grants
                    .insert((*object_id, *right), error.to_string());
            }
            (Err(error), _) if is_for_good(&error) => {
                applied.refused_settings.push(format!("{step}: {error}"));
            }
            (Err(error), _) => applied.error = Some(error),
        }
    }

    /// Revokes by object id, or by SID when the account is gone: its permission would be back with it when it is
    /// restored.
    async fn revoke(&self, member: &ObjectId, right: Right) -> Result<(), ExchangeError> {
        let lane = Lane::Revocation.min(self.lane);
        let (gateway, guid) = (self.gateway, self.guid);
        let removed = match right {
            Right::FullAccess => gateway.remove_full_access(lane, guid, member).await,
            Right::SendAs | Right::SendOnBehalf => gateway.remove_send_as(lane, guid, member).await,
        };
        let gone = match removed {
            Ok(_) => return Ok(()),
            Err(error) if error.does_not_find(member) => error,
            Err(error) => return Err(error),
        };
        let Some(sid) = self.record.sid_of(member) else {
            return Err(gone);
        };
        let rest = match right {
            Right::FullAccess => gateway.remove_full_access_by_sid(lane, guid, sid).await,
            Right::SendAs | Right::SendOnBehalf => gateway.remove_send_as_by_sid(lane, guid, sid).await,
        };
        match rest {
            // Neither the account nor anything of it on the mailbox is left.
            Err(error) if error.does_not_find(sid.as_str()) => Ok(()),
            other => other.map(drop),
        }
    }

    /// All settings in one call; when Exchange refuses them together, each family by itself, what protects
    /// first, so that the refused one holds nothing hostage.
    async fn set(&self, settings: &Settings, applied: &mut Applied) {
        let error = match self.send(settings, applied).await {
            Ok(()) => return,
            Err(error) if is_for_good(&error) => error,
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
                Err(error) if is_for_good(&error) => {
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
            let sent = self.gateway.set_mailbox(self.lane, self.guid, &change).await;
            let Err(error) = sent else {
                applied.did(Step::Set(settings.clone()).changes(), settings.to_string());
                return Ok(());
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
    fn did(&mut self, changes: Vec<Change>, words: String) {
        self.acknowledged.extend(changes);
        self.done.push(words);
    }

    fn absorb(&mut self, other: Self) {
        let Self {
            acknowledged,
            done,
            refused_settings,
            refused_grants,
            not_found,
            error,
        } = other;
        self.acknowledged.extend(acknowledged);
        self.done.extend(done);
        self.refused_settings.extend(refused_settings);
        self.refused_grants.extend(refused_grants);
        self.not_found.extend(not_found);
        self.error = self.error.take().or(error);
    }
}

/// True when a retry with the same values can't help.
fn is_for_good(error: &ExchangeError) -> bool {
    matches!(error.class, ErrorClass::Invalid | ErrorClass::Conflict)
}

/// Steps that may go out together, in groups that wait for each other: revocations; settings; sign-in;
/// grants, the two halves of a remapping in order and one person at a time.
fn groups(steps: &[Step]) -> Vec<Vec<Vec<Step>>> {
    let mut groups: Vec<Vec<Vec<Step>>> = Vec::new();
    let mut position = 0;
    while let Some(step) = steps.get(position) {
        let pair = match (step, steps.get(position + 1)) {
            (
                Step::Revoke { object_id, right },
                Some(Step::Grant {
                    object_id: again,
                    right: same,
                    ..
                }),
            ) => object_id == again && right == same,
            _ => false,
        };
        let chain = steps
            .get(position..=position + usize::from(pair))
            .unwrap_or_default()
            .to_vec();
        position += chain.len().max(1);
        match groups.last_mut() {
            Some(group) if !pair && group.iter().all(|other| go_together(other, &chain)) => group.push(chain),
            _ => groups.push(vec![chain]),
        }
    }
    groups
}

fn go_together(one: &[Step], other: &[Step]) -> bool {
    let rank = |chain: &[Step]| match chain {
        [Step::Revoke { .. }] => 0,
        [Step::Grant { .. }] => 1,
        _ => 2,
    };
    rank(one) == rank(other) && rank(one) < 2
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
            revoke(3),
            grant(3),
            revoke(4),
            grant(4),
            grant(5),
            grant(6),
        ];
        assert_eq!(
            groups(&steps),
            vec![
                vec![vec![revoke(1)], vec![revoke(2)]],
                vec![vec![set]],
                vec![vec![revoke(3), grant(3)]],
                vec![vec![revoke(4), grant(4)]],
                vec![vec![grant(5)], vec![grant(6)]],
            ]
        );
    }
}
