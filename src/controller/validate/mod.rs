//! From what people wrote and what the directory answered to values that can be planned with. Plain
//! functions: no client, no await.
//!
//! Twice in a pass: [`admit`] judges the manifests as written, before any look-up (else the directory becomes
//! an oracle); [`resolve`] judges the members as the directory knows them.

pub mod access;
mod claims;
mod members;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::ResourceExt;

pub use access::{AccessRules, MemberKind, Wish};
pub use claims::Rival;
pub use members::{Resolution, Resolved};

use crate::api::{MailboxPermission, Member, Power, SharedMailbox, SignIn};
use crate::controller::outcome::Stall;
use crate::mail::{Domain, Nickname, ObjectId, Right, SmtpAddress};
use crate::plan::WantedGrant;

/// A mailbox and its permissions, as written and allowed.
#[derive(Clone, Debug)]
pub struct Admitted {
    pub address: SmtpAddress,
    pub aliases: BTreeSet<SmtpAddress>,
    pub alias: Option<Nickname>,
    pub sign_in: SignIn,
    pub permissions: Vec<AdmittedPermission>,
}

/// One MailboxPermission with a verdict on each of its members.
#[derive(Clone, Debug)]
pub struct AdmittedPermission {
    pub object: Arc<MailboxPermission>,
    pub rights: Vec<Right>,
    pub auto_mapping: bool,
    pub members: Vec<AdmittedMember>,
}

#[derive(Clone, Debug)]
pub struct AdmittedMember {
    /// As written.
    pub text: String,
    /// None when the text is no address.
    pub address: Option<SmtpAddress>,
    pub kind: MemberKind,
    /// Why nobody may look this member up, let alone grant anything.
    pub refusal: Option<Refusal>,
}

/// Why a member gets nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: &'static str,
    pub message: String,
}

impl Refusal {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

/// What `admit` needs to know of the world.
pub struct Surroundings<'a> {
    pub rules: &'a AccessRules,
    pub namespace: &'a str,
    /// Other mailboxes of the namespace that were there before this one, by their addresses.
    pub earlier: Vec<BTreeSet<SmtpAddress>>,
    /// Other resources that claim one of the addresses and have the better right.
    pub rivals: Vec<Rival>,
    pub accepted_domains: &'a BTreeSet<Domain>,
}

/// Judges the manifests as written.
pub fn admit(
    mailbox: &SharedMailbox,
    permissions: &[Arc<MailboxPermission>],
    around: &Surroundings<'_>,
) -> Result<Admitted, Stall> {
    let spec = &mailbox.spec;
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
    let alias = spec.alias.as_ref().map(|text| text.parse()).transpose();
    let alias: Option<Nickname> =
        alias.map_err(|error| Stall::InvalidSpec(format!("spec.alias: {error}")))?;
    if spec.display_name.trim().is_empty() || spec.display_name.chars().any(char::is_control) {
        let text = "spec.displayName must hold more than blanks and no control characters";
        return Err(Stall::InvalidSpec(text.to_owned()));
    }
    let addresses: BTreeSet<SmtpAddress> = aliases.iter().chain([&address]).cloned().collect();
    let sign_in = spec.sign_in.unwrap_or(SignIn::Blocked);
    admit_addresses(&addresses, sign_in, around)?;
    let members_of = |object: &Arc<MailboxPermission>| members::admit(object, mailbox, &addresses, around);
    let permissions = permissions.iter().map(members_of).collect();
    Ok(Admitted {
        address,
        aliases,
        alias,
        sign_in,
        permissions,
    })
}

fn admit_addresses(
    addresses: &BTreeSet<SmtpAddress>,
    sign_in: SignIn,
    around: &Surroundings<'_>,
) -> Result<(), Stall> {
    let Surroundings {
        rules,
        namespace,
        earlier,
        rivals,
        accepted_domains,
    } = around;
    rules
        .admit(namespace, addresses, Wish::Mailbox { earlier })
        .map_err(Stall::AccessDenied)?;
    if sign_in == SignIn::Allowed {
        let power = Wish::Power(Power::AllowSignIn);
        rules
            .admit(namespace, addresses, power)
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
    pub kept_members: BTreeSet<SmtpAddress>,
    /// One entry for each member of each permission of [`Admitted`], in the same order.
    pub verdicts: Vec<Vec<MemberVerdict>>,
}

pub type MemberVerdict = Result<ObjectId, Refusal>;

/// Judges the members as the directory knows them.
pub fn resolve(
    admitted: &Admitted,
    namespace: &str,
    rules: &AccessRules,
    directory: &BTreeMap<(MemberKind, SmtpAddress), Resolution>,
) -> Wanted {
    let addresses: BTreeSet<SmtpAddress> = admitted
        .aliases
        .iter()
        .chain([&admitted.address])
        .cloned()
        .collect();
    let mut wanted = Wanted::default();
    for permission in &admitted.permissions {
        let mut verdicts = Vec::with_capacity(permission.members.len());
        for member in &permission.members {
            let verdict = members::judge(member, permission, namespace, &addresses, rules, directory);
            match (&verdict, &member.address) {
                (Ok(object_id), Some(address)) => wanted.want(*object_id, address, permission),
                (Err(_), Some(address)) => {
                    wanted.kept_members.insert(address.clone());
                }
                (_, None) => {}
            }
            verdicts.push(verdict);
        }
        wanted.verdicts.push(verdicts);
    }
    wanted
}

impl Wanted {
    /// Several permissions may name one person: the union counts, and `autoMapping: false` wins.
    fn want(&mut self, object_id: ObjectId, member: &SmtpAddress, permission: &AdmittedPermission) {
        for right in &permission.rights {
            let grant = self
                .grants
                .entry((object_id, *right))
                .or_insert_with(|| WantedGrant {
                    auto_mapping: true,
                    member: member.clone(),
                });
            grant.auto_mapping &= permission.auto_mapping;
        }
    }
}

/// The member as written, whatever it says.
fn member_text(member: &Member) -> (MemberKind, String) {
    match (&member.user, &member.group) {
        (Some(user), _) => (MemberKind::User, user.clone()),
        (None, Some(group)) => (MemberKind::Group, group.clone()),
        (None, None) => (MemberKind::User, String::new()),
    }
}

/// Whether `other` was there before `mailbox`: by creation, then by namespace and name.
pub fn is_older(other: &SharedMailbox, mailbox: &SharedMailbox) -> bool {
    let age = |m: &SharedMailbox| {
        let created = m.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created, m.namespace(), m.metadata.name.clone())
    };
    age(other) < age(mailbox)
}

pub use claims::rivals;
