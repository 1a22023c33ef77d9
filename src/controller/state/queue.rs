//! The work queue: keyed, with lanes and due times.
//!
//! A key waits once, in its most urgent lane; it can be raised while it waits; it runs once at a time; and it
//! is queued again when it was touched while running. kube's `Controller` can't do this: due work above its
//! concurrency limit can't be expedited, so a revocation would wait behind the whole backlog.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::fair::{Fair, Owned, Owner};
use crate::lane::Lane;

/// Shared by the watches that add and the workers that take. Cheap to clone.
pub struct Queue<K> {
    shared: Arc<Shared<K>>,
}

impl<K> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

struct Shared<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

struct State<K> {
    /// A key may stand in several lanes; only the one its entry names counts.
    ready: BTreeMap<Lane, Fair<K>>,
    /// How much of each owner's runs, by the place of the pool.
    running: HashMap<(usize, Owner), usize>,
    timers: BTreeMap<(Instant, u64), (K, Lane)>,
    entries: HashMap<K, Entry>,
    next_timer: u64,
}

enum Entry {
    Ready {
        lane: Lane,
        since: Instant,
    },
    Due((Instant, u64)),
    Running {
        since: Instant,
        again: Option<Lane>,
        pool: usize,
    },
}

/// Which work some workers take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its place among the pools.
    pub place: usize,
    pub slots: usize,
    pub most_urgent: Lane,
    pub least_urgent: Lane,
}

impl Pool {
    /// So many of its slots one owner may have: the last quarter is for the others.
    fn most_of_one_owner(self) -> usize {
        (self.slots - self.slots / 4).max(1)
    }

    fn lanes(self) -> impl Iterator<Item = Lane> {
        let lanes = Lane::ALL.into_iter();
        lanes.filter(move |lane| (self.most_urgent..=self.least_urgent).contains(lane))
    }
}

/// A key that is to run now.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken<K> {
    pub key: K,
    pub lane: Lane,
    /// How long it was ready and waited for a worker.
    pub waited: Duration,
}

/// Where a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Ready to run.
    Ready(Lane),
    /// Running since then.
    Running(Instant),
}

impl<K: Clone + Eq + Hash + Owned> Default for Queue<K> {
    fn default() -> Self {
        let state = State {
            ready: BTreeMap::new(),
            running: HashMap::new(),
            timers: BTreeMap::new(),
            entries: HashMap::new(),
            next_timer: 0,
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                changed: Notify::new(),
            }),
        }
    }
}

impl<K: Clone + Eq + Hash + Owned> Queue<K> {
    /// Wants `key` to run as soon as `lane` comes to it.
    pub fn add(&self, key: K, lane: Lane) {
        self.lock().add(key, lane);
        self.shared.changed.notify_waiters();
    }

    /// The most urgent key in the lanes of `pool` that is due; waits for one. Owners take turns, and one that has its share
    /// of the pool waits. The caller must call [`Self::done`] with it.
    pub async fn next(&self, pool: Pool) -> Taken<K> {
        loop {
            // Listening starts before the queue is read, so that nothing added in between is missed.
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            let due = {
                let mut state = self.lock();
                let now = Instant::now();
                state.wake_timers(now);
                if let Some(taken) = state.take(pool, now) {
                    return taken;
                }
                state.timers.first_key_value().map(|((due, _), _)| *due)
            };
            match due {
                Some(due) => tokio::select! {
                    biased;
                    () = changed => {}
                    () = sleep_until(due) => {}
                },
                None => changed.await,
            }
        }
    }

    /// `key` has run; it comes back after `again`, or at once when it was added while it ran.
    pub fn done(&self, key: K, again: Option<(Duration, Lane)>) {
        self.lock().done(key, again);
        self.shared.changed.notify_waiters();
    }

