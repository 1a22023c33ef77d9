//! What look-ups ask for and what they answer: domains, recipients, accounts, groups.

use std::borrow::Cow;

use crate::exchange::cmdlets::answer::{ProxyAddress, addresses, custom_attributes};
use crate::exchange::wire::{Row, Unreadable};
use crate::mail::{Domain, MailboxGuid, ObjectId, Sid, SmtpAddress};

/// A mail domain that the tenant accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedDomain {
    pub name: Domain,
    /// The `….onmicrosoft.com` domain that the tenant began with.
    pub initial: bool,
    pub default: bool,
    /// `DomainType`: Authoritative, InternalRelay, ….
    pub kind: String,
}

/// A recipient's name as Exchange itself wrote it, in GrantSendOnBehalfTo for example. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecipientName(String);

/// One recipient to look up. An identity is never empty: Exchange answers an empty one with all objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientIdentity {
    Address(SmtpAddress),
    ObjectId(ObjectId),
    Name(RecipientName),
}

impl RecipientIdentity {
    /// What a property such as GrantSendOnBehalfTo names: an object id for newer objects, a name for older
    /// ones. None when `text` is blank.
    pub fn read_back(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        Some(match text.parse() {
            Ok(id) => Self::ObjectId(id),
            Err(_) => Self::Name(RecipientName(text.to_owned())),
        })
    }

    pub fn as_parameter(&self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            Self::ObjectId(id) => id.to_string(),
            Self::Name(RecipientName(name)) => name.clone(),
        }
    }

    /// True when `row` can be the one asked for. A name is the service's to resolve.
    pub fn is_answered_by(&self, row: &RecipientRow) -> bool {
        match self {
            Self::Address(address) => {
                row.has_address(address)
                    || row
                        .user_principal_name
                        .as_deref()
                        .is_some_and(|upn| upn.eq_ignore_ascii_case(address.as_str()))
            }
            Self::ObjectId(id) => row.object_id == Some(*id),
            Self::Name(_) => true,
        }
    }
}

/// `RecipientTypeDetails`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientKind {
    UserMailbox,
    SharedMailbox,
    /// Rooms, equipment, linked, discovery, … under Exchange's own name.
    OtherMailbox(String),
    MailUser,
    /// Somebody of another organisation.
    Guest,
    MailContact,
    /// A mail-enabled security group: the one kind of group that permissions work for.
    SecurityGroup,
    DistributionGroup,
    Microsoft365Group,
    Other(String),
}

impl RecipientKind {
    pub fn of(details: &str) -> Self {
        match details {
            "UserMailbox" => Self::UserMailbox,
            "SharedMailbox" => Self::SharedMailbox,
            "MailUser" => Self::MailUser,
            "GuestMailUser" => Self::Guest,
            "MailContact" => Self::MailContact,
            "MailUniversalSecurityGroup" => Self::SecurityGroup,
            "MailUniversalDistributionGroup"
            | "MailNonUniversalGroup"
            | "DynamicDistributionGroup"
            | "RoomList" => Self::DistributionGroup,
            // Microsoft 365 groups are mailboxes by name only.
            "GroupMailbox" => Self::Microsoft365Group,
            other if other.ends_with("Mailbox") => Self::OtherMailbox(other.to_owned()),
            other => Self::Other(other.to_owned()),
        }
    }

    /// With an article, for messages.
    pub fn in_words(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::UserMailbox => "a person's mailbox",
            Self::SharedMailbox => "a shared mailbox",
            Self::MailUser => "a mail user",
            Self::Guest => "a guest",
            Self::MailContact => "a mail contact",
            Self::SecurityGroup => "a mail-enabled security group",
            Self::DistributionGroup => "a distribution group",
            Self::Microsoft365Group => "a Microsoft 365 group",
            Self::OtherMailbox(details) => return Cow::Owned(format!("a mailbox of type {details}")),
            Self::Other(details) => return Cow::Owned(format!("a recipient of type {details}")),
        })
    }
}

/// A row of Get-Recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientRow {
    /// `ExchangeGuid`; None where there is no mailbox.
    pub guid: Option<MailboxGuid>,
    pub object_id: Option<ObjectId>,
    pub name: String,
    pub display_name: String,
    /// `WindowsLiveID`; None for groups and contacts.
    pub user_principal_name: Option<String>,
    pub primary: Option<SmtpAddress>,
    pub addresses: Vec<ProxyAddress>,
    pub kind: RecipientKind,
    pub soft_deleted: bool,
    /// `SKUAssigned`: whether a licence is assigned; None when the row does not say.
    pub licensed: Option<bool>,
    /// CustomAttribute1 to 15.
    pub custom_attributes: [String; 15],
}

