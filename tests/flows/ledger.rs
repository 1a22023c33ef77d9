//! The operator's memory of a mailbox: what is in it, how often it is written, and what becomes of it.

use super::kit::*;
use super::remembered::*;
use serde_json::{Value, json};
use shared_mailbox_operator::api::{GrantState, MailboxLedger, SharedMailbox};
use simulator::{Delay, Faults};
use testkit::api_server::{Call, Disturbance, Verb, on};
use testkit::{World, with};

#[tokio::test(start_paused = true)]
async fn a_created_mailbox_has_a_ledger_that_says_who_holds_what_and_since_when() {
    let world = sales_with(&[FIRST, SECOND]).await;
    let ledger = world.ledger().await;
    let object = world.mailbox("sales").await;
    assert_eq!(ledger.metadata.name, object.metadata.uid, "named for life");
    assert_eq!(
        ledger.spec.mailbox.as_ref().unwrap().guid.to_string(),
        view(&world).exchange_guid.to_string()
    );
    assert_eq!(ledger.spec.intent, None);
    assert_eq!(states(&ledger), [GrantState::Granted; 4]);
    assert_eq!(
        (ledger.spec.shown.state.as_str(), ledger.spec.shown.people),
        ("Serving", 2)
    );
    assert!(shared_mailbox_operator::ledger::is_intact(&ledger));
    assert!(ledger.metadata.finalizers.is_none() && ledger.metadata.owner_references.is_none());
    assert_eq!(object.metadata.finalizers, None, "nothing holds the resource up");
}

#[tokio::test(start_paused = true)]
async fn a_create_and_a_grant_and_a_revocation_take_few_writes() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    forget(&world);
    world.apply(&sales(json!({}))).await;
    world.apply(&team(&[FIRST])).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
    world.sleep(INTERVAL).await;
    let written = counted_writes(&world);
    assert!(
        written.ledgers <= 3 && written.mailboxes <= 2 && written.permissions == 1,
        "{:?}",
        world.kubernetes_writes()
    );
    forget(&world);
    world.apply(&team(&[FIRST, SECOND])).await;
    world.sleep(INTERVAL).await;
    let written = counted_writes(&world);
    assert!(
        written.ledgers <= 2 && written.mailboxes <= 1 && written.permissions == 1,
        "{:?}",
        world.kubernetes_writes()
    );
    forget(&world);
    world.apply(&team(&[FIRST])).await;
    world.sleep(INTERVAL).await;
    let written = counted_writes(&world);
    assert!(
        written.ledgers <= 2 && written.mailboxes <= 1 && written.permissions == 1,
        "{:?}",
        world.kubernetes_writes()
    );
    stays_quiet(&world, std::time::Duration::from_secs(3 * HOUR)).await;
}

