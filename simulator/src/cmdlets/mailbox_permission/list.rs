//! Get-MailboxPermission.

use serde_json::Value;

use crate::cmdlets::call::{Account, Call, Done, shown_name};
use crate::cmdlets::query;
use crate::cmdlets::recipient_permission::{SELF, SELF_SID, holder};
use crate::directory::{AccessEntry, MailboxType, ObjectView, Standing, View};
use crate::error::CmdletError;
use crate::parameters::Parameters;
use crate::quirks::{OrganizationRows, UserFilter};
use crate::row::Row;

/// Which entries of accounts that aren't there are shown (page of Get-MailboxPermission).
#[derive(Clone, Copy)]
struct Scope {
    soft_deleted: bool,
    unresolved: bool,
}

/// Identity is mandatory here, unlike in Get-RecipientPermission.
pub fn get(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let identity = parameters.required("Identity")?;
    let size = query::result_size(parameters)?.unwrap_or(usize::MAX);
    let deleted = parameters.is_on("SoftDeletedMailbox");
    let scope = Scope {
        soft_deleted: parameters.is_on("IncludeSoftDeletedUserPermissions"),
        unresolved: parameters.is_on("IncludeUnresolvedPermissions"),
    };
    let mailbox = call.resolve(&identity, |object| {
        object.mailbox.is_some() && object.is_live() != deleted
    })?;
    let entries = mailbox.full_access();
    let mut rows = Vec::new();
    if let Some(user) = parameters.text("User") {
        let sids = entries.iter().map(|entry| entry.sid.as_str());
        let (sid, _) = holder(call, sids, &user)?;
        let former = match call.world.quirks.access.user_filter {
            UserFilter::PresentSid => Vec::new(),
            UserFilter::EverySid => call
                .trustee(&user)
                .map(|trustee| trustee.sid_history.clone())
                .unwrap_or_default(),
        };
        let own = entries
            .iter()
            .filter(|entry| entry.sid == sid || former.contains(&entry.sid));
        rows.extend(own.filter_map(|entry| entry_row(call, &mailbox, entry, scope)));
    } else {
        rows.extend(self_rows(call, &mailbox));
        rows.extend(
            entries
                .iter()
                .filter_map(|entry| entry_row(call, &mailbox, entry, scope)),
        );
        rows.extend(organization_rows(call, &mailbox));
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

struct Shown<'r> {
    user: &'r str,
    sid: &'r str,
    rights: &'r str,
    deny: bool,
    inherited: bool,
    inheritance: &'r str,
}

fn row(call: &Call<'_>, mailbox: &ObjectView, shown: &Shown<'_>) -> Value {
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

fn entry_row(call: &Call<'_>, mailbox: &ObjectView, entry: &AccessEntry, scope: Scope) -> Option<Value> {
    let user = match &call.account_behind(entry.trustee) {
        Account::Live(seen) => shown_name(seen),
        // Nothing in the row distinguishes it from one of somebody who is there.
        Account::SoftDeleted(seen) if scope.soft_deleted => shown_name(seen),
        Account::Gone if scope.unresolved => entry.sid.clone(),
        Account::SoftDeleted(_) | Account::Gone => return None,
    };
    let rights: Vec<&str> = entry.rights.iter().map(|right| right.name()).collect();
    let shown = Shown {
        user: &user,
        sid: &entry.sid,
        rights: &rights.join(", "),
        deny: entry.deny,
        inherited: entry.standing == Standing::Inherited,
        inheritance: &entry.inheritance,
    };
    Some(row(call, mailbox, &shown))
}

/// The mailbox's own entry; shared mailboxes carry a second one with other rights.
fn self_rows(call: &Call<'_>, mailbox: &ObjectView) -> Vec<Value> {
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

/// What Add-MailboxPermission answers: all that the mailbox has for this SID.
pub fn entries_of(call: &Call<'_>, mailbox: &ObjectView, sid: &str) -> Vec<Value> {
    let all = Scope {
        soft_deleted: true,
        unresolved: true,
    };
    let newest = call.world.directory.seen(mailbox.handle, View::Newest);
    let newest = newest.as_ref().unwrap_or(mailbox);
    let own = newest.full_access().iter().filter(|entry| entry.sid == sid);
    own.filter_map(|entry| entry_row(call, mailbox, entry, all))
        .collect()
}

/// What comes from the organisation: an allowance and a refusal that are nobody's grant, or a role group that looks as
/// if it had been granted something.
fn organization_rows(call: &Call<'_>, mailbox: &ObjectView) -> Vec<Value> {
    match call.world.quirks.access.organization_rows {
        OrganizationRows::Inherited => inherited_rows(call, mailbox),
        OrganizationRows::OnTheMailbox => vec![discovery_row(call, mailbox)],
    }
}

/// A tenant where Get-Group knows the role group has it in its directory.
fn discovery_row(call: &Call<'_>, mailbox: &ObjectView) -> Value {
    const NAME: &str = "Discovery Management";
    let known = call
        .world
        .directory
        .matching(NAME, View::Newest)
        .into_iter()
        .next();
    let sid = known.map_or_else(
        || "S-1-5-21-3787293746-1043275628-2190718315-514".to_owned(),
        |group| group.sid.clone(),
    );
    let shown = Shown {
        user: NAME,
        sid: &sid,
        rights: "FullAccess",
        deny: false,
        inherited: false,
        inheritance: "All",
    };
    row(call, mailbox, &shown)
}

fn inherited_rows(call: &Call<'_>, mailbox: &ObjectView) -> Vec<Value> {
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
