//! Who may read, change and delete MailboxLedgers, with the roles and policies as the charts install them; and that the
//! API server stores the largest one.

use std::time::Duration;

use serde_json::{Value, json};
use xtask::control_plane::{ControlPlane, Options};
use xtask::process::wait_until;
use xtask::workspace;

use super::server::{kubectl, start};
use testkit::{NAMESPACE, largest_ledger, ledger};

const OPERATOR: &str = "system:serviceaccount:shared-mailbox-system:shared-mailbox-operator";
/// With the built-in role `admin` in the namespace of the ledgers' resources.
const TEAM: &str = "nora";
const AUDITOR: &str = "audra";
/// A tool that may do everything, as Argo CD is installed.
const TOOL: &str = "system:serviceaccount:argocd:argocd-application-controller";
/// The administrator of the kubeconfig, whom no role limits.
const ADMIN: &str = "";

const CRD: &str = "mailboxledgers.sharedmailbox.dev";
const RELEASED: &str = "2026-11-22T09:00:00Z";

struct Cluster(ControlPlane);

#[test]
fn a_ledger_is_changed_by_the_operator_read_by_auditors_and_lost_by_no_slip() {
    let Some(control_plane) = start(Options::default()) else {
        return;
    };
    let cluster = Cluster(control_plane);
    cluster.install();
    every_expression_of_the_policies_has_the_right_types(&cluster);
    until_the_policies_hold(&cluster);
    no_team_reads_or_writes_ledgers(&cluster);
    auditors_read_and_do_nothing_else(&cluster);
    what_a_ledger_remembers_is_edited_by_nobody_but_the_operator(&cluster);
    a_ledger_is_not_deleted_while_a_resource_has_its_mailbox(&cluster);
    what_is_unfinished_or_gone_is_forgotten_by_its_name(&cluster);
    a_backup_restores_a_lost_ledger_and_overwrites_none(&cluster);
    the_largest_ledger_is_stored_and_guarded(&cluster);
    the_operator_does_what_it_has_to(&cluster);
    the_definition_is_not_deleted_by_a_slip(&cluster);
}

impl Cluster {
    fn run(&self, line: &str, user: &str) -> Result<String, String> {
        let line = match user {
            "" => line.to_owned(),
            user => format!("{line} --as={user}"),
        };
        kubectl(&self.0, &line)
    }

    fn done(&self, line: &str, user: &str) -> String {
        self.run(line, user)
            .unwrap_or_else(|error| panic!("{user}: {error}"))
    }

    /// The refusal of a line that must be refused.
    fn refused(&self, line: &str, user: &str) -> String {
        match self.run(line, user) {
            Err(said) => said,
            Ok(said) => panic!("{line} as {user:?}: {said}"),
        }
    }

    fn may(&self, user: &str, what: &str) -> bool {
        self.run(&format!("auth can-i {what}"), user).is_ok()
    }

    fn get(&self, line: &str) -> Value {
        serde_json::from_str(&self.done(&format!("get {line} -o json"), ADMIN)).unwrap()
    }

    /// `create`, `replace` and the like, of a manifest.
    fn send(&self, how: &str, manifest: &Value, user: &str) -> Result<String, String> {
        let file = self.0.directory().join("manifest.json");
        std::fs::write(&file, manifest.to_string()).unwrap();
        self.run(&format!("{how} -f {}", file.display()), user)
    }

    /// The operator's way of writing: the whole object at its resourceVersion.
    fn operator_sets(&self, name: &str, field: &str, value: &Value) {
        let mut object = self.get(&format!("mailboxledger {name}"));
        object["spec"][field] = value.clone();
        self.send("replace", &object, OPERATOR).unwrap();
    }

