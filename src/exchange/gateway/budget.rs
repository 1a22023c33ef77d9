//! How much may be sent: what the service asked for, and what we allow ourselves.

use std::time::Duration;

use tokio::time::Instant;

use crate::rng::Rng;

/// Without a Retry-After the waits double from here …
const FIRST_BACKOFF: Duration = Duration::from_secs(2);
/// … to here.
const LONGEST_BACKOFF: Duration = Duration::from_mins(2);

/// "Leave me alone": a throttling answer to one request holds back all requests to the service in this tenant.
#[derive(Debug)]
pub struct Hold {
    until: Option<Instant>,
    /// Holds in a row.
    streak: u32,
    rng: Rng,
}

impl Hold {
    pub fn new(seed: u64) -> Self {
        Self {
            until: None,
            streak: 0,
            rng: Rng::seeded(seed),
        }
    }

    /// How long nothing may be sent; None when something may.
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        self.until
            .map(|until| until.saturating_duration_since(now))
            .filter(|left| !left.is_zero())
    }

    /// The service refused a request for there were too many.
    pub fn refused(&mut self, now: Instant, retry_after: Option<Duration>) {
        let held = self.remaining(now).is_some();
        let wait = match retry_after {
            Some(wait) => wait,
            // Requests that were in flight when the hold began say nothing new.
            None if held => return,
            None => {
                let doubled = FIRST_BACKOFF.saturating_mul(1 << self.streak.min(10));
                self.rng.spread(doubled.min(LONGEST_BACKOFF) * 3 / 4)
            }
        };
        if !held {
            self.streak += 1;
        }
        let until = now + wait;
        self.until = Some(self.until.map_or(until, |earlier| earlier.max(until)));
    }

    /// The service took a request.
    pub fn accepted(&mut self, now: Instant) {
        if self.remaining(now).is_none() {
            self.streak = 0;
            self.until = None;
        }
    }
}

/// A token bucket for cmdlets that change something. Starts full; a full one holds a minute's worth.
#[derive(Debug)]
pub struct WriteBudget {
    capacity: f64,
    left: f64,
    counted: Instant,
}

impl WriteBudget {
    pub fn new(writes_per_minute: u32, now: Instant) -> Self {
        let capacity = f64::from(writes_per_minute.max(1));
        Self {
            capacity,
            left: capacity,
            counted: now,
        }
    }

    /// Takes one write; false when none is left.
    pub fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        if self.left >= 1.0 {
            self.left -= 1.0;
            true
        } else {
            false
        }
    }

    /// Writes that may be taken at once.
    pub fn left(&mut self, now: Instant) -> f64 {
        self.refill(now);
        self.left
    }

    /// Writes a minute.
    pub fn capacity(&self) -> f64 {
        self.capacity
    }

    pub fn is_used_up(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.left < 1.0
    }

    /// When the next write is there.
    pub fn next_in(&mut self, now: Instant) -> Duration {
        self.refill(now);
        let missing = (1.0 - self.left).max(0.0);
        // A millisecond more: a bucket that is a rounding error short would be asked again at once.
        Duration::from_secs_f64(missing * 60.0 / self.capacity) + Duration::from_millis(1)
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.left = (self.left + elapsed * self.capacity / 60.0).min(self.capacity);
        self.counted = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_hold_lasts_as_long_as_the_longest_wish() {
        let start = Instant::now();
        let mut hold = Hold::new(7);
        assert_eq!(hold.remaining(start), None);
        hold.refused(start, Some(30 * SECOND));
        hold.refused(start, Some(5 * SECOND));
        assert_eq!(hold.remaining(start + 10 * SECOND), Some(20 * SECOND));
        assert_eq!(hold.remaining(start + 30 * SECOND), None);
    }

    #[test]
    fn without_a_wish_the_waits_double_with_jitter_and_end_somewhere() {
        let mut now = Instant::now();
        let mut hold = Hold::new(7);
        let mut waits = Vec::new();
        for _ in 0..12 {
            hold.refused(now, None);
            let wait = hold.remaining(now).unwrap();
            waits.push(wait);
            now += wait;
        }
        for (round, wait) in waits.iter().enumerate() {
            let nominal = (2 * SECOND)
                .saturating_mul(1 << round.min(10))
                .min(LONGEST_BACKOFF);
            assert!(
                *wait >= nominal * 3 / 4 && *wait <= nominal * 3 / 2,
                "{round}: {wait:?}"
            );
        }
        hold.accepted(now);
        hold.refused(now, None);
        assert!(
            hold.remaining(now).unwrap() <= 3 * SECOND,
            "a success starts over"
        );
    }

    #[test]
    fn refusals_of_requests_already_in_flight_do_not_double_the_wait() {
        let now = Instant::now();
        let mut hold = Hold::new(7);
        for _ in 0..10 {
            hold.refused(now, None);
        }
        assert!(hold.remaining(now).unwrap() <= 3 * SECOND);
    }

    #[test]
    fn a_minutes_worth_of_writes_may_go_at_once_and_then_one_at_a_time() {
        let mut now = Instant::now();
        let mut budget = WriteBudget::new(120, now);
        assert_eq!((0..200).filter(|_| budget.take(now)).count(), 120);
        let wait = budget.next_in(now);
        assert!(
            wait > Duration::from_millis(499) && wait < Duration::from_millis(510),
            "{wait:?}"
        );
        now += wait;
        assert!(budget.take(now) && !budget.take(now));
        now += 600 * SECOND;
        assert_eq!(
            (0..200).filter(|_| budget.take(now)).count(),
            120,
            "it does not save up more"
        );
    }
}
