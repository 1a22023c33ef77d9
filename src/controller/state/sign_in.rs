//! What one process remembers of sign-in to the account behind a mailbox: when Entra showed it last, and which writes did
//! not show. After a restart it is found out again.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::api::reason::Reason;
use crate::api::{SignIn, SignInControl};
use crate::plan::{Account, Attempt, Change, Desired, Observed, SignInAttempts};

/// How long a write may stay invisible before the other API is asked.
const SHOWN_WITHIN: Duration = Duration::from_mins(2);
/// What neither API brought about is tried again after so long.
const TRIED_AGAIN: Duration = Duration::from_hours(1);
/// How long Graph may not know a new account.
const PROPAGATES_WITHIN: Duration = Duration::from_mins(15);

#[derive(Default)]
pub struct SignInMemory {
    tries: BTreeMap<SignInControl, Try>,
    not_shown_since: Option<Instant>,
    /// Since when Graph has given no answer about it.
    unread_since: Option<Instant>,
    /// When Entra showed the account last.
    pub proven_at: Option<Timestamp>,
    /// Why that can't be known until somebody does something, as the last read had it.
    pub unverified: Option<Unverified>,
    /// The reason that this process reported last of sign-in, and since when it has been the same: what is in the status may
    /// have been forged since.
    pub reported: Option<(Reason, Timestamp)>,
    /// The account was asked for at all.
    pub was_read: bool,
}

/// Why nobody knows whether people can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// Somebody has to grant a permission.
    NotPermitted(String),
    /// Graph has not answered for long.
    NoAnswer(String),
}

struct Try {
    allowed: bool,
    at: Instant,
    refused: Option<String>,
}

impl SignInMemory {
    /// The account was read, or not shown, or could not be read.
    pub fn observed(&mut self, desired: &Desired, observed: &Observed, now: (Instant, Timestamp)) {
        let (now, time) = now;
        let allowed = desired.sign_in == SignIn::Allowed;
        self.was_read = true;
        if observed.account != Account::NotShown {
            self.not_shown_since = None;
        }
        self.unverified = None;
        if !matches!(observed.account, Account::Unread(_)) {
            self.unread_since = None;
        }
        match &observed.account {
            Account::Open | Account::Blocked => {
                self.proven_at = Some(time);
                if observed.account.is_open() == Some(allowed) {
                    self.tries.clear();
                }
            }
            Account::Denied(why) => {
                self.unverified = Some(Unverified::NotPermitted(why.clone()));
                self.without_graph(observed, allowed);
            }
            Account::NotShown => {
                self.not_shown_since.get_or_insert(now);
                if self.is_long_unknown(now) {
                    let why = "Microsoft Graph does not know an account".to_owned();
                    self.unverified = Some(Unverified::NotPermitted(why));
                    self.without_graph(observed, allowed);
                }
            }
            Account::Unread(why) => {
                let since = *self.unread_since.get_or_insert(now);
                if now.saturating_duration_since(since) >= PROPAGATES_WITHIN {
                    self.unverified = Some(Unverified::NoAnswer(why.clone()));
                }
            }
        }
    }

    /// It was reported so.
    pub fn report(&mut self, reason: Reason, now: Timestamp) {
        if self.reported.as_ref().is_none_or(|(before, _)| *before != reason) {
            self.reported = Some((reason, now));
        }
    }

    /// Exchange shows what was written: from now on a difference is somebody else's.
    fn without_graph(&mut self, observed: &Observed, allowed: bool) {
        if observed.account_disabled != allowed {
            self.tries.clear();
        }
    }

    pub fn acknowledged(&mut self, change: &Change, now: Instant) {
        if let Change::SignIn { allowed, through } = change {
            self.tried(*through, *allowed, None, now);
        }
    }

    /// A write through this API ended so; `refused`: why.
    pub fn tried(&mut self, through: SignInControl, allowed: bool, refused: Option<String>, now: Instant) {
        let attempt = Try {
            allowed,
            at: now,
            refused,
        };
        self.tries.insert(through, attempt);
    }

    /// What a plan must know of it.
    pub fn attempts(&mut self, now: Instant) -> SignInAttempts {
        let age = |attempt: &Try| now.saturating_duration_since(attempt.at);
        if self.tries.values().all(|attempt| age(attempt) >= TRIED_AGAIN) {
            self.tries.clear();
        }
        let of = |through| {
            let attempt: &Try = self.tries.get(&through)?;
            let ended = match &attempt.refused {
                Some(why) => Attempt::Refused(why.clone()),
                None if age(attempt) < SHOWN_WITHIN => Attempt::Fresh,
                None => Attempt::Unseen,
            };
            Some((attempt.allowed, ended))
        };
        SignInAttempts {
            by_graph: of(SignInControl::Graph),
            by_exchange: of(SignInControl::Exchange),
            is_long_unknown: self.is_long_unknown(now),
        }
    }

    fn is_long_unknown(&self, now: Instant) -> bool {
        let since = self.not_shown_since;
        since.is_some_and(|since| now.saturating_duration_since(since) >= PROPAGATES_WITHIN)
    }
}

/// What is proven of all mailboxes of a tenant.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TenantSignIn {
    /// The oldest proof; None: there is none.
    pub oldest: Option<Timestamp>,
    /// Some mailboxes have not been proven by this process.
    pub has_unproven: bool,
    /// How many can't be verified, and why one of them can't.
    pub unverified: usize,
    pub why: Option<Unverified>,
    /// Some mailboxes were not read by this process yet.
    pub is_incomplete: bool,
}

impl TenantSignIn {
    pub fn add(&mut self, memory: Option<&SignInMemory>) {
        let Some(memory) = memory.filter(|memory| memory.was_read) else {
            self.is_incomplete = true;
            return;
        };
        match memory.proven_at {
            Some(proven) => self.oldest = Some(self.oldest.map_or(proven, |oldest| oldest.min(proven))),
            None => self.has_unproven = true,
        }
        if let Some(why) = &memory.unverified {
            self.unverified += 1;
            self.why.get_or_insert_with(|| why.clone());
        }
    }
}
