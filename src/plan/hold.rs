//! Too much at once: which changes wait for somebody's approval.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Cause, Change, Desired, Plan};
use crate::ledger::{HeldRemovals, Ledger, RecordedGrant, RightOf, WeighedRemoval};
use crate::mail::{Holder, MailboxGuid, ObjectId, Right, SmtpAddress};

/// So many people may join or leave a group between two reads, whatever its size.
const FEW: usize = 10;
/// Or so many of every hundred.
const PERCENT: usize = 30;

/// Changes that wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub since: Timestamp,
    pub changes: BTreeSet<Change>,
}

/// A plan whose removals were weighed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    /// Removals that have to be weighed with those of other mailboxes before they are done.
    pub new_removals: BTreeSet<Change>,
    /// Removals that were too many when they were weighed last. They are weighed again.
    pub held_removals: BTreeSet<Change>,
    /// What must wait for a person because a group changed all at once.
    pub held: BTreeSet<Change>,
}

/// Which changes of `plan` wait, and which removals are new. `sudden` changes wait in any case.
///
/// What was held is weighed again while it is planned; what was approved before is not.
pub fn weigh(plan: &Plan, ledger: &Ledger, sudden: &BTreeSet<Change>) -> Weighed {
    let planned = plan.changes();
    let admitted: BTreeSet<Change> = ledger.weighed.iter().map(|one| removal(&one.what)).collect();
    let before = ledger.held.as_ref().map(Held::read);
    let weighed = |change: &Change| plan.causes.get(change).is_some_and(|cause| cause.is_weighed());
    let waited: BTreeSet<Change> = before.into_iter().flat_map(|held| held.changes).collect();
    let mut held: BTreeSet<Change> = waited
        .iter()
        // Only what follows from groups that changed is granted under a hold.
        .filter(|change| !change.removes_a_grant())
        .chain(sudden)
        .filter(|change| planned.contains(*change))
        // A person who is said to have left loses everything, held or not, and an end comes when it comes.
        .filter(|change| !change.removes_a_grant() || weighed(change))
        .cloned()
        .collect();
    held.retain(|change| !admitted.contains(change));
    let (held_removals, new_removals) = planned
        .into_iter()
        .filter(|change| weighed(change) && !held.contains(change) && !admitted.contains(change))
        .partition(|change| waited.contains(change));
    Weighed {
        new_removals,
        held_removals,
        held,
    }
}

/// Grants and revocations that follow from groups that changed all at once, or that nobody is in any more: their owners sit
/// outside the cluster. Who comes with, or stays in, another group or is named by themselves does not follow from it.
pub fn sudden(desired: &Desired, ledger: &Ledger) -> BTreeSet<Change> {
    let mut joined: BTreeMap<&SmtpAddress, BTreeSet<&ObjectId>> = BTreeMap::new();
    let mut left: BTreeMap<&SmtpAddress, BTreeSet<&ObjectId>> = BTreeMap::new();
    let kept: BTreeSet<&ObjectId> = desired.kept_people.iter().map(|(id, _)| id).collect();
    let holders: BTreeMap<&SmtpAddress, BTreeSet<ObjectId>> = desired
        .groups
        .keys()
        .map(|group| (group, granted_via(group, ledger)))
        .collect();
    for (group, people) in &desired.groups {
        let before = &holders[group];
        if before.is_empty() {
            continue;
        }
        let most = FEW.max(before.len() * PERCENT / 100);
        let new: BTreeSet<&ObjectId> = people.difference(before).collect();
        let gone: BTreeSet<&ObjectId> = before
            .difference(people)
            .filter(|id| !kept.contains(id))
            .collect();
        if new.len() > most {
            joined.insert(group, new);
        }
        // Perhaps the directory hides its members, or those of a group in it, and does not say so.
        let may_be_hidden = people.is_empty() || desired.perhaps_more.contains(group);
        if gone.len() > most || may_be_hidden {
            left.insert(group, gone);
        }
    }
    let is_in = |groups: &BTreeMap<&SmtpAddress, BTreeSet<&ObjectId>>, name: &SmtpAddress, id: &ObjectId| {
        groups.get(name).is_some_and(|people| people.contains(id))
    };
    let granted = desired.grants.iter().filter(|((id, _), wanted)| {
        let mut names = std::iter::once(&wanted.member).chain(&wanted.also);
        names.all(|name| is_in(&joined, name, id))
    });
    let granted = granted.map(|((id, right), _)| Change::Granted(*id, *right));
    let revoked = ledger.grants.iter().filter(|grant| {
        let mut groups = grant
            .written_as()
            .filter(|name| desired.groups.contains_key(*name))
            .peekable();
        groups.peek().is_some() && groups.all(|name| is_in(&left, name, &grant.object_id))
    });
    let revoked = revoked.map(|grant| Change::Revoked(grant.object_id, grant.right));
    granted.chain(revoked).collect()
}

