//! Whose mailbox it is, and what may be done to it: from what was read to a value that can be planned with.

use crate::controller::reconcile::observation::{Found, Observation, ObservedMailbox};
use crate::controller::reconcile::outcome::{Outcome, Progress, Stall};
use crate::controller::reconcile::prepared::{Prepared, Remembered};
use crate::mail::Nickname;
use crate::plan::{self, NotOurs, Observed, Ownership, Plan, Purpose};
use crate::rules::Wish;

use super::judged::{Judged, desired};
use super::written::{admitted_sign_in, denials, needed_powers};
use super::{Directory, resolve};

/// What may be planned for.
pub enum Validated {
    New {
        judged: Judged,
        nickname: Nickname,
    },
    Present {
        judged: Judged,
        seen: Box<ObservedMailbox>,
    },
}

/// What is to be done.
pub enum Planned {
    Create {
        judged: Judged,
        nickname: Nickname,
    },
    /// Only the marker is written; the rest follows once a read shows it.
    Adopt {
        judged: Judged,
        seen: Box<ObservedMailbox>,
        plan: Plan,
    },
    Change {
        judged: Judged,
        seen: Box<ObservedMailbox>,
        plan: Plan,
    },
}

/// `is_alive` says whether a SharedMailbox with this uid exists.
pub fn validate(
    prepared: Prepared,
    observation: Observation,
    is_alive: impl Fn(&str) -> bool,
) -> Result<Validated, Outcome> {
    let Observation {
        wanted,
        desired,
        directory,
        found,
    } = observation;
    let mut judged = Judged {
        prepared,
        wanted,
        desired,
        reattached: false,
        adopts: false,
        refused: None,
        gone: Vec::new(),
    };
    let seen = match found {
        Found::Mailbox(seen) => seen,
        Found::Nowhere(nickname) => {
            let purpose = judged.prepared.purpose;
            if purpose.is_without_resource() {
                let why = "its mailbox is not shown yet".to_owned();
                return Err(Outcome::Progressing(Progress::WaitingForExchange(why)));
            }
            // Nothing is created for a manifest that is not kept.
            judged.prepared.writes &= purpose.grants();
            return Ok(Validated::New { judged, nickname });
        }
    };
    judged.check_owner(&seen, is_alive)?;
    judged.check_addresses(&seen.observed, &directory)?;
    judged.confirm_removed(&seen.observed);
    Ok(Validated::Present { judged, seen })
}

impl Validated {
    /// Whether anything may be written.
    pub fn writes(&self) -> bool {
        match self {
            Self::New { judged, .. } | Self::Present { judged, .. } => judged.prepared.writes,
        }
    }

    pub fn plan(self) -> Planned {
        match self {
            Self::New { judged, nickname } => Planned::Create { judged, nickname },
            Self::Present { judged, seen } => {
                let plan = judged.plan(&seen.observed);
                if judged.adopts {
                    Planned::Adopt { judged, seen, plan }
                } else {
                    Planned::Change { judged, seen, plan }
                }
            }
        }
    }
}

impl Planned {
    pub fn judged(&self) -> &Judged {
        match self {
            Self::Create { judged, .. } | Self::Adopt { judged, .. } | Self::Change { judged, .. } => judged,
        }
    }
}

impl Judged {
    pub fn plan(&self, observed: &Observed) -> Plan {
        plan::plan(&self.desired, observed, &self.prepared.ledger)
    }

