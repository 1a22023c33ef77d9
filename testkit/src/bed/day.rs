//! A day in the life of a tenant with a hundred mailboxes: teams edit, admins do by hand what they always did,
//! one request of fifty goes wrong, replicas lag, and the process dies now and then.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Delay, Fault, FaultRule, Faults, Lag, Rename, Seed, SeedUser, Surface};

use super::crash::on_paused_time;
use super::dice::Dice;
use super::schedule::{disturbance, finish, is_the_operators};
use super::{Act, Bed, Patience};
use crate::world::{mailbox, permission, tenant, with};

const MAILBOXES: u64 = 100;
const PEOPLE: u64 = 40;
const DAY: Duration = Duration::from_hours(24);
/// From one act to the next: about four hundred in a day.
const PAUSE_SECONDS: (u64, u64) = (30, 400);

/// Tells the day of this seed and judges its end.
pub fn replay_day(seed: u64) -> Result<(), String> {
    on_paused_time(async {
        let mut dice = Dice::of(seed);
        let mut rules = tenant();
        rules["spec"]["access"][0]["maxMailboxes"] = json!(2 * MAILBOXES);
        let mut bed = Bed::under(directory(), &rules).await;
        bed.look_every(Duration::from_mins(1));
        for act in morning(&mut dice) {
            bed.act(&act).await?;
        }
        bed.settle(Patience::usual()).await?;
        bed.world.tenant.set_faults(weather(dice.next()));
        let luck = Arc::new(Mutex::new(Dice::of(dice.next())));
        bed.world.server.disturb_by(move |call| {
            let mut luck = luck.lock().unwrap_or_else(PoisonError::into_inner);
            (is_the_operators(call) && luck.percent(2)).then(|| disturbance(call, &mut luck))
        });
        let end = tokio::time::Instant::now() + DAY;
        while tokio::time::Instant::now() < end {
            let act = something(&mut dice);
            bed.act(&act).await?;
            let pause = dice.between(PAUSE_SECONDS.0, PAUSE_SECONDS.1);
            bed.act(&Act::seconds(pause)).await?;
        }
        bed.calm();
        finish(&mut bed, Patience::long()).await
    })
}

fn directory() -> Seed {
    let mut seed = Seed::contoso();
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
fn morning(dice: &mut Dice) -> Vec<Act> {
    (0..MAILBOXES)
        .flat_map(|number| {
            [
                Act::Apply(some_mailbox(number, dice)),
                Act::Apply(some_team(number, dice)),
            ]
        })
        .collect()
}

fn some_mailbox(number: u64, dice: &mut Dice) -> Value {
    let own = address(number);
    let spec = match dice.below(50) {
        // A domain that nobody admits, a person's address, somebody else's alias, sign-in that may be open.
        0 => json!({ "emailAddress": format!("{}@fabrikam.com", name(number)) }),
        1 => json!({ "emailAddress": person(number % PEOPLE) }),
        2 => json!({ "aliases": [address((number + 1) % MAILBOXES)] }),
        3 => json!({ "signIn": "Allowed" }),
        4..=20 => json!({ "aliases": [format!("alias-{number}-{}@contoso.com", dice.below(3))] }),
        _ => json!({}),
    };
    let renamed = json!({ "displayName": format!("Mailbox {number}, {}", dice.below(3)) });
    let manifest = with(mailbox(&name(number), &own), &json!({ "spec": spec }));
    with(manifest, &json!({ "spec": renamed }))
}

fn some_team(number: u64, dice: &mut Dice) -> Value {
    let mut members: Vec<String> = (0..dice.between(1, 6))
        .map(|_| person(dice.below(PEOPLE)))
        .collect();
    if dice.percent(5) {
        members.push("nobody@contoso.com".to_owned());
    }
    members.sort_unstable();
    members.dedup();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let rights: &[&str] = match dice.below(4) {
        0 => &["FullAccess"],
        1 => &["SendAs"],
        2 => &["FullAccess", "SendAs"],
        _ => &["FullAccess", "SendAs", "SendOnBehalf"],
    };
    let mapped = json!({ "spec": { "autoMapping": !dice.percent(10) } });
    with(
        permission(&format!("team-{number:02}"), &name(number), &members, rights),
        &mapped,
    )
}

/// What happens next.
fn something(dice: &mut Dice) -> Act {
    let number = dice.below(MAILBOXES);
    let somebody = person(dice.below(PEOPLE));
    let full_access = |user: &str| {
        json!({ "Identity": address(number), "User": user, "AccessRights": ["FullAccess"],
                "InheritanceType": "All", "Confirm": false })
    };
    let set = |change: &Value| {
        Act::Admin(
            "Set-Mailbox",
            with(json!({ "Identity": address(number) }), change),
        )
    };
    match dice.below(100) {
        0..=24 => Act::Apply(some_team(number, dice)),
        25..=44 => Act::Apply(some_mailbox(number, dice)),
        45..=49 => Act::delete_permission(&format!("team-{number:02}")),
        50..=52 => Act::delete_mailbox(&name(number)),
        53..=67 => Act::SignIn(address(number), true),
        68..=74 => Act::Admin("Add-MailboxPermission", full_access(&somebody)),
        75..=81 => Act::Admin("Remove-MailboxPermission", full_access(&somebody)),
        82..=88 => set(&json!({ "DisplayName": "Changed by hand" })),
        89..=91 => set(&json!({ "CustomAttribute3": "theirs" })),
        92..=98 => Act::Rename(
            somebody,
            Rename {
                display_name: Some(format!("Renamed {}", dice.below(100))),
                ..Rename::default()
            },
        ),
        _ => Act::Crash,
    }
}

/// Two of a hundred requests go wrong, each kind as often as the others.
fn weather(seed: u64) -> Faults {
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
