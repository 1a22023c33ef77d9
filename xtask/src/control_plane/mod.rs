//! A Kubernetes control plane on this machine: etcd, kube-apiserver and kube-controller-manager, real ones, without
//! nodes. Pods are never scheduled; everything that is only API works, RBAC, admission and garbage collection
//! included.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::interrupt;
use crate::process::{capture, temporary_directory, wait_until};
use crate::supervised::{Program, Supervised};

mod binaries;
mod servers;

pub use binaries::Binaries;
use servers::Layout;

/// Enough for a machine on which a build takes all cores; three seconds is usual.
const START_TIMEOUT: Duration = Duration::from_mins(3);
const POLL: Duration = Duration::from_millis(100);
/// Another process may take a port between our search for a free one and the server's taking it.
const ATTEMPTS: u32 = 3;

/// Set to keep the files of a control plane (logs, audit log, database) after it was stopped.
const KEEP_VARIABLE: &str = "SMO_KEEP_CONTROL_PLANE";

/// What to start besides etcd and kube-apiserver.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Start kube-controller-manager too: without it, namespaces never finish deleting.
    pub controller_manager: bool,
    /// Write each request with its user to [`ControlPlane::audit_log`].
    pub audit_log: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            controller_manager: true,
            audit_log: false,
        }
    }
}

/// A running control plane. It is stopped and its files are removed on drop, and also when this process is killed.
#[derive(Debug)]
pub struct ControlPlane {
    // Stopped in this order, so that no client is left talking to a server that is gone.
    controller_manager: Option<Supervised>,
    apiserver: Supervised,
    etcd: Supervised,
    directory: Directory,
    kubectl: PathBuf,
    server_url: String,
    kubeconfig: PathBuf,
    audit_log: Option<PathBuf>,
}

impl ControlPlane {
    /// Starts the servers and returns once they are ready. An error shows the end of the log of the program that
    /// failed; its files are kept then.
    pub fn start(binaries: &Binaries, options: Options) -> Result<Self> {
        for _ in 1..ATTEMPTS {
            match Self::start_once(binaries, options) {
                Err(error) if error.to_string().contains("address already in use") => {}
                outcome => return outcome,
            }
        }
        Self::start_once(binaries, options)
    }

    /// A kubeconfig of a cluster administrator, with all certificates inside.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// `https://127.0.0.1:<port>`
    pub fn server_url(&self) -> &str {
        &self.server_url
    }

    /// The audit log (one JSON object a line), when it was asked for.
    pub fn audit_log(&self) -> Option<&Path> {
        self.audit_log.as_deref()
    }

    /// The files of this run: `logs/`, the database, keys. Gone after [`ControlPlane::stop`].
    pub fn directory(&self) -> &Path {
        &self.directory.path
    }

    /// What a shell needs so that its kubectl talks to this control plane, one command a line.
    pub fn shell_setup(&self) -> Vec<String> {
        let mut lines = vec![format!("export KUBECONFIG={}", self.kubeconfig.display())];
        let folder = self.kubectl.parent().unwrap_or(&self.kubectl);
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).any(|known| known == folder) {
            lines.push(format!("export PATH=$PATH:{}", folder.display()));
        }
        lines
    }

    /// kubectl, set up for this control plane.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.env("KUBECONFIG", &self.kubeconfig);
        command
    }

    /// Fails when one of the servers ended.
    pub fn check(&mut self) -> Result<()> {
        self.etcd.check()?;
        self.apiserver.check()?;
        self.controller_manager.as_mut().map_or(Ok(()), Supervised::check)
    }

    /// Leaves the files where they are when this is stopped, for someone to read.
    pub fn keep_files(&mut self) {
        self.directory.keep = true;
    }

    /// Stops everything and removes its files. Dropping does the same.
    pub fn stop(self) {
        drop(self);
    }

    fn start_once(binaries: &Binaries, options: Options) -> Result<Self> {
        let mut directory = Directory::new()?;
        let layout = Layout::new(&directory.path, options)?;
        layout.write_files(&binaries.certificates)?;
        let kubeconfig = layout.file("admin.kubeconfig");
        let wait_for_kubectl = |arguments: &[&str], program: &mut Supervised| {
            wait_for_kubectl(&binaries.kubectl, &kubeconfig, arguments, program)
        };
        let start = |program: &Program| Supervised::start(&binaries.supervise, program, &layout.logs);
        // The servers wait for each other; started together they are ready soonest.
        let mut etcd = start(&layout.etcd(&binaries.etcd, directory.removed_with_us()))?;
        let mut apiserver = start(&layout.apiserver(&binaries.kube_apiserver))?;
        wait_for_port(layout.etcd_port, &mut etcd)?;
        wait_for_port(layout.server_port, &mut apiserver)?;
        wait_for_kubectl(&["get", "--raw=/readyz"], &mut apiserver)?;
        let mut controller_manager = None;
        if options.controller_manager {
            let program = layout.controller_manager(&binaries.kube_controller_manager);
            let manager = controller_manager.insert(start(&program)?);
            // Made by one of its controllers; pods and tokens in a namespace need it.
            wait_for_kubectl(&["get", "serviceaccount", "default"], manager)?;
        }
        directory.running = true;
        Ok(Self {
            controller_manager,
            apiserver,
            etcd,
            directory,
            kubectl: binaries.kubectl.clone(),
            server_url: layout.server_url(),
            kubeconfig,
            audit_log: options.audit_log.then(|| layout.file("logs/audit.log")),
        })
    }
}

/// The directory of one run, removed on drop. Logs of a control plane that never came up are kept.
#[derive(Debug)]
struct Directory {
    path: PathBuf,
    running: bool,
    keep: bool,
}

impl Directory {
    fn new() -> Result<Self> {
        let keep = std::env::var_os(KEEP_VARIABLE).is_some_and(|value| !value.is_empty());
        let path = temporary_directory("control-plane")?;
        fs::create_dir(path.join("logs"))?;
        Ok(Self {
            path,
            running: false,
            keep,
        })
    }

    fn removed_with_us(&self) -> Option<PathBuf> {
        (!self.keep).then(|| self.path.clone())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.keep && (self.running || interrupt::requested()) {
            // Nothing can be done about an error, and the folder for temporary files is emptied by the system.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Waits until something accepts connections on `port`, as long as `program` runs.
fn wait_for_port(port: u16, program: &mut Supervised) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let open = wait_until(START_TIMEOUT, POLL, || {
        program.check()?;
        Ok(TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok())
    })?;
    open.map(|_| ())
        .ok_or_else(|| program.failure(&format!("port {port} was not opened in time")))
}

/// Waits until a kubectl command succeeds, as long as `program` runs.
fn wait_for_kubectl(
    kubectl: &Path,
    kubeconfig: &Path,
    arguments: &[&str],
    program: &mut Supervised,
) -> Result<()> {
    let mut last = String::new();
    let done = wait_until(START_TIMEOUT, POLL, || {
        program.check()?;
        let mut command = Command::new(kubectl);
        command.env("KUBECONFIG", kubeconfig).args(arguments);
        let output = capture(&mut command)?;
        String::from_utf8_lossy(&output.stderr)
            .trim()
            .clone_into(&mut last);
        Ok(output.status.success().then_some(()))
    })?;
    let command = arguments.join(" ");
    done.ok_or_else(|| program.failure(&format!("kubectl {command} never succeeded ({last})")))
}
