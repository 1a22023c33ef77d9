//! Full access and its lesser kin: Get-, Add- and Remove-MailboxPermission.

use std::collections::BTreeSet;

use serde_json::Value;

use super::recipient_permission::{SELF, SELF_SID, account, holder};
use super::{Call, CmdletError, Done, is_live_mailbox, query};
use crate::directory::{AccessEntry, AccessRight, MailboxType, Object, Seen};
use crate::parameters::{Parameters, Takes};
use crate::row::Row;

pub const GET_TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("User", Takes::Text),
    ("ResultSize", Takes::Text),
    ("SoftDeletedMailbox", Takes::Switch),
    ("UseCustomRouting", Takes::Switch),
    // Entries of accounts that are gone are shown with and without these two.
    ("IncludeUnresolvedPermissions", Takes::Switch),
    ("IncludeSoftDeletedUserPermissions", Takes::Switch),
];

pub const ADD_TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("User", Takes::Text),
    ("AccessRights", Takes::Texts),
    ("AutoMapping", Takes::Switch),
    ("InheritanceType", Takes::Text),
    ("Deny", Takes::Switch),
];

pub const REMOVE_TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("User", Takes::Text),
    ("AccessRights", Takes::Texts),
    ("InheritanceType", Takes::Text),
    ("Deny", Takes::Switch),
    ("ClearAutoMapping", Takes::Switch),
    ("ResetDefault", Takes::Switch),
];

/// Entries that one mailbox can hold (page of Add-MailboxPermission).
const MOST_ENTRIES: usize = 500;

/// Identity is mandatory here, unlike in Get-RecipientPermission.
pub fn get(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let identity = parameters.required("Identity")?;
    let size = query::result_size(parameters)?.unwrap_or(usize::MAX);
    let deleted = parameters.is_on("SoftDeletedMailbox");
    let mailbox = call.resolve(&identity, |object| {
        object.mailbox.is_some() && object.is_live() != deleted
    })?;
    let entries = entries(&mailbox);
    let mut rows = Vec::new();
    if let Some(user) = parameters.text("User") {
        let ids: Vec<_> = entries.iter().map(|entry| entry.trustee).collect();
        let (id, _) = holder(call, &ids, &user)?;
        let own = entries.iter().filter(|entry| entry.trustee == id);
        rows.extend(own.filter_map(|entry| entry_row(call, &mailbox, entry)));
    } else {
        rows.extend(self_rows(call, &mailbox));
        rows.extend(
            entries
                .iter()
                .filter_map(|entry| entry_row(call, &mailbox, entry)),
        );
        rows.extend(inherited_rows(call, &mailbox));
    }
    let mut done = Done {
        rows,
        ..Done::default()
    };
    if done.rows.len() > size {
        done.rows.truncate(size);
        done.warnings.push(query::truncated(parameters.has("ResultSize")));
    }
    Ok(done)
}

fn entries(object: &Object) -> &[AccessEntry] {
    object
        .mailbox
        .as_ref()
        .map(|mailbox| mailbox.full_access.as_slice())
        .unwrap_or_default()
}

struct Shown<'r> {
    user: &'r str,
    sid: &'r str,
    rights: &'r str,
    deny: bool,
    inherited: bool,
    inheritance: &'r str,
}

fn row(call: &Call<'_>, mailbox: &Seen, shown: &Shown<'_>) -> Value {
    let mut row = Row::new(&call.select);
    row.put("Identity", mailbox.name.clone());
    row.put("User", shown.user);
    row.put("UserSid", shown.sid);
    // Several rights share one item, joined by a comma.
    row.list("AccessRights", vec![shown.rights.to_owned()]);
    row.put("Deny", shown.deny);
    row.put("IsInherited", shown.inherited);
    row.put("InheritanceType", shown.inheritance);
    row.put("PrimarySmtpAddress", "");
    row.put("IsValid", true);
    row.put("ObjectState", "New");
    row.finish().into()
}

fn entry_row(call: &Call<'_>, mailbox: &Seen, entry: &AccessEntry) -> Option<Value> {
    let (user, sid) = call.trustee_text(entry.trustee)?;
    let rights: Vec<&str> = entry.rights.iter().map(|right| right.name()).collect();
    let shown = Shown {
        user: &user,
        sid: &sid,
        rights: &rights.join(", "),
        deny: entry.deny,
        inherited: false,
        inheritance: &entry.inheritance,
    };
    Some(row(call, mailbox, &shown))
}

