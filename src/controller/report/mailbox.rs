//! The status of a SharedMailbox.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use super::{Facts, missing_grants};
use crate::api::condition::{self, Kind, Truth, Verdict};
use crate::api::{RawRecord, Record, SharedMailbox, SharedMailboxStatus, SignIn, reconcile_requests};
use crate::controller::outcome::Meaning;
use crate::mail::{ObjectId, Right};
use crate::plan::{Desired, Observed, Step};

/// Conditions that stay as they were when a pass ended before it saw the mailbox.
const ABOUT_THE_MAILBOX: [Kind; 4] = [
    Kind::Provisioned,
    Kind::SignInBlocked,
    Kind::SettingsSynced,
    Kind::PermissionsSynced,
];

/// The mailbox's next status; `record` is what the operator must remember from now on.
pub fn mailbox(
    object: &SharedMailbox,
    meaning: &Meaning,
    facts: Option<&Facts<'_>>,
    record: Option<&Record>,
    now: Timestamp,
) -> SharedMailboxStatus {
    let generation = object.metadata.generation.unwrap_or_default();
    let mut status = object.status.clone().unwrap_or_default();
    if let Some(record) = record {
        status.record = Some(RawRecord::from(record));
    }
    // Times written alike sort alike: the later of the two requests is the one that was acted on last.
    let requested = reconcile_requests(object.annotations())
        .into_iter()
        .flatten()
        .max();
    let Some(ready) = meaning.ready.clone() else {
        return status;
    };
    status.last_handled_reconcile_at = requested.cloned();
    status.observed_generation = Some(generation);
    status.summary = Some(ready.reason.to_string());
    let mut verdicts = vec![ready];
    verdicts.extend(meaning.progress.clone());
    match facts {
        Some(facts) => {
            verdicts.extend(about_the_mailbox(facts));
            fill_columns(&mut status, facts);
        }
        None => verdicts.extend(kept(&status.conditions)),
    }
    status.conditions = condition::merge(&status.conditions, &verdicts, generation, now);
    status
}

/// The old verdicts about the mailbox, as verdicts again.
fn kept(old: &[Condition]) -> Vec<Verdict> {
    let again = |kind: Kind| {
        let before = condition::find(old, kind)?;
        let truth = match before.status.as_str() {
            "True" => Truth::True,
            "False" => Truth::False,
            _ => Truth::Unknown,
        };
        Some(Verdict::new(
            kind,
            truth,
            before.reason.clone(),
            before.message.clone(),
        ))
    };
    ABOUT_THE_MAILBOX.into_iter().filter_map(again).collect()
}

fn about_the_mailbox(facts: &Facts<'_>) -> Vec<Verdict> {
    let guid = facts.observed.guid;
    let settings_differ = facts.rest.steps.iter().find_map(|step| match step {
        Step::Set(settings) => {
            let mut only_settings = settings.clone();
            only_settings.add_on_behalf.clear();
            only_settings.remove_on_behalf.clear();
            (!only_settings.is_empty()).then(|| only_settings.to_string())
        }
        Step::Revoke { .. } | Step::Grant { .. } | Step::SetDirectorySignIn { .. } => None,
    });
    let settings = if facts.refused_settings.is_empty() {
        match settings_differ {
            None => Verdict::new(
                Kind::SettingsSynced,
                true,
                "Synced",
                "all declared settings are set",
            ),
            Some(rest) => Verdict::new(Kind::SettingsSynced, false, "Syncing", format!("to do: {rest}")),
        }
    } else {
        Verdict::new(
            Kind::SettingsSynced,
            false,
            "SettingRefused",
            facts.refused_settings.join("; "),
        )
    };
    let grants_left = facts.rest.steps.iter().any(touches_grants);
    let permissions = if facts.members_refused > 0 || !facts.refused_grants.is_empty() {
        let count = facts.members_refused + facts.refused_grants.len();
        let text = format!("{count} members or rights are refused; their MailboxPermission says why");
        Verdict::new(Kind::PermissionsSynced, false, "MembersRefused", text)
    } else if grants_left {
        Verdict::new(
            Kind::PermissionsSynced,
            false,
            "Granting",
            "some grants are still to be made or revoked",
        )
    } else {
        Verdict::new(
            Kind::PermissionsSynced,
            true,
            "Granted",
            "all declared rights are granted",
        )
    };
    vec![
        Verdict::new(
            Kind::Provisioned,
            true,
            "Created",
            format!("the mailbox exists; its ExchangeGuid is {guid}"),
        ),
        sign_in(facts.desired, facts.observed),
        settings,
        permissions,
    ]
}

