//! What tools that wait by kstatus (Flux, kpt, Argo CD's health checks) make of our custom resources through their lives.

use serde_json::json;
use shared_mailbox_operator::api::SharedMailbox;
use simulator::{Delay, Faults, Seed};

use super::kit::*;
use testkit::kstatus::{Kstatus, of};
use testkit::{World, tenant};

async fn mailbox_is(world: &World) -> Kstatus {
    of(&world.mailbox("sales").await)
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_is_in_progress_until_it_is_created_and_again_after_each_edit() {
    let mut world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    world.tenant.set_faults(Faults {
        latency: Delay::fixed(3000),
        ..Faults::default()
    });
    world.apply(&sales(json!({}))).await;
    world.sleep(1).await;
    assert_eq!(
        mailbox_is(&world).await,
        Kstatus::InProgress,
        "reported within a second"
    );
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(mailbox_is(&world).await, Kstatus::Current);

    world.stop_operator().await;
    world.apply(&sales(json!({ "displayName": "Another" }))).await;
    assert_eq!(
        mailbox_is(&world).await,
        Kstatus::InProgress,
        "nothing was reconciled yet"
    );
    world.tenant.set_faults(Faults::default());
    world.start_operator();
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(mailbox_is(&world).await, Kstatus::Current);
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_is_in_progress_while_its_tenant_has_not_been_checked_yet() {
    let mut world = World::without_operator(Seed::contoso()).await;
    world.tenant.set_faults(Faults {
        latency: Delay::fixed(3000),
        ..Faults::default()
    });
    world.apply(&tenant()).await;
    world.start_operator();
    world.apply(&sales(json!({}))).await;
    world.sleep(2).await;
    assert_eq!(mailbox_is(&world).await, Kstatus::InProgress);
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn what_somebody_has_to_act_on_is_failed_and_not_in_progress_for_ever() {
    let world = World::start().await;
    world
        .apply(&sales(json!({ "emailAddress": "sales@contoso.onmicrosoft.com" })))
        .await;
    world.wait_mailbox("sales", "False", "AccessDenied").await;
    assert_eq!(mailbox_is(&world).await, Kstatus::Failed);

    world.apply(&sales(json!({ "management": "Paused" }))).await;
    world.wait_mailbox("sales", "Unknown", "Paused").await;
    assert_eq!(mailbox_is(&world).await, Kstatus::Failed, "paused");
}

#[tokio::test(start_paused = true)]
async fn under_observe_a_difference_is_as_current_as_none() {
    let world = sales_with(&[FIRST]).await;
    world.apply(&sales(json!({ "management": "Observe" }))).await;
    world.wait_mailbox("sales", "True", "Observed").await;
    assert_eq!(mailbox_is(&world).await, Kstatus::Current);
    world
        .apply(&sales(
            json!({ "management": "Observe", "displayName": "Another" }),
        ))
        .await;
    sales_drifts(&world).await;
    assert_eq!(mailbox_is(&world).await, Kstatus::Current);
}

#[tokio::test(start_paused = true)]
async fn an_outage_changes_nothing_and_a_loss_is_rechecked_before_it_is_reported() {
    let world = sales_with(&[FIRST]).await;
    world.tenant.add_fault(outage());
    world.sleep(2 * INTERVAL).await;
    assert_eq!(mailbox_is(&world).await, Kstatus::Current, "what was last true");
    assert_eq!(
        of(&world.tenant_resource().await),
        Kstatus::InProgress,
        "unreachable"
    );
    world.tenant.set_faults(Faults::default());
    world.wait_tenant("True", "Connected").await;
    assert_eq!(of(&world.tenant_resource().await), Kstatus::Current);

    purge(&world, SALES);
    world.wait_mailbox("sales", "False", "ConfirmingLoss").await;
    assert_eq!(mailbox_is(&world).await, Kstatus::InProgress);
    world.wait_mailbox("sales", "False", "MailboxGone").await;
    assert_eq!(mailbox_is(&world).await, Kstatus::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_permission_waits_for_its_mailbox_and_fails_when_somebody_is_refused() {
    let world = World::start().await;
    world.apply(&team(&[FIRST, "partner@elsewhere.example"])).await;
    world.wait_permission("team", "False", "MailboxNotFound").await;
    assert_eq!(of(&world.permission("team").await), Kstatus::InProgress);
    world.sleep(700).await;
    assert_eq!(
        of(&world.permission("team").await),
        Kstatus::Failed,
        "nobody applies it"
    );
    world.apply(&sales(json!({}))).await;
    world.wait_permission("team", "False", "PartiallyGranted").await;
    assert_eq!(of(&world.permission("team").await), Kstatus::Failed);
    world.apply(&team(&[FIRST])).await;
    world.wait_permission("team", "True", "Granted").await;
    assert_eq!(of(&world.permission("team").await), Kstatus::Current);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_whose_credentials_are_refused_is_failed_and_what_is_deleted_is_gone_at_once() {
    let mut world = world(Seed::contoso(), json!({})).await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.tenant.set_client_secret("another");
    world.tenant.revoke_tokens();
    world.wait_tenant("False", "ClientSecretWrong").await;
    assert_eq!(of(&world.tenant_resource().await), Kstatus::Failed);
    world.stop_operator().await;
    world.delete_mailbox("sales").await;
    let left = world.api::<SharedMailbox>().get_opt("sales").await.unwrap();
    assert!(left.is_none(), "nothing holds a resource up under Retain");
}
