//! What the pass writes to Kubernetes: the record before anything it announces, statuses and events.

use std::sync::Arc;

use kube::api::PostParams;
use kube::{Api, ResourceExt};

use super::outcome::{Disposition, Outcome, Progress};
use super::pass::{Ending, Pass, View, of_kube};
use super::permission;
use super::report::{self, Facts, Names, Sight};
use super::validate::MemberVerdict;
use crate::api::condition::{self, Kind};
use crate::api::{
    MailboxPermission, REMOVE_ORPHANS, Record, RecordedGrant, SharedMailbox, SharedMailboxStatus,
};
use crate::controller::events::Event;
use crate::controller::state::key;
use crate::lane::Lane;

impl Pass<'_> {
    /// Has the API server acknowledge the record before anything that it announces is done.
    pub async fn announce(&mut self, record: &Record) -> Result<(), Outcome> {
        let mut status = self.object.status.clone().unwrap_or_default();
        let raw = record.into();
        if status.record.as_ref() == Some(&raw) {
            return Ok(());
        }
        status.record = Some(raw);
        self.write_status(status).await
    }

    /// A first status, for a resource about which nothing is known yet.
    pub(super) async fn say_that_it_is_being_looked_at(&mut self) -> Result<(), Outcome> {
        let text = "waiting for Exchange to answer the first look-up".to_owned();
        let disposition = Outcome::Progressing(Progress::WaitingForExchange(text)).disposition();
        let now = self.context.clock.now();
        let status = report::mailbox(&self.object, &disposition, &Sight::Nothing, None, now);
        self.write_status(status).await
    }

    /// Writes the status when it differs; a conflict means that somebody else wrote, and ends the pass.
    pub async fn write_status(&mut self, status: SharedMailboxStatus) -> Result<(), Outcome> {
        if self.object.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let mut next = self.object.clone();
        next.status = Some(status);
        let api: Api<SharedMailbox> = Api::namespaced(self.context.client.clone(), &self.key.namespace);
        self.object = api
            .replace_status(&self.key.name, &PostParams::default(), &next)
            .await
            .map_err(|e| of_kube(&e))?;
        Ok(())
    }

    pub async fn tell(&self, warning: bool, reason: &str, action: &str, note: &str) {
        self.context
            .events
            .publish(
                &self.object,
                Event {
                    warning,
                    reason,
                    action,
                    note,
                },
            )
            .await;
    }

    /// Writes what people read: the mailbox's status, then those of its permissions.
    pub async fn report(&mut self, ending: Ending) -> Outcome {
        let Ending {
            mut outcome,
            record,
            view,
            done,
            revoked,
        } = ending;
        let status = self.object.status.as_ref();
        if status.is_none_or(|status| status.conditions.is_empty()) {
            // Nothing was ever reported that could stay as it is.
            outcome = outcome.reported_first();
        }
        let disposition = outcome.disposition();
        let now = self.context.clock.now();
        // As announced before the writes: it names those who have lost something, too.
        let announced = self.recorded().unwrap_or_default();
        let record_now = record.clone().unwrap_or_else(|| announced.clone());
        let facts = view.as_ref().map(|view| view.facts(&record_now));
        let before = self.object.clone();
        let refused = view.as_ref().is_some_and(|view| view.refused);
        let sight = match &facts {
            None => Sight::Nothing,
            Some(facts) if refused => Sight::OfRefused(facts),
            Some(facts) => Sight::Whole(facts),
        };
        let mut status = report::mailbox(&before, &disposition, &sight, record.as_ref(), now);
        if let Outcome::Drift(steps) = &outcome {
            status.pending_plan = steps.iter().take(50).cloned().collect();
        }
        report::remember_revoked(&mut status.revoked, &revoked, now);
        if facts.is_some() && matches!(outcome, Outcome::UpToDate | Outcome::Held(_)) {
            status.last_handled_orphan_removal = before.annotations().get(REMOVE_ORPHANS).cloned();
        }
        let nothing_to_tell = before.status.is_none() && disposition.ready.is_none();
        if !nothing_to_tell && let Err(failed) = self.write_status(status).await {
            return failed;
        }
        let done = named(&done, view.as_ref(), &announced);
        self.tell_about(&before, &disposition, &done).await;
        if let Some(view) = &view {
            self.tell_permissions(view, &revoked).await;
        }
        let lost = self
            .object
            .status
            .as_ref()
            .map(|status| status.revoked.clone())
            .unwrap_or_default();
        let mut stale = false;
        for (position, object) in self.permissions.clone().iter().enumerate() {
            let next = match (&view, &facts) {
                (Some(view), Some(facts)) => {
                    let judged = view
                        .admitted
                        .permissions
                        .get(position)
                        .zip(view.wanted.verdicts.get(position));
                    judged.and_then(|(permission, verdicts)| {
                        // An end comes whatever the mailbox's manifest says; nothing else follows from a refused one.
                        if view.refused && !permission.expired {
                            return report::permission_without_mailbox(object, &disposition, &lost, now);
                        }
                        Some(report::permission(permission, verdicts, facts, &lost, now))
                    })
                }
                _ => report::permission_without_mailbox(object, &disposition, &lost, now),
            };
            if let Some(next) = next {
                stale |= !permission::write(self.context, object, next).await;
            }
        }
        if stale { Outcome::Conflict } else { outcome }
    }

    /// What is remembered of the mailbox, as the API server has acknowledged it.
    pub fn recorded(&self) -> Option<Record> {
        self.object.status.as_ref()?.record.as_ref()?.read().ok()
    }

    /// True when what is written now follows from no edit: manifests are as they were reported.
    pub(super) fn is_drift(&self) -> bool {
        self.is_drift_for(&self.object)
    }

    fn is_drift_for(&self, object: &SharedMailbox) -> bool {
        let reported = object
            .status
            .as_ref()
            .and_then(|status| status.observed_generation);
        let permission_is_reported = |permission: &Arc<MailboxPermission>| {
            let reported = permission
                .status
                .as_ref()
                .and_then(|status| status.observed_generation);
            reported == permission.metadata.generation
        };
        let conditions = object
            .status
            .as_ref()
            .map_or(&[][..], |status| &status.conditions);
        condition::find(conditions, Kind::Provisioned).is_some()
            && reported == object.metadata.generation
            && self.permissions.iter().all(permission_is_reported)
            && self.lane != Lane::Revocation
    }

    async fn tell_about(&self, before: &SharedMailbox, disposition: &Disposition, done: &[String]) {
        let old = before
            .status
            .as_ref()
            .and_then(|status| condition::find(&status.conditions, Kind::Ready));
        if self.reattached && !done.is_empty() {
            let note = "took up the mailbox again that an earlier resource of this name made";
            self.tell(false, "Reattached", "Reattach", note).await;
        }
        if !done.is_empty() {
            let was_ready = old.is_some_and(|ready| ready.status == "True");
            let drift = was_ready && self.is_drift_for(before);
            let reason = if drift { "DriftRepaired" } else { "Changed" };
            self.tell(false, reason, "Apply", &done.join("; ")).await;
        }
        let Some(ready) = &disposition.ready else { return };
        if old.is_none_or(|old| old.reason != ready.reason || old.status != ready.truth.as_str()) {
            if ready.reason == "AccessDenied" {
                self.context.metrics.refused(key::MAILBOX, 1);
            }
            self.tell(disposition.warn, &ready.reason, "Reconcile", &ready.message)
                .await;
        }
    }
}

