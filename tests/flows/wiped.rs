//! Statuses are reports: what a lost one said is said again, from the ledger.

use super::kit::*;
use super::remembered::*;
use serde_json::json;
use shared_mailbox_operator::api::{MailboxPermission, Revoked, SharedMailbox};
use testkit::World;

/// Both statuses are emptied, as by a restore or by hand, and written again.
async fn wipe(world: &World) {
    patch_status::<SharedMailbox>(world, "sales", json!(null)).await;
    patch_status::<MailboxPermission>(world, "team", json!(null)).await;
    let wiped = world.permission("team").await.status.unwrap_or_default();
    assert_eq!((wiped.members, wiped.conditions), (vec![], vec![]));
    annotate(world, "wiped").await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
}

/// As the mailbox and its permission list them.
async fn revoked(world: &World) -> [Vec<Revoked>; 2] {
    let mailbox = world.mailbox("sales").await.status.unwrap();
    let permission = world.permission("team").await.status.unwrap();
    [mailbox.revoked, permission.revoked]
}

/// Whose right it is, and since when.
async fn since(world: &World) -> Vec<String> {
    let mut rights = Vec::new();
    for member in world.permission("team").await.status.unwrap().members {
        for right in member.rights {
            rights.push(json!([member.address, right.right, right.since]).to_string());
        }
    }
    rights
}

#[tokio::test(start_paused = true)]
async fn a_wiped_status_says_again_who_lost_what_and_since_when_the_others_have_theirs() {
    let world = sales_with(&[FIRST, SECOND]).await;
    world.sleep(HOUR).await;
    world.apply(&team(&[FIRST])).await;
    until(&world, "the second member is revoked", || {
        holders(&world) == held(1, 1)
    })
    .await;
    world.wait_permission("team", "True", "Granted").await;
    world.sleep(INTERVAL).await;
    let before = (revoked(&world).await, since(&world).await);
    assert_eq!((before.0[0].len(), before.0[1].len(), before.1.len()), (2, 2, 2));
    assert!(before.0.iter().flatten().all(|entry| entry.address == SECOND));
    wipe(&world).await;
    assert_eq!((revoked(&world).await, since(&world).await), before);

    world.sleep(3 * HOUR).await;
    wipe(&world).await;
    assert_eq!((revoked(&world).await, since(&world).await), before);
    world.sleep(24 * HOUR).await;
    assert_eq!(revoked(&world).await, [vec![], vec![]], "for a day");
}

#[tokio::test(start_paused = true)]
async fn members_keep_the_time_of_their_rights_while_their_mailbox_has_no_resource() {
    let world = sales_with(&[FIRST]).await;
    let before = since(&world).await;
    world.sleep(HOUR).await;
    delete_sales(&world).await;
    world.wait_permission("team", "False", "MailboxNotFound").await;
    assert_eq!(since(&world).await, NOTHING);
    world.apply(&sales(json!({}))).await;
    world.wait_permission("team", "True", "Granted").await;
    assert_eq!(since(&world).await, before);
}
