//! Whose mailbox it is, and what may be done to it: from what was read to a value that can be planned with.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::DefaultsState;
use crate::controller::reconcile::observation::{Found, Observation, Seen};
use crate::controller::reconcile::outcome::{Outcome, Progress, Stall};
use crate::controller::reconcile::prepared::{Prepared, Remembered};
use crate::controller::state::tenants::Tenant;
use crate::ledger::{Ledger, RecordedGrant, Withdrawn};
use crate::mail::Nickname;
use crate::plan::{self, Desired, Family, GrantPolicy, NotOurs, Observed, Ownership, Plan, Purpose, TakeUp};
use crate::rules::Wish;
use crate::setting::Values;

use super::recipients::WantedSettings;
use super::written::{admitted_sign_in, denials, needed_powers};
use super::{Directory, Wanted, resolve};

/// What is known and wanted when it is planned.
pub struct Judged {
    pub prepared: Prepared,
    pub wanted: Wanted,
    pub desired: Desired,
    /// The mailbox was created by an earlier resource of this name, and is being taken up again.
    pub reattached: bool,
    /// The mailbox was there before its resource, and is to be taken over.
    pub adopts: bool,
    /// Why the mailbox as it is is refused, although its manifest is not.
    pub refused: Option<Stall>,
    /// Grants that were taken away and that a read of this reconcile was the first to show no more.
    pub gone: Vec<RecordedGrant>,
}

/// What may be planned for.
pub enum Validated {
    New { judged: Judged, nickname: Nickname },
    Present { judged: Judged, seen: Box<Seen> },
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
        seen: Box<Seen>,
        plan: Plan,
    },
    Change {
        judged: Judged,
        seen: Box<Seen>,
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

    fn check_owner(&mut self, seen: &Seen, is_alive: impl Fn(&str) -> bool) -> Result<(), Outcome> {
        let Prepared {
            tenant,
            owner,
            ledger,
            ..
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
                if ledger.adopting.is_some() && self.prepared.purpose == Purpose::Keep =>
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
            ..
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
            ..
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

/// What the manifests ask for, as far as it is allowed.
pub fn desired(prepared: &Prepared, wanted: &Wanted) -> Desired {
    let Prepared {
        tenant,
        purpose,
        writes: _,
        ledger,
        owner,
        admitted,
        remembered,
        take_up,
        remove_orphans,
        has_unread_permissions,
        now,
    } = prepared;
    let WantedSettings {
        settings,
        refused,
        recipients,
        unread: _,
    } = wanted.settings.clone();
    let (resting, settings): (BTreeMap<_, _>, BTreeMap<_, _>) =
        settings.into_iter().partition(|(name, wish)| {
            let family = Family::named(name);
            family.is_some_and(|family| (family.rests)(wish, *now))
        });
    let refused = refused.into_iter().map(|(name, why)| (name, Some(why)));
    let unwritten: BTreeMap<_, _> = resting
        .into_keys()
        .map(|name| (name, None))
        .chain(refused)
        .collect();
    let defaults = match ledger.defaults {
        Some(DefaultsState::Pending) if purpose.follows_manifest() => {
            let is_left_out =
                |name: &&'static str| !settings.contains_key(name) && !unwritten.contains_key(name);
            tenant.defaults.keys().copied().filter(is_left_out).collect()
        }
        Some(DefaultsState::Pending | DefaultsState::Applied) | None => BTreeSet::new(),
    };
    let is_declared = |name: &str| settings.contains_key(name) || unwritten.contains_key(name);
    // Nothing that a manifest says is dropped while the manifest is refused or gone.
    let withdrawn = if purpose.follows_manifest() {
        withdrawn(ledger, take_up.as_ref(), *now, is_declared)
    } else {
        BTreeMap::new()
    };
    Desired {
        purpose: *purpose,
        owner: owner.clone(),
        marker_attribute: tenant.marker_attribute,
        address: admitted.address.clone(),
        aliases: admitted.aliases.clone(),
        sign_in: admitted.sign_in,
        leaves_sign_in: ledger.sign_in_undecided && !admitted.decides_sign_in,
        sign_in_control: tenant.sign_in_control,
        sign_in_attempts: remembered.sign_in.clone(),
        grants: wanted.grants.clone(),
        kept: wanted.kept.clone(),
        kept_people: wanted.kept_people.clone(),
        has_unread_permissions: *has_unread_permissions,
        policy: GrantPolicy {
            // Nor does anything count as declared nowhere.
            exclusive: admitted.exclusive && !has_unread_permissions && !wanted.hides_people,
            remove_orphans: *remove_orphans && purpose.follows_manifest(),
            ignore: admitted.ignore.clone(),
            protected: tenant.protected.clone(),
            departed: tenant.departed.clone(),
            period: tenant.safety.period,
        },
        now: *now,
        take_up: take_up.clone(),
        expired: wanted.expired.clone(),
        groups: wanted.groups.clone(),
        perhaps_more: wanted.perhaps_more.clone(),
        stuck: remembered.stuck.clone(),
        settings: with_defaults(settings, &defaults, tenant),
        defaults,
        unwritten,
        withdrawn,
        recipients,
        denied: admitted.denied.clone(),
        earlier: remembered.earlier.clone(),
    }
}

/// What the manifest leaves out is as the tenant has it, for a mailbox that is new.
fn with_defaults(
    mut settings: BTreeMap<&'static str, Values>,
    defaults: &BTreeSet<&'static str>,
    tenant: &Tenant,
) -> BTreeMap<&'static str, Values> {
    let wishes = tenant
        .defaults
        .iter()
        .filter(|(name, _)| defaults.contains(*name));
    settings.extend(wishes.map(|(name, wish)| (*name, wish.clone())));
    settings
}

/// What families are to have that the ledger says to be opened, or to have been a moment ago, and that nobody declares. A
/// ledger that was restored proves nothing.
fn withdrawn(
    ledger: &Ledger,
    take_up: Option<&TakeUp>,
    now: Timestamp,
    is_declared: impl Fn(&str) -> bool,
) -> BTreeMap<&'static str, Values> {
    if take_up.is_some_and(|take_up| take_up.restored && now < take_up.until) {
        return BTreeMap::new();
    }
    let removed = ledger.removed.iter().filter_map(|removed| match &removed.what {
        Withdrawn::Setting(name) => Some(name),
        Withdrawn::Grant(_) | Withdrawn::Address(_) => None,
    });
    let families = ledger
        .opened
        .iter()
        .chain(removed)
        .filter_map(|name| Family::named(name));
    families
        .filter(|family| !is_declared(family.name))
        .filter_map(|family| Some((family.name, family.withdrawal()?)))
        .collect()
}
