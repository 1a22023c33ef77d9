//! Plans, carries the plan out, and looks again.

use super::{Ending, Ground, Pass, View};
use crate::api::{Record, RecordedGrant};
use crate::controller::apply::{Applied, Target};
use crate::controller::context::Memory;
use crate::controller::fetch::Seen;
use crate::controller::outcome::{Outcome, Progress, Stall};
use crate::controller::validate::Wanted;
use crate::lane::Lane;
use crate::mail::{ObjectId, Right};
use crate::plan::{self, Change, Desired, Observed, Plan};

/// What is known and wanted when a plan is made.
struct Judged {
    ground: Ground,
    wanted: Wanted,
    desired: Desired,
}

impl Judged {
    fn end(
        self,
        outcome: Outcome,
        record: Option<Record>,
        seen: Seen,
        rest: Plan,
        applied: Applied,
    ) -> Ending {
        let Self {
            ground,
            wanted,
            desired,
        } = self;
        let Applied {
            acknowledged: _,
            done,
            refused_settings,
            refused_grants,
            not_found: _,
            error: _,
        } = applied;
        let view = View {
            tenant: ground.tenant,
            admitted: ground.admitted,
            wanted,
            desired,
            observed: seen.observed,
            kind: seen.kind,
            rest,
            refused_settings,
            refused_grants,
            writes: ground.writes,
        };
        Ending {
            outcome,
            record,
            view: Some(view),
            done,
        }
    }
}

impl Pass<'_> {
    /// Plans for what was seen, carries the plan out and looks again.
    pub(in crate::controller) async fn act(
        &mut self,
        ground: Ground,
        wanted: Wanted,
        desired: Desired,
        seen: Seen,
    ) -> Result<Ending, Outcome> {
        let planned = plan::plan(&desired, &seen.observed, &ground.record);
        let judged = Judged {
            ground,
            wanted,
            desired,
        };
        if !judged.ground.writes {
            if self.is_drift() && self.is_news(&planned) {
                self.context.metrics.drift_found(&planned.changes());
            }
            let outcome = if planned.is_empty() {
                Outcome::Observed
            } else {
                Outcome::Drift(planned.describe())
            };
            return Ok(judged.end(outcome, None, seen, planned, Applied::default()));
        }
        let now = self.context.clock.instant();
        let acknowledged = self.context.remember(self.key, |memory| memory.acknowledged(now));
        let (todo, unseen) = planned.without(&acknowledged);
        let generation = self.object.metadata.generation;
        let contested = self
            .context
            .remember(self.key, |memory| memory.contested(generation, now));
        let (todo, contested) = todo.without(&contested);
        if todo.is_empty() && (unseen || contested) {
            let outcome = if contested {
                Outcome::Stalled(Stall::Contested(format!(
                    "somebody else keeps changing what this resource declares: {}; it is repaired once an hour. Change \
                     the manifest, or stop whoever changes the mailbox",
                    planned.describe().join("; ")
                )))
            } else {
                let text = "Exchange acknowledged the changes and does not show them yet".to_owned();
                Outcome::Progressing(Progress::WaitingForExchange(text))
            };
            let record = Some(planned.announced.clone());
            return Ok(judged.end(outcome, record, seen, planned, Applied::default()));
        }
        if todo.is_empty() {
            self.context.remember(self.key, Memory::settled);
            let record = Some(planned.settled.clone());
            return Ok(judged.end(Outcome::UpToDate, record, seen, planned, Applied::default()));
        }
        self.announce(&planned.announced).await?;
        self.carry_out(judged, &planned, &todo, &seen.observed).await
    }

    /// Whether the status does not tell of this plan yet.
    fn is_news(&self, plan: &Plan) -> bool {
        let told = self.object.status.as_ref().map(|status| &status.pending_plan);
        told.is_none_or(|told| *told != plan.describe())
    }

    /// Does what is to be done and looks again.
    async fn carry_out(
        &mut self,
        judged: Judged,
        planned: &Plan,
        todo: &Plan,
        observed: &Observed,
    ) -> Result<Ending, Outcome> {
        let target = Target {
            gateway: &judged.ground.tenant.gateway,
            lane: if todo.steps.iter().any(plan::Step::revokes) {
                Lane::Revocation
            } else {
                self.lane
            },
            guid: observed.guid,
            object_id: observed.object_id,
            record: &planned.announced,
        };
        let drift = self.is_drift();
        if drift {
            self.context.metrics.drift_found(&todo.changes());
        }
        let mut applied = target.apply(todo).await;
        let now = self.context.clock.instant();
        if drift {
            self.context.metrics.drift_repaired(&applied.acknowledged);
            let generation = self.object.metadata.generation;
            let repaired = applied.acknowledged.iter().cloned();
            self.context
                .remember(self.key, |memory| memory.repaired(repaired, generation, now));
        }
        let acknowledged = applied.acknowledged.iter().cloned();
        self.context
            .remember(self.key, |memory| memory.acknowledge(acknowledged, now));
        let departed: Vec<ObjectId> = applied.not_found.iter().map(|(id, _)| *id).collect();
        judged.ground.tenant.directory.forget(&departed);
        let before = judged.ground.record.clone();
        let remembered = without_unmade(remembered(planned, &applied), &before, &applied);
        let read = self.fetch(&judged.ground);
        let confirmed = match applied.error.take() {
            Some(error) => Err(error),
            None => {
                read.mailbox(
                    observed.guid,
                    observed.object_id,
                    &judged.desired.grants,
                    &remembered,
                )
                .await
            }
        };
        let confirmed = match confirmed {
            Ok(confirmed) => confirmed,
            Err(error) => {
                let outcome = Outcome::of_error(&error);
                return Ok(Ending {
                    outcome,
                    record: Some(remembered),
                    view: None,
                    done: applied.done,
                });
            }
        };
        let rest = plan::plan(&judged.desired, &confirmed.observed, &remembered);
        let outcome = verdict(&rest, &applied);
        let after = if matches!(outcome, Outcome::UpToDate) {
            self.context.remember(self.key, Memory::settled);
            &rest.settled
        } else {
            &rest.announced
        };
        let record = Record {
            intent: remembered.intent.clone(),
            ..after.clone()
        };
        let record = without_unmade(without_refused(record, &applied), &before, &applied);
        Ok(judged.end(outcome, Some(record), confirmed, rest, applied))
    }
}

