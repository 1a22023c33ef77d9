//! Connections that are refused: the ExchangeTenant says what to do, mailboxes repeat it, nothing is written.

use super::kit::*;
use serde_json::{Value, json};
use shared_mailbox_operator::api::ExchangeTenant;
use simulator::Seed;
use testkit::{World, condition, mailbox, tenant, with};
use uuid::Uuid;

const OTHER_TENANT: &str = "99999999-2222-3333-4444-555555555555";

fn reported(object: &ExchangeTenant, reason: &str, parts: &[&str]) {
    says(&stalled(object, reason), parts);
    assert_eq!(object.status.as_ref().unwrap().summary.as_deref(), Some(reason));
}

/// `sales` repeats why its tenant can't be used.
async fn sales_waits(world: &World, parts: &[&str]) {
    world.apply(&sales(json!({}))).await;
    sales_is_refused(world, "TenantNotReady", parts).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_cannot_work_says_what_to_change() {
    for (change, reason, parts) in [
        (
            json!({ "tenantId": OTHER_TENANT }),
            "TenantUnknown",
            ["spec.tenantId", OTHER_TENANT],
        ),
        (
            json!({ "credentials": { "clientId": OTHER_TENANT } }),
            "AppUnknown",
            ["spec.credentials.clientId", "AADSTS700016"],
        ),
        (
            json!({ "credentials": { "clientSecretRef": { "name": "missing" } } }),
            "SecretNotFound",
            ["shared-mailbox-system/missing", "create it"],
        ),
        (
            json!({ "credentials": { "clientSecretRef": { "key": "password" } } }),
            "SecretKeyNotFound",
            ["shared-mailbox-system/exchange-credentials", "\"password\""],
        ),
        (
            json!({ "endpoints": { "exchange": "https://evil.example" } }),
            "EndpointNotAllowed",
            [
                "spec.endpoints.exchange",
                "--allow-endpoint-overrides=evil.example",
            ],
        ),
    ] {
        let world = world(Seed::contoso(), json!({ "spec": change })).await;
        let object = world.wait_tenant("False", reason).await;
        reported(&object, reason, &parts);
        sales_waits(&world, &parts).await;
        let everything = world.dump().await;
        assert!(!everything.contains("simulated-secret"), "{everything}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_api_server_refuses_a_tenant_id_that_is_no_guid() {
    let world = World::without_operator(Seed::contoso()).await;
    let manifest = with(tenant(), &json!({ "spec": { "tenantId": "contoso.com" } }));
    let error = world.try_apply(&manifest).await.unwrap_err().to_string();
    assert!(error.contains("spec.tenantId"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_secret_is_reported_once_and_the_right_one_is_picked_up() {
    let mut world = World::without_operator(Seed::contoso()).await;
    set_secret(&world, json!({ "clientSecret": "hunter2" })).await;
    world.apply(&tenant()).await;
    world.start_operator();
    let object = world.wait_tenant("False", "ClientSecretWrong").await;
    reported(
        &object,
        "ClientSecretWrong",
        &["its value, not its id", "AADSTS7000215"],
    );
    assert_eq!(condition(&object, "Authenticated").unwrap().status, "False");
    sales_waits(&world, &["AADSTS7000215"]).await;
    world.sleep(5).await;
    world.server.forget_requests();
    world.sleep(3600).await;
    let writes = (world.kubernetes_writes(), world.tenant_status_writes());
    assert_eq!(writes, (vec![], 0), "an unchanged refusal is no news");
    assert!(!world.dump().await.contains("hunter2"));
    set_secret(&world, json!({ "clientSecret": "simulated-secret" })).await;
    world.wait_tenant("True", "Connected").await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn an_app_without_its_roles_is_reported_with_their_names() {
    for (app_role, directory_role, reason, part) in [
        (false, true, "ConsentMissing", "admin consent"),
        (true, false, "NotAuthorized", "Exchange Recipient Administrator"),
    ] {
        let mut world = World::without_operator(Seed::contoso()).await;
        world.tenant.set_exchange_app_role(app_role);
        world.tenant.set_directory_role(directory_role);
        world.apply(&tenant()).await;
        world.start_operator();
        let object = world.wait_tenant("False", reason).await;
        reported(&object, reason, &["Exchange.ManageAsApp", part]);
        assert_eq!(condition(&object, "Authenticated").unwrap().status, "True");
        sales_waits(&world, &["Exchange.ManageAsApp", part]).await;
        world.sleep(5).await;
        stays_quiet(&world, std::time::Duration::from_hours(1)).await;
        world.tenant.set_exchange_app_role(true);
        world.tenant.set_directory_role(true);
        world.wait_tenant("True", "Connected").await;
        world.wait_mailbox("sales", "True", "UpToDate").await;
    }
}

#[tokio::test(start_paused = true)]
async fn roles_that_are_withdrawn_later_lead_to_no_write_and_come_back() {
    let world = sales_with(&[FIRST]).await;
    world.tenant.set_directory_role(false);
    world.wait_tenant("False", "NotAuthorized").await;
    world.apply(&sales(json!({ "displayName": "New" }))).await;
    world.sleep(INTERVAL).await;
    let changed = world.tenant.journal().iter().any(|entry| entry.changed);
    assert!(!changed);
    world.tenant.set_directory_role(true);
    world.wait_tenant("True", "Connected").await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(view(&world).display_name, "New");
}

#[tokio::test(start_paused = true)]
async fn a_missing_tenant_object_is_named_and_waited_for() {
    let mut world = World::without_operator(Seed::contoso()).await;
    world.start_operator();
    world.apply(&sales(json!({}))).await;
    sales_is_refused(&world, "TenantNotFound", &["spec.tenantRef.name", "\"default\""]).await;
    assert_eq!(asked(&world), 0);
    world.apply(&tenant()).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_secret_is_picked_up_when_it_is_created() {
    let mut world = World::without_operator(Seed::contoso()).await;
    delete_secret(&world).await;
    world.apply(&tenant()).await;
    world.start_operator();
    world.wait_tenant("False", "SecretNotFound").await;
    sales_waits(
        &world,
        &["shared-mailbox-system/exchange-credentials", "create it"],
    )
    .await;
    set_secret(&world, json!({ "other": "x" })).await;
    world.wait_tenant("False", "SecretKeyNotFound").await;
    set_secret(&world, json!({ "clientSecret": "simulated-secret" })).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn of_two_resources_for_one_tenant_the_first_serves() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    world.sleep(2).await;
    world
        .apply(&with(tenant(), &json!({ "metadata": { "name": "second" } })))
        .await;
    let second = wait_tenant_named(&world, "second", "False", "DuplicateTenant").await;
    reported(
        &second,
        "DuplicateTenant",
        &["\"default\"", "same tenant", "keep one"],
    );
    let through_second = json!({ "spec": { "tenantRef": { "name": "second" } } });
    world.apply(&with(mailbox("sales", SALES), &through_second)).await;
    sales_is_refused(&world, "TenantNotReady", &["\"second\"", "\"default\""]).await;
    delete_tenant(&world, "default").await;
    wait_tenant_named(&world, "second", "True", "Connected").await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn credentials_that_lead_to_another_tenant_stop_everything() {
    let world = sales_with(&[FIRST]).await;
    let other: Uuid = OTHER_TENANT.parse().unwrap();
    world.tenant.set_tenant_id(other);
    world.tenant.revoke_tokens();
    // To the operator this seems as if everything it knew were gone.
    purge(&world, SALES);
    forget(&world);
    world.apply(&mailbox("new", "new@contoso.com")).await;
    let object = world.wait_tenant("False", "TenantChanged").await;
    reported(
        &object,
        "TenantChanged",
        &[
            "11111111-2222-3333-4444-555555555555",
            OTHER_TENANT,
            "nothing is written",
        ],
    );
    world.wait_mailbox("new", "False", "TenantNotReady").await;
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    assert_eq!(
        condition(&world.mailbox("sales").await, "Ready").unwrap().reason,
        "UpToDate"
    );
}

fn other_tenant() -> Value {
    with(tenant(), &json!({ "spec": { "tenantId": OTHER_TENANT } }))
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_stays_pinned_to_the_tenant_in_which_it_was_created() {
    let world = sales_with(&[FIRST]).await;
    delete_tenant(&world, "default").await;
    world.wait_mailbox("sales", "False", "TenantNotFound").await;
    world.tenant.set_tenant_id(OTHER_TENANT.parse().unwrap());
    world.apply(&other_tenant()).await;
    let object = world.wait_mailbox("sales", "False", "TenantChanged").await;
    says(
        &stalled(&object, "TenantChanged"),
        &[
            "11111111-2222-3333-4444-555555555555",
            OTHER_TENANT,
            "nothing is written",
        ],
    );
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    delete_tenant(&world, "default").await;
    world
        .tenant
        .set_tenant_id("11111111-2222-3333-4444-555555555555".parse().unwrap());
    world.apply(&tenant()).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(world.writes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn the_tenants_id_cannot_be_edited() {
    let world = World::start().await;
    let error = world.try_apply(&other_tenant()).await.unwrap_err().to_string();
    assert!(error.contains("tenantId can't be changed"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_forged_tenant_in_a_status_stops_nothing_and_is_corrected() {
    let world = sales_with(&[FIRST]).await;
    let api: kube::Api<shared_mailbox_operator::api::ExchangeTenant> = kube::Api::all(world.client.clone());
    for forged in [json!(OTHER_TENANT), json!(null)] {
        let status = json!({ "status": { "tenantGuid": forged } });
        let params = kube::api::PatchParams::default();
        api.patch_status("default", &params, &kube::api::Patch::Merge(status))
            .await
            .unwrap();
        let spec = json!({ "spec": { "departed": [SECOND] } });
        world.apply(&with(tenant(), &spec)).await;
        world.apply(&tenant()).await;
        world.sleep(INTERVAL).await;
        let object = world.wait_tenant("True", "Connected").await;
        let shown = object.status.unwrap().tenant_guid.unwrap();
        assert_eq!(shown, "11111111-2222-3333-4444-555555555555");
        world.tenant.set_account_enabled(SALES, true).unwrap();
        until(&world, "sign-in is blocked", || view(&world).account_disabled).await;
    }
}
