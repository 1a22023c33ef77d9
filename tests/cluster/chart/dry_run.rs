//! Every manifest that we ship, before the real API server; a warning counts as a failure.

use serde_json::{Value, json};
use xtask::workspace;

use super::{CHART, Cluster, RELEASE};
use crate::server::kubectl;

/// Snapshots of the chart; `cargo xtask generate --check` holds them to what helm makes of it.
const SNAPSHOTS: [&str; 4] = ["company", "default", "minimal", "simulated-tenant"];
const APPLY: &str = "apply --server-side --dry-run=server --warnings-as-errors";

pub fn everything(cluster: &Cluster) {
    cluster.kubectl("apply --server-side -f crds");
    let monitoring = cluster.tools.monitoring_crds().unwrap();
    for kind in ["servicemonitors", "prometheusrules"] {
        let file = monitoring.join(format!("monitoring.coreos.com_{kind}.yaml"));
        cluster.kubectl(&format!("apply --server-side -f {}", file.display()));
    }
    cluster.kubectl("wait --for=condition=Established crd --all --timeout=60s");

    no_snapshot_is_left_out();
    for name in SNAPSHOTS {
        let namespace = format!("dry-run-{name}");
        cluster.kubectl(&format!("create namespace {namespace}"));
        for mode in ["enforce", "warn"] {
            cluster.kubectl(&format!(
                "label namespace {namespace} pod-security.kubernetes.io/{mode}=restricted"
            ));
        }
        let snapshot = snapshot(name);
        for Part { file, in_namespace } in by_namespace(cluster, &snapshot) {
            let namespace = if in_namespace {
                String::new()
            } else {
                format!("-n {namespace}")
            };
            cluster.kubectl(&format!("{APPLY} {namespace} -f {file}"));
        }
        its_pods_are_admitted(cluster, &namespace, &snapshot);
    }
    the_simulated_tenant_of_the_notes_is_taken(cluster);
    what_deploy_has_is_taken(cluster);
}

fn snapshot(name: &str) -> String {
    workspace::root()
        .join(format!("tests/packaging/snapshots/{name}.yaml"))
        .display()
        .to_string()
}

/// A file with a part of the objects.
struct Part {
    file: String,
    /// Whether its objects name their namespace themselves.
    in_namespace: bool,
}

/// Two files, without and with the objects that name their namespace themselves: kubectl takes no other for those.
fn by_namespace(cluster: &Cluster, snapshot: &str) -> Vec<Part> {
    let text = std::fs::read_to_string(snapshot).unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let (named, others): (Vec<_>, Vec<_>) = objects
        .into_iter()
        .partition(|object| object["metadata"]["namespace"].is_string());
    [(others, false), (named, true)]
        .into_iter()
        .filter(|(items, _)| !items.is_empty())
        .map(|(items, in_namespace)| {
            let file = cluster.file(if in_namespace { "named.json" } else { "others.json" });
            let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
            std::fs::write(&file, list.to_string()).unwrap();
            Part {
                file: file.display().to_string(),
                in_namespace,
            }
        })
        .collect()
}

fn no_snapshot_is_left_out() {
    let folder = std::fs::read_dir(workspace::root().join("tests/packaging/snapshots")).unwrap();
    let mut found: Vec<_> = folder
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, SNAPSHOTS.map(|name| format!("{name}.yaml")));
}

/// A pod from each Deployment's template passes the Pod Security Standard `restricted`.
fn its_pods_are_admitted(cluster: &Cluster, namespace: &str, snapshot: &str) {
    let text = std::fs::read_to_string(snapshot).unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let deployments: Vec<_> = objects
        .iter()
        .filter(|object| object["kind"] == "Deployment")
        .collect();
    assert!(!deployments.is_empty(), "{snapshot}");
    for deployment in deployments {
        let template = &deployment["spec"]["template"];
        if let Some(account) = template["spec"]["serviceAccountName"].as_str() {
            cluster.kubectl(&format!("create serviceaccount {account} -n {namespace}"));
        }
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "from-template", "labels": template["metadata"]["labels"] },
            "spec": template["spec"]
        });
        admit(cluster, namespace, &pod).unwrap();

        let mut careless = pod;
        careless["spec"]["containers"][0]
            .as_object_mut()
            .unwrap()
            .remove("securityContext")
            .unwrap();
        let refusal = admit(cluster, namespace, &careless).unwrap_err();
        assert!(refusal.contains("violates PodSecurity \"restricted"), "{refusal}");
    }
}

fn admit(cluster: &Cluster, namespace: &str, pod: &Value) -> Result<String, String> {
    let file = cluster.file("pod.json");
    std::fs::write(&file, pod.to_string()).unwrap();
    let line = format!(
        "create --dry-run=server --warnings-as-errors -n {namespace} -f {}",
        file.display()
    );
    kubectl(&cluster.control_plane, &line)
}

/// What helm asks people to paste.
fn the_simulated_tenant_of_the_notes_is_taken(cluster: &Cluster) {
    let notes = cluster.helm(&format!(
        "install {RELEASE} {CHART} --dry-run=server --set simulatedTenant.enabled=true"
    ));
    assert!(notes.contains("A SIMULATED TENANT IS ON"), "{notes}");
    let (_, pasted) = notes.split_once("<<EOF\n").unwrap();
    let (manifest, _) = pasted.split_once("    EOF\n").unwrap();
    let manifest: Value = serde_saphyr::from_str(manifest).unwrap();
    assert_eq!(manifest["kind"], "ExchangeTenant");
    let file = cluster.file("pasted.json");
    std::fs::write(&file, manifest.to_string()).unwrap();
    cluster.kubectl(&format!("{APPLY} -f {}", file.display()));
}

fn what_deploy_has_is_taken(cluster: &Cluster) {
    let root = workspace::root().display();
    // The namespace first: nothing can be tried in one that is not there.
    cluster.kubectl(&format!(
        "apply --server-side -f {root}/deploy/base/namespace.yaml"
    ));
    cluster.kubectl(&format!("{APPLY} --force-conflicts -k {root}/deploy/base"));
    cluster.kubectl("create namespace team-sales");
    for samples in ["exchange-tenant.yaml", "demo"] {
        cluster.kubectl(&format!("{APPLY} -f {root}/deploy/samples/{samples}"));
    }
    let refused = format!("{APPLY} -f {root}/deploy/samples/refused/1-malformed-address.yaml");
    let refusal = kubectl(&cluster.control_plane, &refused).unwrap_err();
    assert!(refusal.contains("spec.emailAddress"), "{refusal}");
}
