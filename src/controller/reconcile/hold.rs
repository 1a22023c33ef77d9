//! Weighs what a plan takes away, and holds what is too much at once until somebody approves exactly that.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::ResourceExt;

use super::task::Reconcile;
use super::validate::Judged;
use crate::api::APPROVE;
use crate::controller::state::breaker::Removals;
use crate::mail::MailboxGuid;
use crate::plan::{self, Change, Held, Plan};
use crate::words::counted;

/// A plan, and what of it waits.
pub(super) struct WeighedPlan {
    /// With what waits written into its ledgers, and still among its steps.
    pub plan: Plan,
    pub held: Option<Held>,
    /// What follows from groups that changed all at once, and that only one read has shown so far.
    pub unconfirmed: BTreeSet<Change>,
    /// What waited, and is done because somebody approves exactly that.
    pub approved: BTreeSet<Change>,
}

impl WeighedPlan {
    /// What may be done.
    pub fn free_steps(&self) -> Plan {
        self.without_held(&self.plan)
    }

    pub fn without_held(&self, plan: &Plan) -> Plan {
        let waits = |change: &Change| {
            let is_held = |held: &Held| held.changes.contains(change);
            self.unconfirmed.contains(change) || self.held.as_ref().is_some_and(is_held)
        };
        plan.keeping(|change| !waits(change)).0
    }
}

impl Reconcile<'_> {
    pub(super) fn weigh(&self, judged: &Judged, planned: Plan, mailbox: MailboxGuid) -> WeighedPlan {
        let (sudden, unconfirmed) = self.sudden(judged);
        let weighed = plan::weigh(&planned, &judged.prepared.ledger, &sudden);
        let before = judged.prepared.ledger.held.as_ref().map(Held::read);
        let mut held = weighed.held;
        let was_held = |change: &Change| {
            before
                .as_ref()
                .is_some_and(|before| before.changes.contains(change))
        };
        let unconfirmed: BTreeSet<Change> = unconfirmed
            .into_iter()
            .filter(|change| held.contains(change) && !was_held(change))
            .collect();
        held.retain(|change| !unconfirmed.contains(change));
        let (new, mut again) = (weighed.new_removals, weighed.held_removals);
        let mut approved_now = BTreeSet::new();
        let is_approved = before.as_ref().is_some_and(|before| {
            let waiting: BTreeSet<Change> = held.union(&again).cloned().collect();
            before.changes == waiting && self.approves(&before.id(mailbox))
        });
        let mut approved = BTreeSet::new();
        if is_approved {
            approved.append(&mut held);
            approved.append(&mut again);
        }
        approved_now.extend(approved.iter().cloned());
        if !(new.is_empty() && again.is_empty()) {
            let removals = Removals {
                tenant: &self.object.spec.tenant_ref.name,
                namespace: &self.key.namespace,
                ledger: &self.ledger_name_now(),
                limits: judged.prepared.tenant.safety,
                new: new.len(),
                held: again.len(),
                clock: self.context.clock,
            };
            let acquired = self.context.state.acquire(&removals);
            for (removals, count) in [(new, acquired.new), (again, acquired.held)] {
                let mut removals = removals.into_iter();
                approved_now.extend(removals.by_ref().take(count));
                held.extend(removals);
            }
        }
        let held = (!held.is_empty()).then(|| Held {
            since: before
                .filter(|before| before.changes == held)
                .map_or_else(|| self.context.clock.now(), |before| before.since),
            changes: held,
        });
        WeighedPlan {
            plan: planned.remembering(held.as_ref(), &unconfirmed, &approved_now, &judged.desired),
            held,
            unconfirmed,
            approved,
        }
    }

    /// That what waited is carried out, and as far as Kubernetes knows it, by whom: once, when it is written down.
    pub(super) async fn report_approval(&self, weighed: &WeighedPlan) {
        let approved = weighed.approved.len();
        if approved == 0 {
            return;
        }
        let id = self.object.annotations().get(APPROVE).map_or("", String::as_str);
        let by = match approver(self.object.managed_fields()) {
            Some(by) => format!("{by} approved them with {APPROVE}={id}"),
            None => format!("they were approved with {APPROVE}={id}"),
        };
        let note = format!(
            "{} carried out now: {by}. Kubernetes' audit log says which user wrote the annotation",
            counted(approved, "change that waited is", "changes that waited are")
        );
        tracing::info!(target: "audit", reason = "Approved", mailbox = %self.key, id, changes = approved, "{note}");
        self.publish(false, "Approved", "Approve", &note).await;
    }

    fn approves(&self, id: &str) -> bool {
        self.object
            .annotations()
            .get(APPROVE)
            .is_some_and(|value| value == id)
    }

    /// What follows from groups that changed all at once, and what of it no second read has shown yet: that waits for one.
    fn sudden(&self, judged: &Judged) -> (BTreeSet<Change>, BTreeSet<Change>) {
        // Without a resource there are no groups, and another one of this name has its own.
        if judged.desired.purpose.is_without_resource() {
            return (BTreeSet::new(), BTreeSet::new());
        }
        let sudden = plan::sudden(&judged.desired, &judged.prepared.ledger);
        let earlier = self.context.state.remember(self.key, |memory| {
            std::mem::replace(&mut memory.sudden, sudden.clone())
        });
        let unconfirmed: BTreeSet<Change> = sudden.difference(&earlier).cloned().collect();
        if !unconfirmed.is_empty() {
            judged.prepared.tenant.directory.forget_expansions();
        }
        (sudden, unconfirmed)
    }
}

/// Which program wrote the approval last: all that an object says of who did.
fn approver(fields: &[ManagedFieldsEntry]) -> Option<&str> {
    let annotation = format!("f:{APPROVE}");
    let wrote = fields.iter().filter(|entry| {
        let owned = entry
            .fields_v1
            .as_ref()
            .map(|fields| &fields.0["f:metadata"]["f:annotations"]);
        owned.is_some_and(|annotations| annotations.get(&annotation).is_some())
    });
    let last = wrote.max_by_key(|entry| entry.time.as_ref().map(|time| time.0))?;
    last.manager.as_deref()
}
