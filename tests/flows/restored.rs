//! The hour of a ledger that was restored or edited: nobody loses anything in it, whatever stands in the place of the
//! resource, whenever that arrives, and whoever had the mailbox meanwhile.

use super::kit::*;
use super::remembered::*;
use super::restore::{create_ledgers, lost, only_the_second_member_is_revoked};
use jiff::SignedDuration;
use serde_json::{Value, json};
use shared_mailbox_operator::api::{MailboxLedger, SharedMailbox};
use shared_mailbox_operator::ledger::is_intact;
use testkit::{World, condition, with};

/// What keeps a resource from taking the mailbox up.
fn careful() -> [Value; 3] {
    [
        json!({ "management": "Observe" }),
        json!({ "management": "Paused" }),
        json!({ "emailAddress": "sales@elsewhere.example" }),
    ]
}

/// A right of the second member that has ended, according to the backup that comes back.
async fn ended_in_the_backup(world: &mut World) -> Vec<MailboxLedger> {
    let end = world.server.now() + SignedDuration::from_mins(20);
    guest_until(world, end).await;
    world.sleep(60).await;
    let backup = world.ledgers().await;
    world.stop_operator().await;
    world.delete_permission("guest").await;
    world.sleep(30 * 60).await;
    backup
}

/// Everybody's removal is announced, and everything in the cluster is lost.
async fn announced_in_the_backup(world: &mut World) -> Vec<MailboxLedger> {
    throttle_removals(world);
    world.apply(&team(&[])).await;
    until_removing(world).await;
    let backup = lost(world).await;
    world.tenant.set_faults(simulator::Faults::default());
    backup
}

/// Somebody writes into the attribute for the marker.
fn marked_as(text: &str) -> Value {
    json!({ "Identity": SALES, "CustomAttribute15": text })
}

