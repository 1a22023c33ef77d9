//! The status of a SharedMailbox.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use super::findings::{Findings, missing_grants};
use super::names::Names;
use super::settings;
use super::sign_in::SignInFacts;
use crate::api::condition::{self, Kind, Truth, Verdict, cut};
use crate::api::reason::Reason;
use crate::api::{
    ForeignGrant, ForeignState, HeldChanges, MailboxLedgerSpec, SharedMailbox, SharedMailboxStatus,
    last_reconcile_request,
};
use crate::controller::reconcile::outcome::Disposition;
use crate::ledger::Ledger;
use crate::mail::{ObjectId, Right};
use crate::plan::{self, Account, Change, Desired, Held, Observed, Promise, Read, Step, Unread};
use crate::words::counted;

/// Conditions that stay as they were when a reconcile ended before it read the mailbox.
const ABOUT_THE_MAILBOX: [Kind; 9] = [
    Kind::Provisioned,
    Kind::SignInBlocked,
    Kind::SettingsSynced,
    Kind::PermissionsSynced,
    Kind::EntryLimitNear,
    Kind::ManyUsers,
    Kind::HiddenFromMembers,
    Kind::LicenseRequired,
    Kind::LimitedView,
];

/// Grants that a status lists at most.
const SHOWN_FOREIGN: usize = 50;
/// Exchange takes so many entries of Full Access (Add-MailboxPermission).
const MOST_ENTRIES: usize = 500;
const ENTRIES_NEAR_LIMIT: usize = 450;
/// "More than 25 users at once" is unsupported (Microsoft 365 admin help, about shared mailboxes).
const USERS_AT_ONCE: usize = 25;

/// The mailbox's next status; `known` is its ledger, where it has one, and `account` what was read of sign-in before the
/// reconcile ended without findings.
pub fn mailbox(
    object: &SharedMailbox,
    disposition: &Disposition,
    findings: Option<&Findings<'_>>,
    known: Option<&MailboxLedgerSpec>,
    account: Option<&Account>,
    now: Timestamp,
) -> SharedMailboxStatus {
    let generation = object.metadata.generation.unwrap_or_default();
    let mut status = object.status.clone().unwrap_or_default();
    let Some(ready) = disposition.ready.clone() else {
        if let Some(account) = account {
            let mut conditions = std::mem::take(&mut status.conditions);
            report_sign_in(
                &mut conditions,
                &mut status,
                &SignInFacts::alone(account, object),
                now,
            );
            status.conditions = conditions;
        }
        return status;
    };
    status.last_handled_reconcile_at = last_reconcile_request(object.annotations()).cloned();
    status.observed_generation = Some(generation);
    status.summary = Some(ready.reason.to_string());
    // Written anew when there is one: it is of this end, and not of an earlier one.
    status.pending_plan = Vec::new();
    let mut verdicts = vec![ready];
    verdicts.extend(disposition.progress.clone());
    verdicts.extend(disposition.advisory.clone());
    let mut unchanged = Vec::new();
    match findings {
        None => {
            unchanged = kept(&status.conditions);
            if let Some(account) = account {
                let facts = SignInFacts::alone(account, object);
                report_sign_in(&mut unchanged, &mut status, &facts, now);
            }
            if known.is_some_and(|known| known.gone_at.is_some()) {
                let text = "Exchange does not find the mailbox any more";
                restate(
                    &mut unchanged,
                    Verdict::new(Kind::Provisioned, false, Reason::MailboxGone, text),
                    now,
                );
            }
        }
        Some(findings) if findings.is_restrained() => {
            unchanged = kept(&status.conditions);
            report_sign_in(&mut unchanged, &mut status, &SignInFacts::of(findings), now);
            restate(&mut unchanged, permissions_synced(findings), now);
            status.member_summary = Some(holders(findings).len().to_string());
            status.held = held(findings);
        }
        Some(findings) => {
            verdicts.extend(about_the_mailbox(findings));
            verdicts.extend(advisories(findings));
            verdicts.extend(settings::advisories(findings));
            verdicts.extend(limited_view(findings));
            fill_columns(&mut status, findings);
        }
    }
    status.conditions = condition::merge(&status.conditions, &verdicts, generation, now);
    status.conditions.extend(unchanged);
    let mailbox = known.and_then(|known| known.mailbox.as_ref());
    status.mailbox_guid = mailbox.map(|mailbox| mailbox.guid.to_string());
    status.object_id = mailbox.and_then(|mailbox| Some(mailbox.object_id?.to_string()));
    status.tenant_guid = known
        .filter(|_| mailbox.is_some())
        .map(|known| known.tenant.guid.to_string());
    if status.mailbox_guid.is_none() {
        status.primary_address = Some(object.spec.email_address.clone());
    }
    status
}

