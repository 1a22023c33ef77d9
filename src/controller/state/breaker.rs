//! How much may be taken away at once without somebody's approval.
//!
//! One namespace may use half of it, and has a tenth of the count in any case: nobody's storm holds the others' removals.
//! What was taken away lately is not stored anywhere by itself: each removal that was weighed carries its time in the
//! mailbox's ledger, and what was weighed within the period counts.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use super::index::Index;
use crate::clock::Clock;

/// The larger of the two limits counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub most: usize,
    /// Of all grants of ours in the tenant, on mailboxes that have a resource.
    pub percent: usize,
    pub period: Duration,
}

impl Limits {
    fn allowed(&self, grants: usize) -> usize {
        self.most.max(grants.saturating_mul(self.percent) / 100)
    }

    /// Of these, one namespace may use at most half.
    fn share(allowed: usize) -> usize {
        allowed.div_ceil(2)
    }

    /// So much each namespace always has, whatever the others used.
    fn reserved(&self) -> usize {
        self.most / 10
    }
}

/// What was admitted and is not in a ledger yet. One process at a time writes, so nobody else admits anything.
#[derive(Default)]
pub struct Breaker {
    admitted: Mutex<Vec<Admitted>>,
}

struct Admitted {
    ledger: String,
    tenant: String,
    namespace: String,
    count: usize,
    at: Timestamp,
}

/// Removals for which somebody asks the breaker.
pub struct Removals<'a> {
    pub tenant: &'a str,
    pub namespace: &'a str,
    /// The ledger into which they will be written.
    pub ledger: &'a str,
    pub limits: Limits,
    /// Removals that were not weighed before.
    pub new: usize,
    /// Removals that wait since they were weighed last.
    pub held: usize,
    pub clock: Clock,
}

/// How many of them may be carried out now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acquired {
    pub new: usize,
    pub held: usize,
}

impl Breaker {
    /// How many of these removals may be carried out now; they count from now on. Removals that are too many by themselves
    /// wait for a person, all of them. Of those that are too many only beside others' as many go as there is room for: whoever
    /// uses up the room keeps nobody's removals waiting for a person. What was admitted for the same ledger before and never
    /// written counts no longer.
    pub fn acquire(&self, index: &Mutex<Index>, removals: &Removals<'_>) -> Acquired {
        let Removals {
            tenant,
            namespace,
            ledger,
            limits,
            new,
            held,
            clock,
        } = removals;
        let now = clock.now();
        let since = start_of(limits.period, now);
        let mut admitted = self.admitted.lock();
        admitted.retain(|other| other.ledger != *ledger && other.at > since);
        let (written, written_here, grants) = {
            let index = index.lock();
            let ledgers = index.ledgers();
            (
                ledgers.weighed(tenant, None, since, now),
                ledgers.weighed(tenant, Some(namespace), since, now),
                ledgers.granted(tenant),
            )
        };
        let of_tenant = admitted.iter().filter(|other| other.tenant == *tenant);
        let here = of_tenant.clone().filter(|other| other.namespace == *namespace);
        let unwritten = of_tenant.map(|other| other.count).sum::<usize>();
        let unwritten_here = here.map(|other| other.count).sum::<usize>();
        let allowed = limits.allowed(grants);
        let share = Limits::share(allowed);
        let used = written.saturating_add(unwritten);
        let used_here = written_here.saturating_add(unwritten_here);
        let left = share.saturating_sub(used_here).min(allowed.saturating_sub(used));
        let mut free = left.max(limits.reserved().saturating_sub(used_here));
        let mut take = |count: usize| {
            let taken = if count > share.max(limits.reserved()) {
                0
            } else {
                count.min(free)
            };
            free -= taken;
            taken
        };
        let acquired = Acquired {
            new: take(*new),
            held: take(*held),
        };
        let count = acquired.new.saturating_add(acquired.held);
        if count > 0 {
            admitted.push(Admitted {
                ledger: (*ledger).to_owned(),
                tenant: (*tenant).to_owned(),
                namespace: (*namespace).to_owned(),
                count,
                at: now,
            });
        }
        acquired
    }

    /// The ledger was written: what it counts is in the index.
    pub fn written(&self, ledger: &str) {
        self.admitted.lock().retain(|other| other.ledger != *ledger);
    }
}

