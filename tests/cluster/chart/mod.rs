//! The charts, as a platform team installs, upgrades and removes them, and the operator as they run it: with exactly
//! their arguments, files and service account.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Control, Seed, Simulator, serve};
use tokio::net::TcpListener;
use xtask::chart_tools::ChartTools;
use xtask::control_plane::{ControlPlane, Options};
use xtask::process::{capture, free_port, wait_until};
use xtask::workspace;

use self::kubelet::Container;
use super::operator::Operator;
use super::server::{kubectl, start};
use testkit::{NAMESPACE, OPERATOR_NAMESPACE};

mod dry_run;
mod kubelet;
mod rbac;

const RELEASE: &str = "shared-mailbox-operator";
const CHART: &str = "charts/shared-mailbox-operator";
const CRD_CHART: &str = "charts/shared-mailbox-operator-crds";

/// A cluster, and what people work on it with.
struct Cluster {
    control_plane: ControlPlane,
    tools: ChartTools,
}

impl Cluster {
    /// None where these tests are to be skipped.
    fn start() -> Option<Self> {
        let tools = ChartTools::for_tests().unwrap()?;
        let options = Options {
            audit_log: true,
            ..Options::default()
        };
        let control_plane = start(options)?;
        Some(Self { control_plane, tools })
    }

    fn kubectl(&self, line: &str) -> String {
        kubectl(&self.control_plane, line).unwrap_or_else(|error| panic!("{error}"))
    }

    /// helm in the root of the repository; what it printed.
    fn helm(&self, line: &str) -> String {
        let output = capture(
            self.tools
                .helm(self.control_plane.directory())
                .current_dir(workspace::root())
                .env("KUBECONFIG", self.control_plane.kubeconfig())
                .args(["--namespace", OPERATOR_NAMESPACE])
                .args(line.split_whitespace()),
        )
        .unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "helm {line}: {said}");
        said
    }

    fn get(&self, line: &str) -> Value {
        serde_json::from_str(&self.kubectl(&format!("get {line} -o json"))).unwrap()
    }

    /// `kubectl apply` of a file of the repository, with another address of the simulated tenant in it.
    fn apply(&self, path: &str, tenant: &str) {
        let text = std::fs::read_to_string(workspace::root().join(path)).unwrap();
        let copy = self.file("sample.yaml");
        std::fs::write(&copy, text.replace("127.0.0.1:8800", tenant)).unwrap();
        self.kubectl(&format!("apply -f {}", copy.display()));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.control_plane.directory().join(name)
    }
}

/// A simulated tenant behind a socket.
struct Served {
    exchange: Control,
    /// As `host:port`.
    address: String,
}

/// The tenant of the samples.
async fn tenant_of_the_samples() -> Served {
    let text = std::fs::read_to_string(workspace::root().join("deploy/samples/tenant.json")).unwrap();
    let seed: Seed = serde_json::from_str(&text).unwrap();
    let simulator = Simulator::new(seed);
    let exchange = simulator.control();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(serve(simulator, listener, None, std::future::pending()));
    Served { exchange, address }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_manifest_of_the_charts_and_of_deploy_is_taken_without_a_warning() {
    let Some(cluster) = Cluster::start() else { return };
    dry_run::everything(&cluster);
}

/// One story, in the order in which its parts happen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_charts_are_installed_do_their_work_with_the_rights_they_grant_and_leave_every_mailbox() {
    let Some(cluster) = Cluster::start() else { return };
    let Served { exchange, address } = tenant_of_the_samples().await;

    older_crds_are_installed(&cluster);
    let container = the_operator_is_installed(&cluster, &address);
    an_upgrade_brings_the_crds_up_to_date(&cluster);
    let mut operator = container.run(&cluster).await;
    the_samples_become_ready(&cluster, &address, &operator).await;
    teams_may_edit_their_mailboxes_and_nothing_else(&cluster);
    approving_held_removals_needs_a_verb_of_its_own(&cluster);
    a_secret_that_no_value_names_is_refused_with_the_value(&cluster, &address);
    a_mailbox_is_released(&cluster);
    operator.signal("TERM");
    let status = operator.ended().await;
    assert!(status.success(), "{status}: {}", operator.log());

    rbac::everything_granted_is_used_and_everything_asked_is_granted(&cluster);
    removing_the_charts_leaves_crds_resources_and_mailboxes(&cluster, &exchange);
}

