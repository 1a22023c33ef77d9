//! The object and the values say the same.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    HeldRemovals, Ledger, RecordedGrant, Removed, RightOf, WeighedRemoval, Withdrawn, heal, is_intact,
    is_same_but_for_time, read, seal, wins, write,
};
use crate::api::{MailboxLedger, MailboxLedgerSpec};
use crate::mail::{Holder, ObjectId, Right, Sid, SmtpAddress};

pub(super) const RIGHTS: [Right; 3] = [Right::FullAccess, Right::SendAs, Right::SendOnBehalf];

pub(super) fn empty() -> MailboxLedgerSpec {
    serde_json::from_value(json!({
        "format": 1, "cluster": "production-1/0a1b2c3d",
        "tenant": { "name": "default", "guid": "11111111-2222-3333-4444-555555555555" },
        "resourceRef": { "namespace": "team-sales", "name": "sales", "uid": "uid-1" },
    }))
    .unwrap()
}

pub(super) fn person(number: u8) -> ObjectId {
    format!("00000000-0000-4000-8000-0000000000{number:02}")
        .parse()
        .unwrap()
}

pub(super) fn sid(number: u8) -> Sid {
    format!("S-1-5-21-1-2-3-{number}").parse().unwrap()
}

pub(super) fn address(local: &str) -> SmtpAddress {
    format!("{local}@contoso.com").parse().unwrap()
}

pub(super) fn at(minute: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
}

fn any_grant(number: u8, right: Right) -> impl Strategy<Value = RecordedGrant> {
    let names = proptest::collection::vec(0_u8..4, 0..3);
    let by = proptest::collection::btree_set("[a-c]", 0..3);
    (
        any::<bool>(),
        any::<bool>(),
        names,
        by,
        proptest::option::of(0_i64..99),
    )
        .prop_map(move |(pending, remapping, names, by, minute)| RecordedGrant {
            object_id: person(number),
            right,
            pending,
            // Some have got another SID between two grants.
            sid: (right != Right::SendOnBehalf).then(|| sid(if pending { number } else { number + 100 })),
            auto_mapping: minute.map(|minute| minute % 2 == 0),
            remapping,
            member: address(&format!("person{number}")),
            also: names
                .into_iter()
                .map(|name| address(&format!("also{name}")))
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            by: by.into_iter().collect(),
            at: minute.map(at),
            until: minute.map(|minute| at(minute + 100)),
        })
}

/// What became of a right.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Stays,
    Held,
    Weighed,
    Removed,
}

pub(super) fn any_ledger() -> impl Strategy<Value = Ledger> {
    let fate = prop_oneof![
        3 => Just(Fate::Stays),
        1 => Just(Fate::Held),
        1 => Just(Fate::Weighed),
        1 => Just(Fate::Removed)
    ];
    let entries = proptest::collection::btree_map((0_u8..9, 0_usize..3), fate, 0..12);
    entries
        .prop_flat_map(|fates| {
            let grants: Vec<_> = fates
                .keys()
                .map(|(number, right)| any_grant(*number, RIGHTS[*right]))
                .collect();
            (Just(fates), grants, any::<bool>())
        })
        .prop_map(|(fates, grants, strangers)| ledger_of(fates, grants, strangers))
}

fn ledger_of(fates: BTreeMap<(u8, usize), Fate>, grants: Vec<RecordedGrant>, strangers: bool) -> Ledger {
    let stranger = RightOf {
        holder: Holder::Sid(sid(77)),
        right: Right::SendAs,
    };
    let mut ledger = Ledger::default();
    let mut held = BTreeSet::new();
    for (fate, mut grant) in fates.into_values().zip(grants) {
        let what = grant.right_of();
        match fate {
            Fate::Stays => {}
            Fate::Held => {
                grant.pending = false;
                held.insert(what);
            }
            Fate::Weighed => {
                grant.pending = false;
                ledger.weighed.push(WeighedRemoval {
                    what,
                    at: at(1),
                    with_resource: false,
                });
            }
            Fate::Removed => {
                grant.pending = false;
                ledger.removed.push(Removed {
                    until: at(500),
                    weighed_at: grant.at,
                    what: Withdrawn::Grant(grant),
                });
                continue;
            }
        }
        ledger.grants.push(grant);
    }
    if strangers {
        held.insert(stranger.clone());
        ledger.weighed.push(WeighedRemoval {
            what: RightOf {
                right: Right::FullAccess,
                ..stranger
            },
            at: at(3),
            with_resource: false,
        });
        ledger.removed.push(Removed {
            until: at(500),
            what: Withdrawn::Address(address("info")),
            weighed_at: None,
        });
    }
    ledger.held = (!held.is_empty()).then(|| HeldRemovals {
        since: at(2),
        removals: held,
        grants: BTreeSet::new(),
    });
    ledger
}

