//! `doctor` against the simulated tenant: what it finds, that it leaves nothing, and what it prints.

use std::collections::BTreeSet;
use std::fs;
use std::future::{Future, pending};
use std::path::Path;

use secrecy::SecretString;
use serde_json::json;
use shared_mailbox_operator::clock::Clock;
use shared_mailbox_operator::doctor::{
    ASSUMPTIONS, DoctorError, Needs, Outcome, Report, Scratch, State, examine,
};
use shared_mailbox_operator::exchange::{Cloud, Connection, Credential, Endpoints};
use shared_mailbox_operator::rng::Rng;
use simulator::{Control, Profile, Quirks, Seed, Simulator};
use testkit::{START, in_process};

const SCRATCH: &str = "doctor@contoso.com";

struct Patient {
    simulator: Simulator,
    tenant: Control,
    connection: Connection,
}

impl Patient {
    fn new(change: impl FnOnce(&mut Quirks)) -> Self {
        let mut seed = Seed::contoso();
        change(&mut seed.quirks);
        Self::of(seed)
    }

    fn of(seed: Seed) -> Self {
        let seed = Seed {
            start: Some(START.parse().unwrap()),
            ..seed
        };
        let connection = Connection {
            tenant: seed.tenant_id.to_string().parse().unwrap(),
            endpoints: Endpoints::for_cloud(Cloud::Worldwide),
            client_id: seed.client_id,
            credentials: vec![Credential::ClientSecret(SecretString::from(
                seed.client_secret.as_str(),
            ))],
            max_concurrent: 4,
            writes_per_minute: 120,
        };
        let simulator = Simulator::new(seed);
        Self {
            tenant: simulator.control(),
            simulator,
            connection,
        }
    }

    async fn examined(
        &self,
        scratch: Option<Scratch>,
        stop: impl Future<Output = ()>,
    ) -> Result<Outcome, DoctorError> {
        let (clock, rng) = (Clock::starting_at(START.parse().unwrap()), Rng::seeded(7));
        let http = in_process(&self.simulator);
        examine(self.connection.clone(), http, (clock, rng), scratch, stop).await
    }

    /// Read-only, then with everything tried.
    async fn report(&self, scratch: Option<Scratch>) -> Report {
        let outcome = self.examined(scratch, pending()).await;
        let Outcome { report, left_behind } = outcome.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(left_behind, None);
        report
    }

    fn writes(&self) -> usize {
        self.tenant
            .journal()
            .iter()
            .filter(|entry| entry.is_write())
            .count()
    }
}

fn scratch() -> Scratch {
    Scratch {
        address: SCRATCH.parse().unwrap(),
        member: Some("first.member@contoso.com".parse().unwrap()),
    }
}

fn in_state(report: &Report, wanted: State) -> BTreeSet<&'static str> {
    let state = |name: &str| {
        report
            .findings
            .get(name)
            .map_or(State::NotSeen, |(state, _)| state)
    };
    let names = ASSUMPTIONS.iter().map(|assumption| assumption.name);
    names.filter(|name| state(name) == wanted).collect()
}

#[tokio::test(start_paused = true)]
async fn reads_alone_change_nothing_and_show_most() {
    let patient = Patient::new(|_| {});
    let report = patient.report(None).await;
    assert_eq!(
        (patient.writes(), patient.tenant.revision()),
        (0, Patient::new(|_| {}).tenant.revision())
    );
    let known: BTreeSet<_> = ASSUMPTIONS.iter().map(|assumption| assumption.name).collect();
    let odd: Vec<_> = report
        .findings
        .names()
        .filter(|name| !known.contains(name))
        .collect();
    assert!(odd.is_empty(), "not in the table: {odd:?}");
    assert_eq!(
        in_state(&report, State::Differs),
        BTreeSet::from(["hidden-members"])
    );
    let unseen = in_state(&report, State::NotSeen);
    for assumption in ASSUMPTIONS
        .iter()
        .filter(|assumption| assumption.needs == Needs::Reads)
    {
        let may_lack = assumption.name == "on-behalf-is-an-id";
        assert!(
            may_lack || !unseen.contains(assumption.name),
            "{}",
            assumption.name
        );
    }
    assert!(!report.breaks_a_promise());
}

