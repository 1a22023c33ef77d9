//! Mailboxes that are lost, changed, released and taken up again.

use super::kit::*;
use serde_json::json;
use shared_mailbox_operator::api::{MailboxLedger, SharedMailbox};
use testkit::{World, condition, permission};

async fn times_reported(world: &World, reason: &str) -> usize {
    let reported = events_about(world, "sales").await;
    reported.iter().filter(|event| event.starts_with(reason)).count()
}

async fn until_deleted(world: &World) {
    let api = world.api::<SharedMailbox>();
    let gone = async || api.get_opt("sales").await.unwrap().is_none().then_some(());
    world.wait("the resource is gone", gone).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_mailbox_is_rechecked_and_never_created_again() {
    let world = sales_with(&[FIRST]).await;
    let guid = view(&world).exchange_guid.to_string();
    purge(&world, SALES);
    forget(&world);
    annotate(&world, "now").await;
    let object = world.wait_mailbox("sales", "False", "ConfirmingLoss").await;
    assert_eq!(condition(&object, "Reconciling").unwrap().status, "True");
    assert_eq!(condition(&object, "Stalled"), None);
    let started = world.server.now();
    let object = world.wait_mailbox("sales", "False", "MailboxGone").await;
    assert!(world.server.now().duration_since(started).as_secs() >= 240);
    says(
        &stalled(&object, "MailboxGone"),
        &[&guid, "restore", "sharedmailbox.dev/recreate="],
    );
    says(
        &condition(&world.permission("team").await, "Ready")
            .unwrap()
            .message,
        &["MailboxGone"],
    );
    world.sleep(6 * 3600).await;
    assert_eq!(world.writes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_is_restored_continues_as_before() {
    let world = sales_with(&[FIRST]).await;
    let guid = view(&world).exchange_guid;
    admin(&world, "Remove-Mailbox", json!({ "Identity": SALES }));
    world.wait_mailbox("sales", "False", "MailboxGone").await;
    assert_eq!(world.writes(), NOTHING);
    admin(
        &world,
        "Undo-SoftDeletedMailbox",
        json!({ "SoftDeletedObject": guid }),
    );
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn a_short_absence_is_no_loss() {
    let world = sales_with(&[FIRST]).await;
    let missing = simulator::Fault::ErrorInBody {
        exception: "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException".to_owned(),
        message: "The operation couldn't be performed because object 'x' couldn't be found.".to_owned(),
    };
    world
        .tenant
        .add_fault(simulator::FaultRule::next(3, missing).on(&["Get-Mailbox"]));
    annotate(&world, "now").await;
    world.wait_mailbox("sales", "False", "ConfirmingLoss").await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(world.writes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_became_a_persons_is_not_written_to() {
    let world = sales_with(&[FIRST]).await;
    admin(
        &world,
        "Set-Mailbox",
        json!({ "Identity": SALES, "Type": "Regular" }),
    );
    world.tenant.set_account_enabled(SALES, true).unwrap();
    world.apply(&team(&[SECOND])).await;
    let object = world.wait_mailbox("sales", "False", "NotSharedMailbox").await;
    says(
        &stalled(&object, "NotSharedMailbox"),
        &["UserMailbox", "-Type Shared", "nothing is written"],
    );
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    assert!(!view(&world).account_disabled, "a person works with it");
    admin(
        &world,
        "Set-Mailbox",
        json!({ "Identity": SALES, "Type": "Shared" }),
    );
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert!(view(&world).account_disabled);
}

#[tokio::test(start_paused = true)]
async fn a_marker_that_was_taken_away_or_overwritten_ends_our_ownership() {
    for text in ["", "cost centre 4711"] {
        let world = sales_with(&[FIRST]).await;
        admin(
            &world,
            "Set-Mailbox",
            json!({ "Identity": SALES, "CustomAttribute15": text, "DisplayName": "Theirs" }),
        );
        forget(&world);
        let object = world.wait_mailbox("sales", "False", "NotOurs").await;
        says(
            &stalled(&object, "NotOurs"),
            &["not ours", "nothing is written", "Put the marker attribute back"],
        );
        world.apply(&team(&[])).await;
        world.sleep(INTERVAL).await;
        assert_eq!(world.writes(), NOTHING);
        assert_eq!(
            view(&world).custom_attributes.get(&15).map_or("", String::as_str),
            text
        );
    }
}

#[tokio::test(start_paused = true)]
async fn deleting_keeps_everything_and_calls_nobody() {
    let world = sales_with(&[FIRST]).await;
    let before = view(&world);
    world.delete_mailbox("sales").await;
    until_deleted(&world).await;
    world.delete_permission("team").await;
    world.sleep(INTERVAL).await;
    assert_eq!(view(&world), before);
    assert_eq!(world.writes(), NOTHING);
    let calls = world.reads();
    assert!(
        leftovers_are_unseen() || !calls.iter().any(|call| call.contains("Mailbox")),
        "{calls:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn deleting_needs_neither_tenant_nor_exchange() {
    let world = sales_with(&[FIRST]).await;
    world.tenant.add_fault(outage());
    delete_tenant(&world, "default").await;
    delete_secret(&world).await;
    world.delete_mailbox("sales").await;
    until_deleted(&world).await;
}

#[tokio::test(start_paused = true)]
async fn deleted_and_applied_again_it_is_the_same_mailbox() {
    let world = sales_with(&[FIRST, SECOND]).await;
    let before = view(&world);
    world.delete_mailbox("sales").await;
    until_deleted(&world).await;
    world.apply(&sales(json!({}))).await;
    let object = world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
    assert_eq!(
        world.writes(),
        ["Set-Mailbox"],
        "the new uid goes into the marker"
    );
    let after = view(&world);
    assert_eq!(after.exchange_guid, before.exchange_guid);
    assert_eq!((after.full_access.len(), after.send_as.len()), (2, 2));
    assert!(after.custom_attributes[&15].contains(object.metadata.uid.as_deref().unwrap()));
    assert_eq!(times_reported(&world, "Reattached: ").await, 1);
    world.apply(&team(&[FIRST])).await;
    until(&world, "the second member is revoked", || {
        view(&world).send_as.len() == 1
    })
    .await;
    until(&world, "the second member is revoked", || {
        view(&world).full_access.len() == 1
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_observed_is_taken_up_without_a_word() {
    let world = sales_with(&[FIRST]).await;
    world.delete_mailbox("sales").await;
    until_deleted(&world).await;
    world.apply(&sales(json!({ "management": "Observe" }))).await;
    let object = sales_drifts(&world).await;
    says(&drift_of(&object), &["mark the mailbox as ours"]);
    world.sleep(5 * INTERVAL).await;
    assert_eq!(
        times_reported(&world, "Reattached: ").await,
        0,
        "nothing was taken up"
    );
    assert_eq!(world.writes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn another_resource_does_not_take_a_mailbox_up() {
    let world = sales_with(&[FIRST]).await;
    world.delete_mailbox("sales").await;
    until_deleted(&world).await;
    world.apply(&testkit::mailbox("vendite", SALES)).await;
    let object = world
        .wait_mailbox("vendite", "False", "AddressHeldByRetained")
        .await;
    says(
        &stalled(&object, "AddressHeldByRetained"),
        &[
            SALES,
            "the SharedMailbox \"sales\" of this namespace, which is gone",
            "apply that one again",
        ],
    );
    assert_eq!(world.writes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn a_lost_ledger_is_begun_anew_from_the_marker_and_revokes_nobody() {
    let mut world = sales_with(&[FIRST]).await;
    admin(
        &world,
        "Add-MailboxPermission",
        json!({ "Identity": SALES, "User": THIRD, "AccessRights": ["FullAccess"] }),
    );
    world
        .apply(&permission("more", "sales", &[SECOND], &["SendAs"]))
        .await;
    world.wait_permission("more", "True", "Granted").await;
    let before = view(&world);
    world.crash_operator().await;
    forget(&world);
    lose_ledgers(&world).await;
    world.delete_permission("more").await;
    world.start_operator();
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    assert_eq!(view(&world), before);
    assert_eq!(times_reported(&world, "MemoryLost: ").await, 1);
    let status = world.mailbox("sales").await.status.unwrap();
    assert_eq!(
        status.foreign_grants,
        Some(2),
        "grants that nobody remembers are foreign"
    );
    assert_eq!(status.mailbox_guid, Some(before.exchange_guid.to_string()));
    world.apply(&team(&[])).await;
    until(&world, "what is declared is ours again", || {
        view(&world).full_access.len() == 1
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_ledger_and_another_address_together_lead_to_the_same_mailbox() {
    let mut world = sales_with(&[FIRST]).await;
    let before = view(&world);
    world.crash_operator().await;
    forget(&world);
    lose_ledgers(&world).await;
    world
        .apply(&sales(json!({ "emailAddress": "emea@contoso.com" })))
        .await;
    world.start_operator();
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(world.writes(), ["Set-Mailbox"], "the marker says which one it is");
    let after = world.tenant.mailbox("emea@contoso.com").unwrap();
    assert_eq!(after.exchange_guid, before.exchange_guid);
}

async fn lose_ledgers(world: &World) {
    let api: kube::Api<MailboxLedger> = kube::Api::all(world.client.clone());
    for ledger in world.ledgers().await {
        let name = ledger.metadata.name.unwrap();
        api.delete(&name, &kube::api::DeleteParams::default())
            .await
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_ledger_of_an_unknown_format_stops_its_mailbox_and_says_what_to_do() {
    let world = sales_with(&[FIRST]).await;
    let whole = world.ledger().await;
    patch_ledger(&world, json!({ "format": 2 })).await;
    world.apply(&team(&[])).await;
    let object = world.wait_mailbox("sales", "False", "LedgerUnreadable").await;
    says(
        &stalled(&object, "LedgerUnreadable"),
        &[
            "MailboxLedger",
            "Start the version",
            "sharedmailbox.dev/forget-serving=",
        ],
    );
    assert_eq!(world.writes(), NOTHING);
    assert_eq!(view(&world).full_access.len(), 1, "nobody loses anything by it");
    patch_ledger(&world, serde_json::to_value(&whole.spec).unwrap()).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.sleep(3600 + INTERVAL).await;
    assert_eq!(
        view(&world).full_access.len(),
        0,
        "what was edited is believed after an hour"
    );
}