/// At most so many to the ledger, the mailbox and its permissions.
fn writes_at_most(world: &World, what: &str, (ledgers, mailboxes, permissions): (usize, usize, usize)) {
    let counted = counted_writes(world);
    assert!(
        counted.ledgers <= ledgers && counted.mailboxes <= mailboxes && counted.permissions <= permissions,
        "{what}: {counted:?} {:?}",
        world.kubernetes_writes()
    );
    forget(world);
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_an_end_a_take_up_a_merge_and_a_deletion_take_few_writes() {
    let world = sales_with(&[FIRST, SECOND]).await;
    depart(&world, SECOND).await;
    world.sleep(INTERVAL).await;
    writes_at_most(&world, "somebody left", (1, 1, 1));

    let end = world.server.now() + jiff::SignedDuration::from_hours(60);
    guest_ends(&world, end).await;
    world.wait_permission("guest", "True", "Granted").await;
    // Who left is listed for a day, and that an end is near is reported a day ahead.
    world.sleep(40 * HOUR).await;
    forget(&world);
    world.sleep(21 * HOUR).await;
    assert_eq!(holders(&world), held(1, 1), "it has ended");
    writes_at_most(&world, "an end", (1, 1, 1));

    let alive = world.ledger().await;
    let mut copy = MailboxLedger::new("an-old-copy", alive.spec.clone());
    copy.spec.opened = vec!["quota".to_owned()];
    let api: kube::Api<MailboxLedger> = kube::Api::all(world.client.clone());
    api.create(&kube::api::PostParams::default(), &copy)
        .await
        .unwrap();
    world.sleep(2 * HOUR).await;
    assert_eq!(world.ledgers().await.len(), 1);
    // It is merged, the other is deleted, and what it brought is settled.
    writes_at_most(&world, "a merge", (4, 1, 1));

    world.delete_mailbox("sales").await;
    world.sleep(2 * HOUR).await;
    writes_at_most(&world, "a deletion", (1, 0, 2));

    world.apply(&sales(json!({}))).await;
    world.sleep(2 * HOUR).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    writes_at_most(&world, "a take-up", (2, 2, 2));
    stays_quiet(&world, std::time::Duration::from_secs(3 * HOUR)).await;
}

/// The third member may send as the mailbox until then.
async fn guest_ends(world: &World, end: jiff::Timestamp) {
    let ends = json!({ "spec": { "expiresAt": format!("{end:.0}") } });
    let guest = testkit::permission("guest", "sales", &[THIRD], &["SendAs"]);
    world.apply(&with(guest, &ends)).await;
}

#[tokio::test(start_paused = true)]
async fn a_backup_beside_the_living_ledger_is_merged_into_it() {
    let world = sales_with(&[FIRST]).await;
    let alive = world.ledger().await;
    let api: kube::Api<MailboxLedger> = kube::Api::all(world.client.clone());
    let copy = MailboxLedger::new("an-old-copy", alive.spec.clone());
    api.create(&kube::api::PostParams::default(), &copy)
        .await
        .unwrap();
    let merged = async || (world.ledgers().await.len() == 1).then_some(());
    world.wait("one ledger is left", merged).await;
    assert_eq!(
        world.ledger().await.metadata.uid,
        alive.metadata.uid,
        "the one that was intact"
    );
    world.sleep(3 * HOUR).await;
    assert_eq!((holders(&world), world.writes()), (held(1, 1), vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_lost_mailbox_is_created_anew_when_somebody_asks_for_exactly_that() {
    let world = sales_with(&[FIRST]).await;
    let lost = view(&world).exchange_guid.to_string();
    purge(&world, SALES);
    world.wait_mailbox("sales", "False", "MailboxGone").await;
    let asks = |guid: &str| json!({ "metadata": { "annotations": { "sharedmailbox.dev/recreate": guid } } });
    let other = "44444444-4444-4444-8444-444444444444";
    world.apply(&with(sales(json!({})), &asks(other))).await;
    world.sleep(INTERVAL).await;
    assert_eq!(shared_mailboxes(&world), 0, "another mailbox is meant");
    world.apply(&with(sales(json!({})), &asks(&lost))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
    assert_eq!(holders(&world), held(1, 1));
    let names: Vec<_> = world
        .ledgers()
        .await
        .into_iter()
        .filter_map(|ledger| ledger.metadata.name)
        .collect();
    assert!(names.contains(&format!("after-{lost}")), "{names:?}");
    world.sleep(3 * HOUR).await;
    assert_eq!(shared_mailboxes(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_newer_operator_wrote_into_a_ledger_is_kept() {
    let world = sales_with(&[FIRST]).await;
    patch_ledger(&world, json!({ "newer": { "than": "this" } })).await;
    world.apply(&team(&[FIRST, SECOND])).await;
    until(&world, "the second member is granted", || {
        holders(&world) == held(2, 2)
    })
    .await;
    world.sleep(60).await;
    let ledger = serde_json::to_value(world.ledger().await).unwrap();
    assert_eq!(ledger["spec"]["newer"], json!({ "than": "this" }));
}

#[tokio::test(start_paused = true)]
async fn a_slow_exchange_leaves_a_status_that_says_that_nothing_was_observed() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    let slow = Delay::fixed(30_000);
    world.tenant.set_faults(Faults {
        latency: slow,
        ..Faults::default()
    });
    world.apply(&sales(json!({}))).await;
    let object: SharedMailbox = world.mailbox("sales").await;
    let status: Value = serde_json::to_value(object.status.unwrap()).unwrap();
    assert_eq!(
        status["observedGeneration"],
        json!(-1),
        "as tools that wait understand it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_mailbox_that_was_restored_is_not_created_anew() {
    let world = sales_with(&[FIRST]).await;
    let guid = view(&world).exchange_guid;
    admin(&world, "Remove-Mailbox", json!({ "Identity": SALES }));
    world.wait_mailbox("sales", "False", "MailboxGone").await;
    admin(
        &world,
        "Undo-SoftDeletedMailbox",
        json!({ "SoftDeletedObject": guid }),
    );
    let asked = json!({ "metadata": { "annotations": { "sharedmailbox.dev/recreate": guid } } });
    world.apply(&with(sales(json!({})), &asked)).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.sleep(HOUR).await;
    assert_eq!((world.ledgers().await.len(), holders(&world)), (1, held(1, 1)));
}

/// Otherwise a lost mailbox would be the way to an address that no rule admits.
#[tokio::test(start_paused = true)]
async fn nothing_is_created_again_for_a_manifest_that_is_refused_or_paused() {
    for spec in [
        json!({ "emailAddress": "chief@fabrikam.com" }),
        json!({ "management": "Paused" }),
        json!({ "management": "Observe" }),
    ] {
        let world = sales_with(&[]).await;
        let guid = view(&world).exchange_guid.to_string();
        purge(&world, SALES);
        world.wait_mailbox("sales", "False", "MailboxGone").await;
        forget(&world);
        let asked = json!({ "metadata": { "annotations": { "sharedmailbox.dev/recreate": guid } } });
        world.apply(&with(sales(spec.clone()), &asked)).await;
        world.sleep(3600).await;
        assert_eq!(sent(&world, "New-Mailbox"), 0, "{spec}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_ledger_does_not_hold_is_not_sent_and_removals_follow_once_it_does() {
    let world = sales_with(&[FIRST]).await;
    world.server.disturb(
        u32::MAX,
        on(Verb::Update, "mailboxledgers"),
        Disturbance::refused(413),
    );
    world.apply(&team(&[SECOND])).await;
    sales_is_refused(&world, "LedgerRefused", &["declare fewer people"]).await;
    world.sleep(HOUR).await;
    assert_eq!((holders(&world), world.writes()), (held(1, 1), vec![]));
    world.server.calm();
    world.apply(&team(&[])).await;
    until(&world, "the first member is revoked", || {
        holders(&world) == held(0, 0)
    })
    .await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn while_the_ledger_takes_no_more_removals_and_the_block_of_sign_in_go_on() {
    let world = sales_with(&[FIRST]).await;
    for round in 0..3 {
        world
            .server
            .disturb(1, on(Verb::Update, "mailboxledgers"), Disturbance::refused(413));
        world.tenant.set_account_enabled(SALES, true).unwrap();
        world.apply(&team(&[SECOND])).await;
        until(
            &world,
            "the first member is revoked and sign-in is blocked",
            || view(&world).account_disabled && !holds_anything(&world, FIRST),
        )
        .await;
        let object = world.wait_mailbox("sales", "False", "LedgerRefused").await;
        says(
            &stalled(&object, "LedgerRefused"),
            &["1 MiB", "2,000 people", "removals", "declare fewer people"],
        );
        assert!(!holds_anything(&world, SECOND), "round {round}");
        world.apply(&team(&[FIRST])).await;
        world.wait_mailbox("sales", "True", "UpToDate").await;
    }
}

fn holds_anything(world: &World, who: &str) -> bool {
    let id = world.tenant.object_id(who).unwrap();
    let view = view(world);
    view.full_access.iter().any(|entry| entry.trustee == id) || view.send_as.contains(&id)
}

#[tokio::test(start_paused = true)]
async fn a_new_mailbox_for_more_people_than_a_ledger_holds_is_marked_and_blocked() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    world.apply(&sales(json!({}))).await;
    world.apply(&team(&[FIRST])).await;
    // The first version has the intent, the second lists people.
    world.server.disturb(
        u32::MAX,
        |call: &Call| {
            let body = String::from_utf8_lossy(&call.body);
            call.plural == "mailboxledgers" && call.verb == Verb::Update && body.contains("writtenAs")
        },
        Disturbance::refused(413),
    );
    world.wait_mailbox("sales", "False", "LedgerRefused").await;
    let view = view(&world);
    assert!(view.account_disabled && !view.custom_attributes.is_empty());
    assert_eq!(
        (view.display_name.as_str(), holders(&world)),
        ("sales", held(0, 0))
    );
}

#[tokio::test(start_paused = true)]
async fn as_many_people_as_a_mailbox_takes_may_send_as_it() {
    let mut seed = simulator::Seed::contoso();
    let people: Vec<String> = (0..500)
        .map(|number| format!("person{number}@contoso.com"))
        .collect();
    for person in &people {
        seed = seed.with_user(simulator::SeedUser::person(person, person));
    }
    let world = world(seed, json!({})).await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    for (number, people) in people.chunks(250).enumerate() {
        let members: Vec<&str> = people.iter().map(String::as_str).collect();
        let name = format!("team{number}");
        world
            .apply(&testkit::permission(&name, "sales", &members, &["SendAs"]))
            .await;
    }
    until(&world, "everybody may", || view(&world).send_as.len() == 500).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    let ledger = world.ledger().await;
    assert_eq!(ledger.spec.shown.people, 500);
    assert!(ledger.spec.history.iter().all(|line| line.ids.len() <= 500));
}
