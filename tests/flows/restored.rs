//! The hour of a ledger that was restored or edited: nobody loses anything in it, whatever stands in the place of the
//! resource, whenever that arrives, and whoever had the mailbox meanwhile.

use super::kit::*;
use super::remembered::*;
use super::restore::{create_ledgers, lost, only_the_second_member_is_revoked};
use jiff::SignedDuration;
use serde_json::{Value, json};
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
async fn ended_in_the_backup(world: &mut World) -> Vec<shared_mailbox_operator::api::MailboxLedger> {
    let end = world.server.now() + SignedDuration::from_mins(20);
    guest_until(world, end).await;
    world.sleep(60).await;
    let backup = world.ledgers().await;
    world.stop_operator().await;
    world.delete_permission("guest").await;
    world.sleep(30 * 60).await;
    backup
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
        assert_eq!(holders(&world), (1, 2), "the ledger may be an old one: {change}");
        assert!(is_intact(&world.ledger().await), "{change}");
        world.sleep(25 * 60).await;
        assert_eq!(holders(&world), (1, 1), "{change}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_announced_removal_waits_for_the_hour_whatever_stands_in_the_place_of_the_resource() {
    for change in careful() {
        let mut world = sales_with(&[FIRST]).await;
        throttle_removals(&world);
        world.apply(&team(&[])).await;
        until_removing(&world).await;
        let backup = lost(&mut world).await;
        world.tenant.set_faults(simulator::Faults::default());
        create_ledgers(&world, &backup).await;
        world.apply(&sales(change.clone())).await;
        world.start_operator();
        world.sleep(50 * 60).await;
        assert_eq!(holders(&world), (1, 1), "the ledger may be an old one: {change}");
        world.sleep(25 * 60).await;
        assert_eq!(holders(&world), (0, 0), "{change}");
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
    world.sleep(50 * 60).await;
    assert_eq!(holders(&world), (1, 2), "the ledger may be an old one");
    world.sleep(25 * 60).await;
    assert_eq!(holders(&world), (1, 1));
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
