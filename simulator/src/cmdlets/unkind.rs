//! What keeps an app from running a cmdlet that an admin may run: its role, its write scope, and what lists refuse.

use serde_json::{Map, Value};

use super::call::Call;
use crate::directory::Object;
use crate::error::CmdletError;
use crate::filter::Filter;

pub fn check(call: &Call<'_>, cmdlet: &str, parameters: &Map<String, Value>) -> Result<(), CmdletError> {
    role(call, cmdlet, parameters)?;
    scope(call, cmdlet, parameters)?;
    filter(call, cmdlet, parameters)
}

fn role(call: &Call<'_>, cmdlet: &str, parameters: &Map<String, Value>) -> Result<(), CmdletError> {
    for lacking in &call.world.quirks.refusals.not_in_role {
        match lacking.split_once('/') {
            None if lacking.eq_ignore_ascii_case(cmdlet) => return Err(CmdletError::unknown_cmdlet(cmdlet)),
            Some((of, parameter)) if of.eq_ignore_ascii_case(cmdlet) => {
                let given = parameters
                    .keys()
                    .find(|name| name.eq_ignore_ascii_case(parameter));
                if let Some(name) = given {
                    return Err(CmdletError::unknown_parameter(name));
                }
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

/// One first sentence for refusals that have nothing in common.
fn scope(call: &Call<'_>, cmdlet: &str, parameters: &Map<String, Value>) -> Result<(), CmdletError> {
    let refusals = &call.world.quirks.refusals;
    let reads = cmdlet.starts_with("Get-") || cmdlet == "New-Mailbox";
    let identity = parameters.get("Identity").and_then(Value::as_str);
    let (Some(identity), false) = (identity, reads) else {
        return Ok(());
    };
    let Ok(target) = call.resolve_newest(identity, Object::is_recipient) else {
        // The cmdlet itself says so.
        return Ok(());
    };
    if refusals
        .out_of_scope
        .iter()
        .any(|address| target.has_address(address))
    {
        return Err(CmdletError::out_of_scope(&target.name));
    }
    let is_handed_over = target.cloud_managed || parameters.contains_key("IsExchangeCloudManaged");
    if refusals.synced && target.dir_synced && !is_handed_over && cmdlet.starts_with("Set-") {
        return Err(CmdletError::synced(&target.name));
    }
    Ok(())
}

fn filter(call: &Call<'_>, cmdlet: &str, parameters: &Map<String, Value>) -> Result<(), CmdletError> {
    let lists = &call.world.quirks.lists;
    let Some(Ok(filter)) = parameters
        .get("Filter")
        .and_then(Value::as_str)
        .map(Filter::parse)
    else {
        return Ok(());
    };
    let mut names = Vec::new();
    filter.properties(&mut names);
    if lists.most_conditions > 0 && names.len() > lists.most_conditions {
        return Err(CmdletError::filter_too_long(names.len()));
    }
    let by_id = names
        .iter()
        .any(|name| name.eq_ignore_ascii_case("ExternalDirectoryObjectId"));
    if lists.groups_have_no_id_filter && by_id && cmdlet == "Get-Group" {
        return Err(CmdletError::not_filterable("ExternalDirectoryObjectId"));
    }
    Ok(())
}
