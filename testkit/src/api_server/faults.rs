//! What a test can make go wrong: refused, slow, lost and stale answers, late and repeated events.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::call::{Call, Verb};

/// How far behind the newest revision reads are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Staleness {
    #[default]
    Fresh,
    /// So many revisions behind, but only where the request allows it (it named a resourceVersion, such as 0).
    WhereAllowed(u64),
    /// So many revisions behind on every read, as if the cluster broke its promise.
    Everywhere(u64),
}

/// What happens to one request instead of being answered at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Disturbance {
    /// Waits before anything happens.
    pub before: Duration,
    /// Whether the request takes effect.
    pub takes_effect: bool,
    /// Waits before the answer leaves.
    pub after: Duration,
    pub answer: DisturbedAnswer,
}

/// What the client hears.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DisturbedAnswer {
    /// The real answer.
    Real,
    /// A refusal with this code and, where given, Retry-After seconds.
    Refused(StatusCode, Option<u32>),
    /// The connection breaks.
    Reset,
    /// Nothing, ever.
    Silence,
}

impl Disturbance {
    fn new(takes_effect: bool, answer: DisturbedAnswer) -> Self {
        Self {
            before: Duration::ZERO,
            takes_effect,
            after: Duration::ZERO,
            answer,
        }
    }

    /// Answered with an error; nothing happened.
    pub fn refused(code: u16) -> Self {
        Self::new(false, DisturbedAnswer::Refused(code_of(code), None))
    }

    /// As `refused`, with a Retry-After of so many seconds.
    pub fn refused_for(code: u16, retry_after_seconds: u32) -> Self {
        Self::new(
            false,
            DisturbedAnswer::Refused(code_of(code), Some(retry_after_seconds)),
        )
    }

    /// Took effect, but is answered with an error (a timeout in a proxy, say).
    pub fn done_but_refused(code: u16) -> Self {
        Self::new(true, DisturbedAnswer::Refused(code_of(code), None))
    }

    /// The connection breaks before the request arrives.
    pub fn lost() -> Self {
        Self::new(false, DisturbedAnswer::Reset)
    }

    /// Took effect, but the connection breaks before the answer arrives.
    pub fn answer_lost() -> Self {
        Self::new(true, DisturbedAnswer::Reset)
    }

    /// Never answered; nothing happened.
    pub fn ignored() -> Self {
        Self::new(false, DisturbedAnswer::Silence)
    }

    /// Took effect, and is never answered.
    pub fn done_in_silence() -> Self {
        Self::new(true, DisturbedAnswer::Silence)
    }

    /// Takes effect only after `delay`, even if the client has gone away by then.
    pub fn late(delay: Duration) -> Self {
        Self {
            before: delay,
            ..Self::new(true, DisturbedAnswer::Real)
        }
    }

    /// Takes effect at once, and is answered after `delay`.
    pub fn answered_late(delay: Duration) -> Self {
        Self {
            after: delay,
            ..Self::new(true, DisturbedAnswer::Real)
        }
    }
}

fn code_of(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

type Decision = Arc<dyn Fn(&Call) -> Option<Disturbance> + Send + Sync>;

/// Everything that is being made to go wrong at the moment.
#[derive(Default)]
pub struct Faults {
    staleness: Staleness,
    watch_delays: BTreeMap<String, Duration>,
    twice: bool,
    decisions: Vec<(Decision, Option<u32>)>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("staleness", &self.staleness)
            .field("watch_delays", &self.watch_delays)
            .field("twice", &self.twice)
            .field("decisions", &self.decisions.len())
            .finish()
    }
}

impl Faults {
    pub fn staleness(&self) -> Staleness {
        self.staleness
    }

    pub fn set_staleness(&mut self, staleness: Staleness) {
        self.staleness = staleness;
    }

    /// How late events of a resource are.
    pub fn watch_delay(&self, plural: &str) -> Duration {
        let delay = self
            .watch_delays
            .get(plural)
            .or_else(|| self.watch_delays.get(""));
        delay.copied().unwrap_or_default()
    }

    /// An empty `plural` stands for all resources that have no delay of their own.
    pub fn set_watch_delay(&mut self, plural: &str, delay: Duration) {
        self.watch_delays.insert(plural.to_owned(), delay);
    }

    pub fn sends_events_twice(&self) -> bool {
        self.twice
    }

    pub fn send_events_twice(&mut self, twice: bool) {
        self.twice = twice;
    }

    /// Adds a decision, taken at most `times` times (for ever when `None`).
    pub fn add(&mut self, times: Option<u32>, decision: Decision) {
        self.decisions.push((decision, times));
    }

    /// What befalls this request, by the first decision that has something for it.
    pub fn decide(&mut self, call: &Call) -> Option<Disturbance> {
        let mut found = None;
        for (decision, left) in &mut self.decisions {
            if let Some(disturbance) = decision(call) {
                if let Some(left) = left.as_mut() {
                    *left = left.saturating_sub(1);
                }
                found = Some(disturbance);
                break;
            }
        }
        self.decisions.retain(|(_, left)| *left != Some(0));
        found
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Picks requests by verb and resource, for [`super::ApiServer::disturb`].
pub fn on(verb: Verb, plural: &str) -> impl Fn(&Call) -> bool + Send + Sync + 'static {
    let plural = plural.to_owned();
    move |call| call.verb == verb && call.plural == plural && call.subresource.is_empty()
}

/// Picks writes of a resource's status.
pub fn on_status_writes(plural: &str) -> impl Fn(&Call) -> bool + Send + Sync + 'static {
    let plural = plural.to_owned();
    move |call| call.is_write() && call.plural == plural && call.subresource == "status"
}

/// Picks every write.
pub fn on_writes() -> impl Fn(&Call) -> bool + Send + Sync + 'static {
    Call::is_write
}
