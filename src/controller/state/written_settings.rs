//! What became of earlier writes of settings. Nothing here is needed for safety: it keeps a setting that Exchange refuses,
//! or shows in another form, from being written again and again.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::plan::{Answer, Earlier, Family};
use crate::setting::Values;

/// A family that was refused, or never shown as written, is tried again after this time; a second and further time after
/// twice the time before, at most once a day. Perhaps Exchange only forgot what it had acknowledged.
const REST: Duration = Duration::from_hours(1);
const LONGEST_REST: Duration = Duration::from_hours(24);
/// What was refused for want of a role: roles take minutes to reach every server.
const SHORT_REST: Duration = Duration::from_mins(10);

/// By the name of the family.
#[derive(Default)]
pub struct WrittenSettings(BTreeMap<&'static str, Written>);

struct Written {
    wish: Values,
    answer: WriteAnswer,
    /// How often in a row.
    times: u32,
    last: Instant,
}

enum WriteAnswer {
    Refused {
        why: String,
        may_pass: bool,
    },
    /// It went on showing this.
    Acknowledged {
        shown: Values,
        said_equal: bool,
    },
}

/// How long an acknowledged change may stay invisible on a lagging replica before it is repeated.
pub const SETTLING: Duration = Duration::from_mins(2);

impl WrittenSettings {
    /// Exchange acknowledged `wish` while it showed `shown`. `said_equal`: it said that nothing had to be changed.
    pub fn acknowledged(
        &mut self,
        family: &'static str,
        wish: Values,
        shown: Values,
        said_equal: bool,
        now: Instant,
    ) {
        let times = match self.0.get(family) {
            Some(Written {
                wish: then,
                answer: WriteAnswer::Acknowledged { shown: before, .. },
                times,
                last: _,
            }) if *then == wish && *before == shown => times.saturating_add(1),
            Some(_) | None => 1,
        };
        let written = Written {
            wish,
            answer: WriteAnswer::Acknowledged { shown, said_equal },
            times,
            last: now,
        };
        self.0.insert(family, written);
    }

    /// Exchange refused `wish`. `may_pass`: for want of a role.
    pub fn refused(&mut self, family: &'static str, wish: Values, why: String, may_pass: bool, now: Instant) {
        let times = match self.0.get(family) {
            Some(Written {
                wish: then,
                answer: WriteAnswer::Refused { .. },
                times,
                last: _,
            }) if *then == wish => times.saturating_add(1),
            Some(_) | None => 1,
        };
        let written = Written {
            wish,
            answer: WriteAnswer::Refused { why, may_pass },
            times,
            last: now,
        };
        self.0.insert(family, written);
    }

    /// A read showed `shown` of a family that wishes `wish`: what is as wished needs no memory.
    pub fn observed(&mut self, family: &'static str, wish: &Values, shown: &Values) {
        let is_synced = wish.differing(shown).is_empty() && wish.first_unread(shown).is_none();
        if is_synced {
            self.0.remove(family);
        }
    }

    /// Somebody asked for a reconcile: everything is tried anew.
    pub fn forget(&mut self) {
        self.0.clear();
    }

    pub fn earlier(&self, now: Instant) -> BTreeMap<&'static str, Earlier> {
        let changed = self.0.iter().filter_map(|(family, written)| {
            let patience = Family::named(family)?.patience;
            Some((*family, written.earlier(patience, now)?))
        });
        changed.collect()
    }
}

