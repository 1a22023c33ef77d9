//! New-Mailbox, for shared and resource mailboxes. People get theirs through a licence.

use super::call::{Call, Done};
use super::rows;
use crate::directory::{MailboxType, View};
use crate::error::CmdletError;
use crate::parameters::{Parameters, Takes};

pub const TAKES: &[(&str, Takes)] = &[
    ("Name", Takes::Text),
    ("Shared", Takes::Switch),
    ("Room", Takes::Switch),
    ("Equipment", Takes::Switch),
    ("Alias", Takes::Text),
    ("DisplayName", Takes::Text),
    ("PrimarySmtpAddress", Takes::Text),
    ("Force", Takes::Switch),
];

pub fn run(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let kinds = [
        ("Shared", MailboxType::Shared),
        ("Room", MailboxType::Room),
        ("Equipment", MailboxType::Equipment),
    ];
    let mut wanted = kinds
        .iter()
        .filter(|(name, _)| parameters.is_on(name))
        .map(|(_, kind)| *kind);
    let (Some(kind), None) = (wanted.next(), wanted.next()) else {
        return Err(CmdletError::binding(
            "Parameter set cannot be resolved using the specified named parameters.",
        ));
    };
    let name = parameters.required("Name")?;
    check_name(&name)?;
    let alias = parameters.text("Alias").unwrap_or_else(|| default_alias(&name));
    check_alias(&alias)?;
    let display_name = parameters.text("DisplayName").unwrap_or_else(|| name.clone());
    check_display_name(&display_name)?;
    let primary = parameters
        .text("PrimarySmtpAddress")
        .unwrap_or_else(|| format!("{alias}@{}", call.world.tenant.default_domain()));
    call.world.check_address(&primary)?;
    let nickname = format!("{alias}@{}", call.world.tenant.initial_domain);
    if let Some((address, holder)) = call.world.holder_of(&[primary.clone(), nickname], None) {
        return Err(CmdletError::proxy_address_exists(
            &format!("SMTP:{address}"),
            &holder.name,
        ));
    }
    let same_name = |object: &crate::directory::ObjectView| object.name.eq_ignore_ascii_case(&name);
    if call
        .world
        .directory
        .matching(&name, View::Newest)
        .iter()
        .any(same_name)
    {
        return Err(CmdletError::already_exists(&name));
    }

    let world = &mut *call.world;
    let mut object = world.blank_object(None, &display_name);
    let mailbox = world.blank_mailbox(kind);
    if world.tenant.keeps_given_names {
        object.name = name;
    }
    object.addresses = world.service_addresses(&primary, &alias, mailbox.exchange_guid);
    object.alias = Some(alias);
    object.upn = Some(primary);
    object.mailbox = Some(mailbox);
    let now = world.elapsed();
    let visibility = world.faults.visibility(call.origin, true, now);
    // The account has a password chosen by the system and can sign in until somebody blocks it (Microsoft's page "About
    // shared mailboxes"); since October 2025 people find it disabled (field reports).
    let is_open = !world.quirks.sign_in.new_accounts_disabled;
    let handle = world.directory.insert(object, is_open, visibility);
    let rows = world
        .directory
        .seen(handle, View::Newest)
        .map(|seen| rows::mailbox(call, &seen, &call.select).into())
        .into_iter()
        .collect();
    Ok(Done {
        rows,
        changed: true,
        ..Done::default()
    })
}

fn check_name(name: &str) -> Result<(), CmdletError> {
    if name.chars().count() > 64 {
        return Err(CmdletError::invalid_value(
            "Name",
            name,
            "It is longer than 64 characters.",
        ));
    }
    let fine = |c: char| c.is_ascii_alphanumeric() || "!#$%&'()*+,-./:;=?@[]^_`{|}~ ".contains(c);
    if !name.chars().all(fine) {
        return Err(CmdletError::invalid_value(
            "Name",
            name,
            "It contains characters that are not allowed.",
        ));
    }
    Ok(())
}

/// Letters of an alias per the page of New-Mailbox; dots only inside.
pub fn check_alias(alias: &str) -> Result<(), CmdletError> {
    if alias.chars().count() > 64 {
        return Err(CmdletError::invalid_value(
            "Alias",
            alias,
            "It is longer than 64 characters.",
        ));
    }
    let fine = |c: char| c.is_ascii_alphanumeric() || "!#%*+-/=?^_~.".contains(c);
    let dotted = alias.starts_with('.') || alias.ends_with('.') || alias.contains("..");
    if alias.is_empty() || dotted || !alias.chars().all(fine) {
        return Err(CmdletError::invalid_value(
            "Alias",
            alias,
            "It contains characters that are not allowed.",
        ));
    }
    Ok(())
}

pub fn check_display_name(name: &str) -> Result<(), CmdletError> {
    if name.chars().count() > 256 {
        return Err(CmdletError::invalid_value(
            "DisplayName",
            name,
            "It is longer than 256 characters.",
        ));
    }
    Ok(())
}

/// Spaces dropped, what is not allowed becomes a question mark.
fn default_alias(name: &str) -> String {
    let fine = |c: char| c.is_ascii_alphanumeric() || "!#%*+-/=?^_~.".contains(c);
    name.chars()
        .filter(|c| *c != ' ')
        .map(|c| if fine(c) { c } else { '?' })
        .collect()
}
