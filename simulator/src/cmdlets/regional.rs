//! Get- and Set-MailboxRegionalConfiguration: language and formats, which are kept in the mailbox itself.

use std::time::Duration;

use super::call::{Call, Done, is_live_mailbox};
use super::{query, rows, write_settings};
use crate::directory::Object;
use crate::error::CmdletError;
use crate::parameters::{Parameters, Takes};
use crate::settings::{self, culture};

pub const GET_TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("VerifyDefaultFolderNameLanguage", Takes::Switch),
];

/// Without the settings of the table.
pub const SET_TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("LocalizeDefaultFolderName", Takes::Switch),
];

pub fn get(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let identity = parameters.required("Identity")?;
    is_open(call, &call.resolve(&identity, is_live_mailbox)?.object)?;
    query::list(call, parameters, is_live_mailbox, rows::regional)
}

/// All parameters take effect, or none does.
pub fn set(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let identity = parameters.required("Identity")?;
    let before = call.resolve_newest(&identity, is_live_mailbox)?;
    is_open(call, &before.object)?;
    let mut after = (*before.object).clone();
    write_settings::write(call, &settings::REGIONAL, parameters, &mut after)?;
    check_formats(&after)?;
    let changed = call
        .world
        .update(before.handle, call.origin, |object| *object = after);
    Ok(write_settings::done(call, &before, changed))
}

/// A format that was set before and is none of the new language refuses the language.
fn check_formats(after: &Object) -> Result<(), CmdletError> {
    let stored = after.mailbox.as_ref().map(|mailbox| &mailbox.settings);
    let text = |name: &str| stored.and_then(|settings| settings.get(name)?.as_str());
    let culture = text("Language").and_then(culture);
    for name in ["DateFormat", "TimeFormat"] {
        let Some(format) = text(name) else { continue };
        if !culture.is_some_and(|culture| culture.has_format(name, format)) {
            let language = culture.map_or("none", |culture| culture.name);
            return Err(CmdletError::new(
                400,
                "Microsoft.Exchange.Data.DataValidationException",
                format!(
                    "The {name} \"{format}\" isn't valid for the current language setting \"{language}\"."
                ),
            ));
        }
    }
    Ok(())
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
