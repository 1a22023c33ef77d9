//! Whether this process may write: judged by its own monotonic clock right before each external write, and how many
//! such writes are under way.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

/// A claim to be the one that works. Cheap to clone; all clones see the same claim.
#[derive(Clone, Debug)]
pub struct Leadership {
    state: Arc<watch::Sender<State>>,
    /// What is written to a tenant needs the claim to that tenant besides.
    tenant: Option<TenantClaim>,
}

/// A claim as a Lease holds it, taken or renewed now. `old` is what the Lease held, which is nothing when it is created;
/// `is_ours`: no other claim ends by it.
pub fn lease_spec(
    old: LeaseSpec,
    is_ours: bool,
    holder: String,
    now: MicroTime,
    lasts: Duration,
) -> LeaseSpec {
    let acquired = old.acquire_time.filter(|_| is_ours);
    let transitions = old.lease_transitions.unwrap_or_default();
    LeaseSpec {
        holder_identity: Some(holder),
        acquire_time: Some(acquired.unwrap_or_else(|| now.clone())),
        renew_time: Some(now),
        lease_duration_seconds: i32::try_from(lasts.as_secs()).ok(),
        lease_transitions: Some(transitions.saturating_add(i32::from(!is_ours))),
        ..LeaseSpec::default()
    }
}

/// This installation's claim to one tenant. Cheap to clone; all clones see the same claim.
#[derive(Clone, Debug, Default)]
pub struct TenantClaim(Arc<Mutex<Option<Instant>>>);

impl TenantClaim {
    /// The claim holds until `deadline`, whatever happens to whoever extends it.
    pub fn hold_until(&self, deadline: Instant) {
        *self.0.lock() = Some(deadline);
    }

    pub fn give_up(&self) {
        *self.0.lock() = None;
    }

    /// How long it holds if nobody extends it.
    pub fn left(&self) -> Duration {
        let deadline = *self.0.lock();
        deadline.map_or(Duration::ZERO, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        })
    }

    pub fn is_current(&self) -> bool {
        !self.left().is_zero()
    }
}

#[derive(Clone, Copy, Debug)]
struct State {
    claim: Claim,
    /// Work ends: whatever the claim says, nothing new is begun.
    stood_down: bool,
    writes: usize,
}

#[derive(Clone, Copy, Debug)]
enum Claim {
    /// This process works alone and nobody is asked.
    Alone,
    None,
    Until(Instant),
}

impl Claim {
    fn holds(self) -> bool {
        match self {
            Self::Alone => true,
            Self::None => false,
            Self::Until(deadline) => Instant::now() < deadline,
        }
    }
}

/// An external write under way. It stays under way when its task is cut off before [`Writing::ended`]: nobody knows
/// then whether it is still being executed.
#[must_use]
#[derive(Debug)]
pub struct Writing(Leadership);

impl Writing {
    /// It was answered, or is given up as lost.
    pub fn ended(self) {
        self.0.state.send_modify(|state| state.writes -= 1);
    }
}

impl Leadership {
    /// For a process that works alone.
    pub fn alone() -> Self {
        Self::with(Claim::Alone)
    }

    /// Not leading until [`Self::hold_until`] says so.
    pub fn contested() -> Self {
        Self::with(Claim::None)
    }

    fn with(claim: Claim) -> Self {
        let state = State {
            claim,
            stood_down: false,
            writes: 0,
        };
        Self {
            state: Arc::new(watch::Sender::new(state)),
            tenant: None,
        }
    }

    /// The same claim, for writes that need the one to a tenant as well.
    pub fn over_tenant(&self, claim: TenantClaim) -> Self {
        Self {
            state: Arc::clone(&self.state),
            tenant: Some(claim),
        }
    }

    /// The claim holds until `deadline`, whatever happens to whoever extends it.
    pub fn hold_until(&self, deadline: Instant) {
        self.set(Claim::Until(deadline));
    }