    fn install(&self) {
        let base = workspace::root().join("deploy/base");
        // The namespace first: nothing is created in one that is not there.
        self.done(
            &format!("apply --server-side -f {}/namespace.yaml", base.display()),
            ADMIN,
        );
        self.done(&format!("apply --server-side -k {}", base.display()), ADMIN);
        self.done("wait --for=condition=Established crd --all --timeout=60s", ADMIN);
        self.done(&format!("create namespace {NAMESPACE}"), ADMIN);
        for line in [
            format!("create rolebinding team --clusterrole=admin --user={TEAM} -n {NAMESPACE}"),
            format!(
                "create clusterrolebinding audit --clusterrole=shared-mailbox-operator-auditor --user={AUDITOR}"
            ),
            format!("create clusterrolebinding tool --clusterrole=cluster-admin --user={TOOL}"),
        ] {
            self.done(&line, ADMIN);
        }
    }
}

/// Runs the command with which a refusal ends, as somebody does who pastes it.
fn paste(cluster: &Cluster, refusal: &str, user: &str) -> String {
    let (_, command) = refusal
        .rsplit_once(": kubectl ")
        .expect("a refusal that ends with a command");
    cluster.done(command.trim(), user)
}

fn every_expression_of_the_policies_has_the_right_types(cluster: &Cluster) {
    let policies = cluster.get("validatingadmissionpolicies");
    let policies = policies["items"].as_array().unwrap();
    assert_eq!(policies.len(), 3);
    for policy in policies {
        let name = policy["metadata"]["name"].as_str().unwrap();
        // Without wildcards: what matches all versions is not checked.
        for rule in policy["spec"]["matchConstraints"]["resourceRules"]
            .as_array()
            .unwrap()
        {
            for field in ["apiGroups", "apiVersions", "resources"] {
                assert!(!rule[field].to_string().contains('*'), "{name}: {rule}");
            }
        }
        assert_eq!(policy["spec"]["failurePolicy"], "Fail", "{name}");
        let checked = wait_until(Duration::from_secs(30), Duration::from_millis(200), || {
            let status = cluster.get(&format!("validatingadmissionpolicy {name}"))["status"].clone();
            Ok(status["observedGeneration"].is_i64().then_some(status))
        });
        let status = checked.unwrap().expect("the policy is checked in time");
        assert_eq!(status["typeChecking"], json!({}), "{name}");
    }
}

/// A policy takes a moment until it holds.
fn until_the_policies_hold(cluster: &Cluster) {
    cluster.send("create", &ledger("probe"), ADMIN).unwrap();
    let edit = r#"patch mailboxledger probe --type=merge -p {"spec":{"cluster":"other"}}"#;
    let delete = format!("delete crd {CRD} --dry-run=server");
    let holds = wait_until(Duration::from_secs(30), Duration::from_millis(200), || {
        let refused = cluster.run(edit, ADMIN).is_err() && cluster.run(&delete, ADMIN).is_err();
        Ok(refused.then_some(()))
    });
    assert!(holds.unwrap().is_some(), "the policies hold in time");
}

fn no_team_reads_or_writes_ledgers(cluster: &Cluster) {
    let rules_of = |role: &str| cluster.get(&format!("clusterrole {role}"))["rules"].to_string();
    for role in ["admin", "edit", "view"] {
        let ours = wait_until(Duration::from_secs(30), Duration::from_millis(200), || {
            Ok(Some(rules_of(role)).filter(|rules| rules.contains("sharedmailboxes")))
        });
        let rules = ours.unwrap().expect("our roles are part of the built-in ones");
        assert!(!rules.contains("mailboxledgers"), "{role}: {rules}");
        assert!(
            !rules.contains("sharedmailbox.dev\"],\"resources\":[\"*"),
            "{role}: {rules}"
        );
    }
    assert!(cluster.may(TEAM, &format!("create sharedmailboxes -n {NAMESPACE}")));
    cluster.send("create", &ledger("of-the-team"), ADMIN).unwrap();
    for verb in [
        "get",
        "list",
        "watch",
        "create",
        "update",
        "patch",
        "delete",
        "deletecollection",
        "operate",
    ] {
        assert!(!cluster.may(TEAM, &format!("{verb} {CRD}")), "{verb}");
    }
    let lines = [
        "get mailboxledgers",
        "get mailboxledger of-the-team",
        "annotate mailboxledger of-the-team a=b",
        "delete mailboxledger of-the-team",
    ];
    for line in lines {
        let said = cluster.refused(line, TEAM);
        assert!(
            said.contains("Forbidden") && said.contains("at the cluster scope"),
            "{said}"
        );
    }
}

