//! `cargo xtask upgrade`: an earlier operator, this one, and the earlier one again, on the same mailboxes. Changing hands
//! writes nothing to Exchange.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use xtask::interrupt::Interrupted;
use xtask::process::{humane, temporary_directory, wait_until};
use xtask::workspace;

use super::cargo::{Programs, succeed};
use super::control_plane::BackgroundBuild;
use super::demo::objects::has;
use super::shell::{chapter, quietly, say};
use super::stage::{OPERATOR, OPERATOR_NAMESPACE, SIMULATOR, Stage, client_secret, packages};
use crate::console::progress;

const NAMESPACE: &str = "team-many";
const KINDS: [&str; 2] = ["sharedmailboxes", "mailboxpermissions"];
const REQUEST: &str = "sharedmailbox.dev/reconcile-requested-at";
const POLL: Duration = Duration::from_secs(2);
/// For a thousand mailboxes, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_mins(30);

#[derive(clap::Args)]
pub struct Arguments {
    /// The commit, tag or branch whose operator came before
    #[arg(long, value_name = "REVISION")]
    from: String,
    /// How many mailboxes change hands
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=5000))]
    mailboxes: u32,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let control_plane = BackgroundBuild::start();
    progress("building the operator and the simulated tenant");
    let programs = Programs::build(&packages(&[OPERATOR, SIMULATOR]))?;
    progress(&format!("building the operator of {}", arguments.from));
    let earlier = Earlier::build(&arguments.from)?;
    let binaries = control_plane.finish()?;
    let mut stage = Stage::start(binaries, programs)?;
    let outcome = change_hands(&mut stage, &earlier, arguments);
    if outcome.as_ref().is_err_and(|error| !error.is::<Interrupted>()) {
        stage.control_plane.keep_files();
        eprintln!("\n{}\n", stage.operator_log());
    }
    outcome
}

/// A checkout of an earlier version beside this one, and its operator.
struct Earlier {
    source: PathBuf,
    program: PathBuf,
}

impl Earlier {
    fn build(revision: &str) -> Result<Self> {
        let directory = temporary_directory("xtask-upgrade")?;
        let mut earlier = Self {
            source: directory.join("source"),
            program: PathBuf::new(),
        };
        let mut checkout = git(&["worktree", "add", "--quiet", "--detach"]);
        succeed(checkout.arg(&earlier.source).arg(revision))?;
        let mut cargo = workspace::cargo();
        // Not the folder of this version: cargo would take the one's libraries for the other's.
        let target = workspace::target_directory()?.join("upgrade");
        cargo.current_dir(&earlier.source).env("CARGO_TARGET_DIR", target);
        let programs = Programs::built_by(cargo, &packages(&[OPERATOR]))?;
        programs.get(OPERATOR)?.clone_into(&mut earlier.program);
        Ok(earlier)
    }
}

impl Drop for Earlier {
    fn drop(&mut self) {
        // A folder that is left behind is a nuisance and no more.
        let _ = quietly(git(&["worktree", "remove", "--force"]).arg(&self.source));
        let _ = self.source.parent().map(fs::remove_dir);
    }
}

fn git(arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.current_dir(workspace::root()).args(arguments);
    command
}

fn change_hands(stage: &mut Stage, earlier: &Earlier, arguments: &Arguments) -> Result<()> {
    let Arguments { from, mailboxes } = arguments;
    chapter(1, &format!("The operator of {from} makes {mailboxes} mailboxes"));
    let began = Instant::now();
    install_crds(stage, &earlier.source)?;
    apply(stage, "common", &common(stage, *mailboxes)?)?;
    start(stage, "earlier", &earlier.program)?;
    apply(stage, "mailboxes", &manifests(*mailboxes))?;
    everything_is_ready(stage, *mailboxes, None)?;
    say(&format!("ready after {}\n", humane(began.elapsed())));

    chapter(2, "This operator takes over");
    install_crds(stage, workspace::root())?;
    let present = stage.program(OPERATOR)?;
    take_over(stage, "present", &present, *mailboxes)?;

    chapter(3, &format!("And the one of {from} again"));
    take_over(stage, "earlier-again", &earlier.program, *mailboxes)
}

