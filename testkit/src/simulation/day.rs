//! A day in the life of a tenant with a hundred mailboxes: teams edit, admins do by hand what they always did,
//! one request of fifty goes wrong, replicas lag, and the process dies now and then.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use simulator::{Delay, Fault, FaultRule, Faults, Lag, Profile, Rename, Seed, SeedUser, Surface};

use super::crash::on_paused_time;
use super::schedule::{disturbance, finish, is_the_operators};
use super::settings::{in_profile, quirks, some_settings};
use super::{Action, Patience, Simulation};
use crate::manifests::{mailbox, permission, tenant, with};
use crate::rng::Rng;

const MAILBOXES: u64 = 100;
const PEOPLE: u64 = 40;
const DAY: Duration = Duration::from_hours(24);
/// From one action to the next: about four hundred in a day.
const PAUSE_SECONDS: (u64, u64) = (30, 400);

/// Runs the day of this seed in a tenant of this kind, and judges its end.
pub fn replay_day(seed: u64, profile: Option<Profile>) -> Result<(), String> {
    on_paused_time(async {
        let mut rng = Rng::seeded(seed);
        let mut rules = tenant();
        rules["spec"]["access"][0]["maxMailboxes"] = json!(2 * MAILBOXES);
        let mut simulation = Simulation::under(in_profile(directory(), profile), &rules).await;
        simulation.observe_every(Duration::from_mins(1));
        for action in morning(&mut rng) {
            simulation.run(&action).await?;
        }
        simulation.settle(Patience::usual()).await?;
        simulation.world.tenant.set_faults(faults(rng.draw()));
        let fault_rng = Arc::new(Mutex::new(Rng::seeded(rng.draw())));
        simulation.world.server.disturb_by(move |call| {
            let mut rng = fault_rng.lock();
            (is_the_operators(call) && rng.percent(2)).then(|| disturbance(call, &mut rng))
        });
        let end = tokio::time::Instant::now() + DAY;
        while tokio::time::Instant::now() < end {
            let action = something(&mut rng);
            simulation.run(&action).await?;
            let pause = rng.between(PAUSE_SECONDS.0, PAUSE_SECONDS.1);
            simulation.run(&Action::seconds(pause)).await?;
        }
        simulation.calm();
        finish(&mut simulation, Patience::long()).await
    })
}

fn directory() -> Seed {
    let mut seed = Seed {
        quirks: quirks(3),
        ..Seed::contoso()
    };
    for number in 0..PEOPLE {
        seed = seed.with_user(SeedUser::person(&person(number), &format!("Person {number}")));
    }
    seed
}

fn person(number: u64) -> String {
    format!("person.{number}@contoso.com")
}

fn name(number: u64) -> String {
    format!("mailbox-{number:02}")
}

fn address(number: u64) -> String {
    format!("{}@contoso.com", name(number))
}

/// Everything that is applied before the day begins: most of it valid.
fn morning(rng: &mut Rng) -> Vec<Action> {
    (0..MAILBOXES)
        .flat_map(|number| {
            [
                Action::Apply(some_mailbox(number, rng)),
                Action::Apply(some_team(number, rng)),
            ]
        })
        .collect()
}

fn some_mailbox(number: u64, rng: &mut Rng) -> Value {
    let own = address(number);
    let spec = match rng.below(50) {
        // A domain that nobody admits, a person's address, somebody else's alias, sign-in that may be open.
        0 => json!({ "emailAddress": format!("{}@fabrikam.com", name(number)) }),
        1 => json!({ "emailAddress": person(number % PEOPLE) }),
        2 => json!({ "aliases": [address((number + 1) % MAILBOXES)] }),
        3 => json!({ "signIn": "Allowed" }),
        4..=20 => json!({ "aliases": [format!("alias-{number}-{}@contoso.com", rng.below(3))] }),
        _ => json!({}),
    };
    let renamed = json!({ "displayName": format!("Mailbox {number}, {}", rng.below(3)) });
    let manifest = with(mailbox(&name(number), &own), &json!({ "spec": spec }));
    let manifest = with(manifest, &json!({ "spec": some_settings(number) }));
    with(manifest, &json!({ "spec": renamed }))
}

