//! Adopted mailboxes whose resources go.

use super::adoption::*;
use super::kit::*;
use super::remembered::{HOUR, delete_sales, until_removing};
use serde_json::json;
use shared_mailbox_operator::api::MailboxLedger;
use simulator::{Fault, FaultRule, Faults};
use testkit::{World, tenant, with};

/// The tenant of [`usual`].
fn allowing() -> serde_json::Value {
    with(tenant(), &rule(&json!({})))
}

async fn disown(world: &World, value: &str) {
    let ledger = world.ledger().await;
    let annotated = json!({ "metadata": { "annotations": { "sharedmailbox.dev/disown": value } } });
    let api: kube::Api<MailboxLedger> = kube::Api::all(world.client.clone());
    let patch = kube::api::Patch::Merge(annotated);
    api.patch(
        ledger.metadata.name.as_deref().unwrap(),
        &kube::api::PatchParams::default(),
        &patch,
    )
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_is_handed_back_once_its_resource_is_gone_and_somebody_names_it() {
    let world = usual().await;
    world.apply(&adopting(&json!({}))).await;
    world.apply(&team(&[SECOND])).await;
    world.wait_permission("team", "True", "Granted").await;
    let guid = view(&world).exchange_guid.to_string();
    disown(&world, &guid).await;
    world.sleep(INTERVAL).await;
    assert!(
        view(&world).custom_attributes.contains_key(&15),
        "a resource has it"
    );
    disown(&world, "44444444-4444-4444-8444-444444444444").await;
    world.delete_mailbox("sales").await;
    world.delete_permission("team").await;
    world.sleep(INTERVAL).await;
    let before = view(&world);
    assert!(
        before.custom_attributes.contains_key(&15),
        "another mailbox was named"
    );
    forget(&world);
    disown(&world, &guid).await;
    until(&world, "the marker is gone", || {
        !view(&world).custom_attributes.contains_key(&15)
    })
    .await;
    assert_eq!(world.writes(), ["Set-Mailbox"]);
    world.sleep(60).await;
    assert_eq!(world.ledgers().await.len(), 1, "a replica may lag");
    world.sleep(HOUR).await;
    assert_eq!(world.ledgers().await, []);
    assert_eq!(but_marker(&view(&world)), but_marker(&before));
    let thief = json!({ "metadata": { "name": "other" } });
    world.apply(&with(adopting(&json!({})), &thief)).await;
    world.wait_mailbox("other", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_is_deleted_leaves_an_adopted_mailbox_as_it_is_and_takes_it_up_again() {
    let world = usual().await;
    world.apply(&adopting(&json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.sleep(2).await;
    let before = view(&world);
    world.delete_mailbox("sales").await;
    world.sleep(INTERVAL).await;
    assert_eq!(view(&world), before);
    world.apply(&sales(json!({ "displayName": "Sales" }))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(but_marker(&view(&world)), but_marker(&before));
}

#[tokio::test(start_paused = true)]
async fn an_adoption_that_came_to_nothing_is_forgotten_with_its_resource() {
    let world = usual().await;
    world.tenant.add_fault(no_set());
    world.apply(&adopting(&json!({}))).await;
    until(&world, "the marker is tried", || sent(&world, "Set-Mailbox") > 0).await;
    world.delete_mailbox("sales").await;
    world.sleep(60).await;
    assert_eq!(world.ledgers().await.len(), 1, "an answer may have been lost");
    world.tenant.set_faults(Faults::default());
    forget(&world);
    world.sleep(2 * 3600).await;
    assert_eq!(world.ledgers().await, []);
    assert_eq!(world.writes(), NOTHING);
    world.apply(&adopting(&json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_is_not_handed_back_while_a_removal_is_owed() {
    let world = usual().await;
    world.apply(&adopting(&json!({}))).await;
    world.apply(&team(&[SECOND, THIRD])).await;
    world.wait_permission("team", "True", "Granted").await;
    let refused = FaultRule::always(refusal("the object cannot be changed"));
    world
        .tenant
        .add_fault(refused.on(&["Remove-RecipientPermission", "Remove-MailboxPermission"]));
    world.apply(&team(&[SECOND])).await;
    until_removing(&world).await;
    world.delete_mailbox("sales").await;
    world.sleep(60).await;
    let guid = view(&world).exchange_guid.to_string();
    disown(&world, &guid).await;
    world.sleep(2 * HOUR).await;
    assert!(view(&world).custom_attributes.contains_key(&15));
    assert_eq!(world.ledgers().await.len(), 1);
    world.tenant.set_faults(Faults::default());
    world.sleep(2 * HOUR).await;
    let third = world.tenant.object_id(THIRD).unwrap();
    assert!(!view(&world).send_as.contains(&third));
    assert!(!view(&world).custom_attributes.contains_key(&15));
    assert_eq!(world.ledgers().await, []);
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_of_an_earlier_life_is_not_done_in_a_later_one() {
    let world = usual().await;
    world.apply(&adopting(&json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    let observed = json!({ "spec": { "management": "Observe" } });
    world.apply(&with(allowing(), &observed)).await;
    world.delete_mailbox("sales").await;
    world.sleep(60).await;
    disown(&world, &view(&world).exchange_guid.to_string()).await;
    world.sleep(60).await;
    world.apply(&allowing()).await;
    world.apply(&adopting(&json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.delete_mailbox("sales").await;
    world.sleep(HOUR).await;
    assert!(view(&world).custom_attributes.contains_key(&15));
    assert_eq!(world.ledgers().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_create_that_was_refused_does_not_bring_defaults_to_a_mailbox_that_is_taken_over() {
    let world = usual().await;
    purge(&world, SALES);
    let defaults = json!({ "spec": { "defaults": { "mailTip": "from the tenant" } } });
    world.apply(&with(allowing(), &defaults)).await;
    world
        .tenant
        .add_fault(FaultRule::always(Fault::Denied).on(&["New-Mailbox"]));
    world.apply(&adopting(&json!({}))).await;
    world.sleep(60).await;
    let by_hand = json!({ "Name": "sales", "Alias": "sales", "PrimarySmtpAddress": SALES, "Shared": true });
    admin(&world, "New-Mailbox", by_hand);
    world.tenant.set_faults(Faults::default());
    world.sleep(HOUR).await;
    world.tenant.set_account_enabled(SALES, false).unwrap();
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(
        view(&world).settings.get("MailTip").filter(|tip| !tip.is_null()),
        None
    );
}

#[tokio::test(start_paused = true)]
async fn an_adoption_that_was_tried_again_a_moment_ago_is_not_forgotten_with_its_resource() {
    let world = usual().await;
    world.tenant.add_fault(no_set());
    world.apply(&adopting(&json!({}))).await;
    until(&world, "the marker is tried", || sent(&world, "Set-Mailbox") > 0).await;
    world.sleep(40 * 60).await;
    world.delete_mailbox("sales").await;
    world.sleep(30 * 60).await;
    assert_eq!(world.ledgers().await.len(), 1, "an answer may have been lost");
    world.sleep(HOUR).await;
    assert_eq!(world.ledgers().await, []);
}

/// Whoever may create ledgers, as a backup does, has no say in what becomes of mailboxes.
#[tokio::test(start_paused = true)]
async fn a_ledger_that_somebody_makes_up_hands_no_mailbox_back() {
    let world = usual().await;
    world.apply(&adopting(&json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.sleep(2).await;
    delete_sales(&world).await;
    let guid = view(&world).exchange_guid.to_string();
    let mut made_up = world.ledger().await;
    made_up.spec.people.clear();
    made_up.spec.seal = serde_json::from_value(json!({ "uid": "", "generation": 1 })).unwrap();
    let mut object = MailboxLedger::new("made-up", made_up.spec);
    object.metadata.annotations = Some([("sharedmailbox.dev/disown".to_owned(), guid)].into());
    let api: kube::Api<MailboxLedger> = kube::Api::all(world.client.clone());
    for is_alone in [false, true] {
        if is_alone {
            restore_ledgers(&world, &[]).await;
        }
        api.create(&kube::api::PostParams::default(), &object)
            .await
            .unwrap();
        world.sleep(3 * HOUR).await;
        assert!(view(&world).custom_attributes.contains_key(&15), "{is_alone}");
        assert_eq!(world.ledgers().await.len(), 1, "{is_alone}");
    }
}
