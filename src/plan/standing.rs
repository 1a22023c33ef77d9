//! How settings stand, and what became of earlier writes.

use std::collections::BTreeMap;

use crate::setting::{Source, Values};

/// What the reads showed of settings, by source. No entry: not asked for.
pub type ShownSettings = BTreeMap<Source, Result<Values, Unread>>;

/// Why settings are not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    pub why: String,
    /// It may go away by itself: an outage, or a mailbox that is too new.
    pub may_pass: bool,
}

impl Unread {
    /// Somebody has to act, or nobody can.
    pub(super) fn for_good(why: String) -> Self {
        Self { why, may_pass: false }
    }
}

/// How a declared family stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As declared.
    Synced,
    /// To be written: only what differs.
    Differs { to: Values, from: Values },
    /// It could not be read, so nothing is written.
    Unread(Unread),
    /// Exchange acknowledged it and shows something else; it may need time.
    Waiting,
    /// Nothing is written until somebody acts: why.
    Refused(String),
    /// Exchange acknowledged it twice and still shows something else.
    NotConverging(String),
}

/// What became of a family's writes before, as far as this process remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// Exchange refused this wish for good.
    Refused { wish: Values, why: String, retry: bool },
    /// Exchange acknowledged this wish once, minutes ago, and went on showing `shown`.
    Once { wish: Values, shown: Values },
    /// The same, more than once.
    Acknowledged {
        wish: Values,
        shown: Values,
        answer: Answer,
    },
}

/// What Exchange stored for a wish that it acknowledged twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may still show it.
    Pending,
    /// It said that the value is as wished already: what it shows is another form of it.
    Equal,
    /// It shows something else for good.
    Other,
    /// The same, and it is time to try once more.
    Retry,
}

impl Earlier {
    /// Whether Exchange refused this very wish.
    pub(super) fn refused(&self, wish: &Values) -> bool {
        match self {
            Self::Refused { wish: then, .. } => then == wish,
            Self::Once { .. } | Self::Acknowledged { .. } => false,
        }
    }
}
