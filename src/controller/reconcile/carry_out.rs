//! Carries out what is due, and remembers what came of it.

use super::audit;
use super::execution::Execution;
use super::executor::Executor;
use super::hold::WeighedPlan;
use super::task::Reconcile;
use super::validate::Judged;
use crate::lane::Lane;
use crate::mail::ObjectId;
use crate::plan::{Change, Desired, Observed, Plan, Step};

impl Reconcile<'_> {
    pub(super) async fn execute(
        &mut self,
        judged: &Judged,
        weighed: &WeighedPlan,
        due: &Plan,
        observed: &Observed,
    ) -> Execution {
        let executor = Executor {
            gateway: &judged.prepared.tenant.gateway,
            lane: if due.steps.iter().any(Step::revokes) {
                Lane::Revocation
            } else {
                self.lane
            },
            guid: observed.guid,
            object_id: observed.object_id,
            ledger: &weighed.plan.announced,
            observed,
            failing: &judged.prepared.remembered.failing,
        };
        if self.is_drift() {
            self.context.metrics.drift_found(&due.changes());
        }
        let execution = executor.execute(due).await;
        if execution
            .acknowledged
            .iter()
            .any(|change| matches!(change, Change::SignIn { .. }))
        {
            self.seen_account = None;
        }
        audit::log(self, judged, &weighed.plan, observed, &execution);
        if let Some(why) = &execution.sign_out_refused {
            let note = format!(
                "sign-in is blocked, and who was signed in before stays so until their session ends: {why}"
            );
            self.publish(true, "SessionsNotRevoked", "SignOut", &note).await;
        }
        let mut requests = execution.writes.iter().rev();
        self.ledger.why.request = requests.find_map(|write| write.request_id.clone());
        self.take_note(&judged.desired, observed, &execution);
        let departed: Vec<ObjectId> = execution.not_found.iter().map(|(id, _)| *id).collect();
        judged.prepared.tenant.directory.forget(&departed);
        execution
    }

    /// What this process remembers of a plan that was carried out.
    fn take_note(&self, desired: &Desired, observed: &Observed, execution: &Execution) {
        let now = self.context.clock.instant();
        let (drift, generation) = (self.is_drift(), self.object.metadata.generation);
        self.context.state.remember(self.key, |memory| {
            if drift {
                self.context.metrics.drift_repaired(&execution.acknowledged);
                // What Exchange had already was nobody's to change back.
                let is_proven = |change: &&Change| {
                    let grant = change.granted();
                    grant.is_some_and(|grant| execution.proven.contains(&grant))
                };
                let repaired = execution.acknowledged.iter().filter(|change| !is_proven(change));
                memory.repaired(repaired, generation, now);
            }
            memory.acknowledge(execution.acknowledged.iter().cloned(), now);
            for (through, (allowed, why)) in &execution.sign_in_refused {
                memory.sign_in.tried(*through, *allowed, Some(why.clone()), now);
            }
            memory.tries.succeeded(&execution.acknowledged, now);
            memory.tries.failed(&execution.failed, now);
            for (family, write) in execution.written_families() {
                memory.settings_written(family, desired, observed, write.said_equal, now);
            }
            for refused in &execution.refused {
                // A default is tried until it is set or refused, and an outage is no refusal.
                let is_tried_on =
                    |family: &&&str| refused.keeps_failing && desired.defaults.contains(**family);
                for family in refused.families.iter().filter(|family| !is_tried_on(family)) {
                    memory.settings_refused(family, desired, (&refused.why, refused.may_pass), now);
                }
            }
        });
    }
}
