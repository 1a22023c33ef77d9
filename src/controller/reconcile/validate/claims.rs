//! Which resource may have an address that several claim.

use std::collections::HashMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use kube::ResourceExt;

use crate::api::{Management, SharedMailbox};
use crate::controller::state::index::{Index, KnownMailbox, Rank};
use crate::controller::state::key::MailboxKey;
use crate::controller::state::read_mailbox::Claims;
use crate::mail::SmtpAddress;
use crate::rules::{AccessRules, Wish};

/// Another resource that already claims an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    address: SmtpAddress,
    /// None when it lives in another namespace, whose names are nobody else's business.
    name: Option<String>,
}

/// Claimants that are checked in one go, while everybody waits for the index.
const AT_A_TIME: usize = 64;

/// So many claimants of one address are judged. Whoever comes after so many that the rules don't admit has waited for them
/// in vain.
pub const JUDGED: usize = 4 * AT_A_TIME;

/// Resources that already claim an address.
pub struct Preferred {
    pub resources: Vec<Claimant>,
    /// After whom there may be more; None: these are all.
    pub after: Option<Rank>,
}

pub struct Claimant {
    pub object: Arc<SharedMailbox>,
    pub claims: Arc<Claims>,
    /// It has its mailbox.
    pub is_provisioned: bool,
}

/// Resources that already claim `address`, which `mailbox` claims too, and that are preferred to it if the rules admit
/// them: the owner of a mailbox keeps its addresses; among those without one the older that is not paused wins. With
/// `after`, those that come after that one.
pub fn preferred(
    index: &Index,
    mailbox: &SharedMailbox,
    key: &MailboxKey,
    address: &SmtpAddress,
    after: Option<Rank>,
) -> Preferred {
    let tenant = &mailbox.spec.tenant_ref.name;
    let created = mailbox.metadata.creation_timestamp.as_ref();
    let own: Rank = (created.map(|time| time.0), key.clone());
    let is_unpaused = |seen: &KnownMailbox| seen.object.spec.management != Management::Paused;
    let is_held = index.ledgers().holds(key, address);
    let mut resources = Vec::new();
    if after.is_none() {
        let holders = index.ledgers().holders(address).filter(|other| *other != key);
        let holders = holders.filter_map(|other| Some((other, index.seen(other)?)));
        // Whoever gave the address up asks for it no longer. Of one for which there is no room nobody knows.
        let asks = |seen: &KnownMailbox| {
            seen.object.spec.tenant_ref.name == *tenant && (seen.is_out || seen.claims.contains(address))
        };
        let holders = holders.filter(|(other, seen)| {
            asks(seen) && (!is_held || (is_unpaused(seen) && seen.rank(other) < own))
        });
        resources.extend(holders.map(|(other, seen)| Claimant::of(index, other, seen)));
    }
    if is_held {
        return Preferred {
            resources,
            after: None,
        };
    }
    let all = index.claimants(tenant, address);
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let older = all
        .into_iter()
        .flat_map(|all| all.range((from.clone(), Bound::Unbounded)));
    let older: Vec<&Rank> = older.take_while(|rank| **rank < own).take(AT_A_TIME).collect();
    let after = older.get(AT_A_TIME - 1).map(|last| (*last).clone());
    let unpaused = older
        .iter()
        .filter_map(|(_, other)| Some((other, index.seen(other)?)));
    let unpaused = unpaused.filter(|(_, seen)| is_unpaused(seen));
    resources.extend(unpaused.map(|(other, seen)| Claimant::of(index, other, seen)));
    Preferred { resources, after }
}

impl Claimant {
    fn of(index: &Index, key: &MailboxKey, seen: &KnownMailbox) -> Self {
        Self {
            object: Arc::clone(&seen.object),
            claims: Arc::clone(&seen.claims),
            is_provisioned: index.ledgers().has_mailbox(key),
        }
    }
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

    /// The first of those that are preferred to `mailbox` and that the rules admit. `earlier`: what counts for the namespace
    /// of a rival before it.
    pub fn first(
        &mut self,
        preferred: &[Claimant],
        mailbox: &SharedMailbox,
        address: &SmtpAddress,
        earlier: impl Fn(&SharedMailbox) -> Vec<Arc<Claims>>,
    ) -> Option<Rival> {
        let rival = preferred.iter().find(|other| self.is_admitted(other, &earlier))?;
        let rival = &rival.object;
        Some(Rival {
            address: address.clone(),
            name: (rival.namespace() == mailbox.namespace()).then(|| rival.name_any()),
        })
    }

    /// As a whole: whoever has no mailbox because their namespace may have no more of them holds up nobody.
    fn is_admitted(
        &mut self,
        claimant: &Claimant,
        earlier: impl Fn(&SharedMailbox) -> Vec<Arc<Claims>>,
    ) -> bool {
        let rules = self.rules;
        let Claimant {
            object,
            claims,
            is_provisioned,
        } = claimant;
        *self.judged.entry(object.uid()).or_insert_with(|| {
            let namespace = object.namespace().unwrap_or_default();
            let rules = rules.of(&namespace, claims);
            let earlier = if *is_provisioned || !rules.reach() {
                Vec::new()
            } else {
                earlier(object)
            };
            rules.admits(Wish::Mailbox { earlier: &earlier })
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
