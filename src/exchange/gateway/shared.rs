//! What clones of a gateway share, and when a request may leave.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, Semaphore};

use super::budget::{Hold, WriteBudget};
use super::gather::Gather;
use super::queue::{Queue, Urgency};
use super::retry::THROTTLED_PATIENCE;
use crate::clock::Clock;
use crate::exchange::auth::TokenSource;
use crate::exchange::error::{ErrorClass, ExchangeError, Stage};
use crate::exchange::graph::silence::Silence;
use crate::exchange::http::HttpService;
use crate::exchange::learned::Learned;
use crate::exchange::metrics::GatewayMetrics;
use crate::exchange::wire::{AdminApi, Failure};
use crate::leadership::Leadership;
use crate::mail::TenantGuid;

/// Checked right before a request leaves, so that a replica that lost the lease while its writes waited in the
/// queue sends none of them.
pub const NOT_LEADING: &str = "this replica does not lead any more";

/// What clones share.
pub struct Core {
    pub tenant: TenantGuid,
    pub api: AdminApi,
    pub graph_base: String,
    pub http: HttpService,
    pub clock: Clock,
    pub metrics: GatewayMetrics,
    pub exchange_tokens: TokenSource,
    pub graph_tokens: TokenSource,
    pub state: Mutex<State>,
    /// Notified when there may be something to send.
    pub work: Notify,
    pub graph_slots: Semaphore,
    pub graph_hold: Mutex<Hold>,
    pub graph_silence: Mutex<Silence>,
    /// What answers have shown of the tenant.
    pub learned: Mutex<Learned>,
    pub leadership: Leadership,
    /// Conditions that a filter may have, as far as the tenant has refused longer ones.
    pub conditions: AtomicUsize,
    pub gather: Gather,
}

pub struct State {
    pub queue: Queue,
    pub hold: Hold,
    pub writes: WriteBudget,
    pub max_in_flight: usize,
    pub in_flight: usize,
    pub background_in_flight: usize,
    /// Requests with nothing but creates, which take minutes.
    pub creates_in_flight: usize,
}

/// A place among the requests in flight, freed on drop.
pub struct Slot {
    pub core: Arc<Core>,
    pub urgency: Urgency,
    pub is_create: bool,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.core.state();
        state.in_flight -= 1;
        if self.urgency == Urgency::Background {
            state.background_in_flight -= 1;
        }
        if self.is_create {
            state.creates_in_flight -= 1;
        }
        drop(state);
        self.core.work.notify_one();
    }
}

impl Core {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Before something is tried again; no longer than this replica works.
    pub async fn pause(&self, wait: Duration) {
        tokio::select! {
            biased;
            () = self.clock.sleep(wait) => {}
            () = self.leadership.stood_down() => {}
        }
    }

    /// Returns when the service may be called; an error when that takes longer than anybody waits here.
    pub async fn wait_out_hold(&self) -> Result<(), Failure> {
        loop {
            let left = self.state().hold.remaining(self.clock.instant());
            match left {
                None => return Ok(()),
                Some(_) if self.leadership.has_stood_down() => return Err(not_leading(Stage::Exchange, "")),
                Some(left) if left <= THROTTLED_PATIENCE => self.pause(left).await,
                Some(left) => return Err(throttled("", left)),
            }
        }
    }
}

pub fn not_leading(stage: Stage, operation: &str) -> Failure {
    Failure::without_effect(ExchangeError::new(
        ErrorClass::Transient,
        stage,
        operation,
        NOT_LEADING,
    ))
}

pub fn throttled(operation: &str, left: Duration) -> Failure {
    let message = "the tenant is throttled";
    let mut error = ExchangeError::new(ErrorClass::Throttled, Stage::Exchange, operation, message);
    error.retry_after = Some(left);
    Failure::without_effect(error)
}