/// The CRD chart as it was before a field came.
fn older_crds_are_installed(cluster: &Cluster) {
    let without = cluster.helm(&format!("install {RELEASE} {CHART} --dry-run=server"));
    assert!(without.contains("The CRDs are missing"), "{without}");
    let older = cluster.file("older-crds");
    copy(&workspace::root().join(CRD_CHART), &older);
    let template = older.join("templates/sharedmailboxes.sharedmailbox.dev.yaml");
    let text = std::fs::read_to_string(&template).unwrap();
    let mut crd: Value = serde_saphyr::from_str(&text).unwrap();
    let fields = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let fields = crd.pointer_mut(fields).unwrap().as_object_mut().unwrap();
    fields.remove("aliases").unwrap();
    std::fs::write(&template, crd.to_string()).unwrap();
    cluster.helm(&format!(
        "install {RELEASE}-crds {} --create-namespace",
        older.display()
    ));
    aliases_are_explained(cluster, false);
}

fn the_operator_is_installed(cluster: &Cluster, tenant: &str) -> Container {
    let port = free_port().unwrap();
    let values = format!("listenAddress=127.0.0.1,port={port},allowEndpointOverrides={{{tenant}}}");
    let notes = cluster.helm(&format!("install {RELEASE} {CHART} --set {values}"));
    assert!(
        notes.contains("kubectl create secret generic exchange-credentials"),
        "{notes}"
    );
    assert!(!notes.contains("The CRDs are missing"), "{notes}");
    cluster.kubectl(&format!(
        "create secret generic exchange-credentials -n {OPERATOR_NAMESPACE} --from-literal=clientSecret=simulated-secret"
    ));
    Container::of(cluster, &format!("deployment/{RELEASE}"))
}

fn an_upgrade_brings_the_crds_up_to_date(cluster: &Cluster) {
    cluster.helm(&format!("upgrade {RELEASE}-crds {CRD_CHART}"));
    cluster.kubectl("wait --for=condition=Established crd --all --timeout=60s");
    aliases_are_explained(cluster, true);
}

/// Waits until the API server publishes the fields of a SharedMailbox, which takes a moment, with `aliases` or without.
fn aliases_are_explained(cluster: &Cluster, expected: bool) {
    let mut last = String::new();
    let found = wait_until(Duration::from_secs(30), Duration::from_millis(200), || {
        last = kubectl(&cluster.control_plane, "explain sharedmailbox.spec").unwrap_or_else(|error| error);
        let shown = last.contains("displayName") && last.contains("aliases") == expected;
        Ok(shown.then_some(()))
    });
    assert!(found.unwrap().is_some(), "{last}");
}

async fn the_samples_become_ready(cluster: &Cluster, tenant: &str, operator: &Operator) {
    for sample in ["1-tenant.yaml", "2-sales.yaml", "3-info.yaml"] {
        cluster.apply(&format!("deploy/samples/demo/{sample}"), tenant);
    }
    for resources in ["exchangetenants", "sharedmailboxes,mailboxpermissions"] {
        let line = format!("wait --for=condition=Ready {resources} --all -n {NAMESPACE} --timeout=90s");
        kubectl(&cluster.control_plane, &line).unwrap_or_else(|error| panic!("{error}\n{}", operator.log()));
    }
    assert_eq!(operator.get("/readyz").await.unwrap().status, 200);
}

/// Whoever may edit a mailbox may not approve held removals; whoever may approve may.
fn approving_held_removals_needs_a_verb_of_its_own(cluster: &Cluster) {
    cluster.kubectl(&format!(
        "create rolebinding approvers --clusterrole={RELEASE}-approve --user=amy -n {NAMESPACE}"
    ));
    let annotate = |user: &str, annotation: &str| {
        let line =
            format!("annotate sharedmailbox sales {annotation} --overwrite -n {NAMESPACE} --as={user}");
        kubectl(&cluster.control_plane, &line)
    };
    annotate("eva", "note=hello").unwrap();
    let refused = annotate("eva", "sharedmailbox.dev/approve=all").unwrap_err();
    assert!(
        refused.contains("it needs the verb approve on sharedmailboxes"),
        "{refused}"
    );
    annotate("amy", "sharedmailbox.dev/approve=all").unwrap();
    let refused = annotate("eva", "sharedmailbox.dev/let-go=all").unwrap_err();
    assert!(
        refused.contains("it needs the verb let-go on sharedmailboxes"),
        "{refused}"
    );
    annotate("amy", "sharedmailbox.dev/let-go=all").unwrap();
    // What somebody else approved is no obstacle to other edits.
    annotate("eva", "note=again").unwrap();
}

