//! Carries out what is planned: what waits is held back, the rest is announced, sent, and read again. Only that last read
//! says what came of it.

use std::collections::BTreeSet;

use super::applied::Applied;
use super::execution::Execution;
use super::hold::WeighedPlan;
use super::observation::ObservedMailbox;
use super::outcome::{Outcome, Progress, Stall};
use super::prepared::Prepared;
use super::remember::{remembered, without_unmade};
use super::report::Names;
use super::task::{Reconcile, Restraint};
use super::validate::{Judged, Planned};
use super::verdict;
use crate::controller::state::memory::Memory;
use crate::lane::Lane;
use crate::ledger::{Ledger, Why};
use crate::mail::{Holder, ObjectId, Right};
use crate::plan::{self, Change, Observed, Plan, Purpose};

impl Reconcile<'_> {
    pub(super) async fn apply(&mut self, planned: Planned) -> Result<Applied, Outcome> {
        let judged = planned.judged();
        self.reattached = judged.reattached;
        let only_protects = self.restraint.as_ref().is_some_and(Restraint::only_protects);
        if let (false, Some(stall)) = (only_protects, &judged.refused) {
            self.restraint = Some(Restraint::Refused(stall.clone()));
        }
        match planned {
            Planned::Create { judged, nickname: _ } if !judged.prepared.writes => {
                Ok(Outcome::Drift(vec!["create the mailbox".to_owned()]).into())
            }
            Planned::Create { judged, nickname } => {
                let (judged, seen) = match self.create_mailbox(judged, nickname).await {
                    Ok(created) => created,
                    Err(applied) => return Ok(applied),
                };
                let plan = judged.plan(&seen.observed);
                Box::pin(self.change(judged, seen, plan)).await
            }
            Planned::Adopt { judged, seen, plan } => Box::pin(self.adopt(judged, *seen, plan)).await,
            Planned::Change { judged, seen, plan } => Box::pin(self.change(judged, *seen, plan)).await,
        }
    }

    async fn change(
        &mut self,
        judged: Judged,
        seen: ObservedMailbox,
        plan: Plan,
    ) -> Result<Applied, Outcome> {
        if !judged.prepared.writes {
            return Ok(self.only_observe(judged, seen, plan));
        }
        let weighed = self.weigh(&judged, plan, seen.observed.guid);
        let due = self.due(&judged.prepared, &weighed);
        if due.plan.is_empty() {
            return Ok(self.nothing_due(judged, seen, weighed, &due));
        }
        self.ledger.why = why(&weighed.plan);
        self.ledger.has_due = Some(!weighed.plan.due.is_empty());
        match self.announce(&weighed.plan.announced).await {
            Ok(()) => {}
            Err(Outcome::Stalled(stall @ Stall::LedgerRefused(_)))
                if judged.prepared.purpose == Purpose::Keep =>
            {
                return self.only_remove(judged, seen, stall).await;
            }
            Err(outcome) => return Err(outcome),
        }
        self.report_approval(&weighed).await;
        // Whatever a recheck found, from here on it is a repair, and what is read of it waits for no other rechecks.
        self.lane = self.lane.min(Lane::Repair);
        let execution = self.execute(&judged, &weighed, &due.plan, &seen.observed).await;
        Ok(self.confirm(judged, &weighed, execution, &seen.observed).await)
    }

    /// The ledger can't hold what is declared: what needs no more memory is done all the same.
    async fn only_remove(
        &mut self,
        mut judged: Judged,
        seen: ObservedMailbox,
        why: Stall,
    ) -> Result<Applied, Outcome> {
        self.restraint = Some(Restraint::Refused(why));
        judged.prepared.purpose = Purpose::OnlyRemove;
        judged.desired.purpose = Purpose::OnlyRemove;
        let plan = judged.plan(&seen.observed);
        Box::pin(self.change(judged, seen, plan)).await
    }

    /// What is sent now: not what waits for approval, what was acknowledged a moment ago, or what somebody else keeps
    /// changing back.
    fn due(&self, prepared: &Prepared, weighed: &WeighedPlan) -> Due {
        let (plan, is_unseen) = weighed.free_steps().without(&prepared.remembered.acknowledged);
        let now = self.context.clock.instant();
        let generation = self.object.metadata.generation;
        let unverified = &prepared.remembered.unverified;
        let (contested, resting) = self.context.state.remember(self.key, |memory| {
            memory.tries.keep(&weighed.plan.changes());
            // This reconcile has asked.
            memory.tries.misnamed.clear();
            let rests = |grant: &&(ObjectId, Right)| memory.tries.rests(grant, now);
            let resting: BTreeSet<(ObjectId, Right)> = unverified.iter().filter(rests).copied().collect();
            (memory.contested(generation, now), resting)
        });
        let (plan, is_unverified) =
            plan.keeping(|change| !change.granted().is_some_and(|grant| resting.contains(&grant)));
        // Whatever somebody else does, taking access away and blocking sign-in continue.
        let (plan, is_contested) = plan.keeping(|change| {
            change.removes_a_grant()
                || matches!(change, Change::SignIn { .. } | Change::SignedOut)
                || !contested.iter().any(|other| change.is_contested_with(other))
        });
        Due {
            plan,
            is_unseen,
            is_contested,
            is_unverified,
        }
    }

    fn nothing_due(&self, judged: Judged, seen: ObservedMailbox, weighed: WeighedPlan, due: &Due) -> Applied {
        let WeighedPlan {
            plan,
            held,
            unconfirmed,
            approved: _,
        } = weighed;
        let names = || Names::of(&judged.desired, &judged.prepared.ledger);
        let unread = verdict::unread(&judged.wanted, &seen.observed, &plan, self.is_reported_ready());
        let waiting = if !unconfirmed.is_empty() {
            Some(Outcome::Progressing(Progress::ConfirmingMembership))
        } else if due.is_contested {
            Some(verdict::contest(&plan, &names()))
        } else if due.is_unseen {
            let text = "Exchange acknowledged the changes and does not show them yet".to_owned();
            let unseen = Outcome::Progressing(Progress::WaitingForExchange(text));
            Some(unread.clone().unwrap_or(unseen))
        } else if due.is_unverified {
            let unverified = &judged.prepared.remembered.unverified;
            Some(verdict::unverified(&plan, unverified, &names()))
        } else {
            None
        };
        if let Some(outcome) = waiting {
            let ledger = Some(plan.announced.clone());
            return judged.end(outcome, ledger, seen, plan, Execution::default());
        }
        self.context.state.remember(self.key, Memory::settled);
        let outcome = verdict::settled(
            self,
            &judged.desired,
            held.as_ref(),
            &seen.observed,
            &judged.prepared.ledger,
            &plan,
            unread,
        );
        let ledger = if held.is_some() {
            plan.announced.clone()
        } else {
            plan.settled.clone()
        };
        judged.end(outcome, Some(ledger), seen, plan, Execution::default())
    }

    /// What a second read says about a plan that was carried out.
    async fn confirm(
        &mut self,
        judged: Judged,
        weighed: &WeighedPlan,
        mut execution: Execution,
        before: &Observed,
    ) -> Applied {
        let ledger = remembered(
            &weighed.plan,
            &execution,
            &judged.prepared.ledger,
            judged.prepared.purpose,
            judged.desired.now,
        );
        let confirmed = match execution.error.take() {
            Some(error) => Err(error),
            None => self
                .reads(&judged.prepared)
                .mailbox(before.guid, before.object_id, &judged.desired, &ledger)
                .await
                .map_err(|not_seen| not_seen.error),
        };
        match confirmed {
            Ok(confirmed) => self.conclude(judged, weighed, execution, ledger, confirmed),
            Err(error) => Applied {
                outcome: Outcome::of_error(&error),
                ledger: Some(ledger),
                snapshot: None,
                done: execution.done,
                revoked: judged.gone,
            },
        }
    }

    fn conclude(
        &self,
        mut judged: Judged,
        weighed: &WeighedPlan,
        execution: Execution,
        mut ledger: Ledger,
        mut confirmed: ObservedMailbox,
    ) -> Applied {
        self.take_in(&mut judged, &execution, &ledger, &mut confirmed);
        let acknowledged = execution.acknowledged.iter().cloned().collect();
        let gone = plan::confirm_removed(
            &mut ledger,
            &judged.desired,
            &acknowledged,
            &execution.undeletable,
            &confirmed.observed,
        );
        judged.gone.extend(gone);
        let rest = plan::plan(&judged.desired, &confirmed.observed, &ledger).remembering(
            weighed.held.as_ref(),
            &weighed.unconfirmed,
            &BTreeSet::new(),
            &judged.desired,
        );
        let free = weighed.without_held(&rest);
        let (generation, now) = (self.object.metadata.generation, self.context.clock.instant());
        let contested = self.context.state.remember(self.key, |memory| {
            memory.tries.keep(&rest.changes());
            memory.contested(generation, now)
        });
        let names = Names::of(&judged.desired, &ledger);
        let unread = verdict::unread(
            &judged.wanted,
            &confirmed.observed,
            &rest,
            self.is_reported_ready(),
        );
        let outcome = verdict::after(
            &free,
            &execution,
            &judged.prepared.remembered,
            &contested,
            unread.as_ref(),
            &names,
        )
        .or_else(|| {
            let is_open = !weighed.unconfirmed.is_empty();
            is_open.then_some(Outcome::Progressing(Progress::ConfirmingMembership))
        })
        .unwrap_or_else(|| {
            self.context.state.remember(self.key, Memory::settled);
            verdict::settled(
                self,
                &judged.desired,
                weighed.held.as_ref(),
                &confirmed.observed,
                &ledger,
                &rest,
                unread,
            )
        });
        let is_done = free.is_empty() && weighed.held.is_none() && weighed.unconfirmed.is_empty();
        let ledger = after(&rest, is_done, &ledger, &judged.prepared.ledger, &execution);
        judged.end(outcome, Some(ledger), confirmed, rest, execution)
    }

    /// What the read after the writes shows, with what Exchange proved otherwise.
    fn take_in(
        &self,
        judged: &mut Judged,
        execution: &Execution,
        ledger: &Ledger,
        confirmed: &mut ObservedMailbox,
    ) {
        let mut misnamed = BTreeSet::new();
        for (id, right) in &execution.proven {
            let sid = ledger.sid_for(id, *right).cloned();
            let is_shown = sid
                .as_ref()
                .is_some_and(|sid| confirmed.observed.shows(sid, *right));
            if !is_shown {
                misnamed.insert((*id, *right));
            }
            confirmed.observed.assume_present(*id, *right, sid.as_ref());
        }
        let now = (self.context.clock.instant(), self.context.clock.now());
        judged.desired.sign_in_attempts = self.context.state.remember(self.key, |memory| {
            memory.was_read(&judged.desired, &confirmed.observed, now);
            let is_shown = |(holder, right): &(Holder, Right)| match holder {
                Holder::Sid(sid) => confirmed.observed.shows(sid, *right),
                Holder::ObjectId(id) => plan::may_be_untied(*id, *right, ledger, &confirmed.observed),
            };
            memory.said_missing(&execution.undeletable, is_shown, now.0);
            memory.tries.misnamed = misnamed;
            memory.sign_in.attempts(now.0)
        });
    }
}

/// What is remembered after the read that followed the writes.
fn after(rest: &Plan, is_done: bool, ledger: &Ledger, before: &Ledger, execution: &Execution) -> Ledger {
    let after = if is_done { &rest.settled } else { &rest.announced };
    let is_marked = !rest.changes().iter().any(Change::is_marker);
    let ledger = Ledger {
        intent: ledger.intent.clone().filter(|_| !is_marked),
        ..after.clone()
    };
    without_unmade(ledger, before, execution)
}

/// What is sent now, and why not all of it.
struct Due {
    plan: Plan,
    /// Something was acknowledged and is not shown yet.
    is_unseen: bool,
    /// Somebody else keeps changing something back.
    is_contested: bool,
    /// A grant that no read ever showed is not repeated yet.
    is_unverified: bool,
}

/// Why the plan changes rights, for the history.
fn why(plan: &Plan) -> Why {
    let causes = plan
        .causes
        .iter()
        .filter_map(|(change, cause)| match change.removed()? {
            (Holder::ObjectId(id), right) => Some(((id, right), cause.as_str())),
            (Holder::Sid(_), _) => None,
        });
    Why {
        causes: causes.collect(),
        request: None,
    }
}
