//! Get-CASMailbox and Set-CASMailbox: the protocols through which clients reach a mailbox.

use std::time::Duration;

use super::call::{Call, Done, is_live_mailbox};
use super::{query, rows, write_settings};
use crate::directory::Object;
use crate::error::CmdletError;
use crate::parameters::{Parameters, Takes};
use crate::settings;

pub const GET_TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("Filter", Takes::Text),
    ("Anr", Takes::Text),
    ("ResultSize", Takes::Text),
];

/// Without the settings of the table.
pub const SET_TAKES: &[(&str, Takes)] = &[("Identity", Takes::Text)];

pub fn get(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    query::list(call, parameters, known(call), rows::client_access)
}

/// All parameters take effect, or none does.
pub fn set(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let identity = parameters.required("Identity")?;
    let before = call.resolve_newest(&identity, known(call))?;
    let mut after = (*before.object).clone();
    write_settings::write(call, &settings::CLIENT_ACCESS, parameters, &mut after)?;
    let changed = call
        .world
        .update(before.handle, call.origin, |object| *object = after);
    Ok(write_settings::done(call, &before, changed))
}

/// Mailboxes that are there, but for those that are too new for these cmdlets.
fn known(call: &Call<'_>) -> impl Fn(&Object) -> bool + use<> {
    let now = call.world.now();
    let late = Duration::from_millis(call.world.quirks.client_access_after_create_ms);
    move |object| is_live_mailbox(object) && now.duration_since(object.created).unsigned_abs() >= late
}