    /// Shows every key that is ready or running; keys that are only due later are left out.
    pub fn survey(&self, mut see: impl FnMut(&K, Place)) {
        for (key, entry) in &self.lock().entries {
            match entry {
                Entry::Ready { lane, since: _ } => see(key, Place::Ready(*lane)),
                Entry::Running { since, .. } => see(key, Place::Running(*since)),
                Entry::Due(_) => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.shared.state.lock()
    }
}

impl<K: Clone + Eq + Hash + Owned> State<K> {
    fn add(&mut self, key: K, lane: Lane) {
        match self.entries.get_mut(&key) {
            Some(Entry::Running { again, .. }) => {
                *again = Some(again.map_or(lane, |other| other.min(lane)));
                return;
            }
            Some(Entry::Ready { lane: present, .. }) if *present <= lane => return,
            // Raised: it keeps waiting, in a better place.
            Some(Entry::Ready { lane: present, .. }) => {
                *present = lane;
                self.ready.entry(lane).or_default().push(key.owner(), key);
                return;
            }
            Some(Entry::Due(timer)) => {
                let timer = *timer;
                self.timers.remove(&timer);
            }
            None => {}
        }
        self.make_ready(key, lane, Instant::now());
    }

    fn make_ready(&mut self, key: K, lane: Lane, since: Instant) {
        self.entries.insert(key.clone(), Entry::Ready { lane, since });
        self.ready.entry(lane).or_default().push(key.owner(), key);
    }

    fn wake_timers(&mut self, now: Instant) {
        while let Some(first) = self.timers.first_entry() {
            let due = first.key().0;
            if due > now {
                return;
            }
            let (key, lane) = first.remove();
            self.make_ready(key, lane, due);
        }
    }

    fn take(&mut self, pool: Pool, now: Instant) -> Option<Taken<K>> {
        for lane in pool.lanes() {
            let (waiting, running) = (self.ready.entry(lane).or_default(), &self.running);
            let has_room = |owner: &Owner| {
                let theirs = running.get(&(pool.place, owner.clone()));
                theirs.is_none_or(|count| *count < pool.most_of_one_owner())
            };
            while let Some(key) = waiting.pop(has_room) {
                let ready_since = match self.entries.get(&key) {
                    Some(Entry::Ready { lane: present, since }) if *present == lane => *since,
                    _ => continue,
                };
                let running = Entry::Running {
                    since: now,
                    again: None,
                    pool: pool.place,
                };
                self.entries.insert(key.clone(), running);
                *self.running.entry((pool.place, key.owner())).or_default() += 1;
                let waited = now.saturating_duration_since(ready_since);
                return Some(Taken { key, lane, waited });
            }
        }
        None
    }

    fn has_run(&mut self, pool: usize, owner: Owner) {
        let place = (pool, owner);
        if let Some(count) = self.running.get_mut(&place) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.running.remove(&place);
            }
        }
    }

