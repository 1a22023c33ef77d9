//! What is kept of one ledger: enough to find it, and without its history.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use kube::Resource;
use kube::core::ObjectMeta;
use serde::Deserialize;

use super::key::MailboxKey;
use crate::api::{
    GrantState, LedgerEviction, LedgerHeld, LedgerMailbox, LedgerPerson, LedgerResource, LedgerShown,
    LedgerTenant, MailboxLedger, Seal,
};
use crate::ledger;
use crate::mail::{Holder, MailboxGuid, Right, SmtpAddress, TenantGuid};

/// A ledger as a watch decodes it: without history.
#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = MailboxLedger)]
pub struct LedgerGlance {
    pub metadata: ObjectMeta,
    pub spec: GlanceSpec,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GlanceSpec {
    pub(super) seal: Option<Seal>,
    tenant: LedgerTenant,
    resource_ref: LedgerResource,
    mailbox: Option<LedgerMailbox>,
    released_at: Option<Timestamp>,
    gone_at: Option<Timestamp>,
    #[serde(default)]
    shown: LedgerShown,
    #[serde(default)]
    addresses: Vec<SmtpAddress>,
    #[serde(default)]
    pub(super) people: Vec<LedgerPerson>,
    #[serde(default)]
    pub(super) evictions: Vec<LedgerEviction>,
    held: Option<LedgerHeld>,
}

impl From<&MailboxLedger> for LedgerGlance {
    fn from(object: &MailboxLedger) -> Self {
        let spec = &object.spec;
        Self {
            metadata: object.metadata.clone(),
            spec: GlanceSpec {
                seal: spec.seal.clone(),
                tenant: spec.tenant.clone(),
                resource_ref: spec.resource_ref.clone(),
                mailbox: spec.mailbox.clone(),
                released_at: spec.released_at,
                gone_at: spec.gone_at,
                shown: spec.shown.clone(),
                addresses: spec.addresses.clone(),
                people: spec.people.clone(),
                evictions: spec.evictions.clone(),
                held: spec.held.clone(),
            },
        }
    }
}

/// What is kept of one ledger: of thousands, so nothing has room to grow.
#[derive(Clone, Debug)]
pub struct KnownLedger {
    pub(super) name: Arc<str>,
    /// The resource that has the mailbox, or had it last.
    pub key: MailboxKey,
    /// The name of its ExchangeTenant, and the tenant itself, which may have got another name.
    pub tenant: String,
    pub tenant_guid: TenantGuid,
    pub mailbox: Option<MailboxGuid>,
    pub released_at: Option<Timestamp>,
    pub is_gone: bool,
    /// The mailbox carried somebody else's marker when it was read last.
    pub is_foreign: bool,
    /// Changes wait for approval.
    pub has_held: bool,
    /// The primary address and those that were added.
    pub(super) addresses: Box<[SmtpAddress]>,
    pub(super) granted: u32,
    pub(super) weighed: Box<[Timestamp]>,
    /// Of each right that is not gone: the names of its holder, each with the right. The first of each right is odd, the
    /// others are even.
    rights: Box<[u32]>,
    /// Who holds one, by id, SID and names.
    pub(super) people: Box<[u32]>,
}

/// People and rights are looked for by a number: they need no more memory than that, and two that have the same number
/// only cost a reconcile that finds nothing to do.
#[expect(clippy::cast_possible_truncation, reason = "half of a hash is one, too")]
pub(super) fn number(what: &impl Hash) -> u32 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish() as u32
}

impl KnownLedger {
    /// Whether one of the people with these numbers holds something.
    pub(super) fn is_held_by(&self, people: &HashSet<u32>) -> bool {
        self.people.iter().any(|person| people.contains(person))
    }

