//! One mailbox: reading, creating, changing it.

use super::{
    CUSTOM_ATTRIBUTES, ProxyAddress, Warnings, addresses, all, answered_another, custom_attributes,
    exactly_one,
};
use crate::exchange::Gateway;
use crate::exchange::error::{ErrorClass, ExchangeError, Stage};
use crate::exchange::wire::{Answer, Cmdlet, Effect, Row, Unreadable};
use crate::lane::Lane;
use crate::mail::{MailboxGuid, Nickname, ObjectId, OneTimeName, SmtpAddress};

/// A row of Get-Mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxRow {
    pub guid: MailboxGuid,
    pub object_id: Option<ObjectId>,
    pub display_name: String,
    pub alias: String,
    pub primary: SmtpAddress,
    pub user_principal_name: String,
    /// `RecipientTypeDetails`: `SharedMailbox`, `UserMailbox`, ….
    pub kind: String,
    pub addresses: Vec<ProxyAddress>,
    /// True when sign-in is blocked, according to Exchange.
    pub account_disabled: bool,
    /// `GrantSendOnBehalfTo` as it is: object ids of newer recipients, names of older ones.
    pub on_behalf: Vec<String>,
    /// CustomAttribute1 to 15.
    pub custom_attributes: [String; 15],
    /// True when the object is mastered in an on-premises directory.
    pub is_dir_synced: bool,
    pub hidden_from_address_lists: bool,
    /// True when a licence is assigned; None when the row does not tell.
    pub sku_assigned: Option<bool>,
}

const MAILBOX_PROPERTIES: &[&str] = with_custom_attributes![
    "ExchangeGuid",
    "ExternalDirectoryObjectId",
    "DisplayName",
    "Alias",
    "PrimarySmtpAddress",
    "UserPrincipalName",
    "RecipientTypeDetails",
    "EmailAddresses",
    "AccountDisabled",
    "GrantSendOnBehalfTo",
    "IsDirSynced",
    "HiddenFromAddressListsEnabled",
    "SKUAssigned",
];

impl MailboxRow {
    fn read(row: Row<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            guid: row.required("ExchangeGuid")?,
            object_id: row.optional("ExternalDirectoryObjectId"),
            display_name: row.text("DisplayName")?,
            alias: row.text("Alias")?,
            primary: row.required("PrimarySmtpAddress")?,
            user_principal_name: row.text("UserPrincipalName")?,
            kind: row.required("RecipientTypeDetails")?,
            addresses: addresses(row)?,
            account_disabled: row.flag("AccountDisabled")?,
            on_behalf: row.texts("GrantSendOnBehalfTo")?,
            custom_attributes: custom_attributes(row)?,
            is_dir_synced: row.optional_flag("IsDirSynced").unwrap_or(false),
            hidden_from_address_lists: row
                .optional_flag("HiddenFromAddressListsEnabled")
                .unwrap_or(false),
            sku_assigned: row.optional_flag("SKUAssigned"),
        })
    }

    /// The primary address and all aliases; entries of other kinds are left out.
    pub fn smtp_addresses(&self) -> impl Iterator<Item = SmtpAddress> {
        self.addresses.iter().filter_map(ProxyAddress::smtp)
    }

    /// CustomAttribute`number`, 1 to 15; empty for any other number.
    pub fn custom_attribute(&self, number: u8) -> &str {
        usize::from(number)
            .checked_sub(1)
            .and_then(|at| self.custom_attributes.get(at))
            .map_or("", String::as_str)
    }
}

/// A shared mailbox to create. New-Mailbox can set neither the marker nor the sign-in block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMailbox {
    /// Unique in the tenant, 64 characters at most; newer tenants replace it by the object id.
    pub name: String,
    pub display_name: OneTimeName,
    pub alias: Nickname,
    pub primary: SmtpAddress,
}

/// What New-Mailbox made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreatedMailbox {
    pub guid: MailboxGuid,
    pub object_id: ObjectId,
}

impl CreatedMailbox {
    /// None unless the answer is one row that carries the one-time name and both ids.
    fn shown_by(answer: &Answer, display_name: &OneTimeName) -> Option<Self> {
        let [row] = answer.rows.as_slice() else {
            return None;
        };
        let row = Row(row);
        if row.optional_text("DisplayName") != Some(display_name.as_str()) {
            return None;
        }
        Some(Self {
            guid: row.optional("ExchangeGuid")?,
            object_id: row.optional("ExternalDirectoryObjectId")?,
        })
    }
}

/// Everything that one Set-Mailbox is to change; what is None or empty stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxChange {
    /// The number of the custom attribute, 1 to 15, and its text.
    pub marker: Option<(u8, String)>,
    pub account_disabled: Option<bool>,
    pub display_name: Option<String>,
    pub alias: Option<Nickname>,
    /// `WindowsEmailAddress`, which sets the primary address in the cloud; the old one stays as an alias.
    pub primary: Option<SmtpAddress>,
    pub add_addresses: Vec<SmtpAddress>,
    pub remove_addresses: Vec<SmtpAddress>,
    pub add_on_behalf: Vec<ObjectId>,
    pub remove_on_behalf: Vec<ObjectId>,
}

