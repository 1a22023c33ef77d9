//! What writes show, tried on a mailbox that is created for it and removed afterwards.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use super::finding::{Findings, described};
use super::reading::{LANE, nobodys};
use super::{DoctorError, Scratch};
use crate::clock::Clock;
use crate::exchange::{
    DirectoryUser, ExchangeError, Gateway, MailboxRow, Parameters, RecipientIdentity, RecipientQuery,
    RemovalError, ScratchMailbox,
};
use crate::mail::{Holder, MarkerOwner, Nickname, ObjectId, OneTimeName, Sid, SmtpAddress};
use crate::rng::Rng;
use crate::setting::Call;

/// Between two reads of what a write has come to.
const PAUSE: Duration = Duration::from_secs(5);
/// Exchange takes seconds, sometimes minutes, to show a new mailbox.
const CREATED: Duration = Duration::from_mins(5);
/// Replicas show a write within this time, or it did nothing.
const SHOWN: Duration = Duration::from_mins(2);
/// What a custom attribute holds.
const LONGEST_ATTRIBUTE: usize = 1024;

/// Everything that is needed to try.
pub struct Bench<'a> {
    pub gateway: &'a Gateway,
    pub clock: Clock,
    pub rng: &'a Rng,
}

impl Bench<'_> {
    /// Tries everything, or as much as goes before `stop` ends, and removes the mailbox. What could not be removed comes back
    /// as an instruction.
    pub async fn run(
        &self,
        scratch: &Scratch,
        stop: impl Future<Output = ()>,
        findings: &mut Findings,
    ) -> Result<Option<String>, DoctorError> {
        let name = OneTimeName::from_random_bits(self.rng.bits());
        let alias = Nickname::derived_from(scratch.address.local_part());
        let created = self
            .gateway
            .create_scratch(LANE, &scratch.address, alias, name.clone())
            .await;
        let mailbox = match created {
            Ok(mailbox) => mailbox,
            Err(error) if error.class.leaves_doubt() => {
                findings.differs("create-answers-ids", described(&error));
                return Ok(Some(perhaps_created(&name)));
            }
            Err(error) => return Err(DoctorError::NotCreated(error)),
        };
        findings.judge(
            "create-answers-ids",
            mailbox.ids_were_answered,
            "it does",
            "they had to be looked up",
        );
        tokio::select! {
            biased;
            () = stop => {}
            () = self.try_all(&mailbox, scratch.member.as_ref(), findings) => {}
        }
        Ok(self.remove(&mailbox, &scratch.address, &name).await)
    }

    async fn try_all(&self, mailbox: &ScratchMailbox, member: Option<&SmtpAddress>, findings: &mut Findings) {
        let Some(row) = self.first_read(mailbox, findings).await else {
            return;
        };
        let account = self.first_account(mailbox, findings).await;
        let owner = nobodys(self.rng);
        self.attribute(mailbox, &owner, findings).await;
        self.block(mailbox, &row, account, findings).await;
        if let Some(member) = member {
            self.rights(mailbox, member, findings).await;
        }
    }

    /// Asks again until the answer is there, or for as long as `patience`; with how long it took.
    async fn eventually<T>(
        &self,
        patience: Duration,
        ask: impl AsyncFn() -> Option<T>,
    ) -> Option<(T, Duration)> {
        let began = self.clock.instant();
        loop {
            let found = ask().await;
            let took = self.clock.instant().duration_since(began);
            match found {
                Some(found) => return Some((found, took)),
                None if took >= patience => return None,
                None => self.clock.sleep(PAUSE).await,
            }
        }
    }

    async fn row(&self, mailbox: &ScratchMailbox) -> Option<MailboxRow> {
        self.gateway.mailbox(LANE, mailbox.guid(), &[]).await.ok()
    }

    async fn set(
        &self,
        mailbox: &ScratchMailbox,
        change: impl FnOnce(&mut Parameters),
    ) -> Result<bool, ExchangeError> {
        let mut parameters = Parameters::default();
        change(&mut parameters);
        let receipt = self
            .gateway
            .change(LANE, Call::Mailbox, mailbox.guid(), &parameters)
            .await?;
        Ok(receipt.say_no_change())
    }

    async fn first_read(&self, mailbox: &ScratchMailbox, findings: &mut Findings) -> Option<MailboxRow> {
        let seen = self.eventually(CREATED, async || self.row(mailbox).await).await;
        let Some((row, took)) = seen else {
            findings.differs("first-write-lag", "not shown by then");
            return None;
        };
        findings.holds("first-write-lag", format!("after {} s", took.as_secs()));
        Some(row)
    }

    async fn first_account(
        &self,
        mailbox: &ScratchMailbox,
        findings: &mut Findings,
    ) -> Option<DirectoryUser> {
        const NAME: &str = "new-account-state";
        let id = mailbox.object_id();
        let asked = self
            .eventually(SHOWN, async || {
                match self.gateway.directory_user(LANE, &id).await {
                    Err(error) if error.class.is_absence() => None,
                    answer => Some(answer),
                }
            })
            .await;
        match asked {
            Some((Ok(user), _)) => {
                findings.judge(NAME, !user.account_enabled, "disabled", "enabled");
                Some(user)
            }
            Some((Err(error), _)) => {
                findings.not_seen(NAME, described(&error));
                None
            }
            None => {
                findings.not_seen(NAME, "Entra does not show the account");
                None
            }
        }
    }

    /// A marker of full length, found by its beginning; and the same write once more.
    async fn attribute(&self, mailbox: &ScratchMailbox, owner: &MarkerOwner, findings: &mut Findings) {
        let start = owner.start_of_marker();
        let text = format!(
            "{start}{}",
            "x".repeat(LONGEST_ATTRIBUTE.saturating_sub(start.len()))
        );
        let write = |parameters: &mut Parameters| parameters.set("CustomAttribute15", text.as_str());
        if let Err(error) = self.set(mailbox, write).await {
            return findings.differs("long-attribute", described(&error));
        }
        let holds = async || {
            self.row(mailbox)
                .await
                .filter(|row| row.custom_attribute(15) == text)
        };
        let is_shown = self.eventually(SHOWN, holds).await.is_some();
        findings.judge("long-attribute", is_shown, "it does", "it reads back otherwise");
        let query = [RecipientQuery::Marker(15, owner.clone())];
        let is_found = async || {
            let found = self.gateway.find_recipients(LANE, &query).await.ok()?;
            found
                .iter()
                .any(|row| row.guid == Some(mailbox.guid()))
                .then_some(())
        };
        let is_found = self.eventually(SHOWN, is_found).await.is_some();
        findings.judge("filter-by-prefix", is_found, "found", "not found");
        match self.set(mailbox, write).await {
            Ok(says_so) => findings.judge("no-change-is-a-warning", says_so, "it does", "it does not"),
            Err(error) => findings.differs("no-change-is-a-warning", described(&error)),
        }
    }

    /// Blocks sign-in, through Exchange first. It is never opened.
    async fn block(
        &self,
        mailbox: &ScratchMailbox,
        row: &MailboxRow,
        account: Option<DirectoryUser>,
        findings: &mut Findings,
    ) {
        const THROUGH_EXCHANGE: &str = "exchange-blocks-sign-in";
        let id = mailbox.object_id();
        let is_blocked = async || {
            let user = self.gateway.directory_user(LANE, &id).await.ok()?;
            (!user.account_enabled).then_some(())
        };
        match account {
            Some(user) if user.account_enabled => {
                let agrees = row.account_disabled != user.account_enabled;
                findings.judge(
                    "exchange-agrees-with-entra",
                    agrees,
                    "it does, of a new mailbox",
                    "it does not, of a new mailbox",
                );
                match self
                    .set(mailbox, |parameters| parameters.set("AccountDisabled", true))
                    .await
                {
                    Ok(_) => {
                        let is_shown = self.eventually(SHOWN, is_blocked).await.is_some();
                        findings.judge(THROUGH_EXCHANGE, is_shown, "it does", "it does not");
                    }
                    Err(error) => findings.differs(THROUGH_EXCHANGE, described(&error)),
                }
            }
            Some(_) => findings.not_seen(THROUGH_EXCHANGE, "the account was disabled from the start"),
            None => findings.not_seen(THROUGH_EXCHANGE, "the account can't be read"),
        }
        match self.gateway.set_account_enabled(LANE, &id, false).await {
            Ok(()) => findings.holds("graph-blocks-sign-in", "it does"),
            Err(error) => findings.differs("graph-blocks-sign-in", described(&error)),
        }
    }

    /// Rights of a person on the mailbox, given and taken.
    async fn rights(&self, mailbox: &ScratchMailbox, member: &SmtpAddress, findings: &mut Findings) {
        const BY_ID: &str = "member-by-object-id";
        let identity = RecipientIdentity::Address(member.clone());
        let member = match self
            .gateway
            .recipient(LANE, &identity)
            .await
            .map(|row| row.object_id)
        {
            Ok(Some(member)) => member,
            Ok(None) => return findings.not_seen(BY_ID, "the member has no object id"),
            Err(error) => return findings.not_seen(BY_ID, format!("the member: {}", described(&error))),
        };
        let before = self.holders(mailbox).await;
        if let Err(error) = self.grant(mailbox, &member).await {
            return findings.differs(BY_ID, described(&error));
        }
        let sid = self.sid_of_new_rights(mailbox, &before, findings).await;
        self.asked_for(mailbox, &member, sid.as_ref(), findings).await;
        match self
            .gateway
            .add_full_access(LANE, mailbox.guid(), &member, false)
            .await
        {
            Ok(receipt) => {
                findings.judge(
                    "repeat-is-a-warning",
                    receipt.say_already_present(),
                    "it is",
                    "no warning",
                );
            }
            Err(error) => findings.differs("repeat-is-a-warning", described(&error)),
        }
        self.on_behalf(mailbox, &member, findings).await;
        self.revoke(mailbox, &member, sid, findings).await;
    }

    async fn grant(&self, mailbox: &ScratchMailbox, member: &ObjectId) -> Result<(), ExchangeError> {
        self.gateway
            .add_full_access(LANE, mailbox.guid(), member, false)
            .await?;
        self.gateway.add_send_as(LANE, mailbox.guid(), member).await?;
        Ok(())
    }

    /// The SIDs in both lists; none where they can't be read.
    async fn holders(&self, mailbox: &ScratchMailbox) -> [BTreeSet<Sid>; 2] {
        let (full_access, send_as) = futures::join!(
            self.gateway.full_access(LANE, mailbox.guid(), None),
            self.gateway.send_as(LANE, mailbox.guid(), None),
        );
        [
            full_access
                .into_iter()
                .flatten()
                .filter_map(|row| row.sid)
                .collect(),
            send_as.into_iter().flatten().filter_map(|row| row.sid).collect(),
        ]
    }

    async fn sid_of_new_rights(
        &self,
        mailbox: &ScratchMailbox,
        before: &[BTreeSet<Sid>; 2],
        findings: &mut Findings,
    ) -> Option<Sid> {
        let news = async || {
            let [full_access, send_as] = self.holders(mailbox).await;
            let full_access: Vec<Sid> = full_access.difference(&before[0]).cloned().collect();
            let send_as: Vec<Sid> = send_as.difference(&before[1]).cloned().collect();
            (!full_access.is_empty() && !send_as.is_empty()).then_some((full_access, send_as))
        };
        let Some(((full_access, send_as), _)) = self.eventually(SHOWN, news).await else {
            findings.differs("grant-shows-its-sid", "no new SID in both lists");
            return None;
        };
        let is_one = full_access.len() == 1 && full_access == send_as;
        findings.judge("grant-shows-its-sid", is_one, "it does", "different SIDs");
        full_access.into_iter().next()
    }

    async fn asked_for(
        &self,
        mailbox: &ScratchMailbox,
        member: &ObjectId,
        sid: Option<&Sid>,
        findings: &mut Findings,
    ) {
        const NAME: &str = "asked-for-one-user";
        match self.gateway.full_access(LANE, mailbox.guid(), Some(member)).await {
            Ok(rows) => {
                let sids: BTreeSet<_> = rows.iter().filter_map(|row| row.sid.as_ref()).collect();
                let is_theirs = sids.len() == 1 && sid.is_some_and(|sid| sids.contains(sid));
                let otherwise = format!("{} SIDs, or another one", sids.len());
                findings.judge(NAME, is_theirs, "one SID, theirs", &otherwise);
            }
            Err(error) => findings.differs(NAME, described(&error)),
        }
    }

    async fn on_behalf(&self, mailbox: &ScratchMailbox, member: &ObjectId, findings: &mut Findings) {
        const NAME: &str = "on-behalf-is-an-id";
        let id = member.to_string();
        if let Err(error) = self
            .set(mailbox, |set| set.add("GrantSendOnBehalfTo", id.clone()))
            .await
        {
            return findings.differs(NAME, described(&error));
        }
        let shown = async || self.row(mailbox).await.filter(|row| !row.on_behalf.is_empty());
        match self.eventually(SHOWN, shown).await {
            Some((row, _)) => {
                let is_id = row
                    .on_behalf
                    .iter()
                    .all(|text| text.parse::<ObjectId>().is_ok_and(|id| id == *member));
                findings.judge(NAME, is_id, "an id, theirs", "a name");
            }
            None => findings.differs(NAME, "not shown"),
        }
    }

    /// Full Access by SID, Send As by object id.
    async fn revoke(
        &self,
        mailbox: &ScratchMailbox,
        member: &ObjectId,
        sid: Option<Sid>,
        findings: &mut Findings,
    ) {
        let (guid, by_id) = (mailbox.guid(), Holder::ObjectId(*member));
        let Some(sid) = sid else {
            findings.not_seen("removed-by-sid", "the SID is not known");
            return findings.not_seen("member-by-object-id", "granted; what was granted is not shown");
        };
        let lacks = async |list: usize| {
            let holders = self.holders(mailbox).await;
            (!holders[list].contains(&sid)).then_some(())
        };
        match self
            .gateway
            .remove_full_access(LANE, guid, &Holder::Sid(sid.clone()))
            .await
        {
            Ok(_) => {
                let is_gone = self.eventually(SHOWN, async || lacks(0).await).await.is_some();
                findings.judge(
                    "removed-by-sid",
                    is_gone,
                    "removed",
                    "acknowledged, and still there",
                );
            }
            Err(error) => findings.differs("removed-by-sid", described(&error)),
        }
        match self.gateway.remove_send_as(LANE, guid, &by_id).await {
            Ok(_) => {
                let is_gone = self.eventually(SHOWN, async || lacks(1).await).await.is_some();
                findings.judge("member-by-object-id", is_gone, "both", "granted, and not revoked");
            }
            Err(error) => findings.differs("member-by-object-id", described(&error)),
        }
    }

    /// None when it is gone.
    async fn remove(
        &self,
        mailbox: &ScratchMailbox,
        address: &SmtpAddress,
        name: &OneTimeName,
    ) -> Option<String> {
        let attempt = async || match self.gateway.remove_scratch(LANE, mailbox).await {
            // A replica that does not show it yet.
            Err(RemovalError::Failed(error)) if error.class.is_absence() => None,
            result => Some(result),
        };
        let why = match self.eventually(CREATED, attempt).await {
            Some((Ok(()), _)) => return None,
            Some((Err(error), _)) => error.to_string(),
            None => "Exchange does not show it".to_owned(),
        };
        Some(format!(
            "the scratch mailbox {address} is still there: {why}. Remove it by hand, in Exchange Online PowerShell, after \
             you have seen that its name is {name}:\n  Get-Mailbox {guid} | Format-List DisplayName,PrimarySmtpAddress\n  \
             Remove-Mailbox {guid}",
            name = name.as_str(),
            guid = mailbox.guid(),
        ))
    }
}

/// The create was not answered, and its mailbox is not found.
fn perhaps_created(name: &OneTimeName) -> String {
    format!(
        "nobody knows whether the scratch mailbox was created. Search for it in a few minutes, in Exchange Online \
         PowerShell, and remove what is found:\n  Get-Mailbox -Filter \"DisplayName -eq '{name}'\"\n  Remove-Mailbox \
         GUID",
        name = name.as_str(),
    )
}
