//! What the three quotas of a mailbox may be, together and by its licence.

use super::call::Call;
use crate::directory::Object;
use crate::error::CmdletError;
use crate::parameters::Parameters;
use crate::quirks::QuotaOrder;
use crate::settings::{self, Setting};

const RECEIVE: &str = "ProhibitSendReceiveQuota";

/// Those that must not be above [`RECEIVE`]. Between them there is no rule (page of Set-Mailbox).
const BELOW: [&str; 2] = ["IssueWarningQuota", "ProhibitSendQuota"];

/// Judges the quotas of a call, together with those that it leaves as they are.
pub fn check(
    call: &Call<'_>,
    parameters: &Parameters,
    before: &Object,
    after: &Object,
) -> Result<(), CmdletError> {
    let quotas = settings::MAILBOX.settings.iter();
    let quotas = quotas.filter(|setting| setting.name == RECEIVE || BELOW.contains(&setting.name));
    let given: Vec<&Setting> = quotas.filter(|quota| parameters.has(quota.name)).collect();
    if given.is_empty() {
        return Ok(());
    }
    for quota in given {
        // What is there already may stay, also in an old mailbox that has more than its licence gives.
        let raised = bytes(quota, after) > bytes(quota, before);
        if raised && bytes(quota, after) > largest(after) {
            return Err(above_licence(call, quota, after));
        }
    }
    if call.world.quirks.refusals.quota_order == QuotaOrder::WarningBelowSend
        && let [Some(warning), Some(send)] = BELOW.map(|name| settings::MAILBOX.setting(name))
        && bytes(warning, after) > bytes(send, after)
    {
        return Err(out_of_order(call, warning, send, after));
    }
    let Some(receive) = settings::MAILBOX.setting(RECEIVE) else {
        return Ok(());
    };
    for quota in BELOW
        .into_iter()
        .filter_map(|name| settings::MAILBOX.setting(name))
    {
        if bytes(quota, after) > bytes(receive, after) {
            return Err(out_of_order(call, quota, receive, after));
        }
    }
    Ok(())
}

/// `Unlimited` is above every size.
fn bytes(quota: &Setting, object: &Object) -> u64 {
    quota.effective(object).as_u64().unwrap_or(u64::MAX)
}

fn largest(object: &Object) -> u64 {
    let gigabytes = if object.licensed { 100 } else { 50 };
    gigabytes << 30
}

/// Starts like a refusal for the app's write scope, which it is not.
fn above_licence(call: &Call<'_>, quota: &Setting, after: &Object) -> CmdletError {
    let quirks = &call.world.quirks;
    let shown = quota.shown(after, quirks);
    let what = if quirks.limits_name_the_property {
        format!("The value {shown} of property '{}'", quota.name)
    } else {
        format!("The value {shown}")
    };
    let (name, user) = (&after.name, after.upn.as_deref().unwrap_or_default());
    let licence = if after.licensed {
        "BPOS_S_Enterprise"
    } else {
        "None"
    };
    CmdletError::new(
        400,
        "System.InvalidOperationException",
        format!(
            "The operation on mailbox \"{name}\" failed because it's out of the current user's write scope. {what} \
             exceeds the maximum allowed for user '{user}' with license '{licence}'."
        ),
    )
}

fn out_of_order(call: &Call<'_>, quota: &Setting, receive: &Setting, after: &Object) -> CmdletError {
    let quirks = &call.world.quirks;
    CmdletError::new(
        400,
        "Microsoft.Exchange.Data.DataValidationException",
        format!(
            "The value of property '{}' must be less than or equal to that of property '{}'. {}: {}, {}: {}.",
            quota.name,
            receive.name,
            quota.name,
            quota.shown(after, quirks),
            receive.name,
            receive.shown(after, quirks)
        ),
    )
}
