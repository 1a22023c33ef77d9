//! What is known and wanted when it is planned.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Wanted;
use super::recipients::WantedSettings;
use crate::api::DefaultsState;
use crate::controller::reconcile::outcome::Stall;
use crate::controller::reconcile::prepared::Prepared;
use crate::controller::state::tenants::Tenant;
use crate::ledger::{Ledger, RecordedGrant, Withdrawn};
use crate::plan::{Desired, Family, GrantPolicy, TakeUp};
use crate::setting::Values;

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
        names: wanted.names.clone(),
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
