//! What the ledgers say, as far as it must be found without reading one: small, and without their history.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::key::{Changes, MailboxKey, Work};
use super::known_ledger::{KnownLedger, LedgerGlance, number};
use crate::api::DISOWN;
use crate::lane::Lane;
use crate::ledger;
use crate::mail::{Holder, SmtpAddress, TenantGuid};
use crate::plan::People;

#[derive(Default)]
pub struct Ledgers {
    seen: BTreeMap<Arc<str>, Box<KnownLedger>>,
    /// By the number of the resource's key; mostly one, and sorted.
    by_key: HashMap<u32, Vec<Arc<str>>>,
    /// Of mailboxes that are not gone: each resource asks whether somebody has one of its addresses.
    by_address: HashMap<u32, Vec<Arc<str>>>,
}

impl Ledgers {
    /// Takes note of a version of a ledger. Whoever wrote it but us has a reconcile follow; so has who hands its mailbox back,
    /// and a clock that was wrong.
    pub fn apply(&mut self, mut glance: LedgerGlance, now: Timestamp) -> Changes {
        let spec = &mut glance.spec;
        let is_ahead = ledger::heal_rights(&mut spec.people, &mut spec.evictions, now);
        let is_ours = ledger::is_sealed(
            glance.spec.seal.as_ref(),
            &glance.metadata,
            glance.spec.people.is_empty(),
        );
        let is_disowned = glance.metadata.annotations.as_ref();
        let is_disowned = is_disowned.is_some_and(|all| all.contains_key(DISOWN));
        let seen = KnownLedger::of(glance);
        let key = seen.key.clone();
        self.remove(&seen.name);
        put_in(&mut self.by_key, number(&key), &seen.name);
        if !seen.is_gone {
            for address in &seen.addresses {
                put_in(&mut self.by_address, number(address), &seen.name);
            }
        }
        self.seen.insert(Arc::clone(&seen.name), Box::new(seen));
        if is_ours && !is_disowned && !is_ahead {
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

    fn remove(&mut self, name: &str) -> Option<Box<KnownLedger>> {
        let gone = self.seen.remove(name)?;
        take_out(&mut self.by_key, number(&gone.key), name);
        for address in &gone.addresses {
            take_out(&mut self.by_address, number(address), name);
        }
        Some(gone)
    }

    pub fn names(&self) -> Vec<String> {
        self.seen.keys().map(ToString::to_string).collect()
    }

    pub fn all(&self) -> impl Iterator<Item = &KnownLedger> {
        self.seen.values().map(AsRef::as_ref)
    }

    /// The ledgers of a resource of this name, whatever its uid.
    pub fn of(&self, key: &MailboxKey) -> Vec<&KnownLedger> {
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
        is_of: impl Fn(&str) -> bool,
        address: &SmtpAddress,
        but: &MailboxKey,
    ) -> Option<&KnownLedger> {
        let mut ledgers = self.with_address(address);
        ledgers.find(|ledger| {
            ledger.released_at.is_some() && !ledger.is_foreign && is_of(&ledger.tenant) && ledger.key != *but
        })
    }

    /// The resources whose mailboxes had the address when they were read last, be they gone.
    pub fn holders(&self, address: &SmtpAddress) -> impl Iterator<Item = &MailboxKey> {
        let ledgers = self.with_address(address);
        ledgers
            .filter(|ledger| ledger.mailbox.is_some())
            .map(|ledger| &ledger.key)
    }

    fn with_address(&self, address: &SmtpAddress) -> impl Iterator<Item = &KnownLedger> {
        let names = self.by_address.get(&number(address)).into_iter().flatten();
        let ledgers = names.filter_map(|name| self.seen.get(name));
        ledgers
            .map(AsRef::as_ref)
            .filter(move |ledger| !ledger.is_gone && ledger.addresses.contains(address))
    }

    /// Rights that a read has shown on the mailboxes of a tenant that have a resource.
    pub fn granted(&self, tenant: &str) -> usize {
        let granted = |ledger: &KnownLedger| usize::try_from(ledger.granted).unwrap_or(usize::MAX);
        let serving = self
            .seen
            .values()
            .filter(|ledger| ledger.released_at.is_none() && !ledger.is_gone);
        let of_tenant = serving.filter(|ledger| ledger.tenant == tenant);
        of_tenant.map(|ledger| granted(ledger)).sum()
    }

    /// How many removals were weighed in the tenant after `since`, or in one namespace of it. What a clock wrote that was
    /// ahead and was set back since counts once it is put right.
    pub fn weighed(&self, tenant: &str, namespace: Option<&str>, since: Timestamp, now: Timestamp) -> usize {
        let is_there = |ledger: &KnownLedger| {
            ledger.tenant == tenant && namespace.is_none_or(|namespace| ledger.key.namespace == namespace)
        };
        let there = self.seen.values().filter(|ledger| is_there(ledger));
        there
            .flat_map(|ledger| &ledger.weighed)
            .filter(|at| **at > since && !ledger::is_ahead(**at, now))
            .count()
    }

    /// Addresses of mailboxes in a namespace whose resource was deleted after `since`, for the limit of a rule. The
    /// ExchangeTenant may have had another name then.
    pub fn released_in(
        &self,
        (name, guid): (&str, Option<TenantGuid>),
        namespace: &str,
        since: Timestamp,
    ) -> Vec<BTreeSet<SmtpAddress>> {
        let is_there = |ledger: &KnownLedger| match guid {
            Some(guid) => ledger.tenant_guid == guid,
            None => ledger.tenant == name,
        };
        let counts = |ledger: &&KnownLedger| {
            ledger.released_at.is_some_and(|at| at > since)
                && ledger.mailbox.is_some()
                && !ledger.is_gone
                && is_there(ledger)
                && ledger.key.namespace == namespace
        };
        let released = self.all().filter(counts);
        released
            .map(|ledger| ledger.addresses.iter().cloned().collect())
            .collect()
    }

    /// The mailboxes on which these people hold something, for them to lose it at once.
    pub fn revocations_of(&self, people: &People) -> Changes {
        let wanted = numbers(people);
        // Asked when somebody has left: an index by person would be most of the memory, all the time.
        self.seen
            .values()
            .filter(|ledger| ledger.is_held_by(&wanted))
            .map(|ledger| (Work::Mailbox(ledger.key.clone()), Lane::Revocation))
            .collect()
    }

    /// How many mailboxes the ExchangeTenant with this name has, and on how many of them these people hold something.
    pub fn counted(&self, tenant: &str, people: &People) -> (usize, usize) {
        let holders = numbers(people);
        let of_tenant = self
            .seen
            .values()
            .filter(|ledger| ledger.tenant == tenant && ledger.mailbox.is_some() && !ledger.is_gone);
        let held = of_tenant.clone().filter(|ledger| ledger.is_held_by(&holders));
        (of_tenant.clone().count(), held.count())
    }

    /// Mailboxes whose resource is gone, of the ExchangeTenants with these names.
    pub fn released(&self, is_of: impl Fn(&str) -> bool) -> Vec<MailboxKey> {
        let released = self
            .seen
            .values()
            .filter(|ledger| ledger.released_at.is_some() && !ledger.is_gone);
        let of_tenant = released.filter(|ledger| is_of(&ledger.tenant));
        of_tenant.map(|ledger| ledger.key.clone()).collect()
    }
}

/// What stands in ledgers for these people.
fn numbers(people: &People) -> HashSet<u32> {
    let ids = people.ids.iter().map(|id| number(&Holder::ObjectId(*id)));
    let sids = people.sids.iter().map(|sid| number(&Holder::Sid(sid.clone())));
    let written = people.addresses.iter().map(number);
    ids.chain(sids).chain(written).collect()
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
    use crate::mail::Right;
    use serde_json::json;

    const ID: &str = "00000000-0000-4000-8000-000000000001";

    fn now() -> Timestamp {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

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
        ledgers.apply(ledger("sales", &["anna@contoso.com"]), now());
        ledgers.apply(ledger("info", &["anna@contoso.com", "ben@contoso.com"]), now());
        assert_eq!(found(&ledgers, "anna@contoso.com"), 2);
        assert_eq!(found(&ledgers, "ben@contoso.com"), 1);
        let by_id = People {
            ids: BTreeSet::from([ID.parse().unwrap()]),
            ..People::default()
        };
        assert_eq!(ledgers.revocations_of(&by_id).len(), 2);
        assert_eq!(ledgers.granted("default"), 3);
        ledgers.apply(ledger("info", &["ben@contoso.com"]), now());
        assert_eq!(found(&ledgers, "anna@contoso.com"), 1, "taken out of one");
        ledgers.delete("ledger-sales");
        assert_eq!(found(&ledgers, "anna@contoso.com"), 0);
    }

    #[test]
    fn a_version_that_somebody_else_wrote_has_a_reconcile_follow() {
        let mut ledgers = Ledgers::default();
        assert!(
            ledgers.apply(ledger("sales", &[]), now()).is_empty(),
            "as we wrote it"
        );
        let mut edited = ledger("sales", &[]);
        edited.metadata.generation = Some(2);
        assert_eq!(ledgers.apply(edited, now()).len(), 1);
        let mut restored = ledger("sales", &[]);
        restored.metadata.uid = Some("another".to_owned());
        assert_eq!(ledgers.apply(restored, now()).len(), 1);
        assert_eq!(ledgers.delete("ledger-sales").len(), 1);
    }

    #[test]
    fn what_was_weighed_by_a_clock_that_was_ahead_counts_no_longer_than_what_is_weighed_now() {
        let weighed = |at: &str| {
            let mut glance = ledger("sales", &["anna@contoso.com"]);
            let mut rights = glance.spec.people[0].rights.values_mut();
            rights.next().unwrap().weighed_at = Some(at.parse().unwrap());
            glance
        };
        let hour = jiff::SignedDuration::from_hours(1);
        let counted = |ledgers: &Ledgers, now| ledgers.weighed("default", None, now - hour, now);
        let mut ledgers = Ledgers::default();
        let changes = ledgers.apply(weighed("2026-12-22T12:00:00Z"), now());
        assert_eq!(changes.len(), 1, "it is put right in the object");
        assert_eq!(
            (counted(&ledgers, now()), counted(&ledgers, now() + hour)),
            (1, 0)
        );

        assert!(ledgers.apply(weighed("2026-11-22T12:00:30Z"), now()).is_empty());
        assert_eq!(counted(&ledgers, now()), 1, "clocks differ a little");
        let set_back = now() - hour;
        assert_eq!(counted(&ledgers, set_back), 0, "the clock was set back since");
    }

    #[test]
    fn a_right_is_owed_when_none_of_its_names_is_declared_with_it() {
        let mut ledgers = Ledgers::default();
        ledgers.apply(ledger("sales", &["anna@contoso.com"]), now());
        let seen = ledgers.seen.get("ledger-sales").unwrap();
        let anna: SmtpAddress = "anna@contoso.com".parse().unwrap();
        assert!(!seen.owes(&[(anna.clone(), Right::SendAs)]));
        assert!(seen.owes(&[(anna.clone(), Right::FullAccess)]));
        assert!(seen.owes(&[]));

        let mut nameless = ledger("info", &["anna@contoso.com"]);
        nameless.spec.people[0].written_as.clear();
        assert!(
            KnownLedger::of(nameless).owes(&[(anna, Right::SendAs)]),
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
        let kept = |history| format!("{:?}", KnownLedger::of(usual(1, history)));
        assert_eq!(kept(400), kept(0));
    }

    #[test]
    fn ten_thousand_ledgers_are_a_few_mebibytes() {
        let mut ledgers = Ledgers::default();
        for number in 0..100 {
            ledgers.apply(usual(number, 15), now());
        }
        let bytes = ledgers.all().map(KnownLedger::bytes).sum::<usize>() / 100;
        println!("{bytes} bytes a ledger");
        assert!(bytes <= 700, "{bytes}: that is {} MB of 10,000", bytes / 100);
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
            ledgers.apply(usual(number, 15), now());
        }
        let bytes = resident() - before;
        println!("{COUNT} ledgers: {bytes} bytes, {} each", bytes / COUNT);
        assert_eq!(ledgers.all().count(), COUNT);
    }
}
