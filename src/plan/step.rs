//! Steps and plans: values that can be printed, counted and compared.

use std::fmt;

use super::{Change, Settings};
use crate::api::Record;
use crate::mail::{ObjectId, Right};

/// One write, in the order of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take Full Access or Send As away.
    Revoke { object_id: ObjectId, right: Right },
    /// One Set-Mailbox.
    Set(Settings),
    /// Block or allow sign-in in the directory.
    SetDirectorySignIn { allowed: bool },
    /// Give Full Access or Send As.
    Grant {
        object_id: ObjectId,
        right: Right,
        auto_mapping: bool,
    },
}

/// What is to be done, and what is remembered before and after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// The record that the API server must have acknowledged before the first step.
    pub announced: Record,
    /// The record when every step is done.
    pub settled: Record,
}

impl Step {
    /// True when the step takes access away that nobody gets back in the same plan.
    pub fn revokes(&self) -> bool {
        match self {
            Self::Revoke { .. } => true,
            Self::Set(settings) => !settings.remove_on_behalf.is_empty(),
            Self::SetDirectorySignIn { .. } | Self::Grant { .. } => false,
        }
    }

    /// The elementary changes of this step, by which acknowledged writes are remembered.
    pub fn changes(&self) -> Vec<Change> {
        match self {
            Self::Revoke { object_id, right } => vec![Change::Revoked(*object_id, *right)],
            Self::Grant {
                object_id,
                right,
                auto_mapping: _,
            } => vec![Change::Granted(*object_id, *right)],
            Self::SetDirectorySignIn { allowed } => vec![Change::SignIn { allowed: *allowed }],
            Self::Set(settings) => settings.changes(),
        }
    }
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The elementary changes of all steps, in their order.
    pub fn changes(&self) -> Vec<Change> {
        self.steps.iter().flat_map(Step::changes).collect()
    }

    /// The steps as people read them.
    pub fn describe(&self) -> Vec<String> {
        self.steps.iter().map(ToString::to_string).collect()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revoke { object_id, right } => write!(f, "revoke {right} of {object_id}"),
            Self::Grant {
                object_id,
                right: Right::FullAccess,
                auto_mapping,
            } => {
                let mapping = if *auto_mapping { "with" } else { "without" };
                write!(f, "grant FullAccess to {object_id} {mapping} automapping")
            }
            Self::Grant {
                object_id,
                right,
                auto_mapping: _,
            } => write!(f, "grant {right} to {object_id}"),
            Self::SetDirectorySignIn { allowed: false } => f.write_str("block sign-in in the directory"),
            Self::SetDirectorySignIn { allowed: true } => f.write_str("allow sign-in in the directory"),
            Self::Set(settings) => settings.fmt(f),
        }
    }
}
