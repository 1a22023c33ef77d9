//! Ports, files and command lines of the servers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use super::Options;
use crate::process::{capture, free_port};
use crate::supervised::Program;

/// Those that tests and the demo notice: namespaces finish deleting, owned objects are collected, namespaces get
/// their service account and CA bundle, aggregated roles are filled in, admission policies are type-checked.
const CONTROLLERS: &str = "namespace-controller,garbage-collector-controller,serviceaccount-controller,\
                           root-ca-certificate-publisher-controller,clusterrole-aggregation-controller,\
                           validatingadmissionpolicy-status-controller";

/// Each request once, with its user and without its content.
const AUDIT_POLICY: &str =
    "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n";

/// Ports, files and command lines of one run.
pub(super) struct Layout {
    directory: PathBuf,
    pub logs: PathBuf,
    options: Options,
    pub etcd_port: u16,
    pub server_port: u16,
}

impl Layout {
    pub fn new(directory: &Path, options: Options) -> Result<Self> {
        Ok(Self {
            directory: directory.to_owned(),
            logs: directory.join("logs"),
            options,
            etcd_port: free_port()?,
            server_port: free_port()?,
        })
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn server_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.server_port)
    }

    fn etcd_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.etcd_port)
    }

    /// `--<name>=<path of file>`
    fn flag(&self, name: &str, file: &str) -> String {
        format!("--{name}={}", self.file(file).display())
    }

    pub fn write_files(&self, certificates: &Path) -> Result<()> {
        fs::write(self.file("audit-policy.yaml"), AUDIT_POLICY)?;
        let mut command = Command::new(certificates);
        command
            .arg("-directory")
            .arg(&self.directory)
            .arg("-server")
            .arg(self.server_url());
        let output = capture(&mut command)?;
        ensure!(
            output.status.success(),
            "making certificates failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    pub fn etcd(&self, path: &Path, remove: Option<PathBuf>) -> Program {
        let url = self.etcd_url();
        let arguments = vec![
            "--name=local".to_owned(),
            self.flag("data-dir", "etcd"),
            // The data is thrown away: no need to wait for a disk.
            "--unsafe-no-fsync".to_owned(),
            format!("--listen-client-urls={url}"),
            format!("--advertise-client-urls={url}"),
            // A single member has no peers; port 0 is any free one.
            "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
            "--initial-advertise-peer-urls=http://127.0.0.1:0".to_owned(),
            "--initial-cluster=local=http://127.0.0.1:0".to_owned(),
        ];
        Program {
            arguments,
            remove,
            ..Program::new("etcd", path)
        }
    }

    pub fn apiserver(&self, path: &Path) -> Program {
        let mut arguments = vec![
            format!("--etcd-servers={}", self.etcd_url()),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.server_port),
            self.flag("tls-cert-file", "serving.crt"),
            self.flag("tls-private-key-file", "serving.key"),
            self.flag("client-ca-file", "ca.crt"),
            "--authorization-mode=RBAC".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            self.flag("service-account-key-file", "service-account.pub"),
            self.flag("service-account-signing-key-file", "service-account.key"),
            // The default one refuses to publish a loopback address.
            "--endpoint-reconciler-type=none".to_owned(),
            "--profiling=false".to_owned(),
        ];
        if self.options.audit_log {
            arguments.push(self.flag("audit-policy-file", "audit-policy.yaml"));
            arguments.push(self.flag("audit-log-path", "logs/audit.log"));
        }
        if !self.options.controller_manager {
            // It waits for service accounts that nobody would make.
            arguments.push("--disable-admission-plugins=ServiceAccount".to_owned());
        }
        Program {
            arguments,
            ..Program::new("kube-apiserver", path)
        }
    }

    pub fn controller_manager(&self, path: &Path) -> Program {
        let arguments = vec![
            self.flag("kubeconfig", "controller-manager.kubeconfig"),
            "--use-service-account-credentials=true".to_owned(),
            self.flag("service-account-private-key-file", "service-account.key"),
            self.flag("root-ca-file", "ca.crt"),
            format!("--controllers={CONTROLLERS}"),
            "--leader-elect=false".to_owned(),
            // It serves nothing that is needed here.
            "--secure-port=0".to_owned(),
        ];
        Program {
            arguments,
            ..Program::new("kube-controller-manager", path)
        }
    }
}
