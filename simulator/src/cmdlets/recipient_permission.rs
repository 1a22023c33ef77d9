//! Send As: Get-, Add- and Remove-RecipientPermission.

use serde_json::Value;

use super::call::{Account, Call, Done, inherited_ignored, shown_name};
use super::query;
use crate::directory::{Object, ObjectView, SendAsEntry, Standing};
use crate::error::CmdletError;
use crate::parameters::{Parameters, Takes};
use crate::quirks::Linked;
use crate::row::Row;

pub const GET_TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("Trustee", Takes::Text),
    ("AccessRights", Takes::Texts),
    ("ResultSize", Takes::Text),
    ("IncludeTrusteeWithPrimarySmtpAddress", Takes::Switch),
];

pub const ADD_TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("Trustee", Takes::Text),
    ("AccessRights", Takes::Texts),
];

pub const REMOVE_TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("Trustee", Takes::Text),
    ("AccessRights", Takes::Texts),
    ("Deny", Takes::Switch),
    ("MultiTrustees", Takes::Texts),
    ("SkipDomainValidationForSharedMailbox", Takes::Switch),
];

/// The well-known SID of the object itself.
pub const SELF_SID: &str = "S-1-5-10";
/// The part of the data centre whose accounts messages name.
const FOREST: &str = "EURPR05A001";
pub const SELF: &str = "NT AUTHORITY\\SELF";

fn is_live_recipient(object: &Object) -> bool {
    object.is_recipient() && object.is_live()
}

/// Without Identity: the whole tenant.
pub fn get(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    check_right(parameters, false)?;
    let size = query::result_size(parameters)?.unwrap_or(usize::MAX);
    let trustee = parameters
        .text("Trustee")
        .map(|text| sid_of(call, &text))
        .transpose()?;
    let smtp = parameters.is_on("IncludeTrusteeWithPrimarySmtpAddress");
    let targets: Box<dyn Iterator<Item = ObjectView>> = match parameters.text("Identity") {
        Some(identity) => Box::new(std::iter::once(call.resolve(&identity, is_live_recipient)?)),
        None => Box::new(
            call.world
                .directory
                .all(call.view)
                .filter(|seen| is_live_recipient(seen)),
        ),
    };
    let mut done = Done::default();
    for target in targets {
        let own = trustee.is_none().then(|| row(call, &target, &SELF_ROW));
        let others = target
            .send_as
            .iter()
            .filter(|entry| trustee.as_ref().is_none_or(|sid| *sid == entry.sid))
            .map(|entry| entry_row(call, &target, entry, smtp));
        for row in own.into_iter().chain(others) {
            if done.rows.len() >= size {
                done.warnings.push(query::truncated(parameters.has("ResultSize")));
                return Ok(done);
            }
            done.rows.push(row);
        }
    }
    Ok(done)
}

/// What `-Trustee` compares entries with: a SID as it was given, else the one that the account has now.
fn sid_of(call: &Call<'_>, name: &str) -> Result<String, CmdletError> {
    let trustee = call.trustee(name)?;
    let former = trustee
        .sid_history
        .iter()
        .find(|sid| sid.eq_ignore_ascii_case(name));
    Ok(former
        .cloned()
        .unwrap_or_else(|| found_sid(call, &trustee).to_owned()))
}

struct Shown<'r> {
    trustee: &'r str,
    sid: &'r str,
    deny: bool,
    inherited: bool,
    address: &'r str,
}

const SELF_ROW: Shown<'static> = Shown {
    trustee: SELF,
    sid: SELF_SID,
    deny: false,
    inherited: false,
    address: "",
};

fn entry_row(call: &Call<'_>, target: &ObjectView, entry: &SendAsEntry, smtp: bool) -> Value {
    let account = call.account_behind(entry.trustee);
    let address = match &account {
        Account::Live(seen) | Account::SoftDeleted(seen) if smtp => seen.primary_address(),
        Account::Live(_) | Account::SoftDeleted(_) | Account::Gone => None,
    };
    let shown = Shown {
        trustee: &trustee_text(&account, &entry.sid),
        sid: &entry.sid,
        deny: entry.deny,
        inherited: entry.standing == Standing::Inherited,
        address: address.unwrap_or_default(),
    };
    row(call, target, &shown)
}

/// Entries of deleted accounts are always listed: under a made-up account name of the data centre while
/// they can be restored, by their bare security identifier after that.
fn trustee_text(account: &Account, sid: &str) -> String {
    match account {
        Account::Live(seen) => shown_name(seen),
        Account::SoftDeleted(seen) => {
            let guid = seen.guid.simple().to_string().to_uppercase();
            let (head, tail) = guid.split_at(6);
            let tail = tail.get(..12).unwrap_or_default();
            format!("{FOREST}\\${head}-{tail}")
        }
        Account::Gone => sid.to_owned(),
    }
}

fn row(call: &Call<'_>, target: &ObjectView, shown: &Shown<'_>) -> Value {
    let mut row = Row::new(&call.select);
    row.put("Identity", target.name.clone());
    row.put("Trustee", shown.trustee);
    row.put("AccessControlType", if shown.deny { "Deny" } else { "Allow" });
    row.list("AccessRights", vec!["SendAs".to_owned()]);
    row.put("TrusteeSidString", shown.sid);
    if !call.world.tenant.send_as_rows_lack_inheritance {
        row.put("IsInherited", shown.inherited);
    }
    row.put("InheritanceType", "None");
    row.put("PrimarySmtpAddress", "");
    row.put("TrusteeWithPrimarySmtpAddress", shown.address);
    row.put("IsValid", true);
    row.put("ObjectState", "New");
    row.finish().into()
}

