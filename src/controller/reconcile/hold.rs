//! Weighs what a plan takes away, and holds what is too much at once until somebody approves exactly that.

use std::collections::BTreeSet;

use kube::ResourceExt;

use super::begin::Reconcile;
use super::outcome::{Outcome, Progress};
use super::validate::Judged;
use crate::api::APPROVE;
use crate::controller::state::breaker::Removals;
use crate::mail::MailboxGuid;
use crate::plan::{self, Change, Held, Plan};

/// A plan, and what of it waits.
pub(super) struct WeighedPlan {
    /// With what waits written into its ledgers, and still among its steps.
    pub plan: Plan,
    pub held: Option<Held>,
}

impl WeighedPlan {
    /// What may be done.
    pub fn free_steps(&self) -> Plan {
        self.without_held(&self.plan)
    }

    pub fn without_held(&self, plan: &Plan) -> Plan {
        let waits = |change: &Change| {
            self.held
                .as_ref()
                .is_some_and(|held| held.changes.contains(change))
        };
        plan.keeping(|change| !waits(change)).0
    }
}

impl Reconcile<'_> {
    pub(super) fn weigh(
        &self,
        judged: &Judged,
        planned: Plan,
        mailbox: MailboxGuid,
    ) -> Result<WeighedPlan, Outcome> {
        let sudden = self.confirmed_sudden(judged, &planned)?;
        let weighed = plan::weigh(&planned, &judged.prepared.ledger, &sudden);
        let before = judged.prepared.ledger.held.as_ref().map(Held::read);
        let mut held = weighed.held;
        let mut approved_now = BTreeSet::new();
        let approved = before
            .as_ref()
            .is_some_and(|before| before.changes == held && self.approves(&before.id(mailbox)));
        if approved {
            approved_now.append(&mut held);
        }
        if !weighed.new_removals.is_empty() {
            let removals = Removals {
                tenant: &self.object.spec.tenant_ref.name,
                namespace: &self.key.namespace,
                ledger: &self.ledger_name_now(),
                limits: judged.prepared.tenant.safety,
                count: weighed.new_removals.len(),
                clock: self.context.clock,
            };
            if self.context.state.try_acquire(&removals) {
                approved_now.extend(weighed.new_removals);
            } else {
                held.extend(weighed.new_removals);
            }
        }
        let held = (!held.is_empty()).then(|| Held {
            since: before
                .filter(|before| before.changes == held)
                .map_or_else(|| self.context.clock.now(), |before| before.since),
            changes: held,
        });
        Ok(WeighedPlan {
            plan: planned.remembering(held.as_ref(), &approved_now, &judged.desired),
            held,
        })
    }

    fn approves(&self, id: &str) -> bool {
        self.object
            .annotations()
            .get(APPROVE)
            .is_some_and(|value| value == id)
    }

    /// What follows from groups that changed all at once. Accepted only when a second read shows the same.
    fn confirmed_sudden(&self, judged: &Judged, planned: &Plan) -> Result<BTreeSet<Change>, Outcome> {
        let sudden = plan::sudden(&judged.desired, &judged.prepared.ledger);
        let planned = planned.changes();
        let earlier = self.context.state.remember(self.key, |memory| {
            std::mem::replace(&mut memory.sudden, sudden.clone())
        });
        if sudden.is_disjoint(&planned) || earlier == sudden {
            return Ok(sudden);
        }
        judged.prepared.tenant.directory.forget_expansions();
        Err(Outcome::Progressing(Progress::ConfirmingMembership))
    }
}
