//! The status of a MailboxPermission.

use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;

use super::findings::Findings;
use super::members::{Count, LISTED, Members, Reporter};
use super::names::first_of;
use super::revoked::revoked_from;
use crate::api::condition::{self, Kind, Truth, Verdict};
use crate::api::reason::Reason;
use crate::api::{
    MailboxPermission, MailboxPermissionStatus, MemberStatus, Revoked, RightState, RightStatus,
    last_reconcile_request,
};
use crate::controller::reconcile::outcome::Disposition;
use crate::controller::reconcile::validate::{AdmittedPermission, MemberVerdict};
use crate::controller::state::deadlines::WARNED_BEFORE;
use crate::ledger::RecordedGrant;
use crate::words::counted;

/// Somebody lacks a right, and nothing is done because the mailbox is only observed.
const OBSERVED: Reason = Reason::Observed;

/// The next status of a permission whose members were judged and whose mailbox was read.
pub fn permission(
    permission: &AdmittedPermission,
    verdicts: &[MemberVerdict],
    findings: &Findings<'_>,
    revoked: &[Revoked],
    now: Timestamp,
) -> MailboxPermissionStatus {
    let object = &permission.object;
    let name = object.name_any();
    let revoked = revoked_from(&name, revoked);
    if permission.expired {
        let (ready, progress) = expired_verdicts(&name, findings, object);
        let report = Report {
            members: Vec::new(),
            count: None,
            ready,
            progress,
            ends: None,
        };
        return finish_permission(object, report, revoked, now);
    }
    let members = members_of(permission, verdicts, findings, now);
    let (ready, progress) = permission_verdicts(&members.count, &members.refused, findings.withheld());
    let report = Report {
        members: members.entries,
        count: Some(members.count),
        ready,
        progress,
        ends: ends_soon(object, now),
    };
    finish_permission(object, report, revoked, now)
}

fn members_of(
    permission: &AdmittedPermission,
    verdicts: &[MemberVerdict],
    findings: &Findings<'_>,
    now: Timestamp,
) -> Members {
    let reporter = Reporter::new(permission, findings, now);
    let mut members = Members::default();
    for (member, verdict) in permission.members.iter().zip(verdicts) {
        members.add(&reporter, member, verdict);
    }
    members.entries.truncate(LISTED);
    members
}

/// The next status of a permission whose mailbox was read and whose SharedMailbox is paused: who holds what is
/// reported as it is, and otherwise what the mailbox reports. `mailbox` comes with what the mailbox lost.
pub fn permission_held_back(
    permission: &AdmittedPermission,
    verdicts: &[MemberVerdict],
    findings: &Findings<'_>,
    (mailbox, lost): (&Disposition, &[Revoked]),
    now: Timestamp,
) -> Option<MailboxPermissionStatus> {
    let object = &permission.object;
    let (ready, progress) = as_the_mailbox(mailbox)?;
    let Members {
        entries,
        count,
        refused: _,
    } = members_of(permission, verdicts, findings, now);
    let report = Report {
        members: entries,
        count: Some(count),
        ready,
        progress,
        ends: ends_soon(object, now),
    };
    Some(finish_permission(
        object,
        report,
        revoked_from(&object.name_any(), lost),
        now,
    ))
}

/// The advisory that the rights end within a day.
fn ends_soon(object: &MailboxPermission, now: Timestamp) -> Option<Verdict> {
    let end = object.spec.expires_at.as_ref()?.0;
    (end.duration_since(now) <= WARNED_BEFORE).then(|| {
        let text = format!("these rights end at {end:.0} (spec.expiresAt)");
        Verdict::new(Kind::ExpiresSoon, true, Reason::EndsWithinADay, text)
    })
}

fn expired_verdicts(
    name: &str,
    findings: &Findings<'_>,
    object: &MailboxPermission,
) -> (Verdict, Option<Verdict>) {
    let end = object
        .spec
        .expires_at
        .as_ref()
        .map_or(Timestamp::MIN, |end| end.0);
    let expired = &findings.desired.expired;
    let is_left = |grant: &&RecordedGrant| {
        grant.by.iter().any(|by| by == name) && grant.by.iter().all(|by| expired.contains(by))
    };
    let left = findings.ledger.grants.iter().filter(is_left).count();
    if left > 0 {
        let text = format!(
            "these rights ended at {end:.0}; {} still to be revoked",
            counted(left, "of them is", "of them are")
        );
        let ready = Verdict::new(Kind::Ready, false, Reason::Expiring, text.clone());
        return (
            ready,
            Some(Verdict::new(Kind::Reconciling, true, Reason::Expiring, text)),
        );
    }
    let text = format!("these rights ended at {end:.0} (spec.expiresAt) and are revoked");
    (Verdict::new(Kind::Ready, true, Reason::Expired, text), None)
}

