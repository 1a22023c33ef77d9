//! What the ledgers say, as far as it must be found without reading one: small, and without their history.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use kube::Resource;
use kube::core::ObjectMeta;
use serde::Deserialize;

use super::key::{Changes, MailboxKey, Work};
use crate::api::{
    GrantState, LedgerEviction, LedgerMailbox, LedgerPerson, LedgerResource, LedgerTenant, MailboxLedger,
    Seal,
};
use crate::lane::Lane;
use crate::ledger;
use crate::mail::{Holder, MailboxGuid, Right, SmtpAddress};
use crate::plan::People;

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
    seal: Option<Seal>,
    tenant: LedgerTenant,
    resource_ref: LedgerResource,
    mailbox: Option<LedgerMailbox>,
    released_at: Option<Timestamp>,
    gone_at: Option<Timestamp>,
    #[serde(default)]
    addresses: Vec<SmtpAddress>,
    #[serde(default)]
    people: Vec<LedgerPerson>,
    #[serde(default)]
    evictions: Vec<LedgerEviction>,
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
                addresses: spec.addresses.clone(),
                people: spec.people.clone(),
                evictions: spec.evictions.clone(),
            },
        }
    }
}

/// What is kept of one ledger: of thousands, so nothing has room to grow.
#[derive(Clone, Debug)]
pub struct SeenLedger {
    name: Arc<str>,
    /// The resource that has the mailbox, or had it last.
    pub key: MailboxKey,
    pub tenant: String,
    pub mailbox: Option<MailboxGuid>,
    pub released_at: Option<Timestamp>,
    pub is_gone: bool,
    /// The primary address and those that were added.
    addresses: Box<[SmtpAddress]>,
    granted: u32,
    weighed: Box<[Timestamp]>,
    /// Of each right that is not gone: the names of its holder, each with the right. The first of each right is odd, the
    /// others are even.
    rights: Box<[u32]>,
    /// Who holds one, by id, SID and names.
    people: Box<[u32]>,
}

/// People and rights are looked for by a number: they need no more memory than that, and two that have the same number
/// only cost a reconcile that finds nothing to do.
#[expect(clippy::cast_possible_truncation, reason = "half of a hash is one, too")]
fn number(what: &impl Hash) -> u32 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish() as u32
}