/// Sign-in is a fact that is reported whatever becomes of the rest: nothing says Blocked of an account that is open.
fn report_sign_in(
    conditions: &mut [Condition],
    status: &mut SharedMailboxStatus,
    facts: &SignInFacts<'_>,
    now: Timestamp,
) {
    if restate(conditions, facts.verdict(), now) {
        status.sign_in = Some(facts.word().to_string());
    }
}

/// A fact that was reported before, as it is now. False: it was not.
fn restate(conditions: &mut [Condition], verdict: Verdict, now: Timestamp) -> bool {
    let is_same = |condition: &&mut Condition| condition.type_ == verdict.kind.as_str();
    let Some(shown) = conditions.iter_mut().find(is_same) else {
        return false;
    };
    let generation = shown.observed_generation.unwrap_or_default();
    let next = condition::merge(std::slice::from_ref(shown), &[verdict], generation, now);
    if let Some(next) = next.into_iter().next() {
        *shown = next;
    }
    true
}

/// The old conditions about the mailbox as they were, with the generation that they are of.
fn kept(old: &[Condition]) -> Vec<Condition> {
    let about = ABOUT_THE_MAILBOX.into_iter();
    about
        .filter_map(|kind| condition::find(old, kind).cloned())
        .collect()
}

/// Whether all who are declared to hold something do, and nobody else.
fn permissions_synced(findings: &Findings<'_>) -> Verdict {
    let grants_left = findings.rest.steps.iter().any(touches_grants);
    if findings.is_refused() {
        let text = "the SharedMailbox is refused: its permissions are not compared with what is declared";
        return Verdict::new(Kind::PermissionsSynced, Truth::Unknown, Reason::Withheld, text);
    }
    if findings.members_refused > 0 || !findings.refused_grants.is_empty() {
        let count = findings.members_refused + findings.refused_grants.len();
        let text = format!(
            "{} refused; the MailboxPermission says why",
            counted(count, "member or right is", "members or rights are")
        );
        Verdict::new(Kind::PermissionsSynced, false, Reason::MembersRefused, text)
    } else if !findings.rest.unread.is_empty() {
        let count = findings.rest.unread.len();
        let text = format!(
            "of {} it is not known whether it is granted",
            counted(count, "declared right", "declared rights")
        );
        Verdict::new(Kind::PermissionsSynced, Truth::Unknown, Reason::Unread, text)
    } else if grants_left && let Some(why) = findings.withheld() {
        let text = format!("some rights are not as declared, and nothing follows from that: {why}");
        Verdict::new(Kind::PermissionsSynced, false, Reason::Withheld, text)
    } else if grants_left {
        Verdict::new(
            Kind::PermissionsSynced,
            false,
            Reason::Granting,
            "some rights are still to be granted or revoked",
        )
    } else {
        Verdict::new(
            Kind::PermissionsSynced,
            true,
            Reason::Granted,
            "all declared rights are granted",
        )
    }
}

