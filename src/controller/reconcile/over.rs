//! When the ledger of a mailbox without a resource has served its time.

use std::time::Duration;

use jiff::Timestamp;

use super::task::Reconcile;
use crate::plan::SHOWN_BY_THEN;

/// A mailbox that was announced and never shown is searched for so long.
const SEARCHED_FOR: Duration = Duration::from_hours(24);
/// The ledger of a mailbox that Exchange does not have any more is kept so long.
const GONE_KEPT: Duration = Duration::from_hours(90 * 24);

impl Reconcile<'_> {
    /// Nothing came of an announced create, or of an announced adoption, or the mailbox has long been gone.
    pub(super) fn is_over(&self, is_disowned: bool) -> bool {
        let Some(spec) = self.ledger.draft() else {
            return false;
        };
        let since = |at: Timestamp| self.context.clock.since(at);
        if let Some(gone) = spec.gone_at {
            // A mailbox may be restored: it is searched for once more.
            return self.ledger.is_unseen && since(gone) >= GONE_KEPT;
        }
        if is_disowned && self.ledger.is_unseen && spec.adopting.is_none() && spec.intent.is_none() {
            // A replica may lag behind the marker.
            let now = self.context.clock.instant();
            let since = self
                .context
                .state
                .remember(self.key, |memory| memory.unmarked_since);
            return since.is_some_and(|since| now.saturating_duration_since(since) >= SHOWN_BY_THEN);
        }
        // What was announced is tried again for as long as there is a resource; and what was restored may have been.
        let was_searched_for = |announced: Timestamp, long: Duration| {
            let last = |released: Timestamp| {
                let taken_up = spec.taken_up_at.unwrap_or(announced);
                released.max(announced).max(taken_up)
            };
            let is_long_ago = |released| since(last(released)) >= long;
            self.ledger.is_unseen && spec.released_at.is_some_and(is_long_ago)
        };
        if let Some(at) = spec.adopting {
            return was_searched_for(at, SHOWN_BY_THEN);
        }
        if spec.mailbox.is_some() {
            return false;
        }
        let unsent = self
            .context
            .state
            .remember(self.key, |memory| memory.unsent.clone());
        match &spec.intent {
            // Its create was refused, or never asked for.
            None => true,
            Some(intent) => {
                let was_never_sent = unsent.as_ref() == Some(&intent.one_time_name);
                was_never_sent || was_searched_for(intent.at, SEARCHED_FOR)
            }
        }
    }
}
