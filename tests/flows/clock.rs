//! A clock that was wrong while something was remembered: nothing waits for ever because of it, nothing is taken away early,
//! and nothing that somebody did by hand is undone.

use super::kit::*;
use super::remembered::*;
use jiff::SignedDuration;
use serde_json::{Value, json};
use shared_mailbox_operator::ledger::{Access, held_on};
use simulator::{Fault, FaultRule, Seed};
use testkit::{World, with};

const TEN_DAYS: SignedDuration = SignedDuration::from_hours(240);

/// The clock is set right again, and each mailbox is rechecked.
async fn set_right(world: &World) {
    world.clock.step(-TEN_DAYS);
    world.sleep(2 * HOUR).await;
}

fn by_hand(world: &World, who: &str) {
    let grant = json!({ "Identity": SALES, "Trustee": who, "AccessRights": ["SendAs"] });
    admin(world, "Add-RecipientPermission", grant);
}

#[tokio::test(start_paused = true)]
async fn the_hour_of_grace_does_not_last_until_a_clock_that_was_ahead_is_right() {
    let world = sales_with(&[FIRST, SECOND]).await;
    world.clock.step(TEN_DAYS);
    world.delete_permission("team").await;
    delete_sales(&world).await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    set_right(&world).await;
    assert_eq!(holders(&world), held(0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_hour_of_grace_is_not_over_because_a_clock_was_behind() {
    for restarts in [false, true] {
        let mut world = sales_with(&[FIRST, SECOND]).await;
        world.clock.step(SignedDuration::from_hours(-5));
        world.delete_permission("team").await;
        delete_sales(&world).await;
        world.apply(&sales(json!({}))).await;
        world.wait_mailbox("sales", "True", "UpToDate").await;
        world.clock.step(SignedDuration::from_hours(5));
        if restarts {
            world.crash_operator().await;
            world.start_operator();
        }
        only_after_the_hour(&world, held(2, 2), held(0, 0), &format!("restarted: {restarts}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_long_after_a_take_up_delays_no_removal() {
    let mut world = sales_with(&[FIRST, SECOND]).await;
    delete_sales(&world).await;
    settle(&world, &[FIRST, SECOND]).await;
    world.sleep(25 * HOUR).await;
    world.crash_operator().await;
    world.start_operator();
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.delete_permission("team").await;
    world.sleep(60).await;
    assert_eq!(holders(&world), held(0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_create_that_was_announced_by_a_clock_that_was_ahead_is_sent_again() {
    let mut world = World::without_operator(Seed::contoso()).await;
    world.apply(&testkit::tenant()).await;
    let lost = FaultRule::next(1, Fault::LostRequest).on(&["New-Mailbox"]);
    world.tenant.add_fault(lost);
    world.clock.step(TEN_DAYS);
    world.start_operator();
    world.apply(&sales(json!({}))).await;
    let is_announced = async || {
        let ledgers = world.ledgers().await;
        ledgers.first().and_then(|ledger| ledger.spec.intent.clone())
    };
    world.wait("it is announced", is_announced).await;
    set_right(&world).await;
    assert_eq!(shared_mailboxes(&world), 1);
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn what_a_clock_that_was_ahead_took_away_is_not_counted_for_days() {
    let world = sales_with(&[FIRST, SECOND, THIRD]).await;
    let safety = json!({ "spec": { "safety": { "maxRevocations": 2, "maxRevocationPercent": 0 } } });
    world.apply(&with(testkit::tenant(), &safety)).await;
    world.sleep(60).await;
    world.clock.step(TEN_DAYS);
    let send_as = |members: &[&str]| testkit::permission("team", "sales", members, &["FullAccess"]);
    world.apply(&send_as(&[FIRST, SECOND])).await;
    world.sleep(60).await;
    approve_held(&world).await;
    until(&world, "they are revoked", || holders(&world) == held(2, 0)).await;
    set_right(&world).await;
    world.apply(&send_as(&[FIRST])).await;
    until(&world, "one more is revoked", || holders(&world) == held(1, 0)).await;
}

async fn approve_held(world: &World) {
    let held = world.mailbox("sales").await.status.and_then(|status| status.held);
    approve(world, &held.expect("more than the limit").id).await;
}

#[tokio::test(start_paused = true)]
async fn what_somebody_grants_by_hand_is_not_undone_because_a_clock_was_ahead() {
    let world = sales_with(&[FIRST, SECOND]).await;
    world.clock.step(TEN_DAYS);
    world.apply(&team(&[FIRST])).await;
    until(&world, "the second member is revoked", || {
        holders(&world) == held(1, 1)
    })
    .await;
    set_right(&world).await;
    by_hand(&world, SECOND);
    world.sleep(2 * HOUR).await;
    assert_eq!(holders(&world), held(1, 2));
}

#[tokio::test(start_paused = true)]
async fn the_history_answers_for_now_although_a_clock_was_ahead() {
    let world = sales_with(&[FIRST]).await;
    world.clock.step(TEN_DAYS);
    world.apply(&team(&[FIRST, SECOND])).await;
    until(&world, "the second member is granted", || {
        holders(&world) == held(2, 2)
    })
    .await;
    set_right(&world).await;
    let ledger = world.ledger().await;
    let Access::Known(held) = held_on(&ledger.spec, world.server.now()) else {
        panic!("it is known: {:?}", ledger.spec.history_from)
    };
    assert_eq!(held.len(), 2, "{:?}", ledger.spec.history);
    assert!(shared_mailbox_operator::ledger::is_intact(&ledger), "no restore");
    assert!(!ledger.spec.restored);
    stays_quiet(&world, std::time::Duration::from_secs(2 * HOUR)).await;
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_without_a_resource_is_put_right_by_a_start() {
    let mut world = sales_with(&[FIRST]).await;
    world.clock.step(TEN_DAYS);
    delete_sales(&world).await;
    world.stop_operator().await;
    world.clock.step(-TEN_DAYS);
    world.start_operator();
    world.sleep(60).await;
    let spec: Value = serde_json::to_value(world.ledger().await.spec).unwrap();
    let released: jiff::Timestamp = spec["releasedAt"].as_str().unwrap().parse().unwrap();
    assert!(released <= world.server.now(), "{released}");
}