    fn check_owner(
        &mut self,
        seen: &ObservedMailbox,
        is_alive: impl Fn(&str) -> bool,
    ) -> Result<(), Outcome> {
        let Prepared {
            tenant,
            owner,
            ledger,
            purpose,
            writes: _,
            admitted: _,
            remembered: _,
            take_up: _,
            remove_orphans: _,
            has_unread_permissions: _,
            now: _,
        } = &self.prepared;
        let guid = seen.observed.guid;
        let ownership = plan::ownership(owner, &tenant.succeeds, &seen.observed, ledger, is_alive);
        match ownership {
            Ownership::Ours | Ownership::JustCreated => self.prepared.ledger.adopting = None,
            Ownership::Reattached => {
                self.reattached = true;
                self.prepared.ledger.adopting = None;
            }
            Ownership::NotOurs(NotOurs::Unmarked | NotOurs::OtherText | NotOurs::CopiedMarker)
                if ledger.adopting.is_some() && *purpose == Purpose::Keep =>
            {
                return self.adopt(seen);
            }
            Ownership::NotOurs(NotOurs::OtherCluster(cluster)) => {
                return Err(Outcome::Stalled(Stall::TakenOver(format!(
                    "the mailbox {guid} belongs to the resource of this name in the cluster {cluster}; nothing is \
                     written to it. Delete this SharedMailbox here, or, when this cluster is to take it over, have the \
                     platform team list {cluster} in spec.ownership.succeeds of the ExchangeTenant"
                ))));
            }
            Ownership::NotOurs(why) => {
                return Err(Outcome::Stalled(Stall::NotOurs(format!(
                    "the mailbox {guid} is not ours: {why}; nothing is written to it. Put the marker attribute back \
                     as it was, or have the platform team forget the mailbox (docs/ledger.md)"
                ))));
            }
        }
        if seen.kind == "SharedMailbox" {
            return Ok(());
        }
        Err(Outcome::Stalled(Stall::NotSharedMailbox(format!(
            "the mailbox {guid} is a {} now: nothing is written until it is a SharedMailbox again (Set-Mailbox -Type \
             Shared) or this resource is deleted",
            seen.kind
        ))))
    }

    /// Access rules judge what is, and not only what is declared: whoever declares another address would otherwise move a
    /// mailbox, with the mail that it still receives under the old one, to a rule that admits other people. Addresses in
    /// the tenant's initial domain aside, which every mailbox has.
    fn check_addresses(&mut self, observed: &Observed, directory: &Directory) -> Result<(), Outcome> {
        let Prepared {
            tenant,
            purpose,
            ledger,
            owner,
            admitted,
            writes: _,
            remembered: _,
            take_up: _,
            remove_orphans: _,
            has_unread_permissions: _,
            now: _,
        } = &mut self.prepared;
        // A mailbox that was just created is marked and blocked first; it is judged with the next reconcile.
        if purpose.is_without_resource() || ledger.intent.is_some() {
            return Ok(());
        }
        let mut addresses = admitted.judged.clone();
        let declared = addresses.len();
        let others = observed.addresses.iter();
        addresses.extend(
            others
                .filter(|one| one.domain() != tenant.initial_domain)
                .cloned(),
        );
        if addresses.len() == declared {
            return Ok(());
        }
        let rules = tenant.rules.of(&owner.namespace, &addresses);
        let powers = needed_powers(admitted.sign_in, admitted.exclusive);
        let denied = std::iter::once(Wish::Mailbox { earlier: &[] })
            .chain(powers)
            .find_map(|wish| rules.admit(wish).err());
        if let Some(denial) = denied {
            let stall = Stall::AccessDenied(format!(
                "the mailbox has addresses that are not declared, and access rules judge all that it has: {denial}; or \
                 have a mail administrator take the addresses away that it should not have"
            ));
            match purpose {
                Purpose::Keep if self.reattached || self.adopts => return Err(Outcome::Stalled(stall)),
                Purpose::Keep => *purpose = Purpose::OnlyRemove,
                Purpose::OnlyRemove
                | Purpose::Protect
                | Purpose::Released
                | Purpose::HeldUp
                | Purpose::Revoking
                | Purpose::HandedBack => {}
            }
            admitted.sign_in = admitted_sign_in(admitted.sign_in, &rules);
            admitted.exclusive = false;
            admitted.settings.clear();
            self.refused = Some(stall);
        } else {
            admitted.denied = denials(&rules);
        }
        self.wanted = resolve(
            admitted,
            observed.object_id,
            &rules,
            &tenant.departed,
            directory,
            ledger,
        );
        self.desired = desired(&self.prepared, &self.wanted);
        Ok(())
    }

    /// Takes up what was taken away earlier and is shown nevertheless, and drops what was acknowledged a moment ago and
    /// is shown no more. Where nothing is written, the ledger is not either: it would be reported again each time.
    fn confirm_removed(&mut self, observed: &Observed) {
        let Prepared {
            ledger,
            writes,
            remembered,
            tenant: _,
            purpose: _,
            owner: _,
            admitted: _,
            take_up: _,
            remove_orphans: _,
            has_unread_permissions: _,
            now: _,
        } = &mut self.prepared;
        if *writes {
            plan::reopen(ledger, &self.desired, observed);
            let Remembered {
                acknowledged,
                said_missing,
                ..
            } = remembered;
            self.gone = plan::confirm_removed(ledger, &self.desired, acknowledged, said_missing, observed);
        }
    }
}
