//! What a tenant and the app's role can do: when it is probed, what the status shows, and what to do about what is missing.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use strum::IntoEnumIterator as _;

use crate::api::condition::{self, Kind, Verdict};
use crate::api::reason::Reason;
use crate::api::{
    BatchAfterError, ClockComparison, ExchangeTenant, HiddenMembers, PagingAnchor, RoleKnowledge,
    TenantCapabilities, last_reconcile_request,
};
use crate::controller::context::Context;
use crate::controller::state::tenants::Probed;
use crate::exchange::{
    AfterError, Anchor, Capabilities, ClockState, Column, Gateway, Missing, USED_CMDLETS, USED_PERMISSIONS,
};
use crate::lane::Lane;

/// A tenant that has everything is probed again this often …
const COMPLETE: Duration = Duration::from_hours(24);
/// … and one that lacks something, or of which nothing is known: somebody may be granting it.
const INCOMPLETE: Duration = Duration::from_hours(1);
/// A probe takes a few seconds; edits of the ExchangeTenant wait for no longer one.
const LONGEST: Duration = Duration::from_secs(30);
/// Entries of a list in status.
const MOST_MISSING: usize = 50;

/// Probes the tenant when it is time. True when something new may be known.
pub async fn probe_if_due(context: &Context, object: &ExchangeTenant) -> bool {
    let name = object.name_any();
    let Some(connected) = context.state.tenants.connection(&name) else {
        return false;
    };
    let request = last_reconcile_request(object.annotations()).cloned();
    let before = context.state.tenants.probed(&name);
    let now = context.clock.instant();
    let refused = connected.gateway.learned().refused;
    let is_due = before.is_none_or(|before| {
        let knows_all = before.capabilities.missing.is_empty() && !before.capabilities.is_empty();
        let lasts = if knows_all { COMPLETE } else { INCOMPLETE };
        before.fingerprint != connected.fingerprint
            || before.request != request
            || now.duration_since(before.at) >= lasts
            || !refused.is_subset(&before.refused)
    });
    if !is_due {
        return false;
    }
    let capabilities = probed(context, &connected.gateway).await;
    let probed = Probed {
        fingerprint: connected.fingerprint,
        at: now,
        capabilities,
        refused: connected.gateway.learned().refused,
        request,
    };
    context.state.tenants.set_probed(&name, probed);
    true
}

/// Nothing is known when it takes too long.
async fn probed(context: &Context, gateway: &Gateway) -> Capabilities {
    let nobody = context.rng.uuid();
    tokio::time::timeout(LONGEST, gateway.probe(Lane::Edit, nobody))
        .await
        .unwrap_or_default()
}

/// What is known of the tenant as it is connected now. None: nothing yet.
pub fn known(context: &Context, object: &ExchangeTenant) -> Option<Capabilities> {
    let name = object.name_any();
    let connected = context.state.tenants.connection(&name)?;
    let probed = context.state.tenants.probed(&name)?;
    let is_known = probed.fingerprint == connected.fingerprint && !probed.capabilities.is_empty();
    is_known.then_some(probed.capabilities)
}

/// As the status shows it. Nothing in it moves unless the tenant does.
pub fn shown(known: &Capabilities) -> TenantCapabilities {
    let Capabilities {
        missing,
        role_is_listed,
        permissions,
        hidden_members,
        batches,
        paging,
        clock,
        columns,
    } = known;
    let absent = Column::iter().filter(|column| columns.get(column) == Some(&false));
    TenantCapabilities {
        missing: missing
            .iter()
            .map(ToString::to_string)
            .take(MOST_MISSING)
            .collect(),
        role: if *role_is_listed {
            RoleKnowledge::Listed
        } else {
            RoleKnowledge::Unknown
        },
        graph_permissions: permissions.iter().flatten().map(ToString::to_string).collect(),
        hidden_members: match hidden_members {
            Some(true) => HiddenMembers::Readable,
            Some(false) => HiddenMembers::Unreadable,
            None => HiddenMembers::Unknown,
        },
        batch_after_error: match batches {
            Some(AfterError::Run) => BatchAfterError::Runs,
            Some(AfterError::NotRun) => BatchAfterError::Stops,
            None => BatchAfterError::Unknown,
        },
        paging: match paging {
            Some(Anchor::TenantId) => PagingAnchor::TenantId,
            Some(Anchor::InitialDomain) => PagingAnchor::InitialDomain,
            None => PagingAnchor::Unknown,
        },
        clock: match clock {
            Some(ClockState::InStep) => ClockComparison::InStep,
            Some(ClockState::Ahead) => ClockComparison::Ahead,
            Some(ClockState::Behind) => ClockComparison::Behind,
            None => ClockComparison::Unknown,
        },
        absent_columns: absent.map(|column| column.name().to_owned()).collect(),
    }
}