#[tokio::test(start_paused = true)]
async fn everything_is_tried_on_one_mailbox_that_is_gone_afterwards() {
    let patient = Patient::new(|_| {});
    let report = patient.report(Some(scratch())).await;
    let unseen = in_state(&report, State::NotSeen);
    assert!(unseen.is_empty(), "{unseen:?}\n{}", report.table());
    let differs = in_state(&report, State::Differs);
    assert_eq!(
        differs,
        BTreeSet::from(["hidden-members", "new-account-state"]),
        "{}",
        report.table()
    );
    assert!(patient.tenant.mailbox(SCRATCH).is_none());
    let created = patient.tenant.deleted_mailbox(SCRATCH).unwrap();
    // Nothing but the scratch mailbox was written to.
    for entry in patient.tenant.journal().iter().filter(|entry| entry.is_write()) {
        let text = format!("{:?}", entry.kind);
        let guid = created.exchange_guid.to_string();
        let is_its =
            text.contains(&guid) || text.contains(&created.object_id.to_string()) || text.contains(SCRATCH);
        assert!(is_its, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_somebody_has_is_not_touched() {
    for taken in ["first.member@contoso.com", SCRATCH] {
        let patient = Patient::new(|_| {});
        if taken == SCRATCH {
            // Deleted, and kept for 30 days.
            let new = json!({"Name": "doctor", "Shared": true, "PrimarySmtpAddress": SCRATCH});
            patient.tenant.admin_cmdlet("New-Mailbox", new).unwrap();
            patient
                .tenant
                .admin_cmdlet("Remove-Mailbox", json!({"Identity": SCRATCH}))
                .unwrap();
        }
        let before = patient.tenant.revision();
        let scratch = Scratch {
            address: taken.parse().unwrap(),
            member: None,
        };
        let refused = patient.examined(Some(scratch), pending()).await.err();
        assert!(matches!(refused, Some(DoctorError::NotCreated(_))), "{taken}");
        assert_eq!(patient.tenant.revision(), before);
        assert!(
            patient
                .tenant
                .journal()
                .iter()
                .filter(|entry| entry.is_write())
                .all(|entry| entry.actor == simulator::Actor::Admin)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_it_leaves_no_mailbox() {
    let patient = Patient::new(|_| {});
    let stopped = tokio::time::sleep(std::time::Duration::from_secs(1));
    let outcome = patient.examined(Some(scratch()), stopped).await.ok().unwrap();
    assert_eq!(outcome.left_behind, None);
    assert!(patient.tenant.mailbox(SCRATCH).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_somebody_took_over_is_left_with_an_instruction() {
    let patient = Patient::new(|_| {});
    let taken_over = async {
        while patient.tenant.mailbox(SCRATCH).is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let rename = json!({"Identity": SCRATCH, "DisplayName": "Ours now"});
        patient.tenant.admin_cmdlet("Set-Mailbox", rename).unwrap();
    };
    let outcome = patient.examined(Some(scratch()), taken_over).await.ok().unwrap();
    let guid = patient.tenant.mailbox(SCRATCH).unwrap().exchange_guid.to_string();
    let text = outcome.left_behind.unwrap();
    for part in [SCRATCH, &format!("Remove-Mailbox {guid}"), "one-time name"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_that_is_printed_or_saved_names_anybody() {
    let patient = Patient::new(|quirks| {
        quirks.missing.insert("UserSid".to_owned());
    });
    patient.tenant.set_graph_user_read(false);
    patient.tenant.set_graph_user_write(false);
    let report = patient.report(Some(scratch())).await;
    assert!(report.breaks_a_promise());
    let text = format!("{}{:#}", report.table(), report.json());
    let lower = text.to_lowercase();
    for secret in [
        "contoso",
        "@",
        "first.member",
        "s-1-5-21",
        "simulated-secret",
        "smo-",
        "eyj",
    ] {
        assert!(!lower.contains(secret), "{secret}: {text}");
    }
    let is_guid = |word: &str| word.len() == 36 && word.matches('-').count() == 4;
    let guids: Vec<_> = lower
        .split(|c: char| !c.is_ascii_hexdigit() && c != '-')
        .filter(|w| is_guid(w))
        .collect();
    assert!(guids.is_empty(), "{guids:?}");
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_removed_is_not_created() {
    let patient = Patient::new(|_| {});
    patient.tenant.set_cmdlet_in_role("Remove-Mailbox", false);
    let refused = patient.examined(Some(scratch()), pending()).await.err();
    assert!(matches!(refused, Some(DoctorError::NotCreated(_))));
    assert_eq!(patient.writes(), 0);
}

/// Compares a generated page with what it would be now, or writes it.
fn page(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs/doctor")
        .join(name);
    if std::env::var_os("SMO_WRITE_DOCS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let present = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        present == text,
        "docs/doctor/{name} is out of date: SMO_WRITE_DOCS=1 cargo test --test flows doctor\n{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_pages_show_what_is_printed_of_each_tenant() {
    for profile in Profile::ALL {
        let mut seed = Seed::contoso();
        profile.apply(&mut seed);
        let patient = Patient::of(seed);
        let report = patient.report(Some(scratch())).await;
        assert!(
            !report.breaks_a_promise(),
            "{profile}: the operator works with it\n{}",
            report.table()
        );
        page(&format!("{profile}.txt"), &report.table());
    }
    let patient = Patient::new(|_| {});
    let report = patient.report(Some(scratch())).await;
    page("usual.txt", &report.table());
    page("usual.json", &format!("{:#}\n", report.json()));
}

#[tokio::test(start_paused = true)]
async fn an_app_that_is_not_admitted_can_not_be_checked() {
    let patient = Patient::new(|_| {});
    patient.tenant.set_exchange_app_role(false);
    let refused = patient.examined(None, pending()).await.err();
    assert!(matches!(refused, Some(DoctorError::Tenant(_))));
}
