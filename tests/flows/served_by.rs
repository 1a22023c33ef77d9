//! Two installations on one cluster: one serves the tenant, and the other says who does and touches nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::kit::*;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::json;
use shared_mailbox_operator::clock::Clock;
use shared_mailbox_operator::controller::Readiness;
use shared_mailbox_operator::exchange::HttpService;
use shared_mailbox_operator::leadership::Leadership;
use testkit::api_server::Disturbance;
use testkit::{World, in_process};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tower::util::BoxCloneSyncService;

const ELSEWHERE: &str = "other-system";
const LEASE: &str = "shared-mailbox-operator-11111111-2222-3333-4444-555555555555";
/// Of a paused hour: a renewal every five minutes.
const RENEWALS: usize = 13;

/// The operator in another namespace, and how often it called Microsoft.
struct Second {
    task: JoinHandle<()>,
    calls: Arc<AtomicUsize>,
    _runs: (oneshot::Sender<()>, watch::Receiver<Readiness>),
}

impl Second {
    async fn start(world: &mut World) -> Self {
        let clock = world.clock;
        Self::start_with(world, clock).await
    }

    async fn start_with(world: &mut World, clock: Clock) -> Self {
        world.ensure_namespace(ELSEWHERE).await;
        let secrets: Api<Secret> = Api::namespaced(world.client.clone(), ELSEWHERE);
        let secret = json!({ "metadata": { "name": "exchange-credentials" },
            "stringData": { "clientSecret": "simulated-secret" } });
        let secret = serde_json::from_value(secret).unwrap();
        secrets.create(&PostParams::default(), &secret).await.unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let (http, count) = (in_process(&world.simulator), Arc::clone(&calls));
        let http: HttpService = BoxCloneSyncService::new(tower::service_fn(move |request| {
            count.fetch_add(1, Ordering::Relaxed);
            tower::ServiceExt::oneshot(http.clone(), request)
        }));
        let mut operator = world.new_operator(world.client.clone(), http, Leadership::alone());
        ELSEWHERE.clone_into(&mut operator.settings.operator_namespace);
        operator.clock = clock;
        let (readiness, ready) = watch::channel(Readiness::Waiting("start"));
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(operator.run(readiness, async move {
            let _ = stopped.await;
        }));
        Self {
            task,
            calls,
            _runs: (stop, ready),
        }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

fn leases(world: &World) -> Api<Lease> {
    Api::namespaced(world.client.clone(), "kube-system")
}

async fn lease(world: &World) -> Lease {
    leases(world).get(LEASE).await.unwrap()
}

async fn holder(world: &World) -> String {
    let lease = lease(world).await;
    lease.spec.unwrap().holder_identity.unwrap()
}

fn lease_writes(world: &World) -> usize {
    let requests = world.server.requests();
    requests
        .iter()
        .filter(|request| request.is_write && request.plural == "leases")
        .count()
}

/// Events on the ExchangeTenant that say who serves it.
async fn said(world: &World) -> Vec<String> {
    let events: Api<Event> = Api::namespaced(world.client.clone(), "default");
    let events = events
        .list(&ListParams::default())
        .await
        .unwrap()
        .items
        .into_iter();
    events
        .filter(|event| event.reason.as_deref() == Some("ServedByAnother"))
        .filter_map(|event| event.note)
        .collect()
}

/// Somebody renames the mailbox; whether Exchange shows it after `seconds`.
async fn follows(world: &World, name: &str, seconds: u64) -> bool {
    world.apply(&sales(json!({ "displayName": name }))).await;
    world.sleep(seconds).await;
    let mailboxes = world.tenant.mailboxes();
    mailboxes.iter().any(|mailbox| mailbox.display_name == name)
}

#[tokio::test(start_paused = true)]
async fn of_two_installations_one_works_and_the_other_says_who_and_touches_nothing() {
    let mut world = sales_with(&[FIRST]).await;
    assert!(holder(&world).await.starts_with("shared-mailbox-system/"));
    let second = Second::start(&mut world).await;
    world.sleep(120).await;
    let said_once = said(&world).await;
    assert_eq!(said_once.len(), 1, "{said_once:?}");
    says(
        &said_once[0],
        &[
            "\"shared-mailbox-system\"",
            "\"other-system\"",
            "uninstall one of the two",
            LEASE,
        ],
    );
    assert!(follows(&world, "Sales 2", 60).await, "the first works as before");
    world.wait_mailbox("sales", "True", "UpToDate").await;
    forget(&world);
    world.sleep(3600).await;
    assert_eq!(world.kubernetes_writes(), NOTHING, "no war over statuses");
    let proofs = world.tenant_status_writes();
    assert!(proofs <= 7, "no war over the tenant's: {proofs}");
    assert!(lease_writes(&world) <= RENEWALS, "{}", lease_writes(&world));
    assert_eq!(second.calls(), 0, "not even a token is asked for");
    assert_eq!(said(&world).await.len(), 1);
    world.wait_tenant("True", "Connected").await;
    assert!(holder(&world).await.starts_with("shared-mailbox-system/"));
}

#[tokio::test(start_paused = true)]
async fn when_the_first_has_ended_the_second_says_so_and_takes_over_after_fifteen_minutes() {
    let mut world = sales_with(&[FIRST]).await;
    let second = Second::start(&mut world).await;
    world.sleep(3600).await;
    world.stop_operator().await;
    let renewed = lease(&world).await.spec.unwrap().renew_time.unwrap().0;
    let age = |world: &World| world.clock.now().duration_since(renewed).as_secs();
    assert!(age(&world) <= 301, "{}", age(&world));
    let object = world.wait_tenant("False", "ServedByAnother").await;
    says(
        &stalled(&object, "ServedByAnother"),
        &["\"shared-mailbox-system\"", "15 minutes", LEASE],
    );
    assert!((600..640).contains(&age(&world)), "{}", age(&world));
    while age(&world) < 899 {
        world.sleep(1).await;
        assert_eq!(second.calls(), 0);
    }
    world.wait_tenant("True", "Connected").await;
    assert!(age(&world) < 930, "{}", age(&world));
    assert!(holder(&world).await.starts_with("other-system/"));
    assert_eq!(lease(&world).await.spec.unwrap().lease_transitions, Some(1));
    assert!(follows(&world, "Sales 2", 60).await);
    assert!(!second.task.is_finished());

    world.start_operator();
    world.sleep(3600).await;
    assert!(
        holder(&world).await.starts_with("other-system/"),
        "whoever comes back waits"
    );
}

#[tokio::test(start_paused = true)]
async fn a_reinstall_in_the_same_namespace_waits_for_nobody() {
    let mut world = sales_with(&[FIRST]).await;
    world.crash_operator().await;
    world.start_operator();
    assert!(follows(&world, "Sales 2", 30).await);
    assert_eq!(said(&world).await, NOTHING);
}

#[tokio::test(start_paused = true)]
async fn whoever_finds_the_lease_in_other_hands_stops_at_once() {
    let world = sales_with(&[FIRST]).await;
    let mut taken = lease(&world).await;
    let spec = taken.spec.as_mut().unwrap();
    spec.holder_identity = Some("other-system/production-1/0a1b2c3d".to_owned());
    spec.renew_time.as_mut().unwrap().0 = world.clock.now();
    leases(&world)
        .replace(LEASE, &PostParams::default(), &taken)
        .await
        .unwrap();
    world.sleep(310).await;
    assert_eq!(said(&world).await.len(), 1);
    forget(&world);
    assert!(!follows(&world, "Sales 2", 200).await);
    assert_eq!(world.writes(), NOTHING);
    leases(&world)
        .delete(LEASE, &kube::api::DeleteParams::default())
        .await
        .unwrap();
    world.sleep(60).await;
    assert!(follows(&world, "Sales 3", 60).await, "a deleted Lease is free");
}

#[tokio::test(start_paused = true)]
async fn without_the_lease_nothing_is_written_a_minute_before_another_may_take_it() {
    let world = sales_with(&[FIRST]).await;
    let renewed = lease(&world).await.spec.unwrap().renew_time.unwrap().0;
    world
        .server
        .disturb_by(|call| (call.plural == "leases").then_some(Disturbance::refused(503)));
    let until = async |minutes: u64| {
        let left = Duration::from_mins(minutes).saturating_sub(world.clock.since(renewed));
        world.sleep(left.as_secs() + 1).await;
    };
    until(12).await;
    assert!(
        follows(&world, "Sales 2", 60).await,
        "an outage of the API server is no reason to stop"
    );
    until(14).await;
    forget(&world);
    assert!(!follows(&world, "Sales 3", 300).await);
    assert_eq!(world.writes(), NOTHING);
    world.wait_tenant("Unknown", "Unreachable").await;
    world.server.calm();
    world.wait_tenant("True", "Connected").await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    let mailboxes = world.tenant.mailboxes();
    assert!(mailboxes.iter().any(|mailbox| mailbox.display_name == "Sales 3"));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_may_not_be_used_is_reported_with_what_to_grant() {
    let mut world = World::without_operator(simulator::Seed::contoso()).await;
    world
        .server
        .disturb_by(|call| (call.plural == "leases").then_some(Disturbance::refused(403)));
    world.apply(&testkit::tenant()).await;
    world.start_operator();
    let object = world.wait_tenant("False", "LeaseForbidden").await;
    says(
        &stalled(&object, "LeaseForbidden"),
        &[
            "kube-system",
            LEASE,
            "get, create and update of leases",
            "tenantLeaseNamespace",
        ],
    );
    world.server.calm();
    world.wait_tenant("True", "Connected").await;
}

#[tokio::test(start_paused = true)]
async fn however_often_a_tenant_is_checked_its_lease_is_written_every_five_minutes_at_most() {
    let world = sales_with(&[FIRST]).await;
    forget(&world);
    for number in 0..20 {
        let asked = json!({ "metadata": { "annotations": {
            "sharedmailbox.dev/reconcile-requested-at": number.to_string() } } });
        world.apply(&testkit::with(testkit::tenant(), &asked)).await;
        world.sleep(10).await;
        let status = world.tenant_resource().await.status.unwrap();
        assert_eq!(status.last_handled_reconcile_at, Some(number.to_string()));
    }
    assert!(lease_writes(&world) <= 1, "{}", lease_writes(&world));
}

#[tokio::test(start_paused = true)]
async fn whose_clock_is_wrong_takes_no_tenant_from_one_that_renews() {
    for hours in [-30, 1, 30] {
        let mut world = sales_with(&[FIRST]).await;
        let wrong = Clock::starting_at(world.clock.now() + jiff::SignedDuration::from_hours(hours));
        let second = Second::start_with(&mut world, wrong).await;
        world.sleep(2 * 3600).await;
        assert_eq!(second.calls(), 0, "{hours}");
        assert!(
            holder(&world).await.starts_with("shared-mailbox-system/"),
            "{hours}"
        );
        assert!(follows(&world, "Sales 2", 60).await, "{hours}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_a_clock_that_was_ahead_lapses_after_fifteen_minutes_too() {
    let mut world = sales_with(&[FIRST]).await;
    world.stop_operator().await;
    let mut ahead = lease(&world).await;
    let spec = ahead.spec.as_mut().unwrap();
    spec.renew_time.as_mut().unwrap().0 = world.clock.now() + jiff::SignedDuration::from_hours(300);
    leases(&world)
        .replace(LEASE, &PostParams::default(), &ahead)
        .await
        .unwrap();
    let second = Second::start(&mut world).await;
    world.sleep(14 * 60).await;
    assert_eq!(second.calls(), 0);
    world.sleep(3 * 60).await;
    assert!(holder(&world).await.starts_with("other-system/"));
    assert!(follows(&world, "Sales 2", 60).await);
}
