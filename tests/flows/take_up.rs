//! A resource takes a mailbox up again with what is remembered of it, and nobody loses anything because things come back
//! one after another.

use super::kit::*;
use super::remembered::*;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::DeleteParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use simulator::Faults;
use testkit::{NAMESPACE, condition};

#[tokio::test(start_paused = true)]
async fn who_was_taken_out_while_the_resource_was_away_is_revoked_when_it_is_back() {
    let world = sales_with(&[FIRST, SECOND]).await;
    delete_sales(&world).await;
    assert_eq!(
        (world.writes(), world.reads()),
        (vec![], vec![]),
        "nobody asks Exchange"
    );
    world.apply(&team(&[FIRST])).await;
    world.sleep(HOUR).await;
    assert_eq!(
        holders(&world),
        held(2, 2),
        "only a deletion policy takes them away"
    );
    world.apply(&sales(json!({}))).await;
    until(&world, "the second member is revoked", || {
        holders(&world) == held(1, 1)
    })
    .await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.sleep(3 * HOUR).await;
    assert_eq!(holders(&world), held(1, 1), "nobody else loses anything");
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_is_back_before_its_permissions_revokes_nobody() {
    for restored_first in ["sales", "team"] {
        let world = sales_with(&[FIRST, SECOND]).await;
        world.delete_mailbox("sales").await;
        world.delete_permission("team").await;
        released(&world).await;
        world.sleep(HOUR).await;
        if restored_first == "team" {
            world.apply(&team(&[FIRST, SECOND])).await;
            world.sleep(40 * 60).await;
            world.apply(&sales(json!({}))).await;
        } else {
            world.apply(&sales(json!({}))).await;
            world.sleep(40 * 60).await;
            let object = world.mailbox("sales").await;
            let due = condition(&object, "RevocationDue").expect("it is announced");
            says(&due.message, &["4 rights", FIRST, SECOND]);
            assert_eq!(world.ledger().await.spec.shown.state, "TakingUp");
            assert_eq!(events_of(&world, "RevocationDue").await, 1);
            world.apply(&team(&[FIRST, SECOND])).await;
        }
        world.wait_mailbox("sales", "True", "UpToDate").await;
        world.wait_permission("team", "True", "Granted").await;
        world.sleep(3 * HOUR).await;
        assert_eq!(holders(&world), held(2, 2));
        assert_eq!(
            world.writes(),
            ["Set-Mailbox"],
            "the new uid goes into the marker"
        );
        assert_eq!(condition(&world.mailbox("sales").await, "RevocationDue"), None);
        assert_eq!(world.ledger().await.spec.shown.state, "Serving");
    }
}

#[tokio::test(start_paused = true)]
async fn rights_whose_permission_stays_away_are_revoked_after_an_hour() {
    let world = sales_with(&[FIRST, SECOND]).await;
    world.delete_mailbox("sales").await;
    world.delete_permission("team").await;
    released(&world).await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    // Whatever the interval at which mailboxes are rechecked.
    let hour = world.ledger().await.spec.taken_up_at.unwrap() + jiff::SignedDuration::from_hours(1);
    let left = hour.duration_since(world.server.now()).as_secs().unsigned_abs();
    world.sleep(left - 30).await;
    assert_eq!(holders(&world), held(2, 2), "the hour is not over");
    world.sleep(60).await;
    assert_eq!(holders(&world), held(0, 0));
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn under_observe_nothing_is_taken_up_and_nothing_is_written_at_rest() {
    let world = sales_with(&[FIRST]).await;
    world.delete_mailbox("sales").await;
    world.delete_permission("team").await;
    released(&world).await;
    world.apply(&sales(json!({ "management": "Observe" }))).await;
    sales_drifts(&world).await;
    world.sleep(60).await;
    stays_quiet(&world, std::time::Duration::from_secs(2 * HOUR)).await;
    assert!(world.ledger().await.spec.released_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn exclusive_evicts_nobody_before_permissions_are_back() {
    let exclusive = json!({ "permissions": { "mode": "Exclusive" } });
    let world = sales_with(&[FIRST]).await;
    world.apply(&sales(exclusive.clone())).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.delete_mailbox("sales").await;
    world.delete_permission("team").await;
    released(&world).await;
    restore_ledgers(&world, &[]).await;
    forget(&world);
    world.apply(&sales(exclusive)).await;
    world.sleep(40 * 60).await;
    assert_eq!(
        holders(&world),
        held(1, 1),
        "nothing is remembered, so everybody looks like a stranger"
    );
    world.apply(&team(&[FIRST])).await;
    world.wait_permission("team", "True", "Granted").await;
    world.sleep(3 * HOUR).await;
    assert_eq!(holders(&world), held(1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_restored_ledger_is_believed_after_an_hour_and_never_earlier() {
    let world = sales_with(&[FIRST, SECOND]).await;
    let backup = world.ledgers().await;
    world.apply(&team(&[FIRST])).await;
    until(&world, "the second member is revoked", || {
        holders(&world) == held(1, 1)
    })
    .await;
    world.wait_permission("team", "True", "Granted").await;
    let second = json!({ "Identity": SALES, "Trustee": SECOND, "AccessRights": ["SendAs"] });
    admin(&world, "Add-RecipientPermission", second);
    restore_ledgers(&world, &backup).await;
    world.sleep(50 * 60).await;
    assert_eq!(
        holders(&world),
        held(1, 2),
        "what an old ledger lists looks like ours, for now"
    );
    let object = world.mailbox("sales").await;
    says(&condition(&object, "RevocationDue").unwrap().message, &[SECOND]);
    world.sleep(15 * 60).await;
    assert_eq!(holders(&world), held(1, 1));
    assert!(
        shared_mailbox_operator::ledger::is_intact(&world.ledger().await),
        "it is sealed anew"
    );
}

#[tokio::test(start_paused = true)]
async fn another_definition_of_permissions_starts_the_hour_anew() {
    let mut world = sales_with(&[FIRST]).await;
    world.stop_operator().await;
    patch_ledger(&world, json!({ "permissionsCrdUid": "of-an-older-definition" })).await;
    world.delete_permission("team").await;
    forget(&world);
    world.start_operator();
    world.sleep(50 * 60).await;
    assert_eq!(
        holders(&world),
        held(1, 1),
        "permissions may be on their way back"
    );
    world.apply(&team(&[FIRST])).await;
    world.wait_permission("team", "True", "Granted").await;
    world.sleep(3 * HOUR).await;
    assert_eq!((holders(&world), world.writes()), (held(1, 1), vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_was_announced_is_no_grace_periods_business() {
    let world = sales_with(&[FIRST, SECOND]).await;
    throttle_removals(&world);
    world.delete_permission("team").await;
    until_removing(&world).await;
    world.delete_mailbox("sales").await;
    released(&world).await;
    world.apply(&sales(json!({}))).await;
    world.sleep(60).await;
    world.tenant.set_faults(Faults::default());
    world.sleep(2 * INTERVAL).await;
    assert_eq!(holders(&world), held(0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_a_namespace_of_an_old_name_takes_up_is_in_the_audit_log() {
    for is_recreated in [true, false] {
        let world = sales_with(&[FIRST]).await;
        let namespaces: Api<Namespace> = Api::all(world.client.clone());
        let uid = async || namespaces.get(NAMESPACE).await.unwrap().uid().unwrap();
        let before = uid().await;
        delete_sales(&world).await;
        if is_recreated {
            world.delete_permission("team").await;
            namespaces
                .delete(NAMESPACE, &DeleteParams::default())
                .await
                .unwrap();
            world.ensure_namespace(NAMESPACE).await;
        }
        let text = logged(settle(&world, &[FIRST])).await;
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("NamespaceRecreated"))
            .collect();
        assert_eq!(lines.len(), usize::from(is_recreated), "{text}");
        for line in lines {
            says(
                line,
                &["WARN", "audit", NAMESPACE, "sales", &before, &uid().await],
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whom_a_returned_permission_drops_goes_at_once_and_whose_permission_is_absent_after_the_hour() {
    let world = sales_with(&[FIRST, SECOND]).await;
    world
        .apply(&testkit::permission("guest", "sales", &[THIRD], &["SendAs"]))
        .await;
    world.wait_permission("guest", "True", "Granted").await;
    world.delete_mailbox("sales").await;
    world.delete_permission("team").await;
    world.delete_permission("guest").await;
    released(&world).await;
    world.apply(&sales(json!({}))).await;
    world.apply(&team(&[FIRST])).await;
    world.sleep(5 * 60).await;
    assert_eq!(
        holders(&world),
        held(1, 2),
        "the second member went, the third did not"
    );
    let object = world.mailbox("sales").await;
    let due = condition(&object, "RevocationDue")
        .expect("it is announced")
        .message;
    says(&due, &["1 right is declared", THIRD]);
    world.sleep(50 * 60).await;
    assert_eq!(holders(&world), held(1, 2));
    world.sleep(15 * 60).await;
    assert_eq!(holders(&world), held(1, 1));
}

/// As many as a ledger names of one right: perhaps there were more.
#[tokio::test(start_paused = true)]
async fn whom_more_permissions_declared_than_a_ledger_names_waits_for_all_of_them() {
    let world = sales_with(&[]).await;
    let one = |number: usize| testkit::permission(&format!("p{number:02}"), "sales", &[FIRST], &["SendAs"]);
    for number in 0..22 {
        world.apply(&one(number)).await;
    }
    world.wait_permission("p21", "True", "Granted").await;
    world.sleep(60).await;
    world.delete_mailbox("sales").await;
    for number in 0..22 {
        world.delete_permission(&format!("p{number:02}")).await;
    }
    released(&world).await;
    for number in 0..20 {
        world
            .apply(&testkit::permission(
                &format!("p{number:02}"),
                "sales",
                &[SECOND],
                &["SendAs"],
            ))
            .await;
    }
    world.apply(&sales(json!({}))).await;
    world.wait_permission("p19", "True", "Granted").await;
    world.sleep(30 * 60).await;
    assert_eq!(
        holders(&world),
        held(0, 2),
        "two permissions are on their way back"
    );
}