/// Whom the ledger says to hold something because they were in the group.
fn granted_via(group: &SmtpAddress, ledger: &Ledger) -> BTreeSet<ObjectId> {
    let via = |grant: &&RecordedGrant| grant.written_as().any(|written| written == group);
    ledger
        .grants
        .iter()
        .filter(via)
        .map(|grant| grant.object_id)
        .collect()
}

impl Held {
    pub fn read(held: &HeldRemovals) -> Self {
        let HeldRemovals {
            since,
            removals,
            grants,
        } = held;
        let granted = grants.iter().filter_map(|grant| match grant.holder {
            Holder::ObjectId(id) => Some(Change::Granted(id, grant.right)),
            Holder::Sid(_) => None,
        });
        Self {
            since: *since,
            changes: removals.iter().map(removal).chain(granted).collect(),
        }
    }

    pub fn to_ledger(&self) -> HeldRemovals {
        let grants = self
            .changes
            .iter()
            .filter_map(Change::granted)
            .map(|(id, right)| entry(Holder::ObjectId(id), right));
        HeldRemovals {
            since: self.since,
            removals: self.changes.iter().filter_map(removed).collect(),
            grants: grants.collect(),
        }
    }

    /// What somebody has to write to approve exactly these changes on this mailbox. The same changes held again
    /// later have another one.
    pub fn id(&self, mailbox: MailboxGuid) -> String {
        let changes: Vec<String> = self.changes.iter().map(ToString::to_string).collect();
        let text = format!("{mailbox}\n{}\n{}", self.since, changes.join("\n"));
        Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).to_string()
    }
}

/// The right that a change removes; None for a change that removes nothing.
pub(super) fn removed(change: &Change) -> Option<RightOf> {
    change.removed().map(|(holder, right)| entry(holder, right))
}

fn entry(holder: Holder, right: Right) -> RightOf {
    RightOf { holder, right }
}

fn removal(entry: &RightOf) -> Change {
    match &entry.holder {
        Holder::ObjectId(id) => Change::Revoked(*id, entry.right),
        Holder::Sid(_) => Change::Evicted(entry.holder.clone(), entry.right),
    }
}

impl Plan {
    /// The plan with what is held and what was approved written into its ledgers, so that neither a crash nor another
    /// reconcile forgets it. Nothing that is held, or is not confirmed yet, counts as granted. What was weighed within the
    /// period still counts.
    pub fn remembering(
        mut self,
        held: Option<&Held>,
        unconfirmed: &BTreeSet<Change>,
        approved: &BTreeSet<Change>,
        desired: &Desired,
    ) -> Self {
        let (now, period) = (desired.now, desired.policy.period);
        let not_granted: BTreeSet<(ObjectId, Right)> = held
            .into_iter()
            .flat_map(|held| &held.changes)
            .chain(unconfirmed)
            .filter_map(Change::granted)
            .collect();
        let planned = self.changes();
        self.announced
            .grants
            .retain(|grant| !not_granted.contains(&grant.key()));
        // While a team pauses or observes the mailbox nothing is weighed, and what waits goes on waiting.
        if !desired.purpose.keeps_held() {
            self.announced.held = held.map(Held::to_ledger);
        }
        // What is declared again and taken out later is weighed anew.
        let stays_announced = |what: &RightOf| match what.holder {
            Holder::ObjectId(id) => {
                desired.purpose.keeps_announced() && !desired.grants.contains_key(&(id, what.right))
            }
            Holder::Sid(_) => desired.purpose.keeps_announced(),
        };
        let is_deleted = |change: &Change| self.causes.get(change) == Some(&Cause::Deleted);
        let approved = approved.iter().filter_map(|change| {
            let removal = WeighedRemoval {
                what: removed(change)?,
                at: now,
                with_resource: is_deleted(change),
            };
            Some((removal.what.clone(), removal))
        });
        let mut weighed: BTreeMap<RightOf, WeighedRemoval> = approved.collect();
        for earlier in &self.announced.weighed {
            let is_stranger = matches!(earlier.what.holder, Holder::Sid(_));
            let counts = is_stranger && counts_until(earlier.at, period) > now;
            if stays_announced(&earlier.what) || counts || planned.contains(&removal(&earlier.what)) {
                weighed.insert(earlier.what.clone(), earlier.clone());
            }
        }
        let weighed: Vec<WeighedRemoval> = weighed.into_values().collect();
        let is_left = |what: &RightOf| self.settled.grants.iter().any(|grant| grant.right_of() == *what);
        let is_remembered = |one: &&WeighedRemoval| match one.what.holder {
            Holder::Sid(_) => counts_until(one.at, period) > now,
            Holder::ObjectId(_) => stays_announced(&one.what) && is_left(&one.what),
        };
        self.settled.weighed = weighed.iter().filter(is_remembered).cloned().collect();
        self.announced.weighed = weighed;
        self
    }
}

/// Until when a removal counts with others.
pub(super) fn counts_until(weighed_at: Timestamp, period: Duration) -> Timestamp {
    weighed_at.saturating_add(period).unwrap_or(Timestamp::MAX)
}
