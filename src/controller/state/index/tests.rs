use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::super::inbox::Object;
use super::*;
use crate::api::{FLUX_REQUESTED_AT, RECONCILE_REQUESTED_AT};
use crate::mail::parsed;
use serde_json::json;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn applied(index: &mut Index, object: MailboxPermission) -> Changes {
    index.apply_permission(object, NOW)
}

fn mailbox(name: &str, address: &str, generation: i64) -> SharedMailbox {
    serde_json::from_value(json!({
        "apiVersion": "sharedmailbox.dev/v1alpha1", "kind": "SharedMailbox",
        "metadata": { "namespace": "team", "name": name, "uid": format!("uid-{name}"), "generation": generation },
        "spec": { "displayName": name, "emailAddress": address }
    }))
    .unwrap()
}

fn permission(name: &str, members: &[&str], generation: i64) -> MailboxPermission {
    let members: Vec<_> = members.iter().map(|m| json!({ "user": m })).collect();
    serde_json::from_value(json!({
        "apiVersion": "sharedmailbox.dev/v1alpha1", "kind": "MailboxPermission",
        "metadata": { "namespace": "team", "name": name, "uid": name, "generation": generation },
        "spec": { "mailboxRef": { "name": "sales" }, "members": members, "rights": ["SendAs"] }
    }))
    .unwrap()
}

fn sales(lane: Lane) -> Changes {
    vec![(
        Work::Mailbox(MailboxKey {
            namespace: "team".into(),
            name: "sales".into(),
        }),
        lane,
    )]
}

#[tokio::test]
async fn a_status_write_of_our_own_asks_for_nothing_and_an_edit_does() {
    let mut index = Index::default();
    let now = Instant::now();
    assert_eq!(
        index.apply_mailbox(ReadMailbox::of(mailbox("sales", "sales@contoso.com", 1)), now),
        sales(Lane::Edit)
    );
    let mut written = mailbox("sales", "sales@contoso.com", 1);
    written.status = Some(crate::api::SharedMailboxStatus {
        summary: Some("UpToDate".into()),
        conditions: vec![
            serde_json::from_value(json!({
                "type": "Ready", "status": "True", "reason": "UpToDate", "message": "",
                "lastTransitionTime": "2026-11-28T09:00:00Z"
            }))
            .unwrap(),
        ],
        ..Default::default()
    });
    assert_eq!(index.apply_mailbox(ReadMailbox::of(written), now), vec![]);
    let wiped = mailbox("sales", "sales@contoso.com", 1);
    assert_eq!(
        index.apply_mailbox(ReadMailbox::of(wiped), now),
        sales(Lane::Edit)
    );
    assert_eq!(
        index.apply_mailbox(ReadMailbox::of(mailbox("sales", "sales@contoso.com", 2)), now),
        sales(Lane::Edit)
    );
    let mut asked = mailbox("sales", "sales@contoso.com", 2);
    asked
        .annotations_mut()
        .insert(RECONCILE_REQUESTED_AT.into(), "now".into());
    assert_eq!(
        index.apply_mailbox(ReadMailbox::of(asked.clone()), now),
        sales(Lane::Edit)
    );
    asked
        .annotations_mut()
        .insert(FLUX_REQUESTED_AT.into(), "an older time".into());
    assert_eq!(
        index.apply_mailbox(ReadMailbox::of(asked.clone()), now),
        sales(Lane::Edit)
    );
    assert_eq!(index.apply_mailbox(ReadMailbox::of(asked), now), vec![]);
}

#[test]
fn taking_somebody_away_is_a_revocation_and_adding_somebody_is_an_edit() {
    let mut index = Index::default();
    assert_eq!(
        applied(&mut index, permission("p", &["a@contoso.com"], 1)),
        sales(Lane::Edit)
    );
    assert_eq!(
        applied(&mut index, permission("p", &["a@contoso.com"], 1)),
        vec![]
    );
    let two = permission("p", &["a@contoso.com", "b@contoso.com"], 2);
    assert_eq!(applied(&mut index, two), sales(Lane::Edit));
    assert_eq!(
        applied(&mut index, permission("p", &["b@contoso.com"], 3)),
        sales(Lane::Revocation)
    );
    let mut asked = permission("p", &["b@contoso.com"], 3);
    asked
        .annotations_mut()
        .insert(FLUX_REQUESTED_AT.into(), "now".into());
    assert_eq!(applied(&mut index, asked.clone()), sales(Lane::Edit));
    assert_eq!(applied(&mut index, asked), vec![]);
    assert_eq!(index.delete_permission("team", "p"), sales(Lane::Revocation));
    assert_eq!(index.delete_permission("team", "p"), vec![]);
}

