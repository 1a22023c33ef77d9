use super::*;
use crate::api::{FLUX_REQUESTED_AT, RECONCILE_REQUESTED_AT};
use serde_json::json;

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
        index.apply_mailbox(mailbox("sales", "sales@contoso.com", 1), now),
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
    assert_eq!(index.apply_mailbox(written, now), vec![]);
    let wiped = mailbox("sales", "sales@contoso.com", 1);
    assert_eq!(index.apply_mailbox(wiped, now), sales(Lane::Edit));
    assert_eq!(
        index.apply_mailbox(mailbox("sales", "sales@contoso.com", 2), now),
        sales(Lane::Edit)
    );
    let mut asked = mailbox("sales", "sales@contoso.com", 2);
    asked
        .annotations_mut()
        .insert(RECONCILE_REQUESTED_AT.into(), "now".into());
    assert_eq!(index.apply_mailbox(asked.clone(), now), sales(Lane::Edit));
    asked
        .annotations_mut()
        .insert(FLUX_REQUESTED_AT.into(), "an older time".into());
    assert_eq!(index.apply_mailbox(asked.clone(), now), sales(Lane::Edit));
    assert_eq!(index.apply_mailbox(asked, now), vec![]);
}

#[test]
fn taking_somebody_away_is_a_revocation_and_adding_somebody_is_an_edit() {
    let mut index = Index::default();
    assert_eq!(
        index.apply_permission(permission("p", &["a@contoso.com"], 1)),
        sales(Lane::Edit)
    );
    assert_eq!(
        index.apply_permission(permission("p", &["a@contoso.com"], 1)),
        vec![]
    );
    let two = permission("p", &["a@contoso.com", "b@contoso.com"], 2);
    assert_eq!(index.apply_permission(two), sales(Lane::Edit));
    assert_eq!(
        index.apply_permission(permission("p", &["b@contoso.com"], 3)),
        sales(Lane::Revocation)
    );
    let mut asked = permission("p", &["b@contoso.com"], 3);
    asked
        .annotations_mut()
        .insert(FLUX_REQUESTED_AT.into(), "now".into());
    assert_eq!(index.apply_permission(asked.clone()), sales(Lane::Edit));
    assert_eq!(index.apply_permission(asked), vec![]);
    assert_eq!(index.delete_permission("team", "p"), sales(Lane::Revocation));
    assert_eq!(index.delete_permission("team", "p"), vec![]);
}

#[tokio::test]
async fn a_mailbox_that_granted_what_nobody_declares_any_more_owes_a_revocation() {
    let mut index = Index::default();
    index.apply_mailbox(mailbox("sales", "sales@contoso.com", 1), Instant::now());
    let ledger = json!({
        "metadata": { "name": "uid-sales", "uid": "u", "generation": 1 },
        "spec": { "seal": { "uid": "u", "generation": 1 },
            "tenant": { "name": "default", "guid": "11111111-2222-3333-4444-555555555555" },
            "resourceRef": { "namespace": "team", "name": "sales", "uid": "uid-sales" },
            "people": [{ "id": "00000000-0000-4000-8000-000000000001", "writtenAs": ["A@contoso.com"],
                "rights": { "SendAs": { "state": "Granted", "as": [0] } } }] }
    });
    index.apply_ledger(serde_json::from_value(ledger).unwrap());
    assert_eq!(index.owed_by_ledgers(), sales(Lane::Revocation));
    index.apply_permission(permission("p", &["b@contoso.com", "a@contoso.com"], 1));
    assert_eq!(index.owed_by_ledgers(), vec![]);
    let key = sales(Lane::Edit)[0].0.clone();
    let Work::Mailbox(key) = key else {
        panic!("it is a mailbox")
    };
    index.delete_mailbox(&key);
    assert_eq!(
        index.owed_by_ledgers(),
        sales(Lane::Sweep),
        "nobody saw its resource go"
    );
}

#[tokio::test]
async fn whoever_waits_for_an_address_hears_when_it_is_free() {
    let mut index = Index::default();
    let now = Instant::now();
    index.apply_mailbox(mailbox("sales", "sales@contoso.com", 1), now);
    index.apply_mailbox(mailbox("rival", "sales@contoso.com", 1), now);
    let address = "sales@contoso.com".parse().unwrap();
    assert_eq!(index.claimants("default", &address).len(), 2);
    let rival = MailboxKey {
        namespace: "team".into(),
        name: "rival".into(),
    };
    let changes = index.delete_mailbox(&rival);
    assert!(changes.contains(&sales(Lane::Edit)[0]), "{changes:?}");
    assert_eq!(index.claimants("default", &address).len(), 1);
    assert!(!index.uid_is_alive("uid-rival") && index.uid_is_alive("uid-sales"));
}
