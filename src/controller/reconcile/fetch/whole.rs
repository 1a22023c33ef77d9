//! One mailbox, read whole.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::failed::{Failed, unread};
use super::reads::{NotSeen, Reads};
use super::rows;
use crate::controller::reconcile::observation::ObservedMailbox;
use crate::exchange::{ExchangeError, FailedRead, RecipientIdentity, SettingsRow};
use crate::fair::some_at_once;
use crate::ledger::Ledger;
use crate::mail::{MailboxGuid, ObjectId, Right, Sid};
use crate::plan::{
    Account, Asked, Desired, FAMILIES, Holders, OnBehalf, Read, ShownSettings, Unread, WantedGrant, shown_by,
};
use crate::setting::{Source, Value, Values, Who};

impl Reads<'_> {
    /// Reads one mailbox whole, in one batch: itself, its two permission lists, and a question for each
    /// wanted member whose SID nobody knows yet; its account in Graph where the app may read users; and whatever shows
    /// the settings that are declared.
    pub async fn mailbox(
        &self,
        guid: MailboxGuid,
        account: Option<ObjectId>,
        desired: &Desired,
        ledger: &Ledger,
    ) -> Result<ObservedMailbox, NotSeen> {
        let gateway = &self.tenant.gateway;
        let asks = questions(&desired.grants, ledger, &self.misnamed);
        let of = |right: Right| {
            asks.iter()
                .filter(move |(_, asked)| *asked == right)
                .map(|(id, _)| *id)
        };
        let ask_full_access = of(Right::FullAccess).map(|id| async move {
            let rows = gateway.full_access(self.lane, guid, Some(&id)).await;
            (id, none_if_gone(rows, &id))
        });
        let ask_send_as = of(Right::SendAs).map(|id| async move {
            let rows = gateway.send_as(self.lane, guid, Some(&id)).await;
            (id, none_if_gone(rows, &id))
        });
        let account_state = async {
            match account {
                Some(id) => self.account(id).await,
                None => Account::NotShown,
            }
        };
        let settings = shown_by(Source::Mailbox, desired.families());
        let (row, full_access, send_as, asked_full_access, asked_send_as, mut shown_account, further) = futures::join!(
            gateway.mailbox(self.lane, guid, &settings),
            gateway.full_access(self.lane, guid, None),
            gateway.send_as(self.lane, guid, None),
            some_at_once(ask_full_access.collect()),
            some_at_once(ask_send_as.collect()),
            account_state,
            self.further(guid, desired),
        );
        // The marker is on it: without it nothing is written. Whether people can sign in is a fact all the same.
        let row = row.map_err(|error| NotSeen {
            error,
            account: shown_account.clone(),
        })?;
        // The mailbox itself says which account is behind it; what the status says was only a head start.
        if let Some(id) = row.object_id.filter(|id| account != Some(*id)) {
            shown_account = self.account(id).await;
        }
        let on_behalf = self.on_behalf(&row.on_behalf).await;
        let mut shown = ShownSettings::from([(Source::Mailbox, Ok(row.settings.clone()))]);
        let further = further.into_iter();
        shown.extend(further.map(|(source, answer)| (source, of_account(source, answer, row.object_id))));
        for values in shown.values_mut().filter_map(|values| values.as_mut().ok()) {
            self.tie_recipients(values, desired).await;
        }
        let mut observed = rows::plain(&row, self.tenant.marker_attribute);
        let mut failed = Failed::default();
        observed.full_access = Holders {
            entries: failed
                .or_nothing(Read::FullAccess, full_access)
                .iter()
                .filter_map(rows::full_access_entry)
                .collect(),
            asked: failed
                .answered(asked_full_access)
                .map(|(id, rows)| (id, one_of(rows.iter().filter_map(rows::full_access_holder))))
                .collect(),
        };
        observed.send_as = Holders {
            entries: failed
                .or_nothing(Read::SendAs, send_as)
                .iter()
                .filter_map(rows::send_as_entry)
                .collect(),
            asked: failed
                .answered(asked_send_as)
                .map(|(id, rows)| (id, one_of(rows.iter().filter_map(rows::send_as_holder))))
                .collect(),
        };
        observed.on_behalf = on_behalf;
        observed.account = shown_account;
        observed.settings = shown;
        observed.identities = self.identities(desired, &observed, ledger, &mut failed).await;
        let Failed { reads, unanswered } = failed;
        (observed.unread, observed.unanswered) = (reads, unanswered);
        Ok(ObservedMailbox {
            observed,
            kind: row.kind,
            nickname: row.nickname,
            is_mastered_elsewhere: row.is_mastered_elsewhere,
        })
    }

    /// Every setting of a mailbox, as it is shown now: once, before it is taken over.
    pub async fn every_setting(&self, guid: MailboxGuid, account: Option<ObjectId>) -> ShownSettings {
        let names: Vec<&'static str> = FAMILIES.iter().map(|family| family.name).collect();
        let gateway = &self.tenant.gateway;
        let own = shown_by(Source::Mailbox, &names);
        let further = Source::FURTHER.map(|source| {
            let settings = shown_by(source, &names);
            async move { (source, gateway.settings(self.lane, source, guid, &settings).await) }
        });
        let (own, further) = futures::join!(gateway.mailbox(self.lane, guid, &own), join_all(further));
        let own = own.map(|row| row.settings).map_err(|error| unread(&error));
        let further = further.into_iter();
        let further = further.map(|(source, answer)| (source, of_account(source, answer, account)));
        std::iter::once((Source::Mailbox, own)).chain(further).collect()
    }

    /// What cmdlets beside Get-Mailbox show, each asked only when something that it shows is declared. It only explains
    /// settings, so a failure fails nothing else.
    async fn further(
        &self,
        guid: MailboxGuid,
        desired: &Desired,
    ) -> Vec<(Source, Result<SettingsRow, ExchangeError>)> {
        let reads = Source::FURTHER.into_iter().filter_map(|source| {
            let settings = shown_by(source, desired.families());
            (!settings.is_empty()).then_some(async move {
                let gateway = &self.tenant.gateway;
                (source, gateway.settings(self.lane, source, guid, &settings).await)
            })
        });
        join_all(reads).await
    }

    /// Recipients that are shown by name are tied to their ids: those whom settings wish are known, others are looked up.
    /// Somebody whom Exchange does not find is a stranger; when that is not known, the property is unread.
    async fn tie_recipients(&self, values: &mut Values, desired: &Desired) {
        let names: BTreeSet<String> = values
            .iter()
            .filter_map(|(_, value)| value.as_recipients())
            .flatten()
            .filter_map(|who| match who {
                Who::Shown(name) => Some(name.clone()),
                Who::Written(_) | Who::Id(_) => None,
            })
            .collect();
        let look_up = names.into_iter().map(|name| async move {
            let who = self.who(&name, desired).await;
            (Who::Shown(name), who)
        });
        let known: BTreeMap<Who, Option<Who>> = join_all(look_up).await.into_iter().collect();
        if known.is_empty() {
            return;
        }
        let tied = std::mem::take(values)
            .into_iter()
            .filter_map(|(parameter, value)| {
                let Some(recipients) = value.as_recipients() else {
                    return Some((parameter, value));
                };
                let tie = |who: &Who| known.get(who).cloned().unwrap_or_else(|| Some(who.clone()));
                let recipients: Option<BTreeSet<Who>> = recipients.iter().map(tie).collect();
                Some((parameter, Value::Recipients(recipients?)))
            });
        *values = tied.collect();
    }

    /// None: nobody knows who it is.
    async fn who(&self, name: &str, desired: &Desired) -> Option<Who> {
        if let Some(id) = desired.recipients.get(&name.to_lowercase()) {
            return Some(Who::Id(*id));
        }
        let identity = RecipientIdentity::read_back(name)?;
        match self.tenant.gateway.recipient(self.lane, &identity).await {
            Ok(row) => row.object_id.map(Who::Id),
            Err(error) if error.class.is_absence() => Some(Who::Shown(name.to_owned())),
            Err(_) => None,
        }
    }

    /// What Entra shows of an account. It is wanted, not needed: a failure is an answer of its own.
    async fn account(&self, id: ObjectId) -> Account {
        match self.tenant.gateway.directory_user(self.lane, &id).await {
            Ok(user) if user.account_enabled => Account::Open,
            Ok(_) => Account::Blocked,
            Err(error) => match error.class.of_a_read() {
                FailedRead::Absent => Account::NotShown,
                FailedRead::NotAllowed => Account::Denied(error.to_string()),
                FailedRead::Nothing => Account::Unread(error.to_string()),
            },
        }
    }

    /// Ids as they are; names, which older objects show, are looked up. What can't be tied stays unknown.
    async fn on_behalf(&self, entries: &[String]) -> OnBehalf {
        let mut on_behalf = OnBehalf::default();
        let mut names = Vec::new();
        for entry in entries {
            match entry.parse() {
                Ok(id) => {
                    on_behalf.ids.insert(id);
                }
                Err(_) => names.push(entry),
            }
        }
        let looked_up = join_all(names.into_iter().map(|name| async move {
            let identity = RecipientIdentity::read_back(name)?;
            self.tenant
                .gateway
                .recipient(self.lane, &identity)
                .await
                .ok()?
                .object_id
        }));
        for id in looked_up.await {
            match id {
                Some(id) => {
                    on_behalf.ids.insert(id);
                }
                None => on_behalf.untied += 1,
            }
        }
        on_behalf
    }
}