#[tokio::test]
async fn a_mailbox_that_granted_what_nobody_declares_any_more_owes_a_revocation() {
    let mut index = Index::default();
    index.apply_mailbox(
        ReadMailbox::of(mailbox("sales", "sales@contoso.com", 1)),
        Instant::now(),
    );
    let ledger = json!({
        "metadata": { "name": "uid-sales", "uid": "u", "generation": 1 },
        "spec": { "seal": { "uid": "u", "generation": 1 },
            "tenant": { "name": "default", "guid": "11111111-2222-3333-4444-555555555555" },
            "resourceRef": { "namespace": "team", "name": "sales", "uid": "uid-sales" },
            "people": [{ "id": "00000000-0000-4000-8000-000000000001", "writtenAs": ["A@contoso.com"],
                "rights": { "SendAs": { "state": "Granted", "as": [0] } } }] }
    });
    index.apply_ledger(serde_json::from_value(ledger).unwrap(), NOW);
    assert_eq!(index.owed_by_ledgers(NOW), sales(Lane::Revocation));
    applied(
        &mut index,
        permission("p", &["b@contoso.com", "a@contoso.com"], 1),
    );
    assert_eq!(index.owed_by_ledgers(NOW), vec![]);
    let mut ended = permission("p", &["a@contoso.com"], 2);
    ended.spec.expires_at = Some(Time(NOW));
    applied(&mut index, ended);
    assert_eq!(
        index.owed_by_ledgers(NOW),
        sales(Lane::Revocation),
        "its end has come"
    );
    applied(&mut index, permission("p", &["a@contoso.com"], 3));
    let key = sales(Lane::Edit)[0].0.clone();
    let Work::Mailbox(key) = key else {
        panic!("it is a mailbox")
    };
    index.delete_mailbox(&key);
    assert_eq!(
        index.owed_by_ledgers(NOW),
        sales(Lane::Sweep),
        "nobody saw its resource go"
    );
}

#[tokio::test]
async fn whoever_waits_for_an_address_hears_when_it_is_free() {
    let mut index = Index::default();
    let now = Instant::now();
    index.apply_mailbox(ReadMailbox::of(mailbox("sales", "sales@contoso.com", 1)), now);
    index.apply_mailbox(ReadMailbox::of(mailbox("rival", "sales@contoso.com", 1)), now);
    let address = "sales@contoso.com".parse().unwrap();
    assert_eq!(claimants(&index, &address), 2);
    let rival = MailboxKey {
        namespace: "team".into(),
        name: "rival".into(),
    };
    let changes = index.delete_mailbox(&rival);
    assert!(changes.contains(&sales(Lane::Edit)[0]), "{changes:?}");
    assert_eq!(claimants(&index, &address), 1);
    assert!(!index.uid_is_alive("uid-rival") && index.uid_is_alive("uid-sales"));
}

fn claimants(index: &Index, address: &SmtpAddress) -> usize {
    index.claimants("default", address).map_or(0, BTreeSet::len)
}

/// A mailbox with as many aliases as are legal.
fn with_aliases(name: &str, generation: i64) -> SharedMailbox {
    let mut object = mailbox(name, "sales@contoso.com", generation);
    let aliases = (0..300).map(|number| format!("{number:a>60}-{generation}@contoso.com"));
    object.spec.aliases = aliases.collect();
    object
}

#[tokio::test]
async fn nothing_is_parsed_while_everybody_waits_for_the_index() {
    let mut index = Index::default();
    let now = Instant::now();
    parsed::take();
    let reads: Vec<ReadMailbox> = (1..=2)
        .map(|edit| ReadMailbox::of(with_aliases("sales", edit)))
        .collect();
    let rival = ReadMailbox::of(with_aliases("rival", 1));
    assert_eq!(parsed::take(), 3 * 301);
    let address = "sales@contoso.com".parse().unwrap();
    parsed::take();
    for read in reads.into_iter().chain([rival]) {
        index.apply_mailbox(read, now);
    }
    assert_eq!(claimants(&index, &address), 2);
    let sales = MailboxKey::of(&with_aliases("sales", 1)).unwrap();
    index.delete_mailbox(&sales);
    applied(&mut index, permission("p", &["a@contoso.com"], 1));
    index.delete_permission("team", "p");
    assert_eq!(parsed::take(), 0);
}

/// A permission with so many members, by its place in time.
fn of_size(place: usize, members: usize) -> MailboxPermission {
    let members: Vec<String> = (0..members)
        .map(|number| format!("p{number}@contoso.com"))
        .collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let mut object = permission(&format!("p{place:04}"), &members, 1);
    object.metadata.creation_timestamp = Some(Time(
        Timestamp::from_second(1000 + i64::try_from(place).unwrap()).unwrap(),
    ));
    object
}

fn names(index: &Index) -> usize {
    index.permissions().count()
}

