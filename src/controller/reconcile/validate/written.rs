//! Manifests as they are written, judged before any look-up: else the directory would become an oracle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::admitted::{Admitted, Refused, Surroundings};
use super::members;
use crate::api::{MailboxPermission, PermissionsMode, Power, SharedMailbox, SharedMailboxSpec, SignIn};
use crate::controller::reconcile::outcome::Stall;
use crate::mail::{AddressPattern, Domain, Nickname, SmtpAddress};
use crate::plan::FAMILIES;
use crate::rules::Wish;
use crate::setting::Values;

/// Judges the manifests as written.
pub fn admit(
    mailbox: &SharedMailbox,
    permissions: &[Arc<MailboxPermission>],
    around: &Surroundings<'_>,
) -> Result<Admitted, Refused> {
    let spec = &mailbox.spec;
    let (address, aliases) = parse_addresses(spec).map_err(|stall| Refused {
        stall,
        declared: None,
    })?;
    let addresses: BTreeSet<SmtpAddress> = aliases.iter().chain([&address]).cloned().collect();
    let members_of = |object: &Arc<MailboxPermission>| members::admit(object, mailbox, &addresses, around);
    let admitted = Admitted {
        address,
        aliases,
        alias: None,
        settings: BTreeMap::new(),
        denied: BTreeMap::new(),
        sign_in: spec.sign_in.unwrap_or(SignIn::Blocked),
        permissions: permissions.iter().map(members_of).collect(),
        exclusive: false,
        ignore: Vec::new(),
    };
    match admit_mailbox(spec, &addresses, around) {
        Ok(Mailbox {
            alias,
            ignore,
            settings,
        }) => Ok(Admitted {
            alias,
            settings,
            denied: denied_powers(&addresses, around),
            exclusive: spec.permissions.mode == PermissionsMode::Exclusive,
            ignore,
            ..admitted
        }),
        Err(stall) => Err(Refused {
            stall,
            declared: Some(Box::new(admitted)),
        }),
    }
}

/// The primary address and the others.
fn parse_addresses(spec: &SharedMailboxSpec) -> Result<(SmtpAddress, BTreeSet<SmtpAddress>), Stall> {
    let parse = |text: &String, field: &str| {
        text.parse::<SmtpAddress>()
            .map_err(|error| Stall::InvalidSpec(format!("spec.{field}: {error}")))
    };
    let address = parse(&spec.email_address, "emailAddress")?;
    let mut aliases = BTreeSet::new();
    for (position, text) in spec.aliases.iter().enumerate() {
        aliases.insert(parse(text, &format!("aliases[{position}]"))?);
    }
    aliases.remove(&address);
    Ok((address, aliases))
}

/// What a manifest says about the mailbox itself.
struct Mailbox {
    alias: Option<Nickname>,
    settings: BTreeMap<&'static str, Values>,
    /// Whom Exclusive ignores.
    ignore: Vec<AddressPattern>,
}

/// When everything about the mailbox itself is allowed.
fn admit_mailbox(
    spec: &SharedMailboxSpec,
    addresses: &BTreeSet<SmtpAddress>,
    around: &Surroundings<'_>,
) -> Result<Mailbox, Stall> {
    let alias = spec.alias.as_ref().map(|text| text.parse()).transpose();
    let alias: Option<Nickname> =
        alias.map_err(|error| Stall::InvalidSpec(format!("spec.alias: {error}")))?;
    if spec.display_name.trim().is_empty() || spec.display_name.chars().any(char::is_control) {
        let text = "spec.displayName must hold more than blanks and no control characters";
        return Err(Stall::InvalidSpec(text.to_owned()));
    }
    let settings = declared_settings(spec)?;
    let powers = [
        (spec.sign_in == Some(SignIn::Allowed)).then_some(Power::AllowSignIn),
        (spec.permissions.mode == PermissionsMode::Exclusive).then_some(Power::Exclusive),
    ];
    admit_addresses(addresses, powers.into_iter().flatten(), around)?;
    Ok(Mailbox {
        alias,
        settings,
        ignore: parse_ignored(&spec.permissions.ignore)?,
    })
}

pub fn declared_settings(spec: &SharedMailboxSpec) -> Result<BTreeMap<&'static str, Values>, Stall> {
    let mut declared = BTreeMap::new();
    for family in FAMILIES {
        let wish = (family.declared)(spec).map_err(Stall::InvalidSpec)?;
        if !wish.is_empty() {
            declared.insert(family.name, wish);
        }
    }
    Ok(declared)
}

/// Whether a setting needs such a power is known only once the mailbox was read.
fn denied_powers(addresses: &BTreeSet<SmtpAddress>, around: &Surroundings<'_>) -> BTreeMap<Power, String> {
    let denial = |power| {
        let denied = around
            .rules
            .admit(around.namespace, addresses, Wish::Power(power));
        Some((power, denied.err()?))
    };
    [Power::LegacyProtocols].into_iter().filter_map(denial).collect()
}

fn parse_ignored(patterns: &[String]) -> Result<Vec<AddressPattern>, Stall> {
    let parse = |(position, text): (usize, &String)| {
        text.parse::<AddressPattern>()
            .map_err(|error| Stall::InvalidSpec(format!("spec.permissions.ignore[{position}]: {error}")))
    };
    patterns.iter().enumerate().map(parse).collect()
}

fn admit_addresses(
    addresses: &BTreeSet<SmtpAddress>,
    powers: impl Iterator<Item = Power>,
    around: &Surroundings<'_>,
) -> Result<(), Stall> {
    let Surroundings {
        rules,
        namespace,
        earlier,
        rivals,
        retained,
        accepted_domains,
        departed: _,
        now: _,
    } = around;
    // First: no access rule helps an address whose domain is not the tenant's.
    if let Some(stranger) = addresses
        .iter()
        .find(|address| !accepted_domains.contains(&address.domain()))
    {
        let known: Vec<&str> = accepted_domains.iter().map(Domain::as_str).collect();
        return Err(Stall::DomainNotAccepted(format!(
            "{stranger}: the domain {} is not an accepted domain of the tenant; it has {}",
            stranger.domain(),
            known.join(", ")
        )));
    }
    rules
        .admit(namespace, addresses, Wish::Mailbox { earlier })
        .map_err(Stall::AccessDenied)?;
    for power in powers {
        rules
            .admit(namespace, addresses, Wish::Power(power))
            .map_err(Stall::AccessDenied)?;
    }
    if let Some(rival) = rivals.first() {
        return Err(Stall::AddressClaimed(rival.to_string()));
    }
    if let Some(text) = retained {
        return Err(Stall::AddressHeldByRetained(text.clone()));
    }
    Ok(())
}
