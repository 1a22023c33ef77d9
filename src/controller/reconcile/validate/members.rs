//! Members: as written, and as the directory knows them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::admitted::{Admitted, AdmittedMember, AdmittedPermission, Refusal, Surroundings};
use super::bench::Bench;
use crate::api::reason::RefusalReason;
use crate::api::{MailboxPermission, Member, SharedMailbox};
use crate::controller::state::directory::{Expansion, Resolution, Resolved};
use crate::exchange::RecipientKind;
use crate::mail::{ObjectId, Right, SmtpAddress};
use crate::rules::{MemberKind, Wish};

/// Added to what no rule admits: perhaps it is a slip, and then no rule helps.
const OTHER_DOMAIN: &str = ". The tenant has no such domain: check how the address is written";

/// Whom a member stands for, or why it gets nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberVerdict {
    /// A person, or a group as it is.
    One {
        object_id: ObjectId,
        note: Option<String>,
    },
    /// Each person in a group.
    Everybody(Vec<PersonVerdict>),
    Refused(Refusal),
}

impl MemberVerdict {
    /// Whether the member gets nothing, or somebody in the group for whom there is no room.
    pub fn refuses_somebody(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Everybody(people) => people.iter().any(PersonVerdict::lacks_room),
            Self::One { .. } => false,
        }
    }
}

impl PersonVerdict {
    /// Whether they can't be granted to now and are declared all the same: what they hold stays, as with a member who is
    /// named.
    pub fn keeps_what_it_has(&self) -> bool {
        let skipped = self.skipped.as_ref();
        skipped.is_some_and(|refusal| !refusal.reason.takes_everything())
    }

    /// Whether they get nothing only because the mailbox has too many people.
    pub fn lacks_room(&self) -> bool {
        let skipped = self.skipped.as_ref();
        skipped.is_some_and(|refusal| refusal.reason.lacks_room())
    }
}

/// Somebody who came with a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonVerdict {
    pub object_id: ObjectId,
    /// Their address, or as the directory shows them, or their id.
    pub name: String,
    /// Why they get nothing; that does not lower Ready.
    pub skipped: Option<Refusal>,
}

/// The member as written, whatever it says.
fn member_text(member: &Member) -> (MemberKind, String) {
    match (&member.user, &member.group) {
        (Some(user), _) => (MemberKind::User, user.clone()),
        (None, Some(group)) => (MemberKind::Group, group.clone()),
        (None, None) => (MemberKind::User, String::new()),
    }
}

pub(super) fn admit(
    object: &Arc<MailboxPermission>,
    mailbox: &SharedMailbox,
    around: &Surroundings<'_>,
) -> AdmittedPermission {
    let mut rights = object.spec.rights.clone();
    rights.sort_unstable();
    rights.dedup();
    let same_tenant = object.spec.tenant_ref == mailbox.spec.tenant_ref;
    let judge = |member| {
        let (kind, text) = member_text(member);
        let address = text.parse::<SmtpAddress>();
        let refusal = match &address {
            _ if !same_tenant => Some(Refusal::new(
                RefusalReason::TenantMismatch,
                "spec.tenantRef differs from that of the SharedMailbox: make them the same",
            )),
            Err(error) => Some(Refusal::new(RefusalReason::InvalidAddress, error.to_string())),
            Ok(address) if around.departed.contains(address) => Some(departed(address.as_str())),
            // There is one such text for each member, and the mailbox itself says which rule is missing.
            Ok(_) if !around.rules.reach() => Some(Refusal::new(
                RefusalReason::AccessDenied,
                "no access rule of the ExchangeTenant admits the addresses of the mailbox in this namespace",
            )),
            Ok(address) => {
                let mut rights = rights.iter().copied();
                let denied =
                    rights.find_map(|right| around.rules.admit(Wish::Member { kind, address, right }).err());
                let is_known = around.accepted_domains.contains(&address.domain());
                let words = if is_known { "" } else { OTHER_DOMAIN };
                denied.map(|message| Refusal::new(RefusalReason::AccessDenied, format!("{message}{words}")))
            }
        };
        AdmittedMember {
            text,
            address: address.ok(),
            kind,
            expand: member.expand,
            refusal,
        }
    };
    AdmittedPermission {
        object: Arc::clone(object),
        auto_mapping: object.spec.auto_mapping,
        expired: object
            .spec
            .expires_at
            .as_ref()
            .is_some_and(|end| end.0 <= around.now),
        ends: object.spec.expires_at.as_ref().map(|end| end.0),
        members: object.spec.members.iter().map(judge).collect(),
        rights,
    }
}

