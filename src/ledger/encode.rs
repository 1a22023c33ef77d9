//! From values to the object: one entry a person, permissions and names as indices, so that 500 people with every
//! right fit.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{HeldRemovals, Ledger, RecordedGrant, Removed, RightOf, WeighedRemoval, Withdrawn, decode};
use crate::api::{
    GrantState, LedgerEviction, LedgerHeld, LedgerPerson, LedgerRight, LedgerRightOf, MailboxLedgerSpec,
    RemovedAddress, RemovedSetting,
};
use crate::mail::{ObjectId, SmtpAddress};

/// How many further names of one person are kept, and how many permissions: more are of no use but to flood the object.
const NAMES: usize = 64;
const PERMISSIONS: usize = 500;
/// How many families of settings: more than there are.
const SETTINGS: usize = 32;
/// How many permissions are kept of one right. There may be more than so many.
pub const BY: usize = 20;
/// How much JSON a ledger is that grows.
pub(super) const BYTES: usize = 1024 * 1024;

/// Puts what is remembered into the object; life, history and seal stay as they are.
pub fn write(spec: &mut MailboxLedgerSpec, ledger: &Ledger) {
    let Ledger {
        intent,
        adopting,
        sign_in_undecided,
        addresses,
        defaults,
        opened,
        grants,
        removed,
        weighed,
        held,
        sign_out_owed,
    } = ledger;
    spec.sign_out_owed = *sign_out_owed;
    spec.intent.clone_from(intent);
    spec.adopting = *adopting;
    spec.sign_in_undecided = *sign_in_undecided;
    spec.addresses.clone_from(addresses);
    spec.defaults = *defaults;
    spec.opened = opened.iter().take(SETTINGS).cloned().collect();
    let removed_grants = || {
        removed.iter().filter_map(|removed| match &removed.what {
            Withdrawn::Grant(grant) => Some((grant, removed)),
            Withdrawn::Address(_) | Withdrawn::Setting(_) => None,
        })
    };
    let names: BTreeSet<&String> = grants
        .iter()
        .chain(removed_grants().map(|(grant, _)| grant))
        .flat_map(|grant| &grant.by)
        .collect();
    let names: Vec<String> = names.into_iter().take(PERMISSIONS).cloned().collect();
    let mut people = People {
        permissions: &names,
        people: BTreeMap::new(),
    };
    let announced: BTreeMap<&RightOf, &WeighedRemoval> =
        weighed.iter().map(|removal| (&removal.what, removal)).collect();
    let mut listed = BTreeSet::new();
    for grant in grants {
        let what = grant.right_of();
        let admitted = announced.get(&what).copied();
        let is_held = held.as_ref().is_some_and(|held| held.removals.contains(&what));
        let state = match (is_held, admitted) {
            (_, Some(_)) => GrantState::Removing,
            (true, None) => GrantState::Held,
            (false, None) if grant.pending => GrantState::Pending,
            (false, None) => GrantState::Granted,
        };
        people.add(
            grant,
            LedgerRight {
                weighed_at: admitted.map(|removal| removal.at),
                with_resource: admitted.is_some_and(|removal| removal.with_resource),
                ..right(grant, state)
            },
        );
        listed.insert(what);
    }
    for (grant, removed) in removed_grants() {
        if listed.insert(grant.right_of()) {
            people.add(
                grant,
                LedgerRight {
                    weighed_at: removed.weighed_at,
                    checked_until: Some(removed.until),
                    ..right(grant, GrantState::Removed)
                },
            );
        }
    }
    spec.people = people.people.into_values().collect();
    spec.permissions = names;
    spec.removed_addresses = removed_addresses(removed);
    spec.removed_settings = removed_settings(removed);
    spec.evictions = weighed
        .iter()
        .filter(|removal| !listed.contains(&removal.what))
        .map(eviction)
        .collect();
    spec.held = held.as_ref().and_then(|held| held_changes(held, &listed));
    spec.shown.people = i32::try_from(holding(spec)).unwrap_or(i32::MAX);
}

fn removed_addresses(removed: &[Removed]) -> Vec<RemovedAddress> {
    let address = |removed: &Removed| match &removed.what {
        Withdrawn::Address(address) => Some(RemovedAddress {
            address: address.clone(),
            until: removed.until,
        }),
        Withdrawn::Grant(_) | Withdrawn::Setting(_) => None,
    };
    removed.iter().filter_map(address).collect()
}

fn removed_settings(removed: &[Removed]) -> Vec<RemovedSetting> {
    let setting = |removed: &Removed| match &removed.what {
        Withdrawn::Setting(family) => Some(RemovedSetting {
            family: family.clone(),
            until: removed.until,
        }),
        Withdrawn::Grant(_) | Withdrawn::Address(_) => None,
    };
    removed.iter().filter_map(setting).take(SETTINGS).collect()
}

