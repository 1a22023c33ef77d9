//! A SharedMailbox that is deleted under RevokePermissions and does not go as it should: what was announced, what can't be
//! written, what is not known.

use super::deletion::*;
use super::edits::{patch_ledger, restore_ledgers};
use super::kit::*;
use super::remembered::*;
use kube::ResourceExt;
use serde_json::json;
use shared_mailbox_operator::api::{FINALIZER, GrantState, LET_GO};
use simulator::{Delay, Faults, Lag};
use testkit::api_server::{Call, Disturbance};
use testkit::{World, mailbox, tenant, with};

async fn let_go(world: &World) {
    let uid = world.mailbox("sales").await.uid().unwrap();
    let asked = json!({ "metadata": { "annotations": { LET_GO: uid } } });
    patch(world, "sales", asked).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_announced_and_is_not_done_stays_when_the_resource_is_let_go() {
    for by_annotation in [false, true] {
        let mut world = sales_revoking(&[FIRST, SECOND]).await;
        throttle_removals(&world);
        world.delete_mailbox("sales").await;
        until_removing(&world).await;
        if by_annotation {
            // Whoever is there next knows it, too.
            world.crash_operator().await;
            let_go(&world).await;
            world.start_operator();
        } else {
            retain(&world).await;
        }
        until_gone(&world, "sales").await;
        world.tenant.set_faults(Faults::default());
        world.sleep(2 * HOUR).await;
        assert_eq!(holders(&world), held(2, 2), "as the way out says");
        let states = states(&world.ledger().await);
        assert!(
            states.iter().all(|state| *state == GrantState::Granted),
            "{states:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_its_team_took_away_before_is_done_although_the_resource_is_let_go() {
    let world = sales_revoking(&[FIRST, SECOND]).await;
    throttle_removals(&world);
    world.apply(&team(&[FIRST])).await;
    until_removing(&world).await;
    world.delete_mailbox("sales").await;
    world.sleep(60).await;
    retain(&world).await;
    until_gone(&world, "sales").await;
    world.tenant.set_faults(Faults::default());
    world.sleep(2 * HOUR).await;
    assert_eq!(holders(&world), held(1, 1));
}

#[tokio::test(start_paused = true)]
async fn one_that_never_had_a_mailbox_goes_once_its_finalizer_can_be_taken_away() {
    for policy in ["RevokePermissions", "Retain"] {
        let world = World::start().await;
        let refused = mailbox("sales", "sales@not-accepted.example");
        let revoking = with(
            refused,
            &json!({ "spec": { "deletionPolicy": "RevokePermissions" } }),
        );
        world.apply(&revoking).await;
        let held = async || (finalizers(&world.mailbox("sales").await) == [FINALIZER]).then_some(());
        world.wait("it is held", held).await;
        world.sleep(60).await;
        let finalizers = |call: &Call| call.content_type.contains("json-patch");
        world
            .server
            .disturb(u32::MAX, finalizers, Disturbance::refused(422));
        patch(&world, "sales", json!({ "spec": { "deletionPolicy": policy } })).await;
        world.delete_mailbox("sales").await;
        world.sleep(60).await;
        assert!(found(&world, "sales").await.is_some());
        world.server.calm();
        until_gone(&world, "sales").await;
        let events = events_about(&world, "sales").await.join("\n");
        let expected = if policy == "Retain" {
            "LetGo: "
        } else {
            "Deleted: "
        };
        says(&events, &[expected]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_granted_before_exchange_shows_a_new_mailbox_is_revoked_too() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    let lagging = Faults {
        lag: Lag {
            delay: Delay::fixed(3 * 60_000),
            replicas: 1,
        },
        ..Faults::default()
    };
    world.tenant.set_faults(lagging);
    world.apply(&team(&[FIRST])).await;
    world.apply(&revoking()).await;
    let granted = || world.tenant.mailbox(SALES).is_some() && holders(&world) == held(1, 1);
    until(&world, "they are granted", granted).await;
    world.delete_mailbox("sales").await;
    until_gone(&world, "sales").await;
    world.sleep(HOUR).await;
    assert_eq!(holders(&world), held(0, 0));
    assert!(view(&world).account_disabled);
}

#[tokio::test(start_paused = true)]
async fn a_restored_ledgers_hour_begins_when_its_mailbox_is_ours_again() {
    let mut world = sales_revoking(&[FIRST]).await;
    let ours = view(&world).custom_attributes.values().next().unwrap().clone();
    let marked = |text: &str| json!({ "Identity": SALES, "CustomAttribute15": text });
    let backup = world.ledgers().await;
    world.crash_operator().await;
    restore_ledgers(&world, &backup).await;
    admin(&world, "Set-Mailbox", marked("cost centre 4711"));
    world.delete_mailbox("sales").await;
    world.start_operator();
    world.wait_mailbox("sales", "False", "NotOurs").await;
    world.sleep(3 * HOUR).await;
    admin(&world, "Set-Mailbox", marked(&ours));
    world.wait_mailbox("sales", "False", "DeletionWaiting").await;
    world.sleep(40 * 60).await;
    assert_eq!(holders(&world), held(1, 1));
    world.sleep(40 * 60).await;
    until_gone(&world, "sales").await;
    assert_eq!(holders(&world), held(0, 0));
}

/// `sales` with one member, whose automapping is being changed: the first half is done.
async fn cut_in_half() -> World {
    let maps = |auto_mapping| {
        with(
            team(&[SECOND]),
            &json!({ "spec": { "autoMapping": auto_mapping } }),
        )
    };
    let world = World::start().await;
    world.apply(&revoking()).await;
    world.apply(&maps(false)).await;
    world.wait_permission("team", "True", "Granted").await;
    world.sleep(2 * HOUR).await;
    throttle(&world, &["Add-MailboxPermission"]);
    world.apply(&maps(true)).await;
    until(&world, "the first half is done", || holders(&world) == held(0, 1)).await;
    world
}

#[tokio::test(start_paused = true)]
async fn whose_automapping_was_being_changed_loses_access_for_good_unless_they_are_protected() {
    for is_protected in [false, true] {
        let world = cut_in_half().await;
        let protected: &[&str] = if is_protected { &[SECOND] } else { &[] };
        world
            .apply(&with(
                tenant(),
                &json!({ "spec": { "protectedTrustees": protected } }),
            ))
            .await;
        world.sleep(60).await;
        world.delete_mailbox("sales").await;
        world.sleep(90).await;
        world.tenant.set_faults(Faults::default());
        until_gone(&world, "sales").await;
        world.sleep(2 * HOUR).await;
        let left = if is_protected { held(1, 1) } else { held(0, 0) };
        assert_eq!(holders(&world), left, "protected: {is_protected}");
    }
}

#[tokio::test(start_paused = true)]
async fn once_it_is_let_go_nothing_is_owed_any_more() {
    for has_tenant in [true, false] {
        let world = with_people(5).await;
        world.delete_mailbox("sales").await;
        world.wait_mailbox("sales", "False", "Held").await;
        assert!(world.metric("sharedmailbox_owed_revocations") > 0.5);
        if !has_tenant {
            delete_tenant(&world, "default").await;
            world.wait_mailbox("sales", "False", "DeletionWaiting").await;
        }
        retain(&world).await;
        until_gone(&world, "sales").await;
        world.sleep(60).await;
        assert!(
            world.metric("sharedmailbox_owed_revocations") < 0.5,
            "with its tenant: {has_tenant}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_can_t_be_read_is_waited_for_and_nothing_is_said_of_members() {
    let world = sales_revoking(&[FIRST]).await;
    let members = async || world.mailbox("sales").await.status.unwrap().member_summary;
    let before = members().await;
    patch_ledger(&world, json!({ "format": 2 })).await;
    world.sleep(30).await;
    world.delete_mailbox("sales").await;
    let object = world.wait_mailbox("sales", "False", "DeletionWaiting").await;
    says(
        &stalled(&object, "DeletionWaiting"),
        &["start the version", "deletionPolicy Retain it goes at once"],
    );
    assert_eq!(members().await, before);
    patch_ledger(&world, json!({ "format": 1 })).await;
    world.sleep(2 * HOUR).await;
    until_gone(&world, "sales").await;
    assert_eq!(holders(&world), held(0, 0));
}
