//! Plans, carries the plan out, and looks again.

use std::collections::BTreeSet;

use super::apply::{Applied, Target};
use super::audit;
use super::fetch::Seen;
use super::hold::WeighedPlan;
use super::outcome::{Outcome, Progress, Stall};
use super::pass::{Ending, Ground, Pass, View};
use super::remember::{remembered, without_unmade};
use super::report::Names;
use super::validate::Wanted;
use crate::api::{APPROVE, ForeignState, Record, RecordedGrant};
use crate::controller::state::memory::Memory;
use crate::lane::Lane;
use crate::mail::ObjectId;
use crate::plan::{self, Acknowledged, Change, Desired, Observed, Plan};

/// What is known and wanted when a plan is made.
struct Judged {
    ground: Ground,
    wanted: Wanted,
    desired: Desired,
    /// Grants that were taken away and that a look of this pass was the first to show no more.
    gone: Vec<RecordedGrant>,
}

impl Judged {
    /// What is to be done, and may be.
    fn plan(&self, observed: &Observed, record: &Record) -> Plan {
        let plan = plan::plan(&self.desired, observed, record);
        match self.ground.refusal {
            None => plan,
            Some(_) => plan.only_taking_away(record),
        }
    }

    /// Takes up what was taken away earlier and is shown nevertheless, and lets go what was acknowledged a moment ago and
    /// is shown no more.
    fn look_for_removed(&mut self, acknowledged: &Acknowledged, observed: &Observed) {
        // Where nothing is written, the record is not either: it would be told once more with each pass.
        if !self.ground.writes {
            return;
        }
        let record = &mut self.ground.record;
        plan::recall(record, &self.desired, observed);
        self.gone = plan::believe(record, &self.desired, acknowledged, observed);
    }

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
            gone,
        } = self;
        let Applied {
            acknowledged,
            writes: _,
            done,
            refused_settings,
            refused_grants,
            not_found: _,
            proven: _,
            undeletable: _,
            error: _,
        } = applied;
        let granted = acknowledged.iter().filter_map(Change::granted);
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
            granted: granted.collect(),
            writes: ground.writes,
            refused: ground.refusal.is_some(),
        };
        Ending {
            outcome,
            record,
            view: Some(view),
            done,
            revoked: gone,
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
        let mut judged = Judged {
            ground,
            wanted,
            desired,
            gone: Vec::new(),
        };
        let now = self.context.clock.instant();
        let acknowledged = self
            .context
            .state
            .remember(self.key, |memory| memory.acknowledged(now));
        judged.look_for_removed(&acknowledged, &seen.observed);
        let planned = judged.plan(&seen.observed, &judged.ground.record);
        let weighed = if judged.ground.writes {
            self.weigh(&judged.ground, &judged.desired, planned, seen.observed.guid)
                .await?
        } else {
            WeighedPlan::free(planned)
        };
        let planned = &weighed.plan;
        if !judged.ground.writes {
            if self.is_drift() && self.is_news(planned) {
                self.context.metrics.drift_found(&planned.changes());
            }
            let outcome = if planned.is_empty() {
                Outcome::Observed
            } else {
                Outcome::Drift(planned.describe())
            };
            return Ok(judged.end(outcome, None, seen, weighed.plan, Applied::default()));
        }
        let free = weighed.free_steps();
        let (todo, unseen) = free.without(&acknowledged);
        let generation = self.object.metadata.generation;
        let contested = self
            .context
            .state
            .remember(self.key, |memory| memory.contested(generation, now));
        // Whatever somebody else does, taking access away and blocking sign-in go on.
        let (todo, contested) = todo.keeping(|change| {
            change.removes_a_grant() || matches!(change, Change::SignIn { .. }) || !contested.contains(change)
        });
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
            return Ok(judged.end(outcome, record, seen, weighed.plan, Applied::default()));
        }
        if todo.is_empty() {
            self.context.state.remember(self.key, Memory::settled);
            let outcome = settled(&judged, &weighed, &seen.observed, &judged.ground.record);
            let record = if weighed.held.is_some() {
                planned.announced.clone()
            } else {
                planned.settled.clone()
            };
            return Ok(judged.end(outcome, Some(record), seen, weighed.plan, Applied::default()));
        }
        self.announce(&planned.announced).await?;
        self.carry_out(judged, &weighed, &todo, &seen.observed).await
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
        weighed: &WeighedPlan,
        todo: &Plan,
        observed: &Observed,
    ) -> Result<Ending, Outcome> {
        let planned = &weighed.plan;
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
        if self.is_drift() {
            self.context.metrics.drift_found(&todo.changes());
        }
        let mut applied = target.apply(todo).await;
        audit::log(
            self,
            &judged.desired,
            planned,
            observed,
            &judged.ground.record,
            &applied,
        );
        self.take_note(&applied);
        let departed: Vec<ObjectId> = applied.not_found.iter().map(|(id, _)| *id).collect();
        judged.ground.tenant.directory.forget(&departed);
        let remembered = remembered(planned, &applied, &judged.ground.record, judged.desired.now);
        let read = self.fetch(&judged.ground);
        let confirmed = match applied.error.take() {
            Some(error) => Err(error),
            None => {
                read.mailbox(observed.guid, observed.object_id, &judged.desired, &remembered)
                    .await
            }
        };
        match confirmed {
            Ok(confirmed) => Ok(self.conclude(judged, weighed, applied, remembered, confirmed)),
            Err(error) => Ok(Ending {
                outcome: Outcome::of_error(&error),
                record: Some(remembered),
                view: None,
                done: applied.done,
                revoked: judged.gone,
            }),
        }
    }

    /// What a second look says about a plan that was carried out: only that counts.
    fn conclude(
        &self,
        mut judged: Judged,
        weighed: &WeighedPlan,
        applied: Applied,
        mut remembered: Record,
        mut confirmed: Seen,
    ) -> Ending {
        for (id, right) in &applied.proven {
            let sid = remembered.sid_of(id).cloned();
            confirmed.observed.prove(*id, *right, sid.as_ref());
        }
        let acknowledged = applied.acknowledged.iter().cloned().collect();
        let gone = plan::believe(
            &mut remembered,
            &judged.desired,
            &acknowledged,
            &confirmed.observed,
        );
        judged.gone.extend(gone);
        let rest = judged
            .plan(&confirmed.observed, &remembered)
            .remembering(weighed.held.as_ref(), &BTreeSet::new());
        let free = weighed.without_held(&rest);
        let outcome = match verdict(&free, &applied) {
            Outcome::UpToDate => {
                self.context.state.remember(self.key, Memory::settled);
                settled(&judged, weighed, &confirmed.observed, &remembered)
            }
            open @ (Outcome::Observed
            | Outcome::Drift(_)
            | Outcome::Paused(_)
            | Outcome::Progressing(_)
            | Outcome::Unavailable(_)
            | Outcome::Stalled(_)
            | Outcome::Held(_)
            | Outcome::Conflict
            | Outcome::TenantPending) => open,
        };
        let after = if free.is_empty() && weighed.held.is_none() {
            &rest.settled
        } else {
            &rest.announced
        };
        let is_marked = !rest.changes().contains(&Change::Marker);
        let record = Record {
            intent: remembered.intent.clone().filter(|_| !is_marked),
            ..after.clone()
        };
        let record = without_unmade(record, &judged.ground.record, &applied);
        judged.end(outcome, Some(record), confirmed, rest, applied)
    }

    /// What this process remembers of a plan that was carried out.
    fn take_note(&self, applied: &Applied) {
        let now = self.context.clock.instant();
        let (drift, generation) = (self.is_drift(), self.object.metadata.generation);
        self.context.state.remember(self.key, |memory| {
            if drift {
                self.context.metrics.drift_repaired(&applied.acknowledged);
                memory.repaired(applied.acknowledged.iter().cloned(), generation, now);
            }
            memory.acknowledge(applied.acknowledged.iter().cloned(), now);
            memory.said_missing(&applied.undeletable, now);
        });
    }
}

