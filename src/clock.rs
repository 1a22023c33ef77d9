//! The one source of time.
//!
//! Wall time is the start of the process plus tokio's elapsed time, so whole days pass in seconds under
//! tokio's paused clock and every part of the operator agrees on what "now" is. Clippy bans the other
//! clocks everywhere else.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A wall clock and a monotonic clock that advance together. Cheap to clone.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall_at_start: Timestamp,
    started: Instant,
}

impl Clock {
    /// The machine's clock, read once, now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the machine's clock is read"
    )]
    pub fn system() -> Self {
        Self::starting_at(Timestamp::now())
    }

    /// A clock that shows `wall` now; must be called within a tokio runtime when its time is paused.
    pub fn starting_at(wall: Timestamp) -> Self {
        Self {
            wall_at_start: wall,
            started: Instant::now(),
        }
    }

    /// Wall time, for people and for records.
    pub fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        self.wall_at_start
            .saturating_add(elapsed)
            .unwrap_or(Timestamp::MAX)
    }

    /// Monotonic time, for waits and deadlines.
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// How long ago `then` was; zero when it lies ahead.
    pub fn since(&self, then: Timestamp) -> Duration {
        Duration::try_from(self.now().duration_since(then)).unwrap_or(Duration::ZERO)
    }

    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn wall_time_follows_tokios_paused_time() {
        let start: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
        let clock = Clock::starting_at(start);
        clock.sleep(Duration::from_hours(24)).await;
        assert_eq!(clock.now().duration_since(start).as_secs(), 86_400);
        assert_eq!(clock.since(start).as_secs(), 86_400);
        assert_eq!(
            clock.since(clock.now() + SignedDuration::from_secs(5)),
            Duration::ZERO
        );
    }
}