pub fn add(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let (target, trustee) = ends(call, parameters)?;
    let of_target = |entry: &SendAsEntry| entry.standing != Standing::Inherited && !entry.deny;
    let mut present = target.send_as.iter().filter(|entry| of_target(entry));
    if present.any(|entry| entry.sid == trustee.entry_sid()) {
        let warning = format!(
            "The appropriate access control entry is already present on the object \"{}\" for account \"{}\".",
            target.name,
            account(&trustee)
        );
        return Ok(Done::warned(warning));
    }
    let entry = SendAsEntry::granted_to(trustee.id, trustee.entry_sid().to_owned());
    let rows = if call.world.quirks.access.adding_answers_the_row {
        vec![entry_row(call, &target, &entry, false)]
    } else {
        Vec::new()
    };
    let changed = call
        .world
        .update(target.handle, call.origin, |object| object.send_as.push(entry));
    Ok(Done {
        rows,
        changed,
        ..Done::default()
    })
}

pub fn remove(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let identity = parameters.required("Identity")?;
    let target = call.resolve_newest(&identity, is_live_recipient)?;
    check_right(parameters, true)?;
    let several = parameters.words("MultiTrustees");
    let names = if several.is_empty() {
        vec![parameters.required("Trustee")?]
    } else {
        several
    };
    let deny = parameters.is_on("Deny");
    let mut done = Done::default();
    for name in names {
        let sids = target.send_as.iter().map(|entry| entry.sid.as_str());
        let (sid, account) = holder(call, sids, &name)?;
        let own = |entry: &SendAsEntry| entry.sid == sid && entry.deny == deny;
        let removed = call.world.update(target.handle, call.origin, |object| {
            object
                .send_as
                .retain(|entry| !(own(entry) && entry.standing == Standing::Explicit));
        });
        let inherited = |entry: &SendAsEntry| own(entry) && entry.standing == Standing::Inherited;
        if !removed && target.send_as.iter().any(inherited) {
            done.warnings.push(inherited_ignored(&target.name, deny));
        } else if !removed {
            done.warnings.push(not_present(&target.name, &account));
        }
        let former = former_sids(call, &name).into_iter();
        done.warnings
            .extend(former.map(|sid| not_present(&target.name, &sid)));
        done.changed |= removed;
    }
    Ok(done)
}

/// The SID by which entries of somebody are found, and the account as warnings name it: the SID itself where
/// an entry carries the one that was given, else the one that the account has now (page of
/// Get-RecipientPermission). Entries from before a change of SID are found by the old one only.
pub fn holder<'e>(
    call: &Call<'_>,
    sids: impl IntoIterator<Item = &'e str>,
    name: &str,
) -> Result<(String, String), CmdletError> {
    match sids.into_iter().find(|sid| sid.eq_ignore_ascii_case(name)) {
        Some(sid) => Ok((sid.to_owned(), name.to_owned())),
        None => call
            .trustee(name)
            .map(|trustee| (found_sid(call, &trustee).to_owned(), account(&trustee))),
    }
}

fn not_present(object: &str, account: &str) -> String {
    format!(
        "Can't remove the access control entry on the object \"{object}\" for account \"{account}\" because the ACE isn't \
         present."
    )
}

/// The SID under which entries of an account are looked for when it is named.
pub fn found_sid<'t>(call: &Call<'_>, trustee: &'t ObjectView) -> &'t str {
    match call.world.quirks.access.linked {
        Linked::NotFound => &trustee.sid,
        Linked::None | Linked::Found => trustee.entry_sid(),
    }
}

/// The SIDs of which a removal warns although they are not what was asked for: those that the named account had before.
pub fn former_sids(call: &Call<'_>, name: &str) -> Vec<String> {
    let warns = call.world.quirks.access.warns_of_former_sids && !name.starts_with("S-1-");
    let trustee = warns.then(|| call.trustee(name).ok()).flatten();
    trustee
        .map(|trustee| trustee.sid_history.clone())
        .unwrap_or_default()
}

/// An account as warnings name it.
pub fn account(trustee: &ObjectView) -> String {
    format!("{FOREST}\\{}", trustee.alias.as_deref().unwrap_or(&trustee.name))
}

fn ends(call: &Call<'_>, parameters: &Parameters) -> Result<(ObjectView, ObjectView), CmdletError> {
    let identity = parameters.required("Identity")?;
    let name = parameters.required("Trustee")?;
    check_right(parameters, true)?;
    let target = call.resolve_newest(&identity, is_live_recipient)?;
    Ok((target, call.trustee(&name)?))
}

fn check_right(parameters: &Parameters, mandatory: bool) -> Result<(), CmdletError> {
    let rights = parameters.words("AccessRights");
    if rights.is_empty() && mandatory {
        return Err(CmdletError::missing_parameter("AccessRights"));
    }
    if rights.iter().any(|right| !right.eq_ignore_ascii_case("SendAs")) {
        return Err(CmdletError::conversion(
            "AccessRights",
            "System.String",
            "Microsoft.Exchange.Management.RecipientTasks.RecipientAccessRight[]",
        ));
    }
    Ok(())
}