impl Pass<'_> {
    /// One event on each permission from which grants or revocations follow.
    async fn tell_permissions(&self, view: &View, revoked: &[RecordedGrant]) {
        for object in &self.permissions {
            let name = object.name_any();
            let mut granted = Vec::new();
            for key in &view.granted {
                let wanted = view
                    .desired
                    .grants
                    .get(key)
                    .filter(|wanted| wanted.by.contains(&name));
                granted.extend(wanted.map(|wanted| format!("{} to {}", key.1, wanted.member)));
            }
            let lost = revoked.iter().filter(|grant| grant.by.contains(&name));
            let lost: Vec<String> = lost
                .map(|grant| format!("{} of {}", grant.right, grant.member))
                .collect();
            let why = object
                .spec
                .reason
                .as_ref()
                .map(|text| format!(" ({text})"))
                .unwrap_or_default();
            for (reason, action, verb, what) in [
                ("RightsGranted", "Grant", "granted", granted),
                ("RightsRevoked", "Revoke", "revoked", lost),
            ] {
                if what.is_empty() {
                    continue;
                }
                let note = format!("{verb}{why}: {}", what.join(", "));
                let event = Event {
                    warning: false,
                    reason,
                    action,
                    note: &note,
                };
                self.context.events.publish(object.as_ref(), event).await;
            }
        }
    }
}

/// What was done, with the manifest's addresses in place of ids.
fn named(done: &[String], view: Option<&View>, record: &Record) -> Vec<String> {
    let Some(view) = view else {
        return done.to_vec();
    };
    let names = Names::of(&view.desired, record);
    done.iter().map(|text| names.in_text(text)).collect()
}

impl View {
    fn facts<'a>(&'a self, record: &'a Record) -> Facts<'a> {
        Facts {
            desired: &self.desired,
            observed: &self.observed,
            kind: &self.kind,
            record,
            rest: &self.rest,
            refused_settings: &self.refused_settings,
            refused_grants: &self.refused_grants,
            tenant: self.tenant.guid,
            members_refused: self
                .wanted
                .verdicts
                .iter()
                .flatten()
                .filter(|verdict| matches!(verdict, MemberVerdict::Refused(_)))
                .count(),
            writes: self.writes,
            propagation: self.tenant.propagation,
        }
    }
}
