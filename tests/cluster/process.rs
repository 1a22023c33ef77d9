//! The operator as a process: real sockets, real signals, and kubectl as people use it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Control, Delay, Faults, Seed, Simulator, serve};
use tokio::net::TcpListener;
use xtask::control_plane::{ControlPlane, Options};

use super::operator::{Answer, Launch, Operator, built, wait};
use super::secrets::{BESIDE, CLIENT_SECRET, COLLECTOR, Collector, PROXY, assert_untold, key_in};
use super::server::{apply, install_crds, kubectl, start};
use testkit::{NAMESPACE, OPERATOR_NAMESPACE, mailbox, permission, tenant, with};

/// Nobody resolves it: every request goes through the proxy.
const EXCHANGE: &str = "exchange.simulator.svc:8800";

/// Where the operator finds what is not Kubernetes.
struct Ways {
    /// The tenant itself, which takes requests for any host.
    proxy: SocketAddr,
    collector: SocketAddr,
}

fn start_operator(control_plane: &ControlPlane, name: &str, ways: &Ways) -> Operator {
    let Ways { proxy, collector } = ways;
    let launch = Launch {
        name,
        program: built(),
        kubeconfig: control_plane.kubeconfig(),
        arguments: vec![
            "--log=trace".to_owned(),
            format!("--allow-endpoint-overrides={EXCHANGE}"),
        ],
        environment: vec![
            ("HTTP_PROXY", format!("http://operator:{PROXY}@{proxy}")),
            ("NO_PROXY", "127.0.0.1".to_owned()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}")),
            ("OTEL_EXPORTER_OTLP_HEADERS", format!("x-api-key={COLLECTOR}")),
            ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
        ],
    };
    Operator::start(control_plane, &launch)
}

/// A simulated tenant behind a socket.
struct Served {
    exchange: Control,
    proxy: SocketAddr,
}

async fn simulated_tenant() -> Served {
    let seed = Seed {
        client_secret: CLIENT_SECRET.to_owned(),
        ..Seed::contoso()
    };
    let simulator = Simulator::new(seed);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let exchange = simulator.control();
    tokio::spawn(serve(simulator, listener, None, std::future::pending()));
    Served { exchange, proxy }
}

