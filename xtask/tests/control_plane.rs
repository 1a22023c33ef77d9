//! The control plane itself, with real servers. Skipped where none is built, unless that is forbidden.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use xtask::control_plane::{Binaries, ControlPlane, Options};
use xtask::process::{capture, wait_until};

/// What kubectl prints on success, or its error.
fn kubectl(control_plane: &ControlPlane, line: &str) -> Result<String, String> {
    let output = capture(control_plane.kubectl().args(line.split(' '))).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

#[test]
fn it_authorizes_collects_and_records_like_any_cluster() {
    let Some(binaries) = Binaries::for_tests().unwrap() else {
        return;
    };
    let options = Options {
        audit_log: true,
        ..Options::default()
    };
    let mut control_plane = ControlPlane::start(&binaries, options).unwrap();

    let version = kubectl(&control_plane, "get --raw=/version").unwrap();
    assert!(
        !version.contains("v0.0.0"),
        "clients check the version: {version}"
    );
    kubectl(&control_plane, "create namespace short-lived").unwrap();
    kubectl(&control_plane, "create configmap owned -n short-lived").unwrap();
    kubectl(&control_plane, "delete namespace short-lived --timeout=60s").unwrap();
    assert!(
        kubectl(&control_plane, "get namespace short-lived")
            .unwrap_err()
            .contains("NotFound")
    );

    let nobody = "system:serviceaccount:default:default";
    assert!(
        kubectl(&control_plane, &format!("get secrets --as={nobody}"))
            .unwrap_err()
            .contains("Forbidden")
    );
    kubectl(
        &control_plane,
        &format!("create clusterrolebinding reader --clusterrole=view --user={nobody}"),
    )
    .unwrap();
    kubectl(&control_plane, &format!("get configmaps --as={nobody}")).unwrap();
    assert!(
        kubectl(&control_plane, "create token default")
            .unwrap()
            .starts_with("ey")
    );

    control_plane.check().unwrap();
    let audit = fs::read_to_string(control_plane.audit_log().unwrap()).unwrap();
    assert!(
        audit
            .lines()
            .any(|line| line.contains("/configmaps") && line.contains(nobody)),
        "{audit}"
    );

    let directory = control_plane.directory().to_owned();
    let server = control_plane.server_url().replace("https://", "");
    control_plane.stop();
    assert!(!directory.exists());
    assert!(TcpStream::connect(server).is_err(), "the server still listens");
}

#[test]
fn nothing_is_left_when_its_owner_is_killed() {
    if Binaries::for_tests().unwrap().is_none() {
        return;
    }
    let mut owner = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("control-plane")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let progress = BufReader::new(owner.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let mut seen = Vec::new();
    let server = progress.inspect(|line| seen.push(line.clone())).find_map(|line| {
        let url = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("https://"))?;
        line.contains("ready").then(|| url.to_owned())
    });
    let server = server.unwrap_or_else(|| panic!("it never became ready: {seen:?}"));
    let mut line = String::new();
    BufReader::new(owner.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let kubeconfig = PathBuf::from(line.trim().strip_prefix("export KUBECONFIG=").unwrap());
    assert!(kubeconfig.is_file());
    assert!(TcpStream::connect(&server).is_ok());

    owner.kill().unwrap();
    owner.wait().unwrap();
    let gone = wait_until(Duration::from_secs(30), Duration::from_millis(100), || {
        let stopped = TcpStream::connect(&server).is_err();
        Ok((stopped && !kubeconfig.parent().unwrap().exists()).then_some(()))
    });
    assert!(gone.unwrap().is_some(), "the server or its files are still there");
}

#[test]
fn a_server_that_does_not_start_shows_its_log() {
    let Some(mut binaries) = Binaries::for_tests().unwrap() else {
        return;
    };
    binaries.kube_apiserver = PathBuf::from("/bin/false");
    let error = ControlPlane::start(&binaries, Options::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("kube-apiserver stopped unexpectedly"), "{error}");
    let log = error
        .split_whitespace()
        .find(|word| word.ends_with("kube-apiserver.log"))
        .unwrap();
    assert!(Path::new(log).is_file(), "{log} should be kept");
    let directory = Path::new(log).parent().unwrap().parent().unwrap();
    fs::remove_dir_all(directory).unwrap();
}
