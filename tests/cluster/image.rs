//! The image's program in the image's root, where there is nothing else: no shell, no library, no certificates but
//! its own. It reaches the API server and the simulated tenant over TLS.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use simulator::{Seed, Simulator, serve};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use xtask::control_plane::{ControlPlane, Options};
use xtask::go_programs::REQUIRED_VARIABLE;

use super::operator::{Launch, Operator, wait};
use super::server::{apply, install_crds, kubectl, start};
use testkit::{NAMESPACE, OPERATOR_NAMESPACE, mailbox, permission, tenant, with};

/// Set by `cargo xtask test`, which builds the image first.
const ROOT_VARIABLE: &str = "SMO_IMAGE_ROOT";
/// The image's user, as whom the program runs.
const USER: &str = "65532";
/// Name and minor number.
const DEVICES: [(&str, &str); 3] = [("null", "3"), ("random", "8"), ("urandom", "9")];
const AS_USER: [&str; 3] = ["--user", "--map-user=65532", "--map-group=65532"];

/// Who may change the root of a process.
enum Changer {
    /// Root, by chroot.
    Root,
    /// Whoever may be somebody else in a user namespace of their own.
    Unshare,
}

impl Changer {
    fn find() -> Option<Self> {
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            return Some(Self::Root);
        }
        let mut unshare = Command::new(tool("unshare"));
        unshare.args(["--user", "--map-root-user", "--mount", "true"]);
        unshare
            .status()
            .is_ok_and(|status| status.success())
            .then_some(Self::Unshare)
    }

    /// What runs the image's program in its root, as the image's user.
    fn program(&self, root: &Path) -> Vec<String> {
        let (root, program) = (root.display().to_string(), "/shared-mailbox-operator".to_owned());
        match self {
            Self::Root => vec![tool("chroot"), format!("--userspec={USER}:{USER}"), root, program],
            Self::Unshare => {
                // Only root can make devices; in namespaces of one's own, those of the machine can be shown.
                let (mount, unshare) = (tool("mount"), tool("unshare"));
                let shown = DEVICES.map(|(name, _)| format!("{mount} --bind /dev/{name} {root}/dev/{name}"));
                let user = AS_USER.join(" ");
                let script = format!(
                    "{} && exec {unshare} {user} --root={root} {program} \"$@\"",
                    shown.join(" && ")
                );
                let words = [
                    &unshare,
                    "--user",
                    "--map-root-user",
                    "--mount",
                    &tool("sh"),
                    "-c",
                    &script,
                    "sh",
                ];
                words.map(str::to_owned).to_vec()
            }
        }
    }
}

/// Says why the test is skipped, and fails where nothing may be.
fn skipped<T>(why: &str) -> Option<T> {
    let required = std::env::var_os(REQUIRED_VARIABLE).is_some_and(|value| !value.is_empty());
    assert!(!required, "{REQUIRED_VARIABLE} is set, and yet: {why}");
    eprintln!("skipped: {why}");
    None
}

/// A copy of the image's root with what Kubernetes adds to it; None where there is no image.
fn root(control_plane: &ControlPlane, changer: &Changer) -> Option<PathBuf> {
    let Some(image) = std::env::var_os(ROOT_VARIABLE) else {
        return skipped(&format!(
            "there is no image ({ROOT_VARIABLE} is not set; `cargo xtask test` builds one)"
        ));
    };
    let root = control_plane.directory().join("root");
    let place = root.to_str().unwrap();
    run("cp", &["-r", image.to_str().unwrap(), place]);
    // Every container has these, and a hosts file.
    fs::create_dir(root.join("dev")).unwrap();
    for (name, minor) in DEVICES {
        let device = format!("{place}/dev/{name}");
        match changer {
            Changer::Root => run("mknod", &["-m", "666", &device, "c", "1", minor]),
            Changer::Unshare => fs::write(device, "").unwrap(),
        }
    }
    fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
    fs::copy(control_plane.kubeconfig(), root.join("kubeconfig")).unwrap();
    fs::copy(control_plane.directory().join("ca.crt"), root.join("ca.crt")).unwrap();
    fs::write(root.join("log"), "").unwrap();
    run("chmod", &["-R", "a+rX", place]);
    Some(root)
}

