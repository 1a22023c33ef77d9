//! Elementary changes.

use std::collections::BTreeSet;
use std::fmt;

use crate::mail::{Holder, ObjectId, Right, SmtpAddress};

/// One thing that a write changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// A grant of ours is taken away.
    Revoked(ObjectId, Right),
    /// A row that nobody declares is taken away from this store.
    Evicted(Holder, Right),
    Granted(ObjectId, Right),
    /// Full Access was taken away and given again with or without automapping.
    Remapped(ObjectId, bool),
    AutoMappingCleared,
    SignIn {
        allowed: bool,
    },
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
            (Self::Granted(id, right), Self::Evicted(Holder::ObjectId(other), same)) => {
                id == other && right == same
            }
            (Self::AddressAdded(address), Self::AddressRemoved(other))
            | (Self::AddressRemoved(address), Self::AddressAdded(other)) => address == other,
            (Self::Remapped(id, _), Self::Remapped(other, _)) => id == other,
            (Self::SignIn { .. }, Self::SignIn { .. })
            | (Self::Marker, Self::Marker)
            | (Self::DisplayName(_), Self::DisplayName(_))
            | (Self::Alias(_), Self::Alias(_))
            | (Self::Primary(_), Self::Primary(_)) => true,
            _ => false,
        }
    }

    /// The grant that it creates.
    pub fn granted(&self) -> Option<(ObjectId, Right)> {
        match self {
            Self::Granted(id, right) => Some((*id, *right)),
            Self::Revoked(..)
            | Self::Evicted(..)
            | Self::Remapped(..)
            | Self::AutoMappingCleared
            | Self::SignIn { .. }
            | Self::Marker
            | Self::DisplayName(_)
            | Self::Alias(_)
            | Self::Primary(_)
            | Self::AddressAdded(_)
            | Self::AddressRemoved(_) => None,
        }
    }

    /// The grant that it removes.
    pub fn removed(&self) -> Option<(Holder, Right)> {
        match self {
            Self::Revoked(id, right) => Some((Holder::ObjectId(*id), *right)),
            Self::Evicted(holder, right) => Some((holder.clone(), *right)),
            Self::Granted(..)
            | Self::Remapped(..)
            | Self::AutoMappingCleared
            | Self::SignIn { .. }
            | Self::Marker
            | Self::DisplayName(_)
            | Self::Alias(_)
            | Self::Primary(_)
            | Self::AddressAdded(_)
            | Self::AddressRemoved(_) => None,
        }
    }

    /// Whether it removes a grant.
    pub fn removes_a_grant(&self) -> bool {
        self.removed().is_some()
    }

    /// Whether it is made again although Exchange acknowledged it a moment ago: somebody may have opened the door since,
    /// which nothing but the account itself tells.
    pub(super) fn is_repeated(&self) -> bool {
        matches!(self, Self::SignIn { .. })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Marker => f.write_str("mark the mailbox as ours"),
            Self::SignIn { allowed: false } => f.write_str("block sign-in"),
            Self::SignIn { allowed: true } => f.write_str("allow sign-in"),
            Self::DisplayName(name) => write!(f, "set the display name to {name:?}"),
            Self::Alias(alias) => write!(f, "set the alias to {alias:?}"),
            Self::Primary(address) => write!(f, "make {address} the primary address"),
            Self::AddressAdded(address) => write!(f, "add the address {address}"),
            Self::AddressRemoved(address) => write!(f, "remove the address {address}"),
            Self::Granted(id, right) => write!(f, "grant {right} to {id}"),
            Self::Revoked(id, right) => write!(f, "revoke {right} of {id}"),
            Self::Evicted(holder, right) => write!(f, "remove {right} of {holder}"),
            Self::Remapped(id, true) => write!(f, "switch automapping on for {id}"),
            Self::Remapped(id, false) => write!(f, "switch automapping off for {id}"),
            Self::AutoMappingCleared => f.write_str("clear automapping for everybody"),
        }
    }
}

/// Changes that Exchange acknowledged so recently that a replica may not show them yet.
pub type Acknowledged = BTreeSet<Change>;
