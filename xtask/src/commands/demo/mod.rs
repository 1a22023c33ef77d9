//! `cargo xtask demo`: the operator at work, on a local control plane and a simulated tenant.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use xtask::interrupt::Interrupted;
use xtask::process::{capture, wait_until};

use self::objects::{has, reference, reports, stalled};
use super::cargo::Programs;
use super::control_plane::{BackgroundBuild, stay};
use super::shell::{attempt, chapter, say, show, typed};
use super::stage::{OPERATOR, OPERATOR_NAMESPACE, SIMULATOR, Stage, client_secret, packages};
use crate::console::progress;

pub mod objects;

/// The mailbox that an admin tampers with.
const NAMESPACE: &str = "team-sales";
const MAILBOX: &str = "sharedmailbox/sales";
const ADDRESS: &str = "sales@contoso.com";
const EVENTS: &str =
    "get events -n team-sales --field-selector=involvedObject.name=sales --sort-by=.eventTime";

const POLL: Duration = Duration::from_millis(300);
/// For the operator to notice and act; the samples have it recheck every ten seconds.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(clap::Args)]
pub struct Arguments {
    /// Stop everything at the end instead of staying up; fails when anything differs from what the demo says
    #[arg(long)]
    once: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let control_plane = BackgroundBuild::start();
    progress("building the operator and the simulated tenant");
    let programs = Programs::build(&packages(&[OPERATOR, SIMULATOR]))?;
    let binaries = control_plane.finish()?;

    chapter(
        1,
        "A Kubernetes control plane and a simulated Microsoft 365 tenant, both on this machine",
    );
    let mut stage = Stage::start(binaries, programs)?;
    say(&format!("API server        {}", stage.control_plane.server_url()));
    say(&format!("simulated tenant  {}\n", stage.simulator_url()));
    if let Err(error) = play(&mut stage) {
        if !error.is::<Interrupted>() {
            explain(&mut stage);
        }
        return Err(error);
    }
    if arguments.once {
        return Ok(());
    }
    println!("Everything stays up until ctrl-c. In another terminal:\n");
    for line in stage.control_plane.shell_setup() {
        say(&line);
    }
    say("kubectl get sharedmailboxes,mailboxpermissions -A -o wide");
    say(&format!(
        "cargo run -p {SIMULATOR} -- admin --server {} --help\n",
        stage.simulator_url()
    ));
    stay(|| stage.check())
}

/// All chapters. An error means that something differs from what the demo says.
fn play(stage: &mut Stage) -> Result<()> {
    chapter(2, "The operator, as a platform team installs it");
    install(stage)?;
    chapter(3, "Mailboxes and who may use them, as teams write them");
    apply(stage)?;
    chapter(4, "What the operator reports");
    result(stage, "sharedmailboxes", 2)?;
    result(stage, "mailboxpermissions", 3)?;
    chapter(5, "An admin unblocks sign-in outside the operator");
    tamper(stage)?;
    chapter(6, "What no rule allows is refused, with the reason");
    for manifest in stage.manifests("refused")? {
        refuse(stage, &manifest)?;
    }
    stage.check()
}

fn install(stage: &mut Stage) -> Result<()> {
    // The namespace first: nothing is created in one that is not there.
    show(&mut stage.kubectl("apply --server-side -f deploy/base/namespace.yaml"))?;
    show(&mut stage.kubectl("apply --server-side -k deploy/base"))?;
    show(&mut stage.kubectl("wait --for=condition=Established crd --all --timeout=60s"))?;
    create_secret(stage)?;
    say(
        "No node is here to run the Deployment. The operator runs beside it, with its service account and rights:\n",
    );
    stage.use_service_account()?;
    let arguments = stage.operator_arguments()?;
    say(&format!("$ {}", typed(Command::new(OPERATOR).args(&arguments))));
    stage.start_operator(OPERATOR, &stage.program(OPERATOR)?, arguments)?;
    say("ready\n");
    Ok(())
}

/// The credentials of the app. The command is shown with the variable that people keep theirs in.
fn create_secret(stage: &Stage) -> Result<()> {
    let line = format!("create secret generic exchange-credentials -n {OPERATOR_NAMESPACE}");
    say(&format!(
        "$ kubectl {line} --from-literal=clientSecret=\"$CLIENT_SECRET\""
    ));
    let mut command = stage.kubectl(&line);
    command.arg(format!("--from-literal=clientSecret={}", client_secret()?));
    let output = capture(&mut command)?;
    // The command line itself has the secret in it and must not be part of an error.
    ensure!(
        output.status.success(),
        "`kubectl {line}` failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    say(&format!(
        "{}\n",
        String::from_utf8_lossy(&output.stdout).trim_end()
    ));
    Ok(())
}