fn teams_may_edit_their_mailboxes_and_nothing_else(cluster: &Cluster) {
    cluster.kubectl(&format!(
        "create rolebinding editors --clusterrole=edit --user=eva -n {NAMESPACE}"
    ));
    cluster.kubectl(&format!(
        "create rolebinding viewers --clusterrole=view --user=vic -n {NAMESPACE}"
    ));
    let may = |user: &str, what: &str, namespace: &str| {
        let line = format!("auth can-i {what} -n {namespace} --as={user}");
        kubectl(&cluster.control_plane, &line).is_ok()
    };
    for kind in [
        "sharedmailboxes.sharedmailbox.dev",
        "mailboxpermissions.sharedmailbox.dev",
    ] {
        for verb in ["create", "patch", "delete", "get"] {
            assert!(may("eva", &format!("{verb} {kind}"), NAMESPACE), "{verb} {kind}");
        }
        for verb in ["get", "list", "watch"] {
            assert!(may("vic", &format!("{verb} {kind}"), NAMESPACE), "{verb} {kind}");
        }
        assert!(!may("vic", &format!("patch {kind}"), NAMESPACE), "{kind}");
        assert!(
            !may("eva", &format!("patch {kind} --subresource=status"), NAMESPACE),
            "{kind}"
        );
        assert!(!may("eva", &format!("create {kind}"), "default"), "{kind}");
    }
    for kind in ["exchangetenants", "mailboxledgers"] {
        for verb in ["get", "create", "patch"] {
            let request = format!("{verb} {kind}.sharedmailbox.dev");
            assert!(!may("eva", &request, NAMESPACE), "{request}");
        }
    }
}

fn a_secret_that_no_value_names_is_refused_with_the_value(cluster: &Cluster, tenant: &str) {
    let url = format!("http://{tenant}");
    let other = json!({
        "apiVersion": "sharedmailbox.dev/v1alpha1", "kind": "ExchangeTenant",
        "metadata": { "name": "other" },
        "spec": {
            "tenantId": "99999999-2222-3333-4444-555555555555",
            "credentials": {
                "clientId": "66666666-7777-8888-9999-000000000000",
                "clientSecretRef": { "name": rbac::UNNAMED_SECRET }
            },
            "access": [],
            "endpoints": { "authority": url, "exchange": url, "graph": url }
        }
    });
    let file = cluster.file("other.json");
    std::fs::write(&file, other.to_string()).unwrap();
    cluster.kubectl(&format!("apply -f {}", file.display()));
    cluster.kubectl("wait --for=condition=Stalled exchangetenant/other --timeout=60s");
    let tenant = cluster.get("exchangetenant other");
    let ready = &tenant["status"]["conditions"][0];
    assert_eq!(ready["reason"], "SecretForbidden", "{ready}");
    let message = ready["message"].as_str().unwrap();
    assert!(
        message.contains("credentials.secretNames") && message.contains(rbac::UNNAMED_SECRET),
        "{message}"
    );
}

/// Under a policy that asks for something to be done, with the finalizer that this takes.
fn a_mailbox_is_released(cluster: &Cluster) {
    let policy = r#"{"spec":{"deletionPolicy":"RevokePermissions"}}"#;
    let target = format!("sharedmailbox/info -n {NAMESPACE}");
    cluster.kubectl(&format!("patch {target} --type=merge -p {policy}"));
    let held = "jsonpath={.metadata.finalizers[0]}=sharedmailbox.dev/deletion";
    cluster.kubectl(&format!("wait --for={held} {target} --timeout=60s"));
    cluster.kubectl(&format!("delete sharedmailbox/info -n {NAMESPACE} --timeout=60s"));
}

fn removing_the_charts_leaves_crds_resources_and_mailboxes(cluster: &Cluster, exchange: &Control) {
    let mailboxes = ["sales@contoso.com", "info@contoso.com"];
    let before = mailboxes.map(|address| exchange.mailbox(address).unwrap());
    cluster.helm(&format!("uninstall {RELEASE}"));
    let said = cluster.helm(&format!("uninstall {RELEASE}-crds"));
    assert!(said.contains("kept due to the resource policy"), "{said}");

    let left = cluster.kubectl(&format!(
        "get all,networkpolicy,configmap,role,lease -n {OPERATOR_NAMESPACE} -o name"
    ));
    let ours: Vec<_> = left.lines().filter(|name| name.contains(RELEASE)).collect();
    assert_eq!(
        ours,
        [&format!("lease.coordination.k8s.io/{RELEASE}")],
        "only what the operator itself created"
    );
    let kinds = cluster.kubectl("get crd -o name");
    assert_eq!(
        kinds
            .lines()
            .filter(|name| name.ends_with(".sharedmailbox.dev"))
            .count(),
        4,
        "{kinds}"
    );
    let guards = cluster.kubectl("get validatingadmissionpolicies,validatingadmissionpolicybindings -o name");
    assert_eq!(
        guards.lines().count(),
        4,
        "they guard what the operator remembers: {guards}"
    );
    let resources = cluster.kubectl(&format!(
        "get sharedmailboxes,mailboxpermissions,exchangetenants -n {NAMESPACE} -o name"
    ));
    assert_eq!(resources.lines().count(), 1 + 3 + 2, "{resources}");
    assert_eq!(
        mailboxes.map(|address| exchange.mailbox(address).unwrap()),
        before
    );
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
