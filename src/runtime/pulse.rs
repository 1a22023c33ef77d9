//! Whether something that should happen again and again still does.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::clock::Clock;

/// Attempts at the lease begin at most five seconds after the last one ended, and take three at most.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// Clones share it.
#[derive(Clone)]
pub struct Pulse {
    clock: Clock,
    last: Arc<Mutex<Instant>>,
}

impl Pulse {
    /// Alive now.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            last: Arc::new(Mutex::new(clock.instant())),
        }
    }

    pub fn beat(&self) {
        *self.last.lock() = self.clock.instant();
    }

    pub fn is_alive(&self) -> bool {
        let last = *self.last.lock();
        self.clock.instant().saturating_duration_since(last) < LONGEST_SILENCE
    }
}
