//! What conditions say at each stage of a mailbox's life.

use std::time::Duration;

use super::kit::*;
use kube::Resource;
use serde::Serialize;
use serde_json::{Value, json};
use simulator::{Delay, Fault, FaultRule, Faults, Seed};
use testkit::{World, condition, tenant, with};

/// Status and reason of a condition.
fn words<K: Resource + Serialize>(object: &K, kind: &str) -> Option<String> {
    condition(object, kind).map(|condition| condition.in_short())
}

fn is(status: &str, reason: &str) -> String {
    format!("{status} {reason}")
}

fn managed(management: &str) -> Value {
    json!({ "spec": { "management": management } })
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_is_reconciling_within_a_second_and_then_ready() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    let slow = Faults {
        latency: Delay::fixed(2_000),
        ..Faults::default()
    };
    world.tenant.set_faults(slow);
    world.apply(&sales(json!({}))).await;
    world.apply(&team(&[FIRST])).await;
    let object = world.wait_mailbox("sales", "False", "Creating").await;
    assert_eq!(words(&object, "Reconciling"), Some(is("True", "Creating")));
    assert_eq!(words(&object, "Stalled"), None);
    assert_eq!(words(&object, "Provisioned"), None);
    let object = world.wait_mailbox("sales", "True", "UpToDate").await;
    for (kind, reason) in [
        ("Ready", "UpToDate"),
        ("Provisioned", "Created"),
        ("SignInBlocked", "Blocked"),
        ("SettingsSynced", "Synced"),
        ("PermissionsSynced", "Granted"),
    ] {
        assert_eq!(words(&object, kind), Some(is("True", reason)));
    }
    assert_eq!(
        (words(&object, "Reconciling"), words(&object, "Stalled")),
        (None, None)
    );
    let status = object.status.unwrap();
    assert_eq!(status.summary.as_deref(), Some("UpToDate"));
    assert_eq!(status.primary_address.as_deref(), Some(SALES));
    assert_eq!(status.kind.as_deref(), Some("SharedMailbox"));
    assert_eq!(status.mailbox_guid, Some(view(&world).exchange_guid.to_string()));
    assert_eq!(status.object_id, Some(view(&world).object_id.to_string()));
}

#[tokio::test(start_paused = true)]
async fn observe_reports_what_enforce_would_do_and_does_nothing() {
    let world = world(Seed::contoso(), managed("Observe")).await;
    world.apply(&sales(json!({}))).await;
    world.apply(&team(&[FIRST])).await;
    let object = sales_drifts(&world).await;
    says(&drift_of(&object), &["Observe", "create the mailbox"]);
    assert_eq!(object.status.unwrap().pending_plan, ["create the mailbox"]);
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    world.apply(&tenant()).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    let team = world.wait_permission("team", "True", "Granted").await;
    assert_eq!(words(&team, "Granted"), Some(is("True", "Granted")));
}

