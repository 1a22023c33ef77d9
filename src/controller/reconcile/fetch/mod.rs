//! What Exchange and the directory show. Reads only.

mod failed;
mod holding;
mod identities;
mod locate;
mod members;
mod reads;
pub(super) mod rows;
mod whole;

use std::time::Duration;

use kube::ResourceExt;

use super::observation::{Found, Observation, ObservedMailbox};
use super::outcome::{Outcome, Progress, Stall};
use super::prepared::Prepared;
use super::task::Reconcile;
use super::validate::{self, Wanted};
use crate::api::condition::whole_seconds;
use crate::api::{Adoption, RECREATE};
use crate::exchange::ExchangeError;
use crate::ledger::Ledger;
use crate::mail::{MailboxGuid, Marker};
use crate::plan::{Account, Desired, Purpose, SHOWN_BY_THEN};

use locate::Located;
use reads::{NotSeen, Reads};

/// How long a mailbox that Exchange does not find is looked up again before it counts as gone. Longer than the
/// minutes by which replicas lag.
const LOSS_CONFIRMED: Duration = Duration::from_mins(5);

/// Replicas show a new mailbox within minutes. After so long it was deleted, or never was.
const SHOWN_AFTER_CREATE: Duration = Duration::from_hours(24);

impl Reconcile<'_> {
    pub(super) async fn fetch(&mut self, prepared: &mut Prepared) -> Result<Observation, Outcome> {
        let of_error = |error: ExchangeError| Outcome::of_error(&error);
        self.begin_again_if_asked(prepared).await?;
        // A mailbox that is being taken over is searched for by its address, until it is ours.
        let is_ours = prepared.ledger.adopting.is_none() || prepared.purpose.is_without_resource();
        let known = self.known_mailbox(&prepared.ledger).filter(|_| is_ours);
        let (directory, located) = {
            let reads = self.reads(prepared);
            let members = reads.directory(&prepared.admitted, &prepared.ledger);
            let mailbox = async {
                match known {
                    Some(guid) => Ok(Located::Mailbox(guid)),
                    None => reads.locate(prepared).await,
                }
            };
            futures::join!(members, mailbox)
        };
        let located = located.map_err(of_error)?;
        if known.is_none() {
            Box::pin(self.remember_found(prepared, &located)).await?;
        }
        let prepared = &*prepared;
        let reads = self.reads(prepared);
        let wanted = validate::resolve(
            &prepared.admitted,
            self.account(),
            &prepared
                .tenant
                .rules
                .of(&self.key.namespace, &prepared.admitted.judged),
            &prepared.tenant.departed,
            &directory,
            &prepared.ledger,
        );
        let desired = validate::desired(prepared, &wanted);
        let found = match located {
            Located::Mailbox(guid) | Located::Existing(guid) => {
                Found::Mailbox(Box::new(self.read(prepared, &reads, guid, &desired).await?))
            }
            Located::Nowhere(nickname) => {
                self.ledger.is_unseen = true;
                Found::Nowhere(nickname)
            }
            Located::Taken(why) => {
                self.ledger.is_unseen = true;
                return Err(Outcome::Stalled(Stall::AddressInUse(why)));
            }
        };
        Ok(Observation {
            wanted,
            desired,
            directory,
            found,
        })
    }

    pub(super) fn reads<'b>(&self, prepared: &'b Prepared) -> Reads<'b> {
        Reads {
            tenant: &prepared.tenant,
            lane: self.lane,
            now: self.context.clock.instant(),
            misnamed: self
                .context
                .state
                .remember(self.key, |memory| memory.tries.misnamed.clone()),
        }
    }

    /// A mailbox that is gone stays gone until somebody asks for a new one in its place; and it must be gone now.
    async fn begin_again_if_asked(&mut self, prepared: &mut Prepared) -> Result<(), Outcome> {
        // What is refused, paused or only observed creates nothing.
        if prepared.purpose != Purpose::Keep {
            return Ok(());
        }
        let spec = self.ledger.spec().filter(|spec| spec.gone_at.is_some());
        let lost = spec.and_then(|spec| spec.mailbox.as_ref().map(|mailbox| mailbox.guid));
        let asked = self.object.annotations().get(RECREATE);
        let Some(lost) = lost.filter(|lost| asked.is_some_and(|asked| asked.parse() == Ok(*lost))) else {
            return Ok(());
        };
        let desired = validate::desired(prepared, &Wanted::default());
        let read = self
            .reads(prepared)
            .mailbox(lost, None, &desired, &prepared.ledger)
            .await;
        match read {
            Err(not_seen) if not_seen.error.class.is_absence() => {
                self.begin_again(&prepared.tenant, lost);
                prepared.ledger = Ledger::default();
                Ok(())
            }
            Err(not_seen) => Err(Outcome::of_error(&not_seen.error)),
            Ok(_) => Ok(()),
        }
    }

    async fn remember_found(&mut self, prepared: &mut Prepared, located: &Located) -> Result<(), Outcome> {
        match located {
            Located::Mailbox(guid) => {
                self.give_up_other(prepared, Some(*guid)).await?;
                self.remember_located(prepared, *guid).await
            }
            Located::Existing(guid) => {
                self.give_up_other(prepared, Some(*guid)).await?;
                self.remember_existing(prepared, *guid).await
            }
            Located::Nowhere(_) | Located::Taken(_) => self.give_up_other(prepared, None).await,
        }
    }

    /// Taking over another mailbox than this one was announced, and came to nothing: once no replica can hide its marker,
    /// what was remembered of it is dropped.
    async fn give_up_other(
        &mut self,
        prepared: &Prepared,
        found: Option<MailboxGuid>,
    ) -> Result<(), Outcome> {
        let (Some(since), Some(known)) = (prepared.ledger.adopting, self.known_mailbox(&prepared.ledger))
        else {
            return Ok(());
        };
        if found == Some(known) {
            return Ok(());
        }
        if self.context.clock.since(since) < SHOWN_BY_THEN {
            return Err(Outcome::Progressing(Progress::LookingForMailbox(format!(
                "it was announced at {since:.0} that the mailbox {known} is taken over, and nobody knows yet what came of \
                 it; it is looked up before anything else is done"
            ))));
        }
        self.delete_ledger().await?;
        Err(Outcome::Conflict)
    }

    /// A mailbox that nobody marked and that may be taken over. Somebody else may remember it all the same.
    async fn remember_existing(&mut self, prepared: &mut Prepared, guid: MailboxGuid) -> Result<(), Outcome> {
        if let Some(intent) = &prepared.ledger.intent {
            // Perhaps it is the mailbox of that create.
            if self.context.clock.since(intent.at) < SHOWN_BY_THEN {
                return Err(Outcome::Progressing(Progress::LookingForMailbox(format!(
                    "a New-Mailbox was announced at {:.0}, and nobody knows yet what came of it; it is looked up before a \
                     mailbox is taken over",
                    intent.at
                ))));
            }
            prepared.ledger.intent = None;
        }
        // Defaults are for mailboxes that we create.
        prepared.ledger.defaults = None;
        let remembered = self.ledger.draft().map(|draft| draft.mailbox.is_some());
        if remembered != Some(true) {
            if self.is_remembered_elsewhere(guid).await? {
                return Err(Outcome::Stalled(Stall::AdoptionRefused(format!(
                    "the mailbox {guid} carries no marker, and a MailboxLedger remembers it as that of another \
                     SharedMailbox: nothing is written to it. Have the platform team put its marker back, or end that \
                     ledger (docs/adoption.md)"
                ))));
            }
            if remembered.is_none() {
                self.begin_adoption(&prepared.tenant);
            }
        }
        let now = whole_seconds(self.context.clock.now());
        prepared.ledger.adopting.get_or_insert(now);
        Ok(())
    }

    /// A mailbox that was found by its marker and of which no ledger of this name knows: perhaps another ledger does.
    async fn remember_located(&mut self, prepared: &mut Prepared, guid: MailboxGuid) -> Result<(), Outcome> {
        // One that is only begun, for a mailbox that is to be created, knows nothing of it.
        if self.ledger.object().is_some() {
            return Ok(());
        }
        self.find_ledger_of(guid).await?;
        if self.ledger.object().is_some() {
            self.take_up(&prepared.tenant);
            prepared.ledger = self.remembered_ledger().unwrap_or_default();
        } else {
            self.begin_without_memory(&prepared.tenant);
            // Perhaps it was adopted with an open account.
            prepared.ledger.sign_in_undecided = prepared.admitted.adoption != Adoption::Never;
        }
        prepared.take_up = self.taken_up();
        Ok(())
    }

    async fn read(
        &mut self,
        prepared: &Prepared,
        reads: &Reads<'_>,
        guid: MailboxGuid,
        desired: &Desired,
    ) -> Result<ObservedMailbox, Outcome> {
        match reads
            .mailbox(guid, self.account(), desired, &prepared.ledger)
            .await
        {
            Ok(seen) => {
                let now = (self.context.clock.instant(), self.context.clock.now());
                let marker = seen.observed.attribute.parse::<Marker>();
                let succeeds = &prepared.tenant.succeeds;
                let is_marked = marker.is_ok_and(|marker| {
                    marker.mailbox == guid && marker.names_same_resource(&prepared.owner, succeeds)
                });
                self.context.state.remember(self.key, |memory| {
                    memory.was_read(desired, &seen.observed, now);
                    memory.unmarked_since = (!is_marked).then(|| memory.unmarked_since.unwrap_or(now.0));
                });
                self.seen_account = Some(seen.observed.account.clone());
                self.note_mailbox(guid, &seen.observed);
                let is_awaited = prepared.ledger.adopting.is_some() || self.is_disowned();
                if is_marked {
                    self.ledger.is_foreign = Some(false);
                }
                if is_awaited && !is_marked {
                    self.ledger.is_unseen = true;
                }
                Ok(seen)
            }
            Err(NotSeen { error, account }) => {
                let is_missing = error.class.is_absence();
                // An outage of both leaves what was reported as it was.
                self.seen_account = Some(account).filter(|account| match account {
                    Account::Open | Account::Blocked => true,
                    Account::NotShown => is_missing,
                    Account::Denied(_) | Account::Unread(_) => false,
                });
                Err(if is_missing {
                    self.missing(&prepared.ledger, guid)
                } else {
                    Outcome::of_error(&error)
                })
            }
        }
    }

    /// Exchange does not find a mailbox that it had: looked up again before that is accepted.
    fn missing(&mut self, ledger: &Ledger, guid: MailboxGuid) -> Outcome {
        let announced = ledger
            .intent
            .as_ref()
            .map(|intent| self.context.clock.since(intent.at));
        if announced.is_some_and(|age| age < SHOWN_AFTER_CREATE) {
            let text = "Exchange does not show the new mailbox yet; this takes seconds, at times minutes";
            return Outcome::Progressing(Progress::WaitingForExchange(text.to_owned()));
        }
        let now = self.context.clock.instant();
        let since = self
            .context
            .state
            .remember(self.key, |memory| *memory.missing_since.get_or_insert(now));
        let is_known = self.ledger.spec().is_some_and(|spec| spec.gone_at.is_some());
        if !is_known && now.saturating_duration_since(since) < LOSS_CONFIRMED {
            return Outcome::Progressing(Progress::ConfirmingLoss);
        }
        self.ledger.is_unseen = true;
        let now = whole_seconds(self.context.clock.now());
        if let Some(draft) = self.ledger.draft_mut() {
            draft.gone_at.get_or_insert(now);
        }
        let (namespace, name) = (&self.key.namespace, &self.key.name);
        Outcome::Stalled(Stall::MailboxGone(format!(
            "Exchange does not find the mailbox {guid} any more; it is not created again by itself: restore it in \
             Exchange, or have a new and empty one created: kubectl annotate -n {namespace} sharedmailbox/{name} \
             {RECREATE}={guid} --overwrite"
        )))
    }
}
