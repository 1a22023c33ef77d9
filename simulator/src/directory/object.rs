//! One directory object: a person, a mailbox with its account, or a group.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::entry::{AccessEntry, SendAsEntry};
use super::kind::OutsideKind;
use crate::seed::GroupKind;

/// A user (with or without a mailbox), a contact or a group. Cloned on write; kept behind `Arc`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    /// Entra object id, in Exchange `ExternalDirectoryObjectId`.
    pub id: Uuid,
    /// Exchange's own `Guid`.
    pub guid: Uuid,
    /// Security identifier; survives renames.
    pub sid: String,
    /// The identifier of the account in another forest that signs in for it; entries carry this one then.
    pub master_sid: Option<String>,
    /// Identifiers that it had before a move between forests, say; entries created then still carry them.
    pub sid_history: Vec<String>,
    pub name: String,
    pub display_name: String,
    pub alias: Option<String>,
    pub upn: Option<String>,
    /// With prefix: `SMTP:` primary, `smtp:` further ones, `SPO:` added by the service.
    pub addresses: Vec<String>,
    pub group: Option<Group>,
    pub mailbox: Option<Mailbox>,
    /// Set for those whose mail goes to an address elsewhere.
    pub outside: Option<Outside>,
    /// Who may, or must not, send as this recipient, in the order in which they were added.
    pub send_as: Vec<SendAsEntry>,
    pub custom_attributes: BTreeMap<u8, String>,
    pub dir_synced: bool,
    /// What Exchange keeps of it is mastered in the cloud, although the object is not.
    pub cloud_managed: bool,
    pub licensed: bool,
    pub created: Timestamp,
    pub changed: Timestamp,
    pub soft_deleted: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    pub kind: GroupKind,
    /// Direct members; for a dynamic group those whom its filter happens to find.
    pub members: Vec<Uuid>,
    pub hidden_membership: bool,
}

/// A recipient without a mailbox in this tenant.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outside {
    pub kind: OutsideKind,
    /// Where the mail goes: `ExternalEmailAddress`, without prefix.
    pub address: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mailbox {
    pub exchange_guid: Uuid,
    #[serde(rename = "type")]
    pub kind: MailboxType,
    pub full_access: Vec<AccessEntry>,
    /// Trustees that may send on behalf.
    pub on_behalf: Vec<Uuid>,
    /// Settings that Set-Mailbox wrote, by the property name under which Get-Mailbox shows them.
    pub settings: BTreeMap<&'static str, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum MailboxType {
    #[serde(rename = "UserMailbox")]
    User,
    #[serde(rename = "SharedMailbox")]
    Shared,
    #[serde(rename = "RoomMailbox")]
    Room,
    #[serde(rename = "EquipmentMailbox")]
    Equipment,
}

impl MailboxType {
    /// The value of `RecipientTypeDetails`.
    pub fn details(self) -> &'static str {
        match self {
            Self::User => "UserMailbox",
            Self::Shared => "SharedMailbox",
            Self::Room => "RoomMailbox",
            Self::Equipment => "EquipmentMailbox",
        }
    }
}

impl Object {
    /// Addresses of type SMTP, without prefix.
    pub fn smtp_addresses(&self) -> impl Iterator<Item = &str> {
        self.addresses.iter().filter_map(|address| smtp_part(address))
    }

    pub fn primary_address(&self) -> Option<&str> {
        self.addresses
            .iter()
            .find_map(|address| address.strip_prefix("SMTP:"))
    }

    /// Whether `address` (no prefix) is one of the object's SMTP addresses.
    pub fn has_address(&self, address: &str) -> bool {
        self.smtp_addresses().any(|own| own.eq_ignore_ascii_case(address))
    }

    /// The mailbox's access control list; empty without a mailbox.
    pub fn full_access(&self) -> &[AccessEntry] {
        let entries = self
            .mailbox
            .as_ref()
            .map(|mailbox| mailbox.full_access.as_slice());
        entries.unwrap_or_default()
    }

    /// The identifier that new entries for it carry.
    pub fn entry_sid(&self) -> &str {
        self.master_sid.as_deref().unwrap_or(&self.sid)
    }

    pub fn is_live(&self) -> bool {
        self.soft_deleted.is_none()
    }