/// The simulated tenant behind TLS, with the API server's certificate: it is for localhost.
async fn tenant_over_tls(control_plane: &ControlPlane) -> SocketAddr {
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let inner = plain.local_addr().unwrap();
    tokio::spawn(serve(
        Simulator::new(Seed::contoso()),
        plain,
        None,
        std::future::pending(),
    ));
    let file = |name: &str| control_plane.directory().join(name);
    let certificates = CertificateDer::pem_file_iter(file("serving.crt")).unwrap();
    let certificates = certificates.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(file("serving.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut near = acceptor.accept(stream).await?;
                let mut far = TcpStream::connect(inner).await?;
                copy_bidirectional(&mut near, &mut far).await
            });
        }
    });
    address
}

/// Where a program of the system is: the operator's environment has no PATH.
fn tool(name: &str) -> String {
    let places = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(|folder| Path::new(folder).join(name));
    let place = places.into_iter().find(|place| place.exists());
    place
        .unwrap_or_else(|| panic!("there is no {name}"))
        .display()
        .to_string()
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(tool(program)).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_image_works_in_an_empty_root_over_tls() {
    let without_controllers = Options {
        controller_manager: false,
        ..Options::default()
    };
    let Some(control_plane) = start(without_controllers) else {
        return;
    };
    let Some(changer) = Changer::find().or_else(|| {
        skipped("only root, or whoever may make user namespaces, can change the root of a process")
    }) else {
        return;
    };
    let Some(root) = root(&control_plane, &changer) else {
        return;
    };
    install_crds(&control_plane);
    let port = tenant_over_tls(&control_plane).await.port();
    let launch = Launch {
        name: "image",
        program: changer.program(&root),
        kubeconfig: Path::new("/kubeconfig"),
        arguments: vec![
            "--extra-ca=/ca.crt".to_owned(),
            "--log-from=/log".to_owned(),
            format!("--allow-endpoint-overrides=localhost:{port}"),
        ],
        environment: vec![("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt".to_owned())],
    };
    let mut operator = Operator::start(&control_plane, &launch);
    operator.wait_for("/readyz", 200).await;

    let url = format!("https://localhost:{port}");
    let endpoints = json!({ "spec": { "endpoints": { "authority": url, "exchange": url, "graph": url } } });
    let members = ["first.member@contoso.com"];
    let manifests = json!([
        { "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": OPERATOR_NAMESPACE } },
        { "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } },
        {
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "exchange-credentials", "namespace": OPERATOR_NAMESPACE },
            "stringData": { "clientSecret": "simulated-secret" }
        },
        with(tenant(), &endpoints),
        mailbox("sales", "sales@contoso.com"),
        permission("sales-team", "sales", &members, &["FullAccess"]),
    ]);
    apply(&control_plane, "manifests", &manifests);
    let line = format!(
        "wait --for=condition=Ready sharedmailboxes,mailboxpermissions --all -n {NAMESPACE} --timeout=60s"
    );
    kubectl(&control_plane, &line).unwrap_or_else(|error| panic!("{error}\n{}", operator.log()));

    the_log_filter_follows_its_file(&operator, &root.join("log")).await;
    operator.signal("TERM");
    assert_eq!(operator.ended().await.code(), Some(0), "{}", operator.log());
}

async fn the_log_filter_follows_its_file(operator: &Operator, file: &Path) {
    assert!(!operator.log().contains("DEBUG"), "{}", operator.log());
    fs::write(file, "debug\n").unwrap();
    let talks = wait(async || operator.log().contains("\"DEBUG\"").then_some(()));
    assert!(talks.await.is_some(), "{}", operator.log());
}
