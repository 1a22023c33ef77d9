//! Two replicas, one Lease: never two that may write, and a quick hand-over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use shared_mailbox_operator::api::{SharedMailbox, all_crds};
use shared_mailbox_operator::clock::Clock;
use shared_mailbox_operator::controller::Readiness;
use shared_mailbox_operator::exchange::HttpService;
use shared_mailbox_operator::leadership::Leadership;
use shared_mailbox_operator::runtime::lead;
use shared_mailbox_operator::runtime::lease::Elector;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use simulator::{Delay, Faults, Seed};

use serde_json::json;
use testkit::api_server::ApiServer;
use testkit::{NAMESPACE, OPERATOR_NAMESPACE, Server, World, in_process, mailbox, permission, tenant, with};

struct Replica {
    clock: Clock,
    leadership: Leadership,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Replica {
    fn start(server: &ApiServer, client: Client, name: &str) -> Self {
        let clock = Clock::starting_at(server.now());
        let mut elector = Elector::new(client, "default", "lease", name.to_owned(), clock);
        let leadership = elector.leadership();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            elector.win().await;
            tokio::select! {
                () = elector.keep() => {}
                Ok(()) = stopped => elector.release().await,
            }
        });
        Self {
            clock,
            leadership,
            stop: Some(stop),
            task,
        }
    }

    fn leads(&self) -> bool {
        self.leadership.is_current()
    }

    /// SIGKILL, or a machine that is gone.
    fn kill(&self) {
        self.task.abort();
    }
}

/// With our CRDs; nothing is declared yet.
fn empty_server() -> ApiServer {
    let server = ApiServer::new("2026-11-22T09:00:00Z".parse().unwrap());
    for namespace in ["default", NAMESPACE] {
        server.add_namespace(namespace);
    }
    for crd in all_crds() {
        server.install_crd(crd);
    }
    server
}

/// On which somebody has declared a mailbox.
async fn server() -> ApiServer {
    let server = empty_server();
    let mailboxes: Api<SharedMailbox> = Api::namespaced(server.client(), NAMESPACE);
    let sales = serde_json::from_value(mailbox("sales", "sales@contoso.com")).unwrap();
    mailboxes.create(&PostParams::default(), &sales).await.unwrap();
    server
}

/// Seconds until `replica` leads; fails as soon as both do.
async fn hand_over(from: &Replica, to: &Replica) -> f64 {
    let start = Instant::now();
    while !to.leads() {
        assert!(start.elapsed() < Duration::from_mins(1), "nobody took over");
        sleep(Duration::from_millis(50)).await;
        assert!(!(from.leads() && to.leads()), "two writers");
    }
    start.elapsed().as_secs_f64()
}

struct Pair {
    leader: Replica,
    standby: Replica,
}

async fn leader_and_standby(server: &ApiServer, leaders_client: Client) -> Pair {
    let leader = Replica::start(server, leaders_client, "one");
    sleep(Duration::from_secs(14)).await;
    assert!(!leader.leads(), "somebody may lead whose lease was deleted");
    sleep(Duration::from_secs(6)).await;
    assert!(leader.leads());
    let standby = Replica::start(server, server.client(), "two");
    sleep(Duration::from_mins(2)).await;
    assert!(leader.leads() && !standby.leads(), "a leader that renews stays");
    Pair { leader, standby }
}