/// Another operator instead of the one that runs, which rechecks everything once.
fn take_over(stage: &mut Stage, name: &'static str, program: &Path, mailboxes: u32) -> Result<()> {
    stage.stop_operator();
    let before = statuses(stage)?;
    quietly(&mut stage.admin("journal --clear")?)?;
    let began = Instant::now();
    start(stage, name, program)?;
    let annotate = format!("annotate sharedmailboxes --all -n {NAMESPACE} --overwrite {REQUEST}={name}");
    quietly(&mut stage.kubectl(&annotate))?;
    everything_is_ready(stage, mailboxes, Some(name))?;
    let took = began.elapsed();
    let journal: Value = serde_json::from_slice(&quietly(&mut stage.admin("journal")?)?)?;
    let calls = Calls::of(&journal).context("the simulated tenant printed no journal")?;
    let changed = changes(&before, &statuses(stage)?);
    say(&format!(
        "every mailbox was rechecked within {}: {} reads of Exchange and Graph, {} writes",
        humane(took),
        calls.reads,
        calls.writes.len()
    ));
    say(&format!("statuses that changed: {changed}\n"));
    ensure!(
        calls.writes.is_empty(),
        "{} writes because another operator took over, such as {}",
        calls.writes.len(),
        calls.writes[0]
    );
    ensure!(
        calls.reads >= usize::try_from(mailboxes)?,
        "it can't have rechecked everything"
    );
    Ok(())
}

fn start(stage: &mut Stage, name: &'static str, program: &Path) -> Result<()> {
    let arguments = stage.operator_arguments()?;
    stage.start_operator(name, program, arguments)
}

fn install_crds(stage: &Stage, source: &Path) -> Result<()> {
    let crds = source.join("crds");
    quietly(stage.kubectl("apply --server-side -f").arg(&crds))?;
    quietly(
        stage
            .kubectl("wait --for=condition=Established --timeout=60s -f")
            .arg(&crds),
    )?;
    Ok(())
}

fn apply(stage: &Stage, name: &str, items: &[Value]) -> Result<()> {
    let file = stage.control_plane.directory().join(format!("{name}.json"));
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    fs::write(&file, list.to_string())?;
    quietly(stage.kubectl("create -f").arg(&file))?;
    Ok(())
}

/// The tenant, with room for all of them, and who may ask for what in it.
fn common(stage: &Stage, mailboxes: u32) -> Result<[Value; 4]> {
    let namespace =
        |name: &str| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    let url = stage.simulator_url();
    Ok([
        namespace(OPERATOR_NAMESPACE),
        namespace(NAMESPACE),
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "exchange-credentials", "namespace": OPERATOR_NAMESPACE },
            "stringData": { "clientSecret": client_secret()? }
        }),
        json!({
            "apiVersion": "sharedmailbox.dev/v1alpha1", "kind": "ExchangeTenant",
            "metadata": { "name": "default" },
            "spec": {
                "tenantId": "11111111-2222-3333-4444-555555555555",
                "credentials": {
                    "clientId": "66666666-7777-8888-9999-000000000000",
                    "clientSecretRef": { "name": "exchange-credentials", "key": "clientSecret" }
                },
                "limits": { "maxConcurrentRequests": 10, "writesPerMinute": 6000 },
                "endpoints": { "authority": url, "exchange": url, "graph": url },
                "access": [{
                    "namespaces": { "names": [NAMESPACE] },
                    "addresses": ["*@contoso.com"],
                    "members": ["*@contoso.com"],
                    "groups": ["sales-team@contoso.com"],
                    "rights": ["FullAccess", "SendAs", "SendOnBehalf"],
                    "maxMailboxes": mailboxes
                }]
            }
        }),
    ])
}

/// Mailboxes, each with every right for two people and one for a group.
fn manifests(mailboxes: u32) -> Vec<Value> {
    let object = |kind: &str, name: &str, spec: Value| {
        json!({
            "apiVersion": "sharedmailbox.dev/v1alpha1", "kind": kind,
            "metadata": { "name": name, "namespace": NAMESPACE },
            "spec": spec
        })
    };
    let of_one = |number: u32| {
        let name = format!("box-{number}");
        let mailbox = json!({
            "displayName": format!("Box {number}"),
            "emailAddress": format!("{name}@contoso.com"),
            "aliases": [format!("{name}-too@contoso.com")]
        });
        let people = [
            json!({ "user": "anna.berg@contoso.com" }),
            json!({ "user": "ben.cole@contoso.com" }),
        ];
        let permission = |members: Value, rights: &[&str]| json!({ "mailboxRef": { "name": name }, "members": members, "rights": rights });
        [
            object("SharedMailbox", &name, mailbox),
            object(
                "MailboxPermission",
                &format!("{name}-people"),
                permission(json!(people), &["FullAccess", "SendAs", "SendOnBehalf"]),
            ),
            object(
                "MailboxPermission",
                &format!("{name}-group"),
                permission(json!([{ "group": "sales-team@contoso.com" }]), &["FullAccess"]),
            ),
        ]
    };
    (0..mailboxes).flat_map(of_one).collect()
}

