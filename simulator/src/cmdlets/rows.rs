//! Output objects of the Get- cmdlets for mailboxes, recipients, users and groups.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::archive;
use super::call::Call;
use crate::directory::{MailboxType, Object, ObjectView, View};
use crate::row::{Row, Select};
use crate::settings::{self, Pair};

/// What every row shows: who it is about.
fn identity(call: &Call<'_>, seen: &ObjectView, row: &mut Row<'_>) {
    let organization = &call.world.tenant.initial_domain;
    row.put("Name", seen.name.clone());
    row.put("Identity", seen.name.clone());
    row.put("Id", seen.name.clone());
    row.put("DisplayName", seen.display_name.clone());
    row.put(
        "DistinguishedName",
        format!(
            "CN={},OU={organization},OU=Microsoft Exchange Hosted Organizations,DC=EURPR05A001,DC=PROD,DC=OUTLOOK,DC=COM",
            seen.name
        ),
    );
    row.guid("Guid", seen.guid);
    row.guid("ExchangeObjectId", seen.guid);
    let id = seen.is_in_entra().then(|| seen.id.to_string());
    row.put("ExternalDirectoryObjectId", id.unwrap_or_default());
    row.put("OrganizationId", format!("{organization} - {organization}"));
    row.put("IsValid", true);
    row.put("ObjectState", "Unchanged");
    row.date("WhenCreated", seen.created);
    row.date("WhenChanged", seen.changed);
}

/// What the rows of recipients, users and groups show.
fn common(call: &Call<'_>, seen: &ObjectView, row: &mut Row<'_>) {
    identity(call, seen, row);
    row.put("RecipientType", seen.recipient_type());
    row.put("RecipientTypeDetails", seen.recipient_type_details());
    row.put("WindowsEmailAddress", seen.primary_address().unwrap_or_default());
    row.put("IsDirSynced", seen.dir_synced);
}

/// What everything with a mail address shows.
fn mail(seen: &ObjectView, row: &mut Row<'_>) {
    row.put("Alias", seen.alias.clone().unwrap_or_default());
    row.put("PrimarySmtpAddress", seen.primary_address().unwrap_or_default());
    row.list("EmailAddresses", seen.addresses.clone());
    row.put("EmailAddressPolicyEnabled", false);
    for number in 1..=15 {
        let text = seen.custom_attributes.get(&number).cloned().unwrap_or_default();
        row.put(&format!("CustomAttribute{number}"), text);
    }
    match seen.soft_deleted {
        Some(at) => row.date("WhenSoftDeleted", at),
        None => row.put("WhenSoftDeleted", Value::Null),
    }
}

/// A row of Get-Mailbox.
pub fn mailbox(call: &Call<'_>, seen: &ObjectView, select: &Select) -> Map<String, Value> {
    let mut row = Row::new(select);
    common(call, seen, &mut row);
    mail(seen, &mut row);
    let upn = seen.upn.clone().unwrap_or_default();
    row.put("UserPrincipalName", upn.clone());
    row.put("MicrosoftOnlineServicesID", upn.clone());
    row.put("WindowsLiveID", upn);
    row.put("AccountDisabled", seen.disabled_in_exchange);
    row.put("SKUAssigned", seen.licensed);
    row.put("IsExchangeCloudManaged", seen.dir_synced && seen.cloud_managed);
    row.put("IsMailboxEnabled", true);
    row.put("IsInactiveMailbox", false);
    row.put("IsSoftDeletedByRemove", seen.soft_deleted.is_some());
    let archive = archive::guid(seen);
    row.guid("ArchiveGuid", archive);
    row.put("ArchiveStatus", if archive.is_nil() { "None" } else { "Active" });
    row.put("ArchiveState", if archive.is_nil() { "None" } else { "Local" });
    row.put("AutoExpandingArchiveEnabled", archive::is_expanding(seen));
    row.list("ArchiveName", Vec::new());
    row.list("InPlaceHolds", Vec::new());
    let Some(mailbox) = &seen.mailbox else {
        return row.finish();
    };
    row.guid("ExchangeGuid", mailbox.exchange_guid);
    row.put("IsShared", mailbox.kind == MailboxType::Shared);
    row.put(
        "IsResource",
        matches!(mailbox.kind, MailboxType::Room | MailboxType::Equipment),
    );
    if row.wants("GrantSendOnBehalfTo") {
        row.list(
            "GrantSendOnBehalfTo",
            on_behalf(call, &mailbox.on_behalf, |trustee| trustee.name.clone()),
        );
    }
    row.date("WhenMailboxCreated", seen.created);
    shown_settings(call, seen, &settings::MAILBOX, &mut row);
    row.finish()
}

