//! What is to be written of the settings, and how each declared family stands.

use std::collections::{BTreeMap, BTreeSet};

use super::account::SignInStanding;
use super::families::{Company, FAMILIES, Family, Feature, Move, Need};
use super::sign_in;
use super::standing::{Answer, Earlier, Standing, Unread};
use super::{Change, Desired, Observed, Purpose, Step};
use crate::api::{DefaultsState, SignIn, SignInControl};
use crate::ledger::Ledger;
use crate::mail::{Marker, ObjectId, Right, SmtpAddress};
use crate::setting::{Call, Kind, Property, Value, Values};

/// Changes of Send on Behalf, which Set-Mailbox writes.
pub(super) struct OnBehalfChanges {
    pub add: BTreeSet<ObjectId>,
    pub remove: BTreeSet<ObjectId>,
}

/// The settings part of a plan.
#[derive(Debug, Default)]
pub(super) struct SettingsPlan {
    /// What is sent with the marker in one Set-Mailbox.
    pub core: Vec<Change>,
    /// What is withdrawn, in calls of their own.
    pub withdrawals: Vec<Step>,
    /// Calls of their own, which come last and stop nothing.
    pub alone: Vec<Step>,
    /// What was shown before, by change.
    pub before: BTreeMap<Change, Value>,
    pub standings: BTreeMap<&'static str, Standing>,
}

pub(super) fn plan(
    desired: &Desired,
    observed: &Observed,
    ledger: &Ledger,
    on_behalf: &OnBehalfChanges,
    sign_in: &SignInStanding,
) -> SettingsPlan {
    let mut plan = SettingsPlan {
        core: core(desired, observed, ledger, on_behalf, sign_in),
        ..SettingsPlan::default()
    };
    let mut calls: BTreeMap<Call, Vec<Change>> = BTreeMap::new();
    for family in FAMILIES {
        if let Some(Some(why)) = desired.unwritten.get(family.name) {
            plan.standings.insert(family.name, Standing::Refused(why.clone()));
        }
        let Some(wish) = wish_of(family, desired, ledger) else {
            continue;
        };
        let standing = judge(family, wish, desired, observed);
        if let Standing::Differs { to, from } = &standing {
            let changes: Vec<Change> = changes(family, to).collect();
            for change in &changes {
                if let Change::Set { property, .. } = change
                    && let Some(before) = from.get(property.parameter)
                {
                    plan.before.insert(change.clone(), before.clone());
                }
            }
            plan.send(family, wish, changes, desired, &mut calls);
        }
        plan.standings.insert(family.name, standing);
    }
    let others = calls
        .into_iter()
        .map(|(call, changes)| Step::Set { call, changes });
    plan.alone.extend(others);
    plan
}

impl SettingsPlan {
    /// Puts the changes of a family into the call in which they belong.
    fn send(
        &mut self,
        family: &Family,
        wish: &Values,
        changes: Vec<Change>,
        desired: &Desired,
        calls: &mut BTreeMap<Call, Vec<Change>>,
    ) {
        let call = family.call;
        let earlier = desired.earlier.get(family.name);
        let is_retried = earlier.is_some_and(|earlier| earlier.refused(wish));
        if !desired.settings.contains_key(family.name) {
            self.withdrawals.push(Step::Set { call, changes });
            return;
        }
        match family.company {
            Company::Together if is_retried => self.alone.push(Step::Set { call, changes }),
            Company::Together => match call {
                Call::Mailbox => self.core.extend(changes),
                Call::Cas | Call::Regional | Call::AutoReply | Call::Archive => {
                    calls.entry(call).or_default().extend(changes);
                }
            },
            Company::Alone => self.alone.push(Step::Set { call, changes }),
            Company::OneByOne => {
                let each = changes.into_iter().map(|change| vec![change]);
                self.alone.extend(each.map(|changes| Step::Set { call, changes }));
            }
        }
    }
}

/// What is declared, or withdrawn because the ledger says that it was opened.
fn wish_of<'a>(family: &Family, desired: &'a Desired, ledger: &Ledger) -> Option<&'a Values> {
    let withdrawn = || {
        let is_ours = ledger.opened.contains(family.name);
        desired.withdrawn.get(family.name).filter(|_| is_ours)
    };
    desired.settings.get(family.name).or_else(withdrawn)
}

/// Families that a plan opens or keeps open: to be remembered before anything is written.
pub(super) fn opened(desired: &Desired, standings: &BTreeMap<&'static str, Standing>) -> BTreeSet<String> {
    let is_open = |family: &&Family| {
        let opens = desired
            .settings
            .get(family.name)
            .is_some_and(|wish| family.opens(wish));
        opens
            && match standings.get(family.name) {
                Some(Standing::Refused(_)) | None => false,
                Some(
                    Standing::Synced
                    | Standing::Differs { .. }
                    | Standing::Unread(_)
                    | Standing::Waiting
                    | Standing::NotConverging(_),
                ) => true,
            }
    };
    let open = FAMILIES.iter().filter(is_open);
    open.map(|family| family.name.to_owned()).collect()
}

