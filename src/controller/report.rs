//! What people read back: statuses computed from an outcome and from what was seen. Plain functions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use super::outcome::Meaning;
use super::validate::{AdmittedPermission, MemberVerdict};
use crate::api::condition::{self, Kind, Truth, Verdict, cut};
use crate::api::{
    MailboxPermission, MailboxPermissionStatus, MemberStatus, RECONCILE_REQUESTED_AT, RawRecord, Record,
    RightState, RightStatus, SharedMailbox, SharedMailboxStatus, SignIn,
};
use crate::mail::{ObjectId, Right, TenantGuid};
use crate::plan::{Desired, Observed, Plan, Presence, Step};

/// A mailbox that was read in this pass, and what is still to be done to it.
pub struct Facts<'a> {
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    pub kind: &'a str,
    pub record: &'a Record,
    /// What still differs.
    pub rest: &'a Plan,
    pub refused_settings: &'a [String],
    pub refused_grants: &'a BTreeMap<(ObjectId, Right), String>,
    pub tenant: TenantGuid,
    /// True when the directory, not only Exchange's copy, was read.
    pub members_refused: usize,
}

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
    let requested = object.annotations().get(RECONCILE_REQUESTED_AT);
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
            "Exchange shows sign-in blocked; the app may not read users in the directory (User.Read.All), where it \
             could be verified",
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

