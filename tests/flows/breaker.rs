//! Too much at once waits for approval.

use super::kit::*;
use serde_json::json;
use simulator::{Seed, SeedUser};
use testkit::{World, permission, with};

fn people(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("person{n}@contoso.com")).collect()
}

async fn with_people(count: usize, safety: serde_json::Value) -> World {
    with_people_on(&sales(json!({})), count, safety).await
}

/// The same on a mailbox as declared.
pub async fn with_people_on(mailbox: &serde_json::Value, count: usize, safety: serde_json::Value) -> World {
    let mut seed = Seed::contoso();
    for name in people(count) {
        seed = seed.with_user(SeedUser::person(&name, &name));
    }
    let world = world(seed, json!({ "spec": { "safety": safety } })).await;
    world.apply(mailbox).await;
    world.apply(&members(&people(count))).await;
    world.wait_permission("team", "True", "Granted").await;
    world.sleep(2).await;
    forget(&world);
    world
}

fn members(names: &[String]) -> serde_json::Value {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    permission("team", "sales", &names, &["SendAs"])
}

#[tokio::test(start_paused = true)]
async fn more_than_the_limit_is_held_shown_by_name_and_continues_after_approval_of_exactly_that() {
    let world = with_people(10, json!({ "maxRevocations": 3, "maxRevocationPercent": 10 })).await;
    world.apply(&members(&people(10)[5..])).await;
    let mailbox = world.wait_mailbox("sales", "False", "Held").await;
    says(
        &stalled(&mailbox, "Held"),
        &["5 changes", "person0@contoso.com", "sharedmailbox.dev/approve="],
    );
    let held = mailbox.status.unwrap().held.unwrap();
    assert_eq!(held.count, 5);
    world.sleep(2 * INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    let held_back = testkit::condition(&world.tenant_resource().await, "RevocationsHeld").unwrap();
    assert_eq!(held_back.reason, "ApprovalNeeded");
    says(&held_back.message, &["on 1 SharedMailbox changes"]);
    approve(&world, "something-else").await;
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING, "approval is of exactly these");

    // One comes back: the approval of five is none of four.
    world.apply(&members(&people(10)[4..])).await;
    world.sleep(5).await;
    approve(&world, &held.id).await;
    world.sleep(INTERVAL).await;
    assert_eq!(view(&world).send_as.len(), 10, "the held ones still wait");
    let now = world.mailbox("sales").await.status.unwrap().held.unwrap();
    assert_eq!(now.count, 4);
    approve(&world, &now.id).await;
    until(&world, "all are gone", || view(&world).send_as.len() == 6).await;
    let events = events_about(&world, "sales").await;
    let approved: Vec<&String> = events
        .iter()
        .filter(|event| event.starts_with("Approved: "))
        .collect();
    let [approved] = approved.as_slice() else {
        panic!("{events:?}")
    };
    says(
        approved,
        &["4 changes that waited are", "tests approved them", &now.id],
    );
    assert_eq!(
        world
            .wait_mailbox("sales", "True", "UpToDate")
            .await
            .status
            .unwrap()
            .held,
        None
    );
}

#[tokio::test(start_paused = true)]
async fn one_of_two_is_never_held_and_what_comes_back_into_the_manifest_is_held_no_longer() {
    let world = with_people(2, json!({})).await;
    world.apply(&members(&people(1))).await;
    until(&world, "one is gone", || view(&world).send_as.len() == 1).await;

    let world = with_people(5, json!({ "maxRevocations": 1, "maxRevocationPercent": 0 })).await;
    world.apply(&members(&[])).await;
    world.wait_mailbox("sales", "False", "Held").await;
    world.apply(&members(&people(5))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(world.writes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_stays_held_over_a_restart_and_while_the_window_moves_on() {
    let mut world = with_people(5, json!({ "maxRevocations": 2, "maxRevocationPercent": 0 })).await;
    world.apply(&members(&people(5)[3..])).await;
    let held = world
        .wait_mailbox("sales", "False", "Held")
        .await
        .status
        .unwrap()
        .held;
    world.crash_operator().await;
    world.start_operator();
    world.sleep(3 * 3600).await;
    let mailbox = world.wait_mailbox("sales", "False", "Held").await;
    assert_eq!(mailbox.status.unwrap().held, held);
    assert_eq!(world.writes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn ends_and_people_who_have_left_are_not_counted() {
    let world = with_people(5, json!({ "maxRevocations": 0, "maxRevocationPercent": 0 })).await;
    let ended = with(
        members(&people(5)),
        &json!({ "spec": { "expiresAt": "2026-11-22T09:30:00Z" } }),
    );
    world.apply(&ended).await;
    world.wait_permission("team", "True", "Expired").await;
    assert!(view(&world).send_as.is_empty());
}

#[tokio::test(start_paused = true)]
async fn rights_on_mailboxes_without_a_resource_allow_no_further_removals() {
    let world = with_people(20, json!({ "maxRevocations": 1, "maxRevocationPercent": 30 })).await;
    world
        .apply(&testkit::mailbox("vendite", "vendite@contoso.com"))
        .await;
    let all = people(6);
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    let on_other = |names: &[&str]| permission("vendite", "vendite", names, &["SendAs"]);
    world.apply(&on_other(&names)).await;
    world.wait_permission("vendite", "True", "Granted").await;
    world.delete_mailbox("sales").await;
    world.sleep(60).await;
    assert_eq!(view(&world).send_as.len(), 20, "they keep what they have");
    // Of six, thirty of a hundred are one, and of twenty-six seven.
    world.apply(&on_other(&names[3..])).await;
    world.wait_mailbox("vendite", "False", "Held").await;
    world.sleep(INTERVAL).await;
    let mailboxes = world.tenant.mailboxes();
    let other = mailboxes
        .iter()
        .find(|mailbox| mailbox.primary_address == "vendite@contoso.com");
    assert_eq!(other.unwrap().send_as.len(), 6);
}
