//! Everything that one Set-Mailbox changes.

use std::collections::BTreeSet;
use std::fmt;

use super::{Change, Desired, Observed};
use crate::api::{Record, SignIn, SignInControl};
use crate::mail::{Marker, Nickname, ObjectId, Right, SmtpAddress};

/// The differences of one mailbox, sent as one Set-Mailbox. Empty fields are left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The custom attribute's number and its text.
    pub marker: Option<(u8, String)>,
    pub account_disabled: Option<bool>,
    pub display_name: Option<String>,
    pub alias: Option<Nickname>,
    pub primary: Option<SmtpAddress>,
    pub add_addresses: BTreeSet<SmtpAddress>,
    pub remove_addresses: BTreeSet<SmtpAddress>,
    pub add_on_behalf: BTreeSet<ObjectId>,
    pub remove_on_behalf: BTreeSet<ObjectId>,
}

pub(super) fn plan(
    desired: &Desired,
    observed: &Observed,
    record: &Record,
    add_on_behalf: BTreeSet<ObjectId>,
    remove_on_behalf: BTreeSet<ObjectId>,
) -> Settings {
    let marker = Marker {
        owner: desired.owner.clone(),
        mailbox: observed.guid,
    }
    .to_string();
    // Exchange refuses to take the primary address away; the address that is about to become primary or the
    // one that stays primary is declared anyway.
    let withdrawn = |address: &&SmtpAddress| {
        !desired.declares_address(address)
            && observed.addresses.contains(*address)
            && observed.primary != **address
    };
    Settings {
        marker: (observed.attribute != marker).then_some((desired.marker_attribute, marker)),
        account_disabled: exchange_sign_in(desired, observed),
        display_name: (observed.display_name != desired.display_name).then(|| desired.display_name.clone()),
        alias: desired
            .alias
            .clone()
            .filter(|alias| alias.as_str() != observed.alias),
        primary: (observed.primary != desired.address).then(|| desired.address.clone()),
        add_addresses: desired
            .aliases
            .iter()
            .filter(|alias| !observed.addresses.contains(*alias) && **alias != desired.address)
            .cloned()
            .collect(),
        remove_addresses: record.addresses.iter().filter(withdrawn).cloned().collect(),
        add_on_behalf,
        remove_on_behalf,
    }
}

/// `AccountDisabled`, when it must be written.
fn exchange_sign_in(desired: &Desired, observed: &Observed) -> Option<bool> {
    sign_in_must_change(desired, observed, SignInControl::Exchange)
        .then_some(desired.sign_in == SignIn::Blocked)
}

/// Whether sign-in must be changed through `control`.
pub(super) fn sign_in_must_change(desired: &Desired, observed: &Observed, control: SignInControl) -> bool {
    desired.sign_in_control == control
        && observed.sign_in_is_blocked() != (desired.sign_in == SignIn::Blocked)
}

impl Settings {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same changes in parts, for when Exchange refuses them together: what protects first, then each
    /// family of settings by itself, so that one bad value holds nothing hostage.
    pub fn families(&self) -> Vec<(&'static str, Self)> {
        let Self {
            marker,
            account_disabled,
            display_name,
            alias,
            primary,
            add_addresses,
            remove_addresses,
            add_on_behalf,
            remove_on_behalf,
        } = self.clone();
        let parts = [
            (
                "marker and sign-in",
                Self {
                    marker,
                    account_disabled,
                    ..Self::default()
                },
            ),
            (
                "send on behalf, withdrawn",
                Self {
                    remove_on_behalf,
                    ..Self::default()
                },
            ),
            (
                "displayName",
                Self {
                    display_name,
                    ..Self::default()
                },
            ),
            (
                "alias",
                Self {
                    alias,
                    ..Self::default()
                },
            ),
            (
                "emailAddress",
                Self {
                    primary,
                    ..Self::default()
                },
            ),
            (
                "aliases",
                Self {
                    add_addresses,
                    remove_addresses,
                    ..Self::default()
                },
            ),
            (
                "send on behalf",
                Self {
                    add_on_behalf,
                    ..Self::default()
                },
            ),
        ];
        parts
            .into_iter()
            .filter(|(_, settings)| !settings.is_empty())
            .collect()
    }

    pub(super) fn changes(&self) -> Vec<Change> {
        let Self {
            marker,
            account_disabled,
            display_name,
            alias,
            primary,
            add_addresses,
            remove_addresses,
            add_on_behalf,
            remove_on_behalf,
        } = self;
        let on_behalf = Right::SendOnBehalf;
        let mut changes = Vec::new();
        changes.extend(marker.as_ref().map(|_| Change::Marker));
        changes.extend(account_disabled.map(|disabled| Change::SignIn { allowed: !disabled }));
        changes.extend(display_name.clone().map(Change::DisplayName));
        changes.extend(alias.as_ref().map(|alias| Change::Alias(alias.to_string())));
        changes.extend(primary.clone().map(Change::Primary));
        changes.extend(add_addresses.iter().cloned().map(Change::AddressAdded));
        changes.extend(remove_addresses.iter().cloned().map(Change::AddressRemoved));
        changes.extend(add_on_behalf.iter().map(|id| Change::Granted(*id, on_behalf)));
        changes.extend(remove_on_behalf.iter().map(|id| Change::Revoked(*id, on_behalf)));
        changes
    }

    /// Only what `keep` admits.
    pub(super) fn keeping(&self, keep: &impl Fn(&Change) -> bool) -> Self {
        let Self {
            marker,
            account_disabled,
            display_name,
            alias,
            primary,
            add_addresses,
            remove_addresses,
            add_on_behalf,
            remove_on_behalf,
        } = self.clone();
        let on_behalf = Right::SendOnBehalf;
        let kept = |addresses: BTreeSet<SmtpAddress>, change: fn(SmtpAddress) -> Change| {
            addresses
                .into_iter()
                .filter(|address| keep(&change(address.clone())))
                .collect()
        };
        Self {
            marker: marker.filter(|_| keep(&Change::Marker)),
            account_disabled: account_disabled
                .filter(|disabled| keep(&Change::SignIn { allowed: !disabled })),
            display_name: display_name.filter(|name| keep(&Change::DisplayName(name.clone()))),
            alias: alias.filter(|alias| keep(&Change::Alias(alias.to_string()))),
            primary: primary.filter(|address| keep(&Change::Primary(address.clone()))),
            add_addresses: kept(add_addresses, Change::AddressAdded),
            remove_addresses: kept(remove_addresses, Change::AddressRemoved),
            add_on_behalf: add_on_behalf
                .into_iter()
                .filter(|id| keep(&Change::Granted(*id, on_behalf)))
                .collect(),
            remove_on_behalf: remove_on_behalf
                .into_iter()
                .filter(|id| keep(&Change::Revoked(*id, on_behalf)))
                .collect(),
        }
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.changes().iter().map(ToString::to_string).collect();
        f.write_str(&words.join(", "))
    }
}
