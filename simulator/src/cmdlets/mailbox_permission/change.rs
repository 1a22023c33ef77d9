//! Add- and Remove-MailboxPermission.

use std::collections::BTreeSet;

use super::list;
use crate::cmdlets::call::{Call, Done, inherited_ignored, is_live_mailbox};
use crate::cmdlets::recipient_permission::{account, former_sids, holder};
use crate::directory::{AccessEntry, AccessRight, ObjectView, Standing};
use crate::error::CmdletError;
use crate::parameters::Parameters;

/// Entries that one mailbox can hold (page of Add-MailboxPermission). Those of deleted accounts count.
const MOST_ENTRIES: usize = 500;

pub fn add(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let identity = parameters.required("Identity")?;
    let user = parameters.required("User")?;
    let rights = rights(parameters)?;
    let mailbox = call.resolve_newest(&identity, is_live_mailbox)?;
    let trustee = call.trustee(&user)?;
    let deny = parameters.is_on("Deny");
    let own =
        |entry: &AccessEntry| entry.sid == trustee.entry_sid() && entry.deny == deny && is_of_mailbox(entry);
    let present = mailbox.full_access().iter().find(|entry| own(entry));
    if present.is_some_and(|entry| rights.is_subset(&entry.rights)) {
        // Also when only AutoMapping differs: it stays as it was.
        let warning = format!(
            "The appropriate access control entry is already present on the object \"{}\" for account \"{}\".",
            mailbox.name,
            account(&trustee)
        );
        return Ok(Done::warned(warning));
    }
    let held = mailbox
        .full_access()
        .iter()
        .filter(|entry| is_of_mailbox(entry))
        .count();
    if present.is_none() && held >= MOST_ENTRIES {
        return Err(CmdletError::too_many_entries(&mailbox.name, MOST_ENTRIES));
    }
    let maps = parameters.switch("AutoMapping").unwrap_or(true)
        && rights.contains(&AccessRight::FullAccess)
        && !deny
        && trustee.is_user();
    let inheritance = inheritance(parameters)?;
    let mut done = change_all(call, &mailbox, |entries| {
        match entries.iter_mut().find(|entry| own(entry)) {
            Some(entry) => {
                entry.rights.extend(&rights);
                entry.auto_mapping |= maps;
            }
            None => entries.push(AccessEntry {
                trustee: trustee.id,
                sid: trustee.entry_sid().to_owned(),
                rights,
                deny,
                standing: Standing::Explicit,
                inheritance,
                auto_mapping: maps,
            }),
        }
    });
    if call.world.quirks.access.adding_answers_the_row {
        done.rows = list::entries_of(call, &mailbox, trustee.entry_sid());
    }
    Ok(done)
}

/// Stands on the mailbox itself instead of coming down from the organisation.
fn is_of_mailbox(entry: &AccessEntry) -> bool {
    entry.standing != Standing::Inherited
}

pub fn remove(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let identity = parameters.required("Identity")?;
    let clears = parameters.is_on("ClearAutoMapping");
    let resets = parameters.is_on("ResetDefault");
    let names_user = parameters.has("User") || parameters.has("AccessRights");
    if (clears && resets) || ((clears || resets) && names_user) {
        return Err(CmdletError::binding(
            "Parameter set cannot be resolved using the specified named parameters.",
        ));
    }
    let mailbox = call.resolve_newest(&identity, is_live_mailbox)?;
    if clears {
        return Ok(change_all(call, &mailbox, |entries| {
            for entry in entries {
                entry.auto_mapping = false;
            }
        }));
    }
    if resets {
        return Ok(change_all(call, &mailbox, |entries| {
            entries.retain(|entry| !is_of_mailbox(entry));
        }));
    }
    remove_of_one(call, parameters, &mailbox)
}

fn remove_of_one(
    call: &mut Call<'_>,
    parameters: &Parameters,
    mailbox: &ObjectView,
) -> Result<Done, CmdletError> {
    let user = parameters.required("User")?;
    let rights = rights(parameters)?;
    let deny = parameters.is_on("Deny");
    let sids = mailbox.full_access().iter().map(|entry| entry.sid.as_str());
    let (sid, account) = holder(call, sids, &user)?;
    let own = |entry: &AccessEntry| entry.sid == sid && entry.deny == deny;
    let removable = |entry: &AccessEntry| own(entry) && entry.standing == Standing::Explicit;
    let done = change_all(call, mailbox, |entries| {
        for entry in entries.iter_mut().filter(|entry| removable(entry)) {
            entry.rights.retain(|right| !rights.contains(right));
            entry.auto_mapping &= entry.rights.contains(&AccessRight::FullAccess);
        }
        entries.retain(|entry| !entry.rights.is_empty());
    });
    let former = former_sids(call, &user).into_iter();
    let mut done = done;
    done.warnings
        .extend(former.map(|sid| not_present(&mailbox.name, &sid)));
    if done.changed {
        return Ok(done);
    }
    let inherited = |entry: &AccessEntry| {
        own(entry) && entry.standing == Standing::Inherited && !entry.rights.is_disjoint(&rights)
    };
    if mailbox.full_access().iter().any(inherited) {
        return Ok(Done::warned(inherited_ignored(&mailbox.name, deny)));
    }
    done.warnings.insert(0, not_present(&mailbox.name, &account));
    Ok(done)
}

fn not_present(object: &str, account: &str) -> String {
    format!(
        "Can't remove the access control entry on the object \"{object}\" for account \"{account}\" because the ACE doesn't \
         exist on the object."
    )
}

fn change_all(call: &mut Call<'_>, mailbox: &ObjectView, change: impl FnOnce(&mut Vec<AccessEntry>)) -> Done {
    let changed = call.world.update(mailbox.handle, call.origin, |object| {
        if let Some(mailbox) = &mut object.mailbox {
            change(&mut mailbox.full_access);
        }
    });
    Done {
        changed,
        ..Done::default()
    }
}

fn inheritance(parameters: &Parameters) -> Result<String, CmdletError> {
    let known = ["All", "None", "Children", "Descendents", "SelfAndChildren"];
    let Some(given) = parameters.text("InheritanceType") else {
        return Ok("All".to_owned());
    };
    let found = known.iter().find(|name| name.eq_ignore_ascii_case(&given));
    found.map(|name| (*name).to_owned()).ok_or_else(|| {
        let to = "System.DirectoryServices.ActiveDirectorySecurityInheritance";
        CmdletError::conversion("InheritanceType", "System.String", to)
    })
}

fn rights(parameters: &Parameters) -> Result<BTreeSet<AccessRight>, CmdletError> {
    let words = parameters.words("AccessRights");
    if words.is_empty() {
        return Err(CmdletError::missing_parameter("AccessRights"));
    }
    words
        .iter()
        .map(|word| {
            let known = AccessRight::ALL
                .iter()
                .find(|right| right.name().eq_ignore_ascii_case(word));
            known.copied().ok_or_else(|| {
                CmdletError::conversion(
                    "AccessRights",
                    "System.String",
                    "Microsoft.Exchange.Management.RecipientTasks.MailboxRights[]",
                )
            })
        })
        .collect()
}