proptest! {
    #[test]
    fn what_is_written_is_what_is_read(ledger in any_ledger()) {
        let mut spec = empty();
        write(&mut spec, &ledger);
        let text = serde_json::to_string(&spec).unwrap();
        let again: MailboxLedgerSpec = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&again, &spec);
        let back = read(&again).unwrap();
        prop_assert_eq!(&back, &ledger);
        let mut twice = empty();
        write(&mut twice, &back);
        prop_assert_eq!(twice, spec);
    }
}

#[test]
fn a_removal_that_has_passed_is_worth_no_write_and_one_that_counts_is() {
    let grant = |number| RecordedGrant {
        object_id: person(number),
        right: Right::SendAs,
        pending: false,
        sid: None,
        auto_mapping: None,
        remapping: false,
        member: address("anna"),
        also: Vec::new(),
        by: vec![format!("team{number}")],
        at: None,
        until: None,
    };
    let ledger = |grants: Vec<RecordedGrant>, removed: Vec<RecordedGrant>| {
        let mut spec = empty();
        let removed = removed.into_iter().map(|grant| Removed {
            until: at(30),
            what: Withdrawn::Grant(grant),
            weighed_at: Some(at(0)),
        });
        let removed = removed.collect();
        write(
            &mut spec,
            &Ledger {
                grants,
                removed,
                ..Ledger::default()
            },
        );
        spec
    };
    let with = ledger(vec![grant(2)], vec![grant(1)]);
    let without = ledger(vec![grant(2)], vec![]);
    assert!(is_same_but_for_time(&with, &without, at(30)));
    assert!(!is_same_but_for_time(&with, &without, at(29)));
    assert!(!is_same_but_for_time(&with, &ledger(vec![], vec![]), at(30)));
}

#[test]
fn a_strangers_removal_that_was_weighed_is_written_before_it_is_done() {
    let with = |weighed: Vec<WeighedRemoval>| {
        let mut spec = empty();
        let ledger = Ledger {
            weighed,
            ..Ledger::default()
        };
        write(&mut spec, &ledger);
        spec
    };
    for holder in [Holder::Sid(sid(7)), Holder::ObjectId(person(7))] {
        let what = RightOf {
            holder,
            right: Right::SendOnBehalf,
        };
        let weighed = |minute| {
            with(vec![WeighedRemoval {
                what: what.clone(),
                at: at(minute),
                with_resource: false,
            }])
        };
        assert!(!is_same_but_for_time(&with(vec![]), &weighed(1), at(1)));
        assert!(
            !is_same_but_for_time(&weighed(0), &weighed(1), at(1)),
            "weighed anew"
        );
        assert!(
            is_same_but_for_time(&weighed(1), &with(vec![]), at(99)),
            "it counts no more"
        );
    }
}

#[test]
fn a_ledger_that_points_outside_its_lists_is_unreadable() {
    let mut spec = empty();
    let people = json!([{ "id": person(1), "writtenAs": ["anna@contoso.com"], "rights": {
        "SendAs": { "state": "Granted", "by": [3], "as": [0] } } }]);
    spec.people = serde_json::from_value(people.clone()).unwrap();
    assert!(read(&spec).is_err(), "no permission has this number");
    spec.permissions = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    assert_eq!(read(&spec).unwrap().grants[0].by, ["d"]);
    spec.people[0].written_as.clear();
    assert!(read(&spec).is_err(), "nobody knows how they were written");
}

#[test]
fn what_a_newer_operator_wrote_is_kept() {
    let mut value = serde_json::to_value(empty()).unwrap();
    value["newer"] = json!({ "than": "this" });
    let mut spec: MailboxLedgerSpec = serde_json::from_value(value).unwrap();
    write(&mut spec, &Ledger::default());
    assert_eq!(
        serde_json::to_value(spec).unwrap()["newer"],
        json!({ "than": "this" })
    );
}

#[test]
fn a_seal_is_broken_by_a_copy_a_restore_and_an_edit() {
    let mut object = MailboxLedger::new("uid-1", empty());
    object.spec.seal = Some(seal(None));
    object.metadata.uid = Some("first".to_owned());
    object.metadata.generation = Some(1);
    assert!(is_intact(&object), "as it was created");
    object.spec.seal = Some(seal(Some(&object)));
    object.metadata.generation = Some(2);
    assert!(is_intact(&object), "as it was written next");
    let mut restored = object.clone();
    restored.metadata.uid = Some("second".to_owned());
    restored.metadata.generation = Some(1);
    assert!(!is_intact(&restored), "a restored object is another one");
    let mut edited = object.clone();
    edited.metadata.generation = Some(3);
    assert!(!is_intact(&edited), "an edit counts");
    object.spec.seal = None;
    assert!(!is_intact(&object), "nobody sealed it");
}

