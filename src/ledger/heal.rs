//! Times that lie ahead, because a clock was wrong when they were written or is wrong now.
//!
//! Whatever waits for such a time waits until the clock gets there, be it years: a mailbox is looked for, rights are not
//! revoked, and what somebody grants by hand counts as a removal that did not last. So what lies ahead becomes what it would
//! be if it were written now, in the object: a time that is only read so moves on with the clock, and nothing ever ends.

use jiff::{SignedDuration, Timestamp};

use super::SHOWN_BY_THEN;
use crate::api::{
    HistoryLine, Intent, LedgerEviction, LedgerPerson, LedgerRight, MailboxLedgerSpec, RemovedAddress,
    RemovedSetting,
};

/// Clocks of two machines differ a little.
const TOLERATED: SignedDuration = SignedDuration::from_secs(60);

/// Whether no right clock has written this time of something that has happened.
pub fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    at.duration_since(now) > TOLERATED
}

/// Whether anything was put right. Until when people are to hold something may well lie ahead, and of some times nothing
/// follows: when a mailbox was found that was taken over, and since when something waits, by which people approve it.
pub fn heal(spec: &mut MailboxLedgerSpec, now: Timestamp) -> bool {
    let MailboxLedgerSpec {
        format: _,
        seal: _,
        cluster: _,
        tenant: _,
        resource_ref: _,
        mailbox: _,
        intent,
        adopting,
        before: _,
        sign_in_undecided: _,
        taken_up_at,
        restored: _,
        released_at,
        gone_at,
        addresses: _,
        removed_addresses,
        defaults: _,
        opened: _,
        removed_settings,
        permissions: _,
        people,
        evictions,
        held: _,
        sign_out_owed: _,
        orphans_removed: _,
        namespace_uid: _,
        permissions_crd_uid: _,
        history_from,
        history,
        shown: _,
        other: _,
    } = spec;
    let mut is_healed = heal_rights(people, evictions, now);
    let past = [adopting, taken_up_at, released_at, gone_at, &mut *history_from];
    let past = past.into_iter().flatten();
    let past = past.chain(intent.iter_mut().map(|Intent { at, .. }| at));
    for at in past {
        is_healed |= heal_past(at, now);
    }
    let mut is_moved = false;
    for HistoryLine { at, .. } in history {
        is_moved |= heal_past(at, now);
    }
    if is_moved {
        // Lines stand where they do not belong: of what was before nobody can tell.
        *history_from = Some(now);
    }
    is_healed |= is_moved;
    let addresses = removed_addresses.iter_mut();
    let addresses = addresses.map(|RemovedAddress { address: _, until }| until);
    let settings = removed_settings.iter_mut();
    let settings = settings.map(|RemovedSetting { family: _, until }| until);
    for until in addresses.chain(settings) {
        is_healed |= heal_recheck(until, now);
    }
    is_healed
}

/// The same of who holds what, which is all that the index keeps.
pub fn heal_rights(people: &mut [LedgerPerson], evictions: &mut [LedgerEviction], now: Timestamp) -> bool {
    let mut is_healed = false;
    for right in people.iter_mut().flat_map(|person| person.rights.values_mut()) {
        let LedgerRight {
            state: _,
            at,
            by: _,
            named: _,
            until: _,
            weighed_at,
            with_resource: _,
            checked_until,
            auto_mapping: _,
            sid: _,
            remapping: _,
        } = right;
        for at in [at, weighed_at].into_iter().flatten() {
            is_healed |= heal_past(at, now);
        }
        if let Some(until) = checked_until {
            is_healed |= heal_recheck(until, now);
        }
    }
    for LedgerEviction {
        holder: _,
        right: _,
        weighed_at,
    } in evictions
    {
        is_healed |= heal_past(weighed_at, now);
    }
    is_healed
}

/// When something happened.
fn heal_past(at: &mut Timestamp, now: Timestamp) -> bool {
    let is_wrong = is_ahead(*at, now);
    if is_wrong {
        *at = now;
    }
    is_wrong
}

/// Until when something that was removed is checked again: never longer than from now on.
fn heal_recheck(until: &mut Timestamp, now: Timestamp) -> bool {
    let latest = now.saturating_add(SHOWN_BY_THEN).unwrap_or(Timestamp::MAX);
    let is_wrong = is_ahead(*until, latest);
    if is_wrong {
        *until = latest;
    }
    is_wrong
}
