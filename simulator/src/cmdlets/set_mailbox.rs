//! Set-Mailbox.

use uuid::Uuid;

use super::call::{Call, Done, is_live_mailbox};
use super::new_mailbox::{check_alias, check_display_name};
use super::{quotas, write_settings};
use crate::directory::{MailboxType, Object, ObjectView, SignInStore, View, smtp_part};
use crate::error::CmdletError;
use crate::parameters::{ListChange, Parameters, Takes};
use crate::settings;

/// Without the settings of the table.
pub const TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("Force", Takes::Switch),
    ("DisplayName", Takes::Text),
    ("Alias", Takes::Text),
    ("WindowsEmailAddress", Takes::Text),
    ("MicrosoftOnlineServicesID", Takes::Text),
    ("EmailAddresses", Takes::List),
    ("AccountDisabled", Takes::Switch),
    ("IsExchangeCloudManaged", Takes::Switch),
    ("GrantSendOnBehalfTo", Takes::List),
    ("Type", Takes::Text),
    ("CustomAttribute1", Takes::Text),
    ("CustomAttribute2", Takes::Text),
    ("CustomAttribute3", Takes::Text),
    ("CustomAttribute4", Takes::Text),
    ("CustomAttribute5", Takes::Text),
    ("CustomAttribute6", Takes::Text),
    ("CustomAttribute7", Takes::Text),
    ("CustomAttribute8", Takes::Text),
    ("CustomAttribute9", Takes::Text),
    ("CustomAttribute10", Takes::Text),
    ("CustomAttribute11", Takes::Text),
    ("CustomAttribute12", Takes::Text),
    ("CustomAttribute13", Takes::Text),
    ("CustomAttribute14", Takes::Text),
    ("CustomAttribute15", Takes::Text),
];

/// All parameters take effect, or none does.
pub fn run(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let identity = parameters.required("Identity")?;
    let before = call.resolve_newest(&identity, is_live_mailbox)?;
    let mut after = (*before.object).clone();
    names(parameters, &mut after)?;
    custom_attributes(parameters, &mut after)?;
    addresses(call, parameters, &before, &mut after)?;
    mailbox_type(parameters, &mut after)?;
    if let Some(is_handed_over) = parameters.switch("IsExchangeCloudManaged") {
        after.cloud_managed = is_handed_over;
    }
    on_behalf(call, parameters, &mut after)?;
    write_settings::write(call, &settings::MAILBOX, parameters, &mut after)?;
    check_hold(parameters, &after)?;
    quotas::check(call, parameters, &before, &after)?;

    let changed = call
        .world
        .update(before.handle, call.origin, |object| *object = after);
    let changed = match parameters.switch("AccountDisabled") {
        Some(disabled) => {
            call.world
                .set_account_enabled(before.handle, SignInStore::Exchange, !disabled, call.origin)
                || changed
        }
        None => changed,
    };
    let mut done = write_settings::done(call, &before, changed);
    if changed && parameters.is_on("LitigationHoldEnabled") {
        done.warnings
            .push("The hold setting may take up to 240 minutes to take effect.".to_owned());
    }
    Ok(done)
}

/// A hold needs a licence that includes it.
fn check_hold(parameters: &Parameters, after: &Object) -> Result<(), CmdletError> {
    if parameters.is_on("LitigationHoldEnabled") && !after.licensed {
        return Err(CmdletError::refused(
            "Your Microsoft Exchange Online license doesn't permit you to put a litigation hold on this mailbox.",
        ));
    }
    Ok(())
}

fn names(parameters: &Parameters, after: &mut Object) -> Result<(), CmdletError> {
    if parameters.has("DisplayName") {
        let name = parameters.required("DisplayName")?;
        check_display_name(&name)?;
        after.display_name = name;
    }
    // In the cloud the alias and the primary address are independent of each other.
    if parameters.has("Alias") {
        let alias = parameters.required("Alias")?;
        check_alias(&alias)?;
        after.alias = Some(alias);
    }
    Ok(())
}

fn custom_attributes(parameters: &Parameters, after: &mut Object) -> Result<(), CmdletError> {
    for number in 1..=15 {
        let name = format!("CustomAttribute{number}");
        if !parameters.has(&name) {
            continue;
        }
        match parameters.text(&name) {
            Some(text) if text.chars().count() > 1024 => {
                return Err(CmdletError::invalid_value(
                    &name,
                    &text,
                    "It is longer than 1024 characters.",
                ));
            }
            Some(text) => after.custom_attributes.insert(number, text),
            None => after.custom_attributes.remove(&number),
        };
    }
    Ok(())
}

