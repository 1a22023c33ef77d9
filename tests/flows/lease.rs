//! Two replicas, one Lease: never two that may write, and a quick hand-over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::DeleteParams;
use kube::{Api, Client};
use shared_mailbox_operator::clock::Clock;
use shared_mailbox_operator::leadership::Leadership;
use shared_mailbox_operator::runtime::lease::Elector;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use simulator::Seed;

use super::support::api_server::ApiServer;
use super::support::world::{World, mailbox, permission, tenant};

struct Replica {
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

fn server() -> ApiServer {
    let server = ApiServer::new("2026-11-22T09:00:00Z".parse().unwrap());
    server.add_namespace("default");
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

async fn leader_and_standby(server: &ApiServer, leaders_client: Client) -> (Replica, Replica) {
    let leader = Replica::start(server, leaders_client, "one");
    sleep(Duration::from_secs(20)).await;
    assert!(leader.leads());
    let standby = Replica::start(server, server.client(), "two");
    sleep(Duration::from_mins(2)).await;
    assert!(leader.leads() && !standby.leads(), "a leader that renews stays");
    (leader, standby)
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_stops_in_order_hands_over_within_two_seconds() {
    let server = server();
    let (mut leader, standby) = leader_and_standby(&server, server.client()).await;
    leader.stop.take().unwrap().send(()).unwrap();
    let took = hand_over(&leader, &standby).await;
    assert!(took <= 2.1, "{took} s");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_killed_is_replaced_within_seventeen_seconds() {
    let server = server();
    let (leader, standby) = leader_and_standby(&server, server.client()).await;
    leader.kill();
    let took = hand_over(&leader, &standby).await;
    assert!(took <= 17.1, "{took} s");
}

#[tokio::test(start_paused = true)]
async fn a_leader_cut_off_from_the_api_server_stops_by_itself_before_another_takes_over() {
    let server = server();
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
    let (leader, standby) = leader_and_standby(&server, client).await;
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
async fn a_deleted_lease_leaves_one_leader() {
    let server = server();
    let (leader, standby) = leader_and_standby(&server, server.client()).await;
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
    assert!(!world.reads().is_empty(), "it kept looking");

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
