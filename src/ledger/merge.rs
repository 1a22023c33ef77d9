//! Two ledgers of one mailbox.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::ResourceExt;

use super::{Ledger, RecordedGrant, RightOf, Withdrawn, decode, encode, history, life};
use crate::api::{DefaultsState, MailboxLedger, MailboxLedgerSpec};
use crate::mail::{Holder, ObjectId, Right, SmtpAddress};

/// Whether `one` is the one that stays: an intact seal, one that nobody else can make before, then the newer entry, then the
/// smaller name.
pub fn wins(one: &MailboxLedger, other: &MailboxLedger) -> bool {
    let rank = |ledger: &MailboxLedger| {
        (
            life::is_our_version(ledger),
            life::is_intact(ledger),
            newest(&ledger.spec),
        )
    };
    match rank(one).cmp(&rank(other)) {
        std::cmp::Ordering::Equal => one.name_any() < other.name_any(),
        unequal @ (std::cmp::Ordering::Less | std::cmp::Ordering::Greater) => unequal.is_gt(),
    }
}

fn newest(spec: &MailboxLedgerSpec) -> Option<Timestamp> {
    spec.history.iter().map(|line| line.at).max()
}

/// The winner's, with what only the loser knows: rights, unless the winner's history says that they were revoked, and what
/// else was remembered where the winner remembers nothing.
///
/// What is added may be old: like everything that a restore brought back it is not revoked for a while.
pub fn merge(winner: &MailboxLedger, loser: &MailboxLedger, now: Timestamp) -> MailboxLedgerSpec {
    let mut spec = winner.spec.clone();
    let (Ok(mut ledger), Ok(lost)) = (decode::read(&winner.spec), decode::read(&loser.spec)) else {
        return spec;
    };
    let brings = add(&mut ledger, lost, &revoked(&winner.spec), now);
    encode::write(&mut spec, &ledger);
    history::join(&mut spec, &loser.spec, now);
    if spec.before.is_none() {
        spec.before.clone_from(&loser.spec.before);
    }
    if spec.orphans_removed.is_none() {
        spec.orphans_removed.clone_from(&loser.spec.orphans_removed);
    }
    if brings {
        spec.taken_up_at = Some(now);
        spec.restored = true;
        // The winner's history says nothing of what came from the other.
        spec.history_from = Some(now);
    }
    spec
}

/// Whether anything came that may be taken away again.
fn add(ledger: &mut Ledger, lost: Ledger, revoked: &BTreeSet<(ObjectId, Right)>, now: Timestamp) -> bool {
    let Ledger {
        // Both know the mailbox: whether it is ours already, and how its sign-in is to be, the winner knows better.
        intent: _,
        adopting: _,
        sign_in_undecided: _,
        addresses,
        defaults,
        opened,
        grants,
        removed,
        weighed,
        held,
        sign_out_owed,
    } = lost;
    let size = |ledger: &Ledger| {
        ledger.grants.len() + ledger.removed.len() + ledger.addresses.len() + ledger.opened.len()
    };
    let before = size(ledger);
    let mut known = Known::of(ledger);
    let mut came = BTreeSet::new();
    for grant in grants {
        if !revoked.contains(&grant.key()) && known.rights.insert(grant.key()) {
            came.insert(grant.right_of());
            ledger.grants.push(grant);
        }
    }
    let addresses = addresses.into_iter();
    ledger
        .addresses
        .extend(addresses.filter(|address| known.addresses.insert(address.clone())));
    let opened = opened.into_iter();
    ledger
        .opened
        .extend(opened.filter(|name| known.settings.insert(name.clone())));
    let removed = removed.into_iter().filter(|removed| removed.until > now);
    ledger
        .removed
        .extend(removed.filter(|removed| match &removed.what {
            Withdrawn::Grant(grant) => known.rights.insert(grant.key()),
            Withdrawn::Address(address) => known.addresses.insert(address.clone()),
            Withdrawn::Setting(name) => known.settings.insert(name.clone()),
        }));
    // What was announced of these, or waits for approval, goes on so. Of its own rights the winner knows better.
    let is_left = |what: &RightOf| match what.holder {
        Holder::ObjectId(_) => came.contains(what),
        Holder::Sid(_) => true,
    };
    let mut announced: BTreeSet<RightOf> = ledger.weighed.iter().map(|one| one.what.clone()).collect();
    let weighed = weighed.into_iter().filter(|one| is_left(&one.what));
    ledger
        .weighed
        .extend(weighed.filter(|one| announced.insert(one.what.clone())));
    if ledger.held.is_none() {
        ledger.held = held.map(|mut held| {
            held.removals.retain(is_left);
            held
        });
    }
    // Whether defaults that waited then were applied since nobody knows, and a second time they would undo what people did.
    let applied = defaults.filter(|defaults| *defaults == DefaultsState::Applied);
    ledger.defaults = ledger.defaults.or(applied);
    ledger.sign_out_owed |= sign_out_owed;
    size(ledger) > before
}

/// What a ledger lists, be it as removed.
struct Known {
    rights: BTreeSet<(ObjectId, Right)>,
    addresses: BTreeSet<SmtpAddress>,
    settings: BTreeSet<String>,
}

impl Known {
    fn of(ledger: &Ledger) -> Self {
        let mut known = Self {
            rights: ledger.grants.iter().map(RecordedGrant::key).collect(),
            addresses: ledger.addresses.iter().cloned().collect(),
            settings: ledger.opened.clone(),
        };
        for removed in &ledger.removed {
            match &removed.what {
                Withdrawn::Grant(grant) => drop(known.rights.insert(grant.key())),
                Withdrawn::Address(address) => drop(known.addresses.insert(address.clone())),
                Withdrawn::Setting(name) => drop(known.settings.insert(name.clone())),
            }
        }
        known
    }
}

/// What the history says to be revoked last.
fn revoked(spec: &MailboxLedgerSpec) -> BTreeSet<(ObjectId, Right)> {
    let last = history::last_changes(spec).into_iter();
    last.filter(|(_, line)| history::is_removal(line))
        .map(|(key, _)| key)
        .collect()
}