#[tokio::test(start_paused = true)]
async fn the_first_start_on_a_cluster_waits_for_nobody() {
    let without_kinds = ApiServer::new("2026-11-22T09:00:00Z".parse().unwrap());
    without_kinds.add_namespace("default");
    for server in [empty_server(), without_kinds] {
        let first = Replica::start(&server, server.client(), "one");
        let second = Replica::start(&server, server.client(), "two");
        sleep(Duration::from_millis(1500)).await;
        assert!(first.leads() ^ second.leads(), "one of two that start together");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_stops_in_order_hands_over_within_two_seconds() {
    let server = server().await;
    let Pair { mut leader, standby } = leader_and_standby(&server, server.client()).await;
    leader.stop.take().unwrap().send(()).unwrap();
    let took = hand_over(&leader, &standby).await;
    assert!(took <= 2.1, "{took} s");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_killed_is_replaced_within_seventeen_seconds() {
    let server = server().await;
    let Pair { leader, standby } = leader_and_standby(&server, server.client()).await;
    leader.kill();
    let took = hand_over(&leader, &standby).await;
    assert!(took <= 17.1, "{took} s");
}

#[tokio::test(start_paused = true)]
async fn a_leader_cut_off_from_the_api_server_stops_by_itself_before_another_takes_over() {
    let server = server().await;
    let cut = Arc::new(AtomicBool::new(false));
    let is_cut = Arc::clone(&cut);
    let service = server.service();
    let client = server.client_over(tower::service_fn(move |request| {
        let (service, is_cut) = (service.clone(), Arc::clone(&is_cut));
        async move {
            if is_cut.load(Ordering::SeqCst) {
                // A partition answers nothing at all.
                std::future::pending::<()>().await;
            }
            tower::ServiceExt::oneshot(service, request).await
        }
    }));
    let Pair { leader, standby } = leader_and_standby(&server, client).await;
    cut.store(true, Ordering::SeqCst);
    let start = Instant::now();
    let took = hand_over(&leader, &standby).await;
    assert!(took <= 22.0, "{took} s");
    assert!(
        start.elapsed() > Duration::from_secs(10),
        "not before the old leader's own deadline"
    );
    cut.store(false, Ordering::SeqCst);
    sleep(Duration::from_mins(1)).await;
    assert!(
        standby.leads() && !leader.leads(),
        "who was cut off does not take it back"
    );
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_moves_no_lease_and_hastens_or_delays_no_hand_over() {
    let (hour, minute) = (SignedDuration::from_hours(1), SignedDuration::from_mins(1));
    for (leaders, standbys) in [(hour, -hour), (-hour, hour), (minute, minute)] {
        let server = server().await;
        let Pair { leader, standby } = leader_and_standby(&server, server.client()).await;
        leader.clock.step(leaders);
        standby.clock.step(standbys);
        for _ in 0..600 {
            sleep(Duration::from_millis(100)).await;
            assert!(leader.leads() && !standby.leads(), "a leader that renews stays");
        }
        standby.clock.step(hour);
        leader.kill();
        let took = hand_over(&leader, &standby).await;
        assert!((5.0..=17.1).contains(&took), "{took} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_leaves_one_leader() {
    let server = server().await;
    let Pair { leader, standby } = leader_and_standby(&server, server.client()).await;
    let leases: Api<Lease> = Api::namespaced(server.client(), "default");
    leases.delete("lease", &DeleteParams::default()).await.unwrap();
    for _ in 0..600 {
        sleep(Duration::from_millis(100)).await;
        assert!(!(leader.leads() && standby.leads()), "two writers");
    }
    assert!(leader.leads() ^ standby.leads());
}

#[tokio::test(start_paused = true)]
async fn an_operator_whose_lease_ran_out_sends_no_write_even_in_the_middle_of_its_work() {
    let mut world = World::without_operator(Seed::contoso()).await;
    world.leadership = Leadership::contested();
    world
        .leadership
        .hold_until(Instant::now() + Duration::from_secs(30));
    world.apply(&tenant()).await;
    world.start_operator();
    world.apply(&mailbox("sales", "sales@contoso.com")).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;

    world.leadership.give_up();
    world.tenant.clear_journal();
    world
        .tenant
        .set_account_enabled("sales@contoso.com", true)
        .unwrap();
    world
        .apply(&permission(
            "team",
            "sales",
            &["first.member@contoso.com"],
            &["SendAs"],
        ))
        .await;
    world.sleep(1800).await;
    assert_eq!(world.writes(), Vec::<String>::new());
    assert!(!world.reads().is_empty(), "it kept reading");

    world
        .leadership
        .hold_until(Instant::now() + Duration::from_hours(24));
    world
        .wait("the block", async || {
            world
                .tenant
                .mailbox("sales@contoso.com")
                .unwrap()
                .account_disabled
                .then_some(())
        })
        .await;
}

/// An operator that leads, and how to have it end.
struct Led {
    stop: oneshot::Sender<()>,
    task: JoinHandle<bool>,
}

impl Led {
    fn start(world: &mut World, name: &str, http: HttpService) -> Self {
        let clock = world.server.clock();
        let elector = Elector::new(
            world.client.clone(),
            OPERATOR_NAMESPACE,
            "lease",
            name.to_owned(),
            clock,
        );
        let operator = world.new_operator(world.client.clone(), http, elector.leadership());
        let (stop, stopped) = oneshot::channel();
        let (readiness, _) = watch::channel(Readiness::Standby);
        let stopped = async move {
            let _ = stopped.await;
        };
        let task = tokio::spawn(async move { lead(elector, |_| operator, readiness, stopped).await.is_ok() });
        Self { stop, task }
    }

    /// How long it takes to end.
    async fn stop(self) -> Duration {
        let began = Instant::now();
        self.stop.send(()).unwrap();
        assert!(self.task.await.unwrap(), "it ends in order");
        began.elapsed()
    }
}

async fn holder(world: &World) -> Option<String> {
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), OPERATOR_NAMESPACE);
    leases.get("lease").await.unwrap().spec?.holder_identity
}

#[tokio::test(start_paused = true)]
async fn a_busy_leader_that_is_to_end_waits_for_the_answers_of_its_writes_alone() {
    let mut world = World::without_operator(Seed::contoso()).await;
    let one_request_at_a_time = json!({ "spec": { "limits": { "maxConcurrentRequests": 1 } } });
    world.apply(&with(tenant(), &one_request_at_a_time)).await;
    // More than go together.
    let names: Vec<String> = (0..25).map(|number| format!("box{number}")).collect();
    // Each request takes a second, so there is always one under way.
    world.tenant.set_faults(Faults {
        latency: Delay::fixed(100),
        answer_delay: Delay::fixed(900),
        ..Faults::default()
    });
    let http = in_process(&world.simulator);
    let first = Led::start(&mut world, "first", http.clone());
    for name in &names {
        world.apply(&mailbox(name, &format!("{name}@contoso.com"))).await;
    }
    let created = |world: &World| {
        let creates = |write: &String| write.starts_with("New-Mailbox");
        world.writes().into_iter().filter(creates).count()
    };
    world
        .wait("the first creates", async || (created(&world) >= 3).then_some(()))
        .await;
    let took = first.stop().await;
    assert!(took <= Duration::from_millis(1500), "{took:?}");
    assert_eq!(holder(&world).await, None, "the lease is given back");
    let written = world.writes();
    assert!(created(&world) <= 20, "those under way and no more: {written:?}");
    world.sleep(120).await;
    assert_eq!(world.writes(), written, "nothing is written afterwards");

    let _second = Led::start(&mut world, "second", http);
    for name in &names {
        world.wait_mailbox(name, "True", "UpToDate").await;
    }
    assert_eq!(created(&world), names.len(), "none is created twice");
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_write_is_never_answered_does_not_give_the_lease_back() {
    let mut world = World::without_operator(Seed::contoso()).await;
    world.apply(&tenant()).await;
    let (hangs, hung) = watch::channel(false);
    let simulator = world.simulator.clone();
    let http = HttpService::new(tower::service_fn(move |request: http::Request<bytes::Bytes>| {
        let create = String::from_utf8_lossy(request.body()).contains("New-Mailbox");
        let (hangs, rest) = (hangs.clone(), in_process(&simulator));
        async move {
            if create {
                hangs.send_replace(true);
                std::future::pending::<()>().await;
            }
            tower::ServiceExt::oneshot(rest, request).await
        }
    }));
    let first = Led::start(&mut world, "first", http);
    world.apply(&mailbox("sales", "sales@contoso.com")).await;
    hung.clone().wait_for(|hangs| *hangs).await.unwrap();
    let took = first.stop().await;
    assert!(
        took >= Duration::from_secs(15),
        "it waited for the answer: {took:?}"
    );
    assert!(
        took < Duration::from_secs(30),
        "Kubernetes would kill it: {took:?}"
    );
    assert_eq!(holder(&world).await.as_deref(), Some("first"));

    let http = in_process(&world.simulator);
    let began = Instant::now();
    let _second = Led::start(&mut world, "second", http);
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert!(
        began.elapsed() >= Duration::from_secs(15),
        "the lease had to run out"
    );
}
