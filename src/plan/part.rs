//! Plans without some of their changes.

use std::collections::BTreeSet;

use super::{Acknowledged, Cause, Change, Plan, Purpose, SignInStanding, Step, hold};
use crate::api::Intent;
use crate::ledger::{Ledger, RecordedGrant, RightOf};
use crate::mail::{ObjectId, Right};
use crate::setting::Call;

impl Plan {
    /// The plan without what was acknowledged a moment ago, and whether something was left out. The sign-in block is
    /// never left out. A new mailbox keeps its one-time name until a read shows the marker: one that was acknowledged may be
    /// lost, and nothing else would say whose the mailbox is.
    pub fn without(&self, acknowledged: &Acknowledged) -> (Self, bool) {
        let mut changes = self.changes().into_iter();
        let awaits_marker = changes.any(|change| change.is_marker() && acknowledged.contains(&change));
        self.keeping(|change| {
            let is_name = change.names_a_new_mailbox() && !change.is_marker();
            !(is_name && awaits_marker) && (change.is_repeated() || !acknowledged.contains(change))
        })
    }

    /// The plan with only those changes that `keep` admits, and whether something was left out. Its ledgers stay.
    pub fn keeping(&self, keep: impl Fn(&Change) -> bool) -> (Self, bool) {
        let mut left_out = false;
        let mut steps = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let kept = step.keeping(&keep);
            left_out |= kept.as_ref() != Some(step);
            steps.extend(kept);
        }
        let plan = Self {
            steps,
            ..self.clone()
        };
        (plan, left_out)
    }

    /// Only the marker of a mailbox that is taken over: nothing else is written before a read shows it.
    pub fn only_the_marker(&self, ledger: &Ledger) -> Self {
        let (only, _) = self.keeping(Change::is_marker);
        Self {
            announced: ledger.clone(),
            settled: ledger.clone(),
            ..only
        }
    }

    /// And last, the marker is taken away: from then on the mailbox is nobody's.
    pub fn withdrawing_the_marker(mut self, attribute: u8) -> Self {
        self.steps.push(Step::Set {
            call: Call::Mailbox,
            changes: vec![Change::Marker {
                attribute,
                text: String::new(),
            }],
        });
        self
    }

    /// Only what takes access away, and the marker of a mailbox that was just created; everything else is as if nobody had
    /// planned it, and the ledger keeps saying so.
    pub fn only_taking_away(&self, ledger: &Ledger) -> Self {
        let is_new = ledger.intent.is_some();
        let (only, _) = self.keeping(|change| {
            let names = is_new && change.names_a_new_mailbox();
            names || change.removes_a_grant() || change.closes_sign_in()
        });
        let mut restrained = self.without_what_is_granted(only, ledger);
        restrained.settled.held = None;
        restrained.settled.weighed = Vec::new();
        restrained
    }

    /// Only what outranks whatever a team writes: removals of those who have left, whose time is over, or whose removal
    /// was announced before; and the sign-in block, with the marker of a mailbox that was just created. Everything else is
    /// as if nobody had planned it.
    pub fn only_what_protects(&self, ledger: &Ledger) -> Self {
        let outranks = self.outranks_a_team(ledger);
        let is_new = ledger.intent.is_some();
        let (only, _) = self.keeping(|change| {
            let names = is_new && change.names_a_new_mailbox();
            names || outranks(change) || change.closes_sign_in()
        });
        self.without_what_is_granted(only, ledger)
    }

    /// `only` of this plan, of which the ledger says no more than it did: but who loses something, and who is signed out.
    fn without_what_is_granted(&self, only: Self, ledger: &Ledger) -> Self {
        let stays = staying(&only);
        let intent = self.intent_after(&only, ledger);
        Self {
            announced: Ledger {
                sign_out_owed: self.announced.sign_out_owed,
                ..ledger.clone()
            },
            settled: Ledger {
                grants: ledger
                    .grants
                    .iter()
                    .filter(|grant| stays(grant))
                    .cloned()
                    .collect(),
                intent,
                sign_out_owed: self.settled.sign_out_owed,
                ..ledger.clone()
            },
            ..only
        }
    }

    /// The intent of a new mailbox, until a read shows the marker and that nobody can sign in.
    fn intent_after(&self, only: &Self, ledger: &Ledger) -> Option<Intent> {
        let changes = only.changes();
        let is_begun = changes
            .iter()
            .any(|change| change.is_marker() || change.closes_sign_in())
            || self.sign_in == SignInStanding::Propagating;
        ledger.intent.clone().filter(|_| is_begun)
    }

    /// Whether a change is a removal that nothing suspends: of somebody who has left, of a right whose time is over, or one
    /// that was announced before.
    fn outranks_a_team(&self, ledger: &Ledger) -> impl Fn(&Change) -> bool {
        let announced: BTreeSet<RightOf> = ledger.weighed.iter().map(|one| one.what.clone()).collect();
        move |change| match self.causes.get(change) {
            Some(Cause::Departed | Cause::Expired) => true,
            Some(Cause::Undeclared | Cause::Deleted | Cause::Exclusive | Cause::Orphaned) | None => {
                hold::removed(change).is_some_and(|what| announced.contains(&what))
            }
        }
    }

    /// Only what outlives the resource: the marker, the sign-in block and the name of a mailbox that was just created;
    /// and removals that nothing suspends, or all of them. Sign-in is blocked again only where `purpose` says so.
    pub fn only_what_outlives(&self, ledger: &Ledger, purpose: Purpose) -> Self {
        let is_new = ledger.intent.is_some();
        let blocks = is_new || purpose.keeps_blocked();
        let revokes = purpose.revokes_everything();
        let outlives = self.outranks_a_team(ledger);
        // Nothing else is granted where no manifest declares anything.
        let was_being_remapped = |id: ObjectId, right: Right| {
            let mut grants = ledger.grants.iter();
            grants.any(|grant| grant.remapping && grant.key() == (id, right))
        };
        let (only, _) = self.keeping(|change| match change {
            Change::SignIn { allowed: false, .. } => blocks,
            Change::SignedOut => blocks || ledger.sign_out_owed,
            Change::Marker { .. } | Change::Set { .. } => is_new && change.names_a_new_mailbox(),
            Change::Revoked(..) => revokes || outlives(change),
            Change::Evicted(..) => outlives(change),
            Change::Granted(id, right) => was_being_remapped(*id, *right),
            Change::SignIn { allowed: true, .. }
            | Change::Remapped(..)
            | Change::AutoMappingCleared
            | Change::Primary(_)
            | Change::AddressAdded(_)
            | Change::AddressRemoved(_) => false,
        });
        let intent = self.intent_after(&only, ledger);
        let owes_sign_out = self.announced.sign_out_owed && (blocks || ledger.sign_out_owed);
        let stays = staying(&only);
        Self {
            announced: Ledger {
                grants: with_remapped(&ledger.grants, &self.announced.grants),
                sign_out_owed: owes_sign_out,
                ..ledger.clone()
            },
            settled: Ledger {
                grants: with_remapped(&ledger.grants, &self.settled.grants)
                    .into_iter()
                    .filter(stays)
                    .collect(),
                intent,
                sign_out_owed: owes_sign_out && self.settled.sign_out_owed,
                ..ledger.clone()
            },
            ..only
        }
    }
}

/// Whether a grant is left once this is carried out.
fn staying(only: &Plan) -> impl Fn(&RecordedGrant) -> bool + use<> {
    let changes = only.changes();
    move |grant| !changes.contains(&Change::Revoked(grant.object_id, grant.right))
}

/// The grants, but as `planned` has those whose automapping was being changed.
fn with_remapped(grants: &[RecordedGrant], planned: &[RecordedGrant]) -> Vec<RecordedGrant> {
    let as_planned = |grant: &RecordedGrant| {
        let planned = planned.iter().find(|planned| planned.key() == grant.key());
        let planned = planned.filter(|_| grant.remapping);
        planned.unwrap_or(grant).clone()
    };
    grants.iter().map(as_planned).collect()
}
