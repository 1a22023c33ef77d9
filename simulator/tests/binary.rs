//! The binary: a tenant behind a socket, and the client mode that reaches into it.

// Helpers outside of #[test] functions fail a test by panicking, too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, where a panic is a failure"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut child = simulator()
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, url }
    }

    fn admin(&self, arguments: &[&str]) -> Output {
        simulator()
            .args(["admin", "--server", &self.url])
            .args(arguments)
            .output()
            .unwrap()
    }

    fn ask(&self, arguments: &[&str]) -> Value {
        let output = self.admin(arguments);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// Sends a request as it stands and reads until the connection is closed.
    fn raw(&self, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        let length = body.len();
        let text = format!(
            "{head}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Asks it to stop and answers what it had written to standard error.
    fn stop(mut self) -> String {
        let killed = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        assert!(self.child.wait().unwrap().success());
        let mut text = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone when the test stopped it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn simulator() -> Command {
    Command::new(env!("CARGO_BIN_EXE_simulator"))
}

const TOKEN: &str = "POST /contoso.com/oauth2/v2.0/token HTTP/1.1";
const FORM: &str = "grant_type=client_credentials&client_id=66666666-7777-8888-9999-000000000000\
                    &client_secret=simulated-secret&scope=https%3A%2F%2Foutlook.office365.com%2F.default";

#[test]
fn a_tenant_is_served_changed_by_its_admin_and_stopped() {
    let server = Server::start(&["--journal"]);
    assert!(server.raw(TOKEN, FORM).contains("access_token"));

    let user = "first.member@contoso.com";
    server.ask(&["sign-in", "--user", user, "--enabled", "false"]);
    let rows = server.ask(&[
        "cmdlet",
        "Get-Mailbox",
        "--parameters",
        r#"{"Identity": "first.member"}"#,
    ]);
    assert_eq!(rows["value"][0]["AccountDisabled"], true);
    server.ask(&["rename", "--user", user, "--display-name", "Renamed"]);
    let mailboxes = server.ask(&["mailboxes"]);
    assert_eq!(mailboxes[0]["displayName"], "Renamed");
    assert_eq!(
        server.ask(&["state"])["tenantId"],
        "11111111-2222-3333-4444-555555555555"
    );

    let journal = server.ask(&["journal"]);
    let kinds: Vec<&str> = journal
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["kind"]["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["token", "graph", "cmdlet", "graph"]);
    server.ask(&["journal", "--clear"]);
    assert_eq!(server.ask(&["journal"]), serde_json::json!([]));

    let log = server.stop();
    assert!(log.contains(r#""type":"token""#), "{log}");
    assert!(!log.contains("simulated-secret"));
}

#[test]
fn the_admin_changes_people_groups_and_access_lists() {
    let server = Server::start(&[]);
    let (user, team) = ("first.member@contoso.com", "sales-team@contoso.com");
    let stray = "S-1-5-21-1-2-3-4";
    let contact = r#"{"externalAddress": "ben@fabrikam.com", "displayName": "Ben"}"#;
    let guest = r#"{"upn": "anna_fabrikam.com#EXT#@contoso.onmicrosoft.com", "displayName": "Anna",
                     "mailbox": "guest", "externalAddress": "anna@fabrikam.com"}"#;
    assert!(server.ask(&["add-contact", "--contact", contact])["objectId"].is_string());
    assert!(server.ask(&["add-user", "--user", guest])["objectId"].is_string());
    let member = |who: &str, present: &str| {
        server.ask(&[
            "group-member",
            "--group",
            team,
            "--member",
            who,
            "--present",
            present,
        ]);
    };
    member("ben@fabrikam.com", "true");
    member(user, "false");
    server.ask(&["licence", "--user", user, "--licensed", "false"]);
    assert!(server.ask(&["change-sid", "--user", "second.member@contoso.com"])["sid"].is_string());
    let row = format!(r#"{{"trustee": "{stray}", "rights": ["ReadPermission"], "standing": "undeletable"}}"#);
    server.ask(&["inject-access", "--mailbox", user, "--row", &row]);
    let row = format!(r#"{{"trustee": "{stray}", "deny": true}}"#);
    server.ask(&["inject-send-as", "--mailbox", user, "--row", &row]);
    server.ask(&[
        "undeletable",
        "--mailbox",
        user,
        "--trustee",
        stray,
        "--undeletable",
        "false",
    ]);

    let mailbox = &server.ask(&["mailboxes"])[0];
    assert_eq!(mailbox["licensed"], false);
    assert_eq!(
        mailbox["fullAccess"][0]["rights"],
        serde_json::json!(["ReadPermission"])
    );
    assert_eq!(mailbox["fullAccess"][0]["standing"], "explicit");
    assert_eq!(mailbox["sendAsRows"][0]["sid"], stray);
    let members = serde_json::json!({"Identity": team}).to_string();
    let rows = server.ask(&["cmdlet", "Get-DistributionGroupMember", "--parameters", &members]);
    let kinds: Vec<&Value> = rows["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["RecipientTypeDetails"])
        .collect();
    assert_eq!(kinds, ["UserMailbox", "MailContact"]);

    server.ask(&["delete-user", "--user", user]);
    server.ask(&["restore-user", "--user", user]);
    server.ask(&["purge-user", "--user", user]);
    let refused = server.admin(&["restore-user", "--user", user]);
    assert!(!refused.status.success());
}

#[test]
fn the_admin_changes_a_setting_a_rule_and_the_quirks() {
    let server = Server::start(&[]);
    let user = "first.member@contoso.com";
    server.ask(&[
        "setting",
        "--mailbox",
        user,
        "--name",
        "MailTip",
        "--value",
        "\"Away\"",
    ]);
    server.ask(&["quirks", "--set", "{\"mailTip\": {\"lineEnds\": \"none\"}}"]);
    let rule = [
        "--cmdlet",
        "Set-Mailbox",
        "--parameter",
        "MailTip",
        "--rule",
        "notInRole",
    ];
    server.ask(&[&["parameter"], rule.as_slice()].concat());
    let parameters = format!("{{\"Identity\": \"{user}\"}}");
    let rows = server.ask(&["cmdlet", "Get-Mailbox", "--parameters", &parameters]);
    assert_eq!(rows["value"][0]["MailTip"], "<html><body>Away</body></html>");
    assert_eq!(server.ask(&["quirks"])["mailTip"]["lineEnds"], "none");
    let refused = server.admin(&["setting", "--mailbox", user, "--name", "Nothing", "--value", "1"]);
    assert!(!refused.status.success());
}

#[test]
fn faults_are_set_while_it_runs_and_a_lost_answer_closes_the_connection() {
    let server = Server::start(&[]);
    server.ask(&[
        "faults",
        "--set",
        r#"{"rules": [{"fault": {"kind": "lostAnswer"}, "surface": "token", "times": 1}]}"#,
    ]);
    assert_eq!(server.raw(TOKEN, FORM), "");
    assert!(server.raw(TOKEN, FORM).contains("access_token"));
    let faults = server.ask(&["faults"]);
    assert_eq!(faults["rules"][0]["times"], 0);
}

#[test]
fn what_the_admin_got_wrong_is_reported_on_standard_error() {
    let server = Server::start(&[]);
    for (arguments, said) in [
        (
            &["sign-in", "--user", "nobody@contoso.com", "--enabled", "true"][..],
            "nobody@contoso.com",
        ),
        (
            &[
                "cmdlet",
                "Get-Mailbox",
                "--parameters",
                r#"{"Identity": "nobody"}"#,
            ],
            "couldn't be found",
        ),
        (&["faults", "--set", r#"{"ruls": []}"#], "ruls"),
    ] {
        let output = server.admin(arguments);
        assert!(!output.status.success());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn a_seed_is_read_from_a_file() {
    let seed = simulator::Seed {
        initial_domain: "fabrikam.onmicrosoft.com".to_owned(),
        ..simulator::Seed::contoso()
    };
    let path = std::env::temp_dir().join(format!("simulator-seed-{}.json", std::process::id()));
    std::fs::write(&path, serde_json::to_string(&seed).unwrap()).unwrap();
    let server = Server::start(&["--seed", path.to_str().unwrap()]);
    assert_eq!(
        server.ask(&["state"])["initialDomain"],
        "fabrikam.onmicrosoft.com"
    );
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_profile_is_chosen_by_its_name() {
    let server = Server::start(&["--profile", "hybrid"]);
    let quirks = &server.ask(&["state"])["quirks"];
    assert_eq!(quirks["access"]["formerSids"], true, "{quirks}");
}
