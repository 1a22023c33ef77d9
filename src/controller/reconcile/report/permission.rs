//! The status of a MailboxPermission.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;

use super::findings::{Findings, missing_grants, revoked_from, whole_seconds};
use crate::api::condition::{self, Kind, Truth, Verdict, cut};
use crate::api::{
    MailboxPermission, MailboxPermissionStatus, MemberStatus, RecordedGrant, Revoked, RightState,
    RightStatus, last_reconcile_request,
};
use crate::controller::reconcile::outcome::Disposition;
use crate::controller::reconcile::validate::{
    AdmittedMember, AdmittedPermission, MemberVerdict, PersonVerdict, Refusal,
};
use crate::controller::state::deadlines::WARNED_BEFORE;
use crate::mail::{ObjectId, Right};
use crate::plan::Presence;

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
    let reporter = Reporter::new(permission, findings, now);
    let mut members = Members::default();
    for (member, verdict) in permission.members.iter().zip(verdicts) {
        members.add(&reporter, member, verdict);
    }
    let (ready, progress) = permission_verdicts(&members.count, &members.refused, findings.writes);
    let report = Report {
        members: members.entries,
        count: Some(members.count),
        ready,
        progress,
        ends: ends_soon(object, now),
    };
    finish_permission(object, report, revoked, now)
}

