//! What people read: statuses of the mailbox and its permissions, events, and when it is reconciled again.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::ResourceExt;

use super::applied::{Applied, LISTED, Snapshot};
use super::outcome::{Disposition, Outcome, Published, Stall};
use super::permission;
use super::remaining;
use super::report::{self, Findings, Names};
use super::requeue::{Completed, requeue, requeue_earlier};
use super::task::{Reconcile, Restraint};
use super::validate::MemberVerdict;
use crate::api::condition::{self, Kind};
use crate::api::reason::Reason;
use crate::api::{MailboxLedgerSpec, MailboxPermission, REMOVE_ORPHANS, Revoked, SharedMailbox};
use crate::controller::events::Event;
use crate::controller::state::key;
use crate::controller::state::memory::Memory;
use crate::ledger::{Ledger, RecordedGrant};
use crate::plan::{self, Account, Change, Purpose, SignInStanding, Step};

impl Reconcile<'_> {
    /// What came of the manifest.
    pub(super) async fn report_manifest(&mut self, applied: Applied) -> Completed {
        let owed = remaining::owed(&applied, || self.remembered_ledger());
        let is_to_be_continued = self.restraint.is_some()
            && applied
                .snapshot
                .as_ref()
                .is_some_and(|snapshot| !snapshot.rest.is_empty());
        let applied = self.restrained(applied);
        if let Outcome::Unavailable(why) = &applied.outcome {
            tracing::warn!(why, "the reconcile could not be finished; it is tried again");
        }
        let remaining = remaining::of(&applied.outcome, owed);
        let is_paused = matches!(self.restraint, Some(Restraint::Paused));
        let awaits_somebody = applied.snapshot.as_ref().is_some_and(|snapshot| {
            snapshot.awaits_proof() || is_to_be_continued || (!is_paused && snapshot.awaits_somebody())
        });
        let due = applied.snapshot.as_ref().and_then(Snapshot::due_at);
        let outcome = Box::pin(self.publish_all(applied)).await;
        self.context.update_pending(self.key, remaining);
        let disposition = match outcome.disposition() {
            disposition if awaits_somebody => disposition.awaiting_somebody(),
            disposition => disposition,
        };
        let completed = requeue(self.context, self.key, &disposition, self.lane);
        let completed = match &self.restraint {
            Some(Restraint::Unsettled(wait)) => completed.sooner(*wait, self.lane),
            Some(Restraint::Refused(_) | Restraint::Paused | Restraint::Observed | Restraint::Deleting)
            | None => completed,
        };
        match due {
            Some(due) => completed.not_later_than(due.duration_since(self.context.clock.now())),
            None => completed,
        }
    }

    /// What came of a mailbox without its resource.
    pub(super) async fn report_without_resource(&mut self, applied: Applied) -> Completed {
        let owed = remaining::owed_without_resource(&applied, || self.remembered_ledger());
        let remaining = remaining::of(&applied.outcome, owed);
        let disposition = Box::pin(self.end_without_resource(applied)).await;
        self.context.update_pending(self.key, remaining);
        requeue(self.context, self.key, &disposition, self.lane)
    }

    /// The same, for what an earlier resource of this name left: another one reports.
    pub(super) async fn complete_earlier(&mut self, applied: Result<Applied, Outcome>) -> Completed {
        let applied = applied.unwrap_or_else(Applied::from);
        let disposition = Box::pin(self.end_without_resource(applied)).await;
        requeue_earlier(self.context, self.key, &disposition, self.lane)
    }

    async fn end_without_resource(&mut self, applied: Applied) -> Disposition {
        let outcome = Box::pin(self.finish_without_resource(applied)).await;
        self.resting(outcome).disposition()
    }

    /// A refused manifest stays refused, whatever was taken away meanwhile, a paused one paused, and an observed one is
    /// compared with what Enforce would do.
    fn restrained(&self, applied: Applied) -> Applied {
        let always = match &self.restraint {
            None => return applied,
            Some(Restraint::Observed) if applied.outcome.stands(true) => return applied,
            Some(Restraint::Observed) => return self.observed(applied),
            Some(
                why @ (Restraint::Paused
                | Restraint::Deleting
                | Restraint::Unsettled(_)
                | Restraint::Refused(_)),
            ) => why.outcome(),
        };
        let is_reported = self.shows(&always.disposition());
        let outcome = applied.outcome.clone().restrained(always, is_reported);
        let whole = applied.snapshot.as_ref().map(|snapshot| {
            let remembered = applied.remembered(snapshot);
            plan::whole(&snapshot.desired, &snapshot.observed, remembered)
        });
        match whole {
            // What is declared and not done is reported, too.
            Some(whole) => applied.with(outcome, whole),
            None => Applied { outcome, ..applied },
        }
    }

    /// Whether the status shows this of this generation.
    fn shows(&self, disposition: &Disposition) -> bool {
        let status = self.object.status.as_ref();
        let shown = status.and_then(|status| condition::find(&status.conditions, Kind::Ready));
        let is_same = shown.is_some_and(|shown| {
            let ready = disposition.ready.as_ref();
            ready.is_some_and(|ready| {
                Reason::of(shown) == Some(ready.reason) && shown.message == ready.message
            })
        });
        is_same && status.and_then(|status| status.observed_generation) == self.object.metadata.generation
    }

    /// Writes what people read: the mailbox's status, then those of its permissions.
    async fn publish_all(&mut self, applied: Applied) -> Outcome {
        let Applied {
            outcome,
            ledger,
            snapshot,
            done,
            revoked,
        } = applied;
        let status = self.object.status.as_ref();
        let has_reported = status.is_some_and(|status| !status.conditions.is_empty());
        let outcome = if has_reported {
            outcome
        } else {
            outcome.of_unreported()
        };
        let now = self.context.clock.now();
        // As announced before the writes: it names those who have lost something, too.
        let announced = self.remembered_ledger().unwrap_or_default();
        let ledger_now = ledger.clone().unwrap_or_else(|| announced.clone());
        let before = self.object.clone();
        let has_no_orphans_left = snapshot.as_ref().is_some_and(Snapshot::has_no_orphans_left);
        if has_no_orphans_left && let Some(draft) = self.ledger.draft_mut() {
            draft.orphans_removed = before.annotations().get(REMOVE_ORPHANS).cloned();
        }
        if let Some(snapshot) = &snapshot {
            self.ledger.has_due = Some(!snapshot.rest.due.is_empty());
        }
        let outcome = match self.settle(outcome, ledger.as_ref()).await {
            Ok(outcome) => outcome,
            Err(failed) => return failed,
        };
        let disposition = outcome.disposition();
        let known = self.ledger.draft();
        let restraint = self.restraint.clone();
        let findings = snapshot
            .as_ref()
            .map(|snapshot| Findings::of(snapshot, &ledger_now, known, restraint.as_ref()));
        let account = self.seen_account.as_ref();
        let mut status = report::mailbox(&before, &disposition, findings.as_ref(), known, account, now);
        if let Outcome::Drift(steps) = &outcome {
            status.pending_plan = steps.iter().take(LISTED).cloned().collect();
        }
        status.revoked = self.revoked_lately(known, now);
        if has_no_orphans_left {
            status.last_handled_orphan_removal = before.annotations().get(REMOVE_ORPHANS).cloned();
        }
        let sign_in = condition::find(&status.conditions, Kind::SignInBlocked);
        if let Some(reason) = sign_in.and_then(Reason::of) {
            let remembered = |memory: &mut Memory| memory.sign_in.report(reason, now);
            self.context.state.remember(self.key, remembered);
        }
        let nothing_to_report = !has_reported && disposition.ready.is_none();
        if !nothing_to_report && let Err(failed) = self.write_status(status).await {
            return failed;
        }
        let done = named(&done, snapshot.as_ref(), &announced);
        self.publish_events(&before, &disposition, snapshot.as_ref(), &done)
            .await;
        let granted = self.publish_grants(snapshot.as_ref(), &revoked, &announced).await;
        let all_written = self
            .publish_permissions(&disposition, snapshot.as_ref(), findings.as_ref(), &granted)
            .await;
        if all_written { outcome } else { Outcome::Conflict }
    }

    /// Rights that were revoked lately. Not as the status lists them: others may write there.
    pub(super) fn revoked_lately(&self, known: Option<&MailboxLedgerSpec>, now: Timestamp) -> Vec<Revoked> {
        self.context.state.remember(self.key, |memory| {
            memory.revoked = report::revoked(known, &memory.revoked, now);
            memory.revoked.clone()
        })
    }

    /// Writes down what is remembered from now on, before it is reported. What is to be reported then; `Err`: nothing is.
    pub(super) async fn settle(
        &mut self,
        outcome: Outcome,
        ledger: Option<&Ledger>,
    ) -> Result<Outcome, Outcome> {
        match self.write_down(&outcome, ledger).await {
            Ok(()) => Ok(outcome),
            // Somebody has to act, and has to read why.
            Err(failed @ Outcome::Stalled(_)) => Ok(failed),
            Err(failed) => Err(failed),
        }
    }

    async fn write_down(&mut self, outcome: &Outcome, ledger: Option<&Ledger>) -> Result<(), Outcome> {
        if let Some(ledger) = ledger {
            return self.announce(ledger).await;
        }
        let is_foreign = matches!(outcome, Outcome::Stalled(Stall::NotOurs(_) | Stall::TakenOver(_)));
        let is_gone = matches!(outcome, Outcome::Stalled(Stall::MailboxGone(_)));
        if !(is_foreign || is_gone) || self.ledger.object().is_none() {
            return Ok(());
        }
        if is_foreign {
            self.ledger.is_somebody_elses();
        }
        let remembered = self.remembered_ledger().unwrap_or_default();
        self.announce(&remembered).await
    }

    /// False when the index showed an old version of one. `granted`: those with an event about it.
    pub(super) async fn publish_permissions(
        &self,
        disposition: &Disposition,
        snapshot: Option<&Snapshot>,
        findings: Option<&Findings<'_>>,
        granted: &BTreeSet<String>,
    ) -> bool {
        let now = self.context.clock.now();
        let status = self.object.status.as_ref();
        let lost: Vec<Revoked> = status.map(|status| status.revoked.clone()).unwrap_or_default();
        let mut all_written = true;
        for (position, object) in self.permissions.iter().enumerate() {
            let next = match (snapshot, findings) {
                (Some(snapshot), Some(findings)) => {
                    let permissions = &snapshot.prepared.admitted.permissions;
                    let judged = permissions
                        .get(position)
                        .zip(snapshot.wanted.verdicts.get(position));
                    judged.and_then(|(permission, verdicts)| {
                        if disposition.ready.is_none()
                            && !permission.expired
                            && snapshot.is_partly_unread()
                            && is_reported(object)
                        {
                            return None;
                        }
                        // An end comes whatever the mailbox's manifest says; nothing else follows from a refused one.
                        if findings.is_refused() && !permission.expired {
                            return report::permission_without_mailbox(object, disposition, &lost, now);
                        }
                        if findings.is_restrained() && !permission.expired {
                            return report::permission_held_back(
                                permission,
                                verdicts,
                                findings,
                                (disposition, &lost),
                                now,
                            );
                        }
                        Some(report::permission(permission, verdicts, findings, &lost, now))
                    })
                }
                (None, _) | (_, None) => report::permission_without_mailbox(object, disposition, &lost, now),
            };
            if let Some(next) = next {
                let has_event = granted.contains(&object.name_any());
                all_written &= permission::write(self.context, object, next, has_event).await;
            }
        }
        all_written
    }

    async fn publish_events(
        &self,
        before: &SharedMailbox,
        disposition: &Disposition,
        snapshot: Option<&Snapshot>,
        done: &[String],
    ) {
        let status = before.status.as_ref();
        let old = status.and_then(|status| condition::find(&status.conditions, Kind::Ready));
        if self.reattached && !done.is_empty() {
            let note = "took up the mailbox again that an earlier resource of this name created, here or in a cluster that \
                        this one succeeds";
            self.publish(false, "Reattached", "Reattach", note).await;
        }
        self.publish_revocation_due(snapshot).await;
        self.publish_memory_lost().await;
        let drifted = status.and_then(|status| condition::find(&status.conditions, Kind::Drifted));
        self.publish_as(disposition.advisory_event(drifted)).await;
        // The event about the creation stands for its first settings and grants, too.
        if !done.is_empty() && !self.created {
            let was_ready = old.is_some_and(|ready| ready.status == "True");
            let is_drift = was_ready && self.is_drift_for(before);
            let reason = if is_drift { "DriftRepaired" } else { "Changed" };
            self.publish(false, reason, "Apply", &done.join("; ")).await;
        }
        let about_ready = disposition.ready_event(old, self.created || !done.is_empty());
        if disposition.is_denial && about_ready.is_some() {
            self.context.metrics.refused(key::MAILBOX, 1);
        }
        self.publish_as(about_ready).await;
    }

    pub(super) async fn publish_as(&self, event: Option<Published<'_>>) {
        if let Some(Published {
            warning,
            reason,
            action,
            note,
        }) = event
        {
            self.publish(warning, reason, action, note).await;
        }
    }

    /// A mailbox of which nothing was remembered.
    async fn publish_memory_lost(&self) {
        if self.ledger.is_lost && self.ledger.object().is_some() {
            let note = "nothing is remembered of this mailbox: its MailboxLedger is gone. What manifests declare is ours \
                        again; other permissions on it are left alone and listed";
            self.publish(true, "MemoryLost", "TakeUp", note).await;
        }
    }

    /// One event on each permission from which grants or revocations follow. Those from which grants follow, by name.
    pub(super) async fn publish_grants(
        &self,
        snapshot: Option<&Snapshot>,
        revoked: &[RecordedGrant],
        announced: &Ledger,
    ) -> BTreeSet<String> {
        let Some(snapshot) = snapshot else {
            return BTreeSet::new();
        };
        let names = Names::of(&snapshot.desired, announced);
        let mut with_grants = BTreeSet::new();
        for object in &self.permissions {
            let name = object.name_any();
            let granted = snapshot.execution.acknowledged.iter().filter_map(Change::granted);
            let granted = granted.filter_map(|key| {
                let wanted = snapshot.desired.grants.get(&key)?;
                let is_own = wanted.by.contains(&name);
                is_own.then(|| format!("{} to {}", key.1, names.called(&key.0)))
            });
            let lost = revoked.iter().filter(|grant| grant.by.contains(&name));
            let lost = lost.map(|grant| format!("{} of {}", grant.right, names.called(&grant.object_id)));
            let granted: Vec<String> = granted.collect();
            if !granted.is_empty() {
                with_grants.insert(name.clone());
            }
            for (reason, action, verb, what) in [
                ("RightsGranted", "Grant", "granted", granted),
                ("RightsRevoked", "Revoke", "revoked", lost.collect()),
            ] {
                if what.is_empty() {
                    continue;
                }
                let note = format!("{verb}{}: {}", reason_of(object), what.join(", "));
                let event = Event {
                    warning: false,
                    reason,
                    action,
                    note: &note,
                };
                self.context.events.publish(object.as_ref(), event).await;
            }
        }
        with_grants
    }
}