impl Admitted {
    /// The members that may be looked up, each once.
    pub fn members_to_look_up(&self) -> BTreeSet<(MemberKind, SmtpAddress)> {
        let members = self.current().flat_map(|permission| &permission.members);
        let allowed = members.filter(|member| member.refusal.is_none());
        let members = allowed.filter_map(|member| Some((member.kind, member.address.clone()?)));
        let named = self.recipients_to_look_up().into_iter();
        members
            .chain(named.map(|address| (MemberKind::User, address)))
            .collect()
    }
}

impl Admitted {
    /// The permissions whose end has not come.
    fn current(&self) -> impl Iterator<Item = &AdmittedPermission> {
        self.permissions.iter().filter(|permission| !permission.expired)
    }

    /// The groups of which everybody is to get the rights.
    pub fn groups_to_expand(&self) -> BTreeSet<SmtpAddress> {
        let members = self.current().flat_map(|permission| &permission.members);
        let expanded = members.filter(|member| member.refusal.is_none() && member.expand);
        expanded.filter_map(|member| member.address.clone()).collect()
    }
}

impl Bench<'_> {
    pub fn judge(&self, member: &AdmittedMember, permission: &AdmittedPermission) -> MemberVerdict {
        self.member(member, permission)
            .unwrap_or_else(MemberVerdict::Refused)
    }

    fn member(
        &self,
        member: &AdmittedMember,
        permission: &AdmittedPermission,
    ) -> Result<MemberVerdict, Refusal> {
        if let Some(refusal) = &member.refusal {
            return Err(refusal.clone());
        }
        let AdmittedMember {
            text,
            address: Some(address),
            kind,
            expand,
            refusal: None,
        } = member
        else {
            return Err(Refusal::new(
                RefusalReason::InvalidAddress,
                format!("{:?} is no address", member.text),
            ));
        };
        let found = self.found(text, *kind, address)?;
        if *expand {
            is_group(text, &found.kind)?;
        } else {
            right_kind(text, *kind, &found.kind)?;
        }
        // Looked up under one address, judged again under the one that the object really has.
        let Some(primary) = &found.primary else {
            let text = format!("{text} has a primary address that the access rules can't judge");
            return Err(Refusal::new(RefusalReason::MemberCannotHoldRights, text));
        };
        // The mailbox may have other addresses than the declared ones, by which no rule reaches it for this member.
        self.admit(*kind, address, &permission.rights)?;
        if primary != address {
            self.admit(*kind, primary, &permission.rights)
                .map_err(|refusal| {
                    Refusal::new(
                        refusal.reason,
                        format!("{text} is {primary}: {}", refusal.message),
                    )
                })?;
        }
        if *expand {
            return self.everybody(text, address, &permission.rights);
        }
        self.person(text, found)?;
        Ok(MemberVerdict::One {
            object_id: found.object_id,
            note: note(found, permission),
        })
    }

    fn found(&self, text: &str, kind: MemberKind, address: &SmtpAddress) -> Result<&Resolved, Refusal> {
        match self.directory.members.get(&(kind, address.clone())) {
            Some(Resolution::Found(found)) => Ok(found),
            Some(Resolution::NoMailbox) => Err(no_mailbox(text)),
            Some(Resolution::PlainGroup) => {
                let text = format!(
                    "{text} is a group that is not mail-enabled: Exchange would take the grant and ignore it"
                );
                Err(Refusal::new(RefusalReason::GroupCannotHoldRights, text))
            }
            Some(Resolution::Unusable(why)) => {
                Err(Refusal::new(RefusalReason::MemberCannotHoldRights, why.clone()))
            }
            Some(Resolution::Unread(unread)) => {
                Err(Refusal::unread(RefusalReason::MemberUnread, text, unread))
            }
            Some(Resolution::NotFound) | None => {
                let text = format!("no recipient in the tenant has the address or sign-in name {text}");
                Err(Refusal::new(RefusalReason::MemberNotFound, text))
            }
        }
    }

    fn admit(&self, kind: MemberKind, address: &SmtpAddress, rights: &[Right]) -> Result<(), Refusal> {
        for right in rights {
            let wish = Wish::Member {
                kind,
                address,
                right: *right,
            };
            self.rules
                .admit(wish)
                .map_err(|message| Refusal::new(RefusalReason::AccessDenied, message))?;
        }
        Ok(())
    }

    /// What holds for everybody, named one by one or found in a group.
    fn person(&self, text: &str, found: &Resolved) -> Result<(), Refusal> {
        if self.departed.include_id(&found.object_id) {
            return Err(departed(text));
        }
        let is_the_mailbox = match self.mailbox {
            Some(mailbox) => found.object_id == mailbox,
            None => found
                .primary
                .iter()
                .any(|primary| self.rules.addresses().contains(primary)),
        };
        if is_the_mailbox {
            let text = format!("{text} is the mailbox itself, which holds every right on itself");
            return Err(Refusal::new(RefusalReason::MemberIsMailbox, text));
        }
        Ok(())
    }

    fn everybody(&self, text: &str, group: &SmtpAddress, rights: &[Right]) -> Result<MemberVerdict, Refusal> {
        match self.directory.groups.get(group) {
            Some(Expansion::People {
                people,
                may_be_more: _,
            }) => {
                let judged = people.iter().map(|(id, who)| self.in_group(*id, who, rights));
                Ok(MemberVerdict::Everybody(judged.collect()))
            }
            Some(Expansion::TooLarge(count)) => {
                let text = format!(
                    "{text} has {count} people and at most {} are granted one by one: grant to the group itself (leave \
                     out expand), or take a smaller one",
                    Expansion::MOST_PEOPLE
                );
                Err(Refusal::new(RefusalReason::GroupTooLarge, text))
            }
            Some(Expansion::Unread(unread)) => Err(Refusal::unread(
                RefusalReason::GroupUnreadable,
                &format!("who is in {text}"),
                unread,
            )),
            Some(Expansion::Hidden) => {
                let text = format!(
                    "{text}, or a group in it, hides its members (HiddenMembership), so nobody knows whether what the \
                     directory shows of them is all: grant to a mail-enabled security group itself (leave out expand), or \
                     name the people"
                );
                Err(Refusal::new(RefusalReason::HiddenMembership, text))
            }
            None => Err(Refusal::new(
                RefusalReason::GroupUnreadable,
                format!("who is in {text} was not read"),
            )),
        }
    }

    fn in_group(&self, id: ObjectId, who: &Resolution, rights: &[Right]) -> PersonVerdict {
        let known = self.directory.names.get(&id);
        let name = known.map_or_else(|| id.to_string(), Clone::clone);
        let judged = match who {
            Resolution::Found(found) => right_kind(&name, MemberKind::User, &found.kind)
                .and_then(|()| self.person(&name, found))
                .and_then(|()| match &found.primary {
                    Some(primary) => self.admit(MemberKind::User, primary, rights),
                    None => Err(no_mailbox(&name)),
                }),
            Resolution::Unusable(why) => {
                Err(Refusal::new(RefusalReason::MemberCannotHoldRights, why.clone()))
            }
            Resolution::Unread(unread) => Err(Refusal::unread(RefusalReason::MemberUnread, &name, unread)),
            Resolution::NotFound | Resolution::NoMailbox | Resolution::PlainGroup => Err(no_mailbox(&name)),
        };
        PersonVerdict {
            object_id: id,
            name,
            skipped: judged.err(),
        }
    }
}