/// The advisory that the rights end within a day.
fn ends_soon(object: &MailboxPermission, now: Timestamp) -> Option<Verdict> {
    let end = object.spec.expires_at.as_ref()?.0;
    (end.duration_since(now) <= WARNED_BEFORE).then(|| {
        let text = format!("these rights end at {end:.0} (spec.expiresAt)");
        Verdict::new(Kind::ExpiresSoon, true, "EndsWithinADay", text)
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
    let only_here = |grant: &&RecordedGrant| grant.by.len() == 1 && grant.by.iter().any(|by| by == name);
    let left = findings.record.grants.iter().filter(only_here).count();
    if left > 0 {
        let text = format!("these rights ended at {end:.0}; {left} of them are still to be revoked");
        let ready = Verdict::new(Kind::Ready, false, "Expiring", text.clone());
        return (
            ready,
            Some(Verdict::new(Kind::Reconciling, true, "Expiring", text)),
        );
    }
    let text = format!("these rights ended at {end:.0} (spec.expiresAt) and are revoked");
    (Verdict::new(Kind::Ready, true, "Expired", text), None)
}

/// What is reported of the members of one permission.
#[derive(Default)]
struct Members {
    entries: Vec<MemberStatus>,
    refused: Vec<String>,
    count: Count,
}

impl Members {
    fn add(&mut self, reporter: &Reporter<'_>, member: &AdmittedMember, verdict: &MemberVerdict) {
        self.count.declared += 1;
        match verdict {
            MemberVerdict::Refused(refusal) => {
                self.refused.push(refusal.message.clone());
                self.entries.push(reporter.refused(member, refusal));
            }
            MemberVerdict::One { object_id, note } => {
                let mut entry = reporter.member(&member.text, None, *object_id);
                let has = |state| entry.rights.iter().any(|right| right.state == state);
                if has(RightState::Refused) {
                    self.refused.extend(entry.message.clone());
                } else if has(RightState::Pending) {
                    self.count.pending += 1;
                } else {
                    self.count.complete += 1;
                }
                entry.message = entry.message.or_else(|| note.clone());
                self.entries.push(entry);
            }
            MemberVerdict::Everybody(people) => self.add_group(reporter, member, people),
        }
    }

    /// A group counts as one member; it is complete when everybody in it is who can be.
    fn add_group(&mut self, reporter: &Reporter<'_>, member: &AdmittedMember, people: &[PersonVerdict]) {
        let mut pending = 0_usize;
        let mut skipped = 0_usize;
        let mut refused = Vec::new();
        let mut entries = Vec::with_capacity(people.len());
        for person in people {
            let entry = reporter.person(&member.text, person);
            let has = |state| entry.rights.iter().any(|right| right.state == state);
            if has(RightState::Refused) {
                refused.extend(entry.message.clone());
            } else if has(RightState::Pending) {
                pending += 1;
            } else if has(RightState::Skipped) {
                skipped += 1;
            }
            entries.push(entry);
        }
        let granted = people.len() - pending - skipped - refused.len();
        let text = format!(
            "{} people: {granted} granted, {pending} pending, {skipped} skipped",
            people.len()
        );
        let state = if !refused.is_empty() {
            RightState::Refused
        } else if pending > 0 {
            RightState::Pending
        } else {
            RightState::Granted
        };
        if !refused.is_empty() {
            self.refused.append(&mut refused);
        } else if pending > 0 {
            self.count.pending += 1;
        } else {
            self.count.complete += 1;
        }
        self.entries.push(MemberStatus {
            address: member.text.clone(),
            via: None,
            object_id: None,
            rights: states(&reporter.permission.rights, |_| state),
            message: Some(text),
        });
        self.entries.append(&mut entries);
    }
}

/// Reports what becomes of each member. There may be hundreds: what is known is looked up, not searched for.
struct Reporter<'a> {
    permission: &'a AdmittedPermission,
    findings: &'a Findings<'a>,
    now: Timestamp,
    missing: BTreeSet<(ObjectId, Right)>,
    recorded: BTreeMap<(ObjectId, Right), &'a RecordedGrant>,
    /// What was reported before, by address and group.
    old: BTreeMap<(&'a str, Option<&'a str>), &'a MemberStatus>,
}

impl<'a> Reporter<'a> {
    fn new(permission: &'a AdmittedPermission, findings: &'a Findings<'a>, now: Timestamp) -> Self {
        let recorded = findings.record.grants.iter();
        let old = permission.object.status.iter().flat_map(|status| &status.members);
        Self {
            permission,
            findings,
            now,
            missing: missing_grants(findings.rest),
            recorded: recorded
                .map(|grant| ((grant.object_id, grant.right), grant))
                .collect(),
            old: old
                .map(|member| ((member.address.as_str(), member.via.as_deref()), member))
                .collect(),
        }
    }
}

impl Reporter<'_> {
    fn refused(&self, member: &AdmittedMember, refusal: &Refusal) -> MemberStatus {
        let keeps = |grant: &RecordedGrant| {
            let as_written = |address| grant.written_as().any(|written| written == address);
            member.address.as_ref().is_some_and(as_written)
        };
        let kept = if refusal.reason != "Departed" && self.findings.record.grants.iter().any(keeps) {
            "; what was granted before stays until the member is taken out"
        } else {
            ""
        };
        MemberStatus {
            address: member.text.clone(),
            via: None,
            object_id: None,
            rights: states(&self.permission.rights, |_| RightState::Refused),
            message: Some(format!("{}: {}{kept}", refusal.reason, refusal.message)),
        }
    }

    fn person(&self, group: &str, person: &PersonVerdict) -> MemberStatus {
        let PersonVerdict {
            object_id,
            address,
            skipped,
        } = person;
        let name = address
            .as_ref()
            .map_or_else(|| object_id.to_string(), ToString::to_string);
        match skipped {
            None => self.member(&name, Some(group), *object_id),
            Some(refusal) => MemberStatus {
                address: name,
                via: Some(group.to_owned()),
                object_id: Some(object_id.to_string()),
                rights: states(&self.permission.rights, |_| RightState::Skipped),
                message: Some(format!("{}: {}", refusal.reason, cut(&refusal.message, 256))),
            },
        }
    }

    fn member(&self, text: &str, via: Option<&str>, id: ObjectId) -> MemberStatus {
        let (permission, findings) = (self.permission, self.findings);
        let refusals: Vec<&str> = permission
            .rights
            .iter()
            .filter_map(|right| findings.refused_grants.get(&(id, *right)))
            .map(String::as_str)
            .collect();
        let old = self.old.get(&(text, via)).copied();
        let rights: Vec<RightStatus> = permission
            .rights
            .iter()
            .map(|right| self.right(id, *right, old))
            .collect();
        let message = if !refusals.is_empty() {
            Some(cut(&refusals.join("; "), 512))
        } else if rights.iter().any(|right| right.state == RightState::Pending) {
            let text = if findings.writes {
                "Exchange does not show it yet"
            } else {
                "management is Observe"
            };
            Some(text.to_owned())
        } else {
            self.about_automapping(id)
        };
        MemberStatus {
            address: text.to_owned(),
            via: via.map(str::to_owned),
            object_id: Some(id.to_string()),
            rights,
            message,
        }
    }

    fn right(&self, id: ObjectId, right: Right, old: Option<&MemberStatus>) -> RightStatus {
        let findings = self.findings;
        let sid = findings
            .record
            .sid_of(&id)
            .or_else(|| findings.observed.tied_sid(&id));
        let state = if findings.refused_grants.contains_key(&(id, right)) {
            RightState::Refused
        } else if self.missing.contains(&(id, right))
            || !matches!(findings.observed.presence(&id, right, sid), Presence::Present(_))
        {
            RightState::Pending
        } else {
            RightState::Granted
        };
        let before = old.and_then(|old| old.rights.iter().find(|before| before.right == right));
        match (state, before) {
            (RightState::Granted, Some(before))
                if before.state == RightState::Granted && before.since.is_some() =>
            {
                before.clone()
            }
            (RightState::Granted, _) => {
                let after = |grant: Timestamp| grant.saturating_add(findings.propagation).unwrap_or(grant);
                let recorded = self.recorded.get(&(id, right));
                // What was there before us works already.
                let granted = recorded.and_then(|grant| grant.at);
                let expected = granted.map(after).filter(|expected| *expected > self.now);
                RightStatus {
                    right,
                    state,
                    since: Some(whole_seconds(self.now)),
                    expected_by: expected.map(whole_seconds),
                }
            }
            (state, _) => RightStatus {
                right,
                state,
                since: None,
                expected_by: None,
            },
        }
    }

    /// Automapping can't be read back, and one permission may overrule another.
    fn about_automapping(&self, id: ObjectId) -> Option<String> {
        let key = (id, Right::FullAccess);
        if !self.permission.rights.contains(&Right::FullAccess) {
            return None;
        }
        let wanted = self.findings.desired.grants.get(&key)?;
        if self.permission.auto_mapping && !wanted.auto_mapping {
            return Some(
                "another MailboxPermission switches automapping off for this member, and that wins"
                    .to_owned(),
            );
        }
        let recorded = self.recorded.get(&key);
        let unknown = recorded.is_some_and(|grant| grant.auto_mapping.is_none());
        unknown.then(|| {
            "whether it is automapped is unknown: FullAccess was there before, and Exchange does not show it".to_owned()
        })
    }
}