/// Wanted rights that are not there yet.
fn missing_grants(rest: &Plan) -> BTreeSet<(ObjectId, Right)> {
    let mut missing = BTreeSet::new();
    for step in &rest.steps {
        match step {
            Step::Grant { object_id, right, .. } => {
                missing.insert((*object_id, *right));
            }
            Step::Set(settings) => {
                missing.extend(settings.add_on_behalf.iter().map(|id| (*id, Right::SendOnBehalf)));
            }
            Step::Revoke { .. } | Step::SetDirectorySignIn { .. } => {}
        }
    }
    missing
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

/// The next status of a permission whose members were judged and whose mailbox was read.
pub fn permission(
    permission: &AdmittedPermission,
    verdicts: &[MemberVerdict],
    facts: &Facts<'_>,
    writes: bool,
    now: Timestamp,
) -> MailboxPermissionStatus {
    let missing = missing_grants(facts.rest);
    let mut members = Vec::with_capacity(permission.members.len());
    let mut refused = Vec::new();
    let mut pending = 0_usize;
    let mut complete = 0_usize;
    for (member, verdict) in permission.members.iter().zip(verdicts) {
        let entry = match verdict {
            Err(refusal) => {
                refused.push(refusal.message.clone());
                MemberStatus {
                    address: member.text.clone(),
                    object_id: None,
                    rights: states(&permission.rights, |_| RightState::Refused),
                    message: Some(format!("{}: {}", refusal.reason, refusal.message)),
                }
            }
            Ok(id) => member_status(&member.text, *id, &permission.rights, &missing, facts, writes),
        };
        let has = |state| entry.rights.iter().any(|right| right.state == state);
        if has(RightState::Refused) {
            if verdict.is_ok() {
                refused.extend(entry.message.clone());
            }
        } else if has(RightState::Pending) {
            pending += 1;
        } else {
            complete += 1;
        }
        members.push(entry);
    }
    let count = Count {
        complete,
        pending,
        declared: permission.members.len(),
    };
    let (ready, progress) = permission_verdicts(&count, &refused, writes);
    finish_permission(&permission.object, members, Some(count), ready, progress, now)
}

struct Count {
    complete: usize,
    pending: usize,
    declared: usize,
}

fn permission_verdicts(count: &Count, refused: &[String], writes: bool) -> (Verdict, Option<Verdict>) {
    let Count {
        complete,
        pending,
        declared,
    } = count;
    if !refused.is_empty() {
        let shown: Vec<String> = refused.iter().take(5).cloned().collect();
        let more = refused.len().saturating_sub(shown.len());
        let tail = if more > 0 {
            format!("; and {more} more")
        } else {
            String::new()
        };
        let text = format!(
            "{} of {declared} members are refused: {}{tail}",
            refused.len(),
            shown.join("; ")
        );
        let reason = if *complete == 0 && *pending == 0 {
            "MembersRefused"
        } else {
            "PartiallyGranted"
        };
        let ready = Verdict::new(Kind::Ready, false, reason, text.clone());
        return (ready, Some(Verdict::new(Kind::Stalled, true, reason, text)));
    }
    if *pending > 0 {
        let (reason, kind, text) = if writes {
            (
                "Granting",
                Kind::Reconciling,
                format!("Exchange does not show the rights of {pending} members yet"),
            )
        } else {
            let text =
                format!("management is Observe; {pending} members lack a right that Enforce would grant");
            ("DriftDetected", Kind::Stalled, text)
        };
        let ready = Verdict::new(Kind::Ready, false, reason, text.clone());
        return (ready, Some(Verdict::new(kind, true, reason, text)));
    }
    let text = format!("{complete} of {declared} members hold all rights");
    (Verdict::new(Kind::Ready, true, "Granted", text), None)
}

fn member_status(
    text: &str,
    id: ObjectId,
    rights: &[Right],
    missing: &BTreeSet<(ObjectId, Right)>,
    facts: &Facts<'_>,
    writes: bool,
) -> MemberStatus {
    let sid = facts.record.sid_of(&id);
    let state = |right: Right| {
        if facts.refused_grants.contains_key(&(id, right)) {
            RightState::Refused
        } else if missing.contains(&(id, right))
            || !matches!(facts.observed.presence(&id, right, sid), Presence::Present(_))
        {
            RightState::Pending
        } else {
            RightState::Granted
        }
    };
    let refusals: Vec<&str> = rights
        .iter()
        .filter_map(|right| facts.refused_grants.get(&(id, *right)))
        .map(String::as_str)
        .collect();
    let rights = states(rights, state);
    let message = if !refusals.is_empty() {
        Some(cut(&refusals.join("; "), 512))
    } else if rights.iter().any(|right| right.state == RightState::Pending) {
        let text = if writes {
            "Exchange does not show it yet"
        } else {
            "management is Observe"
        };
        Some(text.to_owned())
    } else {
        None
    };
    MemberStatus {
        address: text.to_owned(),
        object_id: Some(id.to_string()),
        rights,
        message,
    }
}

fn states(rights: &[Right], state: impl Fn(Right) -> RightState) -> Vec<RightStatus> {
    rights
        .iter()
        .map(|right| RightStatus {
            right: *right,
            state: state(*right),
        })
        .collect()
}

/// The next status of a permission whose mailbox could not be looked at: what the mailbox says, told here.
pub fn permission_without_mailbox(
    object: &Arc<MailboxPermission>,
    mailbox: &Meaning,
    now: Timestamp,
) -> Option<MailboxPermissionStatus> {
    let told = mailbox.ready.as_ref()?;
    let text = format!(
        "the SharedMailbox is not ready: {}: {}",
        told.reason, told.message
    );
    let (reason, truth) = match told.truth {
        Truth::Unknown => (told.reason.clone(), Truth::Unknown),
        Truth::True | Truth::False => ("MailboxNotReady".into(), Truth::False),
    };
    let ready = Verdict::new(Kind::Ready, truth, reason.clone(), text.clone());
    let progress = mailbox
        .progress
        .as_ref()
        .map(|p| Verdict::new(p.kind, true, reason, text));
    let members = object
        .status
        .as_ref()
        .map(|status| status.members.clone())
        .unwrap_or_default();
    Some(finish_permission(object, members, None, ready, progress, now))
}

/// The next status of a permission that names a mailbox that does not exist.
pub fn permission_of_missing_mailbox(
    object: &Arc<MailboxPermission>,
    stalled: bool,
    now: Timestamp,
) -> MailboxPermissionStatus {
    let name = &object.spec.mailbox_ref.name;
    let text =
        format!("spec.mailboxRef.name: there is no SharedMailbox {name:?} in this namespace; apply it");
    let ready = Verdict::new(Kind::Ready, false, "MailboxNotFound", text.clone());
    let kind = if stalled { Kind::Stalled } else { Kind::Reconciling };
    let progress = Verdict::new(kind, true, "MailboxNotFound", text);
    finish_permission(object, Vec::new(), None, ready, Some(progress), now)
}

fn finish_permission(
    object: &MailboxPermission,
    members: Vec<MemberStatus>,
    count: Option<Count>,
    ready: Verdict,
    progress: Option<Verdict>,
    now: Timestamp,
) -> MailboxPermissionStatus {
    let generation = object.metadata.generation.unwrap_or_default();
    let old = object.status.clone().unwrap_or_default();
    let rights: Vec<&str> = object.spec.rights.iter().map(|right| right.as_str()).collect();
    let declared = object.spec.members.len();
    let granted = Verdict {
        kind: Kind::Granted,
        ..ready.clone()
    };
    let member_summary = match count {
        Some(count) => format!("{}/{}", count.complete, count.declared),
        None => old
            .member_summary
            .clone()
            .unwrap_or_else(|| format!("0/{declared}")),
    };
    let summary = ready.reason.to_string();
    let verdicts: Vec<Verdict> = [ready, granted].into_iter().chain(progress).collect();
    MailboxPermissionStatus {
        observed_generation: Some(generation),
        conditions: condition::merge(&old.conditions, &verdicts, generation, now),
        summary: Some(summary),
        rights: Some(rights.join(",")),
        member_summary: Some(member_summary),
        members,
    }
}
