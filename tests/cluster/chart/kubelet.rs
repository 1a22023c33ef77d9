//! What a kubelet would do with a pod of the chart, as far as a process on this machine can: its arguments and variables,
//! its ConfigMaps as files, and a token of its service account.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Cluster;
use crate::support::world::OPERATOR_NAMESPACE;

const PATIENCE: Duration = Duration::from_mins(1);

/// The first container of a workload, as the API server has it.
pub struct Container {
    pod: Value,
    service_account: String,
}

impl Container {
    pub fn of(cluster: &Cluster, workload: &str) -> Self {
        let pod =
            cluster.get(&format!("{workload} -n {OPERATOR_NAMESPACE}"))["spec"]["template"]["spec"].clone();
        let service_account = pod["serviceAccountName"].as_str().unwrap().to_owned();
        Self { pod, service_account }
    }

    fn container(&self) -> &Value {
        &self.pod["containers"][0]
    }

    /// Starts the operator as the pod would, and waits until it is ready.
    pub async fn run(&self, cluster: &Cluster) -> Running {
        let root = cluster.file("pod");
        let mounted = self.mount(cluster, &root);
        let arguments = self.arguments(&mounted);
        let listen = arguments
            .iter()
            .find_map(|argument| argument.strip_prefix("--listen="))
            .unwrap()
            .to_owned();
        let log = cluster.file("operator.log");
        let child = Command::new(env!("CARGO_BIN_EXE_shared-mailbox-operator"))
            .args(&arguments)
            .env_clear()
            .envs(self.variables())
            .env("KUBECONFIG", self.kubeconfig(cluster))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let running = Running { child, log, listen };
        running
            .wait_until_ready(&self.container()["readinessProbe"])
            .await;
        running
    }

    /// Writes the ConfigMaps of the pod's volumes below `root`; the mount paths that lie there.
    fn mount(&self, cluster: &Cluster, root: &Path) -> Vec<(String, PathBuf)> {
        let mut mounted = Vec::new();
        for mount in self.container()["volumeMounts"].as_array().unwrap() {
            let volumes = self.pod["volumes"].as_array().unwrap();
            let volume = volumes
                .iter()
                .find(|volume| volume["name"] == mount["name"])
                .unwrap();
            let Some(name) = volume["configMap"]["name"].as_str() else {
                continue;
            };
            let path = mount["mountPath"].as_str().unwrap();
            let folder = root.join(path.trim_start_matches('/'));
            fs::create_dir_all(&folder).unwrap();
            let map = cluster.get(&format!("configmap {name} -n {OPERATOR_NAMESPACE}"));
            for (key, content) in map["data"].as_object().unwrap() {
                fs::write(folder.join(key), content.as_str().unwrap()).unwrap();
            }
            mounted.push((path.to_owned(), folder));
        }
        mounted
    }

    /// As written, but for where mounted files are.
    fn arguments(&self, mounted: &[(String, PathBuf)]) -> Vec<String> {
        let arguments = self.container()["args"].as_array().unwrap();
        let placed = |argument: &Value| {
            let mut argument = argument.as_str().unwrap().to_owned();
            for (path, folder) in mounted {
                argument = argument.replace(path, &folder.to_string_lossy());
            }
            argument
        };
        arguments.iter().map(placed).collect()
    }

    fn variables(&self) -> Vec<(String, String)> {
        let variables = self.container()["env"].as_array().unwrap();
        let value = |variable: &Value| match (
            &variable["value"],
            &variable["valueFrom"]["fieldRef"]["fieldPath"],
        ) {
            (Value::String(value), _) => value.clone(),
            (_, Value::String(field)) if field == "metadata.name" => {
                "shared-mailbox-operator-5d8f-x7k2p".to_owned()
            }
            _ => panic!("{variable}"),
        };
        variables
            .iter()
            .map(|variable| (variable["name"].as_str().unwrap().to_owned(), value(variable)))
            .collect()
    }

    /// A kubeconfig with nothing in it but a token of the pod's service account, from TokenRequest.
    fn kubeconfig(&self, cluster: &Cluster) -> PathBuf {
        let token = cluster.kubectl(&format!(
            "create token {} -n {OPERATOR_NAMESPACE}",
            self.service_account
        ));
        let admin: Value =
            serde_saphyr::from_str(&fs::read_to_string(cluster.control_plane.kubeconfig()).unwrap()).unwrap();
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "pod",
            "clusters": [{ "name": "local", "cluster": admin["clusters"][0]["cluster"] }],
            "users": [{ "name": "pod", "user": { "token": token.trim() } }],
            "contexts": [{ "name": "pod", "context": { "cluster": "local", "user": "pod" } }]
        });
        let file = cluster.file("pod.kubeconfig");
        fs::write(&file, config.to_string()).unwrap();
        file
    }
}

/// The operator's process. It is killed when a test fails.
pub struct Running {
    child: Child,
    log: PathBuf,
    listen: String,
}

impl Running {
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Status and body of an answer of its own server; None while it does not listen.
    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.listen).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: operator\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    async fn wait_until_ready(&self, probe: &Value) {
        let path = probe["httpGet"]["path"].as_str().unwrap();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.get(path).await.is_none_or(|(status, _)| status != 200) {
            assert!(
                tokio::time::Instant::now() < deadline,
                "{path} was never 200:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Asks it to end, as Kubernetes does, and waits until it has.
    pub async fn terminate(&mut self) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let status: ExitStatus = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "it does not end:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert!(status.success(), "{status}:\n{}", self.log());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