/// What is remembered of the defaults once everything is done: they are applied when each of them is set, or was refused.
pub(super) fn defaults_afterwards(
    before: Option<DefaultsState>,
    desired: &Desired,
    standings: &BTreeMap<&'static str, Standing>,
) -> Option<DefaultsState> {
    let is_done = |family: &&'static str| match standings.get(*family) {
        Some(Standing::Synced | Standing::Refused(_) | Standing::NotConverging(_)) | None => true,
        Some(Standing::Differs { .. } | Standing::Unread(_) | Standing::Waiting) => false,
    };
    match before {
        Some(DefaultsState::Pending)
            if desired.purpose == Purpose::Keep && desired.defaults.iter().all(is_done) =>
        {
            Some(DefaultsState::Applied)
        }
        Some(DefaultsState::Pending | DefaultsState::Applied) | None => before,
    }
}

/// Whether what the ledger says to be open has to stay remembered once everything is done.
pub(super) fn stays_opened(name: &str, desired: &Desired) -> bool {
    match (Family::named(name), desired.settings.get(name)) {
        // Declared with its off value it is closed.
        (Some(family), Some(wish)) => family.opens(wish),
        // A newer operator's, or one that is not closed yet.
        (None, _) | (Some(_), None) => true,
    }
}

/// Whether a read shows that a family is closed, or that it is not; None: neither.
pub(super) fn is_closed(name: &str, observed: &Observed) -> Option<bool> {
    let family = Family::named(name)?;
    let off = family.withdrawal()?;
    let shown = observed.settings.get(&family.call.shown_by())?.as_ref().ok()?;
    let is_known = off.first_unread(shown).is_none();
    is_known.then(|| off.differing(shown).is_empty())
}

fn changes(family: &'static Family, values: &Values) -> impl Iterator<Item = Change> {
    let change = |property: &'static Property| {
        let to = values.get(property.parameter)?.clone();
        Some(Change::Set {
            family: family.name,
            property: *property,
            to,
        })
    };
    family.properties.iter().filter_map(change)
}

/// How a family stands, given what it wishes and what is shown.
pub(super) fn judge(family: &Family, wish: &Values, desired: &Desired, observed: &Observed) -> Standing {
    let source = family.call.shown_by();
    let shown = match observed.settings.get(&source) {
        Some(Ok(shown)) => shown.only(family.properties),
        Some(Err(unread)) => return Standing::Unread(unread.clone()),
        None => return Standing::Unread(Unread::for_good(format!("{} was not asked", source.cmdlet()))),
    };
    let step = Move { shown: &shown, wish };
    if let Some(why) = denial(family, &step, desired) {
        return Standing::Refused(why);
    }
    if let Err(why) = (family.check)(&step) {
        return Standing::Refused(why);
    }
    let to = wish.differing(&shown);
    // What is checked together is written together: nobody knows what an unread part makes of the rest.
    let is_whole = family.company == Company::Together || wish.first_unread(&shown).is_none();
    if to.is_empty() || !is_whole {
        return match wish.first_unread(&shown) {
            None => Standing::Synced,
            Some(property) => Standing::Unread(Unread::for_good(format!(
                "{} does not show {property}",
                source.cmdlet()
            ))),
        };
    }
    match desired.earlier.get(family.name) {
        Some(Earlier::Refused {
            wish: then,
            why,
            retry,
        }) if then == wish && !retry => {
            return Standing::Refused(why.clone());
        }
        Some(Earlier::Acknowledged {
            wish: then,
            shown: before,
            answer,
        }) if then == wish && *before == shown => match answer {
            Answer::Pending => return Standing::Waiting,
            // Only a text may come back in another form: a flag or a size that differs is another one.
            Answer::Equal if have_forms(family, &to) => return Standing::Synced,
            Answer::Equal | Answer::Other => {
                return Standing::NotConverging(not_converging(family, &to, &shown));
            }
            Answer::Retry => {}
        },
        Some(Earlier::Refused { .. } | Earlier::Acknowledged { .. } | Earlier::Once { .. }) | None => {}
    }
    let to = emptied_another_way(family, desired, &step, (family.sends)(&step, to));
    let from = shown
        .clone()
        .into_iter()
        .filter(|(name, _)| to.get(name).is_some())
        .collect();
    Standing::Differs { to, from }
}

/// Nobody knows whether null or an empty list empties a list: when the first changed nothing the second is tried.
fn emptied_another_way(family: &Family, desired: &Desired, step: &Move<'_>, to: Values) -> Values {
    let is_second_try = match desired.earlier.get(family.name) {
        Some(Earlier::Once { wish, shown }) => wish == step.wish && shown == step.shown,
        Some(Earlier::Refused { .. } | Earlier::Acknowledged { .. }) | None => false,
    };
    if !is_second_try {
        return to;
    }
    let is_list = |name: &str| {
        let property = family
            .properties
            .iter()
            .find(|property| property.parameter == name);
        property.is_some_and(|property| property.kind == Kind::Recipients)
    };
    let other = to.into_iter().map(|(name, value)| {
        let is_cleared = value == Value::Nothing && is_list(name);
        (
            name,
            if is_cleared {
                Value::Recipients(BTreeSet::new())
            } else {
                value
            },
        )
    });
    other.collect()
}

