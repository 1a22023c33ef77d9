//! Creating a mailbox, so that a crash at any point leads to one mailbox and not to two.
//!
//! Intent first, acknowledged by the API server; then New-Mailbox under a one-time name; then the GUID,
//! acknowledged too; from there on the mailbox is one like any other.

use std::time::Duration;

use super::applied::Applied;
use super::observation::ObservedMailbox;
use super::outcome::{Outcome, Progress, Stall};
use super::prepared::Prepared;
use super::report;
use super::task::Reconcile;
use super::validate::{self, Judged};
use crate::api::{DefaultsState, Intent};
use crate::exchange::{CreatedMailbox, ExchangeError, NewMailbox};
use crate::ledger::Ledger;
use crate::mail::{Nickname, OneTimeName};
use crate::plan::{Creation, Observed, SHOWN_BY_THEN};

/// After a create whose answer is unknown: how long its mailbox is looked up before the same create is sent
/// again. Exchange refuses a second one with the same addresses, so this only spares it the question.
const LOOKED_UP: Duration = Duration::from_mins(1);
/// How long a conflict may be with the mailbox of an announced create that is not shown yet.
pub const AMBIGUOUS: Duration = Duration::from_mins(10);

impl Reconcile<'_> {
    /// The mailbox as New-Mailbox leaves it. `Err`: how the reconcile ends instead.
    pub(super) async fn create_mailbox(
        &mut self,
        mut judged: Judged,
        nickname: Nickname,
    ) -> Result<(Judged, ObservedMailbox), Applied> {
        let (intent, was_never_sent) = self.announce_create(&mut judged.prepared, &nickname).await?;
        // What a new mailbox is to have besides follows from what was announced.
        judged.desired = validate::desired(&judged.prepared, &judged.wanted);
        let creation = Creation {
            alias: intent.nickname().ok_or_else(|| unreadable("spec.intent.alias"))?,
            one_time_name: intent.one_time_name.clone(),
            address: intent.address.clone(),
        };
        let new = NewMailbox {
            name: creation.one_time_name.to_string(),
            display_name: creation.one_time_name.clone(),
            alias: creation.alias.clone(),
            primary: creation.address.clone(),
        };
        // Until the answer says otherwise it may have been executed.
        self.context
            .state
            .remember(self.key, |memory| memory.unsent = None);
        let gateway = &judged.prepared.tenant.gateway;
        let created = match gateway.create_shared_mailbox(self.lane, &new).await {
            Ok(created) => created,
            Err(error) => {
                let ledger = &judged.prepared.ledger;
                return Err(self.create_failed(ledger, &intent, was_never_sent, &error));
            }
        };
        let CreatedMailbox { guid, object_id } = created;
        // Should the next write to Kubernetes fail, this process still knows.
        let created = (creation.one_time_name.clone(), guid);
        self.context
            .state
            .remember(self.key, |memory| memory.created = Some(created));
        let observed = Observed::just_created(guid, object_id, &creation);
        let planned = judged.plan(&observed);
        // From now on the mailbox is known by its GUID, whatever happens.
        self.note_mailbox(guid, &observed);
        match self.announce(&planned.announced).await {
            // The plan is announced once more before it is carried out; whose the mailbox is must be known in any case.
            Err(Outcome::Stalled(Stall::LedgerRefused(_))) => self.announce(&judged.prepared.ledger).await?,
            announced @ (Ok(()) | Err(_)) => announced?,
        }
        let note = format!("created the mailbox {} with ExchangeGuid {guid}", intent.address);
        self.publish(false, "Created", "Create", &note).await;
        self.created = true;
        let seen = ObservedMailbox {
            observed,
            kind: "SharedMailbox".to_owned(),
            nickname: creation.alias.to_string(),
            is_mastered_elsewhere: false,
        };
        Ok((judged, seen))
    }

    /// The intent, as the API server has acknowledged it, and whether it surely was never sent. An earlier one for the same
    /// address is taken up again.
    async fn announce_create(
        &mut self,
        prepared: &mut Prepared,
        nickname: &Nickname,
    ) -> Result<(Intent, bool), Outcome> {
        let clock = self.context.clock;
        if let Some(earlier) = &prepared.ledger.intent {
            let age = clock.since(earlier.at);
            let unsent = self
                .context
                .state
                .remember(self.key, |memory| memory.unsent.clone());
            let surely_unsent = unsent.as_ref() == Some(&earlier.one_time_name);
            let same = earlier.address == prepared.admitted.address
                && (prepared.admitted.alias.is_none() || earlier.nickname() == prepared.admitted.alias);
            // Another one has to wait until no replica can hide the first.
            let wait = if same { LOOKED_UP } else { SHOWN_BY_THEN };
            if !surely_unsent && age < wait {
                let text = format!(
                    "a New-Mailbox for {} was announced at {:.0} and its answer is not known; its mailbox is looked up \
                     before anything is repeated",
                    earlier.address, earlier.at
                );
                return Err(Outcome::Progressing(Progress::LookingForMailbox(text)));
            }
            if same {
                return Ok((earlier.clone(), surely_unsent));
            }
        }
        let intent = Intent {
            one_time_name: OneTimeName::from_random_bits(self.context.rng.bits()),
            alias: nickname.to_string(),
            address: prepared.admitted.address.clone(),
            display_name: self.object.spec.display_name.clone(),
            at: clock.now(),
        };
        prepared.ledger.intent = Some(intent.clone());
        prepared.ledger.defaults = (!prepared.tenant.defaults.is_empty()).then_some(DefaultsState::Pending);
        self.begin_for_create(&prepared.tenant);
        self.announce(&prepared.ledger).await?;
        let text = format!("creating the mailbox {}", intent.address);
        let creating = Outcome::Progressing(Progress::Creating(text));
        let status = report::mailbox(
            &self.object,
            &creating.disposition(),
            None,
            self.ledger.spec(),
            None,
            clock.now(),
        );
        self.write_status(status).await?;
        Ok((intent, true))
    }

    /// That this attempt was not executed says nothing of an earlier one of the same intent, unless it `was_never_sent`.
    fn create_failed(
        &self,
        ledger: &Ledger,
        intent: &Intent,
        was_never_sent: bool,
        error: &ExchangeError,
    ) -> Applied {
        match (error.class.proves_not_executed(), error.class.is_permanent()) {
            (true, true) if !was_never_sent => {
                Outcome::Stalled(Stall::SettingRefused(error.to_string())).into()
            }
            (true, false) if !was_never_sent => Outcome::of_error(error).into(),
            // The values are refused: with other values it is another intent.
            (true, true) => Applied {
                ledger: Some(Ledger {
                    intent: None,
                    ..ledger.clone()
                }),
                ..Outcome::Stalled(Stall::SettingRefused(error.to_string())).into()
            },
            (true, false) => {
                let name = intent.one_time_name.clone();
                self.context
                    .state
                    .remember(self.key, |memory| memory.unsent = Some(name));
                Outcome::of_error(error).into()
            }
            (false, true) if self.context.clock.since(intent.at) >= AMBIGUOUS => {
                Outcome::Stalled(Stall::AddressInUse(format!(
                    "{}: {error}, and no read shows by whom: take another address, or have the mail administrators look",
                    intent.address
                )))
                .into()
            }
            // Perhaps it is the mailbox of this very intent, not shown yet.
            (false, _) => Outcome::Progressing(Progress::LookingForMailbox(error.to_string())).into(),
        }
    }
}

fn unreadable(field: &str) -> Outcome {
    Outcome::Stalled(Stall::LedgerUnreadable(format!(
        "{field} of the MailboxLedger was edited and can't be read"
    )))
}