pub const RECIPIENT_PROPERTIES: &[&str] = with_custom_attributes![
    "ExchangeGuid",
    "ExternalDirectoryObjectId",
    "Name",
    "DisplayName",
    "WindowsLiveID",
    "PrimarySmtpAddress",
    "EmailAddresses",
    "RecipientTypeDetails",
    "WhenSoftDeleted",
    "SKUAssigned",
];

impl RecipientRow {
    pub fn read(row: Row<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            guid: row.optional("ExchangeGuid"),
            object_id: row.optional("ExternalDirectoryObjectId"),
            name: row.text("Name")?,
            display_name: row.text("DisplayName")?,
            user_principal_name: row.optional_text("WindowsLiveID").map(str::to_owned),
            primary: row.optional("PrimarySmtpAddress"),
            addresses: addresses(row)?,
            kind: RecipientKind::of(&row.required::<String>("RecipientTypeDetails")?),
            soft_deleted: row.optional_text("WhenSoftDeleted").is_some(),
            licensed: row.optional_flag("SKUAssigned"),
            custom_attributes: custom_attributes(row)?,
        })
    }

    /// True when the address is the primary one or an alias.
    pub fn has_address(&self, address: &SmtpAddress) -> bool {
        self.primary.as_ref() == Some(address)
            || self
                .addresses
                .iter()
                .any(|entry| entry.smtp().as_ref() == Some(address))
    }

    /// CustomAttribute`number`, 1 to 15; empty for any other number.
    pub fn custom_attribute(&self, number: u8) -> &str {
        usize::from(number)
            .checked_sub(1)
            .and_then(|at| self.custom_attributes.get(at))
            .map_or("", String::as_str)
    }
}

/// A row of Get-User: an account, with or without a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    pub object_id: Option<ObjectId>,
    pub user_principal_name: String,
    pub display_name: String,
    /// `RecipientTypeDetails`: `User`, `UserMailbox`, `DisabledUser`, ….
    pub kind: String,
    pub sid: Option<Sid>,
    /// `WindowsEmailAddress`.
    pub address: Option<SmtpAddress>,
}

pub const USER_PROPERTIES: &[&str] = &[
    "ExternalDirectoryObjectId",
    "UserPrincipalName",
    "DisplayName",
    "RecipientTypeDetails",
    "Sid",
    "WindowsEmailAddress",
];

impl UserRow {
    /// True when it is the account's sign-in name.
    pub fn signs_in_as(&self, address: &SmtpAddress) -> bool {
        self.user_principal_name.eq_ignore_ascii_case(address.as_str())
    }

    pub fn read(row: Row<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            object_id: row.optional("ExternalDirectoryObjectId"),
            user_principal_name: row.required("UserPrincipalName")?,
            display_name: row.text("DisplayName")?,
            kind: row.text("RecipientTypeDetails")?,
            sid: row.optional("Sid"),
            address: row.optional("WindowsEmailAddress"),
        })
    }
}

/// A row of Get-Group: a security or distribution group, with or without mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    pub object_id: Option<ObjectId>,
    pub name: String,
    pub display_name: String,
    /// `WindowsEmailAddress`.
    pub address: Option<SmtpAddress>,
    /// `RecipientTypeDetails`: `UniversalSecurityGroup` is one without mail.
    pub kind: String,
    pub sid: Option<Sid>,
}

impl GroupRow {
    /// A group of Exchange's own, by which it gives roles: no member of an organisation's directory.
    pub fn is_role_group(&self) -> bool {
        self.kind == "RoleGroup"
    }

    /// False for groups that Exchange takes no permissions for.
    pub fn is_mail_enabled(&self) -> bool {
        self.kind.starts_with("Mail") || self.kind == "GroupMailbox"
    }
}

pub const GROUP_PROPERTIES: &[&str] = &[
    "ExternalDirectoryObjectId",
    "Name",
    "DisplayName",
    "WindowsEmailAddress",
    "RecipientTypeDetails",
    "Sid",
];

impl GroupRow {
    pub fn read(row: Row<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            object_id: row.optional("ExternalDirectoryObjectId"),
            name: row.text("Name")?,
            display_name: row.text("DisplayName")?,
            address: row.optional("WindowsEmailAddress"),
            kind: row.required("RecipientTypeDetails")?,
            sid: row.optional("Sid"),
        })
    }
}