/// How a pass ends that finds nothing more to do.
fn settled(judged: &Judged, weighed: &WeighedPlan, observed: &Observed, record: &Record) -> Outcome {
    if let Some(held) = &weighed.held {
        let names = Names::of(&judged.desired, record);
        let shown: Vec<String> = held
            .changes
            .iter()
            .take(5)
            .map(|change| names.in_text(&change.to_string()))
            .collect();
        let more = held.changes.len().saturating_sub(shown.len());
        let tail = if more > 0 {
            format!("; and {more} more")
        } else {
            String::new()
        };
        return Outcome::Held(format!(
            "{} changes wait for approval, because too much would change at once: {}{tail}. To let exactly these go \
             on: kubectl annotate sharedmailbox {APPROVE}={}",
            held.changes.len(),
            shown.join("; "),
            held.id(observed.guid)
        ));
    }
    let stuck: Vec<String> = plan::foreign(&judged.desired, observed, record)
        .into_iter()
        .filter(|row| row.state == ForeignState::Stuck)
        .map(|row| format!("{} in the list of {}", row.shown, row.store))
        .collect();
    if stuck.is_empty() {
        return Outcome::UpToDate;
    }
    Outcome::Stalled(Stall::GrantStuck(format!(
        "Exchange shows entries and says that they do not exist when they are to be removed: {}; everything else is as \
         declared. Have Microsoft's support remove them",
        stuck.join("; ")
    )))
}

/// How a plan that was carried out ends, given what a second look still finds to do.
fn verdict(rest: &Plan, applied: &Applied) -> Outcome {
    if !applied.refused_settings.is_empty() {
        let text = format!("Exchange refuses: {}", applied.refused_settings.join("; "));
        return Outcome::Stalled(Stall::SettingRefused(text));
    }
    let refused = |change: &Change| {
        change
            .granted()
            .is_some_and(|grant| applied.refused_grants.contains_key(&grant))
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