fn have_forms(family: &Family, values: &Values) -> bool {
    let of_values = |property: &&Property| values.get(property.parameter).is_some();
    let mut properties = family.properties.iter().filter(of_values);
    properties.all(|property| property.kind.has_forms())
}

fn not_converging(family: &Family, to: &Values, shown: &Values) -> String {
    let pair = |property: &Property| {
        let wish = to.get(property.parameter)?;
        let shown = shown.get(property.parameter)?;
        let (wish, shown) = (property.kind.words(wish), property.kind.words(shown));
        Some(format!(
            "{} was written as {wish} and is shown as {shown}",
            property.field
        ))
    };
    let pairs: Vec<String> = family.properties.iter().filter_map(pair).collect();
    pairs.join("; ")
}

/// The sentence that denies what the wish needs.
fn denial(family: &Family, step: &Move<'_>, desired: &Desired) -> Option<String> {
    // Defaults are the platform team's own wish.
    let is_default = desired.defaults.contains(family.name);
    (family.needs)(step).into_iter().find_map(|need| match need {
        Need::CustomAttribute(number) if number == desired.marker_attribute => Some(format!(
            "custom attribute {number} holds the operator's marker (ownership.markerAttribute of the ExchangeTenant): \
             choose another number"
        )),
        Need::Power(_) | Need::CustomAttribute(_) if is_default => None,
        Need::Power(_) | Need::CustomAttribute(_) => desired.denied.get(&need).cloned(),
        Need::Licence(_) => None,
    })
}

/// Families that need a licence which the mailbox shows not to have. Nothing is held back by it: the service's own check
/// reads a copy that may be hours old in either direction.
pub fn unlicensed(desired: &Desired, observed: &Observed) -> Vec<(&'static str, Feature)> {
    if observed.sku_assigned != Some(false) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for family in FAMILIES {
        let Some(wish) = desired.settings.get(family.name) else {
            continue;
        };
        let nothing = Values::default();
        let shown = match observed.settings.get(&family.call.shown_by()) {
            Some(Ok(shown)) => shown,
            Some(Err(_)) | None => &nothing,
        };
        let needs = (family.needs)(&Move { shown, wish });
        found.extend(needs.into_iter().filter_map(|need| match need {
            Need::Licence(feature) => Some((family.name, feature)),
            Need::Power(_) | Need::CustomAttribute(_) => None,
        }));
    }
    found
}

/// Marker, sign-in, addresses and Send on Behalf: what has a protocol of its own and is sent with Set-Mailbox.
fn core(
    desired: &Desired,
    observed: &Observed,
    ledger: &Ledger,
    on_behalf: &OnBehalfChanges,
    standing: &SignInStanding,
) -> Vec<Change> {
    let marker = Marker {
        owner: desired.owner.clone(),
        mailbox: observed.guid,
    }
    .to_string();
    let mut changes = Vec::new();
    let is_unmarked = observed.attribute != marker;
    if is_unmarked {
        changes.push(Change::Marker {
            attribute: desired.marker_attribute,
            text: marker,
        });
    }
    let is_first = is_unmarked && sign_in::is_in_first_settings(desired, observed, ledger);
    if is_first || *standing == SignInStanding::Differs(SignInControl::Exchange) {
        changes.push(Change::SignIn {
            allowed: desired.sign_in == SignIn::Allowed,
            through: SignInControl::Exchange,
        });
    }
    let removed = on_behalf.remove.iter();
    changes.extend(removed.map(|id| Change::Revoked(*id, Right::SendOnBehalf)));
    if observed.primary != desired.address {
        changes.push(Change::Primary(desired.address.clone()));
    }
    changes.extend(addresses(desired, observed, ledger));
    let added = on_behalf.add.iter();
    changes.extend(added.map(|id| Change::Granted(*id, Right::SendOnBehalf)));
    changes
}

fn addresses(desired: &Desired, observed: &Observed, ledger: &Ledger) -> Vec<Change> {
    let is_missing =
        |alias: &&SmtpAddress| !observed.addresses.contains(*alias) && **alias != desired.address;
    // Exchange refuses to take the primary address away; the address that is about to become primary or the
    // one that stays primary is declared anyway.
    let is_withdrawn = |address: &&SmtpAddress| {
        !desired.doubts_the_ledger()
            && !desired.declares_address(address)
            && observed.addresses.contains(*address)
            && observed.primary != **address
    };
    let added = desired.aliases.iter().filter(is_missing).cloned();
    let removed: BTreeSet<SmtpAddress> = ledger.addresses.iter().filter(is_withdrawn).cloned().collect();
    added
        .map(Change::AddressAdded)
        .chain(removed.into_iter().map(Change::AddressRemoved))
        .collect()
}