fn shown_settings(call: &Call<'_>, seen: &ObjectView, pair: &Pair, row: &mut Row<'_>) {
    for setting in pair.settings {
        if row.wants(setting.name) {
            row.put(setting.name, setting.shown(seen, &call.world.quirks));
        }
    }
}

/// A row of Get-CASMailbox.
pub fn client_access(call: &Call<'_>, seen: &ObjectView, select: &Select) -> Map<String, Value> {
    let mut row = Row::new(select);
    identity(call, seen, &mut row);
    row.put("PrimarySmtpAddress", seen.primary_address().unwrap_or_default());
    row.list("EmailAddresses", seen.addresses.clone());
    shown_settings(call, seen, &settings::CLIENT_ACCESS, &mut row);
    row.finish()
}

/// A row about what is kept in the mailbox itself.
pub fn store(call: &Call<'_>, seen: &ObjectView, pair: &Pair, select: &Select) -> Map<String, Value> {
    let mut row = Row::new(select);
    row.put("Identity", seen.name.clone());
    row.put("MailboxOwnerId", seen.name.clone());
    shown_settings(call, seen, pair, &mut row);
    row.finish()
}

/// Texts for the trustees that still are there; a link to a deleted object goes away by itself.
pub fn on_behalf(call: &Call<'_>, trustees: &[Uuid], text: impl Fn(&Object) -> String) -> Vec<String> {
    trustees
        .iter()
        .filter_map(|id| {
            let directory = &call.world.directory;
            directory
                .by_id(*id, call.view)
                .or_else(|| directory.by_id(*id, View::Newest))
        })
        .filter(|trustee| trustee.is_live())
        .map(|trustee| text(&trustee))
        .collect()
}

/// A row of Get-Recipient.
pub fn recipient(call: &Call<'_>, seen: &ObjectView, select: &Select) -> Map<String, Value> {
    let mut row = Row::new(select);
    common(call, seen, &mut row);
    mail(seen, &mut row);
    row.put("SKUAssigned", seen.licensed);
    row.put("WindowsLiveID", seen.upn.clone().unwrap_or_default());
    let hidden = settings::MAILBOX.setting("HiddenFromAddressListsEnabled");
    let hidden = hidden.map(|setting| setting.shown(seen, &call.world.quirks));
    row.put("HiddenFromAddressListsEnabled", hidden);
    let elsewhere = seen
        .outside
        .as_ref()
        .map(|outside| format!("SMTP:{}", outside.address));
    row.put("ExternalEmailAddress", elsewhere);
    if let Some(mailbox) = &seen.mailbox {
        row.guid("ExchangeGuid", mailbox.exchange_guid);
    } else {
        row.guid("ExchangeGuid", Uuid::nil());
    }
    row.finish()
}

/// A row of Get-User.
pub fn user(call: &Call<'_>, seen: &ObjectView, select: &Select) -> Map<String, Value> {
    let mut row = Row::new(select);
    common(call, seen, &mut row);
    row.put("UserPrincipalName", seen.upn.clone().unwrap_or_default());
    row.put("MicrosoftOnlineServicesID", seen.upn.clone().unwrap_or_default());
    row.put("Sid", seen.sid.clone());
    row.list("SidHistory", seen.sid_history.clone());
    row.put("AccountDisabled", seen.disabled_in_exchange);
    row.put("SKUAssigned", seen.licensed);
    row.finish()
}

/// A row of Get-Group.
pub fn group(call: &Call<'_>, seen: &ObjectView, select: &Select) -> Map<String, Value> {
    let mut row = Row::new(select);
    common(call, seen, &mut row);
    row.put("Sid", seen.sid.clone());
    let security = seen.is_security_principal();
    row.put(
        "GroupType",
        if security {
            "Universal, SecurityEnabled"
        } else {
            "Universal"
        },
    );
    if let Some(group) = &seen.group
        && row.wants("Members")
    {
        row.list(
            "Members",
            on_behalf(call, &group.members, |member| member.name.clone()),
        );
    }
    row.finish()
}
