//! Access control entries: Full Access and its kin on a mailbox, Send As on a recipient.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An access control entry on a mailbox.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessEntry {
    pub trustee: Uuid,
    /// The security identifier that the trustee had when the entry was created; entries are distinguished by it.
    pub sid: String,
    pub rights: BTreeSet<AccessRight>,
    pub deny: bool,
    pub standing: Standing,
    pub inheritance: String,
    /// The entry in `msExchDelegateListLink`: shown by no cmdlet, and never there for a group.
    pub auto_mapping: bool,
}

/// An access control entry for Send As.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SendAsEntry {
    pub trustee: Uuid,
    /// As in [`AccessEntry::sid`].
    pub sid: String,
    pub deny: bool,
    pub standing: Standing,
}

impl SendAsEntry {
    /// What Add-RecipientPermission makes.
    pub fn granted_to(trustee: Uuid, sid: String) -> Self {
        Self {
            trustee,
            sid,
            deny: false,
            standing: Standing::Explicit,
        }
    }
}

/// Where an entry comes from, and so what becomes of an attempt to remove it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// Granted here; lost when it is removed.
    #[default]
    Explicit,
    /// Comes down from the organisation; can't be removed here.
    Inherited,
    /// Removals are answered as if it weren't there, and it stays: what admins meet when a leftover
    /// security identifier is in the way.
    Undeletable,
}

/// Rights of Add-MailboxPermission, in the order in which Exchange prints them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AccessRight {
    FullAccess,
    ExternalAccount,
    DeleteItem,
    ReadPermission,
    ChangePermission,
    ChangeOwner,
}

impl AccessRight {
    pub const ALL: [Self; 6] = [
        Self::FullAccess,
        Self::ExternalAccount,
        Self::DeleteItem,
        Self::ReadPermission,
        Self::ChangePermission,
        Self::ChangeOwner,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::FullAccess => "FullAccess",
            Self::ExternalAccount => "ExternalAccount",
            Self::DeleteItem => "DeleteItem",
            Self::ReadPermission => "ReadPermission",
            Self::ChangePermission => "ChangePermission",
            Self::ChangeOwner => "ChangeOwner",
        }
    }
}
