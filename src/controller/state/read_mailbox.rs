//! SharedMailboxes and MailboxPermissions as the index takes them in: with what costs time to find out, and without what
//! whoever writes them may make as large as they like.

use std::collections::BTreeSet;

use super::requests::{cut, prune};
use crate::api::condition::{self, Kind};
use crate::api::{MailboxPermission, SharedMailbox, SharedMailboxSpec, SharedMailboxStatus};
use crate::mail::SmtpAddress;

/// The addresses that a manifest asks for.
pub type Claims = BTreeSet<SmtpAddress>;

/// A SharedMailbox with what costs time to find out, so that nobody waits for the index meanwhile.
pub struct ReadMailbox {
    pub object: SharedMailbox,
    pub claims: Claims,
    /// How much room it takes, in addresses of full length.
    pub size: usize,
}

/// An address is no longer.
const ADDRESS: usize = 320;

impl ReadMailbox {
    pub fn of(mut object: SharedMailbox) -> Self {
        prune(&mut object.metadata);
        object.status = object.status.as_ref().map(in_short);
        let length = serde_json::to_vec(&object.spec).map_or(0, |text| text.len());
        Self {
            claims: claims_of(&object),
            size: length.div_ceil(ADDRESS),
            object,
        }
    }

    /// As it is known where there is no room for it: with the primary address, and without a word of the rest.
    pub fn by_name_and_size(object: &SharedMailbox, claims: &Claims, size: usize) -> Self {
        let primary = &object.spec.email_address;
        let is_primary = |claim: &&SmtpAddress| claim.as_str().eq_ignore_ascii_case(primary);
        Self {
            claims: claims.iter().filter(is_primary).cloned().collect(),
            object: without_the_rest(object),
            size,
        }
    }
}

fn without_the_rest(object: &SharedMailbox) -> SharedMailbox {
    let spec = &object.spec;
    SharedMailbox {
        metadata: object.metadata.clone(),
        spec: SharedMailboxSpec {
            tenant_ref: spec.tenant_ref.clone(),
            display_name: spec.display_name.clone(),
            email_address: spec.email_address.clone(),
            management: spec.management,
            ..SharedMailboxSpec::default()
        },
        status: object.status.clone(),
    }
}

/// Conditions that somebody counts.
const COUNTED: [Kind; 3] = [Kind::Ready, Kind::Stalled, Kind::SignInBlocked];

/// Of a status only what is counted: a reconcile reads the object itself.
fn in_short(status: &SharedMailboxStatus) -> SharedMailboxStatus {
    let counted = COUNTED.into_iter();
    let counted = counted.filter_map(|kind| condition::find(&status.conditions, kind));
    let conditions = counted.cloned().map(|mut condition| {
        condition.message = String::new();
        cut(&mut condition.reason);
        condition
    });
    SharedMailboxStatus {
        observed_generation: status.observed_generation,
        conditions: conditions.collect(),
        ..SharedMailboxStatus::default()
    }
}

/// A MailboxPermission with what costs time to find out.
pub struct ReadPermission {
    pub object: MailboxPermission,
    /// How much room it takes, in members.
    pub size: usize,
}

/// An object without its members is no longer.
const BASE: usize = 16 * 1024;
/// A member with their rights, and what is said about these, is mostly no longer. Whoever writes more into a status uses up
/// their own room.
const MEMBER: usize = 1024;

impl From<MailboxPermission> for ReadPermission {
    fn from(mut object: MailboxPermission) -> Self {
        prune(&mut object.metadata);
        let length = serde_json::to_vec(&object).map_or(0, |text| text.len());
        let rest = length.saturating_sub(BASE).div_ceil(MEMBER);
        let size = object.spec.members.len().max(rest);
        Self { object, size }
    }
}

/// The addresses a manifest asks for; malformed ones claim nothing.
pub fn claims_of(mailbox: &SharedMailbox) -> Claims {
    let written = std::iter::once(&mailbox.spec.email_address).chain(&mailbox.spec.aliases);
    written.filter_map(|text| text.parse().ok()).collect()
}
