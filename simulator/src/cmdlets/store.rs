//! What is kept in the mailbox itself, and not in the directory: Get- and Set-MailboxRegionalConfiguration, Get- and
//! Set-MailboxAutoReplyConfiguration.

use std::time::Duration;

use super::call::{Call, Done, is_live_mailbox};
use super::{query, rows, write_settings};
use crate::directory::Object;
use crate::error::CmdletError;
use crate::parameters::{Parameters, Takes};
use crate::settings::{self, Pair, culture};

pub const GET_REGIONAL_TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("VerifyDefaultFolderNameLanguage", Takes::Switch),
];

/// Without the settings of the table.
pub const SET_REGIONAL_TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("LocalizeDefaultFolderName", Takes::Switch),
];

pub const GET_AUTO_REPLY_TAKES: &[(&str, Takes)] = &[("Identity", Takes::Text), ("ResultSize", Takes::Text)];

/// Without the settings of the table.
pub const SET_AUTO_REPLY_TAKES: &[(&str, Takes)] = &[("Identity", Takes::Text)];

pub fn get_regional(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    get(call, &settings::REGIONAL, parameters)
}

pub fn set_regional(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    set(call, &settings::REGIONAL, parameters, check_formats)
}

pub fn get_auto_reply(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    get(call, &settings::AUTO_REPLY, parameters)
}

pub fn set_auto_reply(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    set(call, &settings::AUTO_REPLY, parameters, check_replies)
}

fn get(call: &Call<'_>, pair: &'static Pair, parameters: &Parameters) -> Result<Done, CmdletError> {
    let identity = parameters.required("Identity")?;
    is_open(call, &call.resolve(&identity, is_live_mailbox)?.object)?;
    query::list(call, parameters, is_live_mailbox, |call, seen, select| {
        rows::store(call, seen, pair, select)
    })
}

/// All parameters take effect, or none does.
fn set(
    call: &mut Call<'_>,
    pair: &'static Pair,
    parameters: &Parameters,
    check: fn(&Object) -> Result<(), CmdletError>,
) -> Result<Done, CmdletError> {
    let identity = parameters.required("Identity")?;
    let before = call.resolve_newest(&identity, is_live_mailbox)?;
    is_open(call, &before.object)?;
    let mut after = (*before.object).clone();
    write_settings::write(call, pair, parameters, &mut after)?;
    check(&after)?;
    let changed = call
        .world
        .update(before.handle, call.origin, |object| *object = after);
    Ok(write_settings::done(call, &before, changed))
}

/// What was written, as text.
fn text<'o>(object: &'o Object, name: &str) -> Option<&'o str> {
    object.mailbox.as_ref()?.settings.get(name)?.as_str()
}

/// A format that was set before and is none of the new language refuses the language.
fn check_formats(after: &Object) -> Result<(), CmdletError> {
    let culture = text(after, "Language").and_then(culture);
    for name in ["DateFormat", "TimeFormat"] {
        let Some(format) = text(after, name) else { continue };
        if !culture.is_some_and(|culture| culture.has_format(name, format)) {
            let language = culture.map_or("none", |culture| culture.name);
            return Err(invalid(format!(
                "The {name} \"{format}\" isn't valid for the current language setting \"{language}\"."
            )));
        }
    }
    Ok(())
}

fn check_replies(after: &Object) -> Result<(), CmdletError> {
    let state = text(after, "AutoReplyState").unwrap_or("Disabled");
    if state == "Disabled" {
        return Ok(());
    }
    let is_empty = |name| text(after, name).unwrap_or_default().is_empty();
    let answers_outside = text(after, "ExternalAudience") != Some("None");
    if is_empty("InternalMessage") || (answers_outside && is_empty("ExternalMessage")) {
        return Err(invalid(format!(
            "AutoReplyState {state} needs InternalMessage and ExternalMessage."
        )));
    }
    // As they are stored, texts are in the order of time.
    let (start, end) = (text(after, "StartTime"), text(after, "EndTime"));
    if state == "Scheduled" && (start.is_none() || start >= end) {
        return Err(invalid(
            "The EndTime must be later than the StartTime.".to_owned(),
        ));
    }
    Ok(())
}

fn invalid(message: String) -> CmdletError {
    CmdletError::new(400, "Microsoft.Exchange.Data.DataValidationException", message)
}

/// A mailbox that was created a moment ago can't be opened yet.
fn is_open(call: &Call<'_>, object: &Object) -> Result<(), CmdletError> {
    let late = Duration::from_millis(call.world.quirks.store_after_create_ms);
    if call.world.now().duration_since(object.created).unsigned_abs() >= late {
        return Ok(());
    }
    Err(CmdletError::new(
        500,
        "Microsoft.Exchange.Data.Storage.StorageTransientException",
        "The mailbox isn't ready yet. Please try again later.",
    ))
}
