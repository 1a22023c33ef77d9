//! Simulated time: a fixed start plus what tokio's clock has counted since.
//!
//! Under `tokio::time::pause` a day passes in a moment, and token expiry, replica lag and the
//! retention of deleted mailboxes pass with it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The tenant's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Timestamp,
    origin: Instant,
}

impl Clock {
    /// A clock that shows `start` now.
    pub fn starting_at(start: Timestamp) -> Self {
        Self {
            start,
            origin: Instant::now(),
        }
    }

    /// Time passed since the tenant was created.
    pub fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    /// The simulated wall time.
    pub fn now(&self) -> Timestamp {
        self.at(self.elapsed())
    }

    /// The wall time `elapsed` after the start.
    pub fn at(&self, elapsed: Duration) -> Timestamp {
        let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
        self.start.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }
}
