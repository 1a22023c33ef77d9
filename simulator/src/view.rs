//! Mailboxes as they truly are, for assertions: what no cmdlet shows is here too.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::directory::{ObjectView, SendAsEntry, Standing};
use crate::quirks::Quirks;
use crate::settings::ShownSettings;

/// A mailbox as it truly is now, with what no cmdlet shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "facts, not states")]
pub struct MailboxView {
    pub object_id: Uuid,
    pub guid: Uuid,
    pub exchange_guid: Uuid,
    pub name: String,
    pub display_name: String,
    pub alias: String,
    pub upn: String,
    /// `SharedMailbox`, `UserMailbox`, `RoomMailbox` or `EquipmentMailbox`.
    pub type_details: String,
    pub primary_address: String,
    /// With prefix, as `EmailAddresses` shows them.
    pub addresses: Vec<String>,
    /// Nobody can sign in to the account behind it: what Entra says, and not Exchange.
    pub account_disabled: bool,
    /// What Exchange says of it.
    pub disabled_in_exchange: bool,
    /// Somebody signed in while it was opened, and still is.
    pub signed_in: bool,
    /// `HiddenFromAddressListsEnabled`.
    pub hidden: bool,
    pub soft_deleted: bool,
    /// The account behind it has a licence.
    pub licensed: bool,
    /// By number, 1 to 15; those without text are left out.
    pub custom_attributes: BTreeMap<u8, String>,
    /// As the Get- cmdlets show them, but for what quirks leave out or show instead: that is here as it truly is.
    pub settings: ShownSettings,
    pub full_access: Vec<FullAccessView>,
    /// Object ids of those who were granted it on this mailbox.
    pub send_as: Vec<Uuid>,
    /// Every entry for Send As, refusals and what comes from above included.
    pub send_as_rows: Vec<SendAsView>,
    /// Object ids.
    pub on_behalf: Vec<Uuid>,
}

/// An access control entry on a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FullAccessView {
    /// Object id, also of an account that is gone.
    pub trustee: Uuid,
    pub sid: String,
    pub rights: Vec<String>,
    pub deny: bool,
    pub standing: Standing,
    /// As truly stored, which no cmdlet shows.
    pub auto_mapping: bool,
}

/// An access control entry for Send As.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SendAsView {
    /// Object id, also of an account that is gone.
    pub trustee: Uuid,
    pub sid: String,
    pub deny: bool,
    pub standing: Standing,
}

impl MailboxView {
    /// `None` when the object has no mailbox.
    pub(crate) fn of(seen: &ObjectView, quirks: &Quirks) -> Option<Self> {
        let granted = |entry: &&SendAsEntry| !entry.deny && entry.standing != Standing::Inherited;
        let mailbox = seen.mailbox.as_ref()?;
        let hidden = mailbox.settings.get("HiddenFromAddressListsEnabled");
        Some(Self {
            object_id: seen.id,
            guid: seen.guid,
            exchange_guid: mailbox.exchange_guid,
            name: seen.name.clone(),
            display_name: seen.display_name.clone(),
            alias: seen.alias.clone().unwrap_or_default(),
            upn: seen.upn.clone().unwrap_or_default(),
            type_details: mailbox.kind.details().to_owned(),
            primary_address: seen.primary_address().unwrap_or_default().to_owned(),
            addresses: seen.addresses.clone(),
            account_disabled: !seen.account_enabled,
            disabled_in_exchange: seen.disabled_in_exchange,
            signed_in: seen.signed_in,
            hidden: hidden == Some(&Value::Bool(true)),
            soft_deleted: !seen.is_live(),
            licensed: seen.licensed,
            custom_attributes: seen.custom_attributes.clone(),
            settings: ShownSettings::of(seen, quirks),
            full_access: mailbox
                .full_access
                .iter()
                .map(|entry| FullAccessView {
                    trustee: entry.trustee,
                    sid: entry.sid.clone(),
                    rights: entry.rights.iter().map(|right| right.name().to_owned()).collect(),
                    deny: entry.deny,
                    standing: entry.standing,
                    auto_mapping: entry.auto_mapping,
                })
                .collect(),
            send_as: seen
                .send_as
                .iter()
                .filter(granted)
                .map(|entry| entry.trustee)
                .collect(),
            send_as_rows: seen
                .send_as
                .iter()
                .map(|entry| SendAsView {
                    trustee: entry.trustee,
                    sid: entry.sid.clone(),
                    deny: entry.deny,
                    standing: entry.standing,
                })
                .collect(),
            on_behalf: mailbox.on_behalf.clone(),
        })
    }
}
