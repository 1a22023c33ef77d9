//! The one source of time.
//!
//! Wall time is the start of the process plus tokio's elapsed time, so whole days pass in seconds under
//! tokio's paused clock and every part of the operator agrees on what "now" is. Clippy bans the other
//! clocks everywhere else.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

const FOLLOWED_EVERY: Duration = Duration::from_secs(1);
/// Clocks differ a little all the time.
const TOLERATED: SignedDuration = SignedDuration::from_millis(500);

/// A wall clock and a monotonic clock that advance together. Cheap to clone.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall_at_start: Timestamp,
    started: Instant,
    /// Milliseconds by which the machine's clock was set ahead since the start; negative when it was set back.
    steps: &'static AtomicI64,
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
            // A few bytes for each clock, of which a process has one.
            steps: Box::leak(Box::default()),
        }
    }

    /// Sets the wall clock ahead or back, as an administrator or NTP does; waits are not touched.
    pub fn step(&self, by: SignedDuration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.steps.fetch_add(millis, Ordering::Relaxed);
    }

    /// Follows the machine's clock for ever, so that a machine that was suspended, or whose clock was wrong, does not
    /// make an end come late.
    #[expect(clippy::disallowed_methods, reason = "follows the machine's clock")]
    pub async fn follow_system(&self) {
        loop {
            self.sleep(FOLLOWED_EVERY).await;
            let off = Timestamp::now().duration_since(self.now());
            if off.abs() > TOLERATED {
                tracing::warn!(seconds = off.as_secs(), "the machine's clock was set");
                self.step(off);
            }
        }
    }

    /// Wall time, for people and for records.
    pub fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        let steps = SignedDuration::from_millis(self.steps.load(Ordering::Relaxed));
        self.wall_at_start
            .saturating_add(elapsed.saturating_add(steps))
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

    #[tokio::test(start_paused = true)]
    async fn wall_time_follows_a_step_and_waits_do_not() {
        let clock = Clock::starting_at("2026-11-22T09:00:00Z".parse().unwrap());
        let copy = clock;
        let instant = clock.instant();
        clock.step(SignedDuration::from_hours(2));
        assert_eq!(copy.now().to_string(), "2026-11-22T11:00:00Z");
        assert_eq!(clock.instant(), instant);
        clock.step(SignedDuration::from_hours(-3));
        assert_eq!(copy.now().to_string(), "2026-11-22T08:00:00Z");
    }
}
