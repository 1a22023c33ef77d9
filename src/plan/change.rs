//! Elementary changes.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value as Json;

use crate::api::SignInControl;
use crate::mail::{Holder, ObjectId, Right, Sid, SmtpAddress};
use crate::setting::{Property, Value};

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
    /// The account behind the mailbox can, or can't, be signed in to.
    SignIn {
        allowed: bool,
        /// The API that is asked for it.
        through: SignInControl,
    },
    /// The sessions of the account behind the mailbox were revoked.
    SignedOut,
    Marker {
        /// 1 to 15: the number of the custom attribute.
        attribute: u8,
        text: String,
    },
    Primary(SmtpAddress),
    AddressAdded(SmtpAddress),
    AddressRemoved(SmtpAddress),
    /// One property of a family of settings.
    Set {
        family: &'static str,
        property: Property,
        to: Value,
    },
}

/// What a change is about: two changes about the same can't both hold.
#[derive(PartialEq)]
enum Subject<'a> {
    Grant(ObjectId, Right),
    Row(&'a Sid, Right),
    AutoMapping(ObjectId),
    AutoMappingOfAll,
    SignIn,
    Sessions,
    Marker,
    Primary,
    Address(&'a SmtpAddress),
    Setting(&'static str, Property),
}

/// To whom a change does what. Most questions about changes are answered by it, so that a new change has its place once.
#[derive(Clone, Copy, Debug)]
pub enum ChangeKind<'a> {
    Gives(&'a ObjectId, Right),
    /// What was ours is taken away.
    TakesBack(&'a ObjectId, Right),
    /// What nobody declares is taken away.
    Evicts(&'a Holder, Right),
    Remaps(&'a ObjectId),
    RemapsEverybody,
    Sets(&'static str, &'a Property, &'a Value),
    /// It is about the mailbox itself.
    Other,
}

impl Change {
    /// Whether `earlier` holds no longer once this change is executed.
    pub fn supersedes(&self, earlier: &Self) -> bool {
        self.subject() == earlier.subject()
    }

    fn subject(&self) -> Subject<'_> {
        match self {
            Self::Granted(id, right)
            | Self::Revoked(id, right)
            | Self::Evicted(Holder::ObjectId(id), right) => Subject::Grant(*id, *right),
            Self::Evicted(Holder::Sid(sid), right) => Subject::Row(sid, *right),
            Self::Remapped(id, _) => Subject::AutoMapping(*id),
            Self::AutoMappingCleared => Subject::AutoMappingOfAll,
            Self::SignIn { .. } => Subject::SignIn,
            Self::SignedOut => Subject::Sessions,
            Self::Marker { .. } => Subject::Marker,
            Self::Primary(_) => Subject::Primary,
            Self::AddressAdded(address) | Self::AddressRemoved(address) => Subject::Address(address),
            Self::Set {
                family,
                property,
                to: _,
            } => Subject::Setting(family, *property),
        }
    }

    /// What is refused, contested and counted together: a path of the manifest where there is one.
    pub fn family(&self) -> &'static str {
        match self {
            Self::Marker { .. } => "marker",
            Self::SignIn { .. } | Self::SignedOut => "signIn",
            Self::Primary(_) => "emailAddress",
            Self::AddressAdded(_) | Self::AddressRemoved(_) => "aliases",
            Self::Granted(..) | Self::Remapped(..) | Self::AutoMappingCleared => "grants",
            Self::Revoked(..) | Self::Evicted(..) => "revocations",
            Self::Set { family, .. } => family,
        }
    }

    /// The family of settings that it is about.
    pub fn setting(&self) -> Option<&'static str> {
        self.as_setting().map(|(family, ..)| family)
    }

    /// The parameter of a setting.
    pub fn parameter(&self) -> Option<&'static str> {
        self.as_setting().map(|(_, property, _)| property.parameter)
    }

    /// The texts that a setting is written with, by which Exchange may say that it does not find something.
    pub fn setting_texts(&self) -> Vec<String> {
        let written = self
            .as_setting()
            .and_then(|(_, property, to)| property.kind.write(to));
        let items = match written {
            Some(Json::Array(items)) => items,
            one => one.into_iter().collect(),
        };
        let texts = items.into_iter().filter_map(|item| match item {
            Json::String(text) => Some(text),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => None,
        });
        texts.filter(|text| !text.is_empty()).collect()
    }

    /// Whether it is sent with another change and can't be read: nothing is lost without it.
    pub fn only_goes_along(&self) -> bool {
        self.as_setting()
            .is_some_and(|(_, property, _)| property.shown_as.is_none())
    }

    /// The value that a setting is to have.
    pub fn setting_value(&self) -> Option<&Value> {
        self.as_setting().map(|(.., to)| to)
    }

    fn as_setting(&self) -> Option<(&'static str, &Property, &Value)> {
        if let ChangeKind::Sets(family, property, to) = self.kind() {
            Some((family, property, to))
        } else {
            None
        }
    }

    /// Who is given or loses something by it.
    pub fn delegate(&self) -> Option<&ObjectId> {
        if let ChangeKind::Gives(id, _) | ChangeKind::TakesBack(id, _) | ChangeKind::Remaps(id) = self.kind()
        {
            Some(id)
        } else {
            None
        }
    }

    /// The grant that it creates.
    pub fn granted(&self) -> Option<(ObjectId, Right)> {
        if let ChangeKind::Gives(id, right) = self.kind() {
            Some((*id, right))
        } else {
            None
        }
    }

    /// The grant that it removes.
    pub fn removed(&self) -> Option<(Holder, Right)> {
        match self.kind() {
            ChangeKind::TakesBack(id, right) => Some((Holder::ObjectId(*id), right)),
            ChangeKind::Evicts(holder, right) => Some((holder.clone(), right)),
            ChangeKind::Gives(..)
            | ChangeKind::Remaps(_)
            | ChangeKind::RemapsEverybody
            | ChangeKind::Sets(..)
            | ChangeKind::Other => None,
        }
    }

    /// Whether it is about what people hold, and not about the mailbox itself.
    pub fn is_about_grants(&self) -> bool {
        match self.kind() {
            ChangeKind::Gives(..)
            | ChangeKind::TakesBack(..)
            | ChangeKind::Evicts(..)
            | ChangeKind::Remaps(_)
            | ChangeKind::RemapsEverybody => true,
            ChangeKind::Sets(..) | ChangeKind::Other => false,
        }
    }

    /// The right that its holder has afterwards, and may not have had before.
    pub fn given(&self) -> Option<(ObjectId, Right)> {
        match self.kind() {
            ChangeKind::Gives(id, right) => Some((*id, right)),
            // They hold it, or are about to hold it again.
            ChangeKind::Remaps(id) => Some((*id, Right::FullAccess)),
            ChangeKind::TakesBack(..)
            | ChangeKind::Evicts(..)
            | ChangeKind::RemapsEverybody
            | ChangeKind::Sets(..)
            | ChangeKind::Other => None,
        }
    }

    pub fn kind(&self) -> ChangeKind<'_> {
        match self {
            Self::Granted(id, right) => ChangeKind::Gives(id, *right),
            Self::Revoked(id, right) => ChangeKind::TakesBack(id, *right),
            Self::Evicted(holder, right) => ChangeKind::Evicts(holder, *right),
            Self::Remapped(id, _) => ChangeKind::Remaps(id),
            Self::Set { family, property, to } => ChangeKind::Sets(family, property, to),
            Self::AutoMappingCleared => ChangeKind::RemapsEverybody,
            Self::SignIn { .. }
            | Self::SignedOut
            | Self::Marker { .. }
            | Self::Primary(_)
            | Self::AddressAdded(_)
            | Self::AddressRemoved(_) => ChangeKind::Other,
        }
    }

    pub fn is_marker(&self) -> bool {
        matches!(self, Self::Marker { .. })
    }

    /// Whether it says of a mailbox that was just created whose it is, and how it is called.
    pub fn names_a_new_mailbox(&self) -> bool {
        self.is_marker() || matches!(self, Self::Set { family, .. } if *family == "displayName")
    }

    /// Whether it removes a grant.
    pub fn removes_a_grant(&self) -> bool {
        self.removed().is_some()
    }

    /// Whether it takes away that the account can be signed in to, or what somebody has of that.
    pub fn closes_sign_in(&self) -> bool {
        matches!(self, Self::SignIn { allowed: false, .. } | Self::SignedOut)
    }

    /// Whether it is sent again although Exchange acknowledged it a moment ago: somebody may have opened the door since,
    /// which nothing but the account itself shows.
    pub(super) fn is_repeated(&self) -> bool {
        matches!(self, Self::SignIn { .. } | Self::SignedOut)
    }

    /// Whether two changes are repaired by turns: of a setting its whole family, of everything else the same change.
    pub fn is_contested_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Set { family: one, .. }, Self::Set { family: other, .. }) => one == other,
            (one, other) => one == other,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Marker { text, .. } if text.is_empty() => f.write_str("take the marker away"),
            Self::Marker { .. } => f.write_str("mark the mailbox as ours"),
            Self::SignIn { allowed: false, .. } => f.write_str("block sign-in"),
            Self::SignIn { allowed: true, .. } => f.write_str("allow sign-in"),
            Self::SignedOut => f.write_str("revoke its sessions"),
            Self::Primary(address) => write!(f, "make {address} the primary address"),
            Self::AddressAdded(address) => write!(f, "add the address {address}"),
            Self::AddressRemoved(address) => write!(f, "remove the address {address}"),
            Self::Granted(id, right) => write!(f, "grant {right} to {id}"),
            Self::Revoked(id, right) => write!(f, "revoke {right} of {id}"),
            Self::Evicted(holder, right) => write!(f, "remove {right} of {holder}"),
            Self::Remapped(id, true) => write!(f, "switch automapping on for {id}"),
            Self::Remapped(id, false) => write!(f, "switch automapping off for {id}"),
            Self::AutoMappingCleared => f.write_str("clear automapping for everybody"),
            Self::Set { property, to, .. } => {
                write!(f, "set {} to {}", property.field, property.kind.words(to))
            }
        }
    }
}

/// Changes that Exchange acknowledged so recently that a replica may not show them yet.
pub type Acknowledged = BTreeSet<Change>;
