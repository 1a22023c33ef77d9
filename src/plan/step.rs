//! Steps and plans: values that can be printed, counted and compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Change, SignInStanding, Standing};
use crate::api::SignInControl;
use crate::ledger::Ledger;
use crate::mail::{Holder, ObjectId, Right};
use crate::setting::{Call, Value};

/// One write, in the order of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take Full Access or Send As away from a member.
    Revoke { object_id: ObjectId, right: Right },
    /// Take everything away that a row shows and no manifest declares.
    Evict(Eviction),
    /// One call that changes the mailbox itself or its settings.
    Set { call: Call, changes: Vec<Change> },
    /// Block or allow sign-in in the directory.
    SetDirectorySignIn { allowed: bool },
    /// Revoke the sessions of the account behind the mailbox, after a block that closed it.
    SignOut,
    /// Change the automapping of one member's Full Access: it can only be set with the grant, so the grant is taken
    /// away and given again.
    Remap { object_id: ObjectId, auto_mapping: bool },
    /// Take automapping away from everybody on the mailbox.
    ClearAutoMapping,
    /// Give Full Access or Send As.
    Grant {
        object_id: ObjectId,
        right: Right,
        auto_mapping: bool,
    },
}

/// A row that is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eviction {
    pub holder: Holder,
    /// The store that the row is in: Full Access stands for everything that Get-MailboxPermission shows.
    pub store: Right,
    /// All rights of the row, which one call takes away.
    pub rights: BTreeSet<String>,
    /// Whom Exchange shows, for people.
    pub shown: String,
}

/// Why access is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The ExchangeTenant says that somebody has left.
    Departed,
    /// `expiresAt` has passed.
    Expired,
    /// No manifest declares it any more.
    Undeclared,
    /// The resource of its mailbox is being deleted, and says that it goes.
    Deleted,
    /// Nobody ever declared it, and the mailbox is Exclusive.
    Exclusive,
    /// Its account is gone.
    Orphaned,
}

impl Cause {
    /// Whether it is weighed with other removals before it is done.
    pub fn is_weighed(self) -> bool {
        match self {
            Self::Departed | Self::Expired => false,
            Self::Undeclared | Self::Deleted | Self::Exclusive | Self::Orphaned => true,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Departed => "departed",
            Self::Expired => "expired",
            Self::Undeclared => "no longer declared",
            Self::Deleted => "deleted with its SharedMailbox",
            Self::Exclusive => "declared nowhere",
            Self::Orphaned => "its account is gone",
        }
    }
}

/// What is to be done, and what is remembered before and after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// Why each removal of a grant is planned.
    pub causes: BTreeMap<Change, Cause>,
    /// Removals that wait because the mailbox was taken up again a moment ago.
    pub due: BTreeSet<Change>,
    /// Declared rights of which nobody knows whether they are there.
    pub unread: BTreeSet<(ObjectId, Right)>,
    /// What was shown before a setting is changed.
    pub before: BTreeMap<Change, Value>,
    /// How each declared family of settings stands.
    pub standings: BTreeMap<&'static str, Standing>,
    /// How sign-in stands.
    pub sign_in: SignInStanding,
    /// The ledger that the API server must have acknowledged before the first step.
    pub announced: Ledger,
    /// The ledger when every step is done.
    pub settled: Ledger,
}

impl Step {
    /// True when the step takes access away that nobody gets back in the same plan.
    pub fn revokes(&self) -> bool {
        self.changes().iter().any(Change::removes_a_grant)
    }

    /// The step with only those changes that `keep` admits. One call that makes several changes is sent for those that are
    /// left; every other step is done whole or not at all.
    pub(super) fn keeping(&self, keep: impl Fn(&Change) -> bool) -> Option<Self> {
        if let Self::Set { call, changes } = self {
            let rest: Vec<Change> = changes.iter().filter(|change| keep(change)).cloned().collect();
            (!rest.is_empty()).then_some(Self::Set {
                call: *call,
                changes: rest,
            })
        } else {
            self.changes().iter().all(keep).then(|| self.clone())
        }
    }

