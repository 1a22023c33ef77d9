//! From the object to values. What can't be read stalls its own mailbox and no other.

use std::collections::BTreeSet;

use super::{HeldRemovals, Ledger, RecordedGrant, Removed, RightOf, WeighedRemoval, Withdrawn};
use crate::api::{GrantState, LedgerPerson, LedgerRight, LedgerRightOf, MailboxLedgerSpec};
use crate::mail::{Right, SmtpAddress};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

/// What a plan must know, out of the object.
pub fn read(spec: &MailboxLedgerSpec) -> Result<Ledger, Unreadable> {
    let mut ledger = Ledger {
        intent: spec.intent.clone(),
        adopting: spec.adopting,
        sign_in_undecided: spec.sign_in_undecided,
        addresses: spec.addresses.clone(),
        defaults: spec.defaults,
        opened: spec.opened.iter().cloned().collect(),
        sign_out_owed: spec.sign_out_owed,
        ..Ledger::default()
    };
    let mut held_removals = BTreeSet::new();
    for person in &spec.people {
        for (right, entry) in &person.rights {
            let grant = grant(spec, person, *right, entry)?;
            let what = grant.right_of();
            match entry.state {
                GrantState::Pending | GrantState::Granted => ledger.grants.push(grant),
                GrantState::Held => {
                    held_removals.insert(what);
                    ledger.grants.push(grant);
                }
                GrantState::Removing => {
                    let at = entry.weighed_at.ok_or_else(|| missing(person, "weighedAt"))?;
                    let with_resource = entry.with_resource;
                    ledger.weighed.push(WeighedRemoval {
                        what,
                        at,
                        with_resource,
                    });
                    ledger.grants.push(grant);
                }
                GrantState::Removed => ledger.removed.push(Removed {
                    until: entry
                        .checked_until
                        .ok_or_else(|| missing(person, "checkedUntil"))?,
                    what: Withdrawn::Grant(grant),
                    weighed_at: entry.weighed_at,
                }),
            }
        }
    }
    ledger
        .removed
        .extend(spec.removed_addresses.iter().map(|removed| Removed {
            until: removed.until,
            what: Withdrawn::Address(removed.address.clone()),
            weighed_at: None,
        }));
    ledger
        .removed
        .extend(spec.removed_settings.iter().map(|removed| Removed {
            until: removed.until,
            what: Withdrawn::Setting(removed.family.clone()),
            weighed_at: None,
        }));
    ledger
        .weighed
        .extend(spec.evictions.iter().map(|eviction| WeighedRemoval {
            what: RightOf {
                holder: eviction.holder.clone(),
                right: eviction.right,
            },
            at: eviction.weighed_at,
            with_resource: false,
        }));
    ledger.held = held(spec, held_removals);
    Ok(ledger)
}

fn grant(
    spec: &MailboxLedgerSpec,
    person: &LedgerPerson,
    right: Right,
    entry: &LedgerRight,
) -> Result<RecordedGrant, Unreadable> {
    let by = entry
        .by
        .iter()
        .map(|position| at(&spec.permissions, *position).cloned());
    let by: Option<Vec<String>> = by.collect();
    let named = entry
        .named
        .iter()
        .map(|position| at(&person.written_as, *position).cloned());
    let named: Option<Vec<SmtpAddress>> = named.collect();
    let mut named = named.ok_or_else(|| missing(person, "writtenAs"))?.into_iter();
    Ok(RecordedGrant {
        object_id: person.id,
        right,
        pending: entry.state == GrantState::Pending,
        // Send on Behalf is read by object id.
        sid: (entry.sid.clone().or_else(|| person.sid.clone())).filter(|_| right != Right::SendOnBehalf),
        auto_mapping: entry.auto_mapping,
        remapping: entry.remapping,
        member: named.next().ok_or_else(|| missing(person, "as"))?,
        also: named.collect(),
        by: by.ok_or_else(|| missing(person, "by"))?,
        at: entry.at,
        until: entry.until,
    })
}

fn at<T>(list: &[T], position: i32) -> Option<&T> {
    list.get(usize::try_from(position).ok()?)
}

fn missing(person: &LedgerPerson, what: &str) -> Unreadable {
    Unreadable(format!(
        "the entry of {} lacks what its {what:?} must hold",
        person.id
    ))
}

/// What waits for approval, when anything does.
fn held(spec: &MailboxLedgerSpec, mut removals: BTreeSet<RightOf>) -> Option<HeldRemovals> {
    let held = spec.held.as_ref()?;
    let plain = |what: &LedgerRightOf| RightOf {
        holder: what.holder.clone(),
        right: what.right,
    };
    removals.extend(held.evictions.iter().map(plain));
    Some(HeldRemovals {
        since: held.since,
        removals,
        grants: held.grants.iter().map(plain).collect(),
    })
}
