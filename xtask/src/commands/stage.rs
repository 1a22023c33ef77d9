//! What some commands run on: a control plane, a simulated tenant and the operator, and how to talk to them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use xtask::control_plane::{Binaries, ControlPlane, Options};
use xtask::process::{free_port, http_status, wait_until};
use xtask::supervised::{Program, Supervised, tail};
use xtask::workspace;

use crate::commands::cargo::Programs;
use crate::commands::shell::quietly;

pub const OPERATOR: &str = "shared-mailbox-operator";
pub const SIMULATOR: &str = "simulator";
pub const OPERATOR_NAMESPACE: &str = "shared-mailbox-system";

/// What the simulated tenant starts with.
const SEED: &str = "deploy/samples/tenant.json";
/// The address in the samples. Another one takes its place when the port is in use.
const SIMULATOR_ADDRESS: &str = "127.0.0.1:8800";
const START_TIMEOUT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(200);
/// Long enough for the operator to finish what it is writing.
const OPERATOR_GRACE: Duration = Duration::from_secs(10);

/// A cargo command that builds these programs, each of the package of its name.
pub fn packages<'a>(programs: &[&'a str]) -> Vec<&'a str> {
    let selected = programs
        .iter()
        .flat_map(|program| ["--package", program, "--bin", program]);
    ["build", "--locked"].into_iter().chain(selected).collect()
}

/// Everything that runs. Dropping it stops the operator first and the control plane last.
pub struct Stage {
    operator: Option<Supervised>,
    simulator: Supervised,
    pub control_plane: ControlPlane,
    binaries: Binaries,
    programs: Programs,
    /// With which the operator runs; None: as an administrator.
    operator_kubeconfig: Option<PathBuf>,
    /// `host:port` of the simulated tenant.
    simulator_address: String,
}

impl Stage {
    /// Starts the control plane and the simulated tenant; the operator comes later.
    pub fn start(binaries: Binaries, programs: Programs) -> Result<Self> {
        let mut control_plane = ControlPlane::start(&binaries, Options::default())?;
        let logs = control_plane.directory().join("logs");
        let (simulator, simulator_address) =
            start_simulator(&binaries.supervise, programs.get(SIMULATOR)?, &logs)
                .inspect_err(|_| control_plane.keep_files())?;
        Ok(Self {
            operator: None,
            simulator,
            control_plane,
            binaries,
            programs,
            operator_kubeconfig: None,
            simulator_address,
        })
    }

    pub fn simulator_url(&self) -> String {
        format!("http://{}", self.simulator_address)
    }

    /// The arguments with which the operator is run.
    pub fn operator_arguments(&self) -> Result<Vec<String>> {
        let arguments = [
            "run".to_owned(),
            format!("--operator-namespace={OPERATOR_NAMESPACE}"),
            format!("--allow-endpoint-overrides={}", self.simulator_address),
            "--leader-elect=false".to_owned(),
            format!("--listen=127.0.0.1:{}", free_port()?),
        ];
        Ok(arguments.to_vec())
    }