/// Only the row of the account behind the mailbox counts, where rows say whose they are.
fn of_account(
    source: Source,
    answer: Result<SettingsRow, ExchangeError>,
    account: Option<ObjectId>,
) -> Result<Values, Unread> {
    match answer {
        Ok(row) if source.owner().is_none() || (row.object_id.is_some() && row.object_id == account) => {
            Ok(row.settings)
        }
        Ok(_) => Err(Unread {
            why: format!(
                "{} did not show that it answered for this mailbox",
                source.cmdlet()
            ),
            may_pass: false,
        }),
        // A mailbox that was created minutes ago is not found.
        Err(error) => Err(unread(&error)),
    }
}

/// Whoever Exchange does not find has no rows. An error about the mailbox stays one.
fn none_if_gone<T>(rows: Result<Vec<T>, ExchangeError>, member: &ObjectId) -> Result<Vec<T>, ExchangeError> {
    match rows {
        Err(error) if error.does_not_find(member) => Ok(Vec::new()),
        other => other,
    }
}

/// The SID of somebody's entries. Who has entries under several, of which one is a former one, has none that stands for
/// all of them.
fn one_of(sids: impl Iterator<Item = Sid>) -> Asked {
    let mut sids: BTreeSet<Sid> = sids.collect();
    match (sids.len(), sids.pop_first()) {
        (0, _) | (_, None) => Asked::Nothing,
        (1, Some(sid)) => Asked::One(sid),
        (_, Some(first)) => {
            sids.insert(first);
            Asked::Several(sids)
        }
    }
}