fn addresses(
    call: &Call<'_>,
    parameters: &Parameters,
    before: &ObjectView,
    after: &mut Object,
) -> Result<(), CmdletError> {
    match parameters.list_change("EmailAddresses")? {
        None => {}
        Some(ListChange::Replace(items)) => {
            let mut proxies: Vec<String> = items.iter().map(|item| with_prefix(item)).collect();
            if !proxies.iter().any(|proxy| proxy.starts_with("SMTP:"))
                && let Some(first) = proxies.iter_mut().find(|proxy| smtp_part(proxy).is_some())
            {
                *first = format!("SMTP:{}", smtp_part(first).unwrap_or_default());
            }
            after.addresses = proxies;
        }
        Some(ListChange::Edit { add, remove }) => {
            for item in remove {
                let gone = with_prefix(&item);
                after.addresses.retain(|own| !own.eq_ignore_ascii_case(&gone));
            }
            for item in add {
                let proxy = with_prefix(&item);
                if let Some(address) = proxy.strip_prefix("SMTP:") {
                    after.set_primary_address(address);
                } else if !after.addresses.iter().any(|own| own.eq_ignore_ascii_case(&proxy)) {
                    after.addresses.push(proxy);
                }
            }
        }
    }
    if parameters.has("WindowsEmailAddress") {
        after.set_primary_address(&parameters.required("WindowsEmailAddress")?);
    }
    if parameters.has("MicrosoftOnlineServicesID") {
        after.upn = Some(parameters.required("MicrosoftOnlineServicesID")?);
    }
    if after
        .addresses
        .iter()
        .filter(|proxy| proxy.starts_with("SMTP:"))
        .count()
        != 1
    {
        return Err(CmdletError::refused(
            "The e-mail addresses must contain exactly one primary SMTP address; the primary one can't be removed.",
        ));
    }
    check_new_addresses(call, before, after)
}

/// Addresses that came with this call must be well-formed, in an accepted domain, and free.
fn check_new_addresses(call: &Call<'_>, before: &ObjectView, after: &Object) -> Result<(), CmdletError> {
    let added: Vec<String> = after
        .smtp_addresses()
        .chain(after.upn.as_deref())
        .filter(|address| !before.has_address(address) && before.upn.as_deref() != Some(*address))
        .map(str::to_owned)
        .collect();
    for address in &added {
        call.world.check_address(address)?;
    }
    match call.world.holder_of(&added, Some(before.handle)) {
        Some((address, holder)) => Err(CmdletError::proxy_address_exists(
            &format!("smtp:{address}"),
            &holder.name,
        )),
        None => Ok(()),
    }
}

fn with_prefix(item: &str) -> String {
    if item.contains(':') {
        item.to_owned()
    } else {
        format!("smtp:{item}")
    }
}

fn mailbox_type(parameters: &Parameters, after: &mut Object) -> Result<(), CmdletError> {
    let Some(wanted) = parameters.text("Type") else {
        return Ok(());
    };
    let kind = match wanted.to_ascii_lowercase().as_str() {
        "regular" => MailboxType::User,
        "shared" => MailboxType::Shared,
        "room" => MailboxType::Room,
        "equipment" => MailboxType::Equipment,
        _ => {
            return Err(CmdletError::conversion(
                "Type",
                "System.String",
                "Microsoft.Exchange.Data.Directory.Recipient.ConvertibleMailboxSubType",
            ));
        }
    };
    if let Some(mailbox) = &mut after.mailbox {
        mailbox.kind = kind;
    }
    Ok(())
}

fn on_behalf(call: &Call<'_>, parameters: &Parameters, after: &mut Object) -> Result<(), CmdletError> {
    let Some(change) = parameters.list_change("GrantSendOnBehalfTo")? else {
        return Ok(());
    };
    let Some(mailbox) = &mut after.mailbox else {
        return Ok(());
    };
    match change {
        ListChange::Replace(items) => {
            mailbox.on_behalf.clear();
            for item in items {
                grant(&mut mailbox.on_behalf, delegate(call, &item)?);
            }
        }
        ListChange::Edit { add, remove } => {
            for item in remove {
                // Deleted delegates may still stand in the list, so it is searched first.
                let named = |id: &Uuid| {
                    let seen = call.world.directory.by_id(*id, View::Newest);
                    seen.is_some_and(|seen| seen.answers_to(&item.to_lowercase()))
                };
                if !mailbox.on_behalf.iter().any(named) {
                    call.resolve(&item, |object| object.is_recipient() && object.is_live())?;
                }
                mailbox.on_behalf.retain(|trustee| !named(trustee));
            }
            for item in add {
                grant(&mut mailbox.on_behalf, delegate(call, &item)?);
            }
        }
    }
    Ok(())
}

fn grant(trustees: &mut Vec<Uuid>, id: Uuid) {
    if !trustees.contains(&id) {
        trustees.push(id);
    }
}

/// A mailbox, a mail user or a mail-enabled security group; nothing else can send on behalf.
fn delegate(call: &Call<'_>, identity: &str) -> Result<Uuid, CmdletError> {
    let trustee = call.resolve(identity, |object| object.is_recipient() && object.is_live())?;
    if trustee.is_security_principal() {
        return Ok(trustee.id);
    }
    Err(CmdletError::refused(format!(
        "The recipient \"{identity}\" isn't a mailbox, a mail user or a mail-enabled security group."
    )))
}
