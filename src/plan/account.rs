//! What is known of the account behind a mailbox, and of earlier writes to it.

use crate::api::SignInControl;

/// What Entra says of the account behind a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// It can be signed in to.
    Open,
    Blocked,
    /// Graph does not know it.
    NotShown,
    /// The app may not read it: why, with the permission.
    Denied(String),
    /// It could not be read now: why.
    Unread(String),
}

/// What came of a write since Entra last showed what it was to bring about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Acknowledged a moment ago: it may not be shown yet.
    Fresh,
    /// Acknowledged, and not shown.
    Unseen,
    Refused(String),
}

/// Earlier writes, each with whether it was to allow sign-in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignInAttempts {
    pub by_graph: Option<(bool, Attempt)>,
    pub by_exchange: Option<(bool, Attempt)>,
    /// Graph has not known the account for longer than it takes for a new one.
    pub is_long_unknown: bool,
}

/// How sign-in stands, and what is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignInStanding {
    /// Entra shows what is declared.
    AsDeclared,
    /// The account of an adopted mailbox is open, and stays so until a manifest says how it is to be.
    Undecided,
    /// To be written through this API.
    Differs(SignInControl),
    /// Acknowledged a moment ago, and not shown yet.
    Waiting,
    /// Nothing helps: what came of each try. It is written again once an hour at most.
    NotEffective(String),
    /// Graph does not know the account yet.
    Propagating,
    /// Nobody knows, and nothing is to be written: why.
    Unverified(String),
}

impl Account {
    /// None: nobody knows.
    pub fn is_open(&self) -> Option<bool> {
        match self {
            Self::Open => Some(true),
            Self::Blocked => Some(false),
            Self::NotShown | Self::Denied(_) | Self::Unread(_) => None,
        }
    }
}

impl SignInAttempts {
    pub(super) fn of(&self, through: SignInControl, allowed: bool) -> Option<&Attempt> {
        let attempt = match through {
            SignInControl::Graph => &self.by_graph,
            SignInControl::Exchange => &self.by_exchange,
        };
        let (was, attempt) = attempt.as_ref()?;
        (*was == allowed).then_some(attempt)
    }
}

impl Attempt {
    /// For people.
    pub(super) fn words(&self, through: SignInControl) -> String {
        let api = match through {
            SignInControl::Graph => "Microsoft Graph",
            SignInControl::Exchange => "Exchange",
        };
        match self {
            Self::Fresh | Self::Unseen => {
                format!("{api} acknowledged the change, and Entra does not show it")
            }
            Self::Refused(why) => format!("{api} refuses the change: {why}"),
        }
    }
}