fn auditors_read_and_do_nothing_else(cluster: &Cluster) {
    for kind in [
        "exchangetenants",
        "mailboxledgers",
        "mailboxpermissions",
        "sharedmailboxes",
    ] {
        let kind = format!("{kind}.sharedmailbox.dev");
        for verb in ["get", "list", "watch"] {
            assert!(
                cluster.may(AUDITOR, &format!("{verb} {kind} --all-namespaces")),
                "{verb} {kind}"
            );
        }
        for verb in [
            "create",
            "update",
            "patch",
            "delete",
            "deletecollection",
            "operate",
            "approve",
        ] {
            assert!(
                !cluster.may(AUDITOR, &format!("{verb} {kind} -n {NAMESPACE}")),
                "{verb} {kind}"
            );
        }
    }
    assert!(!cluster.may(AUDITOR, "get secrets -n shared-mailbox-system"));
    let shown = cluster.done("get mailboxledgers", AUDITOR);
    let columns: Vec<&str> = shown.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(
        columns,
        [
            "NAME",
            "ADDRESS",
            "NAMESPACE",
            "RESOURCE",
            "PEOPLE",
            "STATE",
            "AGE"
        ]
    );
    assert!(
        shown.contains("of-the-team") && shown.contains("Serving"),
        "{shown}"
    );
}

