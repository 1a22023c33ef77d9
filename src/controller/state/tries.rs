//! What was tried and did not help: grants that no read shows, and writes that keep failing.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::written_settings::SETTLING;
use crate::mail::{ObjectId, Right};
use crate::plan::{Change, SHOWN_BY_THEN};

/// What no replica can hide any more and is not shown is repeated this seldom.
const REST: Duration = Duration::from_hours(1);
/// So many failures in a row are no passing ones.
const FAILURES: u32 = 3;
/// A failure so long ago says nothing any more.
const FORGOTTEN: Duration = Duration::from_hours(24);

/// What one process remembers of a mailbox.
#[derive(Default)]
pub struct Tries {
    unshown: HashMap<(ObjectId, Right), Unshown>,
    /// How often in a row, and when the last time.
    failures: HashMap<Change, (u32, Instant)>,
    /// Rights that Exchange says are there, while no entry carries the SID that is known: the next read asks for theirs.
    pub misnamed: BTreeSet<(ObjectId, Right)>,
}

/// A grant that Exchange acknowledged and that no read has shown since.
struct Unshown {
    since: Instant,
    last: Instant,
    times: u32,
}

impl Tries {
    /// Exchange acknowledged these changes.
    pub fn succeeded(&mut self, changes: &[Change], now: Instant) {
        for change in changes {
            self.failures.remove(change);
            if let Some(grant) = change.granted() {
                let tried = self.unshown.entry(grant).or_insert(Unshown {
                    since: now,
                    last: now,
                    times: 0,
                });
                tried.last = now;
                tried.times = tried.times.saturating_add(1);
            }
        }
    }

    /// These changes failed for a reason that may pass.
    pub fn failed(&mut self, changes: &[Change], now: Instant) {
        for change in changes {
            let (count, last) = self.failures.entry(change.clone()).or_insert((0, now));
            *count = count.saturating_add(1);
            *last = now;
        }
        self.failures
            .retain(|_, (_, last)| now.saturating_duration_since(*last) < FORGOTTEN);
    }

    /// Only these changes are still planned. What a pause or a refused manifest holds back begins anew with them.
    pub fn keep(&mut self, missing: &BTreeSet<Change>) {
        self.unshown
            .retain(|(id, right), _| missing.contains(&Change::Granted(*id, *right)));
    }

    /// Changes that failed so often in a row that they wait for nothing, and nothing waits for them.
    pub fn failing(&self) -> BTreeSet<Change> {
        let failing = self.failures.iter().filter(|(_, (count, _))| *count >= FAILURES);
        failing.map(|(change, _)| change.clone()).collect()
    }

    /// How long after it was acknowledged a change is not sent again although no read shows it.
    pub fn settling(&self, change: &Change) -> Duration {
        let tried = change.granted().and_then(|grant| self.unshown.get(&grant));
        let doublings = tried.map_or(0, |tried| tried.times.saturating_sub(1).min(16));
        SETTLING.saturating_mul(1 << doublings).min(REST)
    }

    /// Grants that Exchange acknowledged so long ago that every replica would show them.
    pub fn unverified(&self, now: Instant) -> BTreeSet<(ObjectId, Right)> {
        let is_old = |tried: &Unshown| now.saturating_duration_since(tried.since) >= SHOWN_BY_THEN;
        let old = self.unshown.iter().filter(|(_, tried)| is_old(tried));
        old.map(|(grant, _)| *grant).collect()
    }

    /// Whether an unverified grant was sent a short while ago.
    pub fn rests(&self, grant: &(ObjectId, Right), now: Instant) -> bool {
        let tried = self.unshown.get(grant);
        tried.is_some_and(|tried| now.saturating_duration_since(tried.last) < REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn grant() -> Change {
        let id = "00000000-0000-4000-8000-000000000001".parse().unwrap();
        Change::Granted(id, Right::SendAs)
    }

    #[test]
    fn what_is_not_shown_is_repeated_later_each_time_and_is_unverified_once_no_replica_can_hide_it() {
        let (mut tries, start) = (Tries::default(), Instant::now());
        let mut pauses = Vec::new();
        let mut now = start;
        while now < start + 35 * MINUTE {
            assert!(tries.unverified(now).is_empty());
            tries.succeeded(&[grant()], now);
            let pause = tries.settling(&grant());
            pauses.push(pause.as_secs() / 60);
            now += pause;
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32]);
        let key = grant().granted().unwrap();
        assert_eq!(tries.unverified(now), BTreeSet::from([key]));
        assert!(tries.rests(&key, now));
        assert!(!tries.rests(&key, now + 60 * MINUTE), "tried again once an hour");
        tries.keep(&BTreeSet::new());
        assert!(tries.unverified(now).is_empty(), "a read shows it");
        assert_eq!(tries.settling(&grant()), SETTLING);
    }

    #[test]
    fn three_failures_in_a_row_are_no_passing_ones() {
        let (mut tries, now) = (Tries::default(), Instant::now());
        for _ in 0..2 {
            tries.failed(&[grant()], now);
            assert!(tries.failing().is_empty());
        }
        tries.failed(&[grant()], now);
        assert_eq!(tries.failing(), BTreeSet::from([grant()]));
        tries.succeeded(&[grant()], now);
        assert!(tries.failing().is_empty());
    }
}