fn about_the_mailbox(findings: &Findings<'_>) -> Vec<Verdict> {
    let guid = findings.observed.guid;
    vec![
        Verdict::new(
            Kind::Provisioned,
            true,
            if findings.is_adopted {
                Reason::Adopted
            } else {
                Reason::Created
            },
            format!("the mailbox exists; its ExchangeGuid is {guid}"),
        ),
        SignInFacts::of(findings).verdict(),
        settings::synced(findings),
        permissions_synced(findings),
    ]
}

fn touches_grants(step: &Step) -> bool {
    step.changes().iter().any(Change::is_about_grants)
}

/// Who holds something that is declared, or was before the manifest was refused.
fn holders(findings: &Findings<'_>) -> BTreeSet<ObjectId> {
    if findings.is_refused() {
        let granted = findings.ledger.grants.iter();
        return granted.map(|grant| grant.object_id).collect();
    }
    let missing = missing_grants(findings.rest);
    let declared = findings.desired.grants.keys();
    declared
        .filter(|key| !missing.contains(key) && !findings.refused_grants.contains_key(key))
        .map(|(id, _)| *id)
        .collect()
}

fn fill_columns(status: &mut SharedMailboxStatus, findings: &Findings<'_>) {
    let Findings {
        desired,
        observed,
        unread: _,
        kind,
        ledger: _,
        rest: _,
        refused: _,
        refused_grants: _,
        members_refused: _,
        restraint: _,
        writes: _,
        unverified: _,
        propagation: _,
        since: _,
        is_adopted: _,
    } = findings;
    status.sign_in = Some(SignInFacts::of(findings).word().to_string());
    status.primary_address = Some(observed.primary.to_string());
    status.kind = Some((*kind).to_owned());
    status.member_summary = Some(holders(findings).len().to_string());
    fill_foreign(status, findings);
    status.held = held(findings);
    status.other_ways_in = if desired.policy.exclusive {
        other_ways_in(observed)
    } else {
        Vec::new()
    };
}

fn is_rows_unread(findings: &Findings<'_>) -> bool {
    let mut stores = [Right::FullAccess, Right::SendAs].into_iter();
    stores.any(|right| findings.observed.is_unread(right))
}

/// Grants that no manifest declares, where that could be read: counted, and the first of them listed.
fn fill_foreign(status: &mut SharedMailboxStatus, findings: &Findings<'_>) {
    if is_rows_unread(findings) {
        return;
    }
    let all = plan::foreign(findings.desired, findings.observed, findings.ledger);
    let count = |matching: &dyn Fn(&ForeignState) -> bool| {
        let number = all.iter().filter(|row| matching(&row.state)).count();
        (number > 0).then(|| i32::try_from(number).unwrap_or(i32::MAX))
    };
    status.foreign_grants = count(&|state| *state != ForeignState::Denied);
    status.orphaned_grants = count(&|state| *state == ForeignState::Orphaned);
    let mut shown: Vec<ForeignGrant> = all
        .iter()
        .map(|row| ForeignGrant {
            who: cut(&row.shown, 256),
            right: row.store,
            rights: more_than(row.store, &row.rights),
            state: row.state,
        })
        .collect();
    shown.sort();
    shown.truncate(SHOWN_FOREIGN);
    status.foreign = shown;
}

/// The rights of a row, where they are not just the one of its store.
fn more_than(store: Right, rights: &BTreeSet<String>) -> Vec<String> {
    let plain = rights.len() == 1 && rights.contains(store.as_str());
    if plain {
        Vec::new()
    } else {
        rights.iter().cloned().collect()
    }
}

fn held(findings: &Findings<'_>) -> Option<HeldChanges> {
    held_changes(findings.desired, findings.observed, findings.ledger)
}

/// What waits for approval.
pub(super) fn held_changes(desired: &Desired, observed: &Observed, ledger: &Ledger) -> Option<HeldChanges> {
    let held = Held::read(ledger.held.as_ref()?);
    let names = Names::with_foreign(desired, observed, ledger);
    let words = held.changes.iter().take(SHOWN_FOREIGN);
    Some(HeldChanges {
        id: held.id(observed.guid),
        count: i32::try_from(held.changes.len()).unwrap_or(i32::MAX),
        changes: words.map(|change| names.in_change(change)).collect(),
        why: "more would be taken away at once than spec.safety of the ExchangeTenant allows, or a group changed all at \
              once"
            .to_owned(),
    })
}

