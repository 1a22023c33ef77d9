//! Requests of a reconcile, on each custom resource, by our annotation and by Flux's.

use std::fmt::Debug;
use std::time::Duration;

use kube::Resource;
use kube::api::{Api, Patch, PatchParams};
use serde::de::DeserializeOwned;
use serde_json::json;
use shared_mailbox_operator::api::{
    ExchangeTenant, FLUX_REQUESTED_AT, MailboxPermission, RECONCILE_REQUESTED_AT, SharedMailbox,
};

use tokio::time::Instant;

use super::kit::admin;
use testkit::{World, mailbox, permission};

/// Much sooner than the regular recheck comes.
const AT_ONCE: Duration = Duration::from_secs(30);

async fn ask<K>(api: Api<K>, name: &str, annotation: &str, value: &str)
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let params = PatchParams {
        field_manager: Some("tests".to_owned()),
        ..PatchParams::default()
    };
    let patch = json!({ "metadata": { "annotations": { annotation: value } } });
    api.patch(name, &params, &Patch::Merge(patch)).await.unwrap();
}

async fn sales() -> World {
    let world = World::start().await;
    world.apply(&mailbox("sales", "sales@contoso.com")).await;
    let members = ["first.member@contoso.com"];
    world
        .apply(&permission("team", "sales", &members, &["SendAs"]))
        .await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
    world.tenant.clear_journal();
    world
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_requested_on_a_permission_is_done_for_its_mailbox_and_echoed() {
    for annotation in [RECONCILE_REQUESTED_AT, FLUX_REQUESTED_AT] {
        let world = sales().await;
        let removal = json!({
            "Identity": "sales@contoso.com", "Trustee": "first.member@contoso.com", "AccessRights": ["SendAs"]
        });
        admin(&world, "Remove-RecipientPermission", removal);
        let asked = Instant::now();
        ask(world.api::<MailboxPermission>(), "team", annotation, "now").await;
        let handled = async || {
            let status = world.permission("team").await.status?;
            status.last_handled_reconcile_at
        };
        let echoed = world.wait("the echo", handled).await;
        assert_eq!(echoed, "now");
        assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
        assert!(!world.reads().is_empty(), "Exchange was read");
        let sales = world.tenant.mailbox("sales@contoso.com").unwrap();
        assert_eq!(sales.send_as.len(), 1, "and what differed is repaired");
        let mailbox = world.mailbox("sales").await.status.unwrap();
        assert_eq!(mailbox.last_handled_reconcile_at, None, "nobody asked there");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_requested_on_a_tenant_is_a_check_of_its_connection_and_echoed() {
    for annotation in [RECONCILE_REQUESTED_AT, FLUX_REQUESTED_AT] {
        let world = sales().await;
        let asked = Instant::now();
        ask(
            Api::<ExchangeTenant>::all(world.client.clone()),
            "default",
            annotation,
            "now",
        )
        .await;
        let handled = async || {
            let status = world.tenant_resource().await.status?;
            status.last_handled_reconcile_at
        };
        assert_eq!(world.wait("the echo", handled).await, "now");
        assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
        assert!(
            world.reads().contains(&"Get-AcceptedDomain".to_owned()),
            "{:?}",
            world.reads()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_requests_the_later_one_is_echoed() {
    let world = sales().await;
    let (early, late) = ("2026-11-22T09:00:00Z", "2026-11-22T10:00:00Z");
    ask(world.api::<SharedMailbox>(), "sales", FLUX_REQUESTED_AT, late).await;
    ask(
        world.api::<SharedMailbox>(),
        "sales",
        RECONCILE_REQUESTED_AT,
        early,
    )
    .await;
    world.sleep(30).await;
    let status = world.mailbox("sales").await.status.unwrap();
    assert_eq!(status.last_handled_reconcile_at.as_deref(), Some(late));
}