    pub fn give_up(&self) {
        self.set(Claim::None);
    }

    fn set(&self, claim: Claim) {
        self.state.send_modify(|state| match state.claim {
            Claim::Alone => {}
            Claim::None | Claim::Until(_) => state.claim = claim,
        });
    }

    pub fn is_current(&self) -> bool {
        self.state.borrow().claim.holds()
    }

    /// Asked right before each external write; None when it must not be sent.
    pub fn begin_write(&self) -> Option<Writing> {
        let begun = self.state.send_if_modified(|state| {
            let is_served = self.tenant.as_ref().is_none_or(TenantClaim::is_current);
            let may = state.claim.holds() && is_served && !state.stood_down;
            state.writes += usize::from(may);
            may
        });
        begun.then(|| Writing(self.clone()))
    }

    /// Work ends here, for good: no external write is begun from now on. The claim stays, so that nobody else writes
    /// beside those that are under way.
    pub fn stand_down(&self) {
        self.state.send_modify(|state| state.stood_down = true);
    }

    pub fn has_stood_down(&self) -> bool {
        self.state.borrow().stood_down
    }

    /// Ends when work is to end.
    pub async fn stood_down(&self) {
        self.until(|state| state.stood_down).await;
    }

    /// Ends when no external write is under way.
    pub async fn writes_ended(&self) {
        self.until(|state| state.writes == 0).await;
    }

    pub fn is_writing(&self) -> bool {
        self.state.borrow().writes > 0
    }

    async fn until(&self, reached: impl FnMut(&State) -> bool) {
        // The sender, which is ours, lives as long as this borrow: there is no error.
        let _ = self.state.subscribe().wait_for(reached).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_claim_ends_by_itself_at_its_deadline() {
        let leadership = Leadership::contested();
        let seen_elsewhere = leadership.clone();
        assert!(!seen_elsewhere.is_current());
        leadership.hold_until(Instant::now() + Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(seen_elsewhere.is_current());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!seen_elsewhere.is_current());
        assert!(Leadership::alone().is_current());
    }

    #[tokio::test(start_paused = true)]
    async fn who_stands_down_begins_no_write_and_waits_for_those_under_way() {
        let leadership = Leadership::contested();
        assert!(leadership.begin_write().is_none(), "nobody leads yet");
        leadership.hold_until(Instant::now() + Duration::from_secs(10));
        let under_way = leadership.begin_write().unwrap();
        leadership.stand_down();
        leadership.stood_down().await;
        assert!(leadership.is_current() && leadership.begin_write().is_none());
        let waits = tokio::time::timeout(Duration::from_secs(1), leadership.writes_ended());
        assert!(waits.await.is_err() && leadership.is_writing());
        under_way.ended();
        leadership.writes_ended().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_to_a_tenant_needs_both_claims() {
        let leadership = Leadership::alone();
        let claim = TenantClaim::default();
        let over_tenant = leadership.over_tenant(claim.clone());
        assert!(over_tenant.begin_write().is_none(), "nobody serves it yet");
        claim.hold_until(Instant::now() + Duration::from_secs(10));
        let under_way = over_tenant.begin_write().unwrap();
        assert!(leadership.is_writing(), "both count the same writes");
        under_way.ended();
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(over_tenant.begin_write().is_none(), "it ended by itself");
        claim.hold_until(Instant::now() + Duration::from_secs(10));
        claim.give_up();
        assert!(over_tenant.begin_write().is_none(), "it was given up");
        claim.hold_until(Instant::now() + Duration::from_secs(10));
        leadership.stand_down();
        assert!(over_tenant.begin_write().is_none(), "work has ended");
    }

    #[test]
    fn a_write_that_is_cut_off_stays_under_way() {
        let leadership = Leadership::alone();
        drop(leadership.begin_write().unwrap());
        assert!(leadership.is_writing());
    }
}