    fn done(&mut self, key: K, again: Option<(Duration, Lane)>) {
        let touched = match self.entries.remove(&key) {
            Some(Entry::Running {
                since: _,
                again,
                pool,
            }) => {
                self.has_run(pool, key.owner());
                again
            }
            Some(other) => {
                self.entries.insert(key, other);
                return;
            }
            None => None,
        };
        if let Some(lane) = touched {
            self.make_ready(key, lane, Instant::now());
        } else if let Some((delay, lane)) = again {
            self.next_timer += 1;
            let timer = (Instant::now() + delay, self.next_timer);
            self.timers.insert(timer, (key.clone(), lane));
            self.entries.insert(key, Entry::Due(timer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    impl Owned for &'static str {
        /// As in owner/key.
        fn owner(&self) -> Owner {
            Arc::from(self.split_once('/').map_or("", |(owner, _)| owner))
        }
    }

    impl Owned for i32 {
        fn owner(&self) -> Owner {
            Arc::from("")
        }
    }

    /// All lanes down to `least`.
    fn pool(least: Lane) -> Pool {
        Pool {
            place: 0,
            slots: 10_000,
            most_urgent: Lane::Revocation,
            least_urgent: least,
        }
    }

    async fn next<K: Clone + Eq + Hash + Owned>(queue: &Queue<K>, least: Lane) -> (K, Lane) {
        let Taken { key, lane, waited: _ } = queue.next(pool(least)).await;
        (key, lane)
    }

    fn ready<K: Clone + Eq + Hash + Owned>(queue: &Queue<K>) -> usize {
        let mut count = 0;
        queue.survey(|_, place| count += usize::from(matches!(place, Place::Ready(_))));
        count
    }

    #[tokio::test(start_paused = true)]
    async fn a_revocation_overtakes_ten_thousand_waiting_repairs() {
        let queue = Queue::default();
        for number in 0..10_000 {
            queue.add(number, Lane::Repair);
        }
        queue.add(9_999, Lane::Revocation);
        assert_eq!(next(&queue, Lane::Sweep).await, (9_999, Lane::Revocation));
        assert_eq!(next(&queue, Lane::Sweep).await, (0, Lane::Repair));
        queue.done(9_999, None);
        queue.done(0, None);
        let mut seen = 0;
        while ready(&queue) > 0 {
            let (key, _) = next(&queue, Lane::Sweep).await;
            assert_ne!(key, 9_999, "raised, not doubled");
            queue.done(key, None);
            seen += 1;
        }
        assert_eq!(seen, 9_998);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_runs_once_at_a_time_and_again_when_touched_meanwhile() {
        let queue = Queue::default();
        queue.add("a", Lane::Sweep);
        assert_eq!(next(&queue, Lane::Sweep).await, ("a", Lane::Sweep));
        queue.add("a", Lane::Sweep);
        queue.add("a", Lane::Edit);
        assert!(
            tokio::time::timeout(SECOND, next(&queue, Lane::Sweep))
                .await
                .is_err(),
            "it still runs"
        );
        queue.done("a", Some((600 * SECOND, Lane::Sweep)));
        assert_eq!(next(&queue, Lane::Sweep).await, ("a", Lane::Edit));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_comes_back_when_it_is_due_and_sooner_when_it_is_added() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.add("a", Lane::Edit);
        next(&queue, Lane::Sweep).await;
        queue.done("a", Some((60 * SECOND, Lane::Sweep)));
        assert_eq!(next(&queue, Lane::Sweep).await, ("a", Lane::Sweep));
        assert_eq!(Instant::now() - start, 60 * SECOND);
        queue.done("a", Some((60 * SECOND, Lane::Sweep)));
        queue.add("a", Lane::Revocation);
        assert_eq!(next(&queue, Lane::Sweep).await, ("a", Lane::Revocation));
        queue.done("a", None);
        assert!(
            tokio::time::timeout(600 * SECOND, next(&queue, Lane::Sweep))
                .await
                .is_err(),
            "the old timer is gone"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn every_worker_that_waits_gets_its_key() {
        let queue = Queue::default();
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let queue = queue.clone();
                tokio::spawn(async move { next(&queue, Lane::Sweep).await.0 })
            })
            .collect();
        tokio::task::yield_now().await;
        for key in 0..4 {
            queue.add(key, Lane::Edit);
        }
        let mut got = Vec::new();
        for worker in workers {
            got.push(worker.await.unwrap());
        }
        got.sort_unstable();
        assert_eq!(got, [0, 1, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_revocations_only_leaves_the_rest_to_others() {
        let queue = Queue::default();
        let reserved = tokio::spawn({
            let queue = queue.clone();
            async move { next(&queue, Lane::Revocation).await }
        });
        tokio::task::yield_now().await;
        queue.add("edit", Lane::Edit);
        assert_eq!(next(&queue, Lane::Sweep).await, ("edit", Lane::Edit));
        queue.add("gone", Lane::Revocation);
        assert_eq!(reserved.await.unwrap(), ("gone", Lane::Revocation));
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_and_what_runs_is_known_with_its_time() {
        let queue = Queue::default();
        queue.add("waits", Lane::Sweep);
        tokio::time::advance(3 * SECOND).await;
        queue.add("waits", Lane::Edit);
        queue.add("runs", Lane::Revocation);
        let taken = queue.next(pool(Lane::Sweep)).await;
        assert_eq!((taken.key, taken.waited), ("runs", Duration::ZERO));
        let started = Instant::now();
        let mut places = Vec::new();
        queue.survey(|key, place| places.push((*key, place)));
        places.sort_by_key(|(key, _)| *key);
        assert_eq!(
            places,
            [
                ("runs", Place::Running(started)),
                ("waits", Place::Ready(Lane::Edit))
            ]
        );
        let taken = queue.next(pool(Lane::Sweep)).await;
        assert_eq!(
            (taken.key, taken.waited),
            ("waits", 3 * SECOND),
            "raising does not start the wait anew"
        );
        queue.done("runs", Some((60 * SECOND, Lane::Sweep)));
        tokio::time::advance(65 * SECOND).await;
        assert_eq!(
            queue.next(pool(Lane::Sweep)).await.waited,
            5 * SECOND,
            "it counts from when it was due"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn owners_take_turns_in_a_lane_and_one_has_three_quarters_of_a_pool_at_most() {
        let queue = Queue::default();
        for key in ["storm/1", "storm/2", "storm/3", "storm/4", "storm/5", "calm/1"] {
            queue.add(key, Lane::Edit);
        }
        let four = Pool {
            slots: 4,
            ..pool(Lane::Sweep)
        };
        let mut taken = Vec::new();
        for _ in 0..4 {
            taken.push(queue.next(four).await.key);
        }
        assert_eq!(taken, ["storm/1", "calm/1", "storm/2", "storm/3"]);
        queue.done("calm/1", None);
        let waits = tokio::time::timeout(SECOND, queue.next(four)).await;
        assert!(waits.is_err(), "the last slot is for others");
        queue.add("calm/2", Lane::Sweep);
        assert_eq!(queue.next(four).await.key, "calm/2");
        queue.done("storm/1", None);
        assert_eq!(queue.next(four).await.key, "storm/4");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pool_for_what_is_not_urgent_takes_nothing_else() {
        let queue = Queue::default();
        queue.add("edit", Lane::Edit);
        queue.add("sweep", Lane::Sweep);
        let background = Pool {
            place: 2,
            most_urgent: Lane::Repair,
            ..pool(Lane::Sweep)
        };
        assert_eq!(queue.next(background).await.key, "sweep");
        assert!(
            tokio::time::timeout(SECOND, queue.next(background))
                .await
                .is_err()
        );
    }
}