fn what_a_ledger_remembers_is_edited_by_nobody_but_the_operator(cluster: &Cluster) {
    for (number, user) in [ADMIN, TOOL].into_iter().enumerate() {
        let name = format!("edited-{number}");
        cluster.send("create", &ledger(&name), user).unwrap();
        let edit = format!(r#"patch mailboxledger {name} --type=merge -p {{"spec":{{"people":[]}}}}"#);
        let said = cluster.refused(&edit, user);
        assert!(said.contains("only the operator changes it"), "{said}");
        paste(cluster, &said, user);
        for spec in [
            json!({ "unknown": 1 }),
            json!({ "seal": null }),
            json!({ "shown": { "state": "x" } }),
        ] {
            let edit = format!(
                "patch mailboxledger {name} --type=merge -p {}",
                json!({ "spec": spec })
            );
            let said = cluster.refused(&edit, user);
            assert!(said.contains("only the operator changes it"), "{said}");
        }
        let label =
            json!({ "metadata": { "labels": { "checked": "yes" }, "annotations": { "ticket": "4711" } } });
        cluster.done(
            &format!("patch mailboxledger {name} --type=merge -p {label}"),
            user,
        );
        let object = cluster.get(&format!("mailboxledger {name}"));
        assert_eq!(object["metadata"]["generation"], 1);
    }
}

fn a_ledger_is_not_deleted_while_a_resource_has_its_mailbox(cluster: &Cluster) {
    let mailbox = json!({
        "apiVersion": "sharedmailbox.dev/v1alpha1", "kind": "SharedMailbox",
        "metadata": { "name": "sales", "namespace": NAMESPACE },
        "spec": { "displayName": "Sales", "emailAddress": "sales@contoso.com" },
    });
    cluster.send("create", &mailbox, ADMIN).unwrap();
    cluster.send("create", &ledger("serving"), OPERATOR).unwrap();
    let guid = ledger("serving")["spec"]["mailbox"]["guid"]
        .as_str()
        .unwrap()
        .to_owned();
    let forget =
        |value: &str| format!("annotate mailboxledger serving --overwrite sharedmailbox.dev/forget={value}");
    let delete = "delete mailboxledger serving";
    let all = "delete --raw /apis/sharedmailbox.dev/v1alpha1/mailboxledgers";
    for user in [ADMIN, TOOL] {
        cluster.refused(delete, user);
        let said = cluster.refused(all, user);
        assert!(said.contains("a SharedMailbox still has this mailbox"), "{said}");
        cluster.done(&forget(&guid), user);
        let said = cluster.refused(delete, user);
        assert!(said.contains("a SharedMailbox still has this mailbox"), "{said}");
        cluster.done("annotate mailboxledger serving sharedmailbox.dev/forget-", user);
        let disown = format!("annotate mailboxledger serving sharedmailbox.dev/disown={guid}");
        let said = cluster.refused(&disown, user);
        assert!(said.contains("a SharedMailbox still has this mailbox"), "{said}");
    }
    paste(cluster, &cluster.refused(delete, ADMIN), ADMIN);
    let gone = cluster.refused(&format!("get sharedmailbox sales -n {NAMESPACE}"), ADMIN);
    assert!(gone.contains("NotFound"), "{gone}");
    // What the operator can't use is never released: it prints these words.
    cluster.send("create", &ledger("unusable"), ADMIN).unwrap();
    let give_up = |name: &str| {
        format!("annotate mailboxledger unusable --overwrite sharedmailbox.dev/forget-serving={name}")
    };
    cluster.done(&give_up("serving"), ADMIN);
    cluster.refused("delete mailboxledger unusable", ADMIN);
    cluster.done(&give_up("unusable"), ADMIN);
    cluster.done("delete mailboxledger unusable", ADMIN);
    cluster.operator_sets("serving", "releasedAt", &json!(RELEASED));

    for value in ["true", "serving"] {
        let line = format!("annotate mailboxledger serving --overwrite sharedmailbox.dev/disown={value}");
        paste(cluster, &cluster.refused(&line, ADMIN), ADMIN);
    }

    cluster.refused(delete, ADMIN);
    for value in ["true", "all", "serving"] {
        cluster.done(&forget(value), ADMIN);
        let said = cluster.refused(delete, ADMIN);
        assert!(
            said.contains("the operator forgets who was granted what"),
            "{said}"
        );
    }
    paste(cluster, &cluster.refused(delete, ADMIN), ADMIN);
    cluster.done(delete, ADMIN);
}

fn what_is_unfinished_or_gone_is_forgotten_by_its_name(cluster: &Cluster) {
    let one_time_name = format!("smo-{}", "0f".repeat(16));
    let mut creating = ledger("creating");
    let spec = creating["spec"].as_object_mut().unwrap();
    spec.remove("mailbox");
    let intent = json!({
        "oneTimeName": one_time_name, "alias": "sales", "address": "sales@contoso.com", "at": RELEASED,
    });
    spec.insert("intent".to_owned(), intent);
    let mut empty = ledger("empty");
    empty["spec"].as_object_mut().unwrap().remove("mailbox");
    let gone = ledger("gone");
    let guid = gone["spec"]["mailbox"]["guid"].as_str().unwrap();
    for (manifest, ended, forgotten) in [
        (&creating, Some("releasedAt"), one_time_name.as_str()),
        (&gone, Some("goneAt"), guid),
        (&empty, None, "empty"),
    ] {
        cluster.send("create", manifest, OPERATOR).unwrap();
        let name = manifest["metadata"]["name"].as_str().unwrap();
        let delete = format!("delete mailboxledger {name}");
        if let Some(field) = ended {
            let said = cluster.refused(&delete, ADMIN);
            assert!(said.contains("a SharedMailbox still has this mailbox"), "{said}");
            cluster.operator_sets(name, field, &json!(RELEASED));
        }
        let said = cluster.refused(&delete, ADMIN);
        assert!(
            said.contains(&format!("sharedmailbox.dev/forget={forgotten}")),
            "{said}"
        );
        paste(cluster, &said, ADMIN);
        cluster.done(&delete, ADMIN);
    }
}

fn a_backup_restores_a_lost_ledger_and_overwrites_none(cluster: &Cluster) {
    cluster.send("create", &ledger("restored"), ADMIN).unwrap();
    cluster.operator_sets("restored", "people", &json!([]));
    for how in ["apply --server-side --force-conflicts", "apply", "replace"] {
        let said = cluster.send(how, &ledger("restored"), ADMIN).unwrap_err();
        assert!(said.contains("only the operator changes it"), "{how}: {said}");
    }
    let said = cluster
        .send("replace --force", &ledger("restored"), ADMIN)
        .unwrap_err();
    assert!(said.contains("a SharedMailbox still has this mailbox"), "{said}");
}

fn the_largest_ledger_is_stored_and_guarded(cluster: &Cluster) {
    let largest = largest_ledger("largest");
    cluster.send("create", &largest, OPERATOR).unwrap();
    cluster.operator_sets("largest", "takenUpAt", &json!(RELEASED));
    let stored = cluster
        .get("mailboxledger largest --show-managed-fields")
        .to_string();
    assert!(stored.len() < 1024 * 1024, "{}", stored.len());
    assert!(stored.len() > 512 * 1024, "{}: is it the largest?", stored.len());

    // The policy compares two of these, and has a budget.
    cluster.done("annotate mailboxledger largest ticket=4711", ADMIN);
    let edit = r#"patch mailboxledger largest --type=merge -p {"spec":{"cluster":"other"}}"#;
    let said = cluster.refused(edit, ADMIN);
    assert!(said.contains("only the operator changes it"), "{said}");
    cluster.operator_sets("largest", "releasedAt", &json!(RELEASED));
    let said = cluster.refused("delete mailboxledger largest", ADMIN);
    paste(cluster, &said, ADMIN);
    cluster.done("delete mailboxledger largest", ADMIN);
}

fn the_operator_does_what_it_has_to(cluster: &Cluster) {
    for verb in ["get", "list", "watch", "create", "update", "delete", "operate"] {
        assert!(cluster.may(OPERATOR, &format!("{verb} {CRD}")), "{verb}");
    }
    for verb in ["patch", "deletecollection"] {
        assert!(!cluster.may(OPERATOR, &format!("{verb} {CRD}")), "{verb}");
    }
    assert!(!cluster.may(OPERATOR, &format!("delete crd/{CRD}")));
    cluster
        .send("create", &ledger("of-the-operator"), OPERATOR)
        .unwrap();
    cluster.operator_sets("of-the-operator", "people", &json!([]));
    cluster.done("get mailboxledgers", OPERATOR);
    // The loser of two ledgers for one mailbox, for example.
    cluster.done("delete mailboxledger of-the-operator", OPERATOR);
}

fn the_definition_is_not_deleted_by_a_slip(cluster: &Cluster) {
    let one = format!("delete crd {CRD} --timeout=60s");
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let selected = format!("delete --raw {definitions}?fieldSelector=metadata.name%3D{CRD}");
    for user in [ADMIN, TOOL] {
        for line in [&one, &selected] {
            let said = cluster.refused(line, user);
            assert!(said.contains("the operator forgets for every mailbox"), "{said}");
        }
    }
    // The other definitions are nobody's memory.
    cluster.done(
        "delete crd mailboxpermissions.sharedmailbox.dev --timeout=60s",
        ADMIN,
    );
    let left = cluster.get("mailboxledgers");
    assert!(!left["items"].as_array().unwrap().is_empty());
    paste(cluster, &cluster.refused(&one, ADMIN), ADMIN);
    cluster.done(&one, ADMIN);
}