/// What must be remembered after a plan was carried out, perhaps in part: everything announced, less what
/// Exchange acknowledged as taken away.
fn remembered(planned: &Plan, applied: &Applied) -> Record {
    let done = |change: Change| applied.acknowledged.contains(&change);
    let mut record = planned.announced.clone();
    record.grants.retain(|grant| {
        let settled = planned
            .settled
            .grants
            .iter()
            .any(|s| s.object_id == grant.object_id && s.right == grant.right);
        settled || !done(Change::Revoked(grant.object_id, grant.right))
    });
    for grant in &mut record.grants {
        // Both halves of a remapping are done when nothing failed.
        grant.remapping &= !done(Change::Granted(grant.object_id, grant.right));
    }
    record.addresses.retain(|address| {
        planned.settled.addresses.contains(address) || !done(Change::AddressRemoved(address.clone()))
    });
    let marker_planned = planned.changes().contains(&Change::Marker);
    if !marker_planned || done(Change::Marker) {
        record.intent = None;
    }
    without_refused(record, applied)
}

/// A grant that Exchange refused for good was never made.
fn without_refused(mut record: Record, applied: &Applied) -> Record {
    record.grants.retain(|grant| {
        !applied
            .refused_grants
            .contains_key(&(grant.object_id, grant.right))
    });
    record
}

/// A grant that was announced just now and not made, because its member is gone, leaves nothing to revoke.
fn without_unmade(mut record: Record, before: &Record, applied: &Applied) -> Record {
    let known = |id: ObjectId, right: Right| {
        let same = |grant: &RecordedGrant| grant.object_id == id && grant.right == right;
        before.grants.iter().any(same)
    };
    record.grants.retain(|grant| {
        known(grant.object_id, grant.right) || !applied.not_found.contains(&(grant.object_id, grant.right))
    });
    record
}

/// How a plan that was carried out ends, given what a second look still finds to do.
fn verdict(rest: &Plan, applied: &Applied) -> Outcome {
    if !applied.refused_settings.is_empty() {
        let text = format!("Exchange refuses: {}", applied.refused_settings.join("; "));
        return Outcome::Stalled(Stall::SettingRefused(text));
    }
    let refused = |change: &Change| match change {
        Change::Granted(id, right) => applied.refused_grants.contains_key(&(*id, *right)),
        _ => false,
    };
    let open: Vec<String> = rest
        .steps
        .iter()
        .filter(|step| !step.changes().iter().all(refused))
        .map(ToString::to_string)
        .collect();
    if open.is_empty() {
        return Outcome::UpToDate;
    }
    let text = format!(
        "Exchange acknowledged the changes and does not show all of them yet: {}",
        open.join("; ")
    );
    Outcome::Progressing(Progress::WaitingForExchange(text))
}