fn apply(stage: &Stage) -> Result<()> {
    for manifest in stage.manifests("demo")? {
        show(stage.kubectl("apply -f").arg(manifest))?;
    }
    show(&mut stage.kubectl("wait --for=condition=Ready exchangetenants --all --timeout=60s"))?;
    let mail = "sharedmailboxes,mailboxpermissions";
    show(&mut stage.kubectl(&format!(
        "wait --for=condition=Ready {mail} --all -n {NAMESPACE} --timeout=180s"
    )))
}

/// Shows all objects of a kind, and fails unless there are at least `least` and all of them are ready.
fn result(stage: &Stage, kind: &str, least: usize) -> Result<()> {
    let read = format!("get {kind} -n {NAMESPACE}");
    show(&mut stage.kubectl(&read))?;
    let list = stage.kubectl_json(&read)?;
    let items = list["items"].as_array().context("kubectl printed no list")?;
    let (ready, all) = (
        items.iter().filter(|item| has(item, "Ready", "True")).count(),
        items.len(),
    );
    ensure!(
        ready == all && all >= least,
        "{ready} of {all} {kind} are ready; expected all of at least {least}"
    );
    Ok(())
}

fn tamper(stage: &mut Stage) -> Result<()> {
    ensure!(
        !stage.may_sign_in(ADDRESS)?,
        "sign-in of {ADDRESS} should be blocked by now"
    );
    show(&mut stage.admin(&format!("sign-in --user {ADDRESS} --enabled true"))?)?;
    ensure!(
        stage.may_sign_in(ADDRESS)?,
        "sign-in of {ADDRESS} should have been unblocked"
    );
    say(&format!(
        "Sign-in of {ADDRESS} is open now, and nobody informed the operator: it detects the change by itself.\n"
    ));

    let repaired = wait_until(PATIENCE, POLL, || {
        stage.check()?;
        let mailbox = stage.kubectl_json(&format!("get -n {NAMESPACE} {MAILBOX}"))?;
        let blocked = !stage.may_sign_in(ADDRESS)? && has(&mailbox, "SignInBlocked", "True");
        let reported = reports(&stage.kubectl_json(EVENTS)?, "DriftRepaired", "sign-in");
        Ok((blocked && reported && has(&mailbox, "Ready", "True")).then_some(()))
    })?;
    repaired
        .with_context(|| format!("sign-in of {ADDRESS} was not blocked again, with an event, in time"))?;

    show(&mut stage.kubectl(EVENTS))?;
    show(&mut stage.kubectl(&format!("get -n {NAMESPACE} {MAILBOX}")))
}

/// A manifest is refused by the API server at once, or by the operator in the status.
fn refuse(stage: &mut Stage, manifest: &Path) -> Result<()> {
    if !attempt(stage.kubectl("apply -f").arg(manifest))?.status.success() {
        return Ok(());
    }
    let read = format!("get -f {}", manifest.display());
    let refused = wait_until(PATIENCE, POLL, || {
        stage.check()?;
        Ok(stalled(&stage.kubectl_json(&read)?).cloned())
    })?;
    let refused = refused.with_context(|| format!("nothing in {} was refused", manifest.display()))?;
    let namespace = refused["metadata"]["namespace"].as_str().unwrap_or("default");
    let object = reference(&refused).context("kubectl printed an object without a name")?;
    show(&mut stage.kubectl(&format!("get -n {namespace} {object}")))?;
    let message = r#"jsonpath={.status.conditions[?(@.type=="Ready")].message}"#;
    show(&mut stage.kubectl(&format!("get -n {namespace} {object} -o {message}")))
}

/// What helps to find out why something differs from what the demo says, on standard error.
fn explain(stage: &mut Stage) {
    stage.control_plane.keep_files();
    let objects = "get exchangetenants,sharedmailboxes,mailboxpermissions -A -o wide";
    for line in [objects, "get events -A --sort-by=.lastTimestamp"] {
        eprintln!("\n$ kubectl {line}");
        // It is the first error that counts.
        if let Ok(output) = capture(&mut stage.kubectl(line)) {
            eprint!("{}", String::from_utf8_lossy(&output.stdout));
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    eprintln!("\n{}\n", stage.operator_log());
}