#[derive(Default)]
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
    let text = match declared {
        0 => "no members are declared, so nobody gets a right".to_owned(),
        _ => format!("{complete} of {declared} members hold all rights"),
    };
    (Verdict::new(Kind::Ready, true, "Granted", text), None)
}

fn states(rights: &[Right], state: impl Fn(Right) -> RightState) -> Vec<RightStatus> {
    rights
        .iter()
        .map(|right| RightStatus {
            right: *right,
            state: state(*right),
            since: None,
            expected_by: None,
        })
        .collect()
}

/// The next status of a permission whose mailbox could not be read, or whose manifest is refused: it reports
/// what the mailbox reports. `lost` is what the mailbox lost.
pub fn permission_without_mailbox(
    object: &Arc<MailboxPermission>,
    mailbox: &Disposition,
    lost: &[Revoked],
    now: Timestamp,
) -> Option<MailboxPermissionStatus> {
    let theirs = mailbox.ready.as_ref()?;
    let text = format!(
        "the SharedMailbox is not ready: {}: {}",
        theirs.reason, theirs.message
    );
    let (reason, truth) = match theirs.truth {
        Truth::Unknown => (theirs.reason.clone(), Truth::Unknown),
        Truth::True | Truth::False => ("MailboxNotReady".into(), Truth::False),
    };
    let ready = Verdict::new(Kind::Ready, truth, reason.clone(), text.clone());
    let progress = mailbox
        .progress
        .as_ref()
        .map(|p| Verdict::new(p.kind, true, reason, text));
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
    let ready = Verdict::new(Kind::Ready, false, "MailboxNotFound", text.clone());
    let kind = if stalled { Kind::Stalled } else { Kind::Reconciling };
    let report = Report {
        members: Vec::new(),
        count: None,
        ready,
        progress: Some(Verdict::new(kind, true, "MailboxNotFound", text)),
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
    let expired = ready.reason == "Expired" || ready.reason == "Expiring";
    let granted = Verdict {
        kind: Kind::Granted,
        truth: if expired { Truth::False } else { ready.truth },
        ..ready.clone()
    };
    let member_summary = match count {
        Some(count) => format!("{}/{}", count.complete, count.declared),
        None if expired => format!("0/{declared}"),
        None => old
            .member_summary
            .clone()
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
