//! Members whose accounts are deleted, before and after their names leave the manifest.

use super::kit::*;
use serde_json::json;
use testkit::{World, mailbox, permission};

const ALL: [&str; 3] = ["FullAccess", "SendAs", "SendOnBehalf"];

async fn with_all_rights(members: &[&str]) -> World {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    world.apply(&permission("team", "sales", members, &ALL)).await;
    world.wait_permission("team", "True", "Granted").await;
    world.sleep(2).await;
    forget(&world);
    world
}

#[tokio::test(start_paused = true)]
async fn a_deleted_person_who_leaves_the_manifest_holds_nothing_up() {
    for hard in [false, true] {
        let world = with_all_rights(&[FIRST, SECOND]).await;
        let second = world.tenant.object_id(SECOND).unwrap();
        if hard {
            purge(&world, SECOND);
        } else {
            world.tenant.delete_user(SECOND).unwrap();
        }
        world
            .apply(&permission("team", "sales", &[FIRST, THIRD], &ALL))
            .await;
        world.wait_mailbox("sales", "True", "UpToDate").await;
        world.wait_permission("team", "True", "Granted").await;
        let third = world.tenant.object_id(THIRD).unwrap();
        assert!(view(&world).send_as.contains(&third) && view(&world).on_behalf.contains(&third));
        let view = view(&world);
        assert!(
            !view.full_access.iter().any(|entry| entry.trustee == second),
            "it would be back when restored"
        );
        assert!(!view.send_as.contains(&second), "hard: {hard}");
        assert!(hard || !view.on_behalf.contains(&second));
        world.sleep(2).await;
        forget(&world);
        world.sleep(INTERVAL).await;
        assert_eq!(world.writes(), NOTHING, "hard: {hard}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_person_who_is_still_declared_is_named_and_holds_nothing_up() {
    let world = with_all_rights(&[FIRST, SECOND]).await;
    world.tenant.delete_user(SECOND).unwrap();
    world
        .apply(&permission("team", "sales", &[FIRST, SECOND, THIRD], &ALL))
        .await;
    let third = world.tenant.object_id(THIRD).unwrap();
    let started = world.server.now();
    until(&world, "the third is granted", || {
        view(&world).on_behalf.contains(&third)
    })
    .await;
    until(&world, "the third is granted", || {
        view(&world).send_as.contains(&third)
    })
    .await;
    assert!(
        world.server.now().duration_since(started).as_secs() < 60,
        "{}",
        world.dump().await
    );
    let team = world.wait_permission("team", "False", "PartiallyGranted").await;
    says(&stalled(&team, "PartiallyGranted"), &[SECOND]);
    world.sleep(3600).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn a_person_who_was_deleted_after_the_look_up_is_no_lost_mailbox() {
    let world = with_all_rights(&[FIRST]).await;
    world.apply(&mailbox("other", "other@contoso.com")).await;
    world.apply(&permission("other", "other", &[SECOND], &ALL)).await;
    world.wait_permission("other", "True", "Granted").await;
    purge(&world, SECOND);
    forget(&world);
    world
        .apply(&permission("team", "sales", &[FIRST, SECOND, THIRD], &ALL))
        .await;
    let team = world.wait_permission("team", "False", "PartiallyGranted").await;
    says(&member_message(&team, SECOND), &["MemberNotFound"]);
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(view(&world).full_access.len(), 2);
    world
        .apply(&permission("team", "sales", &[FIRST, THIRD], &ALL))
        .await;
    world.wait_permission("team", "True", "Granted").await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}
