//! What statuses are computed from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::MailboxLedgerSpec;
use crate::api::condition;
use crate::controller::reconcile::applied::Snapshot;
use crate::controller::reconcile::execution::Refused;
use crate::controller::reconcile::task::Restraint;
use crate::ledger::{Ledger, is_grant, last_changes};
use crate::mail::{ObjectId, Right};
use crate::plan::{Change, Desired, Observed, Plan, UnreadReads};

/// A mailbox that was read in this reconcile, and what is still to be done to it.
pub struct Findings<'a> {
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    /// Wanted reads that failed.
    pub unread: UnreadReads,
    pub kind: &'a str,
    pub ledger: &'a Ledger,
    /// What still differs.
    pub rest: &'a Plan,
    /// What Exchange refuses for good.
    pub refused: &'a [Refused],
    pub refused_grants: &'a BTreeMap<(ObjectId, Right), String>,
    /// What Exchange acknowledged long ago and no read shows.
    pub unverified: &'a BTreeSet<(ObjectId, Right)>,
    /// How many members of all permissions get nothing.
    pub members_refused: usize,
    /// Why the manifest is not carried out, if it is not.
    pub restraint: Option<&'a Restraint>,
    /// Something is written, be it only what protects: sign-in that is open is blocked.
    pub writes: bool,
    /// After how long people may use what was granted.
    pub propagation: Duration,
    /// Since when somebody has a right, as far as the history knows.
    pub since: BTreeMap<(ObjectId, Right), Timestamp>,
    /// The mailbox was there before its resource.
    pub is_adopted: bool,
}

impl<'a> Findings<'a> {
    /// `known` is what `ledger` was written to.
    pub fn of(
        snapshot: &'a Snapshot,
        ledger: &'a Ledger,
        known: Option<&MailboxLedgerSpec>,
        restraint: Option<&'a Restraint>,
    ) -> Self {
        let Snapshot {
            prepared,
            wanted,
            desired,
            observed,
            kind,
            rest,
            execution,
        } = snapshot;
        let verdicts = wanted.verdicts.iter().flatten();
        let mut unread = wanted.unread();
        unread.extend(observed.unread.clone());
        Self {
            desired,
            observed,
            unread,
            kind,
            ledger,
            rest,
            refused: &execution.refused,
            refused_grants: &execution.refused_grants,
            unverified: &prepared.remembered.unverified,
            members_refused: verdicts.filter(|verdict| verdict.refuses_somebody()).count(),
            restraint,
            writes: prepared.writes,
            propagation: prepared.tenant.propagation,
            since: known.map(granted_since).unwrap_or_default(),
            is_adopted: known.is_some_and(|known| known.before.is_some()),
        }
    }

    /// Why what is declared is not written; None: it is.
    pub fn withheld(&self) -> Option<&'static str> {
        match self.restraint {
            Some(Restraint::Refused(_)) => Some("the SharedMailbox is refused"),
            Some(Restraint::Paused) => Some("management is Paused"),
            Some(Restraint::Deleting) => Some("the namespace is being deleted"),
            Some(Restraint::Unsettled(_)) => Some("MailboxPermissions of the mailbox are being deleted"),
            Some(Restraint::Observed) => Some("management is Observe"),
            None => (!self.writes).then_some("management is Observe"),
        }
    }

    /// The manifest is refused or paused: only what holds whatever is declared is reported.
    pub fn is_restrained(&self) -> bool {
        self.restraint.is_some_and(Restraint::only_protects)
    }

    /// It is refused: nobody knows who may hold what, because that is judged by the address.
    pub fn is_refused(&self) -> bool {
        matches!(self.restraint, Some(Restraint::Refused(_)))
    }
}

fn granted_since(known: &MailboxLedgerSpec) -> BTreeMap<(ObjectId, Right), Timestamp> {
    let last = last_changes(known).into_iter();
    last.filter(|(_, line)| is_grant(line))
        .map(|(key, line)| (key, line.at))
        .collect()
}

/// Kubernetes keeps seconds: a fraction would be a difference for ever.
pub fn whole_seconds(time: Timestamp) -> Time {
    Time(condition::whole_seconds(time))
}

/// Wanted rights that are not there yet, or of which nobody knows.
pub(super) fn missing_grants(rest: &Plan) -> BTreeSet<(ObjectId, Right)> {
    let mut missing = rest.unread.clone();
    missing.extend(rest.changes().iter().filter_map(Change::given));
    missing
}