#[test]
fn what_anybody_can_make_wins_over_nothing_that_was_sealed_by_its_uid() {
    let line = |minute| json!({ "at": at(minute), "ids": [person(1)], "right": "SendAs", "after": "Removed", "cause": "x" });
    let of = |name: &str, minute| {
        let mut object = MailboxLedger::new(name, empty());
        object.spec.history = vec![serde_json::from_value(line(minute)).unwrap()];
        object.metadata.uid = Some(name.to_owned());
        object
    };
    let mut made_up = of("a", 100);
    made_up.spec.seal = Some(seal(None));
    made_up.metadata.generation = Some(1);
    let mut ours = of("b", 0);
    ours.metadata.generation = Some(1);
    ours.spec.seal = Some(seal(Some(&ours)));
    ours.metadata.generation = Some(2);
    assert!(is_intact(&made_up) && is_intact(&ours));
    assert!(wins(&ours, &made_up) && !wins(&made_up, &ours));
}

#[test]
fn nobody_knows_what_was_before_lines_that_a_clock_put_ahead() {
    let mut spec = empty();
    spec.history_from = Some(at(-500));
    let line =
        json!({ "at": at(100), "ids": [person(1)], "right": "SendAs", "after": "Granted", "cause": "x" });
    spec.history = vec![serde_json::from_value(line).unwrap()];
    assert!(heal(&mut spec, at(0)));
    assert_eq!((spec.history_from, spec.history[0].at), (Some(at(0)), at(0)));
}

/// Every time in an object, by its path.
fn times(path: &str, value: &Value) -> Vec<(String, Timestamp)> {
    let below = |(key, value): (String, &Value)| times(&format!("{path}.{key}"), value);
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| (key.clone(), value));
            fields.flat_map(below).collect()
        }
        Value::Array(items) => {
            let items = items.iter().map(|item| ("0".to_owned(), item));
            items.flat_map(below).collect()
        }
        Value::String(text) => {
            let time = text.parse().ok().map(|time| (path.to_owned(), time));
            time.into_iter().collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// A ledger in which every time that there is says this.
fn all_at(time: Timestamp) -> MailboxLedgerSpec {
    let (id, right) = (person(1), "SendAs");
    let mut value = serde_json::to_value(empty()).unwrap();
    let more = json!({
        "intent": { "oneTimeName": format!("smo-{:032x}", 7), "alias": "sales",
            "address": "sales@contoso.com", "at": time },
        "before": { "at": time, "signIn": "Open", "primary": "sales@contoso.com", "addresses": [], "settings": {} },
        "adopting": time, "takenUpAt": time, "releasedAt": time, "goneAt": time, "historyFrom": time,
        "removedAddresses": [{ "address": "old@contoso.com", "until": time }],
        "removedSettings": [{ "family": "quota", "until": time }],
        "people": [{ "id": id, "writtenAs": ["anna@contoso.com"], "rights": { right: { "state": "Removed",
            "as": [0], "at": time, "until": time, "weighedAt": time, "checkedUntil": time } } }],
        "evictions": [{ "holder": { "objectId": id }, "right": right, "weighedAt": time }],
        "held": { "since": time },
        "history": [{ "at": time, "ids": [id], "right": right, "after": "Removed", "cause": "x" }],
    });
    for (key, field) in more.as_object().unwrap() {
        value[key] = field.clone();
    }
    serde_json::from_value(value).unwrap()
}

#[test]
fn what_lies_ahead_is_put_right_once_and_what_does_not_stays() {
    let now = at(0);
    let mut spec = all_at(at(100));
    assert!(heal(&mut spec, now));
    let healed = serde_json::to_value(&spec).unwrap();
    let mut ahead: Vec<(String, i64)> = times("", &healed)
        .into_iter()
        .filter(|(_, time)| *time > now)
        .map(|(path, time)| (path, time.duration_since(now).as_mins()))
        .collect();
    ahead.sort();
    let expected = [
        (".before.at", 100),
        (".held.since", 100),
        (".people.0.rights.SendAs.checkedUntil", 35),
        (".people.0.rights.SendAs.until", 100),
        (".removedAddresses.0.until", 35),
        (".removedSettings.0.until", 35),
    ];
    assert_eq!(ahead, expected.map(|(path, minutes)| (path.to_owned(), minutes)));
    assert!(times("", &healed).len() > 15, "each of them is there: {healed}");
    assert!(!heal(&mut spec, now), "once");

    for fine in [now, now + SignedDuration::from_secs(60), at(-100)] {
        let mut spec = all_at(fine);
        assert!(!heal(&mut spec, now), "{fine}");
        assert_eq!(spec, all_at(fine));
    }
}