/// Whether a version lists more than the one before and is more JSON than a ledger may be. What lists no more is never
/// refused here: a removal adds times to what is listed, for which the API server leaves half a mebibyte.
pub fn outgrows(before: Option<&MailboxLedgerSpec>, spec: &MailboxLedgerSpec) -> bool {
    let listed = |spec: &MailboxLedgerSpec| {
        let people = spec.people.iter();
        let rights = people.flat_map(|person| person.rights.values());
        let held = rights.filter(|right| right.state != GrantState::Removed).count();
        held + spec.addresses.len()
    };
    listed(spec) > before.map_or(0, listed) && serde_json::to_vec(spec).is_ok_and(|json| json.len() > BYTES)
}

/// How many people hold something, or are about to.
fn holding(spec: &MailboxLedgerSpec) -> usize {
    let holds = |person: &&LedgerPerson| {
        let mut rights = person.rights.values();
        rights.any(|right| right.state != GrantState::Removed)
    };
    spec.people.iter().filter(holds).count()
}

/// A right that nobody takes away, but for its places in the lists of the ledger.
fn right(grant: &RecordedGrant, state: GrantState) -> LedgerRight {
    LedgerRight {
        state,
        at: grant.at,
        by: Vec::new(),
        named: Vec::new(),
        until: grant.until,
        weighed_at: None,
        with_resource: false,
        checked_until: None,
        auto_mapping: grant.auto_mapping,
        sid: grant.sid.clone(),
        remapping: grant.remapping,
    }
}

struct People<'a> {
    permissions: &'a [String],
    people: BTreeMap<ObjectId, LedgerPerson>,
}

impl People<'_> {
    fn add(&mut self, grant: &RecordedGrant, right: LedgerRight) {
        let person = self
            .people
            .entry(grant.object_id)
            .or_insert_with(|| LedgerPerson {
                id: grant.object_id,
                sid: None,
                written_as: Vec::new(),
                rights: BTreeMap::new(),
            });
        if person.sid.is_none() {
            person.sid.clone_from(&grant.sid);
        }
        // Each right keeps the name by which it is declared, however many others there are.
        let member = position_of(&mut person.written_as, &grant.member, usize::MAX);
        let also = grant.also.iter();
        let also: Vec<i32> = also
            .filter_map(|name| position_of(&mut person.written_as, name, NAMES))
            .collect();
        let named = member.into_iter().chain(also).collect();
        let by = grant.by.iter().filter_map(|name| {
            let position = self.permissions.binary_search(name).ok()?;
            i32::try_from(position).ok()
        });
        let right = LedgerRight {
            by: by.take(BY).collect(),
            named,
            sid: right.sid.filter(|sid| person.sid.as_ref() != Some(sid)),
            ..right
        };
        person.rights.insert(grant.right, right);
    }
}

fn position_of(names: &mut Vec<SmtpAddress>, name: &SmtpAddress, most: usize) -> Option<i32> {
    let position = names.iter().position(|other| other == name);
    let position = position.or_else(|| {
        (names.len() < most).then(|| {
            names.push(name.clone());
            names.len() - 1
        })
    });
    position.and_then(|position| i32::try_from(position).ok())
}

fn eviction(removal: &WeighedRemoval) -> LedgerEviction {
    LedgerEviction {
        holder: removal.what.holder.clone(),
        right: removal.what.right,
        weighed_at: removal.at,
    }
}

fn held_changes(held: &HeldRemovals, listed: &BTreeSet<RightOf>) -> Option<LedgerHeld> {
    let HeldRemovals {
        since,
        removals,
        grants,
    } = held;
    if removals.is_empty() && grants.is_empty() {
        return None;
    }
    Some(LedgerHeld {
        since: *since,
        evictions: removals
            .iter()
            .filter(|what| !listed.contains(what))
            .map(right_of)
            .collect(),
        grants: grants.iter().map(right_of).collect(),
    })
}

fn right_of(what: &RightOf) -> LedgerRightOf {
    LedgerRightOf {
        holder: what.holder.clone(),
        right: what.right,
    }
}

/// Whether two versions differ in nothing but what has passed by itself: a removal that is not checked any more, or
/// that is not counted any more. Such a difference is worth no write. The seal does not count either.
pub fn is_same_but_for_time(old: &MailboxLedgerSpec, new: &MailboxLedgerSpec, now: Timestamp) -> bool {
    // Mostly nothing differs at all.
    old == new || (has_no_new_eviction(old, new) && without_past(old, now) == without_past(new, now))
}

/// An eviction is dropped only once it counts no more; one that is new is announced.
fn has_no_new_eviction(old: &MailboxLedgerSpec, new: &MailboxLedgerSpec) -> bool {
    new.evictions
        .iter()
        .all(|eviction| old.evictions.contains(eviction))
}

fn without_past(spec: &MailboxLedgerSpec, now: Timestamp) -> MailboxLedgerSpec {
    let mut spec = spec.clone();
    spec.seal = None;
    if let Ok(mut ledger) = decode::read(&spec) {
        ledger.removed.retain(|removed| removed.until > now);
        let listed: BTreeSet<RightOf> = ledger.grants.iter().map(RecordedGrant::right_of).collect();
        ledger.weighed.retain(|removal| listed.contains(&removal.what));
        write(&mut spec, &ledger);
    }
    spec.shown.people = 0;
    spec
}
