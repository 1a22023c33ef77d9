//! Somebody of the namespace who may patch status: it is memory and proves nothing.

use super::kit::*;
use serde_json::{Value, json};
use shared_mailbox_operator::api::SharedMailbox;
use simulator::{MailboxView, Seed, SeedUser};
use testkit::{World, mailbox, with};

const BOSS: &str = "boss@contoso.com";

/// A tenant with a mailbox of somebody else, and our own one.
async fn with_boss() -> (World, MailboxView) {
    let seed = Seed::contoso().with_user(SeedUser::shared_mailbox(BOSS, "Boss"));
    let world = world(seed, json!({})).await;
    settle(&world, &[FIRST]).await;
    let boss = world.tenant.mailbox(BOSS).unwrap();
    (world, boss)
}

async fn forge(world: &World, status: Value) {
    patch_status::<SharedMailbox>(world, "sales", status).await;
    annotate(world, "forged").await;
}

#[tokio::test(start_paused = true)]
async fn the_guid_of_somebody_elses_mailbox_leads_to_no_write() {
    let (world, boss) = with_boss().await;
    forge(
        &world,
        json!({ "mailboxGuid": boss.exchange_guid, "objectId": boss.object_id }),
    )
    .await;
    let object = world.wait_mailbox("sales", "False", "NotOurs").await;
    let message = stalled(&object, "NotOurs");
    says(
        &message,
        &[
            &boss.exchange_guid.to_string(),
            "no marker",
            "remove status.mailboxGuid",
        ],
    );
    let whole = serde_json::to_string(&object).unwrap();
    assert!(
        !whole.contains(BOSS),
        "whose mailbox it is stays unknown: {whole}"
    );
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    assert_eq!(world.tenant.mailbox(BOSS).unwrap(), boss);
    forge(&world, json!({ "mailboxGuid": null, "objectId": null })).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn a_forged_intent_does_not_make_a_mailbox_ours() {
    let (world, boss) = with_boss().await;
    let record = json!({ "format": 1, "intent": {
        "oneTimeName": "smo-0123456789abcdef0123456789abcdef", "alias": "boss", "address": BOSS,
        "at": "2026-11-22T08:00:00Z" } });
    forge(
        &world,
        json!({ "mailboxGuid": boss.exchange_guid, "record": record }),
    )
    .await;
    world.wait_mailbox("sales", "False", "NotOurs").await;
    assert_eq!(world.writes(), NOTHING);
    forge(&world, json!({ "mailboxGuid": null, "record": record })).await;
    world.sleep(INTERVAL).await;
    assert_eq!(world.tenant.mailbox(BOSS).unwrap(), boss);
    assert_eq!(sent(&world, "New-Mailbox"), 0);
}

#[tokio::test(start_paused = true)]
async fn another_accounts_id_does_not_hide_an_open_sign_in() {
    let (world, _) = with_boss().await;
    let blocked = world.tenant.object_id(SECOND).unwrap();
    world.tenant.set_account_enabled(SECOND, false).unwrap();
    world.tenant.set_account_enabled(SALES, true).unwrap();
    forge(&world, json!({ "objectId": blocked })).await;
    until(&world, "sign-in is blocked", || view(&world).account_disabled).await;
    assert_eq!(world.tenant.account_enabled(SECOND), Some(false));
    let object = world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(
        object.status.unwrap().object_id,
        Some(view(&world).object_id.to_string())
    );
}

#[tokio::test(start_paused = true)]
async fn another_accounts_id_is_never_written_to_through_graph() {
    let graph = json!({ "spec": { "signInControl": "Graph" } });
    let world = world(Seed::contoso(), graph).await;
    settle(&world, &[FIRST]).await;
    let victim = world.tenant.object_id(SECOND).unwrap();
    forge(&world, json!({ "objectId": victim })).await;
    world.sleep(INTERVAL).await;
    assert_eq!(world.tenant.account_enabled(SECOND), Some(true));
    assert_eq!(world.writes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn a_forged_tenant_stops_the_forgers_own_mailbox_only() {
    let (world, _) = with_boss().await;
    forge(
        &world,
        json!({ "tenantGuid": "99999999-2222-3333-4444-555555555555" }),
    )
    .await;
    let object = world.wait_mailbox("sales", "False", "TenantChanged").await;
    says(
        &stalled(&object, "TenantChanged"),
        &["99999999-2222-3333-4444-555555555555"],
    );
    assert_eq!(world.writes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn a_forged_record_reaches_no_further_than_the_forgers_own_mailbox() {
    let (world, boss) = with_boss().await;
    let third = json!({ "Identity": BOSS, "User": THIRD, "AccessRights": ["FullAccess"] });
    admin(&world, "Add-MailboxPermission", third);
    let grants = json!([{ "objectId": world.tenant.object_id(THIRD).unwrap(), "right": "FullAccess",
        "member": THIRD, "sid": world.tenant.sid(THIRD).unwrap() }]);
    forge(&world, json!({ "record": { "format": 1, "grants": grants } })).await;
    world.sleep(INTERVAL).await;
    let ours = view(&world).exchange_guid.to_string();
    for call in calls(&world, "Remove-MailboxPermission") {
        assert_eq!(call["Identity"], ours.as_str());
    }
    assert_eq!(world.tenant.mailbox(BOSS).unwrap().full_access.len(), 1);
    assert_eq!(boss.full_access.len(), 0);
    assert_eq!(
        view(&world).full_access.len(),
        1,
        "what is declared stays granted"
    );
}

#[tokio::test(start_paused = true)]
async fn forged_conditions_are_corrected_with_the_next_reconcile() {
    let (world, _) = with_boss().await;
    world
        .tenant
        .add_fault(simulator::FaultRule::always(simulator::Fault::Denied).on(&["Set-Mailbox"]));
    world.tenant.set_account_enabled(SALES, true).unwrap();
    look_now(&world).await;
    assert_eq!(
        testkit::condition(&world.mailbox("sales").await, "Ready")
            .unwrap()
            .status,
        "False"
    );
}

#[tokio::test(start_paused = true)]
async fn a_forged_claim_of_a_namespace_without_a_rule_keeps_nobody_from_an_address() {
    let world = World::start().await;
    make_namespace(&world, "team-squat").await;
    let elsewhere = json!({ "metadata": { "namespace": "team-squat" } });
    world.apply(&with(mailbox("squatter", SALES), &elsewhere)).await;
    wait_in(&world, "team-squat", "squatter", "False", "AccessDenied").await;
    let forged = json!({ "status": { "mailboxGuid": "44444444-4444-4444-8444-444444444444", "primaryAddress": SALES } });
    let api: kube::Api<SharedMailbox> = kube::Api::namespaced(world.client.clone(), "team-squat");
    let params = kube::api::PatchParams::default();
    api.patch_status("squatter", &params, &kube::api::Patch::Merge(forged))
        .await
        .unwrap();
    world.sleep(2).await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}