/// One question for each wanted member without a known SID, about the right whose row shows it first; and about each right
/// whose entry turned out to carry another SID than the one that is known.
fn questions(
    wanted: &BTreeMap<(ObjectId, Right), WantedGrant>,
    ledger: &Ledger,
    misnamed: &BTreeSet<(ObjectId, Right)>,
) -> BTreeSet<(ObjectId, Right)> {
    let mut asks = BTreeMap::new();
    for (id, right) in wanted.keys() {
        // Send on Behalf has no rows; a person's SID is the same for both other rights.
        if *right != Right::SendOnBehalf && ledger.sid_of(id).is_none() {
            asks.entry(*id).or_insert(*right);
        }
    }
    let unnamed = asks.into_iter();
    let misnamed = misnamed.iter().filter(|key| wanted.contains_key(key));
    unnamed.chain(misnamed.copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_row_of_the_account_behind_the_mailbox_says_anything_about_it() {
        let id = |number: u8| -> ObjectId {
            format!("00000000-0000-4000-8000-0000000000{number:02}")
                .parse()
                .unwrap()
        };
        let row = |object_id| {
            Ok(SettingsRow {
                object_id,
                settings: Values::of([("ImapEnabled", Some(Value::Flag(true)))]),
            })
        };
        assert!(of_account(Source::Cas, row(Some(id(1))), Some(id(1))).is_ok());
        for (shown, behind) in [
            (Some(id(2)), Some(id(1))),
            (None, Some(id(1))),
            (None, None),
            (Some(id(1)), None),
        ] {
            assert!(
                of_account(Source::Regional, row(shown), behind).is_ok(),
                "its rows name nobody"
            );
            assert!(
                of_account(Source::Cas, row(shown), behind).is_err(),
                "{shown:?} {behind:?}"
            );
        }
    }
}
