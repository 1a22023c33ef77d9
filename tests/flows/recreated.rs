//! What becomes of a lost mailbox, and of what is remembered of it, after another was created in its place.

use super::kit::*;
use super::remembered::*;
use jiff::SignedDuration;
use kube::ResourceExt;
use serde_json::{Value, json};
use shared_mailbox_operator::api::MailboxLedger;
use testkit::{World, mailbox, with};

const NEW: &str = "verkauf@contoso.com";

/// The manifest that asks for a mailbox in place of the lost one, under another address: deleted ones keep theirs.
fn asking(lost: &str) -> Value {
    let asked = json!({ "metadata": { "annotations": { "sharedmailbox.dev/recreate": lost } } });
    with(sales(json!({ "emailAddress": NEW })), &asked)
}

/// `sales` was lost, and another one is in its place. The GUID of the lost one.
async fn recreated(world: &World) -> String {
    let lost = view(world).exchange_guid.to_string();
    admin(world, "Remove-Mailbox", json!({ "Identity": SALES }));
    world.wait_mailbox("sales", "False", "MailboxGone").await;
    world.apply(&asking(&lost)).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    lost
}

async fn ledger_of(world: &World, guid: &str) -> Option<MailboxLedger> {
    let all = world.ledgers().await;
    all.into_iter().find(|ledger| {
        let mailbox = ledger.spec.mailbox.as_ref();
        mailbox.is_some_and(|mailbox| mailbox.guid.to_string() == guid)
    })
}

#[tokio::test(start_paused = true)]
async fn a_lost_mailbox_is_forgotten_after_90_days_although_another_is_in_its_place() {
    let world = sales_with(&[FIRST]).await;
    let lost = recreated(&world).await;
    for (days, is_kept) in [(88, true), (91, false)] {
        let gone = world.server.now() - SignedDuration::from_hours(days * 24);
        let name = ledger_of(&world, &lost).await.unwrap().name_any();
        patch_ledger_named(&world, &name, json!({ "goneAt": gone })).await;
        world.sleep(26 * HOUR).await;
        assert_eq!(ledger_of(&world, &lost).await.is_some(), is_kept, "{days}");
    }
    assert_eq!(world.ledger().await.spec.shown.state, "Serving");
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_mailbox_that_comes_back_beside_its_successor_is_kept_as_without_a_resource() {
    let world = sales_with(&[FIRST]).await;
    let end = world.server.now() + SignedDuration::from_hours(40);
    guest_until(&world, end).await;
    let lost = recreated(&world).await;
    admin(
        &world,
        "Undo-SoftDeletedMailbox",
        json!({ "SoftDeletedObject": lost }),
    );
    world.sleep(26 * HOUR).await;
    let old = ledger_of(&world, &lost).await.unwrap();
    assert_eq!(old.spec.shown.state, "Released");
    assert_eq!(holders(&world), held(1, 2), "as it was");
    stays_quiet(&world, std::time::Duration::from_secs(2 * HOUR)).await;
    depart(&world, FIRST).await;
    until(&world, "who has left holds nothing", || {
        holders(&world) == held(0, 1)
    })
    .await;
    world.sleep(15 * HOUR).await;
    assert_eq!(holders(&world), held(0, 0), "the end has come");
    // The other one is the resource's, now and when it comes back.
    let own = world.tenant.mailbox(NEW).unwrap();
    delete_sales(&world).await;
    world.apply(&sales(json!({ "emailAddress": NEW }))).await;
    let object = world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(
        object.status.unwrap().mailbox_guid,
        Some(own.exchange_guid.to_string())
    );
    assert_eq!(world.ledgers().await.len(), 2);
    world.sleep(2 * HOUR).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.apply(&mailbox("vendite", SALES)).await;
    let held = world
        .wait_mailbox("vendite", "False", "AddressHeldByRetained")
        .await;
    assert!(held.status.unwrap().mailbox_guid.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_lost_mailbox_that_comes_back_does_not_take_the_place_of_one_whose_resource_is_gone() {
    let world = sales_with(&[FIRST]).await;
    let lost = recreated(&world).await;
    let own = world.tenant.mailbox(NEW).unwrap().exchange_guid;
    world.delete_mailbox("sales").await;
    world.sleep(60).await;
    admin(
        &world,
        "Undo-SoftDeletedMailbox",
        json!({ "SoftDeletedObject": lost }),
    );
    depart(&world, FIRST).await;
    until(&world, "who has left holds nothing", || {
        holders(&world) == held(0, 0)
    })
    .await;
    world.sleep(26 * HOUR).await;
    world.apply(&sales(json!({ "emailAddress": NEW }))).await;
    let object = world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(object.status.unwrap().mailbox_guid, Some(own.to_string()));
    assert_eq!(world.ledgers().await.len(), 2);
}
