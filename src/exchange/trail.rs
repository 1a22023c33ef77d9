//! Which request failed last while a piece of work was done: what Microsoft's support asks for.
//!
//! The id differs with each try, so it has no place in an error's text: a condition that holds the text would be
//! rewritten with each try. It is in the log, in spans, and in the event that reports the failure once.

use std::cell::RefCell;
use std::future::Future;

use super::error::ExchangeError;

tokio::task_local! {
    static LAST: RefCell<Option<String>>;
}

/// Does `work` and remembers, for its own use, which of its requests failed last.
pub async fn followed<T>(work: impl Future<Output = T>) -> T {
    LAST.scope(RefCell::default(), work).await
}

/// The id of the request that failed last in the work around this call; None when none did.
pub fn last_failed_request() -> Option<String> {
    LAST.try_with(|last| last.borrow().clone()).ok().flatten()
}

/// A call failed for good.
pub(super) fn note(error: &ExchangeError) {
    if let (false, Some(id)) = (error.class.is_absence(), &error.request_id) {
        // Outside of any work nobody asks for it.
        let _ = LAST.try_with(|last| last.replace(Some(id.clone())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{ErrorClass, Stage};

    fn failed(class: ErrorClass, id: &str) {
        note(&ExchangeError {
            request_id: Some(id.to_owned()),
            ..ExchangeError::new(class, Stage::Exchange, "Set-Mailbox", "x")
        });
    }

    #[tokio::test]
    async fn each_piece_of_work_has_a_trail_of_its_own() {
        let one = followed(async {
            failed(ErrorClass::Invalid, "first");
            tokio::task::yield_now().await;
            failed(ErrorClass::Transient, "second");
            failed(ErrorClass::NotFound, "an answer like any other");
            tokio::task::yield_now().await;
            last_failed_request()
        });
        let other = followed(async { last_failed_request() });
        let (one, other) = tokio::join!(one, other);
        assert_eq!(one.as_deref(), Some("second"));
        assert_eq!(other, None);
        assert_eq!(last_failed_request(), None);
    }
}
