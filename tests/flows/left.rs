//! People who have left: they lose every grant on every managed mailbox, whatever manifests say.

use super::kit::*;
use serde_json::json;
use simulator::{AccessRow, Seed, SendAsRow};
use testkit::{mailbox, permission, tenant, with};

#[tokio::test(start_paused = true)]
async fn whoever_has_left_loses_what_was_declared_and_what_was_granted_by_hand_on_every_mailbox() {
    let world = world(
        Seed::contoso(),
        json!({ "spec": { "protectedTrustees": [SECOND] } }),
    )
    .await;
    settle(&world, &[FIRST, SECOND]).await;
    world.apply(&mailbox("info", "info@contoso.com")).await;
    world.wait_mailbox("info", "True", "UpToDate").await;
    world
        .tenant
        .inject_access("info@contoso.com", &AccessRow::of(SECOND))
        .unwrap();
    world
        .tenant
        .inject_send_as("info@contoso.com", &SendAsRow::of(SECOND))
        .unwrap();
    let gone = world.tenant.object_id(SECOND).unwrap();
    let departed = json!({ "spec": { "protectedTrustees": [SECOND], "departed": [SECOND] } });
    world.apply(&with(tenant(), &departed)).await;
    until(&world, "nothing is left", || {
        world.tenant.mailboxes().iter().all(|mailbox| {
            !mailbox.send_as.contains(&gone) && !mailbox.full_access.iter().any(|entry| entry.trustee == gone)
        })
    })
    .await;
    let first = world.tenant.object_id(FIRST).unwrap();
    assert!(view(&world).send_as.contains(&first));
    let reported = world.wait_permission("team", "False", "PartiallyGranted").await;
    says(&member_message(&reported, SECOND), &["Departed", "spec.departed"]);
    world.sleep(300).await;
    stays_quiet(&world, std::time::Duration::from_secs(2 * INTERVAL)).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_in_a_list_who_does_not_exist_is_lost_sight_of() {
    let world = world(
        Seed::contoso(),
        json!({ "spec": { "departed": ["ghost@contoso.com"] } }),
    )
    .await;
    let tenant = world.wait_tenant("True", "Connected").await;
    assert_eq!(tenant.status.unwrap().unresolved, ["ghost@contoso.com"]);
}

#[tokio::test(start_paused = true)]
async fn a_permission_that_names_only_somebody_who_has_left_grants_nothing() {
    let world = world(Seed::contoso(), json!({ "spec": { "departed": [FIRST] } })).await;
    world.apply(&sales(json!({}))).await;
    world
        .apply(&permission("team", "sales", &[FIRST], &["SendAs"]))
        .await;
    world.wait_permission("team", "False", "MembersRefused").await;
    assert!(view(&world).send_as.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_declared_in_the_same_moment_for_somebody_who_has_left_is_not_granted_for_an_instant() {
    let world = sales_with(&[FIRST]).await;
    let departed = json!({ "spec": { "departed": [SECOND] } });
    world.apply(&with(tenant(), &departed)).await;
    world.apply(&team(&[FIRST, SECOND, THIRD])).await;
    world.wait_permission("team", "False", "PartiallyGranted").await;
    let third = world.tenant.object_id(THIRD).unwrap();
    assert!(
        view(&world).send_as.contains(&third),
        "the others wait for nobody"
    );
    assert_eq!(
        world.writes(),
        ["Add-MailboxPermission", "Add-RecipientPermission"],
        "nothing for the second, and nothing to take back"
    );
}

#[tokio::test(start_paused = true)]
async fn what_somebody_who_left_long_ago_still_holds_is_not_looked_at_with_each_check_of_the_tenant() {
    let world = sales_with(&[FIRST]).await;
    let text = json!({ "Identity": SALES, "CustomAttribute15": "cost centre 4711" });
    admin(&world, "Set-Mailbox", text);
    world.wait_mailbox("sales", "False", "NotOurs").await;
    world
        .apply(&with(tenant(), &json!({ "spec": { "departed": [FIRST] } })))
        .await;
    world.sleep(2 * INTERVAL).await;
    forget(&world);
    world.sleep(3600).await;
    let looked = sent(&world, "Get-Mailbox");
    assert!(
        looked <= 7,
        "{looked} times an hour instead of once in ten minutes"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_together_keeps_its_rights_whatever_was_lost_long_before() {
    let protected = json!({ "spec": { "protectedTrustees": [SECOND] } });
    let world = world(Seed::contoso(), protected).await;
    settle(&world, &[FIRST]).await;
    world
        .apply(&permission("kept", "sales", &[SECOND], &["SendAs"]))
        .await;
    world.wait_permission("kept", "True", "Granted").await;
    world.delete_permission("kept").await;
    world.sleep(3600).await;
    let before = view(&world).send_as;
    assert_eq!(before.len(), 2);
    world.delete_permission("team").await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    world.delete_mailbox("sales").await;
    world.sleep(3600).await;
    assert_eq!(view(&world).send_as, before, "Released: they keep what they had");
}