impl SeenLedger {
    fn of(glance: LedgerGlance) -> Self {
        let LedgerGlance { metadata, spec } = glance;
        let GlanceSpec {
            seal: _,
            tenant,
            resource_ref,
            mailbox,
            released_at,
            gone_at,
            mut addresses,
            people,
            evictions,
        } = spec;
        addresses.extend(mailbox.as_ref().and_then(|mailbox| mailbox.address.clone()));
        let entries = || people.iter().flat_map(|person| person.rights.values());
        let evictions = evictions.iter().map(|eviction| eviction.weighed_at);
        let held: Vec<(&LedgerPerson, Right)> = people.iter().flat_map(held_by).collect();
        let holders: BTreeSet<u32> = held.iter().flat_map(|(person, _)| numbers(person)).collect();
        Self {
            name: metadata.name.unwrap_or_default().into(),
            key: MailboxKey {
                namespace: resource_ref.namespace,
                name: resource_ref.name,
            },
            tenant: tenant.name,
            mailbox: mailbox.map(|mailbox| mailbox.guid),
            released_at,
            is_gone: gone_at.is_some(),
            addresses: addresses.into(),
            granted: entries()
                .map(|entry| u32::from(entry.state == GrantState::Granted))
                .sum(),
            weighed: evictions
                .chain(entries().filter_map(|entry| entry.weighed_at))
                .collect(),
            rights: held.iter().flat_map(names_of_right).collect(),
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

#[derive(Default)]
pub struct Ledgers {
    seen: BTreeMap<Arc<str>, Box<SeenLedger>>,
    /// By the number of the resource's key; mostly one, and sorted.
    by_key: HashMap<u32, Vec<Arc<str>>>,
    /// Of mailboxes whose resource is gone: each resource asks whether one of its addresses is theirs.
    by_released_address: HashMap<u32, Vec<Arc<str>>>,
}

impl Ledgers {
    /// Takes note of a version of a ledger. Whoever wrote it but us has a reconcile follow.
    pub fn apply(&mut self, glance: LedgerGlance) -> Changes {
        let is_ours = ledger::is_sealed(
            glance.spec.seal.as_ref(),
            &glance.metadata,
            glance.spec.people.is_empty(),
        );
        let seen = SeenLedger::of(glance);
        let key = seen.key.clone();
        self.remove(&seen.name);
        put_in(&mut self.by_key, number(&key), &seen.name);
        if seen.released_at.is_some() && !seen.is_gone {
            for address in &seen.addresses {
                put_in(&mut self.by_released_address, number(address), &seen.name);
            }
        }
        self.seen.insert(Arc::clone(&seen.name), Box::new(seen));
        if is_ours {
            Changes::new()
        } else {
            vec![(Work::Mailbox(key), Lane::Edit)]
        }
    }

    pub fn delete(&mut self, name: &str) -> Changes {
        let gone = self.remove(name);
        gone.map(|gone| (Work::Mailbox(gone.key), Lane::Edit))
            .into_iter()
            .collect()
    }

    fn remove(&mut self, name: &str) -> Option<Box<SeenLedger>> {
        let gone = self.seen.remove(name)?;
        take_out(&mut self.by_key, number(&gone.key), name);
        for address in &gone.addresses {
            take_out(&mut self.by_released_address, number(address), name);
        }
        Some(gone)
    }

    pub fn names(&self) -> Vec<String> {
        self.seen.keys().map(ToString::to_string).collect()
    }

    pub fn all(&self) -> impl Iterator<Item = &SeenLedger> {
        self.seen.values().map(AsRef::as_ref)
    }

    /// The ledgers of a resource of this name, whatever its uid.
    pub fn of(&self, key: &MailboxKey) -> Vec<&SeenLedger> {
        let names = self.by_key.get(&number(key)).into_iter().flatten();
        let ledgers = names.filter_map(|name| self.seen.get(name));
        ledgers
            .filter(|ledger| ledger.key == *key)
            .map(AsRef::as_ref)
            .collect()
    }

    /// Whether a ledger shows a mailbox for the resource with this name, and that it is not gone.
    pub fn has_mailbox(&self, key: &MailboxKey) -> bool {
        let mut ledgers = self.of(key).into_iter();
        ledgers.any(|ledger| ledger.mailbox.is_some() && !ledger.is_gone)
    }

    /// The addresses that the mailbox of this resource had when it was read last, of those that count.
    pub fn addresses_of(&self, key: &MailboxKey) -> BTreeSet<SmtpAddress> {
        let present = self.of(key).into_iter().filter(|ledger| !ledger.is_gone);
        present
            .flat_map(|ledger| ledger.addresses.iter().cloned())
            .collect()
    }

    /// Whether the mailbox of this resource had the address when it was read last.
    pub fn holds(&self, key: &MailboxKey, address: &SmtpAddress) -> bool {
        let mut ledgers = self.of(key).into_iter();
        ledgers
            .any(|ledger| ledger.mailbox.is_some() && !ledger.is_gone && ledger.addresses.contains(address))
    }

    /// The resource whose mailbox outlived it and has the address, unless that is `but`.
    pub fn released_holder(
        &self,
        tenant: &str,
        address: &SmtpAddress,
        but: &MailboxKey,
    ) -> Option<&SeenLedger> {
        let names = self.by_released_address.get(&number(address))?;
        let mut ledgers = names
            .iter()
            .filter_map(|name| self.seen.get(name))
            .map(AsRef::as_ref);
        ledgers.find(|ledger| {
            ledger.tenant == tenant && ledger.key != *but && ledger.addresses.contains(address)
        })
    }

    /// Rights that a read has shown on the mailboxes of a tenant that have a resource.
    pub fn granted(&self, tenant: &str) -> usize {
        let granted = |ledger: &SeenLedger| usize::try_from(ledger.granted).unwrap_or(usize::MAX);
        let serving = self
            .seen
            .values()
            .filter(|ledger| ledger.released_at.is_none() && !ledger.is_gone);
        let of_tenant = serving.filter(|ledger| ledger.tenant == tenant);
        of_tenant.map(|ledger| granted(ledger)).sum()
    }

    /// How many removals were weighed in the tenant after `since`, or in one namespace of it.
    pub fn weighed(&self, tenant: &str, namespace: Option<&str>, since: Timestamp) -> usize {
        let is_there = |ledger: &SeenLedger| {
            ledger.tenant == tenant && namespace.is_none_or(|namespace| ledger.key.namespace == namespace)
        };
        let there = self.seen.values().filter(|ledger| is_there(ledger));
        there
            .flat_map(|ledger| &ledger.weighed)
            .filter(|at| **at > since)
            .count()
    }

    /// Addresses of mailboxes in a namespace whose resource went after `since`, for the limit of a rule.
    pub fn released_in(&self, tenant: &str, namespace: &str, since: Timestamp) -> Vec<BTreeSet<SmtpAddress>> {
        let counts = |ledger: &&SeenLedger| {
            ledger.released_at.is_some_and(|at| at > since)
                && ledger.mailbox.is_some()
                && !ledger.is_gone
                && ledger.tenant == tenant
                && ledger.key.namespace == namespace
        };
        let released = self.all().filter(counts);
        released
            .map(|ledger| ledger.addresses.iter().cloned().collect())
            .collect()
    }

    /// The mailboxes on which these people hold something, for them to lose it at once.
    pub fn revocations_of(&self, people: &People) -> Changes {
        let ids = people.ids.iter().map(|id| number(&Holder::ObjectId(*id)));
        let sids = people.sids.iter().map(|sid| number(&Holder::Sid(sid.clone())));
        let written = people.addresses.iter().map(number);
        let wanted: HashSet<u32> = ids.chain(sids).chain(written).collect();
        // Asked when somebody has left: an index by person would be most of the memory, all the time.
        self.seen
            .values()
            .filter(|ledger| ledger.people.iter().any(|person| wanted.contains(person)))
            .map(|ledger| (Work::Mailbox(ledger.key.clone()), Lane::Revocation))
            .collect()
    }

    /// Mailboxes of a tenant whose resource is gone.
    pub fn released(&self, tenant: &str) -> Vec<MailboxKey> {
        let released = self
            .seen
            .values()
            .filter(|ledger| ledger.released_at.is_some() && !ledger.is_gone);
        let of_tenant = released.filter(|ledger| ledger.tenant == tenant);
        of_tenant.map(|ledger| ledger.key.clone()).collect()
    }
}

impl SeenLedger {
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

fn put_in(index: &mut HashMap<u32, Vec<Arc<str>>>, key: u32, name: &Arc<str>) {
    let names = index.entry(key).or_insert_with(|| Vec::with_capacity(1));
    if let Err(place) = names.binary_search(name) {
        names.insert(place, Arc::clone(name));
    }
}

fn take_out(index: &mut HashMap<u32, Vec<Arc<str>>>, key: u32, name: &str) {
    if let Some(names) = index.get_mut(&key) {
        names.retain(|other| **other != *name);
        if names.is_empty() {
            index.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: &str = "00000000-0000-4000-8000-000000000001";

    fn ledger(name: &str, members: &[&str]) -> LedgerGlance {
        let people: Vec<_> = members
            .iter()
            .map(|member| {
                json!({ "id": ID, "writtenAs": [member], "rights": {
                    "SendAs": { "state": "Granted", "as": [0] } } })
            })
            .collect();
        serde_json::from_value(json!({
            "metadata": { "name": format!("ledger-{name}"), "uid": "u", "generation": 1 },
            "spec": { "format": 1, "cluster": "c/1", "seal": { "uid": "u", "generation": 1 },
                "tenant": { "name": "default", "guid": "11111111-2222-3333-4444-555555555555" },
                "resourceRef": { "namespace": "team", "name": name, "uid": name },
                "people": people, "history": [{ "not": "read" }] }
        }))
        .unwrap()
    }

    fn found(ledgers: &Ledgers, written: &str) -> usize {
        let people = People {
            addresses: BTreeSet::from([written.parse().unwrap()]),
            ..People::default()
        };
        ledgers.revocations_of(&people).len()
    }

    #[test]
    fn people_lead_to_the_mailboxes_on_which_they_hold_something_by_name_and_by_id() {
        let mut ledgers = Ledgers::default();
        ledgers.apply(ledger("sales", &["anna@contoso.com"]));
        ledgers.apply(ledger("info", &["anna@contoso.com", "ben@contoso.com"]));
        assert_eq!(found(&ledgers, "anna@contoso.com"), 2);
        assert_eq!(found(&ledgers, "ben@contoso.com"), 1);
        let by_id = People {
            ids: BTreeSet::from([ID.parse().unwrap()]),
            ..People::default()
        };
        assert_eq!(ledgers.revocations_of(&by_id).len(), 2);
        assert_eq!(ledgers.granted("default"), 3);
        ledgers.apply(ledger("info", &["ben@contoso.com"]));
        assert_eq!(found(&ledgers, "anna@contoso.com"), 1, "taken out of one");
        ledgers.delete("ledger-sales");
        assert_eq!(found(&ledgers, "anna@contoso.com"), 0);
    }

    #[test]
    fn a_version_that_somebody_else_wrote_has_a_reconcile_follow() {
        let mut ledgers = Ledgers::default();
        assert!(ledgers.apply(ledger("sales", &[])).is_empty(), "as we wrote it");
        let mut edited = ledger("sales", &[]);
        edited.metadata.generation = Some(2);
        assert_eq!(ledgers.apply(edited).len(), 1);
        let mut restored = ledger("sales", &[]);
        restored.metadata.uid = Some("another".to_owned());
        assert_eq!(ledgers.apply(restored).len(), 1);
        assert_eq!(ledgers.delete("ledger-sales").len(), 1);
    }

    #[test]
    fn a_right_is_owed_when_none_of_its_names_is_declared_with_it() {
        let mut ledgers = Ledgers::default();
        ledgers.apply(ledger("sales", &["anna@contoso.com"]));
        let seen = ledgers.seen.get("ledger-sales").unwrap();
        let anna: SmtpAddress = "anna@contoso.com".parse().unwrap();
        assert!(!seen.owes(&[(anna.clone(), Right::SendAs)]));
        assert!(seen.owes(&[(anna.clone(), Right::FullAccess)]));
        assert!(seen.owes(&[]));

        let mut nameless = ledger("info", &["anna@contoso.com"]);
        nameless.spec.people[0].written_as.clear();
        assert!(
            SeenLedger::of(nameless).owes(&[(anna, Right::SendAs)]),
            "nobody declares it"
        );
    }

    /// A ledger of ten people with two rights each and a history, of the usual lengths.
    fn usual(number: usize, history: usize) -> LedgerGlance {
        let uid = format!("6f2c1a52-0c0e-4f0e-9a43-{number:0>12}");
        let right = json!({ "state": "Granted", "at": "2026-11-22T09:00:00Z", "by": [0], "as": [0] });
        let people = (number * 10..number * 10 + 10).map(|who| {
            json!({
                "id": format!("00000005-0000-4000-8000-{who:0>12}"),
                "sid": format!("S-1-5-21-1111111111-2222222222-3333333333-{who}"),
                "writtenAs": [format!("firstname.lastname{who}@contoso.com")],
                "rights": { "FullAccess": right, "SendAs": right },
            })
        });
        let line = json!({
            "at": "2026-11-22T09:00:00Z", "ids": [format!("00000005-0000-4000-8000-{number:0>12}")],
            "right": "SendAs", "after": "Granted", "cause": "Declared", "by": ["sales-team"],
        });
        serde_json::from_value(json!({
            "metadata": { "name": uid, "uid": uid, "generation": 2, "resourceVersion": "4711" },
            "spec": {
                "format": 1, "cluster": "production-1/0f7a", "seal": { "uid": uid, "generation": 2 },
                "tenant": { "name": "default", "guid": "11111111-2222-3333-4444-555555555555" },
                "resourceRef": { "namespace": "team-sales", "name": format!("department-{number}"), "uid": uid },
                "mailbox": { "guid": uid, "objectId": uid, "address": format!("department-{number}@contoso.com") },
                "permissions": ["sales-team"], "people": people.collect::<Vec<_>>(),
                "history": vec![line; history],
            }
        }))
        .unwrap()
    }

    #[test]
    fn a_long_history_takes_no_memory() {
        let kept = |history| format!("{:?}", SeenLedger::of(usual(1, history)));
        assert_eq!(kept(400), kept(0));
    }

    /// What the process takes more.
    #[test]
    #[ignore = "a measurement"]
    fn memory_of_ten_thousand_ledgers() {
        const COUNT: usize = 10_000;
        let resident = || {
            let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
            pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
        };
        let before = resident();
        let mut ledgers = Ledgers::default();
        for number in 0..COUNT {
            ledgers.apply(usual(number, 15));
        }
        let bytes = resident() - before;
        println!("{COUNT} ledgers: {bytes} bytes, {} each", bytes / COUNT);
        assert_eq!(ledgers.all().count(), COUNT);
    }
}
