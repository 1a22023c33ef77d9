//! What was requested and has not taken effect yet: for metrics, so nothing is decided by it and a restart may
//! forget it. Whatever is owed then is found, and counted anew, by the first reconcile.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::key::{Changes, MailboxKey, Work};
use crate::lane::Lane;

/// What all mailboxes wait for.
#[derive(Default)]
pub struct PendingWork {
    waiting: HashMap<MailboxKey, Waiting>,
}

/// What one mailbox waits for.
#[derive(Default)]
struct Waiting {
    /// Since when an edit waits for its effect.
    edited: Option<Instant>,
    owed: Option<Owed>,
}

struct Owed {
    since: Instant,
    /// Rights that are to be revoked, as far as known: at least one.
    rights: usize,
}

/// Something that was requested and has taken effect.
#[derive(Debug, PartialEq, Eq)]
pub struct Effect {
    pub lane: Lane,
    pub took: Duration,
}

/// What a mailbox still waits for after a reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    pub edits: Edits,
    /// Rights still to be revoked; None: not known this time.
    pub owed: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edits {
    /// Exchange shows what the manifests say.
    Effective,
    /// It is being worked on.
    Waiting,
    /// Nothing will come of it until somebody acts.
    Stuck,
}

impl PendingWork {
    /// Manifests changed in a way that requests this.
    pub fn add(&mut self, changes: &Changes, now: Instant) {
        for (work, lane) in changes {
            let Work::Mailbox(key) = work else { continue };
            match lane {
                Lane::Edit => {
                    let waiting = self.waiting.entry(key.clone()).or_default();
                    waiting.edited.get_or_insert(now);
                }
                Lane::Revocation => {
                    let waiting = self.waiting.entry(key.clone()).or_default();
                    waiting.owed.get_or_insert(Owed {
                        since: now,
                        rights: 1,
                    });
                }
                Lane::Repair | Lane::Sweep => {}
            }
        }
    }

    /// A reconcile of `key` has ended.
    pub fn update(&mut self, key: &MailboxKey, remaining: Remaining, now: Instant) -> Vec<Effect> {
        let waiting = self.waiting.entry(key.clone()).or_default();
        let mut effects = Vec::new();
        match remaining.edits {
            Edits::Effective => {
                let edited = waiting.edited.take();
                effects.extend(edited.map(|since| Effect::since(Lane::Edit, since, now)));
            }
            Edits::Waiting => {}
            Edits::Stuck => waiting.edited = None,
        }
        match remaining.owed {
            Some(0) => {
                let owed = waiting.owed.take();
                effects.extend(owed.map(|owed| Effect::since(Lane::Revocation, owed.since, now)));
            }
            Some(rights) => {
                let since = waiting.owed.as_ref().map_or(now, |owed| owed.since);
                waiting.owed = Some(Owed { since, rights });
            }
            None => {}
        }
        if waiting.edited.is_none() && waiting.owed.is_none() {
            self.waiting.remove(key);
        }
        effects
    }

    pub fn forget(&mut self, key: &MailboxKey) {
        self.waiting.remove(key);
    }

    /// How many revocations are owed, and for how long the oldest has been.
    pub fn owed(&self, now: Instant) -> (usize, Duration) {
        let owed = || self.waiting.values().filter_map(|waiting| waiting.owed.as_ref());
        let oldest = owed().map(|owed| now.saturating_duration_since(owed.since)).max();
        (owed().map(|owed| owed.rights).sum(), oldest.unwrap_or_default())
    }
}

impl Effect {
    fn since(lane: Lane, since: Instant, now: Instant) -> Self {
        Self {
            lane,
            took: now.saturating_duration_since(since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key() -> MailboxKey {
        MailboxKey {
            namespace: "team".into(),
            name: "sales".into(),
        }
    }

    fn add(pending: &mut PendingWork, lane: Lane, now: Instant) {
        pending.add(&vec![(Work::Mailbox(key()), lane)], now);
    }

    #[test]
    fn an_edit_counts_from_the_first_request_until_it_is_effective() {
        let (mut pending, start) = (PendingWork::default(), Instant::now());
        add(&mut pending, Lane::Edit, start);
        add(&mut pending, Lane::Edit, start + 2 * SECOND);
        let remaining = |edits| Remaining { edits, owed: Some(0) };
        let waiting = pending.update(&key(), remaining(Edits::Waiting), start + 3 * SECOND);
        assert_eq!(waiting, vec![]);
        let effects = pending.update(&key(), remaining(Edits::Effective), start + 5 * SECOND);
        let expected = Effect {
            lane: Lane::Edit,
            took: 5 * SECOND,
        };
        assert_eq!(effects, vec![expected]);
        assert_eq!(
            pending.update(&key(), remaining(Edits::Effective), start + 9 * SECOND),
            vec![]
        );
    }

    #[test]
    fn a_revocation_is_owed_until_a_reconcile_shows_that_it_is_done() {
        let (mut pending, start) = (PendingWork::default(), Instant::now());
        add(&mut pending, Lane::Revocation, start);
        let unseen = Remaining {
            edits: Edits::Waiting,
            owed: None,
        };
        pending.update(&key(), unseen, start + SECOND);
        assert_eq!(pending.owed(start + 60 * SECOND), (1, 60 * SECOND));
        pending.update(
            &key(),
            Remaining {
                owed: Some(3),
                ..unseen
            },
            start + 61 * SECOND,
        );
        assert_eq!(
            pending.owed(start + 90 * SECOND),
            (3, 90 * SECOND),
            "the oldest counts"
        );
        let effects = pending.update(
            &key(),
            Remaining {
                owed: Some(0),
                ..unseen
            },
            start + 100 * SECOND,
        );
        let expected = Effect {
            lane: Lane::Revocation,
            took: 100 * SECOND,
        };
        assert_eq!(effects, vec![expected]);
        assert_eq!(pending.owed(start + 101 * SECOND), (0, Duration::ZERO));
    }

    #[test]
    fn what_is_stuck_or_forgotten_is_waited_for_no_longer() {
        let (mut pending, start) = (PendingWork::default(), Instant::now());
        add(&mut pending, Lane::Edit, start);
        add(&mut pending, Lane::Revocation, start);
        let stuck = Remaining {
            edits: Edits::Stuck,
            owed: None,
        };
        assert_eq!(pending.update(&key(), stuck, start + SECOND), vec![]);
        let later = Remaining {
            edits: Edits::Effective,
            owed: None,
        };
        assert_eq!(pending.update(&key(), later, start + SECOND), vec![]);
        pending.forget(&key());
        assert_eq!(pending.owed(start + SECOND).0, 0);
    }
}
