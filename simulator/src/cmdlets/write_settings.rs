//! Writing the settings of a table, for the Set- cmdlets.

use serde_json::Value;

use super::call::{Call, Done};
use crate::directory::Object;
use crate::error::CmdletError;
use crate::parameters::Parameters;
use crate::quirks::EmptyList;
use crate::settings::{Kind, Pair};

/// Puts every setting of the pair that was given into the object.
pub fn write(
    call: &Call<'_>,
    pair: &Pair,
    parameters: &Parameters,
    after: &mut Object,
) -> Result<(), CmdletError> {
    for setting in pair.settings {
        let Some(given) = parameters.raw(setting.name) else {
            continue;
        };
        let mut value = setting.parse(given)?;
        if setting.kind == Kind::Recipient
            && let Some(Value::String(identity)) = &value
        {
            let recipient = call.resolve(identity, |object| object.is_recipient() && object.is_live())?;
            value = Some(recipient.name.clone().into());
        }
        if setting.kind == Kind::Recipients {
            if value.is_none() && !empties(call, given) {
                continue;
            }
            if let Some(Value::Array(identities)) = &value {
                let names = identities.iter().filter_map(Value::as_str).map(|identity| {
                    let recipient =
                        call.resolve(identity, |object| object.is_recipient() && object.is_live())?;
                    Ok(recipient.name.clone().into())
                });
                value = Some(Value::Array(names.collect::<Result<_, CmdletError>>()?));
            }
        }
        setting.write(after, value, &call.world.quirks);
    }
    Ok(())
}

/// Whether this is how the tenant wants a list to be emptied.
fn empties(call: &Call<'_>, given: &Value) -> bool {
    match call.world.quirks.lists_are_emptied_by {
        EmptyList::Null => given.is_null(),
        EmptyList::Empty => given.is_array(),
    }
}

/// What a Set- cmdlet says in the end.
pub fn done(call: &Call<'_>, target: &Object, changed: bool) -> Done {
    let mut done = Done {
        changed,
        ..Done::default()
    };
    if !changed && call.world.quirks.says_unmodified {
        done.warnings.push(format!(
            "The command completed successfully but no settings of '{}' have been modified.",
            target.name
        ));
    }
    done
}
