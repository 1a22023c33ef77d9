//! Whether a failed call is tried again.

use std::time::Duration;

use tokio::time::Instant;

use crate::exchange::error::{ErrorClass, ExchangeError, Retry, Stage};
use crate::exchange::wire::{Effect, Failure};

/// Attempts at a call that fails for reasons that may pass …
const ATTEMPTS: u32 = 4;
/// … and how long after the first failure they end.
const TRANSIENT_PATIENCE: Duration = Duration::from_mins(1);
/// Attempts at a call that is throttled; the tenant's hold does the waiting.
const THROTTLED_ATTEMPTS: u32 = 6;
/// Calls wait this long for a tenant that throttles; then the caller's own queue does.
pub const THROTTLED_PATIENCE: Duration = Duration::from_mins(3);

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Once more, after this long.
    Again(Duration),
    Final(ExchangeError),
}

/// The attempts at one call.
#[derive(Debug)]
pub struct Attempts {
    effect: Effect,
    failures: u32,
    first_failure: Option<Instant>,
    token_was_refreshed: bool,
}

impl Attempts {
    pub fn new(effect: Effect) -> Self {
        Self {
            effect,
            failures: 0,
            first_failure: None,
            token_was_refreshed: false,
        }
    }

    pub fn judge(&mut self, failure: Failure, now: Instant) -> Verdict {
        let Failure {
            mut error,
            perhaps_executed,
        } = failure;
        let token_is_refused = error.class.retry() == Retry::WithNewToken
            && error.status == Some(401)
            && error.stage != Stage::Token;
        if token_is_refused && !self.token_was_refreshed {
            self.token_was_refreshed = true;
            return Verdict::Again(Duration::ZERO);
        }
        self.failures += 1;
        let waited = now.duration_since(*self.first_failure.get_or_insert(now));
        match error.class.retry() {
            Retry::Backoff if perhaps_executed && self.effect == Effect::Create => {
                error.class = ErrorClass::Ambiguous;
                Verdict::Final(*error)
            }
            Retry::Backoff => {
                let backoff = Duration::from_secs(1 << (self.failures - 1).min(6));
                let wait = error.retry_after.map_or(backoff, |asked| asked.max(backoff));
                if self.failures < ATTEMPTS && waited + wait <= TRANSIENT_PATIENCE {
                    Verdict::Again(wait)
                } else {
                    Verdict::Final(*error)
                }
            }
            Retry::AfterPause => {
                let asked = error.retry_after.unwrap_or_default();
                if self.failures < THROTTLED_ATTEMPTS && waited + asked <= THROTTLED_PATIENCE {
                    Verdict::Again(Duration::ZERO)
                } else {
                    Verdict::Final(*error)
                }
            }
            Retry::WithNewToken | Retry::Never => Verdict::Final(*error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(class: ErrorClass, perhaps_executed: bool) -> Failure {
        Failure::new(
            ExchangeError::new(class, Stage::Exchange, "Set-Mailbox", "x"),
            perhaps_executed,
        )
    }

    fn waits(effect: Effect, failure: &Failure) -> Vec<u64> {
        let mut now = Instant::now();
        let mut attempts = Attempts::new(effect);
        let mut waits = Vec::new();
        while let Verdict::Again(wait) = attempts.judge(failure.clone(), now) {
            waits.push(wait.as_secs());
            now += wait;
        }
        waits
    }

    #[test]
    fn reads_and_repeatable_writes_are_tried_four_times() {
        for effect in [Effect::Read, Effect::Repeatable] {
            assert_eq!(waits(effect, &failure(ErrorClass::Transient, true)), [1, 2, 4]);
        }
    }

    #[test]
    fn a_create_that_may_have_been_executed_is_never_repeated() {
        let mut attempts = Attempts::new(Effect::Create);
        match attempts.judge(failure(ErrorClass::Transient, true), Instant::now()) {
            Verdict::Final(error) => assert_eq!(error.class, ErrorClass::Ambiguous),
            again @ Verdict::Again(_) => panic!("{again:?}"),
        }
    }

    #[test]
    fn a_create_that_surely_was_not_executed_is_repeated() {
        assert_eq!(
            waits(Effect::Create, &failure(ErrorClass::Transient, false)),
            [1, 2, 4]
        );
        assert_eq!(
            waits(Effect::Create, &failure(ErrorClass::Throttled, false)).len(),
            5
        );
    }

    #[test]
    fn permanent_errors_are_final_at_once() {
        for class in [
            ErrorClass::NotFound,
            ErrorClass::Conflict,
            ErrorClass::Denied,
            ErrorClass::Invalid,
        ] {
            assert!(
                waits(Effect::Read, &failure(class, false)).is_empty(),
                "{class:?}"
            );
        }
    }

    #[test]
    fn a_long_retry_after_is_left_to_the_caller() {
        let mut throttled = failure(ErrorClass::Throttled, false);
        throttled.error.retry_after = Some(Duration::from_mins(10));
        assert!(waits(Effect::Read, &throttled).is_empty());
        throttled.error.class = ErrorClass::Transient;
        assert!(waits(Effect::Read, &throttled).is_empty());
    }

    #[test]
    fn a_401_is_tried_once_more_with_a_new_token() {
        let mut refused = failure(ErrorClass::Denied, false);
        refused.error.status = Some(401);
        assert_eq!(waits(Effect::Create, &refused), [0]);
    }
}
