//! A SharedMailbox that is being deleted under a policy that asks for something to be done before it goes.
//!
//! It is the same reconcile: what is to be done are steps of the plan, announced in the ledger, weighed by the breaker,
//! audited and read again. Until that is done the resource stays and says what it waits for, and what protects goes on.
//! Whatever it waits for, Retain lets it go at once.

use std::sync::Arc;
use std::time::Duration;

use super::applied::{Applied, Snapshot};
use super::ledger::Unusable;
use super::outcome::{Disposition, Later, Outcome, Progress, Stall};
use super::prepared::Prepared;
use super::publish::named;
use super::remaining;
use super::report;
use super::requeue::{Completed, requeue};
use super::task::{Reconcile, Standing};
use crate::api::condition::{self, Kind};
use crate::api::{DeletionPolicy, FINALIZER, LET_GO, MailboxLedgerSpec, Management};
use crate::controller::state::tenants::{Tenant, TenantState};
use crate::lane::Lane;
use crate::ledger::{Ledger, RecordedGrant};
use crate::plan::{People, Purpose};

/// A resource that is let go and still there after so long is held by somebody else.
const HELD_UP: Duration = Duration::from_secs(5);

impl Reconcile<'_> {
    /// The resource is being deleted under its policy. Where nothing is to be done it goes at once.
    pub(super) async fn begin_deletion(mut self) -> Result<Self, Outcome> {
        self.find_ledger().await?;
        self.permissions = self.context.state.index().permissions_of(self.key);
        let is_unreadable = matches!(self.ledger.unusable, Some(Unusable::Unreadable { .. }));
        if is_unreadable && self.ledger.object().is_none() {
            return Ok(self);
        }
        if self.has_something_to_delete() {
            self.seal().await?;
            return Ok(self);
        }
        self.standing = Standing::Gone;
        self.let_go_of_nothing().await;
        // Another one of this name may have left something.
        Box::pin(self.begin_without_resource(true)).await
    }

    /// Whether this very resource has a mailbox. One that is still being created or taken over is seen to without it, unless
    /// somebody was given something already.
    fn has_something_to_delete(&self) -> bool {
        let spec = self.ledger.spec().filter(|spec| spec.mailbox.is_some());
        let is_under_way = |spec: &MailboxLedgerSpec| spec.intent.is_some() || spec.adopting.is_some();
        let gave_nothing = || {
            self.remembered_ledger()
                .is_none_or(|ledger| ledger.grants.is_empty())
        };
        self.has_own_ledger() && spec.is_some_and(|spec| !is_under_way(spec) || !gave_nothing())
    }

    async fn let_go_of_nothing(&mut self) {
        match self.take_finalizer_away(&self.object.metadata).await {
            Ok(()) => {
                let note = "the SharedMailbox goes, and nothing was revoked: nothing is remembered that was granted for it";
                tracing::info!(target: "audit", reason = "Deleted", mailbox = %self.key, "{note}");
                self.publish(false, "Deleted", "Delete", note).await;
            }
            Err(outcome) => self.owes_a_finalizer(&outcome),
        }
    }

    pub(super) fn prepare_deletion(&mut self) -> Result<Prepared, Outcome> {
        let tenant = self.tenant_of_deletion()?;
        self.begin_withheld_hour();
        let remembered = self.remembered_without_resource();
        self.prepared_without_resource(&tenant, remembered, Purpose::Revoking)
    }

    /// `Err`: nothing can be done in the tenant now, and why.
    fn tenant_of_deletion(&self) -> Result<Arc<Tenant>, Outcome> {
        let waiting = |why: String| Outcome::Stalled(Stall::DeletionWaiting(why));
        let name = &self.object.spec.tenant_ref.name;
        let Some(spec) = self.ledger.spec() else {
            let why = "the MailboxLedger of this mailbox can't be read, so nobody knows what was granted: start the version \
                       of the operator again that wrote it";
            return Err(waiting(why.to_owned()));
        };
        match self.tenant_of_ledger(&spec.tenant) {
            None if self.is_still_unchecked(name) => Err(Outcome::TenantPending),
            None => Err(waiting(format!(
                "there is no ExchangeTenant {name:?} that leads to the mailbox's tenant"
            ))),
            Some(TenantState::NotReady { why, .. }) => Err(waiting(format!(
                "the ExchangeTenant {name:?} is not ready: {why}"
            ))),
            Some(TenantState::Ready(tenant)) if self.has_changed(&tenant) => Err(Outcome::TenantPending),
            Some(TenantState::Ready(tenant)) if tenant.management != Management::Enforce => {
                Err(waiting(format!(
                    "the ExchangeTenant's spec.management is {:?}: nothing is written",
                    tenant.management
                )))
            }
            Some(TenantState::Ready(tenant)) => Ok(tenant),
        }
    }

    /// Whether there is an ExchangeTenant of this name of which nothing is known yet.
    fn is_still_unchecked(&self, name: &str) -> bool {
        let state = &self.context.state;
        state.tenants.get(name).is_none() && state.index().has_tenant(name)
    }

    /// Lets the resource go once everything is done, and says until then what it waits for.
    pub(super) async fn report_deletion(&mut self, applied: Applied, policy: DeletionPolicy) -> Completed {
        let owed = remaining::owed(&applied, || self.remembered_ledger());
        let remaining = remaining::of(&applied.outcome, owed);
        let outcome = Box::pin(self.finish_deletion(applied, policy)).await;
        self.context.update_pending(self.key, remaining);
        let disposition = told(outcome.disposition(), policy);
        requeue(self.context, self.key, &disposition, self.lane)
    }

    async fn finish_deletion(&mut self, applied: Applied, policy: DeletionPolicy) -> Outcome {
        let Applied {
            outcome,
            ledger,
            snapshot,
            done,
            revoked,
        } = applied;
        let remembered = self.remembered_ledger();
        let announced = remembered.clone().unwrap_or_default();
        let ledger_now = ledger.clone().or(remembered);
        self.keep_withheld_hour();
        let outcome = match self.settle(outcome, ledger.as_ref()).await {
            Ok(outcome) => outcome.of_unreported(),
            Err(failed) => return failed,
        };
        let end = ending(outcome, snapshot.as_ref(), ledger_now.as_ref());
        let disposition = match &end {
            Ending::Done(_) => Outcome::Progressing(Progress::Applying(self.done())).disposition(),
            Ending::Waits(outcome) => told(outcome.disposition(), policy),
        };
        if let Err(failed) = self
            .publish_deletion(&disposition, snapshot.as_ref(), ledger_now.as_ref())
            .await
        {
            return failed;
        }
        let done = named(&done, snapshot.as_ref(), &announced);
        if !done.is_empty() {
            self.publish(false, "Changed", "Delete", &done.join("; ")).await;
        }
        let granted = self.publish_grants(snapshot.as_ref(), &revoked, &announced).await;
        let all_written = self.publish_permissions(&disposition, None, None, &granted).await;
        match end {
            Ending::Waits(_) if !all_written => Outcome::Conflict,
            Ending::Waits(outcome) => outcome,
            Ending::Done(why) => self.let_go(&why, policy).await,
        }
    }

    /// What the status says from now on, for as long as somebody else holds the resource.
    fn done(&self) -> String {
        let finalizers = self.object.metadata.finalizers.iter().flatten();
        let others: Vec<&str> = finalizers
            .map(String::as_str)
            .filter(|name| *name != FINALIZER)
            .collect();
        let mut text = "what the deletion policy asks for is done, and the resource goes".to_owned();
        if !others.is_empty() {
            text.push_str(" once nobody else holds it: its other finalizers are ");
            text.push_str(&others.join(", "));
        }
        text
    }

    async fn let_go(&mut self, why: &str, policy: DeletionPolicy) -> Outcome {
        if let Err(failed) = self.take_finalizer_away(&self.object.metadata).await {
            return failed;
        }
        tracing::info!(target: "audit", reason = "Deleted", mailbox = %self.key, policy = policy.as_str(), "{why}");
        self.publish(false, "Deleted", "Delete", why).await;
        // Somebody else may hold it.
        Outcome::TooEarly(Later {
            after: HELD_UP,
            lane: Lane::Sweep,
        })
    }

    /// The status of the resource, and what is new in it. It is of as much as is known while it goes.
    async fn publish_deletion(
        &mut self,
        disposition: &Disposition,
        snapshot: Option<&Snapshot>,
        ledger: Option<&Ledger>,
    ) -> Result<(), Outcome> {
        let now = self.context.clock.now();
        let before = self.object.clone();
        let known = self.ledger.draft().cloned();
        let account = snapshot.map_or(self.seen_account.as_ref(), |snapshot| {
            Some(&snapshot.observed.account)
        });
        let status = report::mailbox(&before, disposition, None, known.as_ref(), account, now);
        let seen = snapshot.map(|snapshot| (&snapshot.desired, &snapshot.observed));
        let mut status = report::deletion(status, seen, ledger);
        status.revoked = self.revoked_lately(known.as_ref(), now);
        self.write_status(status).await?;
        let old = before.status.as_ref();
        let old = old.and_then(|status| condition::find(&status.conditions, Kind::Ready));
        self.publish_as(disposition.ready_event(old, false)).await;
        Ok(())
    }
}