fn departed(who: &str) -> Refusal {
    let text = format!(
        "{who} has left: spec.departed of the ExchangeTenant names them; take them out of the manifest"
    );
    Refusal::new(RefusalReason::Departed, text)
}

fn no_mailbox(who: &str) -> Refusal {
    let text = format!("{who} is a person without a mailbox: only people with one can hold rights");
    Refusal::new(RefusalReason::MemberHasNoMailbox, text)
}

/// What somebody who gets the rights should know all the same.
fn note(found: &Resolved, permission: &AdmittedPermission) -> Option<String> {
    let is_group = found.kind == RecipientKind::SecurityGroup;
    let mapped = permission.rights.contains(&Right::FullAccess) && permission.auto_mapping;
    if is_group && mapped {
        return Some(
            "automapping does not apply to members of a group: they add the mailbox to Outlook themselves"
                .to_owned(),
        );
    }
    let unlicensed = found.kind == RecipientKind::UserMailbox && found.licensed == Some(false);
    unlicensed.then(|| {
        "has no licence: everybody who uses a shared mailbox needs one for Exchange Online".to_owned()
    })
}

fn is_group(text: &str, kind: &RecipientKind) -> Result<(), Refusal> {
    use RecipientKind as Kind;
    match kind {
        Kind::SecurityGroup | Kind::DistributionGroup | Kind::Microsoft365Group => Ok(()),
        Kind::UserMailbox
        | Kind::SharedMailbox
        | Kind::OtherMailbox(_)
        | Kind::MailUser
        | Kind::Guest
        | Kind::MailContact
        | Kind::Other(_) => Err(Refusal::new(
            RefusalReason::MemberIsUser,
            format!("{text} is no group: write user instead of group"),
        )),
    }
}