#[tokio::test(start_paused = true)]
async fn observe_of_a_mailbox_shows_differences_and_their_end() {
    let world = sales_with(&[FIRST]).await;
    world.apply(&sales(json!({ "management": "Observe" }))).await;
    let object = world.wait_mailbox("sales", "True", "Observed").await;
    assert_eq!(words(&object, "Stalled"), None);
    admin(
        &world,
        "Set-Mailbox",
        json!({ "Identity": SALES, "DisplayName": "Vendite" }),
    );
    admin(
        &world,
        "Remove-MailboxPermission",
        json!({ "Identity": SALES, "User": FIRST, "AccessRights": ["FullAccess"] }),
    );
    world.sleep(INTERVAL).await;
    let object = sales_drifts(&world).await;
    says(
        &drift_of(&object),
        &[
            "set displayName to \"sales\"",
            "grant FullAccess to first.member@contoso.com",
        ],
    );
    assert_eq!(object.status.as_ref().unwrap().pending_plan.len(), 2);
    let team = world.wait_permission("team", "True", "Observed").await;
    let granted = condition(&team, "Granted").unwrap();
    assert_eq!(granted.in_short(), "False Observed");
    says(&granted.message, &["Observe", "1 member lacks"]);
    stays_quiet(&world, Duration::from_hours(2)).await;
    admin(
        &world,
        "Set-Mailbox",
        json!({ "Identity": SALES, "DisplayName": "sales" }),
    );
    admin(
        &world,
        "Add-MailboxPermission",
        json!({ "Identity": SALES, "User": FIRST, "AccessRights": ["FullAccess"] }),
    );
    forget(&world);
    world.sleep(INTERVAL).await;
    let object = world.wait_mailbox("sales", "True", "Observed").await;
    assert_eq!(words(&object, "Drifted"), None);
    assert_eq!(object.status.unwrap().pending_plan, Vec::<String>::new());
    world.wait_permission("team", "True", "Granted").await;
    assert_eq!(world.writes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn paused_stops_everything_but_deletion() {
    for by_tenant in [false, true] {
        let world = sales_with(&[FIRST]).await;
        let why = if by_tenant {
            world.apply(&with(tenant(), &managed("Paused"))).await;
            ["ExchangeTenant", "nothing is written"]
        } else {
            world.apply(&sales(json!({ "management": "Paused" }))).await;
            ["spec.management", "only what protects is done"]
        };
        let object = world.wait_mailbox("sales", "Unknown", "Paused").await;
        says(&condition(&object, "Ready").unwrap().message, &why);
        assert_eq!(words(&object, "Stalled"), Some(is("True", "Paused")));
        assert_eq!(
            words(&object, "SignInBlocked"),
            Some(is("True", "Blocked")),
            "frozen"
        );
        assert_eq!(
            words(&object, "PermissionsSynced"),
            Some(is("True", "Granted")),
            "frozen"
        );
        let permission = world.wait_permission("team", "Unknown", "Paused").await;
        assert_eq!(words(&permission, "Stalled"), Some(is("True", "Paused")));
        world.apply(&team(&[FIRST, SECOND])).await;
        world.sleep(INTERVAL).await;
        assert_eq!(world.writes(), NOTHING);
        world.delete_mailbox("sales").await;
        let gone = async || {
            world
                .api::<shared_mailbox_operator::api::SharedMailbox>()
                .get_opt("sales")
                .await
                .unwrap()
                .is_none()
                .then_some(())
        };
        world.wait("the mailbox resource is gone", gone).await;
        assert!(world.tenant.mailbox(SALES).is_some(), "Retain");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_paused_continues_where_it_was() {
    let world = sales_with(&[FIRST]).await;
    world.apply(&with(tenant(), &managed("Paused"))).await;
    world.wait_mailbox("sales", "Unknown", "Paused").await;
    world.apply(&team(&[SECOND])).await;
    world.sleep(5).await;
    world.apply(&tenant()).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
    let second = world.tenant.object_id(SECOND).unwrap();
    assert_eq!(view(&world).send_as, [second]);
}

#[tokio::test(start_paused = true)]
async fn a_permission_without_its_mailbox_waits_ten_minutes_and_then_says_that_somebody_must_act() {
    let world = World::start().await;
    world.apply(&team(&[FIRST])).await;
    let team = world.wait_permission("team", "False", "MailboxNotFound").await;
    says(
        &condition(&team, "Ready").unwrap().message,
        &["spec.mailboxRef.name", "\"sales\"", "apply it"],
    );
    assert_eq!(words(&team, "Reconciling"), Some(is("True", "MailboxNotFound")));
    assert_eq!(words(&team, "Stalled"), None);
    world.sleep(9 * 60).await;
    assert_eq!(words(&world.permission("team").await, "Stalled"), None);
    world.sleep(90).await;
    let team = world.permission("team").await;
    assert_eq!(words(&team, "Stalled"), Some(is("True", "MailboxNotFound")));
    assert_eq!(words(&team, "Reconciling"), None);
    stays_quiet(&world, Duration::from_hours(1)).await;
    world.apply(&sales(json!({}))).await;
    let team = world.wait_permission("team", "True", "Granted").await;
    assert_eq!(words(&team, "Stalled"), None);
}

#[tokio::test(start_paused = true)]
async fn sign_in_that_may_stay_open_is_a_fact_and_no_failure() {
    let world = World::start().await;
    world.apply(&sales(json!({ "signIn": "Allowed" }))).await;
    let object = world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(
        words(&object, "SignInBlocked"),
        Some(is("False", "AllowedBySpec"))
    );
    assert_eq!(object.status.unwrap().sign_in.as_deref(), Some("Open"));
    world.apply(&sales(json!({}))).await;
    let object = world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(words(&object, "SignInBlocked"), Some(is("True", "Blocked")));
    assert!(view(&world).account_disabled);
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_can_be_requested_and_is_echoed() {
    let world = sales_with(&[FIRST]).await;
    admin(
        &world,
        "Set-Mailbox",
        json!({ "Identity": SALES, "DisplayName": "Vendite" }),
    );
    look_now(&world).await;
    assert_eq!(view(&world).display_name, "sales");
    world.tenant.add_fault(outage());
    annotate(&world, "during an outage").await;
    world.sleep(60).await;
    let echoed = world
        .mailbox("sales")
        .await
        .status
        .unwrap()
        .last_handled_reconcile_at;
    assert_ne!(
        echoed.as_deref(),
        Some("during an outage"),
        "nothing was seen yet"
    );
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_can_not_be_created_yet_does_not_seem_to_be_fine() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    world.tenant.add_fault(FaultRule::always(Fault::LostRequest));
    world.apply(&sales(json!({}))).await;
    let object = world.wait_mailbox("sales", "False", "WaitingForExchange").await;
    assert_eq!(
        words(&object, "Reconciling"),
        Some(is("True", "WaitingForExchange"))
    );
    world.tenant.set_faults(Faults::default());
    world.wait_mailbox("sales", "True", "UpToDate").await;
}