    /// The elementary changes of this step, by which acknowledged writes are remembered.
    pub fn changes(&self) -> Vec<Change> {
        match self {
            Self::Revoke { object_id, right } => vec![Change::Revoked(*object_id, *right)],
            Self::Evict(eviction) => vec![Change::Evicted(eviction.holder.clone(), eviction.store)],
            Self::Grant {
                object_id,
                right,
                auto_mapping: _,
            } => vec![Change::Granted(*object_id, *right)],
            Self::Remap {
                object_id,
                auto_mapping,
            } => vec![Change::Remapped(*object_id, *auto_mapping)],
            Self::ClearAutoMapping => vec![Change::AutoMappingCleared],
            Self::SetDirectorySignIn { allowed } => vec![Change::SignIn {
                allowed: *allowed,
                through: SignInControl::Graph,
            }],
            Self::SignOut => vec![Change::SignedOut],
            Self::Set { changes, call: _ } => changes.clone(),
        }
    }
}

/// The same changes in parts, for when Exchange refuses them together: what protects first, then each family by itself,
/// so that one bad value holds nothing hostage. The name of a part is for people.
pub fn parts(changes: &[Change]) -> Vec<(&'static str, Vec<Change>)> {
    let rank = |change: &Change| {
        let protects = matches!(
            change,
            Change::Marker { .. } | Change::SignIn { .. } | Change::SignedOut
        );
        if protects {
            (0, "marker and sign-in")
        } else if change.removes_a_grant() {
            (1, change.family())
        } else {
            (2, change.family())
        }
    };
    let mut parts: BTreeMap<(u8, &'static str), Vec<Change>> = BTreeMap::new();
    for change in changes {
        parts.entry(rank(change)).or_default().push(change.clone());
    }
    parts
        .into_iter()
        .map(|((_, name), changes)| (name, changes))
        .collect()
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The steps as people read them.
    pub fn describe(&self) -> Vec<String> {
        self.steps.iter().map(ToString::to_string).collect()
    }

    /// The elementary changes of all steps.
    pub fn changes(&self) -> BTreeSet<Change> {
        self.steps.iter().flat_map(Step::changes).collect()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mapping = |on: bool| if on { "with" } else { "without" };
        match self {
            Self::Revoke { object_id, right } => write!(f, "revoke {right} of {object_id}"),
            Self::Evict(eviction) => eviction.fmt(f),
            Self::Grant {
                object_id,
                right: Right::FullAccess,
                auto_mapping,
            } => write!(
                f,
                "grant FullAccess to {object_id} {} automapping",
                mapping(*auto_mapping)
            ),
            Self::Grant {
                object_id,
                right,
                auto_mapping: _,
            } => write!(f, "grant {right} to {object_id}"),
            Self::Remap {
                object_id,
                auto_mapping,
            } => write!(
                f,
                "revoke FullAccess of {object_id} and grant it again {} automapping",
                mapping(*auto_mapping)
            ),
            Self::ClearAutoMapping => f.write_str("clear automapping for everybody"),
            Self::SetDirectorySignIn { allowed: false } => f.write_str("block sign-in in Entra"),
            Self::SetDirectorySignIn { allowed: true } => f.write_str("allow sign-in in Entra"),
            Self::SignOut => f.write_str("revoke the sessions of its account"),
            Self::Set { changes, call: _ } => {
                let words: Vec<String> = changes.iter().map(ToString::to_string).collect();
                f.write_str(&words.join(", "))
            }
        }
    }
}

impl fmt::Display for Eviction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            holder,
            store: _,
            rights,
            shown,
        } = self;
        let rights: Vec<&str> = rights.iter().map(String::as_str).collect();
        write!(f, "remove {} of {shown:?} ({holder})", rights.join(", "))
    }
}
