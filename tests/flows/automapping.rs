//! Automapping: remembered, because nobody can read it.

use super::kit::*;
use serde_json::json;
use simulator::AccessRow;
use testkit::{World, permission, with};

fn mapped(world: &World, who: &str) -> bool {
    let id = world.tenant.object_id(who).unwrap();
    let view = view(world);
    let entry = view.full_access.iter().find(|entry| entry.trustee == id);
    entry.expect("they hold Full Access").auto_mapping
}

fn readers(members: &[&str], auto_mapping: bool) -> serde_json::Value {
    let plain = permission("team", "sales", members, &["FullAccess"]);
    with(plain, &json!({ "spec": { "autoMapping": auto_mapping } }))
}

async fn with_readers(auto_mapping: bool) -> World {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    world.apply(&readers(&[FIRST, SECOND], auto_mapping)).await;
    world.wait_permission("team", "True", "Granted").await;
    world.sleep(2).await;
    forget(&world);
    world
}

#[tokio::test(start_paused = true)]
async fn switched_off_for_everybody_it_is_cleared_in_one_call_and_nobody_loses_access() {
    let world = with_readers(true).await;
    world.apply(&readers(&[FIRST, SECOND], false)).await;
    until(&world, "cleared", || {
        !mapped(&world, FIRST) && !mapped(&world, SECOND)
    })
    .await;
    world.sleep(300).await;
    let removals = calls(&world, "Remove-MailboxPermission");
    assert_eq!(removals.len(), 1);
    assert_eq!(removals[0]["ClearAutoMapping"], true);
    assert_eq!(sent(&world, "Add-MailboxPermission"), 0);
    stays_quiet(&world, std::time::Duration::from_secs(2 * INTERVAL)).await;
}

#[tokio::test(start_paused = true)]
async fn switched_on_it_is_a_revoke_and_a_grant_for_each_person() {
    let world = with_readers(false).await;
    world.apply(&readers(&[FIRST, SECOND], true)).await;
    until(&world, "mapped", || {
        mapped(&world, FIRST) && mapped(&world, SECOND)
    })
    .await;
    world.sleep(300).await;
    assert_eq!(sent(&world, "Remove-MailboxPermission"), 2);
    assert_eq!(sent(&world, "Add-MailboxPermission"), 2);
    stays_quiet(&world, std::time::Duration::from_secs(2 * INTERVAL)).await;
}

#[tokio::test(start_paused = true)]
async fn a_stranger_keeps_their_automapping() {
    let world = with_readers(true).await;
    let stranger = AccessRow {
        auto_mapping: true,
        ..AccessRow::of(THIRD)
    };
    world.tenant.inject_access(SALES, &stranger).unwrap();
    world.apply(&readers(&[FIRST, SECOND], false)).await;
    until(&world, "switched off", || {
        !mapped(&world, FIRST) && !mapped(&world, SECOND)
    })
    .await;
    assert!(mapped(&world, THIRD));
}

#[tokio::test(start_paused = true)]
async fn where_permissions_disagree_off_wins_and_the_other_says_so() {
    let world = with_readers(true).await;
    let other = permission("other", "sales", &[FIRST], &["FullAccess"]);
    world
        .apply(&with(other, &json!({ "spec": { "autoMapping": false } })))
        .await;
    until(&world, "switched off", || !mapped(&world, FIRST)).await;
    world.sleep(60).await;
    assert!(mapped(&world, SECOND));
    says(
        &member_message(&world.permission("team").await, FIRST),
        &["another MailboxPermission", "automapping"],
    );
}

#[tokio::test(start_paused = true)]
async fn of_a_grant_that_was_there_before_it_is_unknown_and_said_so() {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.tenant.inject_access(SALES, &AccessRow::of(FIRST)).unwrap();
    world.apply(&readers(&[FIRST], true)).await;
    world.wait_permission("team", "True", "Granted").await;
    says(
        &member_message(&world.permission("team").await, FIRST),
        &["automapped is unknown"],
    );
    assert_eq!(sent(&world, "Remove-MailboxPermission"), 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_another_sid_than_their_entry_has_one_entry_afterwards() {
    for wanted in [true, false] {
        let world = with_readers(!wanted).await;
        world.tenant.change_sid(FIRST).unwrap();
        let own = with(
            permission("own", "sales", &[FIRST], &["FullAccess"]),
            &json!({ "spec": { "autoMapping": wanted } }),
        );
        world.apply(&own).await;
        world.sleep(30).await;
        world.apply(&readers(&[SECOND], !wanted)).await;
        let id = world.tenant.object_id(FIRST).unwrap();
        let entries = |world: &World| {
            let view = view(world);
            let own = view.full_access.iter().filter(|entry| entry.trustee == id);
            own.map(|entry| entry.auto_mapping).collect::<Vec<_>>()
        };
        until(&world, "changed", || entries(&world) == [wanted]).await;
        world.wait_mailbox("sales", "True", "UpToDate").await;
        world.wait_permission("own", "True", "Granted").await;
        world.sleep(INTERVAL).await;
        assert_eq!(entries(&world), [wanted]);
    }
}
