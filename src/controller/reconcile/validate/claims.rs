//! Which resource may have an address that several claim.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use kube::ResourceExt;

use crate::api::{Management, SharedMailbox};
use crate::controller::state::index::Index;
use crate::controller::state::key::MailboxKey;
use crate::controller::state::read_mailbox::claims_of;
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

/// Resources that already claim `address`, which `mailbox` claims too, and that are preferred to it if the rules admit
/// them: the owner of a mailbox keeps its addresses; among those without one the older that is not paused wins.
pub fn preferred(index: &Index, mailbox: &SharedMailbox, address: &SmtpAddress) -> Vec<Arc<SharedMailbox>> {
    let holds = |one: &SharedMailbox| {
        let key = MailboxKey::of(one);
        key.is_some_and(|key| index.ledgers().holds(&key, address))
    };
    let is_held = holds(mailbox);
    let is_preferred = |other: &SharedMailbox| match (holds(other), is_held) {
        (true, false) => true,
        (false, true) => false,
        (true, true) | (false, false) => {
            other.spec.management != Management::Paused && is_older(other, mailbox)
        }
    };
    let others = index
        .claimants(&mailbox.spec.tenant_ref.name, address)
        .into_iter();
    others
        .filter(|other| other.uid() != mailbox.uid() && is_preferred(other))
        .collect()
}

/// Finds out whether rivals are admitted, each once. Whoever the access rules deny their addresses has no right at all,
/// whatever they had before: nobody squats an address.
pub struct Rivals<'a> {
    rules: &'a AccessRules,
    judged: HashMap<Option<String>, bool>,
}

impl<'a> Rivals<'a> {
    pub fn new(rules: &'a AccessRules) -> Self {
        Self {
            rules,
            judged: HashMap::new(),
        }
    }

    /// The first of those that are preferred to `mailbox` and that the rules admit.
    pub fn first(
        &mut self,
        preferred: &[Arc<SharedMailbox>],
        mailbox: &SharedMailbox,
        address: &SmtpAddress,
    ) -> Option<Rival> {
        let rival = preferred.iter().find(|other| self.is_admitted(other))?;
        Some(Rival {
            address: address.clone(),
            name: (rival.namespace() == mailbox.namespace()).then(|| rival.name_any()),
        })
    }

    fn is_admitted(&mut self, mailbox: &SharedMailbox) -> bool {
        let rules = self.rules;
        *self.judged.entry(mailbox.uid()).or_insert_with(|| {
            let namespace = mailbox.namespace().unwrap_or_default();
            let claims = claims_of(mailbox);
            rules
                .of(&namespace, &claims)
                .admits(Wish::Mailbox { earlier: &[] })
        })
    }
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