/// What Exclusive does not cover. Folder permissions and inbox rules are not even read.
fn other_ways_in(observed: &Observed) -> Vec<String> {
    let mut ways = vec![
        "folder and calendar permissions are not examined".to_owned(),
        "inbox rules are not examined".to_owned(),
    ];
    ways.extend(
        observed
            .forwarding
            .as_ref()
            .map(|to| format!("mail is forwarded to {to}")),
    );
    ways
}

/// Rights that are revoked when the hour after a take-up is over, unless a permission declares them by then.
fn revocation_due(findings: &Findings<'_>) -> Option<Verdict> {
    let take_up = findings.desired.take_up.as_ref()?;
    let due = &findings.rest.due;
    // Under Observe nothing was taken up, and no hour began.
    if due.is_empty() || findings.withheld().is_some() {
        return None;
    }
    let names = Names::of(findings.desired, findings.ledger);
    let words = due.iter().map(|change| names.in_text(&change.to_string()));
    let text = format!(
        "the mailbox was taken up again, and {} by no MailboxPermission, to be revoked after {:.0} unless one \
         does so by then: {}",
        counted(due.len(), "right is declared", "rights are declared"),
        take_up.until,
        super::first_of(words)
    );
    Some(Verdict::new(Kind::RevocationDue, true, Reason::TakenUp, text))
}

/// What could not be read, and what waits for it.
fn limited_view(findings: &Findings<'_>) -> Option<Verdict> {
    let mut texts: Vec<String> = findings
        .unread
        .iter()
        .map(|(read, unread)| waiting(*read, unread))
        .collect();
    let reason = if texts.is_empty() {
        Reason::SettingsUnread
    } else {
        Reason::Unread
    };
    texts.extend(settings::unread(findings));
    (!texts.is_empty()).then(|| {
        let text = super::first_of(texts.iter());
        Verdict::new(Kind::LimitedView, true, reason, text)
    })
}

fn waiting(read: Read, unread: &Unread) -> String {
    let waits: Vec<&str> = read.waiting().map(Promise::words).collect();
    let why = unread.why.trim_end_matches('.');
    format!(
        "{}: {why}; until it can be read, this waits: {}",
        read.source(),
        waits.join(", ")
    )
}

/// Limits that are seen coming.
fn advisories(findings: &Findings<'_>) -> Vec<Verdict> {
    let Findings {
        desired, observed, ..
    } = findings;
    let mut advisories = Vec::new();
    let entries = observed.full_access.entries.len();
    if entries >= ENTRIES_NEAR_LIMIT {
        let text = format!(
            "the mailbox has {entries} entries of Full Access and Exchange takes {MOST_ENTRIES}: grant to a mail-enabled \
             security group instead, or remove leftovers (status.orphanedGrants)"
        );
        advisories.push(Verdict::new(Kind::EntryLimitNear, true, Reason::NearLimit, text));
    }
    let people: BTreeSet<ObjectId> = desired.grants.keys().map(|(id, _)| *id).collect();
    if people.len() > USERS_AT_ONCE {
        let text = format!(
            "{}: Microsoft supports {USERS_AT_ONCE} people in one shared mailbox at the same time",
            counted(people.len(), "member", "members")
        );
        advisories.push(Verdict::new(
            Kind::ManyUsers,
            true,
            Reason::MoreThanSupported,
            text,
        ));
    }
    if observed.hidden && !people.is_empty() {
        let text =
            "the mailbox is hidden from address lists: new members can't add it to Outlook by themselves";
        advisories.push(Verdict::new(Kind::HiddenFromMembers, true, Reason::Hidden, text));
    }
    advisories.extend(revocation_due(findings));
    advisories
}
