//! The work queue: keyed, with lanes and due times.
//!
//! A key waits once, in its most urgent lane; it can be raised while it waits; it runs once at a time; and it
//! is queued again when it was touched while running. kube's `Controller` can't do this: due work above its
//! concurrency limit can't be expedited, so a revocation would wait behind the whole backlog.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

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
    ready: BTreeMap<Lane, VecDeque<K>>,
    timers: BTreeMap<(Instant, u64), (K, Lane)>,
    entries: HashMap<K, Entry>,
    next_timer: u64,
}

enum Entry {
    Ready(Lane),
    Due((Instant, u64)),
    Running { again: Option<Lane> },
}

impl<K: Clone + Eq + Hash> Default for Queue<K> {
    fn default() -> Self {
        let state = State {
            ready: BTreeMap::new(),
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

impl<K: Clone + Eq + Hash> Queue<K> {
    /// Wants `key` to run as soon as `lane` comes to it.
    pub fn add(&self, key: K, lane: Lane) {
        self.lock().add(key, lane);
        self.shared.changed.notify_waiters();
    }

    /// The most urgent key of `least` or a more urgent lane that is due; waits for one. The caller must call
    /// [`Self::done`] with it.
    pub async fn next(&self, least: Lane) -> (K, Lane) {
        loop {
            // Listening starts before the look, so that nothing added in between is missed.
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            let due = {
                let mut state = self.lock();
                state.wake_timers(Instant::now());
                if let Some(taken) = state.take(least) {
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

    /// How many keys are ready to run.
    pub fn ready_len(&self) -> usize {
        self.lock()
            .entries
            .values()
            .filter(|entry| matches!(entry, Entry::Ready(_)))
            .count()
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // No code of ours panics while it holds the lock; if it did, the queue is still consistent enough.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn add(&mut self, key: K, lane: Lane) {
        match self.entries.get_mut(&key) {
            Some(Entry::Running { again }) => {
                *again = Some(again.map_or(lane, |other| other.min(lane)));
                return;
            }
            Some(Entry::Ready(present)) if *present <= lane => return,
            Some(Entry::Due(timer)) => {
                let timer = *timer;
                self.timers.remove(&timer);
            }
            Some(Entry::Ready(_)) | None => {}
        }
        self.make_ready(key, lane);
    }

    fn make_ready(&mut self, key: K, lane: Lane) {
        self.entries.insert(key.clone(), Entry::Ready(lane));
        self.ready.entry(lane).or_default().push_back(key);
    }

    fn wake_timers(&mut self, now: Instant) {
        while let Some(first) = self.timers.first_entry() {
            if first.key().0 > now {
                return;
            }
            let (key, lane) = first.remove();
            self.make_ready(key, lane);
        }
    }

    fn take(&mut self, least: Lane) -> Option<(K, Lane)> {
        for lane in Lane::ALL.into_iter().filter(|lane| *lane <= least) {
            let waiting = self.ready.entry(lane).or_default();
            while let Some(key) = waiting.pop_front() {
                if matches!(self.entries.get(&key), Some(Entry::Ready(present)) if *present == lane) {
                    self.entries.insert(key.clone(), Entry::Running { again: None });
                    return Some((key, lane));
                }
            }
        }
        None
    }

    fn done(&mut self, key: K, again: Option<(Duration, Lane)>) {
        let touched = match self.entries.remove(&key) {
            Some(Entry::Running { again }) => again,
            Some(other) => {
                self.entries.insert(key, other);
                return;
            }
            None => None,
        };
        if let Some(lane) = touched {
            self.make_ready(key, lane);
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

    #[tokio::test(start_paused = true)]
    async fn a_revocation_overtakes_ten_thousand_waiting_repairs() {
        let queue = Queue::default();
        for number in 0..10_000 {
            queue.add(number, Lane::Repair);
        }
        queue.add(9_999, Lane::Revocation);
        assert_eq!(queue.next(Lane::Sweep).await, (9_999, Lane::Revocation));
        assert_eq!(queue.next(Lane::Sweep).await, (0, Lane::Repair));
        queue.done(9_999, None);
        queue.done(0, None);
        let mut seen = 0;
        while queue.ready_len() > 0 {
            let (key, _) = queue.next(Lane::Sweep).await;
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
        assert_eq!(queue.next(Lane::Sweep).await, ("a", Lane::Sweep));
        queue.add("a", Lane::Sweep);
        queue.add("a", Lane::Edit);
        assert!(
            tokio::time::timeout(SECOND, queue.next(Lane::Sweep))
                .await
                .is_err(),
            "it still runs"
        );
        queue.done("a", Some((600 * SECOND, Lane::Sweep)));
        assert_eq!(queue.next(Lane::Sweep).await, ("a", Lane::Edit));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_comes_back_when_it_is_due_and_sooner_when_it_is_added() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.add("a", Lane::Edit);
        queue.next(Lane::Sweep).await;
        queue.done("a", Some((60 * SECOND, Lane::Sweep)));
        assert_eq!(queue.next(Lane::Sweep).await, ("a", Lane::Sweep));
        assert_eq!(Instant::now() - start, 60 * SECOND);
        queue.done("a", Some((60 * SECOND, Lane::Sweep)));
        queue.add("a", Lane::Revocation);
        assert_eq!(queue.next(Lane::Sweep).await, ("a", Lane::Revocation));
        queue.done("a", None);
        assert!(
            tokio::time::timeout(600 * SECOND, queue.next(Lane::Sweep))
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
                tokio::spawn(async move { queue.next(Lane::Sweep).await.0 })
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
            async move { queue.next(Lane::Revocation).await }
        });
        tokio::task::yield_now().await;
        queue.add("edit", Lane::Edit);
        assert_eq!(queue.next(Lane::Sweep).await, ("edit", Lane::Edit));
        queue.add("gone", Lane::Revocation);
        assert_eq!(reserved.await.unwrap(), ("gone", Lane::Revocation));
    }
}