fn start_of(period: Duration, now: Timestamp) -> Timestamp {
    let period = SignedDuration::try_from(period).unwrap_or(SignedDuration::MAX);
    now.saturating_sub(period).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const LIMITS: Limits = Limits {
        most: 50,
        percent: 30,
        period: Duration::from_mins(30),
    };

    /// An index whose only ledger has weighed so many removals before so many minutes, and shows so many grants.
    fn index(clock: Clock, weighed: usize, minutes: i64, granted: usize) -> Mutex<Index> {
        let at = clock.now() - SignedDuration::from_mins(minutes);
        let person = |number: usize, entry: serde_json::Value| {
            json!({ "id": format!("00000000-0000-4000-8000-{number:012}"), "writtenAs": ["a@contoso.com"],
                "rights": { "SendAs": entry } })
        };
        let removed = (1..=weighed).map(|number| {
            person(
                number,
                json!({ "state": "Removed", "weighedAt": at, "checkedUntil": at, "as": [0] }),
            )
        });
        let granted =
            (1..=granted).map(|number| person(1000 + number, json!({ "state": "Granted", "as": [0] })));
        let glance = serde_json::from_value(json!({
            "metadata": { "name": "first", "uid": "u", "generation": 1 },
            "spec": { "seal": { "uid": "u", "generation": 1 },
                "tenant": { "name": "default", "guid": "11111111-2222-3333-4444-555555555555" },
                "resourceRef": { "namespace": "team", "name": "sales", "uid": "uid-1" },
                "people": removed.chain(granted).collect::<Vec<_>>() }
        }))
        .unwrap();
        let mut index = Index::default();
        index.apply_ledger(glance, Timestamp::MAX);
        Mutex::new(index)
    }

    /// For a ledger of the namespace `other`.
    fn ask(breaker: &Breaker, index: &Mutex<Index>, clock: Clock, ledger: &str, count: usize) -> bool {
        ask_in("other", breaker, index, clock, ledger, count)
    }

    fn ask_in(
        namespace: &str,
        breaker: &Breaker,
        index: &Mutex<Index>,
        clock: Clock,
        ledger: &str,
        count: usize,
    ) -> bool {
        acquire_in(namespace, breaker, index, clock, (ledger, count, 0)).new == count
    }

    fn acquire_in(
        namespace: &str,
        breaker: &Breaker,
        index: &Mutex<Index>,
        clock: Clock,
        (ledger, new, held): (&str, usize, usize),
    ) -> Acquired {
        breaker.acquire(
            index,
            &Removals {
                tenant: "default",
                namespace,
                ledger,
                limits: LIMITS,
                new,
                held,
                clock,
            },
        )
    }

    #[tokio::test(start_paused = true)]
    async fn the_larger_of_count_and_percent_counts() {
        let clock = Clock::starting_at("2026-11-28T09:00:00Z".parse().unwrap());
        // One namespace may use half of 50, and half of 60.
        for (granted, count, admitted) in [(2, 25, true), (2, 26, false), (200, 30, true), (200, 31, false)] {
            let index = index(clock, 0, 0, granted);
            assert_eq!(
                ask(&Breaker::default(), &index, clock, "second", count),
                admitted,
                "{count} of {granted}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_ledgers_say_was_weighed_within_the_period_is_counted_and_then_forgotten() {
        let clock = Clock::starting_at("2026-11-28T09:00:00Z".parse().unwrap());
        let lately = index(clock, 40, 29, 0);
        assert!(!ask(&Breaker::default(), &lately, clock, "second", 11));
        assert!(ask(&Breaker::default(), &lately, clock, "second", 10));
        let here = |count| ask_in("team", &Breaker::default(), &lately, clock, "second", count);
        assert!(!here(1), "its own namespace has used up its share");
        let long_ago = index(clock, 40, 31, 0);
        assert!(ask(&Breaker::default(), &long_ago, clock, "second", 25));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_written_yet_counts_until_it_is_written_or_asked_for_again() {
        let clock = Clock::starting_at("2026-11-28T09:00:00Z".parse().unwrap());
        let index = index(clock, 0, 0, 0);
        let breaker = Breaker::default();
        assert!(ask(&breaker, &index, clock, "second", 20));
        assert!(!ask(&breaker, &index, clock, "third", 6));
        assert!(
            ask(&breaker, &index, clock, "second", 20),
            "the write failed, and it asks again"
        );
        assert!(!ask(&breaker, &index, clock, "third", 6));
        breaker.written("second");
        assert!(ask(&breaker, &index, clock, "third", 6));
        clock.sleep(Duration::from_mins(31)).await;
        assert!(
            ask(&breaker, &index, clock, "fourth", 25),
            "nobody counts what is old"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_has_at_most_half_and_always_a_tenth() {
        let clock = Clock::starting_at("2026-11-28T09:00:00Z".parse().unwrap());
        let index = index(clock, 0, 0, 0);
        let breaker = Breaker::default();
        let ask = |namespace: &str, count| {
            ask_in(
                namespace,
                &breaker,
                &index,
                clock,
                &format!("{namespace}-{count}"),
                count,
            )
        };
        assert!(ask("storm", 20) && !ask("storm", 26) && ask("storm", 5));
        assert!(ask("other", 25), "the other half is left");
        assert!(!ask("calm", 26), "all of it is used");
        assert!(
            ask("calm", 4) && ask("calm", 1) && !ask("calm", 2),
            "a tenth of 50"
        );
        assert!(!ask("storm", 1));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_uses_up_the_room_keeps_nobody_else_waiting_for_a_person() {
        let clock = Clock::starting_at("2026-11-28T09:00:00Z".parse().unwrap());
        let index = index(clock, 0, 0, 0);
        let breaker = Breaker::default();
        let acquire = |namespace: &str, new, held| {
            let asked = (format!("{namespace}-ledger"), new, held);
            let asked = (asked.0.as_str(), asked.1, asked.2);
            let Acquired { new, held } = acquire_in(namespace, &breaker, &index, clock, asked);
            (new, held)
        };
        assert_eq!((acquire("one", 25, 0), acquire("two", 25, 0)), ((25, 0), (25, 0)));
        assert_eq!(acquire("calm", 8, 0), (5, 0), "a tenth of 50 at once");
        clock.sleep(Duration::from_mins(31)).await;
        assert_eq!((acquire("one", 25, 0), acquire("two", 25, 0)), ((25, 0), (25, 0)));
        assert_eq!(
            acquire("calm", 0, 3),
            (0, 3),
            "and the rest when that is free again"
        );
        clock.sleep(Duration::from_mins(31)).await;
        assert_eq!(acquire("calm", 0, 26), (0, 0), "too many by themselves");
        assert_eq!(
            acquire("calm", 1, 26),
            (1, 0),
            "and one more is weighed by itself"
        );
    }
}
