//! Grants that no manifest declares: what they are, and which of them are removed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cause, Desired, Entry, Eviction, Identity, Observed};
use crate::api::ForeignState;
use crate::ledger::{Ledger, RecordedGrant};
use crate::mail::{Holder, ObjectId, Right, Sid, SmtpAddress};
use crate::words::counted;

/// One grant that no manifest declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// None where a row carries nobody's id.
    pub holder: Option<Holder>,
    pub store: Right,
    pub rights: BTreeSet<String>,
    pub shown: String,
    pub state: ForeignState,
    /// Why it is to be removed; None: it stays.
    pub removed_for: Option<Cause>,
}

impl Foreign {
    pub fn eviction(&self) -> Option<Eviction> {
        self.removed_for?;
        Some(Eviction {
            holder: self.holder.clone()?,
            store: self.store,
            rights: self.rights.clone(),
            shown: self.shown.clone(),
        })
    }
}

/// Every grant on the mailbox that neither a manifest declares nor the ledger explains.
pub fn foreign(desired: &Desired, observed: &Observed, ledger: &Ledger) -> Vec<Foreign> {
    let sids = known_sids(observed, ledger);
    let judge = Judge {
        desired,
        observed,
        ledger,
        explained: explained(desired, ledger, &sids),
        unknown: unknown(desired, ledger, &sids),
    };
    let full_access = observed
        .full_access
        .entries
        .iter()
        .map(|row| (Right::FullAccess, row));
    let send_as = observed.send_as.entries.iter().map(|row| (Right::SendAs, row));
    let on_behalf = observed.on_behalf.ids.iter().filter_map(|id| judge.on_behalf(id));
    let mut all: Vec<Foreign> = full_access
        .chain(send_as)
        .filter_map(|(store, row)| judge.row(store, row))
        .chain(on_behalf)
        .collect();
    all.extend(judge.untied());
    all
}

/// The SIDs of people, from the ledger and from every answer of this read. A mailbox may have hundreds of rows and of
/// members: looked up, not searched for.
type Sids<'a> = BTreeMap<&'a ObjectId, BTreeSet<&'a Sid>>;

fn known_sids<'a>(observed: &'a Observed, ledger: &'a Ledger) -> Sids<'a> {
    let mut sids = Sids::new();
    let mut learn = |id, sid| {
        sids.entry(id).or_default().insert(sid);
    };
    let recorded: BTreeSet<(&ObjectId, &Sid)> = ledger
        .grants
        .iter()
        .filter_map(|grant| Some((&grant.object_id, grant.sid.as_ref()?)))
        .collect();
    let of_ledger: BTreeSet<&ObjectId> = recorded.iter().map(|(id, _)| *id).collect();
    for holders in [&observed.send_as, &observed.full_access] {
        let asked = holders
            .asked
            .iter()
            .flat_map(|(id, asked)| asked.sids().into_iter().map(move |sid| (id, sid)));
        // What the ledger says counts, where it says something.
        for (id, sid) in asked.filter(|(id, _)| !of_ledger.contains(id)) {
            learn(id, sid);
        }
    }
    for (id, sid) in recorded {
        learn(id, sid);
    }
    for (holder, identity) in &observed.identities {
        if let (
            Holder::Sid(sid),
            Identity::Known {
                object_id: Some(id), ..
            },
        ) = (holder, identity)
        {
            learn(id, sid);
        }
    }
    sids
}

/// Rows, by store and SID, that manifests declare or the ledger explains.
fn explained<'a>(desired: &Desired, ledger: &'a Ledger, sids: &Sids<'a>) -> BTreeSet<(Right, &'a Sid)> {
    let rows = |id: &ObjectId, right: Right| {
        let own = sids.get(id).into_iter().flatten();
        own.map(move |sid| (right, *sid)).collect::<Vec<_>>()
    };
    let declared = desired.grants.keys().flat_map(|(id, right)| rows(id, *right));
    // What is to be revoked and can't be removed is reported, although the ledger knows it.
    let stuck = |row: &(Right, &Sid)| desired.stuck.contains(&(Holder::Sid(row.1.clone()), row.0));
    let recorded = ledger
        .grants
        .iter()
        .flat_map(|grant| rows(&grant.object_id, grant.right));
    declared.chain(recorded.filter(|row| !stuck(row))).collect()
}

