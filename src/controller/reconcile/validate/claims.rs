//! Which resource may have an address that several claim.

use std::collections::BTreeSet;
use std::fmt;

use kube::ResourceExt;

use crate::api::{Management, SharedMailbox};
use crate::controller::state::index::{Index, claims_of};
use crate::controller::state::key::MailboxKey;
use crate::mail::SmtpAddress;
use crate::rules::{AccessRules, Wish};

/// Another resource that already claims an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    address: SmtpAddress,
    /// None when it lives in another namespace, whose names are nobody else's business.
    name: Option<String>,
}

/// Whether `other` was there before `mailbox`: by creation, then by namespace and name.
pub fn is_older(other: &SharedMailbox, mailbox: &SharedMailbox) -> bool {
    let age = |m: &SharedMailbox| {
        let created = m.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created, m.namespace(), m.metadata.name.clone())
    };
    age(other) < age(mailbox)
}

/// Resources that already claim one of the addresses of `mailbox`, and are preferred to it.
///
/// The owner of a mailbox keeps its addresses; among those without one the older that is not paused wins. Whoever
/// the access rules deny the addresses has no right at all, whatever it had before: nobody squats an address.
pub fn rivals(
    index: &Index,
    rules: &AccessRules,
    mailbox: &SharedMailbox,
    addresses: &BTreeSet<SmtpAddress>,
) -> Vec<Rival> {
    let tenant = &mailbox.spec.tenant_ref.name;
    let is_preferred = |other: &SharedMailbox, address: &SmtpAddress| match (
        holds(index, other, address),
        holds(index, mailbox, address),
    ) {
        (true, false) => true,
        (false, true) => false,
        (true, true) | (false, false) => {
            other.spec.management != Management::Paused && is_older(other, mailbox)
        }
    };
    let mut rivals = Vec::new();
    for address in addresses {
        for other in index.claimants(tenant, address) {
            if other.uid() != mailbox.uid() && is_admitted(&other, rules) && is_preferred(&other, address) {
                let name = (other.namespace() == mailbox.namespace()).then(|| other.name_any());
                rivals.push(Rival {
                    address: address.clone(),
                    name,
                });
            }
        }
    }
    rivals
}

fn is_admitted(mailbox: &SharedMailbox, rules: &AccessRules) -> bool {
    let namespace = mailbox.namespace().unwrap_or_default();
    let wish = Wish::Mailbox { earlier: &[] };
    rules.admit(&namespace, &claims_of(mailbox), wish).is_ok()
}

/// It has a mailbox that had this address when it was read last, and asks for it.
fn holds(index: &Index, mailbox: &SharedMailbox, address: &SmtpAddress) -> bool {
    let key = MailboxKey::of(mailbox);
    claims_of(mailbox).contains(address) && key.is_some_and(|key| index.ledgers().holds(&key, address))
}

impl fmt::Display for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(
                f,
                "{} is claimed by SharedMailbox {name:?} of this namespace",
                self.address
            )?,
            None => write!(
                f,
                "{} is claimed by a SharedMailbox of another namespace",
                self.address
            )?,
        }
        f.write_str("; take another address, or ask its owner to give it up")
    }
}
