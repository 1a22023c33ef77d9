//! A SharedMailbox as the index takes it in.

use std::collections::BTreeSet;

use super::requests::prune;
use crate::api::{SharedMailbox, SharedMailboxSpec, SharedMailboxStatus};
use crate::mail::SmtpAddress;

/// A SharedMailbox with what costs time to find out, so that nobody waits for the index meanwhile.
pub struct ReadMailbox {
    pub object: SharedMailbox,
    pub claims: BTreeSet<SmtpAddress>,
    /// How much room it takes, in addresses of full length.
    pub size: usize,
}

/// An address is no longer.
const ADDRESS: usize = 320;

impl ReadMailbox {
    pub fn of(mut object: SharedMailbox) -> Self {
        prune(&mut object.metadata);
        let length = serde_json::to_vec(&object.spec).map_or(0, |text| text.len());
        Self {
            claims: claims_of(&object),
            size: length.div_ceil(ADDRESS),
            object,
        }
    }

    /// As it is known where there is no room for it: with the primary address, and without a word of the rest.
    pub fn by_name_and_size(object: &SharedMailbox, claims: &BTreeSet<SmtpAddress>, size: usize) -> Self {
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
    let status = object.status.as_ref().map(|status| SharedMailboxStatus {
        observed_generation: status.observed_generation,
        conditions: status.conditions.clone(),
        summary: status.summary.clone(),
        ..SharedMailboxStatus::default()
    });
    SharedMailbox {
        metadata: object.metadata.clone(),
        spec: SharedMailboxSpec {
            tenant_ref: spec.tenant_ref.clone(),
            display_name: spec.display_name.clone(),
            email_address: spec.email_address.clone(),
            management: spec.management,
            ..SharedMailboxSpec::default()
        },
        status,
    }
}

/// The addresses a manifest asks for; malformed ones claim nothing.
pub fn claims_of(mailbox: &SharedMailbox) -> BTreeSet<SmtpAddress> {
    let written = std::iter::once(&mailbox.spec.email_address).chain(&mailbox.spec.aliases);
    written.filter_map(|text| text.parse().ok()).collect()
}