/// Members without a known SID: they might be behind any row that is not tied to somebody else.
fn unknown(desired: &Desired, ledger: &Ledger, sids: &Sids<'_>) -> BTreeSet<ObjectId> {
    let wanted = desired.grants.keys().map(|(id, right)| (id, right));
    let recorded = ledger.grants.iter().map(|grant| (&grant.object_id, &grant.right));
    wanted
        .chain(recorded)
        .filter(|(id, right)| **right != Right::SendOnBehalf && !sids.contains_key(id))
        .map(|(id, _)| *id)
        .collect()
}

struct Judge<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    ledger: &'a Ledger,
    explained: BTreeSet<(Right, &'a Sid)>,
    unknown: BTreeSet<ObjectId>,
}

impl Judge<'_> {
    fn row(&self, store: Right, row: &Entry) -> Option<Foreign> {
        let holder = row.sid.clone().map(Holder::Sid);
        let mut rights = row.rights.clone();
        if row.denies {
            return Some(self.seen(holder, store, rights, &row.shown, (ForeignState::Denied, None)));
        }
        if let Some(sid) = &row.sid {
            self.drop_explained(&mut rights, store, sid);
        }
        let of_role = holder
            .as_ref()
            .is_some_and(|holder| self.observed.identities.get(holder) == Some(&Identity::RoleGroup));
        if rights.is_empty() || of_role {
            return None;
        }
        let judged = match &holder {
            Some(holder) => self.stranger(holder),
            None => (ForeignState::Unknown, None),
        };
        let gone = judged.0 == ForeignState::Orphaned;
        let judged = if gone && self.may_be_a_member(store) {
            (ForeignState::Unknown, None)
        } else {
            judged
        };
        Some(self.seen(holder, store, rights, &row.shown, judged))
    }

    /// Whether a row of this store that is tied to nobody may be that of a member without a known SID. Whoever was asked
    /// for has no such row.
    fn may_be_a_member(&self, store: Right) -> bool {
        let asked = match store {
            Right::FullAccess => &self.observed.full_access.asked,
            Right::SendAs => &self.observed.send_as.asked,
            Right::SendOnBehalf => return false,
        };
        self.unknown.iter().any(|id| !asked.contains_key(id))
    }

    /// Takes out what manifests declare or the ledger explains for the holder of the row.
    fn drop_explained(&self, rights: &mut BTreeSet<String>, store: Right, sid: &Sid) {
        if self.explained.contains(&(store, sid)) {
            rights.remove(store.as_str());
            // Comes along with Full Access and opens nothing more.
            rights.remove("ReadPermission");
        }
    }

    fn on_behalf(&self, id: &ObjectId) -> Option<Foreign> {
        let right = Right::SendOnBehalf;
        let recorded = |id: &ObjectId| {
            let same = |grant: &RecordedGrant| grant.object_id == *id && grant.right == right;
            self.ledger.grants.iter().any(same)
        };
        if self.desired.grants.contains_key(&(*id, right)) || recorded(id) {
            return None;
        }
        let holder = Holder::ObjectId(*id);
        let judged = self.stranger(&holder);
        let shown = match self.observed.identities.get(&holder) {
            Some(Identity::Known { addresses, .. }) => addresses.first().map(ToString::to_string),
            Some(Identity::Gone | Identity::Untied | Identity::RoleGroup) | None => None,
        };
        let shown = shown.unwrap_or_else(|| id.to_string());
        Some(self.seen(Some(holder), right, BTreeSet::new(), &shown, judged))
    }

    /// Entries of Send on Behalf that are tied to nobody.
    fn untied(&self) -> Option<Foreign> {
        let count = self.observed.on_behalf.untied;
        let text = counted(
            count,
            "entry that can't be tied to anybody",
            "entries that can't be tied to anybody",
        );
        let unknown = (ForeignState::Unknown, None);
        (count > 0).then(|| self.seen(None, Right::SendOnBehalf, BTreeSet::new(), &text, unknown))
    }

    /// What becomes of somebody's rights that no manifest declares.
    fn stranger(&self, holder: &Holder) -> (ForeignState, Option<Cause>) {
        let policy = &self.desired.policy;
        let identity = self.observed.identities.get(holder);
        if policy.departed.include(holder, identity) {
            return (ForeignState::Foreign, Some(Cause::Departed));
        }
        if policy.protected.include(holder, identity) {
            return (ForeignState::Protected, None);
        }
        let exclusive = policy.exclusive.then_some(Cause::Exclusive);
        match identity {
            // Not looked up, or the answer was no good: unknown is not foreign.
            None | Some(Identity::Untied | Identity::RoleGroup) => (ForeignState::Unknown, None),
            Some(Identity::Gone) => {
                let removed = policy.exclusive || policy.remove_orphans;
                (ForeignState::Orphaned, removed.then_some(Cause::Orphaned))
            }
            // Declared, and for now nobody knows whether it is them: they keep what they have.
            Some(Identity::Known { addresses, .. }) if self.is_kept(addresses) => {
                (ForeignState::Unknown, None)
            }
            Some(Identity::Known { addresses, .. }) if self.is_ignored(addresses) => {
                (ForeignState::Ignored, None)
            }
            // Somebody protected could not be looked up: it may be this one.
            Some(Identity::Known { .. }) if policy.protected.incomplete && policy.exclusive => {
                (ForeignState::Unknown, None)
            }
            Some(Identity::Known { .. }) => (ForeignState::Foreign, exclusive),
        }
    }

    fn is_kept(&self, addresses: &BTreeSet<SmtpAddress>) -> bool {
        let kept = &self.desired.kept;
        kept.iter().any(|(written, _)| addresses.contains(written))
    }

    fn is_ignored(&self, addresses: &BTreeSet<SmtpAddress>) -> bool {
        let patterns = &self.desired.policy.ignore;
        addresses
            .iter()
            .any(|address| patterns.iter().any(|pattern| pattern.matches(address)))
    }

    fn seen(
        &self,
        holder: Option<Holder>,
        store: Right,
        rights: BTreeSet<String>,
        shown: &str,
        (state, removed_for): (ForeignState, Option<Cause>),
    ) -> Foreign {
        let stuck = holder
            .as_ref()
            .is_some_and(|holder| self.desired.stuck.contains(&(holder.clone(), store)));
        Foreign {
            holder,
            store,
            rights,
            shown: shown.to_owned(),
            state: if stuck { ForeignState::Stuck } else { state },
            removed_for: removed_for.filter(|_| !stuck),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Asked;
    use crate::plan::testing::{desired, entry, identity, our_mailbox, person, sid, wants};

    fn judged(desired: &Desired, observed: &Observed) -> Vec<(ForeignState, Option<Cause>)> {
        let all = foreign(desired, observed, &Ledger::default()).into_iter();
        all.map(|row| (row.state, row.removed_for)).collect()
    }

    fn with_row_of(number: u8, identity: Identity) -> Observed {
        let mut observed = our_mailbox();
        observed.send_as.entries.push(entry(number, &["SendAs"]));
        observed.identities.insert(Holder::Sid(sid(number)), identity);
        observed
    }

    #[test]
    fn a_stranger_stays_as_long_as_somebody_protected_is_not_known() {
        let observed = with_row_of(1, identity(1));
        let mut desired = desired();
        desired.policy.exclusive = true;
        let removed = (ForeignState::Foreign, Some(Cause::Exclusive));
        assert_eq!(judged(&desired, &observed), [removed]);
        desired.policy.protected.incomplete = true;
        assert_eq!(judged(&desired, &observed), [(ForeignState::Unknown, None)]);
    }

    #[test]
    fn a_row_of_nobody_stays_as_long_as_it_may_be_that_of_a_member() {
        let mut observed = with_row_of(1, Identity::Gone);
        let mut desired = desired();
        desired.policy.remove_orphans = true;
        let removed = (ForeignState::Orphaned, Some(Cause::Orphaned));
        assert_eq!(judged(&desired, &observed), [removed]);
        wants(&mut desired, 2, Right::SendAs, false);
        assert_eq!(judged(&desired, &observed), [(ForeignState::Unknown, None)]);
        // Exchange was asked for them, and says that no row is theirs.
        observed.send_as.asked.insert(person(2), Asked::Nothing);
        assert_eq!(judged(&desired, &observed), [removed]);
    }
}
