//! Looking things up: domains, recipients of any kind, users, groups.

use serde_json::json;

use super::{ProxyAddress, addresses, all, answered_another, custom_attributes, exactly_one};
use crate::exchange::Gateway;
use crate::exchange::error::ExchangeError;
use crate::exchange::wire::{Cmdlet, Row, Unreadable};
use crate::lane::Lane;
use crate::mail::{Domain, MailboxGuid, ObjectId, OneTimeName, Sid, SmtpAddress};

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
            "MailUser" | "GuestMailUser" => Self::MailUser,
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
}

const USER_PROPERTIES: &[&str] = &[
    "ExternalDirectoryObjectId",
    "UserPrincipalName",
    "DisplayName",
    "RecipientTypeDetails",
    "Sid",
];

impl UserRow {
    fn read(row: Row<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            object_id: row.optional("ExternalDirectoryObjectId"),
            user_principal_name: row.required("UserPrincipalName")?,
            display_name: row.text("DisplayName")?,
            kind: row.text("RecipientTypeDetails")?,
            sid: row.optional("Sid"),
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
            Self::DisplayName(name) => format!("DisplayName -eq {}", quoted(name.as_str())),
        }
    }
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

    /// The groups at an address, those included that are no recipients (plain security groups).
    pub async fn groups_with_address(
        &self,
        lane: Lane,
        address: &SmtpAddress,
    ) -> Result<Vec<GroupRow>, ExchangeError> {
        const NAME: &str = "Get-Group";
        let condition = format!("WindowsEmailAddress -eq {}", quoted(address.as_str()));
        self.filtered(lane, NAME, &[condition], GroupRow::read, |filter| {
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
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::exchange::cmdlets::CUSTOM_ATTRIBUTES;
    use crate::exchange::error::ErrorClass;
    use crate::exchange::testing::{Call, Reaction, Tenant};

    const GUID: &str = "0a0a0a0a-1111-2222-3333-444444444444";
    const OBJECT: &str = "66666666-7777-8888-9999-aaaaaaaaaaaa";
    const NIL: &str = "00000000-0000-0000-0000-000000000000";

    fn address(text: &str) -> SmtpAddress {
        text.parse().unwrap()
    }

    fn row(kind: &str) -> Value {
        let mut row = json!({
            "ExchangeGuid": GUID, "ExternalDirectoryObjectId": OBJECT, "Name": OBJECT, "DisplayName": "First Member",
            "WindowsLiveID": "f.member@contoso.com", "PrimarySmtpAddress": "first.member@contoso.com",
            "EmailAddresses": ["SMTP:first.member@contoso.com", "smtp:fm@contoso.com"],
            "RecipientTypeDetails": kind, "WhenSoftDeleted": null,
        });
        for name in CUSTOM_ATTRIBUTES {
            row[*name] = json!("");
        }
        row
    }

    fn answering(rows: Value) -> Tenant {
        Tenant::new(move |call: &Call| {
            if call.name == "token" {
                Tenant::default_reaction(call)
            } else {
                Reaction::rows(&rows)
            }
        })
    }

    fn sent(tenant: &Tenant) -> (String, Value) {
        let call = tenant.requests()[0].calls[0].clone();
        (call.name, call.parameters)
    }

    async fn look_up(rows: Value, identity: RecipientIdentity) -> Result<RecipientRow, ExchangeError> {
        answering(rows).gateway().recipient(Lane::Edit, &identity).await
    }

    #[tokio::test(start_paused = true)]
    async fn several_claims_are_one_filter_that_sees_soft_deleted_recipients() {
        let mut deleted = row("SharedMailbox");
        deleted["WhenSoftDeleted"] = json!("2026-11-01T08:00:00+00:00");
        let tenant = answering(json!([row("UserMailbox"), deleted]));
        let name = OneTimeName::from_random_bits(1);
        let queries = [
            RecipientQuery::Address(address("sales@contoso.com")),
            RecipientQuery::DisplayName(name.clone()),
        ];
        let rows = tenant
            .gateway()
            .find_recipients(Lane::Edit, &queries)
            .await
            .unwrap();
        assert!(!rows[0].soft_deleted && rows[1].soft_deleted);
        assert_eq!(
            rows[0].user_principal_name.as_deref(),
            Some("f.member@contoso.com")
        );
        let filter = format!("(EmailAddresses -eq 'smtp:sales@contoso.com') -or (DisplayName -eq '{name}')");
        let expected =
            json!({"Filter": filter, "IncludeSoftDeletedRecipients": true, "ResultSize": "Unlimited"});
        assert_eq!(sent(&tenant), ("Get-Recipient".to_owned(), expected));
    }

    #[tokio::test(start_paused = true)]
    async fn a_recipient_asked_for_by_address_carries_it_or_signs_in_with_it() {
        for asked in [
            "first.member@contoso.com",
            "fm@contoso.com",
            "f.member@contoso.com",
        ] {
            let found = look_up(
                json!([row("UserMailbox")]),
                RecipientIdentity::Address(address(asked)),
            )
            .await
            .unwrap();
            assert_eq!(found.object_id.unwrap().to_string(), OBJECT, "{asked}");
        }
        let other = look_up(
            json!([row("UserMailbox")]),
            RecipientIdentity::Address(address("x@contoso.com")),
        )
        .await;
        assert_eq!(other.unwrap_err().class, ErrorClass::Transient);
    }

    #[tokio::test(start_paused = true)]
    async fn no_row_and_several_rows_are_told_apart() {
        let asked = || RecipientIdentity::Address(address("fm@contoso.com"));
        assert_eq!(
            look_up(json!([]), asked()).await.unwrap_err().class,
            ErrorClass::NotFound
        );
        let two = look_up(json!([row("UserMailbox"), row("MailUser")]), asked())
            .await
            .unwrap_err();
        assert_eq!(two.class, ErrorClass::Invalid);
        assert!(two.message.contains("2 objects"), "{two}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_exchange_wrote_is_looked_up_as_id_or_name() {
        assert_eq!(RecipientIdentity::read_back("  "), None);
        assert_eq!(
            RecipientIdentity::read_back(OBJECT),
            Some(RecipientIdentity::ObjectId(OBJECT.parse().unwrap()))
        );
        let name = RecipientIdentity::read_back("Old Name").unwrap();
        assert_eq!(
            look_up(json!([row("UserMailbox")]), name)
                .await
                .unwrap()
                .display_name,
            "First Member"
        );
        let wrong_id = RecipientIdentity::read_back(GUID).unwrap();
        assert_eq!(
            look_up(json!([row("UserMailbox")]), wrong_id)
                .await
                .unwrap_err()
                .class,
            ErrorClass::Transient
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_has_no_mailbox_guid_and_no_sign_in_name() {
        let mut group = row("MailUniversalSecurityGroup");
        group["ExchangeGuid"] = json!(NIL);
        group["WindowsLiveID"] = json!("");
        let found = look_up(
            json!([group]),
            RecipientIdentity::Address(address("fm@contoso.com")),
        )
        .await
        .unwrap();
        assert_eq!(
            (found.guid, found.user_principal_name, found.kind),
            (None, None, RecipientKind::SecurityGroup)
        );
    }

    #[test]
    fn kinds_keep_exchanges_names() {
        for name in [
            "UserMailbox",
            "SharedMailbox",
            "RoomMailbox",
            "MailUser",
            "MailContact",
            "MailUniversalSecurityGroup",
            "MailUniversalDistributionGroup",
            "GroupMailbox",
            "PublicFolder",
        ] {
            assert_eq!(RecipientKind::of(name).as_str(), name);
        }
        assert_eq!(
            RecipientKind::of("RoomMailbox"),
            RecipientKind::OtherMailbox("RoomMailbox".to_owned())
        );
        assert_eq!(
            RecipientKind::of("GroupMailbox"),
            RecipientKind::Microsoft365Group
        );
    }

    #[tokio::test(start_paused = true)]
    async fn users_are_found_by_sign_in_name() {
        let user = json!({"ExternalDirectoryObjectId": OBJECT, "UserPrincipalName": "A@contoso.com", "DisplayName": "A",
            "RecipientTypeDetails": "User", "Sid": "S-1-5-21-1-2"});
        let tenant = answering(json!([user]));
        let upn = address("a@contoso.com");
        let users = tenant
            .gateway()
            .find_users_by_upn(Lane::Edit, std::slice::from_ref(&upn))
            .await
            .unwrap();
        assert_eq!(users[0].sid.as_ref().unwrap().as_str(), "S-1-5-21-1-2");
        let expected = json!({"Filter": "UserPrincipalName -eq 'a@contoso.com'", "ResultSize": "Unlimited"});
        assert_eq!(sent(&tenant), ("Get-User".to_owned(), expected));
        tenant.gateway().user(Lane::Edit, &upn).await.unwrap();
        let other = tenant
            .gateway()
            .user(Lane::Edit, &address("b@contoso.com"))
            .await
            .unwrap_err();
        assert_eq!(other.class, ErrorClass::Transient);
    }

    #[tokio::test(start_paused = true)]
    async fn plain_groups_are_found_by_their_address() {
        let group = json!({"ExternalDirectoryObjectId": OBJECT, "Name": "g", "DisplayName": "G", "Sid": "S-1-5-21-3",
            "WindowsEmailAddress": "g@contoso.com", "RecipientTypeDetails": "UniversalSecurityGroup"});
        let tenant = answering(json!([group]));
        let groups = tenant
            .gateway()
            .groups_with_address(Lane::Edit, &address("g@contoso.com"))
            .await
            .unwrap();
        assert_eq!(groups[0].kind, "UniversalSecurityGroup");
        let expected =
            json!({"Filter": "WindowsEmailAddress -eq 'g@contoso.com'", "ResultSize": "Unlimited"});
        assert_eq!(sent(&tenant), ("Get-Group".to_owned(), expected));
    }

    #[tokio::test(start_paused = true)]
    async fn domains_are_read_and_names_that_are_none_left_out() {
        let domain = |name: &str, initial: bool, default: bool| json!({"DomainName": name, "InitialDomain": initial, "Default": default, "DomainType": "Authoritative"});
        let rows = json!([
            domain("Contoso.com", false, true),
            domain("contoso.onmicrosoft.com", true, false),
            domain("*", false, false)
        ]);
        let domains = answering(rows)
            .gateway()
            .accepted_domains(Lane::Edit)
            .await
            .unwrap();
        let read: Vec<_> = domains
            .iter()
            .map(|domain| (domain.name.as_str(), domain.initial, domain.default))
            .collect();
        assert_eq!(
            read,
            [
                ("contoso.com", false, true),
                ("contoso.onmicrosoft.com", true, false)
            ]
        );
    }

    #[test]
    fn quotes_in_a_filter_are_doubled() {
        assert_eq!(quoted("o'neil' -or x"), "'o''neil'' -or x'");
    }
}
