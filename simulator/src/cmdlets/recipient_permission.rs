//! Send As: Get-, Add- and Remove-RecipientPermission.

use serde_json::Value;

use super::{Call, CmdletError, Done, query};
use crate::directory::{Object, Seen, View};
use crate::parameters::{Parameters, Takes};
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
    ("MultiTrustees", Takes::Texts),
    ("SkipDomainValidationForSharedMailbox", Takes::Switch),
];

/// The well-known SID of the object itself.
pub const SELF_SID: &str = "S-1-5-10";
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
        .map(|text| call.trustee(&text))
        .transpose()?;
    let smtp = parameters.is_on("IncludeTrusteeWithPrimarySmtpAddress");
    let targets: Box<dyn Iterator<Item = Seen>> = match parameters.text("Identity") {
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
        let own = trustee.is_none().then(|| row(call, &target, SELF, SELF_SID, ""));
        let others = target
            .send_as
            .iter()
            .filter(|id| trustee.as_ref().is_none_or(|t| t.id == **id));
        let others = others.filter_map(|id| {
            let (text, sid) = call.trustee_text(*id)?;
            let address = call.world.directory.by_id(*id, View::Newest);
            let address = address
                .as_ref()
                .filter(|_| smtp)
                .and_then(|seen| seen.primary_address());
            Some(row(call, &target, &text, &sid, address.unwrap_or_default()))
        });
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

fn row(call: &Call<'_>, target: &Seen, trustee: &str, sid: &str, address: &str) -> Value {
    let mut row = Row::new(&call.select);
    row.put("Identity", target.name.clone());
    row.put("Trustee", trustee);
    row.put("AccessControlType", "Allow");
    row.list("AccessRights", vec!["SendAs".to_owned()]);
    row.put("TrusteeSidString", sid);
    row.put("IsInherited", false);
    row.put("InheritanceType", "None");
    row.put("PrimarySmtpAddress", "");
    row.put("TrusteeWithPrimarySmtpAddress", address);
    row.put("IsValid", true);
    row.put("ObjectState", "New");
    row.finish().into()
}

pub fn add(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let (target, trustee) = ends(call, parameters)?;
    if target.send_as.contains(&trustee.id) {
        let warning = format!(
            "The appropriate access control entry is already present on the object \"{}\" for account \"{}\".",
            target.name,
            account(&trustee)
        );
        return Ok(Done {
            warnings: vec![warning],
            ..Done::default()
        });
    }
    let id = trustee.id;
    let changed = call
        .world
        .update(target.handle, call.origin, |object| object.send_as.push(id));
    Ok(Done {
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
    let mut done = Done::default();
    for name in names {
        let (id, account) = holder(call, &target.send_as, &name)?;
        let removed = call.world.update(target.handle, call.origin, |object| {
            object.send_as.retain(|trustee| *trustee != id);
        });
        if !removed {
            done.warnings.push(format!(
                "Can't remove the access control entry on the object \"{}\" for account \"{account}\" because the ACE \
                 isn't present.",
                target.name
            ));
        }
        done.changed |= removed;
    }
    Ok(done)
}

/// A trustee of an entry, by any identity, or by SID when the account is gone.
pub fn holder(
    call: &Call<'_>,
    entries: &[uuid::Uuid],
    name: &str,
) -> Result<(uuid::Uuid, String), CmdletError> {
    let gone = entries.iter().find(|id| {
        call.trustee_text(**id)
            .is_some_and(|(_, sid)| sid.eq_ignore_ascii_case(name))
    });
    match gone {
        Some(id) => Ok((*id, name.to_owned())),
        None => call.trustee(name).map(|trustee| (trustee.id, account(&trustee))),
    }
}

/// An account as warnings name it.
pub fn account(trustee: &Seen) -> String {
    format!(
        "EURPR05A001\\{}",
        trustee.alias.as_deref().unwrap_or(&trustee.name)
    )
}

fn ends(call: &Call<'_>, parameters: &Parameters) -> Result<(Seen, Seen), CmdletError> {
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
