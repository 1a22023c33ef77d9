//! What the reads of one reconcile gave.

use super::validate::{Directory, Wanted};
use crate::mail::Nickname;
use crate::plan::{Desired, Observed};

/// What Exchange and the directory show, beside what is wanted: whom to ask about depends on that.
pub struct Observation {
    pub wanted: Wanted,
    pub desired: Desired,
    /// What the directory says about the members.
    pub directory: Directory,
    pub found: Found,
}

pub enum Found {
    Mailbox(Box<ObservedMailbox>),
    /// Nobody holds its addresses; this nickname is free.
    Nowhere(Nickname),
}

/// One mailbox, read whole.
pub struct ObservedMailbox {
    pub observed: Observed,
    /// RecipientTypeDetails.
    pub kind: String,
    /// Alias in Exchange.
    pub nickname: String,
    /// It is mastered on premises: nothing of it can be written here.
    pub is_mastered_elsewhere: bool,
}
