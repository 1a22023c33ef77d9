//! Groups whose owners sit outside the cluster: what follows from their changes, and what does not wait for it.

use super::groups::{ALL_STAFF, expanded_as, person, staff};
use super::kit::*;
use super::remembered::*;
use serde_json::json;
use simulator::{AccessRow, GroupKind, SeedGroup};
use testkit::{World, tenant, with};

const INNER: &str = "sales-team@contoso.com";

async fn with_twenty() -> World {
    let world = world(staff(20, 60), json!({})).await;
    world.apply(&sales(json!({}))).await;
    world.apply(&expanded_as("team", ALL_STAFF)).await;
    world.wait_permission("team", "True", "Granted").await;
    world
}

fn join(world: &World, group: &str, people: std::ops::Range<usize>) {
    for number in people {
        world.tenant.add_group_member(group, &person(number)).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_is_taken_up_although_its_group_changed_all_at_once_meanwhile() {
    let world = with_twenty().await;
    delete_sales(&world).await;
    join(&world, ALL_STAFF, 20..40);
    world.apply(&sales(json!({}))).await;
    let object = world.wait_mailbox("sales", "False", "Held").await;
    let ledger = world.ledger().await.spec;
    assert_eq!(Some(ledger.resource_ref.uid), object.metadata.uid);
    assert_eq!(ledger.released_at, None);
    assert_eq!(holders(&world), held(0, 20));
    stays_quiet(&world, std::time::Duration::from_hours(2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_resource_beside_what_an_earlier_one_left_is_read_seldom() {
    let world = sales_with(&[FIRST]).await;
    delete_sales(&world).await;
    world
        .apply(&sales(json!({ "emailAddress": "sales@elsewhere.example" })))
        .await;
    world.wait_mailbox("sales", "False", "DomainNotAccepted").await;
    world.sleep(HOUR).await;
    forget(&world);
    world.sleep(2 * HOUR).await;
    let reads = world.reads().iter().filter(|name| *name == "Get-Mailbox").count();
    assert!(reads <= 14, "{reads} reads in two hours");
}

#[tokio::test(start_paused = true)]
async fn what_protects_goes_on_while_a_group_keeps_changing() {
    let world = world(staff(20, 60), json!({})).await;
    world.apply(&sales(json!({}))).await;
    world.apply(&expanded_as("team", ALL_STAFF)).await;
    world
        .apply(&with(
            team(&[FIRST, SECOND]),
            &json!({ "metadata": { "name": "named" } }),
        ))
        .await;
    world.wait_permission("named", "True", "Granted").await;
    join(&world, ALL_STAFF, 20..40);
    let departed = world.tenant.object_id(SECOND).unwrap();
    for second in 0..2 * INTERVAL {
        world.sleep(1).await;
        // By then the group has been read again.
        if second == INTERVAL {
            world.tenant.set_account_enabled(SALES, true).unwrap();
            depart(&world, SECOND).await;
        }
        // Another one each second, so that no two reads show the same.
        let number = 40 + usize::try_from(second * 7 % 19).unwrap();
        let before = 40 + usize::try_from((second + 18) * 7 % 19).unwrap();
        join(&world, ALL_STAFF, number..number + 1);
        if second > 0 {
            world
                .tenant
                .remove_group_member(ALL_STAFF, &person(before))
                .unwrap();
        }
    }
    assert!(view(&world).account_disabled);
    assert!(!view(&world).send_as.contains(&departed));
    assert_eq!(view(&world).send_as.len(), 21, "nobody who joined got anything");
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_through_two_groups_that_changed_at_once_waits_as_well() {
    let inner: Vec<String> = (0..20).map(person).collect();
    let inner: Vec<&str> = inner.iter().map(String::as_str).collect();
    let mut seed = staff(20, 60);
    seed.groups.retain(|group| group.address != INNER);
    let seed = seed.with_group(SeedGroup::new(INNER, "Branch", GroupKind::Distribution, &inner));
    let world = world(seed, json!({})).await;
    world.tenant.add_group_member(ALL_STAFF, INNER).unwrap();
    world.apply(&sales(json!({}))).await;
    world.apply(&expanded_as("team", ALL_STAFF)).await;
    world.apply(&expanded_as("branch", INNER)).await;
    world.wait_permission("branch", "True", "Granted").await;
    join(&world, INNER, 20..35);
    let object = world.wait_mailbox("sales", "False", "Held").await;
    assert_eq!(object.status.unwrap().held.unwrap().count, 15);
    assert_eq!(holders(&world), held(0, 20));
}

#[tokio::test(start_paused = true)]
async fn exclusive_takes_nothing_from_anybody_while_a_group_cannot_be_read() {
    let world = world(staff(3, 3), json!({})).await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    for number in 0..3 {
        let row = AccessRow::of(&person(number));
        world.tenant.inject_access(SALES, &row).unwrap();
    }
    world.tenant.set_graph_group_read(false);
    world.tenant.revoke_tokens();
    let by_group = json!({ "spec": { "rights": ["FullAccess"] } });
    world
        .apply(&with(expanded_as("team", ALL_STAFF), &by_group))
        .await;
    world
        .apply(&sales(json!({ "permissions": { "mode": "Exclusive" } })))
        .await;
    world.sleep(2 * HOUR).await;
    assert_eq!(
        holders(&world).full_access,
        3,
        "nobody knows that they are strangers"
    );
    world
        .tenant
        .inject_access(SALES, &AccessRow::of("fourth.member@contoso.com"))
        .unwrap();
    world.tenant.set_graph_group_read(true);
    world.tenant.revoke_tokens();
    world.sleep(HOUR).await;
    assert_eq!(
        holders(&world).full_access,
        3,
        "the stranger is gone, and they are granted"
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_is_in_the_group_and_is_not_admitted_any_more_keeps_the_right() {
    let world = with_twenty().await;
    let mut rule = tenant()["spec"]["access"][0].clone();
    let admitted: Vec<String> = (0..20).filter(|number| *number != 3).map(person).collect();
    rule["members"] = json!(admitted);
    let narrower = json!({ "spec": { "access": [rule] } });
    world.apply(&with(tenant(), &narrower)).await;
    world.sleep(HOUR).await;
    assert_eq!(holders(&world), held(0, 20));
    world.tenant.remove_group_member(ALL_STAFF, &person(3)).unwrap();
    until(&world, "who leaves the group loses it", || {
        holders(&world) == held(0, 19)
    })
    .await;
}