impl MailboxChange {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn cmdlet(&self, id: MailboxGuid) -> Result<Cmdlet, ExchangeError> {
        let Self {
            marker,
            account_disabled,
            display_name,
            alias,
            primary,
            add_addresses,
            remove_addresses,
            add_on_behalf,
            remove_on_behalf,
        } = self;
        let mut cmdlet = Cmdlet::new(SET_MAILBOX, Effect::Repeatable).with("Identity", id.to_string());
        if let Some((number, text)) = marker {
            let name = usize::from(*number)
                .checked_sub(1)
                .and_then(|at| CUSTOM_ATTRIBUTES.get(at))
                .ok_or_else(|| {
                    let message = format!("there is no custom attribute {number}");
                    ExchangeError::new(ErrorClass::Invalid, Stage::Exchange, SET_MAILBOX, message)
                })?;
            cmdlet = cmdlet.with(name, text.as_str());
        }
        if let Some(disabled) = account_disabled {
            cmdlet = cmdlet.with("AccountDisabled", *disabled);
        }
        if let Some(name) = display_name {
            cmdlet = cmdlet.with("DisplayName", name.as_str());
        }
        if let Some(alias) = alias {
            cmdlet = cmdlet.with("Alias", alias.as_str());
        }
        if let Some(primary) = primary {
            cmdlet = cmdlet.with("WindowsEmailAddress", primary.as_str());
        }
        let proxies = |addresses: &[SmtpAddress]| -> Vec<String> {
            let proxies = addresses.iter().map(|address| format!("smtp:{address}"));
            proxies.collect()
        };
        let ids = |ids: &[ObjectId]| -> Vec<String> { ids.iter().map(ObjectId::to_string).collect() };
        Ok(cmdlet
            .with_list_change(
                "EmailAddresses",
                &proxies(add_addresses),
                &proxies(remove_addresses),
            )
            .with_list_change("GrantSendOnBehalfTo", &ids(add_on_behalf), &ids(remove_on_behalf)))
    }
}

const GET_MAILBOX: &str = "Get-Mailbox";
const SET_MAILBOX: &str = "Set-Mailbox";
const NEW_MAILBOX: &str = "New-Mailbox";

impl Gateway {
    /// The mailbox with this GUID. An answer that shows another one is an error, as is one that lacks a property
    /// that anything would be concluded from.
    pub async fn mailbox(&self, lane: Lane, id: MailboxGuid) -> Result<MailboxRow, ExchangeError> {
        let cmdlet = Cmdlet::read(GET_MAILBOX, MAILBOX_PROPERTIES).with("Identity", id.to_string());
        let answer = self.call(lane, cmdlet).await?;
        // A GUID names one mailbox; several rows mean that the identity was not understood.
        if answer.rows.len() > 1 {
            return Err(answered_another(GET_MAILBOX, "mailbox"));
        }
        let row = exactly_one(GET_MAILBOX, all(GET_MAILBOX, &answer, MailboxRow::read)?)?;
        if row.guid == id {
            Ok(row)
        } else {
            Err(answered_another(GET_MAILBOX, "mailbox"))
        }
    }

    /// Creates a shared mailbox; always sent alone and never twice.
    ///
    /// `Ambiguous` when nobody knows whether it was executed: a lost answer, a timeout, a fault on the server, or
    /// an answer that does not show the mailbox asked for. `Conflict` when a name or address is taken.
    pub async fn create_shared_mailbox(
        &self,
        lane: Lane,
        new: &NewMailbox,
    ) -> Result<CreatedMailbox, ExchangeError> {
        let NewMailbox {
            name,
            display_name,
            alias,
            primary,
        } = new;
        let cmdlet = Cmdlet::new(NEW_MAILBOX, Effect::Create)
            .with("Name", name.as_str())
            .with("DisplayName", display_name.as_str())
            .with("Alias", alias.as_str())
            .with("PrimarySmtpAddress", primary.as_str())
            .with("Shared", true);
        let answer = self.call(lane, cmdlet).await?;
        CreatedMailbox::shown_by(&answer, display_name).ok_or_else(|| {
            ExchangeError::new(
                ErrorClass::Ambiguous,
                Stage::Exchange,
                NEW_MAILBOX,
                "the service reports success and does not show the new mailbox",
            )
        })
    }

    /// One Set-Mailbox. An empty change makes no call.
    pub async fn set_mailbox(
        &self,
        lane: Lane,
        id: MailboxGuid,
        change: &MailboxChange,
    ) -> Result<Warnings, ExchangeError> {
        if change.is_empty() {
            return Ok(Warnings::default());
        }
        let cmdlet = change.cmdlet(id)?;
        Ok(self.call(lane, cmdlet).await?.into())
    }
}
