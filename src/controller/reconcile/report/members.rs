//! What is reported of each member of a permission.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::findings::{Findings, missing_grants, whole_seconds};
use crate::api::condition::cut;
use crate::api::{MemberStatus, RightState, RightStatus};
use crate::controller::reconcile::validate::{
    AdmittedMember, AdmittedPermission, MemberVerdict, PersonVerdict, Refusal,
};
use crate::ledger::RecordedGrant;
use crate::mail::{ObjectId, Right, SmtpAddress};
use crate::plan::Presence;
use crate::words::counted;

/// A message on one member is no longer, in bytes.
const LONGEST: usize = 512;
/// Members that one status lists at most: with the largest legal manifest beside them, less than etcd takes (1.5 MiB). All
/// are counted.
pub(super) const LISTED: usize = 600;

/// What is reported of the members of one permission.
#[derive(Default)]
pub(super) struct Members {
    pub entries: Vec<MemberStatus>,
    pub refused: Vec<String>,
    pub count: Count,
}

impl Members {
    pub fn add(&mut self, reporter: &Reporter<'_>, member: &AdmittedMember, verdict: &MemberVerdict) {
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
                } else if has(RightState::Pending) && reporter.is_unverified(*object_id) {
                    self.count.unverified += 1;
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
        let mut unverified = 0_usize;
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
                unverified += usize::from(reporter.is_unverified(person.object_id));
            } else if has(RightState::Skipped) {
                skipped += 1;
            }
            entries.push(entry);
        }
        let granted = people.len() - pending - skipped - refused.len();
        let text = format!(
            "{}: {granted} granted, {pending} pending, {skipped} skipped",
            counted(people.len(), "person", "people")
        );
        let without_room = people.iter().filter(|person| person.lacks_room());
        let first = without_room.clone().find_map(|person| person.skipped.as_ref());
        refused.extend(first.map(|why| {
            format!(
                "{} of {}: {}",
                counted(without_room.count(), "person", "people"),
                member.text,
                why.message
            )
        }));
        let state = if !refused.is_empty() {
            RightState::Refused
        } else if pending > 0 {
            RightState::Pending
        } else {
            RightState::Granted
        };
        if !refused.is_empty() {
            self.count.partial += usize::from(granted > 0);
            self.refused.append(&mut refused);
        } else if pending > 0 && pending == unverified {
            self.count.unverified += 1;
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
pub(super) struct Reporter<'a> {
    permission: &'a AdmittedPermission,
    findings: &'a Findings<'a>,
    now: Timestamp,
    missing: BTreeSet<(ObjectId, Right)>,
    recorded: BTreeMap<(ObjectId, Right), &'a RecordedGrant>,
    /// Names of those who hold something.
    holders: BTreeSet<&'a SmtpAddress>,
    /// What was reported before, by address and group.
    old: BTreeMap<(&'a str, Option<&'a str>), &'a MemberStatus>,
}

impl<'a> Reporter<'a> {
    pub fn new(permission: &'a AdmittedPermission, findings: &'a Findings<'a>, now: Timestamp) -> Self {
        let recorded = findings.ledger.grants.iter();
        let old = permission.object.status.iter().flat_map(|status| &status.members);
        Self {
            permission,
            findings,
            now,
            missing: missing_grants(findings.rest),
            holders: recorded.clone().flat_map(RecordedGrant::written_as).collect(),
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
        let keeps = member
            .address
            .as_ref()
            .is_some_and(|address| self.holders.contains(address));
        let kept = if keeps && !refusal.reason.takes_everything() {
            "; what was granted before stays until the member is taken out"
        } else {
            ""
        };
        MemberStatus {
            address: member.text.clone(),
            via: None,
            object_id: None,
            rights: states(&self.permission.rights, |_| RightState::Refused),
            message: Some(format!(
                "{}: {}{kept}",
                refusal.reason,
                cut(&refusal.message, LONGEST)
            )),
        }
    }

    fn person(&self, group: &str, person: &PersonVerdict) -> MemberStatus {
        let PersonVerdict {
            object_id,
            name,
            skipped,
        } = person;
        match skipped {
            None => self.member(name, Some(group), *object_id),
            Some(refusal) => MemberStatus {
                address: name.clone(),
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
            Some(cut(&refusals.join("; "), LONGEST))
        } else if rights.iter().any(|right| right.state == RightState::Pending) {
            let text = if let Some(why) = findings.withheld() {
                why
            } else if self.is_unverified(id) {
                "Exchange acknowledged it and shows no entry that is theirs: nobody knows whether they hold it"
            } else {
                "Exchange does not show it yet"
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

    /// Whether all that Exchange does not show of them was acknowledged long ago.
    fn is_unverified(&self, id: ObjectId) -> bool {
        let lacks = |right: &&Right| self.missing.contains(&(id, **right));
        let mut missing = self.permission.rights.iter().filter(lacks).peekable();
        missing.peek().is_some() && missing.all(|right| self.findings.unverified.contains(&(id, *right)))
    }

    fn right(&self, id: ObjectId, right: Right, old: Option<&MemberStatus>) -> RightStatus {
        let findings = self.findings;
        let sid = findings
            .ledger
            .sid_for(&id, right)
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
        if state != RightState::Granted {
            return RightStatus {
                right,
                state,
                since: None,
                expected_by: None,
            };
        }
        let before = before.filter(|before| before.state == RightState::Granted && before.since.is_some());
        // What was there before us works already.
        let granted = self.recorded.get(&(id, right)).and_then(|grant| grant.at);
        let in_history = findings.since.get(&(id, right)).copied();
        let reported = before.and_then(|before| Some(before.since.as_ref()?.0));
        let since = in_history.or(reported).or(granted).unwrap_or(self.now);
        match before {
            Some(before) if reported == Some(since) => before.clone(),
            Some(_) | None => {
                let after = |grant: Timestamp| grant.saturating_add(findings.propagation).unwrap_or(grant);
                let expected = granted.map(after).filter(|expected| *expected > self.now);
                RightStatus {
                    right,
                    state,
                    since: Some(whole_seconds(since)),
                    expected_by: expected.map(whole_seconds),
                }
            }
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
pub(super) struct Count {
    pub complete: usize,
    pub pending: usize,
    /// Acknowledged long ago, and shown by no read.
    pub unverified: usize,
    /// Groups of which some people hold the rights and others are refused.
    pub partial: usize,
    pub declared: usize,
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