fn right_kind(text: &str, written: MemberKind, found: &RecipientKind) -> Result<(), Refusal> {
    use RecipientKind as Kind;
    match (written, found) {
        (
            MemberKind::User,
            Kind::UserMailbox | Kind::SharedMailbox | Kind::OtherMailbox(_) | Kind::MailUser,
        )
        | (MemberKind::Group, Kind::SecurityGroup) => Ok(()),
        (_, Kind::Guest) => Err(Refusal::new(
            RefusalReason::MemberIsExternal,
            format!(
                "{text} belongs to another organisation: only people of this tenant can use a shared mailbox"
            ),
        )),
        (MemberKind::User, Kind::SecurityGroup | Kind::DistributionGroup | Kind::Microsoft365Group) => {
            let text =
                format!("{text} is a group: write group instead of user, and have an access rule name it");
            Err(Refusal::new(RefusalReason::MemberIsGroup, text))
        }
        (MemberKind::Group, Kind::DistributionGroup | Kind::Microsoft365Group) => {
            let text = format!(
                "{text} is not a mail-enabled security group: Exchange would take the grant and ignore it; `expand: true` \
                 grants to each person in it"
            );
            Err(Refusal::new(RefusalReason::GroupCannotHoldRights, text))
        }
        (
            MemberKind::Group,
            Kind::UserMailbox | Kind::SharedMailbox | Kind::OtherMailbox(_) | Kind::MailUser,
        ) => Err(Refusal::new(
            RefusalReason::MemberIsUser,
            format!("{text} is no group: write user instead of group"),
        )),
        (_, Kind::MailContact | Kind::Other(_)) => Err(Refusal::new(
            RefusalReason::MemberCannotHoldRights,
            format!("{text} is {}, which can't hold rights", found.in_words()),
        )),
    }
}
