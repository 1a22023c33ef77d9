//! Two ledgers of one mailbox.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::ResourceExt;

use super::{Ledger, decode, encode, history, life};
use crate::api::{MailboxLedger, MailboxLedgerSpec};
use crate::mail::{ObjectId, Right};

/// Whether `one` is the one that stays: an intact seal, then the newer entry, then the smaller name.
pub fn wins(one: &MailboxLedger, other: &MailboxLedger) -> bool {
    let rank = |ledger: &MailboxLedger| (life::is_intact(ledger), newest(&ledger.spec));
    match rank(one).cmp(&rank(other)) {
        std::cmp::Ordering::Equal => one.name_any() < other.name_any(),
        unequal @ (std::cmp::Ordering::Less | std::cmp::Ordering::Greater) => unequal.is_gt(),
    }
}

fn newest(spec: &MailboxLedgerSpec) -> Option<Timestamp> {
    spec.history.iter().map(|line| line.at).max()
}

/// The winner's, with the rights that only the loser knows, unless the winner's history says that they were revoked.
///
/// What is added may be old: like everything that a restore brought back it is not revoked for a while.
pub fn merge(winner: &MailboxLedger, loser: &MailboxLedger, now: Timestamp) -> MailboxLedgerSpec {
    let mut spec = winner.spec.clone();
    let (Ok(mut ledger), Ok(lost)) = (decode::read(&winner.spec), decode::read(&loser.spec)) else {
        return spec;
    };
    let known = known(&ledger);
    let revoked = revoked(&winner.spec);
    for grant in lost.grants {
        if !known.contains(&grant.key()) && !revoked.contains(&grant.key()) {
            // A removal that was announced stays so.
            let what = grant.right_of();
            ledger
                .weighed
                .extend(lost.weighed.iter().find(|one| one.what == what).cloned());
            ledger.grants.push(grant);
        }
    }
    for address in lost.addresses {
        if !ledger.addresses.contains(&address) {
            ledger.addresses.push(address);
        }
    }
    ledger.opened.extend(lost.opened);
    encode::write(&mut spec, &ledger);
    history::join(&mut spec, &loser.spec, now);
    let brings = spec.people != winner.spec.people
        || spec.opened != winner.spec.opened
        || spec.addresses != winner.spec.addresses;
    if brings {
        spec.taken_up_at = Some(now);
        spec.restored = true;
        // The winner's history says nothing of what came from the other.
        spec.history_from = Some(now);
    }
    spec
}

fn known(ledger: &Ledger) -> BTreeSet<(ObjectId, Right)> {
    ledger.grants.iter().map(super::RecordedGrant::key).collect()
}

/// What the history says to be revoked last.
fn revoked(spec: &MailboxLedgerSpec) -> BTreeSet<(ObjectId, Right)> {
    let last = history::last_changes(spec).into_iter();
    last.filter(|(_, line)| history::is_removal(line))
        .map(|(key, _)| key)
        .collect()
}