fn touches_grants(step: &Step) -> bool {
    match step {
        Step::Revoke { .. } | Step::Grant { .. } => true,
        Step::Set(settings) => !settings.add_on_behalf.is_empty() || !settings.remove_on_behalf.is_empty(),
        Step::SetDirectorySignIn { .. } => false,
    }
}

fn sign_in(desired: &Desired, observed: &Observed) -> Verdict {
    let kind = Kind::SignInBlocked;
    match (
        observed.sign_in_is_blocked(),
        observed.directory_enabled,
        desired.sign_in,
    ) {
        (true, Some(_), _) => Verdict::new(
            kind,
            true,
            "Blocked",
            "nobody can sign in to the account behind the mailbox; verified in the directory",
        ),
        (true, None, _) => Verdict::new(
            kind,
            true,
            "BlockedAccordingToExchange",
            "Exchange shows sign-in blocked; it could not be verified in the directory: the app may not read users \
             (User.Read.All), or the directory does not show the account yet",
        ),
        (false, _, SignIn::Allowed) => Verdict::new(
            kind,
            false,
            "AllowedBySpec",
            "spec.signIn is Allowed: people can sign in with a password",
        ),
        (false, _, SignIn::Blocked) => Verdict::new(
            kind,
            false,
            "Open",
            "the account behind the mailbox can be signed in to; it is being blocked",
        ),
    }
}

fn fill_columns(status: &mut SharedMailboxStatus, facts: &Facts<'_>) {
    let Facts {
        desired,
        observed,
        kind,
        record: _,
        rest,
        refused_settings: _,
        refused_grants,
        tenant,
        members_refused: _,
    } = facts;
    let blocked = observed.sign_in_is_blocked();
    status.sign_in = Some(if blocked { "Blocked" } else { "Open" }.to_owned());
    status.primary_address = Some(observed.primary.to_string());
    status.mailbox_guid = Some(observed.guid.to_string());
    status.object_id = observed
        .object_id
        .map(|id| id.to_string())
        .or_else(|| status.object_id.take());
    status.tenant_guid = Some(tenant.to_string());
    status.kind = Some((*kind).to_owned());
    let missing = missing_grants(rest);
    let holders: BTreeSet<ObjectId> = desired
        .grants
        .keys()
        .filter(|key| !missing.contains(key) && !refused_grants.contains_key(key))
        .map(|(id, _)| *id)
        .collect();
    status.member_summary = Some(holders.len().to_string());
    let foreign = foreign_grants(facts);
    status.foreign_grants = (foreign > 0).then_some(foreign);
    status.pending_plan = Vec::new();
}

/// Holders of a right whom no grant of ours explains. A right of somebody whose SID is still unknown is not
/// counted: unknown is not foreign.
fn foreign_grants(facts: &Facts<'_>) -> i32 {
    let Facts { observed, record, .. } = facts;
    let sids_known = record
        .grants
        .iter()
        .filter(|grant| grant.right != Right::SendOnBehalf)
        .all(|g| g.sid.is_some());
    let ours: BTreeSet<_> = record
        .grants
        .iter()
        .filter_map(|grant| grant.sid.as_ref())
        .collect();
    let by_sid = if sids_known {
        observed
            .full_access
            .sids
            .iter()
            .chain(&observed.send_as.sids)
            .filter(|sid| !ours.contains(sid))
            .count()
    } else {
        0
    };
    let on_behalf = observed.on_behalf.ids.iter().filter(|id| {
        !record
            .grants
            .iter()
            .any(|grant| grant.right == Right::SendOnBehalf && grant.object_id == **id)
    });
    i32::try_from(by_sid + on_behalf.count()).unwrap_or(i32::MAX)
}
