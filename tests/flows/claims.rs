//! Several resources that want one address, and resources that don't fit together.

use super::kit::*;
use serde_json::{Value, json};
use simulator::Seed;
use testkit::{World, mailbox, permission, with};

#[tokio::test(start_paused = true)]
async fn of_two_resources_with_one_address_the_older_wins_and_is_named_in_its_own_namespace() {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    forget(&world);
    world
        .apply(&with(
            mailbox("copy", "copy@contoso.com"),
            &json!({ "spec": { "aliases": [SALES] } }),
        ))
        .await;
    let copy = world.wait_mailbox("copy", "False", "AddressClaimed").await;
    says(
        &stalled(&copy, "AddressClaimed"),
        &[SALES, "SharedMailbox \"sales\" of this namespace"],
    );
    assert_eq!(world.writes(), NOTHING);
    world
        .apply(&sales(json!({ "emailAddress": "vendite@contoso.com" })))
        .await;
    let copy = world.wait_mailbox("copy", "False", "AddressInUse").await;
    says(&stalled(&copy, "AddressInUse"), &[SALES]);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_was_only_asked_for_is_shown_without_a_mailbox() {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.apply(&mailbox("copy", SALES)).await;
    let copy = world.wait_mailbox("copy", "False", "AddressClaimed").await;
    let status = copy.status.unwrap();
    assert_eq!(
        (status.primary_address.as_deref(), status.mailbox_guid),
        (Some(SALES), None)
    );
    world.sleep(INTERVAL).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_mailbox("copy", "False", "AddressClaimed").await;
}

fn two_teams() -> Value {
    json!({ "spec": { "access": [{
        "namespaces": { "names": ["team-sales", "team-secret"] }, "addresses": ["*@contoso.com"],
        "members": ["*@contoso.com"], "rights": ["FullAccess"] }] } })
}

#[tokio::test(start_paused = true)]
async fn the_holder_in_another_namespace_is_not_named() {
    let world = world(Seed::contoso(), two_teams()).await;
    make_namespace(&world, "team-secret").await;
    let hidden = json!({ "metadata": { "namespace": "team-secret" } });
    world.apply(&with(mailbox("project-x", SALES), &hidden)).await;
    wait_in(&world, "team-secret", "project-x", "True", "UpToDate").await;
    forget(&world);
    world.apply(&sales(json!({}))).await;
    sales_is_refused(&world, "AddressClaimed", &[SALES, "another namespace"]).await;
    let whole = serde_json::to_string(&world.mailbox("sales").await).unwrap();
    assert!(
        !whole.contains("team-secret") && !whole.contains("project-x"),
        "{whole}"
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_squats_an_address_that_no_rule_gives_them() {
    let world = World::start().await;
    make_namespace(&world, "team-squat").await;
    let elsewhere = json!({ "metadata": { "namespace": "team-squat" } });
    world.apply(&with(mailbox("squatter", SALES), &elsewhere)).await;
    wait_in(&world, "team-squat", "squatter", "False", "AccessDenied").await;
    world.sleep(2).await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn a_permission_for_another_tenant_than_its_mailboxs_grants_nothing() {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    let elsewhere = json!({ "spec": { "tenantRef": { "name": "other" } } });
    world
        .apply(&with(
            permission("team", "sales", &[FIRST], &["SendAs"]),
            &elsewhere,
        ))
        .await;
    let team = world.wait_permission("team", "False", "MembersRefused").await;
    says(
        &member_message(&team, FIRST),
        &["TenantMismatch", "spec.tenantRef"],
    );
    assert!(view(&world).send_as.is_empty());
}

#[tokio::test(start_paused = true)]
async fn whoever_may_have_no_more_mailboxes_keeps_nobody_from_an_address() {
    let rule = |namespace: &str, most: usize| {
        json!({ "namespaces": { "names": [namespace] }, "addresses": ["*@contoso.com"],
            "members": ["*@contoso.com"], "rights": ["FullAccess"], "maxMailboxes": most })
    };
    let rules = json!({ "spec": { "access": [rule("team-sales", 10), rule("team-secret", 1)] } });
    let world = world(Seed::contoso(), rules).await;
    make_namespace(&world, "team-secret").await;
    let theirs = json!({ "metadata": { "namespace": "team-secret" } });
    world
        .apply(&with(mailbox("only", "only@contoso.com"), &theirs))
        .await;
    wait_in(&world, "team-secret", "only", "True", "UpToDate").await;
    world.apply(&with(mailbox("squats", SALES), &theirs)).await;
    wait_in(&world, "team-secret", "squats", "False", "AccessDenied").await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_was_kept_counts_for_its_namespace_whatever_the_tenant_is_called_now() {
    let limited = json!({ "spec": { "access": [{
        "namespaces": { "names": ["team-sales"] }, "addresses": ["*@contoso.com"], "maxMailboxes": 1 }] } });
    let world = world(Seed::contoso(), limited.clone()).await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.delete_mailbox("sales").await;
    world.sleep(60).await;
    delete_tenant(&world, "default").await;
    world.sleep(60).await;
    let renamed = json!({ "metadata": { "name": "prod" } });
    world
        .apply(&with(with(testkit::tenant(), &limited), &renamed))
        .await;
    let elsewhere = json!({ "spec": { "tenantRef": { "name": "prod" } } });
    world
        .apply(&with(mailbox("info", "info@contoso.com"), &elsewhere))
        .await;
    let object = world.wait_mailbox("info", "False", "AccessDenied").await;
    says(&stalled(&object, "AccessDenied"), &["its 1 mailbox already"]);
}