#[tokio::test(start_paused = true)]
async fn an_end_waits_for_the_hour_whatever_stands_in_the_place_of_the_resource() {
    for change in careful() {
        let mut world = sales_with(&[FIRST]).await;
        let backup = ended_in_the_backup(&mut world).await;
        world.delete_mailbox("sales").await;
        restore_ledgers(&world, &backup).await;
        world.apply(&sales(change.clone())).await;
        world.start_operator();
        world.sleep(50 * 60).await;
        assert_eq!(
            holders(&world),
            held(1, 2),
            "the ledger may be an old one: {change}"
        );
        assert!(is_intact(&world.ledger().await), "{change}");
        world.sleep(25 * 60).await;
        assert_eq!(holders(&world), held(1, 1), "{change}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_announced_removal_waits_for_the_hour_whatever_stands_in_the_place_of_the_resource() {
    for change in careful() {
        let mut world = sales_with(&[FIRST]).await;
        let backup = announced_in_the_backup(&mut world).await;
        create_ledgers(&world, &backup).await;
        world.apply(&sales(change.clone())).await;
        world.start_operator();
        only_after_the_hour(&world, held(1, 1), held(0, 0), &change.to_string()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_waits_for_the_hour_although_a_deleted_resource_is_held_up() {
    let mut world = sales_with(&[FIRST]).await;
    let held_up = json!({ "metadata": { "finalizers": ["example.com/wait"] } });
    world.apply(&with(sales(json!({})), &held_up)).await;
    let backup = ended_in_the_backup(&mut world).await;
    world.delete_mailbox("sales").await;
    restore_ledgers(&world, &[]).await;
    world.start_operator();
    world.sleep(60).await;
    create_ledgers(&world, &backup).await;
    only_after_the_hour(&world, held(1, 2), held(1, 1), "the ledger may be an old one").await;
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_comes_more_than_an_hour_after_its_ledger_has_the_hour_all_the_same() {
    let mut world = sales_with(&[FIRST, SECOND]).await;
    let backup = lost(&mut world).await;
    world.start_operator();
    create_ledgers(&world, &backup).await;
    world.sleep(90 * 60).await;
    world.apply(&team(&[FIRST])).await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(events_of(&world, "RevocationDue").await, 1);
    only_the_second_member_is_revoked(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_was_believed_once_delays_nothing_when_its_resource_comes_back() {
    let world = sales_with(&[FIRST, SECOND]).await;
    let backup = world.ledgers().await;
    restore_ledgers(&world, &backup).await;
    world.sleep(3 * HOUR).await;
    delete_sales(&world).await;
    world.apply(&team(&[FIRST])).await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.sleep(60).await;
    assert_eq!(holders(&world), held(1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_hour_begins_when_the_mailbox_carries_our_marker_again() {
    let world = sales_with(&[FIRST, SECOND]).await;
    let backup = world.ledgers().await;
    let marker = view(&world).custom_attributes[&15].clone();
    admin(&world, "Set-Mailbox", marked_as("cost centre 4711"));
    world.wait_mailbox("sales", "False", "NotOurs").await;
    restore_ledgers(&world, &backup).await;
    world.apply(&team(&[FIRST])).await;
    world.sleep(2 * HOUR).await;
    let ledger = world.ledger().await;
    assert!(
        !is_intact(&ledger) || ledger.spec.restored,
        "nothing seals it without a word"
    );
    assert_eq!(ledger.spec.shown.state, "ForeignMarker");
    admin(&world, "Set-Mailbox", marked_as(&marker));
    world.wait_mailbox("sales", "True", "UpToDate").await;
    let due = condition(&world.mailbox("sales").await, "RevocationDue").expect("it is announced");
    says(&due.message, &["2 rights", SECOND]);
    only_the_second_member_is_revoked(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_without_a_resource_has_the_hour_after_it_was_somebody_elses() {
    let mut world = sales_with(&[FIRST]).await;
    let backup = ended_in_the_backup(&mut world).await;
    world.delete_mailbox("sales").await;
    let marker = view(&world).custom_attributes[&15].clone();
    admin(&world, "Set-Mailbox", marked_as("cost centre 4711"));
    restore_ledgers(&world, &backup).await;
    depart(&world, THIRD).await;
    world.start_operator();
    world.sleep(3 * HOUR).await;
    assert_eq!(world.ledger().await.spec.shown.state, "ForeignMarker");
    admin(&world, "Set-Mailbox", marked_as(&marker));
    let since = world.server.now();
    until_state(&world, "Released", 30 * HOUR).await;
    world.sleep(45 * 60).await;
    assert_eq!(
        holders(&world),
        held(1, 2),
        "the hour began at {since} at the earliest"
    );
    world.sleep(26 * HOUR).await;
    assert_eq!(holders(&world), held(1, 1));
}

async fn until_state(world: &World, state: &str, most: u64) {
    for _ in 0..most / 60 {
        if world.ledger().await.spec.shown.state == state {
            return;
        }
        world.sleep(60).await;
    }
    panic!("never {state}");
}

#[tokio::test(start_paused = true)]
async fn what_a_restored_ledger_will_take_away_is_told_although_the_resource_is_gone() {
    let mut world = sales_with(&[FIRST]).await;
    let backup = announced_in_the_backup(&mut world).await;
    let name = backup[0].metadata.name.clone().unwrap();
    create_ledgers(&world, &backup).await;
    let log = logged(async {
        world.start_operator();
        world.sleep(50 * 60).await;
    })
    .await;
    assert_eq!(holders(&world), held(1, 1));
    let told = events_about(&world, &name).await;
    let due: Vec<_> = told
        .iter()
        .filter(|event| event.starts_with("RevocationDue"))
        .collect();
    assert_eq!(due.len(), 1, "{told:?}");
    says(due[0], &["2 rights"]);
    for secret in ["sales", "contoso", "team"] {
        assert!(!due[0].contains(secret), "{due:?}");
    }
    let line = log
        .lines()
        .find(|line| line.contains("RevocationDue"))
        .unwrap_or(&log);
    says(line, &["audit", "sales", "rights=2"]);
    world.sleep(25 * 60).await;
    assert_eq!(
        holders(&world),
        held(0, 0),
        "what waits only for the hour is not forgotten"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_due_is_told_whatever_the_status_says_and_again_when_it_is_more() {
    let mut world = sales_with(&[FIRST, SECOND]).await;
    world.stop_operator().await;
    world.delete_mailbox("sales").await;
    world.apply(&team(&[FIRST])).await;
    let backup = world.ledgers().await;
    restore_ledgers(&world, &backup).await;
    world.apply(&sales(json!({}))).await;
    let forged = json!({ "type": "RevocationDue", "status": "True", "reason": "TakenUp", "message": "nothing",
                         "lastTransitionTime": "2026-01-01T00:00:00Z" });
    let status = json!({ "conditions": [forged] });
    patch_status::<SharedMailbox>(&world, "sales", status).await;
    let log = logged(async {
        world.start_operator();
        world.wait_mailbox("sales", "True", "UpToDate").await;
        world.sleep(5 * 60).await;
    })
    .await;
    assert_eq!(events_of(&world, "RevocationDue").await, 1);
    let line = log
        .lines()
        .find(|line| line.contains("RevocationDue"))
        .unwrap_or(&log);
    says(line, &["audit", "sales", SECOND]);
    world.sleep(2 * INTERVAL).await;
    assert_eq!(events_of(&world, "RevocationDue").await, 1, "once");
    world.apply(&team(&[])).await;
    world.sleep(60).await;
    assert_eq!(
        events_of(&world, "RevocationDue").await,
        2,
        "the first member, too"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_is_only_observed_from_its_first_moment_on_leaves_the_earlier_one_released() {
    let mut world = sales_with(&[FIRST]).await;
    let name = world.ledger().await.metadata.name.unwrap();
    world.stop_operator().await;
    world.delete_mailbox("sales").await;
    world.apply(&sales(json!({ "management": "Observe" }))).await;
    world.start_operator();
    sales_drifts(&world).await;
    world.sleep(60).await;
    assert_eq!(world.ledger().await.spec.shown.state, "Released");
    says(&events_about(&world, &name).await.join("\n"), &["Released: "]);
}