    pub(super) fn of(glance: LedgerGlance) -> Self {
        let LedgerGlance { metadata, spec } = glance;
        let GlanceSpec {
            seal: _,
            tenant,
            resource_ref,
            mailbox,
            released_at,
            gone_at,
            shown,
            mut addresses,
            people,
            evictions,
            held,
        } = spec;
        addresses.extend(mailbox.as_ref().and_then(|mailbox| mailbox.address.clone()));
        let entries = || people.iter().flat_map(|person| person.rights.values());
        let evictions = evictions.iter().map(|eviction| eviction.weighed_at);
        let rights: Vec<(&LedgerPerson, Right)> = people.iter().flat_map(held_by).collect();
        let holders: BTreeSet<u32> = rights.iter().flat_map(|(person, _)| numbers(person)).collect();
        Self {
            name: metadata.name.unwrap_or_default().into(),
            key: MailboxKey {
                namespace: resource_ref.namespace,
                name: resource_ref.name,
            },
            tenant: tenant.name,
            tenant_guid: tenant.guid,
            mailbox: mailbox.map(|mailbox| mailbox.guid),
            released_at,
            is_gone: gone_at.is_some(),
            is_foreign: shown.state == ledger::FOREIGN_MARKER,
            has_held: held.is_some(),
            addresses: addresses.into(),
            granted: entries()
                .map(|entry| u32::from(entry.state == GrantState::Granted))
                .sum(),
            weighed: evictions
                .chain(entries().filter_map(|entry| entry.weighed_at))
                .collect(),
            rights: rights.iter().flat_map(names_of_right).collect(),
            people: holders.into_iter().collect(),
        }
    }
}

/// The rights of a person that are not gone.
fn held_by(person: &LedgerPerson) -> impl Iterator<Item = (&LedgerPerson, Right)> {
    let held = person.rights.iter().filter(|(_, entry)| match entry.state {
        GrantState::Removed => false,
        GrantState::Pending | GrantState::Granted | GrantState::Held | GrantState::Removing => true,
    });
    held.map(move |(right, _)| (person, *right))
}

/// By which a person is looked for.
fn numbers(person: &LedgerPerson) -> impl Iterator<Item = u32> {
    let id = number(&Holder::ObjectId(person.id));
    let sid = person.sid.clone().map(|sid| number(&Holder::Sid(sid)));
    person.written_as.iter().map(number).chain([id]).chain(sid)
}

/// One whom no manifest names has their id in place of a name, with which nobody declares a right.
fn names_of_right((person, right): &(&LedgerPerson, Right)) -> Vec<u32> {
    let names = person.written_as.iter().map(|name| number(&(name, right)));
    let nameless = person.written_as.is_empty().then(|| number(&(person.id, right)));
    let names = names.chain(nameless).map(even);
    names
        .enumerate()
        .map(|(place, name)| name | u32::from(place == 0))
        .collect()
}

fn even(number: u32) -> u32 {
    number & !1
}

impl KnownLedger {
    /// Whether somebody holds a right that none of these declares.
    pub fn owes(&self, declared: &[(SmtpAddress, Right)]) -> bool {
        if self.rights.is_empty() {
            return false;
        }
        let declared: HashSet<u32> = declared
            .iter()
            .map(|(address, right)| even(number(&(address, right))))
            .collect();
        let is_declared = |names: &[u32]| names.iter().any(|name| declared.contains(&even(*name)));
        let is_of_same_right = |_: &u32, next: &u32| *next == even(*next);
        !self.rights.chunk_by(is_of_same_right).all(is_declared)
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
impl KnownLedger {
    /// What is kept of one ledger, in bytes, without what the allocator and the maps around it take.
    pub(super) fn bytes(&self) -> usize {
        let Self {
            name,
            key: MailboxKey {
                namespace,
                name: resource,
            },
            tenant,
            tenant_guid: _,
            mailbox: _,
            released_at: _,
            is_gone: _,
            is_foreign: _,
            has_held: _,
            addresses,
            granted: _,
            weighed,
            rights,
            people,
        } = self;
        let texts = [&**name, namespace, resource, tenant].map(str::len);
        let addresses = addresses
            .iter()
            .map(|address| size_of::<SmtpAddress>() + address.as_str().len());
        size_of::<Self>()
            + texts.iter().sum::<usize>()
            + addresses.sum::<usize>()
            + size_of_val(&**weighed)
            + size_of_val(&**rights)
            + size_of_val(&**people)
    }
}