impl Written {
    fn earlier(&self, patience: Duration, now: Instant) -> Option<Earlier> {
        let waited = now.saturating_duration_since(self.last);
        let wish = self.wish.clone();
        match &self.answer {
            WriteAnswer::Refused { why, may_pass } => Some(Earlier::Refused {
                wish,
                why: why.clone(),
                retry: waited >= if *may_pass { SHORT_REST } else { rest(self.times) },
            }),
            // One write may be lost; a replica may lag.
            WriteAnswer::Acknowledged { shown, .. } if self.times < 2 => {
                (waited >= SETTLING).then(|| Earlier::Once {
                    wish,
                    shown: shown.clone(),
                })
            }
            WriteAnswer::Acknowledged { shown, said_equal } => Some(Earlier::Acknowledged {
                wish,
                shown: shown.clone(),
                answer: if waited >= rest(self.times.saturating_sub(1)).max(2 * patience) {
                    Answer::Retry
                } else if *said_equal {
                    Answer::Equal
                } else if waited < patience && self.times == 2 {
                    Answer::Pending
                } else {
                    Answer::Other
                },
            }),
        }
    }
}

fn rest(times: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(times.saturating_sub(1).min(16));
    REST.saturating_mul(doubled).min(LONGEST_REST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::Value;

    const MINUTE: Duration = Duration::from_mins(1);
    const TIP: &str = "mailTip";

    fn tip(text: &str) -> Values {
        Values::of([("MailTip", Some(Value::words(text)))])
    }

    fn answer(written: &WrittenSettings, now: Instant) -> Option<Answer> {
        match written.earlier(now).remove(TIP)? {
            Earlier::Acknowledged { answer, .. } => Some(answer),
            Earlier::Refused { .. } | Earlier::Once { .. } => None,
        }
    }

    #[test]
    fn two_acknowledged_writes_that_never_show_are_an_answer_after_its_patience_and_are_tried_again_seldom() {
        let (mut written, now) = (WrittenSettings::default(), Instant::now());
        written.acknowledged(TIP, tip("a"), tip("b"), false, now);
        assert_eq!(answer(&written, now + 3 * MINUTE), None, "one write may be lost");
        let second = now + 3 * MINUTE;
        written.acknowledged(TIP, tip("a"), tip("b"), false, second);
        assert_eq!(answer(&written, second + MINUTE), Some(Answer::Pending));
        assert_eq!(answer(&written, second + 6 * MINUTE), Some(Answer::Other));
        assert_eq!(answer(&written, second + 61 * MINUTE), Some(Answer::Retry));
        let third = second + 61 * MINUTE;
        written.acknowledged(TIP, tip("a"), tip("b"), false, third);
        assert_eq!(
            answer(&written, third + 61 * MINUTE),
            Some(Answer::Other),
            "the rest grows"
        );
        written.acknowledged(TIP, tip("a"), tip("c"), false, third + 62 * MINUTE);
        assert_eq!(
            answer(&written, third + 63 * MINUTE),
            None,
            "it shows something else"
        );
    }

    #[test]
    fn a_service_that_says_that_nothing_had_to_be_changed_is_trusted() {
        let (mut written, now) = (WrittenSettings::default(), Instant::now());
        written.acknowledged(TIP, tip("a"), tip("b"), false, now);
        written.acknowledged(TIP, tip("a"), tip("b"), true, now + 3 * MINUTE);
        assert_eq!(answer(&written, now + 4 * MINUTE), Some(Answer::Equal));
        written.observed(TIP, &tip("a"), &tip("a"));
        assert_eq!(written.earlier(now).len(), 0);
    }

    #[test]
    fn a_refused_family_rests_for_an_hour_unless_somebody_asks() {
        let (mut written, now) = (WrittenSettings::default(), Instant::now());
        written.refused(TIP, tip("a"), "no".to_owned(), false, now);
        let retry = |written: &WrittenSettings, now| match written.earlier(now).remove(TIP) {
            Some(Earlier::Refused { retry, .. }) => Some(retry),
            Some(Earlier::Acknowledged { .. } | Earlier::Once { .. }) | None => None,
        };
        assert_eq!(retry(&written, now + 59 * MINUTE), Some(false));
        assert_eq!(retry(&written, now + 60 * MINUTE), Some(true));
        written.forget();
        assert_eq!(retry(&written, now + MINUTE), None);
    }
}
