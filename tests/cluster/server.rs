//! The control plane of these tests and how to talk to it.

use std::sync::OnceLock;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use shared_mailbox_operator::api::all_crds;
use shared_mailbox_operator::clock::Clock;
use shared_mailbox_operator::rng::Rng;
use xtask::control_plane::{Binaries, ControlPlane, Options};
use xtask::process::capture;

use testkit::Server;

/// The control plane that most tests share, each in a namespace of its own.
pub struct Shared {
    pub control_plane: ControlPlane,
    /// What kubectl said while it applied our CRDs.
    pub applying: String,
}

/// The shared control plane with our CRDs; None where these tests are to be skipped.
pub fn shared() -> Option<&'static Shared> {
    static SHARED: OnceLock<Option<Shared>> = OnceLock::new();
    let started = SHARED.get_or_init(|| {
        let control_plane = start(Options::default())?;
        let applying = install_crds(&control_plane);
        Some(Shared {
            control_plane,
            applying,
        })
    });
    started.as_ref()
}

/// A control plane without our CRDs; None where these tests are to be skipped.
pub fn start(options: Options) -> Option<ControlPlane> {
    let binaries = Binaries::for_tests().unwrap()?;
    Some(ControlPlane::start(&binaries, options).unwrap())
}

/// Applies our CRDs as a platform team does, and returns what kubectl said.
pub fn install_crds(control_plane: &ControlPlane) -> String {
    let said = apply(control_plane, "definitions", &json!(all_crds()));
    let names: Vec<String> = all_crds()
        .iter()
        .map(|crd| format!("crd/{}", crd.metadata.name.as_deref().unwrap()))
        .collect();
    kubectl(
        control_plane,
        &format!(
            "wait --for=condition=Established --timeout=60s {}",
            names.join(" ")
        ),
    )
    .unwrap();
    said
}

/// `kubectl apply --server-side` of a list of manifests; what it said, warnings included.
pub fn apply(control_plane: &ControlPlane, name: &str, manifests: &Value) -> String {
    let file = control_plane.directory().join(format!("{name}.json"));
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": manifests });
    std::fs::write(&file, list.to_string()).unwrap();
    kubectl(
        control_plane,
        &format!("apply --server-side -f {}", file.display()),
    )
    .unwrap()
}

/// What kubectl prints, on both streams, on success; the same as error otherwise.
pub fn kubectl(control_plane: &ControlPlane, line: &str) -> Result<String, String> {
    let output = capture(control_plane.kubectl().args(line.split_whitespace())).unwrap();
    let mut said = String::from_utf8(output.stdout).unwrap();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        Ok(said)
    } else {
        Err(format!("kubectl {line}: {said}"))
    }
}

/// A client with an administrator's rights. It belongs to the runtime of the test that created it.
pub async fn client(control_plane: &ControlPlane) -> Client {
    let kubeconfig = Kubeconfig::read_from(control_plane.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    Client::try_from(config).unwrap()
}

/// A world's API server that is a real one.
pub struct RealServer(pub Client);

impl Server for RealServer {
    fn client(&self) -> Client {
        self.0.clone()
    }

    fn clock(&self) -> Clock {
        Clock::system()
    }

    fn rng(&self) -> Rng {
        Rng::system()
    }

    fn patience(&self) -> Duration {
        Duration::from_mins(2)
    }
}