/// Whether the status speaks of this generation.
fn is_reported(object: &MailboxPermission) -> bool {
    let status = object.status.as_ref();
    status.is_some_and(|status| status.observed_generation == object.metadata.generation)
}

fn reason_of(object: &MailboxPermission) -> String {
    let reason = object.spec.reason.as_ref();
    reason.map(|text| format!(" ({text})")).unwrap_or_default()
}

impl Snapshot {
    /// When rights may be revoked that wait for their permissions since a take-up.
    fn due_at(&self) -> Option<Timestamp> {
        let take_up = self.desired.take_up.as_ref()?;
        (!self.rest.due.is_empty()).then_some(take_up.until)
    }

    /// Whether everything was done that a request to remove orphaned grants asks for.
    fn has_no_orphans_left(&self) -> bool {
        // Of whom nobody knows who they are may be a leftover, too.
        let is_known = self.observed.unread.is_empty();
        let was_asked = self.prepared.writes && self.prepared.purpose == Purpose::Keep && is_known;
        let is_evicted = |step: &Step| matches!(step, Step::Evict(_));
        was_asked && !self.rest.steps.iter().any(is_evicted)
    }

    /// Whether something about rights could not be read that may soon be: what was reported of them stays.
    fn is_partly_unread(&self) -> bool {
        let of_rights = self.observed.why_rights_are_unread();
        let members = self.wanted.unread();
        let mut all = of_rights.into_iter().chain(members.values());
        all.any(|unread| unread.may_pass)
    }

    /// Whether Entra may soon show of the account what it did not show now.
    fn awaits_proof(&self) -> bool {
        match &self.observed.account {
            Account::Unread(_) => true,
            Account::NotShown => self.rest.sign_in == SignInStanding::Propagating,
            Account::Open | Account::Blocked | Account::Denied(_) => false,
        }
    }

    /// Whether a permission names somebody who may only not be there yet.
    fn awaits_somebody(&self) -> bool {
        self.wanted
            .verdicts
            .iter()
            .flatten()
            .any(|verdict| match verdict {
                MemberVerdict::Refused(refusal) => refusal.reason.may_end_by_itself(),
                MemberVerdict::One { .. } | MemberVerdict::Everybody(_) => false,
            })
    }
}

/// What was done, with the manifest's addresses in place of ids.
pub(super) fn named(done: &[String], snapshot: Option<&Snapshot>, ledger: &Ledger) -> Vec<String> {
    let Some(snapshot) = snapshot else {
        return done.to_vec();
    };
    let names = Names::of(&snapshot.desired, ledger);
    done.iter().map(|text| names.in_text(text)).collect()
}