    /// Has an account, with or without a mailbox.
    pub fn is_user(&self) -> bool {
        self.group.is_none() && !self.is_outside(OutsideKind::Contact)
    }

    pub fn is_outside(&self, kind: OutsideKind) -> bool {
        self.outside.as_ref().is_some_and(|outside| outside.kind == kind)
    }

    /// Shown by Get-Recipient: mailboxes, mail users, contacts, and groups with a mail address.
    pub fn is_recipient(&self) -> bool {
        self.mailbox.is_some()
            || self.outside.is_some()
            || self.group.as_ref().is_some_and(|group| group.kind.has_mail())
    }

    /// Has a SID that an access control entry can name: accounts and security groups.
    pub fn is_security_principal(&self) -> bool {
        match &self.group {
            Some(group) => group.kind.is_security(),
            None => self.is_user(),
        }
    }

    /// Known to Entra; dynamic distribution groups and role groups are Exchange's own.
    pub fn is_in_entra(&self) -> bool {
        self.group
            .as_ref()
            .is_none_or(|group| !matches!(group.kind, GroupKind::Dynamic | GroupKind::Role))
    }

    pub fn recipient_type(&self) -> &'static str {
        match (&self.mailbox, &self.group, &self.outside) {
            (Some(_), _, _) => "UserMailbox",
            (None, Some(group), _) => group.kind.recipient_type(),
            (None, None, Some(outside)) => outside.kind.recipient_type(),
            (None, None, None) => "User",
        }
    }

    pub fn recipient_type_details(&self) -> &'static str {
        match (&self.mailbox, &self.group, &self.outside) {
            (Some(mailbox), _, _) => mailbox.kind.details(),
            (None, Some(group), _) => group.kind.recipient_type_details(),
            (None, None, Some(outside)) => outside.kind.recipient_type_details(),
            (None, None, None) => "User",
        }
    }

    /// Everything an `Identity` may be, in lower case.
    pub fn identities(&self) -> Vec<String> {
        let mut keys = vec![
            self.id.to_string(),
            self.guid.to_string(),
            self.name.to_lowercase(),
        ];
        keys.push(self.sid.to_lowercase());
        keys.extend(self.sid_history.iter().map(|sid| sid.to_lowercase()));
        keys.push(self.display_name.to_lowercase());
        keys.extend(self.alias.iter().map(|alias| alias.to_lowercase()));
        keys.extend(self.upn.iter().map(|upn| upn.to_lowercase()));
        keys.extend(
            self.mailbox
                .iter()
                .map(|mailbox| mailbox.exchange_guid.to_string()),
        );
        for address in &self.addresses {
            keys.push(address.to_lowercase());
            keys.extend(smtp_part(address).map(str::to_lowercase));
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Whether `identity` (lower case) names this object.
    pub fn answers_to(&self, identity: &str) -> bool {
        let same = |text: &str| text.to_lowercase() == identity;
        self.id.to_string() == identity
            || self.guid.to_string() == identity
            || self
                .mailbox
                .as_ref()
                .is_some_and(|mailbox| mailbox.exchange_guid.to_string() == identity)
            || same(&self.name)
            || same(&self.sid)
            || self.sid_history.iter().any(|sid| same(sid))
            || same(&self.display_name)
            || self.alias.as_deref().is_some_and(same)
            || self.upn.as_deref().is_some_and(same)
            || self
                .addresses
                .iter()
                .any(|address| same(address) || smtp_part(address).is_some_and(same))
    }

    /// Makes `address` primary; the former primary address stays as a further one.
    pub fn set_primary_address(&mut self, address: &str) {
        self.addresses
            .retain(|own| !smtp_part(own).is_some_and(|own| own.eq_ignore_ascii_case(address)));
        for own in &mut self.addresses {
            if let Some(former) = own.strip_prefix("SMTP:") {
                *own = format!("smtp:{former}");
            }
        }
        self.addresses.insert(0, format!("SMTP:{address}"));
    }
}

/// The address of an SMTP proxy address (`SMTP:` or `smtp:`).
pub fn smtp_part(proxy: &str) -> Option<&str> {
    let (prefix, address) = proxy.split_once(':')?;
    prefix.eq_ignore_ascii_case("smtp").then_some(address)
}
