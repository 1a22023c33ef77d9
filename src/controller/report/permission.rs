//! The status of a MailboxPermission.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Facts, missing_grants};
use crate::api::condition::{self, Kind, Truth, Verdict, cut};
use crate::api::{
    MailboxPermission, MailboxPermissionStatus, MemberStatus, RecordedGrant, RightState, RightStatus,
};
use crate::controller::outcome::Meaning;
use crate::controller::validate::{AdmittedPermission, MemberVerdict};
use crate::mail::{ObjectId, Right};
use crate::plan::Presence;

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
                let keeps = |grant: &RecordedGrant| Some(&grant.member) == member.address.as_ref();
                let kept = if facts.record.grants.iter().any(keeps) {
                    "; what was granted before stays until the member is taken out"
                } else {
                    ""
                };
                MemberStatus {
                    address: member.text.clone(),
                    object_id: None,
                    rights: states(&permission.rights, |_| RightState::Refused),
                    message: Some(format!("{}: {}{kept}", refusal.reason, refusal.message)),
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