/// Names what the app may not use, what does not work without it, and how to grant it.
pub fn advisory(known: &Capabilities) -> Option<Verdict> {
    if known.missing.is_empty() {
        return None;
    }
    let lines: Vec<String> = known.missing.iter().take(MOST_MISSING).map(described).collect();
    let mut how = Vec::new();
    if let Some(first) = known.missing.iter().find(|missing| !is_permission(missing)) {
        how.push(format!(
            "find a role that has it with `{}` in Exchange Online PowerShell, and add the role to the app's role group \
             (New-ManagementRoleAssignment -SecurityGroup GROUP -Role ROLE)",
            role_search(first)
        ));
    }
    if known.missing.iter().any(is_permission) {
        how.push(
            "grant permissions on Microsoft Graph in Entra (App registrations, API permissions) with admin consent"
                .to_owned(),
        );
    }
    let text = format!("the app may not use {}; {}", lines.join(", "), how.join("; "));
    Some(Verdict::new(
        Kind::CapabilityMissing,
        true,
        Reason::NotGranted,
        text,
    ))
}

/// Whether permissions on Microsoft Graph are all that is missing.
pub fn lacks_permissions_only(known: &Capabilities) -> bool {
    known.missing.iter().all(is_permission)
}

fn is_permission(missing: &Missing) -> bool {
    match missing {
        Missing::Permission(_) => true,
        Missing::Cmdlet(_) | Missing::Parameter { .. } => false,
    }
}

/// What was missing when the tenant was last probed, by whichever replica.
pub fn as_before(conditions: &[Condition]) -> Option<Verdict> {
    let before = condition::find(conditions, Kind::CapabilityMissing)?;
    let (reason, message) = (Reason::of(before)?, before.message.clone());
    Some(Verdict::new(Kind::CapabilityMissing, true, reason, message))
}

/// What is missing, and what for.
fn described(missing: &Missing) -> String {
    let without = match missing {
        Missing::Cmdlet(name) => USED_CMDLETS
            .iter()
            .find(|used| used.name == name)
            .map(|used| used.without),
        Missing::Permission(name) => USED_PERMISSIONS
            .iter()
            .find(|used| used.name == *name)
            .map(|used| used.without),
        Missing::Parameter { cmdlet, parameter } => without_parameter(cmdlet, parameter),
    };
    match without {
        Some(without) => format!("{missing} (without it {without})"),
        None => missing.to_string(),
    }
}

fn without_parameter(cmdlet: &str, parameter: &str) -> Option<&'static str> {
    let of_deleted = [
        "IncludeUnresolvedPermissions",
        "IncludeSoftDeletedUserPermissions",
    ];
    (cmdlet == "Get-MailboxPermission" && of_deleted.contains(&parameter))
        .then_some("rights of deleted accounts are not seen")
}

/// The command that lists the roles that have it.
fn role_search(missing: &Missing) -> String {
    match missing {
        Missing::Cmdlet(cmdlet) => format!("Get-ManagementRole -Cmdlet {cmdlet}"),
        Missing::Parameter { cmdlet, parameter } => {
            format!("Get-ManagementRole -Cmdlet {cmdlet} -CmdletParameters {parameter}")
        }
        Missing::Permission(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_advisory_names_what_is_missing_what_for_and_how_to_grant_it() {
        let missing = BTreeSet::from([
            Missing::Cmdlet("Add-RecipientPermission".to_owned()),
            Missing::Permission("User.Read.All"),
        ]);
        let known = Capabilities {
            missing,
            ..Capabilities::default()
        };
        let text = advisory(&known).unwrap().message;
        for part in [
            "Add-RecipientPermission (without it Send As can't be granted)",
            "`Get-ManagementRole -Cmdlet Add-RecipientPermission`",
            "User.Read.All on Microsoft Graph (without it",
            "admin consent",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(advisory(&Capabilities::default()), None);
    }
}