/// How a deletion stands.
enum Ending {
    /// A sentence about what was done.
    Done(String),
    Waits(Outcome),
}

fn ending(outcome: Outcome, snapshot: Option<&Snapshot>, ledger: Option<&Ledger>) -> Ending {
    match (&outcome, snapshot.zip(ledger)) {
        (Outcome::Stalled(Stall::MailboxGone(_)), _) => {
            Ending::Done("Exchange does not have the mailbox any more, and the SharedMailbox goes".to_owned())
        }
        (Outcome::Stalled(Stall::TakenOver(_)), _) => Ending::Done(
            "the mailbox belongs to another cluster: nothing of it is touched, and the SharedMailbox goes".to_owned(),
        ),
        // A read shows it, whatever else is left to be said of the mailbox.
        (_, Some((snapshot, ledger))) if is_revoked(ledger, &snapshot.desired.policy.protected) => {
            let kept = match ledger.grants.len() {
                0 => String::new(),
                kept => format!(", but for {kept} of people whom the ExchangeTenant protects"),
            };
            Ending::Done(format!(
                "what MailboxPermissions granted on the mailbox is revoked{kept}; the mailbox stays, and the SharedMailbox \
                 goes"
            ))
        }
        (Outcome::UpToDate | Outcome::Released, _) => Ending::Waits(Outcome::Stalled(Stall::DeletionWaiting(
            "rights are still to be revoked, and wait: what is remembered of the mailbox was restored or edited less than an \
             hour ago"
                .to_owned(),
        ))),
        (_, Some(_) | None) => Ending::Waits(outcome),
    }
}

/// Whether nothing is left of what was granted, but for people who lose nothing.
fn is_revoked(ledger: &Ledger, protected: &People) -> bool {
    let stays = |grant: &RecordedGrant| protected.include_holder_of(grant);
    ledger.grants.iter().all(stays)
}

/// What anybody has to know who waits for the resource to go.
fn told(disposition: Disposition, policy: DeletionPolicy) -> Disposition {
    let words = format!(
        "the SharedMailbox is being deleted under deletionPolicy {}, and stays until that is done: with deletionPolicy \
         Retain it goes at once and everything stays as it is (so it does with the annotation {LET_GO}=<its uid>, for \
         whoever has the verb let-go)",
        policy.as_str()
    );
    Disposition {
        ready: disposition.ready.map(|verdict| verdict.adding(&words)),
        progress: disposition.progress.map(|verdict| verdict.adding(&words)),
        ..disposition
    }
}
