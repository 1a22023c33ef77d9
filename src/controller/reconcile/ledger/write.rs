//! Has the API server acknowledge the ledger.

use kube::api::PostParams;
use kube::{Api, ResourceExt};

use super::super::outcome::{Outcome, Stall};
use super::super::task::{Reconcile, Standing};
use super::AFTER;
use crate::api::condition::whole_seconds;
use crate::api::{DISOWN, DefaultsState, MailboxLedger, MailboxLedgerSpec};
use crate::ledger::{self, Ledger};

/// As etcd says it, through the API server.
const TOO_LARGE: &str = "request is too large";

impl Reconcile<'_> {
    /// What is remembered of the mailbox, as the API server has acknowledged it.
    pub fn remembered_ledger(&self) -> Option<Ledger> {
        let object = self.ledger.object()?;
        let mut remembered = ledger::read(&object.spec).ok()?;
        if !matches!(self.standing, Standing::BeingDeleted(_)) {
            // Somebody let the resource go before it was done, or took its finalizer away.
            remembered.weighed.retain(|one| !one.with_resource);
        }
        if !ledger::is_intact(object) {
            // Whether they were applied since nobody knows, and a second time they would undo what people did.
            remembered.defaults = remembered
                .defaults
                .filter(|defaults| *defaults == DefaultsState::Applied);
        }
        Some(remembered)
    }

    /// The same without a resource. A backup may be older than what took a right away since: nothing is granted because of it.
    pub(in crate::controller::reconcile) fn remembered_without_resource(&self) -> Ledger {
        let mut remembered = self.remembered_ledger().unwrap_or_default();
        let is_intact = self.ledger.object().is_some_and(ledger::is_intact);
        let spec = self.ledger.spec().filter(|spec| spec.restored);
        let restored_at = spec.and_then(|spec| spec.taken_up_at);
        for grant in &mut remembered.grants {
            let is_older = restored_at.is_some_and(|restored| grant.at.is_none_or(|at| at < restored));
            grant.remapping &= is_intact && !is_older;
        }
        remembered
    }

    /// Has the API server acknowledge what must be remembered before anything that it announces is done. A conflict means
    /// that somebody else wrote, and ends the reconcile.
    pub async fn announce(&mut self, remembered: &Ledger) -> Result<(), Outcome> {
        if self.ledger.draft().is_none() {
            return Ok(());
        }
        self.note_namespace().await?;
        // Only an object that has a uid can be sealed, so the first version lists nobody.
        if self.ledger.object().is_none() && !remembered.grants.is_empty() {
            let nobody = Ledger {
                intent: remembered.intent.clone(),
                adopting: remembered.adopting,
                sign_in_undecided: remembered.sign_in_undecided,
                ..Ledger::default()
            };
            self.write_ledger(&nobody).await?;
        }
        self.write_ledger(remembered).await
    }

    async fn write_ledger(&mut self, remembered: &Ledger) -> Result<(), Outcome> {
        let now = whole_seconds(self.context.clock.now());
        let Some(draft) = self.ledger.draft() else {
            return Ok(());
        };
        let mut spec = draft.clone();
        let is_broken = self
            .ledger
            .object()
            .is_some_and(|before| !ledger::is_intact(before));
        if is_broken && !self.ledger.is_taken_up {
            // Nothing seals anew what was restored or edited without saying so.
            spec.taken_up_at = Some(now);
            spec.restored = true;
        }
        ledger::write(&mut spec, remembered);
        let waits = self
            .ledger
            .has_due
            .unwrap_or(spec.shown.state == ledger::TAKING_UP);
        let is_foreign = self.ledger.is_foreign;
        let is_foreign = is_foreign.unwrap_or(spec.shown.state == ledger::FOREIGN_MARKER);
        ledger::lifecycle(&spec, is_foreign, waits).clone_into(&mut spec.shown.state);
        let before = self.ledger.object();
        if before.is_some_and(|before| {
            ledger::is_intact(before) && ledger::is_same_but_for_time(&before.spec, &spec, now)
        }) {
            return Ok(());
        }
        if is_broken {
            ledger::note_restored(&mut spec, now);
        }
        ledger::note(
            &mut spec,
            before.map(|before| &before.spec),
            &self.ledger.why,
            now,
        );
        spec.seal = Some(ledger::seal(before));
        if ledger::outgrows(before.map(|before| &before.spec), &spec) {
            return Err(refused("more than 1 MiB"));
        }
        let written = self.put(before.cloned(), spec).await?;
        self.context.state.written(&written, now);
        self.ledger.is_taken_up = false;
        self.ledger.draft = Some(written.spec.clone());
        self.ledger.object = Some(written);
        Ok(())
    }

    async fn put(
        &self,
        before: Option<MailboxLedger>,
        spec: MailboxLedgerSpec,
    ) -> Result<MailboxLedger, Outcome> {
        let api: Api<MailboxLedger> = Api::all(self.context.client.clone());
        let params = PostParams::default();
        let answer = match before {
            Some(mut object) => {
                // It was asked of a mailbox without a resource, and of this very ledger: not of a later life.
                if spec.released_at.is_none() || !ledger::is_our_version(&object) {
                    object.annotations_mut().remove(DISOWN);
                }
                object.spec = spec;
                api.replace(&object.name_any(), &params, &object).await
            }
            None => {
                api.create(&params, &MailboxLedger::new(&self.ledger_name(&spec), spec))
                    .await
            }
        };
        answer.map_err(|error| {
            if let kube::Error::Api(status) = &error
                && (matches!(status.code, 413 | 422) || status.message.contains(TOO_LARGE))
            {
                return refused(&status.message);
            }
            Outcome::of_kube(&error)
        })
    }

    /// The name of the mailbox's ledger: for life.
    pub fn ledger_name_now(&self) -> String {
        match (self.ledger.object(), self.ledger.draft()) {
            (Some(object), _) => object.name_any(),
            (None, Some(draft)) => self.ledger_name(draft),
            (None, None) => String::new(),
        }
    }

    fn ledger_name(&self, spec: &MailboxLedgerSpec) -> String {
        if let Some(lost) = self.ledger.after_lost {
            return format!("{AFTER}{lost}");
        }
        match &spec.mailbox {
            // Taken up without a memory.
            Some(mailbox) if spec.intent.is_none() => mailbox.guid.to_string(),
            Some(_) | None => spec.resource_ref.uid.clone(),
        }
    }
}

fn refused(why: &str) -> Outcome {
    Outcome::Stalled(Stall::LedgerRefused(format!(
        "what must be remembered of this mailbox is more than a MailboxLedger may hold (1 MiB, which is about 2,000 people \
         with three rights each), and nothing is written before it is remembered; removals and the block of sign-in go \
         on. To have the rest, declare fewer people, aliases or permissions, or a mail-enabled security group in place of \
         its members ({why})"
    )))
}
