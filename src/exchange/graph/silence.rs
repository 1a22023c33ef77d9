//! While Graph does not answer, not every mailbox waits for it.

use std::time::Duration;

use tokio::time::Instant;

/// After so many reads without an answer Graph counts as silent …
const LOST: u32 = 3;
/// … and is asked by one of them after so long, while all others are told so at once: mailboxes would wait for each other.
const ASKED_AGAIN: Duration = Duration::from_secs(30);

/// Whether Graph answers at all.
#[derive(Default)]
pub struct Silence {
    lost: u32,
    next: Option<Instant>,
}

impl Silence {
    /// Whether a read may be sent now. While Graph is silent only one of them is, now and then.
    pub fn admits(&mut self, now: Instant) -> bool {
        if !self.is_silent() {
            return true;
        }
        let is_due = self.next.is_none_or(|next| next <= now);
        if is_due {
            self.next = Some(now + ASKED_AGAIN);
        }
        is_due
    }

    pub fn is_silent(&self) -> bool {
        self.lost >= LOST
    }

    pub fn answered(&mut self) {
        *self = Self::default();
    }

    pub fn lost(&mut self, now: Instant) {
        self.lost = self.lost.saturating_add(1);
        if self.is_silent() {
            self.next = Some(now + ASKED_AGAIN);
        }
    }
}