    /// One of the programs of this version.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        self.programs.get(name).map(Path::to_owned)
    }

    /// Starts an operator, whose log has that name, and returns once it says that it is ready.
    pub fn start_operator(
        &mut self,
        name: &'static str,
        program: &Path,
        arguments: Vec<String>,
    ) -> Result<()> {
        let listen = arguments
            .iter()
            .find_map(|argument| argument.strip_prefix("--listen="));
        let listen = listen.context("the operator needs --listen")?.to_owned();
        let mut program = Program::new(name, program);
        program.arguments = arguments;
        program.grace = OPERATOR_GRACE;
        let kubeconfig = self.operator_kubeconfig.as_deref();
        let kubeconfig = kubeconfig.unwrap_or(self.control_plane.kubeconfig());
        let kubeconfig = kubeconfig.display().to_string();
        program.environment.push(("KUBECONFIG".to_owned(), kubeconfig));
        let operator = Supervised::start(&self.binaries.supervise, &program, &self.logs())?;
        let operator = self.operator.insert(operator);
        let ready = wait_until(START_TIMEOUT, POLL, || {
            operator.check()?;
            Ok((http_status(&listen, "/readyz") == Some(200)).then_some(()))
        })?;
        ready.ok_or_else(|| operator.failure("the operator did not become ready in time"))
    }

    /// Has the operator run as the service account that was installed, as its pods would: the policies refuse what an
    /// administrator writes into a ledger.
    pub fn use_service_account(&mut self) -> Result<()> {
        let line = format!("create token {OPERATOR} -n {OPERATOR_NAMESPACE} --duration=24h");
        let token = quietly(&mut self.kubectl(&line))?;
        let token = String::from_utf8(token).context("a token is text")?;
        let mut config = self.kubectl_json("config view --raw --minify")?;
        config["users"][0]["user"] = json!({ "token": token.trim() });
        let path = self.control_plane.directory().join("operator.kubeconfig");
        let mut file = OpenOptions::new();
        let mut file = file
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(config.to_string().as_bytes())?;
        self.operator_kubeconfig = Some(path);
        Ok(())
    }

    /// Stops the operator in order, and returns when it is gone.
    pub fn stop_operator(&mut self) {
        self.operator = None;
    }

    /// Fails when anything ended that should run.
    pub fn check(&mut self) -> Result<()> {
        self.operator.as_mut().map_or(Ok(()), Supervised::check)?;
        self.simulator.check()?;
        self.control_plane.check()
    }

    fn logs(&self) -> PathBuf {
        self.control_plane.directory().join("logs")
    }

    /// The end of the operator's log, and where all logs are.
    pub fn operator_log(&self) -> String {
        let end = self.operator.as_ref().map(|operator| tail(operator.log(), 30));
        format!("logs: {}\n{}", self.logs().display(), end.unwrap_or_default())
    }

    /// kubectl with the words of `line`, to be run in the root of the repository.
    pub fn kubectl(&self, line: &str) -> Command {
        let mut command = self.control_plane.kubectl();
        command
            .current_dir(workspace::root())
            .args(line.split_whitespace());
        command
    }

    /// What kubectl prints with `-o json`, without showing the command.
    pub fn kubectl_json(&self, line: &str) -> Result<Value> {
        let printed = quietly(self.kubectl(line).args(["-o", "json"]))?;
        serde_json::from_slice(&printed).with_context(|| format!("kubectl {line} printed no JSON"))
    }

    /// The admin of the simulated tenant, who knows nothing of the operator.
    pub fn admin(&self, line: &str) -> Result<Command> {
        let mut command = Command::new(self.programs.get(SIMULATOR)?);
        command
            .args(["admin", "--server", &self.simulator_url()])
            .args(line.split_whitespace());
        Ok(command)
    }

    /// Whether the directory lets the account behind the mailbox `address` sign in.
    pub fn may_sign_in(&self, address: &str) -> Result<bool> {
        let printed = quietly(&mut self.admin("mailboxes")?)?;
        let mailboxes = serde_json::from_slice(&printed).context("the simulated tenant printed no JSON")?;
        let open = sign_in_is_open(&mailboxes, address);
        open.with_context(|| format!("the simulated tenant has no mailbox {address}"))
    }

    /// The manifests in a folder of `deploy/samples`, in order, with the address of the simulated tenant in them.
    pub fn manifests(&self, folder: &str) -> Result<Vec<PathBuf>> {
        let relative = Path::new("deploy/samples").join(folder);
        let mut names = Vec::new();
        for entry in
            fs::read_dir(workspace::root().join(&relative)).context(relative.display().to_string())?
        {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                names.extend(path.file_name().map(PathBuf::from));
            }
        }
        names.sort();
        ensure!(!names.is_empty(), "no manifests in {}", relative.display());
        names
            .iter()
            .map(|name| self.with_simulator_address(&relative.join(name)))
            .collect()
    }

    /// The file itself where it needs no change, so that the commands shown are those in the documentation.
    fn with_simulator_address(&self, relative: &Path) -> Result<PathBuf> {
        let text = fs::read_to_string(workspace::root().join(relative))?;
        if self.simulator_address == SIMULATOR_ADDRESS || !text.contains(SIMULATOR_ADDRESS) {
            return Ok(relative.to_owned());
        }
        let copy = self.control_plane.directory().join(relative);
        fs::create_dir_all(copy.parent().unwrap_or(&copy))?;
        fs::write(&copy, text.replace(SIMULATOR_ADDRESS, &self.simulator_address))?;
        Ok(copy)
    }
}

/// Starts the simulated tenant and returns the `host:port` on which it listens.
fn start_simulator(supervise: &Path, simulator: &Path, logs: &Path) -> Result<(Supervised, String)> {
    let listen = if TcpListener::bind(SIMULATOR_ADDRESS).is_ok() {
        SIMULATOR_ADDRESS.to_owned()
    } else {
        format!("127.0.0.1:{}", free_port()?)
    };
    let mut program = Program::new(SIMULATOR, simulator);
    program.arguments = ["serve", "--listen", &listen, "--seed", SEED]
        .map(str::to_owned)
        .to_vec();
    program.folder = Some(workspace::root().to_owned());
    let mut simulator = Supervised::start(supervise, &program, logs)?;
    let address = simulator.wait_for_line("listening on http://", START_TIMEOUT)?;
    Ok((simulator, address))
}

/// The secret of the simulated tenant's app, from its seed.
pub fn client_secret() -> Result<String> {
    let text =
        fs::read_to_string(workspace::root().join(SEED)).with_context(|| format!("can't read {SEED}"))?;
    let seed: Value = serde_json::from_str(&text)?;
    Ok(seed["clientSecret"]
        .as_str()
        .with_context(|| format!("{SEED} has no clientSecret"))?
        .to_owned())
}

fn sign_in_is_open(mailboxes: &Value, address: &str) -> Option<bool> {
    let mut all = mailboxes.as_array()?.iter();
    let mailbox =
        all.find(|mailbox| mailbox["primaryAddress"] == address && mailbox["softDeleted"] != true)?;
    Some(!mailbox["accountDisabled"].as_bool()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_in_is_read_from_the_mailbox_that_has_the_address_now() {
        let mailboxes = serde_json::json!([
            { "primaryAddress": "sales@contoso.com", "softDeleted": true, "accountDisabled": true },
            { "primaryAddress": "sales@contoso.com", "softDeleted": false, "accountDisabled": false },
            { "primaryAddress": "info@contoso.com", "softDeleted": false, "accountDisabled": true },
        ]);
        assert_eq!(sign_in_is_open(&mailboxes, "sales@contoso.com"), Some(true));
        assert_eq!(sign_in_is_open(&mailboxes, "info@contoso.com"), Some(false));
        assert_eq!(sign_in_is_open(&mailboxes, "nobody@contoso.com"), None);
    }
}
