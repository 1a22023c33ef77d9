//! What was refused is taken up by itself once the cause is gone.

use super::kit::*;
use serde_json::json;
use simulator::{GroupKind, Seed, SeedGroup, SeedUser};
use testkit::{World, condition, mailbox, tenant, with};

#[tokio::test(start_paused = true)]
async fn a_rule_that_is_added_admits_at_once() {
    let world = world(Seed::contoso(), json!({ "spec": { "access": [] } })).await;
    world.apply(&sales(json!({}))).await;
    world.apply(&team(&[FIRST])).await;
    world.wait_mailbox("sales", "False", "AccessDenied").await;
    let before = world.server.now();
    world.apply(&tenant()).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
    assert!(world.server.now().duration_since(before).as_secs() < 10);
}

#[tokio::test(start_paused = true)]
async fn a_member_who_joins_the_company_is_granted_soon_the_sooner_after_they_were_declared() {
    for (waits, patience) in [(5, 35), (120, 150), (2 * INTERVAL, INTERVAL)] {
        let world = World::start().await;
        world.apply(&sales(json!({}))).await;
        world.apply(&team(&[FIRST, "new.hire@contoso.com"])).await;
        world.wait_permission("team", "False", "PartiallyGranted").await;
        world.sleep(waits).await;
        let hire = SeedUser::person("new.hire@contoso.com", "New Hire");
        let hire = world.tenant.add_user(&hire);
        world.sleep(patience).await;
        assert!(
            view(&world).send_as.contains(&hire),
            "{waits} s after they were declared"
        );
        let team = world.wait_permission("team", "True", "Granted").await;
        assert_eq!(condition(&team, "Stalled"), None);
        assert_eq!(view(&world).full_access.len(), 2);
        let mailbox = world.mailbox("sales").await;
        assert_eq!(condition(&mailbox, "PermissionsSynced").unwrap().status, "True");
    }
}

#[tokio::test(start_paused = true)]
async fn somebody_who_never_comes_is_looked_up_less_and_less() {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    world.apply(&team(&[FIRST, "new.hire@contoso.com"])).await;
    world.wait_permission("team", "False", "PartiallyGranted").await;
    forget(&world);
    world.sleep(6 * INTERVAL).await;
    let reads = sent(&world, "Get-Mailbox");
    assert!((6..=12).contains(&reads), "{reads} reads in six intervals");
    assert_eq!(world.writes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_becomes_mail_enabled_is_granted() {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    let group = json!({ "spec": { "members": [{ "group": "plain-group@contoso.com" }] } });
    world.apply(&with(team(&[]), &group)).await;
    world.wait_permission("team", "False", "MembersRefused").await;
    world.tenant.delete_user("plain-group").unwrap();
    let enabled = SeedGroup::new(
        "plain-group@contoso.com",
        "Group",
        GroupKind::MailEnabledSecurity,
        &[],
    );
    world.tenant.add_group(&enabled);
    world.wait_permission("team", "True", "Granted").await;
}

#[tokio::test(start_paused = true)]
async fn an_address_that_gets_free_is_taken() {
    let world = world(
        Seed::contoso().with_user(SeedUser::person(SALES, "Person")),
        json!({}),
    )
    .await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "False", "AddressInUse").await;
    purge(&world, SALES);
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn an_address_that_a_sibling_gives_up_is_taken_at_once() {
    let world = World::start().await;
    world
        .apply(&with(
            mailbox("older", "older@contoso.com"),
            &json!({ "spec": { "aliases": [SALES] } }),
        ))
        .await;
    world.wait_mailbox("older", "True", "UpToDate").await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "False", "AddressClaimed").await;
    world.apply(&mailbox("older", "older@contoso.com")).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(view(&world).display_name, "sales");
}

#[tokio::test(start_paused = true)]
async fn a_corrected_manifest_needs_nothing_else() {
    let world = World::start().await;
    world
        .apply(&sales(json!({ "emailAddress": "sales@contoso.onmicrosoft.com" })))
        .await;
    world.wait_mailbox("sales", "False", "AccessDenied").await;
    world.apply(&sales(json!({}))).await;
    let object = world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(condition(&object, "Stalled"), None);
    assert_eq!(condition(&object, "Provisioned").unwrap().status, "True");
}

#[tokio::test(start_paused = true)]
async fn a_new_mailbox_after_recovery_takes_no_more_than_any_other() {
    let world = world(Seed::contoso(), json!({ "spec": { "access": [] } })).await;
    world.apply(&sales(json!({}))).await;
    world.apply(&team(&[FIRST])).await;
    world.wait_mailbox("sales", "False", "AccessDenied").await;
    world.sleep(3600).await;
    world.apply(&tenant()).await;
    world.wait_permission("team", "True", "Granted").await;
    assert_eq!(
        world.writes(),
        [
            "New-Mailbox",
            "Set-Mailbox",
            "Add-MailboxPermission",
            "Add-RecipientPermission"
        ]
    );
}
