//! What a task of its own has to see to: each object once, however often it is put here, and namespaces in turn, so that
//! none of them keeps the others waiting.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// An object, by its kind, namespace (empty for those without) and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Object {
    pub kind: &'static str,
    pub namespace: String,
    pub name: String,
}

impl Object {
    pub fn new(kind: &'static str, namespace: &str, name: &str) -> Self {
        Self {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// Objects that wait, each with what is known of it.
pub struct Inbox<V> {
    waiting: Mutex<Turns<V>>,
    news: Notify,
}

struct Turns<V> {
    by_namespace: BTreeMap<String, BTreeMap<Object, V>>,
    /// Whose turn it was.
    last: String,
}

impl<V> Default for Inbox<V> {
    fn default() -> Self {
        let turns = Turns {
            by_namespace: BTreeMap::new(),
            last: String::new(),
        };
        Self {
            waiting: Mutex::new(turns),
            news: Notify::new(),
        }
    }
}

impl<V> Inbox<V> {
    /// What is known now takes the place of what was known of the same object.
    pub fn put(&self, object: Object, known: V) {
        let mut turns = self.waiting.lock();
        let here = turns.by_namespace.entry(object.namespace.clone());
        here.or_default().insert(object, known);
        drop(turns);
        self.news.notify_one();
    }

    /// The next one, of the namespace whose turn it is. For one task: two would wait for the same news.
    pub async fn next(&self) -> (Object, V) {
        loop {
            let news = self.news.notified();
            if let Some(next) = self.take() {
                return next;
            }
            news.await;
        }
    }

    fn take(&self) -> Option<(Object, V)> {
        let mut turns = self.waiting.lock();
        let Turns { by_namespace, last } = &mut *turns;
        let after = (Bound::Excluded(last.as_str()), Bound::Unbounded);
        let later = by_namespace.range::<str, _>(after).next();
        let namespace = later.or_else(|| by_namespace.iter().next())?.0.clone();
        let here = by_namespace.get_mut(&namespace)?;
        let next = here.pop_first();
        if here.is_empty() {
            by_namespace.remove(&namespace);
        }
        *last = namespace;
        next
    }
}

/// Objects with which something failed: each is tried again after a wait of its own, which grows.
#[derive(Default)]
pub struct Retries {
    failed: HashMap<Object, Failed>,
}

struct Failed {
    times: u32,
    /// None while it is tried.
    due: Option<Instant>,
}

const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_mins(10);

impl Retries {
    pub fn failed(&mut self, object: Object, now: Instant) {
        let failed = self
            .failed
            .entry(object)
            .or_insert(Failed { times: 0, due: None });
        let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(failed.times.min(16)));
        failed.times = failed.times.saturating_add(1);
        failed.due = Some(now + wait.min(LONGEST_WAIT));
    }

    pub fn succeeded(&mut self, object: &Object) {
        self.failed.remove(object);
    }

    /// Those whose time has come.
    pub fn due(&mut self, now: Instant) -> Vec<Object> {
        let due = self
            .failed
            .iter_mut()
            .filter(|(_, failed)| failed.due.is_some_and(|due| due <= now));
        due.map(|(object, failed)| {
            failed.due = None;
            object.clone()
        })
        .collect()
    }

    /// When the next one's time comes.
    pub fn next(&self) -> Option<Instant> {
        self.failed.values().filter_map(|failed| failed.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(inbox: &Inbox<u32>, namespace: &str, name: &str, known: u32) {
        inbox.put(Object::new("Parcel", namespace, name), known);
    }

    fn taken(inbox: &Inbox<u32>) -> Vec<(String, u32)> {
        std::iter::from_fn(|| inbox.take())
            .map(|(object, known)| (format!("{}/{}", object.namespace, object.name), known))
            .collect()
    }

    #[test]
    fn each_object_waits_once_and_namespaces_take_turns() {
        let inbox = Inbox::default();
        for round in 0..1000 {
            for name in ["a", "b", "c"] {
                put(&inbox, "storm", name, round);
            }
        }
        put(&inbox, "calm", "x", 1);
        put(&inbox, "wild", "y", 2);
        let order: Vec<(String, u32)> = taken(&inbox);
        let order: Vec<(&str, u32)> = order
            .iter()
            .map(|(name, known)| (name.as_str(), *known))
            .collect();
        assert_eq!(
            order,
            [
                ("calm/x", 1),
                ("storm/a", 999),
                ("wild/y", 2),
                ("storm/b", 999),
                ("storm/c", 999)
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_fails_is_tried_again_ever_more_seldom_until_it_succeeds() {
        let mut retries = Retries::default();
        let object = Object::new("Parcel", "team", "poison");
        let mut waits = Vec::new();
        for _ in 0..10 {
            let now = Instant::now();
            retries.failed(object.clone(), now);
            assert!(retries.due(now).is_empty());
            let next = retries.next().unwrap();
            waits.push(next.duration_since(now).as_secs());
            tokio::time::sleep_until(next).await;
            assert_eq!(retries.due(Instant::now()), std::slice::from_ref(&object));
            assert_eq!(retries.next(), None);
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]);
        retries.succeeded(&object);
        retries.failed(object, Instant::now());
        assert_eq!(retries.next().unwrap().duration_since(Instant::now()), FIRST_WAIT);
    }
}