/// Waits until everything is ready and, where somebody asked for a reconcile, until that was done.
fn everything_is_ready(stage: &mut Stage, mailboxes: u32, asked: Option<&str>) -> Result<()> {
    let is_done = |object: &Value| {
        let handled = &object["status"]["lastHandledReconcileAt"];
        let rechecked = object["kind"] != "SharedMailbox" || asked.is_none_or(|stamp| handled == stamp);
        has(object, "Ready", "True") && rechecked
    };
    let mut done = 0;
    let all = usize::try_from(mailboxes)? * 3;
    let began = Instant::now();
    let mut reported = Duration::ZERO;
    let ready = wait_until(PATIENCE, POLL, || {
        stage.check()?;
        let objects = objects(stage)?;
        done = objects.iter().filter(|object| is_done(object)).count();
        if began.elapsed() > reported + Duration::from_secs(30) {
            reported = began.elapsed();
            progress(&format!("{done} of {all} ready after {}", humane(reported)));
        }
        Ok((done == all).then_some(()))
    })?;
    ready.with_context(|| format!("only {done} of {all} objects are ready"))
}

fn objects(stage: &Stage) -> Result<Vec<Value>> {
    let list = stage.kubectl_json(&format!("get {} -n {NAMESPACE}", KINDS.join(",")))?;
    list["items"]
        .as_array()
        .cloned()
        .context("kubectl printed no list")
}

/// What the operator asked of the tenant since its journal was cleared.
#[derive(Debug, PartialEq, Eq)]
struct Calls {
    reads: usize,
    writes: Vec<String>,
}

impl Calls {
    fn of(journal: &Value) -> Option<Self> {
        let mut calls = Self {
            reads: 0,
            writes: Vec::new(),
        };
        for entry in journal.as_array()?.iter().filter(|entry| entry["actor"] == "app") {
            let kind = &entry["kind"];
            let words = match kind["type"].as_str()? {
                "cmdlet" => kind["name"].as_str()?.to_owned(),
                "graph" => format!("{} {}", kind["method"].as_str()?, kind["path"].as_str()?),
                _ => continue,
            };
            if words.starts_with("Get-") || words.starts_with("GET ") {
                calls.reads += 1;
            } else {
                calls.writes.push(words);
            }
        }
        Some(calls)
    }
}

/// Statuses, by kind and name; without the answers to what we ask for.
type Statuses = BTreeMap<(String, String), Value>;

fn statuses(stage: &Stage) -> Result<Statuses> {
    let of_one = |mut object: Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let key = (text(&object["kind"]), text(&object["metadata"]["name"]));
        let mut status = object["status"].take();
        if let Some(fields) = status.as_object_mut() {
            fields.remove("lastHandledReconcileAt");
        }
        (key, status)
    };
    Ok(objects(stage)?.into_iter().map(of_one).collect())
}

/// How many differ, and in which fields.
fn changes(before: &Statuses, after: &Statuses) -> String {
    let none = Value::Null;
    let mut fields = BTreeSet::new();
    let mut count = 0;
    for (key, status) in after {
        let old = before.get(key).unwrap_or(&none);
        if old == status {
            continue;
        }
        count += 1;
        let names = |status: &Value| -> BTreeSet<String> {
            let fields = status.as_object();
            fields
                .into_iter()
                .flat_map(|fields| fields.keys().cloned())
                .collect()
        };
        let all = names(old).union(&names(status)).cloned().collect::<Vec<_>>();
        fields.extend(all.into_iter().filter(|field| old[field] != status[field]));
    }
    if count == 0 {
        return "none".to_owned();
    }
    let fields: Vec<String> = fields.into_iter().collect();
    format!("{count} of {}, in {}", after.len(), fields.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_of_the_operator_are_distinguished_from_reads_tokens_and_what_an_admin_does() {
        let journal = json!([
            { "actor": "app", "kind": { "type": "token", "resource": "exchange" } },
            { "actor": "app", "kind": { "type": "cmdlet", "name": "Get-Mailbox", "parameters": {} } },
            { "actor": "app", "kind": { "type": "cmdlet", "name": "Set-Mailbox", "parameters": {} } },
            { "actor": "admin", "kind": { "type": "cmdlet", "name": "New-Mailbox", "parameters": {} } },
            { "actor": "app", "kind": { "type": "graph", "method": "GET", "path": "/v1.0/users/1" } },
            { "actor": "app", "kind": { "type": "graph", "method": "PATCH", "path": "/v1.0/users/1" } },
        ]);
        let writes = ["Set-Mailbox", "PATCH /v1.0/users/1"].map(str::to_owned).to_vec();
        assert_eq!(Calls::of(&journal), Some(Calls { reads: 2, writes }));
        assert_eq!(Calls::of(&json!({})), None);
    }

    #[test]
    fn changed_statuses_are_counted_and_their_fields_named() {
        let key = |name: &str| ("SharedMailbox".to_owned(), name.to_owned());
        let before = Statuses::from([
            (key("a"), json!({ "summary": "UpToDate" })),
            (key("b"), json!({ "summary": "UpToDate" })),
        ]);
        assert_eq!(changes(&before, &before), "none");
        let mut after = before.clone();
        after.insert(key("b"), json!({ "summary": "Held", "held": {} }));
        assert_eq!(changes(&before, &after), "1 of 2, in held, summary");
    }
}
