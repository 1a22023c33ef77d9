//! Members: as written, and as the directory knows them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{
    AccessRules, Admitted, AdmittedMember, AdmittedPermission, MemberKind, MemberVerdict, Refusal,
    Surroundings, Wish, member_text,
};
use crate::api::{MailboxPermission, SharedMailbox};
use crate::exchange::RecipientKind;
use crate::mail::{ObjectId, SmtpAddress};

/// What a look-up of one member found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    Found(Resolved),
    /// Nobody has this address.
    NotFound,
    /// A person without a mailbox.
    NoMailbox,
    /// A group that can't hold rights because it has no mail of its own.
    PlainGroup,
    /// Somebody, but nobody who can be named for sure or hold a right: why.
    Unusable(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub object_id: ObjectId,
    pub primary: Option<SmtpAddress>,
    pub kind: RecipientKind,
}

pub(super) fn admit(
    object: &Arc<MailboxPermission>,
    mailbox: &SharedMailbox,
    addresses: &BTreeSet<SmtpAddress>,
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
                "TenantMismatch",
                "spec.tenantRef differs from that of the SharedMailbox: make them the same",
            )),
            Err(error) => Some(Refusal::new("InvalidAddress", error.to_string())),
            Ok(address) => {
                let admit_right = |right| {
                    around
                        .rules
                        .admit(around.namespace, addresses, Wish::Member { kind, address, right })
                };
                let denied = rights.iter().copied().find_map(|right| admit_right(right).err());
                denied.map(|message| Refusal::new("AccessDenied", message))
            }
        };
        AdmittedMember {
            text,
            address: address.ok(),
            kind,
            refusal,
        }
    };
    AdmittedPermission {
        object: Arc::clone(object),
        auto_mapping: object.spec.auto_mapping,
        members: object.spec.members.iter().map(judge).collect(),
        rights,
    }
}

impl Admitted {
    /// The members that may be looked up, each once.
    pub fn members_to_look_up(&self) -> BTreeSet<(MemberKind, SmtpAddress)> {
        let members = self.permissions.iter().flat_map(|permission| &permission.members);
        let allowed = members.filter(|member| member.refusal.is_none());
        allowed
            .filter_map(|member| Some((member.kind, member.address.clone()?)))
            .collect()
    }
}

pub(super) fn judge(
    member: &AdmittedMember,
    permission: &AdmittedPermission,
    namespace: &str,
    addresses: &BTreeSet<SmtpAddress>,
    rules: &AccessRules,
    directory: &BTreeMap<(MemberKind, SmtpAddress), Resolution>,
) -> MemberVerdict {
    if let Some(refusal) = &member.refusal {
        return Err(refusal.clone());
    }
    let AdmittedMember {
        text,
        address: Some(address),
        kind,
        refusal: None,
    } = member
    else {
        return Err(Refusal::new(
            "InvalidAddress",
            format!("{:?} is no address", member.text),
        ));
    };
    let found = match directory.get(&(*kind, address.clone())) {
        Some(Resolution::Found(found)) => found,
        Some(Resolution::NoMailbox) => {
            let text = format!("{text} is a person without a mailbox: only people with one can hold rights");
            return Err(Refusal::new("MemberHasNoMailbox", text));
        }
        Some(Resolution::PlainGroup) => {
            let text = format!(
                "{text} is a group that is not mail-enabled: Exchange would take the grant and ignore it"
            );
            return Err(Refusal::new("GroupCannotHoldRights", text));
        }
        Some(Resolution::Unusable(why)) => {
            return Err(Refusal::new("MemberCannotHoldRights", why.clone()));
        }
        Some(Resolution::NotFound) | None => {
            let text = format!("nobody in the tenant has the address or sign-in name {text}");
            return Err(Refusal::new("MemberNotFound", text));
        }
    };
    right_kind(text, *kind, &found.kind)?;
    // Looked up under one address, judged again under the one that the object really has.
    let Some(primary) = &found.primary else {
        let text = format!("{text} has a primary address that the access rules can't judge");
        return Err(Refusal::new("MemberCannotHoldRights", text));
    };
    if primary != address {
        for right in &permission.rights {
            let wish = Wish::Member {
                kind: *kind,
                address: primary,
                right: *right,
            };
            rules
                .admit(namespace, addresses, wish)
                .map_err(|message| Refusal::new("AccessDenied", format!("{text} is {primary}: {message}")))?;
        }
    }
    Ok(found.object_id)
}

fn right_kind(text: &str, written: MemberKind, found: &RecipientKind) -> Result<(), Refusal> {
    use RecipientKind as Kind;
    match (written, found) {
        (
            MemberKind::User,
            Kind::UserMailbox | Kind::SharedMailbox | Kind::OtherMailbox(_) | Kind::MailUser,
        )
        | (MemberKind::Group, Kind::SecurityGroup) => Ok(()),
        (MemberKind::User, Kind::SecurityGroup | Kind::DistributionGroup | Kind::Microsoft365Group) => {
            let text =
                format!("{text} is a group: write group instead of user, and have an access rule name it");
            Err(Refusal::new("MemberIsGroup", text))
        }
        (MemberKind::Group, Kind::DistributionGroup | Kind::Microsoft365Group) => {
            let text = format!(
                "{text} is not a mail-enabled security group: Exchange would take the grant and ignore it"
            );
            Err(Refusal::new("GroupCannotHoldRights", text))
        }
        (
            MemberKind::Group,
            Kind::UserMailbox | Kind::SharedMailbox | Kind::OtherMailbox(_) | Kind::MailUser,
        ) => Err(Refusal::new(
            "MemberIsUser",
            format!("{text} is no group: write user instead of group"),
        )),
        (_, Kind::MailContact | Kind::Other(_)) => Err(Refusal::new(
            "MemberCannotHoldRights",
            format!("{text} is of a kind that can't hold rights: {found:?}"),
        )),
    }
}