fn permission_verdicts(
    count: &Count,
    refused: &[String],
    withheld: Option<&'static str>,
) -> (Verdict, Option<Verdict>) {
    let Count {
        complete,
        pending,
        unverified,
        partial,
        declared,
    } = count;
    if !refused.is_empty() {
        let text = format!(
            "{} of {}: {}",
            refused.len(),
            counted(*declared, "member is refused", "members are refused"),
            first_of(refused.iter())
        );
        let reason = if [complete, pending, unverified, partial]
            .into_iter()
            .all(|count| *count == 0)
        {
            Reason::MembersRefused
        } else {
            Reason::PartiallyGranted
        };
        let ready = Verdict::new(Kind::Ready, false, reason, text.clone());
        return (ready, Some(Verdict::new(Kind::Stalled, true, reason, text)));
    }
    if *pending > 0 {
        if let Some(why) = withheld {
            let text = format!(
                "{why}; {} a right that Enforce would grant",
                counted(*pending, "member lacks", "members lack")
            );
            return (Verdict::new(Kind::Ready, true, OBSERVED, text), None);
        }
        let text = format!(
            "Exchange does not show the rights of {} yet",
            counted(*pending, "member", "members")
        );
        let ready = Verdict::new(Kind::Ready, false, Reason::Granting, text.clone());
        return (
            ready,
            Some(Verdict::new(Kind::Reconciling, true, Reason::Granting, text)),
        );
    }
    if *unverified > 0 {
        let text = format!(
            "Exchange acknowledged the rights of {unverified} of {} and shows no entries that are theirs: nobody knows whether \
             they hold them; they are granted again once an hour",
            counted(*declared, "member", "members")
        );
        let ready = Verdict::new(Kind::Ready, false, Reason::GrantUnverified, text.clone());
        return (
            ready,
            Some(Verdict::new(Kind::Stalled, true, Reason::GrantUnverified, text)),
        );
    }
    let text = if *declared == 0 {
        "no members are declared, so nobody gets a right".to_owned()
    } else {
        format!(
            "{complete} of {}",
            counted(*declared, "member holds all rights", "members hold all rights")
        )
    };
    (Verdict::new(Kind::Ready, true, Reason::Granted, text), None)
}

/// What a permission reports whose mailbox is not ready.
fn as_the_mailbox(mailbox: &Disposition) -> Option<(Verdict, Option<Verdict>)> {
    let theirs = mailbox.ready.as_ref()?;
    let not_ready = format!(
        "the SharedMailbox is not ready: {}: {}",
        theirs.reason, theirs.message
    );
    let (reason, truth, text) = match theirs.truth {
        Truth::Unknown => (theirs.reason, Truth::Unknown, not_ready),
        Truth::False => (Reason::MailboxNotReady, Truth::False, not_ready),
        // There is no mailbox that could be read: it would be created.
        Truth::True => (OBSERVED, Truth::True, theirs.message.clone()),
    };
    let ready = Verdict::new(Kind::Ready, truth, reason, text.clone());
    let progress = mailbox
        .progress
        .as_ref()
        .map(|p| Verdict::new(p.kind, true, reason, text));
    Some((ready, progress))
}

/// The next status of a permission whose mailbox could not be read, or whose manifest is refused: it reports what the
/// mailbox reports. `lost` is what the mailbox lost.
pub fn permission_without_mailbox(
    object: &Arc<MailboxPermission>,
    mailbox: &Disposition,
    lost: &[Revoked],
    now: Timestamp,
) -> Option<MailboxPermissionStatus> {
    let (ready, progress) = as_the_mailbox(mailbox)?;
    let revoked = revoked_from(&object.name_any(), lost);
    let report = Report {
        members: members_without_lost(object, &revoked),
        count: None,
        ready,
        progress,
        ends: ends_soon(object, now),
    };
    Some(finish_permission(object, report, revoked, now))
}

