//! Looking things up: domains, recipients of any kind, users, groups.

use serde_json::json;

use super::{ProxyAddress, addresses, all, answered_another, custom_attributes, exactly_one};
use crate::exchange::Gateway;
use crate::exchange::error::ExchangeError;
use crate::exchange::wire::{Cmdlet, Row, Unreadable};
use crate::lane::Lane;
use crate::mail::{Domain, MailboxGuid, MarkerOwner, ObjectId, OneTimeName, Sid, SmtpAddress};

/// Conditions in one filter: with addresses of full length it stays below 30 KiB.
const CONDITIONS_A_FILTER: usize = 80;

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

/// What a filtered look-up asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientQuery {
    /// Whatever carries the address, primary or not.
    Address(SmtpAddress),
    /// Whatever was created under the name.
    DisplayName(OneTimeName),
    /// Whatever carries a marker of the resource in the custom attribute of this number, 1 to 15.
    Marker(u8, MarkerOwner),
    /// The recipient of this account or group.
    ObjectId(ObjectId),
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

    fn as_parameter(&self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            Self::ObjectId(id) => id.to_string(),
            Self::Name(RecipientName(name)) => name.clone(),
        }
    }

    /// True when `row` can be the one asked for. A name is the service's to resolve.
    fn is_answered_by(&self, row: &RecipientRow) -> bool {
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
    fn of(details: &str) -> Self {
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

    /// Exchange's name of the kind, for messages.
    pub fn as_str(&self) -> &str {
        match self {
            Self::UserMailbox => "UserMailbox",
            Self::SharedMailbox => "SharedMailbox",
            Self::MailUser => "MailUser",
            Self::Guest => "GuestMailUser",
            Self::MailContact => "MailContact",
            Self::SecurityGroup => "MailUniversalSecurityGroup",
            Self::DistributionGroup => "MailUniversalDistributionGroup",
            Self::Microsoft365Group => "GroupMailbox",
            Self::OtherMailbox(other) | Self::Other(other) => other,
        }
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
    /// `SKUAssigned`: whether a licence is assigned; None when the row does not tell.
    pub licensed: Option<bool>,
    /// CustomAttribute1 to 15.
    pub custom_attributes: [String; 15],
}

const RECIPIENT_PROPERTIES: &[&str] = with_custom_attributes![
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
    fn read(row: Row<'_>) -> Result<Self, Unreadable> {
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

const USER_PROPERTIES: &[&str] = &[
    "ExternalDirectoryObjectId",
    "UserPrincipalName",
    "DisplayName",
    "RecipientTypeDetails",
    "Sid",
    "WindowsEmailAddress",
];

impl UserRow {
    fn read(row: Row<'_>) -> Result<Self, Unreadable> {
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
    /// False for groups that Exchange takes no permissions for.
    pub fn is_mail_enabled(&self) -> bool {
        self.kind.starts_with("Mail") || self.kind == "GroupMailbox"
    }
}

const GROUP_PROPERTIES: &[&str] = &[
    "ExternalDirectoryObjectId",
    "Name",
    "DisplayName",
    "WindowsEmailAddress",
    "RecipientTypeDetails",
    "Sid",
];

impl GroupRow {
    fn read(row: Row<'_>) -> Result<Self, Unreadable> {
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

/// A value in an OPATH filter: in single quotes, inner ones doubled.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl RecipientQuery {
    fn as_condition(&self) -> String {
        match self {
            Self::Address(address) => format!("EmailAddresses -eq {}", quoted(&format!("smtp:{address}"))),
            Self::ObjectId(id) => format!("ExternalDirectoryObjectId -eq {}", quoted(&id.to_string())),
            Self::DisplayName(name) => format!("DisplayName -eq {}", quoted(name.as_str())),
            // Neither cluster ids nor names in Kubernetes have a character that means something in a pattern.
            Self::Marker(attribute, owner) => {
                let pattern = format!("{}*", owner.start_of_marker());
                format!("CustomAttribute{attribute} -like {}", quoted(&pattern))
            }
        }
    }
}

fn with_sids(sids: &[Sid]) -> Vec<String> {
    sids.iter()
        .map(|sid| format!("Sid -eq {}", quoted(sid.as_str())))
        .collect()
}

fn any_of(conditions: &[String]) -> String {
    match conditions {
        [one] => one.clone(),
        many => many
            .iter()
            .map(|condition| format!("({condition})"))
            .collect::<Vec<_>>()
            .join(" -or "),
    }
}

impl Gateway {
    /// The tenant's mail domains. A name that is no mail domain (`*`) is left out.
    pub async fn accepted_domains(&self, lane: Lane) -> Result<Vec<AcceptedDomain>, ExchangeError> {
        const NAME: &str = "Get-AcceptedDomain";
        let cmdlet = Cmdlet::read(NAME, &["DomainName", "InitialDomain", "Default", "DomainType"])
            .with("ResultSize", "Unlimited");
        let answer = self.list(lane, cmdlet).await?;
        let domains = all(NAME, &answer, |row| {
            let name: String = row.required("DomainName")?;
            let (initial, default) = (row.flag("InitialDomain")?, row.flag("Default")?);
            let kind = row.text("DomainType")?;
            Ok(name.parse().ok().map(|name| AcceptedDomain {
                name,
                initial,
                default,
                kind,
            }))
        })?;
        Ok(domains.into_iter().flatten().collect())
    }

    /// Every recipient of any kind, soft-deleted ones too, that answers at least one query.
    ///
    /// One Get-Recipient for up to 80 queries. No queries, no call. Accounts without a mailbox and groups without
    /// mail are no recipients: see [`Self::find_users_by_upn`] and [`Self::groups_with_address`].
    pub async fn find_recipients(
        &self,
        lane: Lane,
        queries: &[RecipientQuery],
    ) -> Result<Vec<RecipientRow>, ExchangeError> {
        const NAME: &str = "Get-Recipient";
        let conditions: Vec<String> = queries.iter().map(RecipientQuery::as_condition).collect();
        self.filtered(lane, NAME, &conditions, RecipientRow::read, |filter| {
            Cmdlet::read(NAME, RECIPIENT_PROPERTIES)
                .with("Filter", filter)
                .with("IncludeSoftDeletedRecipients", true)
        })
        .await
    }

    /// The accounts with these sign-in names, with or without a mailbox.
    pub async fn find_users_by_upn(
        &self,
        lane: Lane,
        upns: &[SmtpAddress],
    ) -> Result<Vec<UserRow>, ExchangeError> {
        const NAME: &str = "Get-User";
        let conditions: Vec<String> = upns
            .iter()
            .map(|upn| format!("UserPrincipalName -eq {}", quoted(upn.as_str())))
            .collect();
        self.filtered(lane, NAME, &conditions, UserRow::read, |filter| {
            Cmdlet::read(NAME, USER_PROPERTIES).with("Filter", filter)
        })
        .await
    }

    /// The accounts with these sign-in names or primary addresses.
    pub async fn find_users_by_address(
        &self,
        lane: Lane,
        addresses: &[SmtpAddress],
    ) -> Result<Vec<UserRow>, ExchangeError> {
        const NAME: &str = "Get-User";
        let conditions: Vec<String> = addresses
            .iter()
            .map(|address| quoted(address.as_str()))
            .flat_map(|text| {
                [
                    format!("UserPrincipalName -eq {text}"),
                    format!("WindowsEmailAddress -eq {text}"),
                ]
            })
            .collect();
        self.filtered(lane, NAME, &conditions, UserRow::read, |filter| {
            Cmdlet::read(NAME, USER_PROPERTIES).with("Filter", filter)
        })
        .await
    }

    /// The accounts with these ids.
    pub async fn find_users_by_id(
        &self,
        lane: Lane,
        ids: &[ObjectId],
    ) -> Result<Vec<UserRow>, ExchangeError> {
        const NAME: &str = "Get-User";
        let conditions: Vec<String> = ids
            .iter()
            .map(|id| format!("ExternalDirectoryObjectId -eq {}", quoted(&id.to_string())))
            .collect();
        self.filtered(lane, NAME, &conditions, UserRow::read, |filter| {
            Cmdlet::read(NAME, USER_PROPERTIES).with("Filter", filter)
        })
        .await
    }

    /// The accounts with these SIDs.
    pub async fn find_users_by_sid(&self, lane: Lane, sids: &[Sid]) -> Result<Vec<UserRow>, ExchangeError> {
        const NAME: &str = "Get-User";
        self.filtered(lane, NAME, &with_sids(sids), UserRow::read, |filter| {
            Cmdlet::read(NAME, USER_PROPERTIES).with("Filter", filter)
        })
        .await
    }

    /// The groups with these SIDs, with or without mail.
    pub async fn find_groups_by_sid(&self, lane: Lane, sids: &[Sid]) -> Result<Vec<GroupRow>, ExchangeError> {
        const NAME: &str = "Get-Group";
        self.filtered(lane, NAME, &with_sids(sids), GroupRow::read, |filter| {
            Cmdlet::read(NAME, GROUP_PROPERTIES).with("Filter", filter)
        })
        .await
    }

    /// The groups that somebody who wrote the address may mean: those at the address, and those named like its
    /// local part, for a group without mail has no address at all.
    ///
    /// Only good for saying why a group can't be a member ([`GroupRow::is_mail_enabled`]); the group that an address
    /// belongs to is [`Self::recipient`]'s to tell.
    pub async fn groups_with_address(
        &self,
        lane: Lane,
        address: &SmtpAddress,
    ) -> Result<Vec<GroupRow>, ExchangeError> {
        const NAME: &str = "Get-Group";
        let name = quoted(address.local_part());
        let conditions = [
            format!("WindowsEmailAddress -eq {}", quoted(address.as_str())),
            format!("Name -eq {name}"),
            format!("DisplayName -eq {name}"),
        ];
        self.filtered(lane, NAME, &conditions, GroupRow::read, |filter| {
            Cmdlet::read(NAME, GROUP_PROPERTIES).with("Filter", filter)
        })
        .await
    }

    /// One recipient. Exactly one row that is the one asked for, or an error: `NotFound` for none, `Invalid` for
    /// several, `Transient` for another one.
    pub async fn recipient(
        &self,
        lane: Lane,
        identity: &RecipientIdentity,
    ) -> Result<RecipientRow, ExchangeError> {
        const NAME: &str = "Get-Recipient";
        let cmdlet = Cmdlet::read(NAME, RECIPIENT_PROPERTIES).with("Identity", identity.as_parameter());
        let answer = self.call(lane, cmdlet).await?;
        let row = exactly_one(NAME, all(NAME, &answer, RecipientRow::read)?)?;
        if identity.is_answered_by(&row) {
            Ok(row)
        } else {
            Err(answered_another(NAME, "recipient"))
        }
    }

    /// The account with this sign-in name.
    pub async fn user(&self, lane: Lane, upn: &SmtpAddress) -> Result<UserRow, ExchangeError> {
        const NAME: &str = "Get-User";
        let cmdlet = Cmdlet::read(NAME, USER_PROPERTIES).with("Identity", upn.as_str());
        let answer = self.call(lane, cmdlet).await?;
        let row = exactly_one(NAME, all(NAME, &answer, UserRow::read)?)?;
        if row.user_principal_name.eq_ignore_ascii_case(upn.as_str()) {
            Ok(row)
        } else {
            Err(answered_another(NAME, "user"))
        }
    }

    async fn filtered<T>(
        &self,
        lane: Lane,
        name: &str,
        conditions: &[String],
        read: impl Fn(Row<'_>) -> Result<T, Unreadable> + Copy,
        cmdlet: impl Fn(String) -> Cmdlet,
    ) -> Result<Vec<T>, ExchangeError> {
        let calls = conditions.chunks(CONDITIONS_A_FILTER).map(|part| {
            let cmdlet = cmdlet(any_of(part)).with("ResultSize", json!("Unlimited"));
            self.list(lane, cmdlet)
        });
        let mut rows = Vec::new();
        for answer in futures::future::try_join_all(calls).await? {
            rows.extend(all(name, &answer, read)?);
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests;
