//! Manifests as they are written, judged before any look-up: else the directory would become an oracle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::admitted::{Admitted, Refused, Surroundings};
use super::{members, recipients};
use crate::api::{MailboxPermission, PermissionsMode, Power, SharedMailbox, SharedMailboxSpec, SignIn};
use crate::controller::reconcile::outcome::Stall;
use crate::mail::{AddressPattern, Domain, Nickname, SmtpAddress};
use crate::plan::{FAMILIES, Need};
use crate::rules::{MailboxRules, Wish};
use crate::setting::Values;

/// Judges the manifests as written.
pub fn admit(
    mailbox: &SharedMailbox,
    permissions: &[Arc<MailboxPermission>],
    around: &Surroundings<'_>,
) -> Result<Admitted, Refused> {
    let spec = &mailbox.spec;
    let Addresses {
        primary,
        aliases,
        fault,
    } = parse_addresses(spec, around.known.as_ref()).map_err(|stall| Refused {
        stall,
        declared: None,
    })?;
    let sign_in = admitted_sign_in(spec.sign_in.unwrap_or(SignIn::Blocked), around.rules);
    let members_of = |object: &Arc<MailboxPermission>| members::admit(object, mailbox, around);
    let admitted = Admitted {
        address: primary,
        aliases,
        alias: None,
        judged: around.rules.addresses().clone(),
        settings: BTreeMap::new(),
        refused_settings: BTreeMap::new(),
        denied: BTreeMap::new(),
        sign_in,
        decides_sign_in: spec.sign_in == Some(sign_in),
        adoption: spec.adoption,
        adoption_denied: around.rules.admit(Wish::Power(Power::Adopt)).err(),
        earlier: around.earlier.clone(),
        permissions: permissions.iter().map(members_of).collect(),
        exclusive: false,
        ignore: Vec::new(),
    };
    let over_limit = around.over_limit.clone().map(Stall::OverLimit);
    match over_limit
        .or(fault)
        .map_or_else(|| admit_mailbox(spec, around), Err)
    {
        Ok(Mailbox {
            alias,
            ignore,
            settings,
        }) => Ok(Admitted {
            alias,
            refused_settings: recipients::refused(&settings, around),
            settings,
            denied: denials(around.rules),
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

/// What nobody admits counts as not written: a refused manifest opens no account.
pub fn admitted_sign_in(declared: SignIn, rules: &MailboxRules<'_>) -> SignIn {
    match declared {
        SignIn::Allowed if rules.admits(Wish::Power(Power::AllowSignIn)) => SignIn::Allowed,
        SignIn::Allowed | SignIn::Blocked => SignIn::Blocked,
    }
}

/// Powers that a mailbox needs whatever it is like.
pub(super) fn needed_powers(sign_in: SignIn, exclusive: bool) -> impl Iterator<Item = Wish<'static>> {
    let powers = [
        (sign_in == SignIn::Allowed).then_some(Power::AllowSignIn),
        exclusive.then_some(Power::Exclusive),
    ];
    powers.into_iter().flatten().map(Wish::Power)
}

/// The addresses of a manifest, as far as they can be read.
struct Addresses {
    primary: SmtpAddress,
    aliases: BTreeSet<SmtpAddress>,
    /// The first that can't.
    fault: Option<Stall>,
}

/// `known` is the primary address that the mailbox has: it counts while the manifest's is none.
fn parse_addresses(spec: &SharedMailboxSpec, known: Option<&SmtpAddress>) -> Result<Addresses, Stall> {
    let parse = |text: &String, field: &str| {
        text.parse::<SmtpAddress>()
            .map_err(|error| Stall::InvalidSpec(format!("spec.{field}: {error}")))
    };
    let (primary, mut fault) = match (parse(&spec.email_address, "emailAddress"), known) {
        (Ok(primary), _) => (primary, None),
        (Err(stall), Some(known)) => (known.clone(), Some(stall)),
        (Err(stall), None) => return Err(stall),
    };
    let mut aliases = BTreeSet::new();
    for (position, text) in spec.aliases.iter().enumerate() {
        match parse(text, &format!("aliases[{position}]")) {
            Ok(alias) => {
                aliases.insert(alias);
            }
            Err(stall) => {
                fault.get_or_insert(stall);
            }
        }
    }
    aliases.remove(&primary);
    Ok(Addresses {
        primary,
        aliases,
        fault,
    })
}

/// The addresses that access rules judge: all that are `written`, and the one that a declared nickname has in the tenant's
/// initial domain (`alias: ceo` also takes ceo@contoso.onmicrosoft.com). A nickname that says no more than the primary
/// address does is admitted with that.
pub fn judged_addresses(
    written: &BTreeSet<SmtpAddress>,
    mailbox: &SharedMailbox,
    initial_domain: &Domain,
) -> BTreeSet<SmtpAddress> {
    let mut addresses = written.clone();
    let primary = mailbox.spec.email_address.parse::<SmtpAddress>().ok();
    let derived = primary.map(|primary| Nickname::derived_from(primary.local_part()));
    let nickname = mailbox
        .spec
        .alias
        .as_ref()
        .and_then(|alias| alias.parse::<Nickname>().ok());
    let nickname = nickname.filter(|nickname| derived.as_ref() != Some(nickname));
    addresses.extend(nickname.and_then(|nickname| SmtpAddress::of(nickname.as_str(), initial_domain).ok()));
    addresses
}

/// What a manifest says about the mailbox itself.
struct Mailbox {
    alias: Option<Nickname>,
    settings: BTreeMap<&'static str, Values>,
    /// Whom Exclusive ignores.
    ignore: Vec<AddressPattern>,
}

/// When everything about the mailbox itself is allowed.
fn admit_mailbox(spec: &SharedMailboxSpec, around: &Surroundings<'_>) -> Result<Mailbox, Stall> {
    let alias = spec.alias.as_ref().map(|text| text.parse()).transpose();
    let alias: Option<Nickname> =
        alias.map_err(|error| Stall::InvalidSpec(format!("spec.alias: {error}")))?;
    if spec.display_name.trim().is_empty() || spec.display_name.chars().any(char::is_control) {
        let text = "spec.displayName must hold more than blanks and no control characters";
        return Err(Stall::InvalidSpec(text.to_owned()));
    }
    let settings = declared_settings(spec)?;
    let is_exclusive = spec.permissions.mode == PermissionsMode::Exclusive;
    let powers = needed_powers(spec.sign_in.unwrap_or(SignIn::Blocked), is_exclusive);
    admit_addresses(spec, powers, around)?;
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

/// What a setting needs is known only once the mailbox was read.
pub(super) fn denials(rules: &MailboxRules<'_>) -> BTreeMap<Need, String> {
    let denial = |need| {
        let wish = match need {
            Need::Power(power) => Wish::Power(power),
            Need::CustomAttribute(number) => Wish::CustomAttribute(number),
            Need::Licence(_) => return None,
        };
        Some((need, rules.admit(wish).err()?))
    };
    Need::granted_by_rules().filter_map(denial).collect()
}

fn parse_ignored(patterns: &[String]) -> Result<Vec<AddressPattern>, Stall> {
    let parse = |(position, text): (usize, &String)| {
        text.parse::<AddressPattern>()
            .map_err(|error| Stall::InvalidSpec(format!("spec.permissions.ignore[{position}]: {error}")))
    };
    patterns.iter().enumerate().map(parse).collect()
}

/// Nobody wrote the address that a nickname takes: where it comes from, and what to do.
fn about_nickname(spec: &SharedMailboxSpec, rules: &MailboxRules<'_>) -> String {
    let written: Vec<String> = std::iter::once(&spec.email_address)
        .chain(&spec.aliases)
        .map(|text| text.to_ascii_lowercase())
        .collect();
    let mut judged = rules.addresses().iter();
    let taken = judged.find(|address| !written.iter().any(|text| text == address.as_str()));
    let (Some(taken), Some(alias)) = (taken, &spec.alias) else {
        return String::new();
    };
    format!(
        ". spec.alias {alias:?} asks for {taken}, the address that a nickname has in the tenant's initial domain: leave \
         spec.alias out if nobody needs that"
    )
}

fn admit_addresses(
    spec: &SharedMailboxSpec,
    powers: impl Iterator<Item = Wish<'static>>,
    around: &Surroundings<'_>,
) -> Result<(), Stall> {
    let Surroundings {
        rules,
        earlier,
        rival,
        retained,
        accepted_domains,
        over_limit: _,
        known: _,
        departed: _,
        now: _,
    } = around;
    // First: no access rule helps an address whose domain is not the tenant's.
    if let Some(stranger) = rules
        .addresses()
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
        .admit(Wish::Mailbox { earlier })
        .map_err(|denial| Stall::AccessDenied(format!("{denial}{}", about_nickname(spec, rules))))?;
    for power in powers {
        rules.admit(power).map_err(Stall::AccessDenied)?;
    }
    if let Some(rival) = rival {
        return Err(Stall::AddressClaimed(rival.to_string()));
    }
    if let Some(text) = retained {
        return Err(Stall::AddressHeldByRetained(text.clone()));
    }
    Ok(())
}
