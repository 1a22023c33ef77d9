//! Somebody of the namespace who may patch status: it is a report, and what they write there changes nothing.

use super::kit::*;
use serde_json::{Value, json};
use shared_mailbox_operator::api::{MailboxPermission, SharedMailbox};
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
async fn whatever_is_forged_in_a_status_changes_nothing_and_is_corrected() {
    let forgeries = |boss: &MailboxView| {
        [
            json!({ "mailboxGuid": boss.exchange_guid, "objectId": boss.object_id }),
            json!({ "mailboxGuid": null, "objectId": null, "primaryAddress": null }),
            json!({ "tenantGuid": "99999999-2222-3333-4444-555555555555" }),
            json!({ "lastHandledOrphanRemoval": "now", "observedGeneration": 4711 }),
            json!({ "conditions": [], "memberSummary": "99" }),
        ]
    };
    let (world, boss) = with_boss().await;
    let before = world.mailbox("sales").await.status.unwrap();
    for forged in forgeries(&boss) {
        forge(&world, forged.clone()).await;
        world.sleep(INTERVAL).await;
        assert_eq!(world.writes(), NOTHING, "{forged}");
        let after = world
            .wait_mailbox("sales", "True", "UpToDate")
            .await
            .status
            .unwrap();
        assert_eq!(
            (
                &after.mailbox_guid,
                &after.object_id,
                &after.tenant_guid,
                &after.primary_address
            ),
            (
                &before.mailbox_guid,
                &before.object_id,
                &before.tenant_guid,
                &before.primary_address
            ),
            "{forged}"
        );
        assert_eq!(after.member_summary, before.member_summary, "{forged}");
    }
    assert_eq!(world.tenant.mailbox(BOSS).unwrap(), boss);
}

#[tokio::test(start_paused = true)]
async fn a_forged_status_of_a_paused_mailbox_is_corrected_without_any_change() {
    let (world, _) = with_boss().await;
    world.apply(&sales(json!({ "management": "Paused" }))).await;
    world.wait_mailbox("sales", "Unknown", "Paused").await;
    forget(&world);
    let ready = json!({ "type": "Ready", "status": "True", "reason": "UpToDate", "message": "",
                        "lastTransitionTime": "2026-11-22T09:00:00Z" });
    patch_status::<SharedMailbox>(&world, "sales", json!({ "conditions": [ready] })).await;
    world.sleep(INTERVAL + 60).await;
    world.wait_mailbox("sales", "Unknown", "Paused").await;
    assert_eq!(world.writes(), NOTHING);
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
async fn while_the_mailbox_cannot_be_read_another_accounts_id_says_nothing_of_its_sign_in() {
    let (mut world, _) = with_boss().await;
    let open = world.tenant.object_id(SECOND).unwrap();
    let rule = simulator::FaultRule {
        cmdlets: vec!["Get-Mailbox".to_owned()],
        ..outage()
    };
    world.tenant.add_fault(rule);
    forge(&world, json!({ "objectId": open })).await;
    // What a process has seen before is no help either.
    world.stop_operator().await;
    world.start_operator();
    world.sleep(2 * INTERVAL).await;
    let mailbox = world.mailbox("sales").await;
    let sign_in = testkit::condition(&mailbox, "SignInBlocked").unwrap();
    assert_eq!(sign_in.status, "True", "{}", sign_in.message);
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
async fn forged_conditions_are_corrected_with_the_next_reconcile() {
    let (world, _) = with_boss().await;
    let renamed = json!({ "Identity": SALES, "DisplayName": "Vendite" });
    admin(&world, "Set-Mailbox", renamed);
    world
        .tenant
        .add_fault(simulator::FaultRule::always(simulator::Fault::Denied).on(&["Set-Mailbox"]));
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

/// Of two permissions the status of one says that it has ended.
#[tokio::test(start_paused = true)]
async fn a_forged_end_puts_no_end_off() {
    let daily = json!({ "spec": { "drift": { "interval": "24h", "fullAccessInterval": "24h" } } });
    let world = world(Seed::contoso(), daily).await;
    settle(&world, &[FIRST]).await;
    let end = world.server.now() + jiff::SignedDuration::from_hours(2);
    let ends = json!({ "spec": { "expiresAt": format!("{end:.0}") } });
    let guest = testkit::permission("guest", "sales", &[SECOND], &["SendAs"]);
    world.apply(&with(guest, &ends)).await;
    world.wait_permission("guest", "True", "Granted").await;
    world.sleep(60).await;
    patch_status::<MailboxPermission>(&world, "guest", json!({ "summary": "Expired" })).await;
    world.sleep(2 * 3600).await;
    let second = world.tenant.object_id(SECOND).unwrap();
    assert!(
        !view(&world).send_as.contains(&second),
        "the end comes when it comes"
    );
    world.wait_permission("guest", "True", "Expired").await;
}

#[tokio::test(start_paused = true)]
async fn nobody_is_listed_as_revoked_under_a_name_that_somebody_wrote_into_a_status() {
    let world = sales_with(&[FIRST, SECOND]).await;
    world.apply(&team(&[FIRST])).await;
    until(&world, "the second member is revoked", || {
        view(&world).send_as.len() == 1
    })
    .await;
    world.sleep(3600).await;
    // Whatever is written next, the ledger has forgotten the name.
    world.apply(&team(&[FIRST, "third.member@contoso.com"])).await;
    world.sleep(60).await;
    let mut revoked = serde_json::to_value(world.mailbox("sales").await.status.unwrap()).unwrap();
    let list = revoked["revoked"].as_array_mut().unwrap();
    assert!(!list.is_empty());
    for entry in list.iter_mut() {
        entry["address"] = json!("chief@contoso.com");
        entry["revokedAt"] = json!("2036-11-22T09:00:00Z");
    }
    forge(&world, json!({ "revoked": list })).await;
    world.sleep(INTERVAL).await;
    for entry in world.mailbox("sales").await.status.unwrap().revoked {
        assert_eq!(entry.address, SECOND);
        assert!(entry.revoked_at.0 <= world.server.now());
    }
}
