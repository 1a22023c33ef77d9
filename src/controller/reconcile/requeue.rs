//! When a mailbox is reconciled again.

use std::time::Duration;

use jiff::SignedDuration;

use super::outcome::{Disposition, Requeue};
use crate::controller::context::Context;
use crate::controller::metrics::ReconcileResult;
use crate::controller::state::key::MailboxKey;
use crate::controller::state::memory::Memory;
use crate::controller::state::tenants::TenantState;
use crate::lane::Lane;

/// How often a mailbox is rechecked whose tenant is not known.
pub const RECHECK: Duration = Duration::from_mins(10);

/// How a piece of work went, and when it comes back by itself.
pub struct Completed {
    pub result: ReconcileResult,
    pub requeue: Option<(Duration, Lane)>,
}

impl Completed {
    pub fn new(result: ReconcileResult, requeue: Option<(Duration, Lane)>) -> Self {
        Self { result, requeue }
    }

    /// The same, but back for a revocation when that is due.
    pub fn not_later_than(self, due: SignedDuration) -> Self {
        self.sooner(Duration::try_from(due).unwrap_or_default(), Lane::Revocation)
    }

    /// The same, but back after this long.
    pub fn sooner(self, due: Duration, lane: Lane) -> Self {
        let is_sooner = self.requeue.is_none_or(|(delay, _)| due < delay);
        if is_sooner {
            Self {
                requeue: Some((due, lane)),
                ..self
            }
        } else {
            self
        }
    }
}

/// When what an outcome means brings the mailbox back, and in which lane.
pub fn requeue(context: &Context, key: &MailboxKey, disposition: &Disposition, lane: Lane) -> Completed {
    let count = |memory: &mut Memory, label| {
        if disposition.requeue == Requeue::WithTenant {
            memory.waits_for_tenant = Some(memory.waits_for_tenant.map_or(lane, |other| other.min(lane)));
        }
        memory.count_ending(label)
    };
    completed(context, key, disposition, lane, count)
}

/// The same, for what an earlier resource of this name left: its failures in a row are counted by themselves.
pub fn requeue_earlier(
    context: &Context,
    key: &MailboxKey,
    disposition: &Disposition,
    lane: Lane,
) -> Completed {
    completed(context, key, disposition, lane, Memory::count_earlier_ending)
}

fn completed(
    context: &Context,
    key: &MailboxKey,
    disposition: &Disposition,
    lane: Lane,
    count: impl FnOnce(&mut Memory, &'static str) -> u32,
) -> Completed {
    let failures = disposition.label.map_or(1, |label| {
        context.state.remember(key, |memory| count(memory, label))
    });
    let mailbox = context.state.index().mailbox(key);
    let tenant = mailbox.map(|mailbox| mailbox.spec.tenant_ref.name.clone());
    let interval = match tenant.and_then(|name| context.state.tenants.get(&name)) {
        Some(TenantState::Ready(tenant)) => tenant.interval,
        Some(TenantState::NotReady { .. }) | None => RECHECK,
    };
    let delay = disposition.requeue.delay(interval, failures);
    let lane = match disposition.requeue {
        // The regular recheck waits at the end.
        Requeue::Interval => Lane::Sweep,
        Requeue::At(later) => later.lane,
        // What somebody waits for keeps its place.
        Requeue::Backoff { .. } | Requeue::Sooner(_) | Requeue::WithTenant | Requeue::OnChange => lane,
    };
    Completed::new(disposition.result, delay.map(|delay| (delay, lane)))
}
