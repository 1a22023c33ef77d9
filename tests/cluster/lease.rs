//! Replicas as processes on a real API server: at most one writes, whatever happens to the one that leads.
//!
//! Each replica reaches the simulated tenant through a proxy of its own, which notes who asked for what and when.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response, StatusCode};
use axum::routing::any;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use simulator::{Control, Delay, Faults, Seed, SeedUser, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use xtask::control_plane::{ControlPlane, Options};

use super::operator::{Launch, Operator, built, wait};
use super::server::{apply, client, install_crds, kubectl, start};
use testkit::{NAMESPACE, OPERATOR_NAMESPACE, mailbox, permission, tenant, with};

const LEASE: &str = "shared-mailbox-operator";
/// Nobody resolves it: every request goes through a replica's proxy.
const EXCHANGE: &str = "exchange.simulator.svc:8800";
/// More grants than one minute's writes: the rest goes out two a second.
const MEMBERS: usize = 80;
const WRITES_PER_MINUTE: usize = 120;
/// Mailboxes that wait behind them.
const QUEUED: usize = 20;

/// A request that asked for a change.
#[derive(Clone, Debug)]
struct Write {
    replica: &'static str,
    began: Instant,
    /// None: under way, or broken off with its replica.
    ended: Option<Instant>,
}

/// Whatever the replicas asked for.
#[derive(Clone, Default)]
struct Writes(Arc<Mutex<Vec<Write>>>);

impl Writes {
    fn begin(&self, replica: &'static str) -> usize {
        let mut all = self.0.lock().unwrap();
        all.push(Write {
            replica,
            began: Instant::now(),
            ended: None,
        });
        all.len() - 1
    }

    fn end(&self, place: usize) {
        self.0.lock().unwrap()[place].ended = Some(Instant::now());
    }

    fn of(&self, replica: &str) -> Vec<Write> {
        let all = self.0.lock().unwrap();
        all.iter()
            .filter(|write| write.replica == replica)
            .cloned()
            .collect()
    }

    /// From the first write of `to` on, `from` has at most the one that was under way.
    fn assert_one_writer(&self, from: &str, to: &str) {
        let theirs = self.of(to);
        let first = theirs
            .first()
            .unwrap_or_else(|| panic!("{to} wrote nothing"))
            .began;
        let both: Vec<Write> = self
            .of(from)
            .into_iter()
            .filter(|write| write.began > first || write.ended.is_some_and(|ended| ended > first))
            .collect();
        assert!(
            both.len() <= 1,
            "{from} went on writing after {to} began: {both:#?}"
        );
    }
}

/// An HTTP proxy through which one replica reaches the tenant.
async fn proxy_to_tenant(replica: &'static str, simulator: Simulator, writes: Writes) -> SocketAddr {
    let handle = move |request: Request<Body>| {
        let (simulator, writes) = (simulator.clone(), writes.clone());
        async move {
            let (mut parts, body) = request.into_parts();
            let body = to_bytes(body, 4 << 20).await.unwrap();
            let path = parts.uri.path_and_query().unwrap().as_str();
            parts.uri = path.parse().unwrap();
            let place = changes_something(&parts.method, &body).then(|| writes.begin(replica));
            let answer = simulator.handle(Request::from_parts(parts, body)).await;
            if let Some(place) = place {
                writes.end(place);
            }
            answer.map_or_else(
                |_| {
                    let lost = Response::builder().status(StatusCode::BAD_GATEWAY);
                    lost.body(Body::empty()).unwrap()
                },
                |answer| answer.map(Body::from),
            )
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = axum::Router::new().fallback(any(handle));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

fn changes_something(method: &Method, body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let mut cmdlets = text.split("\"CmdletName\":\"").skip(1);
    *method == Method::PATCH || cmdlets.any(|rest| !rest.starts_with("Get-"))
}

/// A way to the API server that can be cut: what goes in comes out, unless `cut` says otherwise.
async fn cuttable_way(to: SocketAddr, cut: watch::Receiver<bool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(to).await.unwrap();
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(carry(near_in, far_out, cut.clone()));
            tokio::spawn(carry(far_in, near_out, cut.clone()));
        }
    });
    address
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut cut: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if cut.wait_for(|cut| !cut).await.is_err() || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// The kubeconfig of a replica whose way to the API server can be cut.
struct Cuttable {
    kubeconfig: PathBuf,
    cut: watch::Sender<bool>,
}

/// An API server, a tenant, and replicas that come and go.
struct Scene {
    control_plane: ControlPlane,
    leases: Api<Lease>,
    simulator: Simulator,
    tenant: Control,
    writes: Writes,
}

impl Scene {
    /// None where these tests are to be skipped.
    async fn set() -> Option<Self> {
        let control_plane = start(Options {
            controller_manager: false,
            ..Options::default()
        })?;
        install_crds(&control_plane);
        let simulator = Simulator::new(Seed::contoso());
        let tenant = simulator.control();
        for number in 0..MEMBERS {
            tenant.add_user(&SeedUser::person(&member(number), "Member"));
        }
        tenant.set_faults(Faults {
            latency: Delay::fixed(100),
            ..Faults::default()
        });
        let leases = Api::namespaced(client(&control_plane).await, OPERATOR_NAMESPACE);
        let scene = Self {
            control_plane,
            leases,
            tenant,
            simulator,
            writes: Writes::default(),
        };
        scene.apply("common", &common());
        Some(scene)
    }

    fn apply(&self, name: &str, manifests: &Value) {
        apply(&self.control_plane, name, manifests);
    }

    async fn replica(&self, name: &'static str) -> Operator {
        self.replica_over(name, self.control_plane.kubeconfig().to_owned())
            .await
    }

    async fn replica_over(&self, name: &'static str, kubeconfig: PathBuf) -> Operator {
        let proxy = proxy_to_tenant(name, self.simulator.clone(), self.writes.clone()).await;
        let launch = Launch {
            name,
            program: built(),
            kubeconfig: &kubeconfig,
            arguments: vec![
                format!("--identity={name}"),
                format!("--allow-endpoint-overrides={EXCHANGE}"),
            ],
            environment: vec![("HTTP_PROXY", format!("http://{proxy}"))],
        };
        let operator = Operator::start(&self.control_plane, &launch);
        operator.wait_for("/readyz", 200).await;
        operator
    }

    /// A replica that waits for its turn, and says so.
    async fn standby(&self, name: &'static str) -> Operator {
        let operator = self.replica(name).await;
        let body = operator.wait_for("/readyz", 200).await;
        assert_eq!(body, "ok: another replica leads\n");
        let metrics = operator.wait_for("/metrics", 200).await;
        let leads = format!("leader_election_master_status{{name=\"{LEASE}\"}} 0");
        assert!(metrics.contains(&leads), "{metrics}");
        operator
    }

    async fn cuttable_kubeconfig(&self) -> Cuttable {
        let server = self.control_plane.server_url();
        let (cut, is_cut) = watch::channel(false);
        let address = server.trim_start_matches("https://").parse().unwrap();
        let way = cuttable_way(address, is_cut).await;
        let text = std::fs::read_to_string(self.control_plane.kubeconfig()).unwrap();
        let file = self.control_plane.directory().join("cuttable.kubeconfig");
        std::fs::write(&file, text.replace(server, &format!("https://{way}"))).unwrap();
        Cuttable {
            kubeconfig: file,
            cut,
        }
    }

    async fn holder(&self) -> String {
        let lease = self.leases.get_opt(LEASE).await.unwrap();
        lease
            .and_then(|lease| lease.spec?.holder_identity)
            .unwrap_or_default()
    }

    /// How long it takes until `replica` holds the lease.
    async fn handed_to(&self, replica: &str) -> Duration {
        let began = Instant::now();
        while self.holder().await != replica {
            assert!(began.elapsed() < Duration::from_mins(1), "{replica} never led");
            sleep(Duration::from_millis(20)).await;
        }
        began.elapsed()
    }

    /// Has `leader` make many grants, and returns in the middle of it.
    async fn keep_busy(&self, name: &str, leader: &str) {
        let before = self.writes.of(leader).len();
        let members: Vec<String> = (0..MEMBERS).map(member).collect();
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        let manifests = json!([
            mailbox(name, &format!("{name}@contoso.com")),
            permission(name, name, &members, &["FullAccess", "SendAs"]),
        ]);
        self.apply(name, &manifests);
        // The minute's budget went out in batches; the rest takes twenty seconds.
        let grants = || {
            let created = self.tenant.mailbox(&format!("{name}@contoso.com"))?;
            (created.full_access.len() + created.send_as.len() > WRITES_PER_MINUTE).then_some(())
        };
        assert!(wait(async || grants()).await.is_some(), "{leader} is not at work");
        assert!(self.writes.of(leader).len() > before, "it is {leader} who works");
    }

    /// More mailboxes than the leader can begin with at once.
    fn queue_up(&self) {
        let manifests = (0..QUEUED).map(|number| {
            let name = format!("queued-{number}");
            mailbox(&name, &format!("{name}@contoso.com"))
        });
        self.apply("queued", &manifests.collect());
    }

    fn queue_is_done(&self) {
        let line = format!("wait --for=condition=Ready sharedmailbox --all -n {NAMESPACE} --timeout=100s");
        kubectl(&self.control_plane, &line).unwrap();
    }

    fn is_done(&self, name: &str) {
        let line =
            format!("wait --for=condition=Ready mailboxpermission/{name} -n {NAMESPACE} --timeout=100s");
        kubectl(&self.control_plane, &line).unwrap();
    }
}

fn member(number: usize) -> String {
    format!("member-{number}@contoso.com")
}

fn common() -> Value {
    let url = format!("http://{EXCHANGE}");
    let ours = json!({ "spec": {
        "endpoints": { "authority": url, "exchange": url, "graph": url },
        "limits": { "writesPerMinute": WRITES_PER_MINUTE }
    } });
    json!([
        { "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": OPERATOR_NAMESPACE } },
        { "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } },
        {
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "exchange-credentials", "namespace": OPERATOR_NAMESPACE },
            "stringData": { "clientSecret": "simulated-secret" }
        },
        with(tenant(), &ours),
    ])
}

fn assert_within(took: Duration, seconds: f64, what: &str) {
    let took = took.as_secs_f64();
    eprintln!("{what}: {took:.1} s");
    assert!(took <= seconds, "{what} took {took:.1} s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_ends_dies_or_loses_its_lease_object_leaves_one_writer() {
    let Some(scene) = Scene::set().await else { return };
    let began = Instant::now();
    let mut first = scene.replica("first").await;
    scene.handed_to("first").await;
    assert_within(began.elapsed(), 5.0, "the first start on a cluster");
    let mut second = scene.standby("second").await;
    first.signal("TERM");
    assert_within(scene.handed_to("second").await, 2.0, "hand-over after SIGTERM");
    assert_eq!(first.ended().await.code(), Some(0));

    let mut third = scene.standby("third").await;
    scene.keep_busy("killed", "second").await;
    second.signal("KILL");
    assert_within(scene.handed_to("third").await, 17.0, "hand-over after SIGKILL");
    second.ended().await;
    scene.is_done("killed");
    scene.writes.assert_one_writer("second", "third");

    let _fourth = scene.standby("fourth").await;
    scene
        .leases
        .delete(LEASE, &DeleteParams::default())
        .await
        .unwrap();
    assert_within(scene.handed_to("third").await, 10.0, "the leader's claim is back");
    // A standby that saw no lease waits as long as for one that is not renewed.
    sleep(Duration::from_secs(16)).await;
    assert_eq!(scene.holder().await, "third");

    scene.keep_busy("busy", "third").await;
    scene.queue_up();
    assert_eq!(scene.writes.of("fourth").len(), 0);
    let stopped = Instant::now();
    third.signal("TERM");
    assert_within(scene.handed_to("fourth").await, 2.0, "hand-over of a busy leader");
    assert_eq!(third.ended().await.code(), Some(0));
    scene.is_done("busy");
    scene.queue_is_done();
    scene.writes.assert_one_writer("third", "fourth");
    // It has yet to list what there is, and to ask for a token.
    let first = scene.writes.of("fourth")[0].began;
    assert_within(first - stopped, 6.0, "first write of the successor");
    let created = scene
        .tenant
        .journal()
        .iter()
        .filter(|entry| entry.cmdlet() == Some("New-Mailbox"))
        .count();
    assert_eq!(created, 2 + QUEUED, "no mailbox twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_frozen_or_cut_off_writes_nothing_beside_its_successor() {
    let Some(scene) = Scene::set().await else { return };
    let mut frozen = scene.replica("frozen").await;
    scene.handed_to("frozen").await;
    let mut heir = scene.standby("heir").await;
    scene.keep_busy("frozen", "frozen").await;
    frozen.signal("STOP");
    assert_within(
        scene.handed_to("heir").await,
        17.0,
        "hand-over from a frozen leader",
    );
    scene.is_done("frozen");
    frozen.signal("CONT");
    let ended = frozen.ended().await;
    assert!(!ended.success(), "it starts afresh:\n{}", frozen.log());
    scene.writes.assert_one_writer("frozen", "heir");

    let Cuttable { kubeconfig, cut } = scene.cuttable_kubeconfig().await;
    let mut cut_off = scene.replica_over("cut-off", kubeconfig).await;
    heir.signal("TERM");
    scene.handed_to("cut-off").await;
    assert_eq!(heir.ended().await.code(), Some(0));
    let _successor = scene.standby("successor").await;
    scene.keep_busy("cut-off", "cut-off").await;
    cut.send_replace(true);
    assert_within(
        scene.handed_to("successor").await,
        17.0,
        "hand-over from a leader that is cut off",
    );
    assert!(!cut_off.ended().await.success(), "{}", cut_off.log());
    scene.is_done("cut-off");
    scene.writes.assert_one_writer("cut-off", "successor");
}
