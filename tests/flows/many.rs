//! Much at once: entries near their limit, and everything that is deleted together.

use super::kit::*;
use serde_json::json;
use simulator::{AccessRow, Profile, Seed, SeedUser};
use testkit::World;

#[tokio::test(start_paused = true)]
async fn a_mailbox_near_the_limit_of_entries_says_so() {
    let mut seed = Seed::contoso();
    for number in 0..480 {
        let name = format!("reader{number}@contoso.com");
        seed = seed.with_user(SeedUser::person(&name, &name));
    }
    let world = world(seed, json!({})).await;
    settle(&world, &[FIRST]).await;
    for number in 0..480 {
        let name = format!("reader{number}@contoso.com");
        world.tenant.inject_access(SALES, &AccessRow::of(&name)).unwrap();
    }
    look_now(&world).await;
    world.sleep(60).await;
    let mailbox = world.mailbox("sales").await;
    let near = testkit::condition(&mailbox, "EntryLimitNear").expect("the limit is seen coming");
    // One of them may be a role group's.
    let all = 481 + usize::from(tenants_are(&[Profile::Y2026]));
    says(&near.message, &[&format!("{all} entries"), "500"]);
    assert_eq!(mailbox.status.unwrap().foreign_grants, Some(480));
    assert_eq!(world.writes(), NOTHING);
}

/// What is left in the tenant and what was written.
#[derive(Debug, PartialEq)]
struct Left {
    full_access: usize,
    send_as: usize,
    writes: Vec<String>,
}

/// After mailbox and permission were deleted in this order.
async fn after_deleting(permission_first: bool) -> Left {
    let world: World = sales_with(&[FIRST, SECOND]).await;
    if permission_first {
        world.delete_permission("team").await;
        world.delete_mailbox("sales").await;
    } else {
        world.delete_mailbox("sales").await;
        world.delete_permission("team").await;
    }
    world.sleep(INTERVAL).await;
    let view = view(&world);
    Left {
        full_access: view.full_access.len(),
        send_as: view.send_as.len(),
        writes: world.writes(),
    }
}

#[tokio::test(start_paused = true)]
async fn deleting_mailbox_and_permission_together_keeps_every_grant_in_either_order() {
    let kept = Left {
        full_access: 2,
        send_as: 2,
        writes: Vec::new(),
    };
    assert_eq!(after_deleting(false).await, kept);
    assert_eq!(after_deleting(true).await, kept);
}

#[tokio::test(start_paused = true)]
async fn nobody_loses_anything_because_a_namespace_is_deleted_even_when_its_permissions_are_deleted_first() {
    let world = sales_with(&[FIRST, SECOND]).await;
    // A finalizer of somebody else keeps the mailbox, and so the namespace, for a while.
    let held = json!({ "metadata": { "finalizers": ["sharedmailbox.dev/mailbox", "example.com/backup"] } });
    world.apply(&testkit::with(sales(json!({})), &held)).await;
    let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(world.client.clone());
    let name = testkit::NAMESPACE;
    world.delete_permission("team").await;
    namespaces
        .delete(name, &kube::api::DeleteParams::default())
        .await
        .unwrap();
    world.sleep(2 * INTERVAL).await;
    let view = view(&world);
    assert_eq!((view.full_access.len(), view.send_as.len()), (2, 2));
    assert_eq!(world.writes(), NOTHING);
}

/// The bounds of `cargo xtask bench`, in a tenant that is small enough for every run. Some tenants need more reads and more
/// requests: for the SIDs of members, for small pages, for short filters. None needs another write.
#[tokio::test(start_paused = true)]
async fn creating_keeping_and_editing_mailboxes_costs_what_it_may() {
    let phases = testkit::bench::Scenario::of(60).run().await;
    let mut rows = testkit::bench::rows(&phases);
    if tenants_are(&[Profile::Y2020, Profile::Y2026, Profile::NarrowRole]) {
        rows.retain(testkit::bench::Row::is_about_writes);
    }
    let broken = testkit::bench::broken(&rows);
    assert!(broken.is_empty(), "{}", testkit::bench::table(&rows));
}