/// The mailbox's own entry; shared mailboxes carry a second one with other rights.
fn self_rows(call: &Call<'_>, mailbox: &Seen) -> Vec<Value> {
    let shared = mailbox
        .mailbox
        .as_ref()
        .is_some_and(|m| m.kind == MailboxType::Shared);
    let rights: &[&str] = if shared {
        &["FullAccess, ReadPermission", "FullAccess, ExternalAccount"]
    } else {
        &["FullAccess, ReadPermission"]
    };
    let shown = |rights| Shown {
        user: SELF,
        sid: SELF_SID,
        rights,
        deny: false,
        inherited: false,
        inheritance: "All",
    };
    rights
        .iter()
        .map(|rights| row(call, mailbox, &shown(rights)))
        .collect()
}

/// What comes down from the organisation: an allowance and a refusal that are nobody's grant.
fn inherited_rows(call: &Call<'_>, mailbox: &Seen) -> Vec<Value> {
    let rows = [
        (
            "Organization Management",
            "S-1-5-21-3787293746-1043275628-2190718315-512",
            "FullAccess",
            true,
        ),
        (
            "Exchange Servers",
            "S-1-5-21-3787293746-1043275628-2190718315-513",
            "FullAccess, ReadPermission",
            false,
        ),
    ];
    rows.iter()
        .map(|&(user, sid, rights, deny)| {
            row(
                call,
                mailbox,
                &Shown {
                    user,
                    sid,
                    rights,
                    deny,
                    inherited: true,
                    inheritance: "All",
                },
            )
        })
        .collect()
}

pub fn add(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let identity = parameters.required("Identity")?;
    let user = parameters.required("User")?;
    let rights = rights(parameters)?;
    let mailbox = call.resolve_newest(&identity, is_live_mailbox)?;
    let trustee = call.trustee(&user)?;
    let deny = parameters.is_on("Deny");
    let present = entries(&mailbox)
        .iter()
        .find(|e| e.trustee == trustee.id && e.deny == deny);
    if present.is_some_and(|entry| rights.is_subset(&entry.rights)) {
        // Also when only AutoMapping differs: it stays as it was.
        let warning = format!(
            "The appropriate access control entry is already present on the object \"{}\" for account \"{}\".",
            mailbox.name,
            account(&trustee)
        );
        return Ok(Done {
            warnings: vec![warning],
            ..Done::default()
        });
    }
    if present.is_none() && entries(&mailbox).len() >= MOST_ENTRIES {
        return Err(CmdletError::refused(format!(
            "The mailbox \"{}\" already has {MOST_ENTRIES} access control entries.",
            mailbox.name
        )));
    }
    let maps = parameters.switch("AutoMapping").unwrap_or(true)
        && rights.contains(&AccessRight::FullAccess)
        && !deny
        && trustee.is_user();
    let inheritance = inheritance(parameters)?;
    let changed = call.world.update(mailbox.handle, call.origin, |object| {
        let Some(mailbox) = &mut object.mailbox else {
            return;
        };
        let found = mailbox
            .full_access
            .iter_mut()
            .find(|e| e.trustee == trustee.id && e.deny == deny);
        match found {
            Some(entry) => {
                entry.rights.extend(&rights);
                entry.auto_mapping |= maps;
            }
            None => mailbox.full_access.push(AccessEntry {
                trustee: trustee.id,
                rights,
                deny,
                inheritance,
                auto_mapping: maps,
            }),
        }
    });
    Ok(Done {
        changed,
        ..Done::default()
    })
}

pub fn remove(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let identity = parameters.required("Identity")?;
    let mailbox = call.resolve_newest(&identity, is_live_mailbox)?;
    if parameters.is_on("ClearAutoMapping") {
        return Ok(change_all(call, &mailbox, |entries| {
            for entry in entries {
                entry.auto_mapping = false;
            }
        }));
    }
    if parameters.is_on("ResetDefault") {
        return Ok(change_all(call, &mailbox, Vec::clear));
    }
    let user = parameters.required("User")?;
    let rights = rights(parameters)?;
    let deny = parameters.is_on("Deny");
    let ids: Vec<_> = entries(&mailbox).iter().map(|entry| entry.trustee).collect();
    let (id, account) = holder(call, &ids, &user)?;
    let done = change_all(call, &mailbox, |entries| {
        for entry in entries
            .iter_mut()
            .filter(|entry| entry.trustee == id && entry.deny == deny)
        {
            entry.rights.retain(|right| !rights.contains(right));
            entry.auto_mapping &= entry.rights.contains(&AccessRight::FullAccess);
        }
        entries.retain(|entry| !entry.rights.is_empty());
    });
    if done.changed {
        return Ok(done);
    }
    let warning = format!(
        "Can't remove the access control entry on the object \"{}\" for account \"{account}\" because the ACE doesn't \
         exist on the object.",
        mailbox.name
    );
    Ok(Done {
        warnings: vec![warning],
        ..done
    })
}

fn change_all(call: &mut Call<'_>, mailbox: &Seen, change: impl FnOnce(&mut Vec<AccessEntry>)) -> Done {
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
