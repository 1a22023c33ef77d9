//! What is only observed: what Enforce would do is reported, and nothing is written.

use super::applied::{Applied, LISTED};
use super::execution::Execution;
use super::observation::ObservedMailbox;
use super::outcome::Outcome;
use super::report::Names;
use super::task::Reconcile;
use super::validate::Judged;
use super::verdict;
use crate::plan::{self, Plan};

impl Reconcile<'_> {
    /// The tenant is only observed: what would be done is reported, and nothing is written.
    pub(super) fn only_observe(&self, judged: Judged, seen: ObservedMailbox, plan: Plan) -> Applied {
        let applied = judged.end(Outcome::Observed, None, seen, plan, Execution::default());
        self.observed(applied)
    }

    /// What was read is reported, with what Enforce would do.
    pub(super) fn observed(&self, applied: Applied) -> Applied {
        let Some(snapshot) = &applied.snapshot else {
            return applied;
        };
        let remembered = applied.remembered(snapshot);
        let whole = plan::whole(&snapshot.desired, &snapshot.observed, remembered);
        let names = Names::of(&snapshot.desired, remembered);
        let steps: Vec<String> = whole.describe().iter().map(|step| names.in_text(step)).collect();
        if self.is_drift() && self.is_news(&steps) {
            self.context.metrics.drift_found(&whole.changes());
        }
        let outcome = if whole.is_empty() {
            verdict::unread(&snapshot.wanted, &snapshot.observed, &whole, true)
                .or_else(|| verdict::unsettled(&whole.standings, true))
                .unwrap_or(Outcome::Observed)
        } else {
            Outcome::Drift(steps)
        };
        applied.with(outcome, whole)
    }

    /// Whether the status does not show these steps yet.
    fn is_news(&self, steps: &[String]) -> bool {
        let shown = self.object.status.as_ref().map(|status| &status.pending_plan);
        // A status lists the first of them only.
        let steps = &steps[..steps.len().min(LISTED)];
        shown.is_none_or(|shown| shown != steps)
    }
}