fn manifests() -> Value {
    let url = format!("http://{EXCHANGE}");
    let endpoints = json!({ "spec": { "endpoints": { "authority": url, "exchange": url, "graph": url } } });
    let members = ["first.member@contoso.com", "second.member@contoso.com"];
    json!([
        { "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } },
        {
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {
                "name": "exchange-credentials", "namespace": OPERATOR_NAMESPACE,
                "annotations": { "vault.example/path": BESIDE }
            },
            "stringData": { "clientSecret": CLIENT_SECRET, "spare": BESIDE }
        },
        with(tenant(), &endpoints),
        mailbox("sales", "sales@contoso.com"),
        permission("sales-team", "sales", &members, &["FullAccess", "SendAs"]),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_waits_for_its_crds_works_reports_and_ends_in_order() {
    let without_controllers = Options {
        controller_manager: false,
        ..Options::default()
    };
    let Some(control_plane) = start(without_controllers) else {
        return;
    };
    let Served { exchange, proxy } = simulated_tenant().await;
    let collector = Collector::default();
    let ways = Ways {
        proxy,
        collector: collector.start().await,
    };
    kubectl(&control_plane, &format!("create namespace {OPERATOR_NAMESPACE}")).unwrap();
    let mut operator = start_operator(&control_plane, "operator", &ways);

    it_says_which_crds_are_missing_and_waits(&mut operator).await;
    install_crds(&control_plane);
    assert_eq!(operator.wait_for("/readyz", 200).await, "ok\n");

    apply(&control_plane, "samples", &manifests());
    kubectl_shows_what_is(&control_plane, &operator);
    metrics_count_what_was_done(&operator).await;
    nobody_waits_for_an_older_edit(&control_plane, &operator);
    let metrics = operator.wait_for("/metrics", 200).await;
    it_ends_in_the_middle_of_a_creation(&control_plane, &exchange, &mut operator).await;
    let next = start_operator(&control_plane, "next", &ways);
    the_next_one_finishes_it(&control_plane, &exchange, &next);
    nothing_shows_a_secret(&control_plane, &[&operator, &next], &metrics, &collector);
    each_write_is_in_the_audit_log(&operator);
}

async fn it_says_which_crds_are_missing_and_waits(operator: &mut Operator) {
    let waiting = wait(async || {
        let Answer { status, body } = operator.get("/readyz").await?;
        (status == 503 && body.contains("CRDs")).then_some(body)
    });
    assert_eq!(waiting.await.unwrap(), "waiting for the CRDs\n");
    let reported = wait(async || operator.log().contains("waiting for CRDs").then_some(())).await;
    let log = operator.log();
    assert!(reported.is_some(), "{log}");
    for words in [
        "exchangetenants.sharedmailbox.dev",
        "mailboxpermissions.sharedmailbox.dev",
        "sharedmailboxes.sharedmailbox.dev",
        "shared-mailbox-operator crd | kubectl apply",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(operator.is_running(), "it waits, it does not crash");
    assert_eq!(operator.get("/livez").await.unwrap().status, 200);
}

fn kubectl_shows_what_is(control_plane: &ControlPlane, operator: &Operator) {
    for resources in ["exchangetenants", "sharedmailboxes,mailboxpermissions"] {
        let line = format!("wait --for=condition=Ready {resources} --all -n {NAMESPACE} --timeout=60s");
        kubectl(control_plane, &line).unwrap_or_else(|error| panic!("{error}\n{}", operator.log()));
    }
    let wide = |kind: &str| kubectl(control_plane, &format!("get {kind} -n {NAMESPACE} -o wide")).unwrap();
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mailboxes = wide("sharedmailboxes");
    let [heading, row] = &mailboxes.lines().map(words).collect::<Vec<_>>()[..] else {
        panic!("{mailboxes}")
    };
    assert_eq!(
        heading,
        "NAME ADDRESS SIGN-IN MEMBERS READY STATUS AGE MESSAGE MAILBOX"
    );
    assert!(
        row.starts_with("sales sales@contoso.com Blocked 2 True UpToDate "),
        "{row}"
    );
    assert!(row.contains("the mailbox is as declared"), "{row}");
    let permissions = wide("mailboxpermissions");
    let [heading, row] = &permissions.lines().map(words).collect::<Vec<_>>()[..] else {
        panic!("{permissions}")
    };
    assert_eq!(
        heading,
        "NAME MAILBOX RIGHTS MEMBERS READY STATUS EXPIRES AGE MESSAGE"
    );
    assert!(
        row.starts_with("sales-team sales FullAccess,SendAs 2/2 True Granted "),
        "{row}"
    );
    let tenants = wide("exchangetenants");
    assert!(
        tenants.starts_with("NAME ") && tenants.contains("Connected"),
        "{tenants}"
    );

    let verified = r#"{.items[*].status.conditions[?(@.type=="SignInBlocked")].reason}"#;
    let line = format!("get sharedmailboxes -n {NAMESPACE} -o jsonpath={verified}");
    let reason = kubectl(control_plane, &line).unwrap();
    assert_eq!(reason, "Blocked", "verified in the directory");

    let described = kubectl(
        control_plane,
        &format!("describe sharedmailbox sales -n {NAMESPACE}"),
    )
    .unwrap();
    for words in [
        "Provisioned",
        "Sign In Blocked",
        "Settings Synced",
        "Permissions Synced",
        "Events:",
        "Created",
    ] {
        let found = described.contains(words) || described.contains(&words.replace(' ', ""));
        assert!(found, "{words}: {described}");
    }
}

async fn metrics_count_what_was_done(operator: &Operator) {
    let text = operator.wait_for("/metrics", 200).await;
    assert!(text.ends_with("# EOF\n"), "{text}");
    for series in [
        "workqueue_depth",
        "controller_runtime_reconcile_total{controller=\"sharedmailbox\",result=\"success\"}",
        "New-Mailbox",
        "leader_election_master_status{name=\"shared-mailbox-operator\"} 1",
        "rest_client_requests_total{code=\"200\",method=\"GET\"}",
        "sharedmailbox_tenant_up{tenant=\"default\"} 1",
        "process_resident_memory_bytes",
    ] {
        assert!(text.contains(series), "{series}: {text}");
    }
}

/// `kubectl wait` compares the generation of which a condition speaks with that of the object.
fn nobody_waits_for_an_older_edit(control_plane: &ControlPlane, operator: &Operator) {
    let line = |timeout: u8| {
        format!("wait --for=condition=Ready sharedmailbox/sales -n {NAMESPACE} --timeout={timeout}s")
    };
    kubectl(control_plane, &line(10)).unwrap();
    operator.signal("STOP");
    let edit = with(
        mailbox("sales", "sales@contoso.com"),
        &json!({ "spec": { "displayName": "Edited" } }),
    );
    apply(control_plane, "edited", &json!([edit]));
    let waited = kubectl(control_plane, &line(2)).unwrap_err();
    assert!(waited.contains("timed out"), "{waited}");
    operator.signal("CONT");
    kubectl(control_plane, &line(60)).unwrap();
}

/// SIGTERM in the middle of a slow creation.
async fn it_ends_in_the_middle_of_a_creation(
    control_plane: &ControlPlane,
    exchange: &Control,
    operator: &mut Operator,
) {
    exchange.set_faults(Faults {
        latency: Delay::fixed(500),
        ..Faults::default()
    });
    exchange.clear_journal();
    apply(
        control_plane,
        "another",
        &json!([mailbox("info", "info@contoso.com")]),
    );
    let begun = wait(async || exchange.mailbox("info@contoso.com").map(drop)).await;
    assert!(begun.is_some(), "{}", operator.log());
    operator.signal("TERM");
    let status = operator.ended().await;
    assert_eq!(status.code(), Some(0), "{}", operator.log());
    let held = format!(
        "get lease shared-mailbox-operator -n {OPERATOR_NAMESPACE} -o jsonpath={{.spec.holderIdentity}}"
    );
    assert_eq!(
        kubectl(control_plane, &held).unwrap(),
        "",
        "the lease is given back"
    );
}

fn the_next_one_finishes_it(control_plane: &ControlPlane, exchange: &Control, next: &Operator) {
    let line = format!("wait --for=condition=Ready sharedmailbox/info -n {NAMESPACE} --timeout=60s");
    kubectl(control_plane, &line).unwrap_or_else(|error| panic!("{error}\n{}", next.log()));
    assert!(exchange.mailbox("info@contoso.com").unwrap().account_disabled);
    let journal = exchange.journal();
    let creates = journal
        .iter()
        .filter(|entry| entry.cmdlet() == Some("New-Mailbox"));
    assert_eq!(creates.count(), 1);
}

fn nothing_shows_a_secret(
    control_plane: &ControlPlane,
    operators: &[&Operator],
    metrics: &str,
    collector: &Collector,
) {
    let everything = "get exchangetenants,sharedmailboxes,mailboxpermissions,events.events.k8s.io -A -o json";
    let objects = kubectl(control_plane, everything).unwrap();
    assert!(
        objects.contains("New") || objects.contains("Created"),
        "{objects}"
    );
    let log: String = operators.iter().map(|operator| operator.log()).collect();
    assert!(log.contains("TRACE"), "the most talkative level is on");
    let spans = collector.spans();
    let places = [
        ("objects", objects.as_bytes()),
        ("log", log.as_bytes()),
        ("metrics", metrics.as_bytes()),
        ("spans", &spans),
    ];
    let key = key_in(control_plane.kubeconfig());
    assert_untold(&places, &[CLIENT_SECRET, BESIDE, PROXY, COLLECTOR, &key]);
}

/// Who or what asked, what it was before and after, and by which request.
fn each_write_is_in_the_audit_log(operator: &Operator) {
    let log = operator.log();
    let records: Vec<&str> = log.lines().filter(|line| line.contains("mailbox_guid")).collect();
    let about = |what: &str| records.iter().find(|record| record.contains(what));
    for member in ["first.member@contoso.com", "second.member@contoso.com"] {
        for right in ["FullAccess", "SendAs"] {
            let what = format!("grant {right} to {member}");
            let record = about(&what).unwrap_or_else(|| panic!("{what} is missing in {records:#?}"));
            for part in [
                "MailboxPermission team-sales/sales-team generation 1",
                "absent",
                "granted",
                "request_id",
            ] {
                assert!(record.contains(part), "{part} is missing in {record}");
            }
        }
    }
    let block = about("block sign-in").expect("the block is there");
    assert!(
        block.contains("SharedMailbox team-sales/sales generation 1"),
        "{block}"
    );
}
