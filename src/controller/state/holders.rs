//! Who holds something on which mailboxes, as the records say: from people to mailboxes.

use std::collections::{BTreeSet, HashMap};

use super::key::{Changes, MailboxKey, Work};
use crate::api::SharedMailbox;
use crate::lane::Lane;
use crate::mail::{ObjectId, SmtpAddress};
use crate::plan::People;

/// Somebody as a record names them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Person {
    Id(ObjectId),
    Written(SmtpAddress),
}

/// What the record of one mailbox says about grants.
#[derive(Default)]
struct Recorded {
    grants: usize,
    people: BTreeSet<Person>,
}

#[derive(Default)]
pub struct Holders {
    by_mailbox: HashMap<MailboxKey, Recorded>,
    by_person: HashMap<Person, BTreeSet<MailboxKey>>,
}

impl Holders {
    /// Takes note of this version of a mailbox.
    pub fn set(&mut self, key: &MailboxKey, object: &SharedMailbox) {
        let recorded = recorded(object);
        let before = self.by_mailbox.remove(key).unwrap_or_default();
        for person in before.people.difference(&recorded.people) {
            self.take_out(person, key);
        }
        for person in recorded.people.difference(&before.people) {
            self.by_person
                .entry(person.clone())
                .or_default()
                .insert(key.clone());
        }
        self.by_mailbox.insert(key.clone(), recorded);
    }

    pub fn forget(&mut self, key: &MailboxKey) {
        for person in self.by_mailbox.remove(key).unwrap_or_default().people {
            self.take_out(&person, key);
        }
    }

    /// How many grants of ours there are on a mailbox.
    pub fn grants(&self, key: &MailboxKey) -> usize {
        self.by_mailbox.get(key).map_or(0, |recorded| recorded.grants)
    }

    /// The mailboxes on which these people hold something, for them to lose it at once.
    pub fn revocations_of(&self, people: &People) -> Changes {
        let ids = people.ids.iter().copied().map(Person::Id);
        let written = people.addresses.iter().cloned().map(Person::Written);
        let keys: BTreeSet<&MailboxKey> = ids
            .chain(written)
            .filter_map(|person| self.by_person.get(&person))
            .flatten()
            .collect();
        keys.into_iter()
            .map(|key| (Work::Mailbox(key.clone()), Lane::Revocation))
            .collect()
    }

    fn take_out(&mut self, person: &Person, key: &MailboxKey) {
        if let Some(keys) = self.by_person.get_mut(person) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_person.remove(person);
            }
        }
    }
}

fn recorded(object: &SharedMailbox) -> Recorded {
    let record = object
        .status
        .as_ref()
        .and_then(|status| status.record.as_ref()?.read().ok());
    let Some(record) = record else {
        return Recorded::default();
    };
    let people = record.grants.iter().flat_map(|grant| {
        let written = grant.written_as().cloned().map(Person::Written);
        written.chain([Person::Id(grant.object_id)])
    });
    Recorded {
        grants: record.grants.len(),
        people: people.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: &str = "00000000-0000-4000-8000-000000000001";

    fn mailbox(name: &str, members: &[&str]) -> (MailboxKey, SharedMailbox) {
        let grants: Vec<_> = members
            .iter()
            .map(|member| json!({ "objectId": ID, "right": "SendAs", "member": member }))
            .collect();
        let object: SharedMailbox = serde_json::from_value(json!({
            "metadata": { "namespace": "team", "name": name },
            "spec": { "displayName": name, "emailAddress": "x@contoso.com" },
            "status": { "record": { "format": 1, "grants": grants } }
        }))
        .unwrap();
        (MailboxKey::of(&object).unwrap(), object)
    }

    fn found(holders: &Holders, written: &str) -> usize {
        let people = People {
            addresses: BTreeSet::from([written.parse().unwrap()]),
            ..People::default()
        };
        holders.revocations_of(&people).len()
    }

    #[test]
    fn people_lead_to_the_mailboxes_on_which_they_hold_something_by_name_and_by_id() {
        let mut holders = Holders::default();
        let (sales, object) = mailbox("sales", &["anna@contoso.com"]);
        holders.set(&sales, &object);
        let (info, object) = mailbox("info", &["anna@contoso.com", "ben@contoso.com"]);
        holders.set(&info, &object);
        assert_eq!(
            (
                found(&holders, "anna@contoso.com"),
                found(&holders, "ben@contoso.com")
            ),
            (2, 1)
        );
        let by_id = People {
            ids: BTreeSet::from([ID.parse().unwrap()]),
            ..People::default()
        };
        assert_eq!(holders.revocations_of(&by_id).len(), 2);
        assert_eq!(holders.grants(&info), 2);

        let (_, object) = mailbox("info", &["ben@contoso.com"]);
        holders.set(&info, &object);
        assert_eq!(found(&holders, "anna@contoso.com"), 1, "taken out of one");
        holders.forget(&sales);
        assert_eq!(found(&holders, "anna@contoso.com"), 0);
    }
}