/// How many members hold all rights, where somebody lost some since that was counted; None: nobody did, or not all are
/// listed.
fn left_complete(object: &MailboxPermission, left: &[MemberStatus]) -> Option<String> {
    let before = &object.status.as_ref()?.members;
    if before.len() >= LISTED || before == left {
        return None;
    }
    let is_complete = |member: &&MemberStatus| {
        let is_granted = |right: &RightStatus| right.state == RightState::Granted;
        member.via.is_none()
            && member.rights.len() == object.spec.rights.len()
            && member.rights.iter().all(is_granted)
    };
    let complete = left.iter().filter(is_complete).count();
    Some(format!("{complete}/{}", object.spec.members.len()))
}

/// What was reported of the members before, without what they have lost since.
fn members_without_lost(object: &MailboxPermission, revoked: &[Revoked]) -> Vec<MemberStatus> {
    let is_lost = |id: &str, right: &RightStatus| {
        right.since.as_ref().is_some_and(|since| {
            let same = |entry: &Revoked| entry.object_id == id && entry.right == right.right;
            revoked
                .iter()
                .any(|entry| same(entry) && entry.revoked_at.0 >= since.0)
        })
    };
    let mut members = object
        .status
        .as_ref()
        .map(|status| status.members.clone())
        .unwrap_or_default();
    for member in &mut members {
        if let Some(id) = &member.object_id {
            member.rights.retain(|right| !is_lost(id, right));
        }
    }
    members.retain(|member| !member.rights.is_empty());
    members
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
    let ready = Verdict::new(Kind::Ready, false, Reason::MailboxNotFound, text.clone());
    let kind = if stalled { Kind::Stalled } else { Kind::Reconciling };
    let report = Report {
        members: Vec::new(),
        count: None,
        ready,
        progress: Some(Verdict::new(kind, true, Reason::MailboxNotFound, text)),
        ends: ends_soon(object, now),
    };
    finish_permission(object, report, revoked_before(object), now)
}

/// As it was reported before.
fn revoked_before(object: &MailboxPermission) -> Vec<Revoked> {
    object
        .status
        .as_ref()
        .map(|status| status.revoked.clone())
        .unwrap_or_default()
}

/// What a status is to say.
struct Report {
    members: Vec<MemberStatus>,
    /// None: what was counted before stays.
    count: Option<Count>,
    ready: Verdict,
    progress: Option<Verdict>,
    ends: Option<Verdict>,
}

fn finish_permission(
    object: &MailboxPermission,
    report: Report,
    revoked: Vec<Revoked>,
    now: Timestamp,
) -> MailboxPermissionStatus {
    let Report {
        members,
        count,
        ready,
        progress,
        ends,
    } = report;
    let generation = object.metadata.generation.unwrap_or_default();
    let old = object.status.clone().unwrap_or_default();
    let rights: Vec<&str> = object.spec.rights.iter().map(|right| right.as_str()).collect();
    let declared = object.spec.members.len();
    let expired = ready.reason == Reason::Expired || ready.reason == Reason::Expiring;
    // Under Observe what is missing is reported, and no tool fails because of it.
    let is_missing = expired || ready.reason == OBSERVED;
    let granted = Verdict {
        kind: Kind::Granted,
        truth: if is_missing { Truth::False } else { ready.truth },
        ..ready.clone()
    };
    let member_summary = match count {
        Some(count) => format!("{}/{}", count.complete, count.declared),
        None if expired => format!("0/{declared}"),
        None => left_complete(object, &members)
            .or_else(|| old.member_summary.clone())
            .unwrap_or_else(|| format!("0/{declared}")),
    };
    let summary = ready.reason.to_string();
    let verdicts: Vec<Verdict> = [ready, granted].into_iter().chain(progress).chain(ends).collect();
    MailboxPermissionStatus {
        observed_generation: Some(generation),
        conditions: condition::merge(&old.conditions, &verdicts, generation, now),
        summary: Some(summary),
        rights: Some(rights.join(",")),
        member_summary: Some(member_summary),
        members,
        reason: object.spec.reason.clone(),
        revoked,
        last_handled_reconcile_at: last_reconcile_request(object.annotations()).cloned(),
    }
}