#[tokio::test]
async fn permissions_over_the_limit_of_a_namespace_are_known_by_name_and_size_only() {
    for (count, members, kept) in [(503, 1, 500), (53, 500, 50)] {
        // Whatever the order in which a list shows them.
        for backwards in [false, true] {
            let mut index = Index::default();
            let mut places: Vec<usize> = (0..count).collect();
            if backwards {
                places.reverse();
            }
            for place in places {
                applied(&mut index, of_size(place, members));
            }
            assert_eq!(names(&index), kept);
            let out: BTreeSet<String> = index.take_moved().into_iter().map(|moved| moved.name).collect();
            let youngest = format!("p{:04}", count - 1);
            assert!(out.contains(&youngest) && index.room().is_beyond(PERMISSION, "team", &youngest));
            assert!(!index.room().is_beyond(PERMISSION, "team", "p0000"));
            let Work::Mailbox(home) = sales(Lane::Edit)[0].0.clone() else {
                panic!("it is a mailbox")
            };
            assert!(index.room().has_permissions_beyond(&home));
            // There is room for one more, which has to be read.
            index.delete_permission("team", "p0000");
            let again = index.take_moved();
            assert_eq!(again.len(), 1);
            let Object {
                kind,
                namespace,
                name,
            } = &again[0];
            assert!(index.room().is_to_be_read(kind, namespace, name));
            assert_eq!(names(&index), kept - 1);
            for place in 1..count {
                index.delete_permission("team", &format!("p{place:04}"));
            }
            assert!(!index.room().has_permissions_beyond(&home));
            assert_eq!((names(&index), index.room.shares()), (0, 0));
        }
    }
}

#[tokio::test]
async fn the_largest_mailboxes_of_a_namespace_take_no_more_room_than_it_may_have() {
    let mut index = Index::default();
    let aliases: Vec<String> = (0..300)
        .map(|number| format!("{number:a>60}@{:b>60}.{:c>60}.com", "b", "c"))
        .collect();
    for number in 0..400 {
        let mut object = mailbox(&format!("m{number:04}"), &format!("m{number}@contoso.com"), 1);
        object.spec.aliases.clone_from(&aliases);
        index.apply_mailbox(ReadMailbox::of(object), Instant::now());
    }
    let words = |mailbox: &SharedMailbox| mailbox.spec.aliases.iter().map(String::len).sum::<usize>();
    let room: usize = index.mailboxes().map(words).sum();
    assert!(room < 8_000_000, "{room}");
    assert_eq!(index.mailboxes().count(), 400, "each is known by name");
    let last = "m399@contoso.com".parse().unwrap();
    assert_eq!(claimants(&index, &last), 0, "and asks for nothing");
    let first = "m0@contoso.com".parse().unwrap();
    assert_eq!(claimants(&index, &first), 1);
    assert!(
        index.room().is_beyond(MAILBOX, "team", "m0399") && !index.room().is_beyond(MAILBOX, "team", "m0000")
    );
}

/// As large as etcd takes an object, in everything but what it declares.
fn inflate<K: kube::Resource>(object: &mut K, text: &str) {
    let metadata = object.meta_mut();
    let names = (0..200).map(|number| format!("example.com/{number:0>60}"));
    metadata.labels = Some(names.clone().map(|name| (name, text[..63].to_owned())).collect());
    metadata.finalizers = Some(names.collect());
    metadata.annotations = Some(
        [RECONCILE_REQUESTED_AT, "example.com/other"]
            .map(|name| (name.to_owned(), text.to_owned()))
            .into(),
    );
}

#[tokio::test]
async fn what_nobody_reads_of_an_object_takes_no_memory() {
    let text = "x".repeat(200_000);
    let condition = json!({ "type": "Ready", "status": "True", "reason": "R".repeat(1024),
        "message": "m".repeat(32_768), "lastTransitionTime": "2026-11-28T09:00:00Z" });
    let status = json!({ "conditions": vec![condition; 8], "summary": text });
    let mut index = Index::default();
    let mut object = mailbox("sales", "sales@contoso.com", 1);
    inflate(&mut object, &text);
    object.status = serde_json::from_value(status.clone()).unwrap();
    index.apply_mailbox(ReadMailbox::of(object), Instant::now());
    let kept = index
        .mailboxes()
        .map(|one| serde_json::to_vec(one).unwrap().len())
        .sum::<usize>();
    assert!(kept < 2_000, "{kept}");
    // The status of a permission is needed, and uses up the room of its own namespace.
    for place in 0..200 {
        let mut object = of_size(place, 1);
        inflate(&mut object, &text);
        object.status = serde_json::from_value(status.clone()).unwrap();
        index.apply_permission(object, NOW);
    }
    let kept = index
        .permissions()
        .map(|one| serde_json::to_vec(one).unwrap().len())
        .sum::<usize>();
    assert!(kept < 30_000_000 && names(&index) < 200, "{kept}");
}

#[tokio::test]
async fn mailboxes_over_the_limit_of_a_namespace_ask_for_nothing() {
    let mut index = Index::default();
    let squatted = "sales@contoso.com".parse().unwrap();
    for number in 0..2_010 {
        let object = mailbox(&format!("m{number:04}"), "sales@contoso.com", 1);
        index.apply_mailbox(ReadMailbox::of(object), Instant::now());
    }
    assert_eq!(claimants(&index, &squatted), 2_000);
    let is_out = |name: &str| index.room().is_beyond(MAILBOX, "team", name);
    assert!(is_out("m2009") && !is_out("m1999"));
    let key = MailboxKey::of(&mailbox("m0000", "sales@contoso.com", 1)).unwrap();
    index.delete_mailbox(&key);
    let again: Vec<String> = index.take_moved().into_iter().map(|moved| moved.name).collect();
    assert_eq!(
        again,
        ["m2000"],
        "there is room for one more, which has to be read"
    );
}
