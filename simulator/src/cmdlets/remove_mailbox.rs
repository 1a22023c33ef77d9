//! Remove-Mailbox and Undo-SoftDeletedMailbox.

use super::call::{Call, Done, is_live_mailbox};
use super::rows;
use crate::directory::{Object, View};
use crate::error::CmdletError;
use crate::parameters::{Parameters, Takes};

pub const TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("PermanentlyDelete", Takes::Switch),
    ("Force", Takes::Switch),
];

pub const UNDO_TAKES: &[(&str, Takes)] = &[
    ("SoftDeletedObject", Takes::Text),
    ("DisplayName", Takes::Text),
    ("Name", Takes::Text),
];

fn is_deleted_mailbox(object: &Object) -> bool {
    object.mailbox.is_some() && !object.is_live()
}

/// Removes the mailbox and its account. Both can be restored for 30 days and keep their addresses.
pub fn run(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let identity = parameters.required("Identity")?;
    if parameters.is_on("PermanentlyDelete") {
        let deleted = call.resolve_newest(&identity, is_deleted_mailbox)?;
        refuse_held(&deleted)?;
        call.world.purge(deleted.handle, call.origin);
        return Ok(Done {
            changed: true,
            ..Done::default()
        });
    }
    let mailbox = call.resolve_newest(&identity, is_live_mailbox)?;
    let changed = call.world.soft_delete(mailbox.handle, call.origin);
    Ok(Done {
        changed,
        ..Done::default()
    })
}

fn refuse_held(object: &Object) -> Result<(), CmdletError> {
    let held = object
        .mailbox
        .as_ref()
        .and_then(|mailbox| mailbox.settings.get("LitigationHoldEnabled"))
        .is_some_and(|value| value == true);
    if held {
        return Err(CmdletError::refused(format!(
            "The mailbox \"{}\" is on hold and can't be permanently deleted.",
            object.name
        )));
    }
    Ok(())
}

pub fn undo(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let identity = parameters.required("SoftDeletedObject")?;
    let deleted = call.resolve_newest(&identity, is_deleted_mailbox)?;
    let changed = call.world.update(deleted.handle, call.origin, |object| {
        object.soft_deleted = None;
        if let Some(name) = parameters.text("DisplayName") {
            object.display_name = name;
        }
        if let Some(name) = parameters.text("Name") {
            object.name = name;
        }
    });
    let restored = call.world.directory.seen(deleted.handle, View::Newest);
    let rows = restored
        .map(|seen| rows::mailbox(call, &seen, &call.select).into())
        .into_iter()
        .collect();
    Ok(Done {
        rows,
        changed,
        ..Done::default()
    })
}
