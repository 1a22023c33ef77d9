//! Elementary changes, and the memory of those that Exchange acknowledged a moment ago.

use std::collections::BTreeSet;

use super::{Plan, Step};
use crate::mail::{ObjectId, Right, SmtpAddress};

/// One thing that a write changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    Revoked(ObjectId, Right),
    Granted(ObjectId, Right),
    SignIn { allowed: bool },
    Marker,
    DisplayName(String),
    Alias(String),
    Primary(SmtpAddress),
    AddressAdded(SmtpAddress),
    AddressRemoved(SmtpAddress),
}

impl Change {
    /// Whether `earlier` holds no longer once this change is made.
    pub fn supersedes(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (Self::Revoked(id, right), Self::Granted(other, same))
            | (Self::Granted(id, right), Self::Revoked(other, same)) => id == other && right == same,
            (Self::AddressAdded(address), Self::AddressRemoved(other))
            | (Self::AddressRemoved(address), Self::AddressAdded(other)) => address == other,
            (Self::SignIn { .. }, Self::SignIn { .. })
            | (Self::Marker, Self::Marker)
            | (Self::DisplayName(_), Self::DisplayName(_))
            | (Self::Alias(_), Self::Alias(_))
            | (Self::Primary(_), Self::Primary(_)) => true,
            _ => false,
        }
    }
}

/// Changes that Exchange acknowledged so recently that a replica may not show them yet.
pub type Acknowledged = BTreeSet<Change>;

impl Plan {
    /// The plan without what was acknowledged a moment ago, and whether something was left out.
    ///
    /// Revocations and the sign-in block are never left out: repeating them costs a warning, missing them
    /// leaves a door open.
    pub fn without(&self, acknowledged: &Acknowledged) -> (Self, bool) {
        let mut left_out = false;
        let mut steps = Vec::with_capacity(self.steps.len());
        for (position, step) in self.steps.iter().enumerate() {
            match step {
                Step::Set(settings) => {
                    let rest = settings.without(acknowledged);
                    left_out |= rest != *settings;
                    if !rest.is_empty() {
                        steps.push(Step::Set(rest));
                    }
                }
                Step::Grant { object_id, right, .. }
                    if acknowledged.contains(&Change::Granted(*object_id, *right))
                        && !self.regrants(position) =>
                {
                    left_out = true;
                }
                Step::Revoke { .. } | Step::SetDirectorySignIn { .. } | Step::Grant { .. } => {
                    steps.push(step.clone());
                }
            }
        }
        (
            Self {
                steps,
                announced: self.announced.clone(),
                settled: self.settled.clone(),
            },
            left_out,
        )
    }

    /// True when the step before takes away what this one gives: the second half of a remapping.
    fn regrants(&self, position: usize) -> bool {
        let before = position.checked_sub(1).and_then(|before| self.steps.get(before));
        match (before, self.steps.get(position)) {
            (
                Some(Step::Revoke {
                    object_id: revoked,
                    right: lost,
                }),
                Some(Step::Grant { object_id, right, .. }),
            ) => revoked == object_id && lost == right,
            _ => false,
        }
    }
}
