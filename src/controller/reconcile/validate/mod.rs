//! From what people wrote and what the directory answered to values that can be planned with. Plain
//! functions: no client, no await.
//!
//! Twice in a pass: [`admit`] judges the manifests as written, before any look-up (else the directory becomes
//! an oracle); [`resolve`] judges the members as the directory knows them.

mod admitted;
mod claims;
mod members;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::ResourceExt;

pub use admitted::{Admitted, AdmittedMember, AdmittedPermission, Refusal, Refused, Surroundings};
pub use claims::{is_older, rivals};
pub use members::{Directory, MEMBER_NOT_FOUND, MemberVerdict, NO_MAILBOX, PersonVerdict};

use crate::api::{MailboxPermission, PermissionsMode, Power, SharedMailbox, SharedMailboxSpec, SignIn};
use crate::controller::reconcile::outcome::Stall;
use crate::mail::{AddressPattern, Domain, Nickname, ObjectId, Right, SmtpAddress};
use crate::plan::{People, WantedGrant};
use crate::rules::{AccessRules, Wish};

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
        sign_in: spec.sign_in.unwrap_or(SignIn::Blocked),
        permissions: permissions.iter().map(members_of).collect(),
        exclusive: false,
        ignore: Vec::new(),
    };
    match admit_mailbox(spec, &addresses, around) {
        Ok((alias, ignore)) => Ok(Admitted {
            alias,
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

/// The nickname and whom Exclusive ignores, when everything about the mailbox itself is allowed.
fn admit_mailbox(
    spec: &SharedMailboxSpec,
    addresses: &BTreeSet<SmtpAddress>,
    around: &Surroundings<'_>,
) -> Result<(Option<Nickname>, Vec<AddressPattern>), Stall> {
    let alias = spec.alias.as_ref().map(|text| text.parse()).transpose();
    let alias: Option<Nickname> =
        alias.map_err(|error| Stall::InvalidSpec(format!("spec.alias: {error}")))?;
    if spec.display_name.trim().is_empty() || spec.display_name.chars().any(char::is_control) {
        let text = "spec.displayName must hold more than blanks and no control characters";
        return Err(Stall::InvalidSpec(text.to_owned()));
    }
    let powers = [
        (spec.sign_in == Some(SignIn::Allowed)).then_some(Power::AllowSignIn),
        (spec.permissions.mode == PermissionsMode::Exclusive).then_some(Power::Exclusive),
    ];
    admit_addresses(addresses, powers.into_iter().flatten(), around)?;
    Ok((alias, parse_ignored(&spec.permissions.ignore)?))
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
        accepted_domains,
        departed: _,
        now: _,
    } = around;
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
    Ok(())
}

/// Which grants are wanted, and who stays as he is.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub grants: BTreeMap<(ObjectId, Right), WantedGrant>,
    /// Who is declared to hold what and can't be granted to now, as written.
    pub kept: BTreeSet<(SmtpAddress, Right)>,
    /// MailboxPermissions, by name, whose end has come.
    pub expired: BTreeSet<String>,
    /// Who gets rights with each group that is expanded.
    pub groups: BTreeMap<SmtpAddress, BTreeSet<ObjectId>>,
    /// One entry for each member of each permission of [`Admitted`], in the same order.
    pub verdicts: Vec<Vec<MemberVerdict>>,
}

/// Judges the members as the directory knows them; `mailbox` is the account behind the mailbox, once it is known.
pub fn resolve(
    admitted: &Admitted,
    namespace: &str,
    mailbox: Option<ObjectId>,
    rules: &AccessRules,
    departed: &People,
    directory: &Directory,
) -> Wanted {
    let addresses: BTreeSet<SmtpAddress> = admitted
        .aliases
        .iter()
        .chain([&admitted.address])
        .cloned()
        .collect();
    let bench = members::Bench {
        namespace,
        addresses: &addresses,
        mailbox,
        rules,
        departed,
        directory,
    };
    let mut wanted = Wanted::default();
    for permission in &admitted.permissions {
        let name = permission.object.name_any();
        if permission.expired {
            wanted.expired.insert(name);
            wanted.verdicts.push(Vec::new());
            continue;
        }
        let mut verdicts = Vec::with_capacity(permission.members.len());
        for member in &permission.members {
            let verdict = bench.judge(member, permission);
            if let Some(address) = &member.address {
                wanted.take(&verdict, address, permission, &name);
            }
            verdicts.push(verdict);
        }
        wanted.verdicts.push(verdicts);
    }
    wanted
}

impl Wanted {
    fn take(
        &mut self,
        verdict: &MemberVerdict,
        written: &SmtpAddress,
        permission: &AdmittedPermission,
        name: &str,
    ) {
        match verdict {
            MemberVerdict::One { object_id, note: _ } => self.want(*object_id, written, permission, name),
            MemberVerdict::Everybody(people) => {
                let admitted = || people.iter().filter(|person| person.skipped.is_none());
                for person in admitted() {
                    self.want(person.object_id, written, permission, name);
                }
                let ids = admitted().map(|person| person.object_id);
                self.groups.entry(written.clone()).or_default().extend(ids);
            }
            MemberVerdict::Refused(_) => {
                let kept = permission.rights.iter().map(|right| (written.clone(), *right));
                self.kept.extend(kept);
            }
        }
    }

    /// Several permissions may name one person: the union counts, and `autoMapping: false` wins.
    fn want(
        &mut self,
        object_id: ObjectId,
        member: &SmtpAddress,
        permission: &AdmittedPermission,
        name: &str,
    ) {
        for right in &permission.rights {
            let grant = self
                .grants
                .entry((object_id, *right))
                .or_insert_with(|| WantedGrant {
                    auto_mapping: true,
                    member: member.clone(),
                    also: BTreeSet::new(),
                    by: BTreeSet::new(),
                });
            grant.auto_mapping &= permission.auto_mapping;
            grant.by.insert(name.to_owned());
            if grant.member != *member {
                grant.also.insert(member.clone());
            }
        }
    }
}
