//! What a kubelet would do with a pod of the chart, as far as a process on this machine can: its arguments and variables,
//! its ConfigMaps as files, and a token of its service account.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Cluster;
use crate::operator::{Launch, Operator, built};
use testkit::OPERATOR_NAMESPACE;

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
    pub async fn run(&self, cluster: &Cluster) -> Operator {
        let mounted = self.mount(cluster, &cluster.file("pod"));
        let launch = Launch {
            name: "operator",
            program: built(),
            kubeconfig: &self.kubeconfig(cluster),
            arguments: self.arguments(&mounted),
            environment: self.variables(),
        };
        let operator = Operator::start_exactly(&cluster.control_plane, &launch);
        let probe = &self.container()["readinessProbe"]["httpGet"];
        operator.wait_for(probe["path"].as_str().unwrap(), 200).await;
        operator
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

    fn variables(&self) -> Vec<(&str, String)> {
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
            .map(|variable| (variable["name"].as_str().unwrap(), value(variable)))
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