fn some_team(number: u64, rng: &mut Rng) -> Value {
    let mut members: Vec<String> = (0..rng.between(1, 6))
        .map(|_| person(rng.below(PEOPLE)))
        .collect();
    if rng.percent(5) {
        members.push("nobody@contoso.com".to_owned());
    }
    members.sort_unstable();
    members.dedup();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let rights: &[&str] = match rng.below(4) {
        0 => &["FullAccess"],
        1 => &["SendAs"],
        2 => &["FullAccess", "SendAs"],
        _ => &["FullAccess", "SendAs", "SendOnBehalf"],
    };
    let mapped = json!({ "spec": { "autoMapping": !rng.percent(10) } });
    with(
        permission(&format!("team-{number:02}"), &name(number), &members, rights),
        &mapped,
    )
}

/// What happens next.
fn something(rng: &mut Rng) -> Action {
    let number = rng.below(MAILBOXES);
    let somebody = person(rng.below(PEOPLE));
    let full_access = |user: &str| {
        json!({ "Identity": address(number), "User": user, "AccessRights": ["FullAccess"],
                "InheritanceType": "All", "Confirm": false })
    };
    let set = |change: &Value| {
        Action::Admin(
            "Set-Mailbox",
            with(json!({ "Identity": address(number) }), change),
        )
    };
    match rng.below(100) {
        0..=24 => Action::Apply(some_team(number, rng)),
        25..=44 => Action::Apply(some_mailbox(number, rng)),
        45..=49 => Action::delete_permission(&format!("team-{number:02}")),
        50..=52 => Action::delete_mailbox(&name(number)),
        53..=67 => Action::SignIn(address(number), true),
        68..=74 => Action::Admin("Add-MailboxPermission", full_access(&somebody)),
        75..=81 => Action::Admin("Remove-MailboxPermission", full_access(&somebody)),
        82..=88 => set(&json!({ "DisplayName": "Changed by hand" })),
        89..=91 => set(&json!({ "CustomAttribute3": "theirs", "MailTip": "Theirs" })),
        92..=98 => Action::Rename(
            somebody,
            Rename {
                display_name: Some(format!("Renamed {}", rng.below(100))),
                ..Rename::default()
            },
        ),
        _ => Action::Crash,
    }
}

/// Two of a hundred requests go wrong, each kind as often as the others.
fn faults(seed: u64) -> Faults {
    let server_error = |status, exception: Option<&str>| Fault::ServerError {
        status,
        exception: exception.map(str::to_owned),
        message: None,
    };
    let faults = [
        Fault::Throttled {
            retry_after_seconds: Some(20),
        },
        Fault::Throttled {
            retry_after_seconds: None,
        },
        Fault::TenantConcurrency,
        server_error(500, Some("Microsoft.Exchange.Data.Directory.ServerBusyException")),
        server_error(503, None),
        server_error(504, None),
        Fault::LostRequest,
        Fault::LostAnswer,
        Fault::CutAnswer,
        Fault::Unauthorized,
    ];
    let share = 0.02 / 10.0;
    let on_graph = FaultRule::at_rate(0.02, server_error(503, None)).at(Surface::Graph);
    let rules = faults.map(|fault| FaultRule::at_rate(share, fault));
    Faults {
        seed,
        latency: Delay::spread(400, 1_500, 6_000),
        answer_delay: Delay::spread(100, 500, 2_000),
        lag: Lag {
            delay: Delay::spread(2_000, 60_000, 1_800_000),
            replicas: 2,
        },
        not_found_after_create_ms: 20_000,
        enforce_retry_after: true,
        ..Faults::rules(rules.into_iter().chain([on_graph]))
    }
}
