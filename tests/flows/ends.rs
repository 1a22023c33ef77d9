//! Permissions that end.

use super::kit::*;
use jiff::SignedDuration;
use serde_json::{Value, json};
use simulator::{Fault, FaultRule, Faults};
use testkit::{World, condition, permission, with};

const HOUR: u64 = 3600;

/// Full Access and Send As for the second member until `hours` after the start of the world.
fn temporary(hours: i64) -> Value {
    let start: jiff::Timestamp = testkit::START.parse().unwrap();
    let end = start + SignedDuration::from_hours(hours);
    with(
        permission("temp", "sales", &[SECOND], &["FullAccess", "SendAs"]),
        &json!({ "spec": { "expiresAt": end.to_string(), "reason": "holiday cover" } }),
    )
}

fn second_holds(world: &World) -> bool {
    let id = world.tenant.object_id(SECOND).unwrap();
    let view = view(world);
    view.full_access.iter().any(|entry| entry.trustee == id) || view.send_as.contains(&id)
}

#[tokio::test(start_paused = true)]
async fn rights_end_within_a_second_are_announced_a_day_ahead_and_stay_listed_for_a_day() {
    let world = sales_with(&[FIRST]).await;
    world.apply(&temporary(48)).await;
    world.wait_permission("temp", "True", "Granted").await;
    world.sleep(23 * HOUR).await;
    assert_eq!(condition(&world.permission("temp").await, "ExpiresSoon"), None);
    world.sleep(2 * HOUR).await;
    let soon = condition(&world.permission("temp").await, "ExpiresSoon").unwrap();
    assert_eq!(soon.status, "True");
    assert!(second_holds(&world));
    let mut before_end = 0;
    while second_holds(&world) {
        world.sleep(1).await;
        before_end += 1;
        assert!(before_end < 24 * HOUR);
    }
    let start: jiff::Timestamp = testkit::START.parse().unwrap();
    let late = world
        .server
        .now()
        .duration_since(start + SignedDuration::from_hours(48));
    assert!(late.as_secs() <= 5, "{late:?} late");
    let permission = world.wait_permission("temp", "True", "Expired").await;
    let status = permission.status.as_ref().unwrap();
    assert_eq!(condition(&permission, "Granted").unwrap().status, "False");
    assert_eq!(status.revoked.len(), 2);
    assert_eq!(status.reason.as_deref(), Some("holiday cover"));
    let reported = events_about(&world, "temp").await.join("\n");
    says(
        &reported,
        &["ExpiresSoon", "Expired", "RightsRevoked: revoked (holiday cover)"],
    );
    world.sleep(25 * HOUR).await;
    assert_eq!(world.permission("temp").await.status.unwrap().revoked, vec![]);
    assert!(view(&world).send_as.len() == 1, "the first member keeps theirs");
}

#[tokio::test(start_paused = true)]
async fn an_end_survives_a_restart_and_comes_when_the_clock_is_set_ahead() {
    let mut world = sales_with(&[FIRST]).await;
    world.apply(&temporary(2)).await;
    world.wait_permission("temp", "True", "Granted").await;
    world.crash_operator().await;
    world.sleep(3 * HOUR).await;
    assert!(second_holds(&world));
    world.start_operator();
    world.wait_permission("temp", "True", "Expired").await;
    assert!(!second_holds(&world));

    world.apply(&temporary(40)).await;
    world.wait_permission("temp", "True", "Granted").await;
    assert!(second_holds(&world), "an end that is moved grants again");
    world.clock.step(SignedDuration::from_hours(100));
    world.sleep(5).await;
    until(&world, "revoked", || !second_holds(&world)).await;
}

#[tokio::test(start_paused = true)]
async fn the_latest_end_of_several_counts() {
    let world = sales_with(&[FIRST]).await;
    world.apply(&temporary(1)).await;
    world
        .apply(&permission("longer", "sales", &[SECOND], &["SendAs"]))
        .await;
    world.wait_permission("temp", "True", "Granted").await;
    world.sleep(2 * HOUR).await;
    world.wait_permission("temp", "True", "Expired").await;
    let id = world.tenant.object_id(SECOND).unwrap();
    assert!(
        view(&world).send_as.contains(&id),
        "another permission gives it for longer"
    );
    assert!(!view(&world).full_access.iter().any(|entry| entry.trustee == id));
}

#[tokio::test(start_paused = true)]
async fn rights_of_two_permissions_that_ended_are_not_said_to_be_revoked_before_they_are() {
    let world = sales_with(&[FIRST]).await;
    world.apply(&temporary(2)).await;
    let other = json!({ "metadata": { "name": "other" } });
    world.apply(&with(temporary(2), &other)).await;
    world.wait_permission("other", "True", "Granted").await;
    let denied = FaultRule::always(Fault::Denied);
    world
        .tenant
        .add_fault(denied.on(&["Remove-RecipientPermission", "Remove-MailboxPermission"]));
    world.sleep(3 * HOUR).await;
    assert!(second_holds(&world));
    for name in ["temp", "other"] {
        world.wait_permission(name, "False", "Expiring").await;
    }
    world.tenant.set_faults(Faults::default());
    for name in ["temp", "other"] {
        world.wait_permission(name, "True", "Expired").await;
    }
    assert!(!second_holds(&world));
}
