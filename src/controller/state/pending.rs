//! What was asked for and has not taken effect yet: for metrics, so nothing is decided by it and a restart may
//! forget it. Whatever is owed then is found, and counted anew, by the first pass.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::index::Changes;
use super::key::{MailboxKey, Work};
use crate::api::Record;
use crate::controller::reconcile::outcome::Outcome;
use crate::controller::reconcile::pass::Ending;
use crate::lane::Lane;
use crate::plan::Plan;

#[derive(Default)]
pub struct Promises {
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

/// A promise that was kept.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    pub lane: Lane,
    pub took: Duration,
}

/// What a pass has shown about what a mailbox waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    pub edits: Edits,
    /// Rights still to be revoked; None: not seen this time.
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

impl Promises {
    /// Manifests changed in a way that asks for this.
    pub fn asked(&mut self, changes: &Changes, now: Instant) {
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

    /// A pass over `key` has ended.
    pub fn ended(&mut self, key: &MailboxKey, shown: Shown, now: Instant) -> Vec<Kept> {
        let waiting = self.waiting.entry(key.clone()).or_default();
        let mut kept = Vec::new();
        match shown.edits {
            Edits::Effective => {
                let edited = waiting.edited.take();
                kept.extend(edited.map(|since| Kept::since(Lane::Edit, since, now)));
            }
            Edits::Waiting => {}
            Edits::Stuck => waiting.edited = None,
        }
        match shown.owed {
            Some(0) => {
                let owed = waiting.owed.take();
                kept.extend(owed.map(|owed| Kept::since(Lane::Revocation, owed.since, now)));
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
        kept
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

impl Kept {
    fn since(lane: Lane, since: Instant, now: Instant) -> Self {
        Self {
            lane,
            took: now.saturating_duration_since(since),
        }
    }
}

/// What the end of a pass shows; `record` is what is remembered of the mailbox.
pub fn shown(ending: &Ending, record: Option<&Record>) -> Shown {
    let edits = match &ending.outcome {
        Outcome::UpToDate | Outcome::Observed => Edits::Effective,
        Outcome::Progressing(_) | Outcome::Unavailable(_) | Outcome::Outdated | Outcome::NotYet => {
            Edits::Waiting
        }
        Outcome::Drift(_) | Outcome::Paused(_) | Outcome::Stalled(_) | Outcome::Held(_) => Edits::Stuck,
    };
    let owed = match (&ending.view, &ending.outcome) {
        (Some(view), _) if view.writes => Some(revocations(&view.rest)),
        // By somebody's decision nothing is taken away.
        (Some(_), _) | (None, Outcome::Paused(_) | Outcome::Drift(_)) => Some(0),
        (None, _) if record.is_none_or(|record| record.grants.is_empty()) => Some(0),
        (None, _) => None,
    };
    Shown { edits, owed }
}

/// Rights that a plan takes away for good.
fn revocations(plan: &Plan) -> usize {
    plan.changes()
        .iter()
        .filter(|change| change.removes_a_grant())
        .count()
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

    fn asked(promises: &mut Promises, lane: Lane, now: Instant) {
        promises.asked(&vec![(Work::Mailbox(key()), lane)], now);
    }

    #[test]
    fn an_edit_is_kept_when_it_is_effective_and_counts_from_the_first_time_it_was_asked() {
        let (mut promises, start) = (Promises::default(), Instant::now());
        asked(&mut promises, Lane::Edit, start);
        asked(&mut promises, Lane::Edit, start + 2 * SECOND);
        let shown = |edits| Shown { edits, owed: Some(0) };
        let waiting = promises.ended(&key(), shown(Edits::Waiting), start + 3 * SECOND);
        assert_eq!(waiting, vec![]);
        let kept = promises.ended(&key(), shown(Edits::Effective), start + 5 * SECOND);
        let expected = Kept {
            lane: Lane::Edit,
            took: 5 * SECOND,
        };
        assert_eq!(kept, vec![expected]);
        assert_eq!(
            promises.ended(&key(), shown(Edits::Effective), start + 9 * SECOND),
            vec![]
        );
    }

    #[test]
    fn a_revocation_is_owed_until_a_pass_shows_that_it_is_done() {
        let (mut promises, start) = (Promises::default(), Instant::now());
        asked(&mut promises, Lane::Revocation, start);
        let unseen = Shown {
            edits: Edits::Waiting,
            owed: None,
        };
        promises.ended(&key(), unseen, start + SECOND);
        assert_eq!(promises.owed(start + 60 * SECOND), (1, 60 * SECOND));
        promises.ended(
            &key(),
            Shown {
                owed: Some(3),
                ..unseen
            },
            start + 61 * SECOND,
        );
        assert_eq!(
            promises.owed(start + 90 * SECOND),
            (3, 90 * SECOND),
            "the oldest counts"
        );
        let kept = promises.ended(
            &key(),
            Shown {
                owed: Some(0),
                ..unseen
            },
            start + 100 * SECOND,
        );
        let expected = Kept {
            lane: Lane::Revocation,
            took: 100 * SECOND,
        };
        assert_eq!(kept, vec![expected]);
        assert_eq!(promises.owed(start + 101 * SECOND), (0, Duration::ZERO));
    }

    #[test]
    fn what_is_stuck_or_forgotten_is_waited_for_no_longer() {
        let (mut promises, start) = (Promises::default(), Instant::now());
        asked(&mut promises, Lane::Edit, start);
        asked(&mut promises, Lane::Revocation, start);
        let stuck = Shown {
            edits: Edits::Stuck,
            owed: None,
        };
        assert_eq!(promises.ended(&key(), stuck, start + SECOND), vec![]);
        let later = Shown {
            edits: Edits::Effective,
            owed: None,
        };
        assert_eq!(promises.ended(&key(), later, start + SECOND), vec![]);
        promises.forget(&key());
        assert_eq!(promises.owed(start + SECOND).0, 0);
    }
}
