//! Enable-Mailbox and Disable-Mailbox, as far as archives go.

use uuid::Uuid;

use super::call::{Call, Done, is_live_mailbox};
use super::write_settings;
use crate::directory::Object;
use crate::error::CmdletError;
use crate::parameters::{Parameters, Takes};

pub const ENABLE_TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("Archive", Takes::Switch),
    ("AutoExpandingArchive", Takes::Switch),
    ("ArchiveName", Takes::Text),
    ("Force", Takes::Switch),
];

pub const DISABLE_TAKES: &[(&str, Takes)] = &[("Identity", Takes::Text), ("Archive", Takes::Switch)];

/// What a mailbox keeps of its archive, beside the settings of the tables.
const GUID: &str = "ArchiveGuid";
const EXPANDING: &str = "AutoExpandingArchiveEnabled";

/// Nil while there is none.
pub fn guid(object: &Object) -> Uuid {
    let stored = object
        .mailbox
        .as_ref()
        .and_then(|mailbox| mailbox.settings.get(GUID));
    let text = stored.and_then(|guid| guid.as_str());
    text.and_then(|guid| guid.parse().ok()).unwrap_or(Uuid::nil())
}

pub fn is_expanding(object: &Object) -> bool {
    let mailbox = object.mailbox.as_ref();
    mailbox.is_some_and(|mailbox| mailbox.settings.contains_key(EXPANDING))
}

/// One of both at a time: the parameters belong to different sets.
pub fn enable(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let identity = parameters.required("Identity")?;
    let before = call.resolve_newest(&identity, is_live_mailbox)?;
    let (archive, expanding) = (
        parameters.is_on("Archive"),
        parameters.is_on("AutoExpandingArchive"),
    );
    let has_archive = !guid(&before.object).is_nil();
    match (archive, expanding) {
        (true, false) if has_archive => {
            return Err(CmdletError::refused(format!(
                "This task does not support recipients of this type. The specified recipient {} already has an archive.",
                before.name
            )));
        }
        (false, true) if !has_archive => {
            return Err(CmdletError::refused(format!(
                "The user {} doesn't have an archive.",
                before.name
            )));
        }
        (true, false) | (false, true) => {}
        (true, true) | (false, false) => {
            return Err(CmdletError::binding(
                "Parameter set cannot be resolved using the specified named parameters.".to_owned(),
            ));
        }
    }
    if !before.licensed {
        return Err(CmdletError::refused(
            "Your Microsoft Exchange Online license doesn't permit you to enable an archive for this mailbox.",
        ));
    }
    let changed = call.world.update(before.handle, call.origin, |object| {
        let Some(mailbox) = &mut object.mailbox else {
            return;
        };
        if archive {
            let guid = Uuid::from_u128(mailbox.exchange_guid.as_u128() ^ 0xA);
            mailbox.settings.insert(GUID, guid.to_string().into());
        } else {
            mailbox.settings.insert(EXPANDING, true.into());
        }
    });
    Ok(write_settings::done(call, &before, changed))
}

/// Only the archive: the mailbox itself stays.
pub fn disable(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let identity = parameters.required("Identity")?;
    let before = call.resolve_newest(&identity, is_live_mailbox)?;
    if !parameters.is_on("Archive") {
        return Err(CmdletError::refused("Only archives are disabled here."));
    }
    let changed = call.world.update(before.handle, call.origin, |object| {
        if let Some(mailbox) = &mut object.mailbox {
            mailbox.settings.remove(GUID);
            mailbox.settings.remove(EXPANDING);
        }
    });
    Ok(write_settings::done(call, &before, changed))
}
