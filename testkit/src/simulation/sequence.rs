//! Random sequences of manifests and of admin actions. Each step is one number, so that proptest shrinks a sequence to
//! few and plain steps; what the numbers mean is printed as actions.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use simulator::{Fault, FaultRule, Faults, Profile, Rename, Seed, SeedUser};

use super::crash::on_paused_time;
use super::schedule::finish;
use super::settings::{in_profile, quirks, some_settings};
use super::slips::Slip;
use super::{Action, Actions, Patience, Simulation};
use crate::manifests::{mailbox, permission, tenant as usual_tenant, with};
use crate::rng::Rng;
use crate::world::START;

const MAILBOXES: [&str; 4] = ["sales", "info", "help", "events"];
/// A mailbox that was there before the operator.
pub const LEGACY: &str = "legacy@contoso.com";
/// The last five can't be had: a foreign domain, two people, one without a mailbox, a foreign mailbox.
const ADDRESSES: [&str; 10] = [
    "sales@contoso.com",
    "info@contoso.com",
    "help@contoso.com",
    "events@sales.contoso.com",
    "office@contoso.com",
    "sales@fabrikam.com",
    "first.member@contoso.com",
    "sixth.member@contoso.com",
    "no.mailbox@contoso.com",
    LEGACY,
];
const ALIASES: [&str; 5] = [
    "a1@contoso.com",
    "a2@contoso.com",
    "a3@sales.contoso.com",
    "info@contoso.com",
    "no-address",
];
pub const USERS: [&str; 8] = [
    "first.member@contoso.com",
    "second.member@contoso.com",
    "third.member@contoso.com",
    "fourth.member@contoso.com",
    "fifth.member@contoso.com",
    "nobody@contoso.com",
    "stranger@fabrikam.com",
    "no.mailbox@contoso.com",
];
/// People and a nested group.
const STAFF: &str = "all-staff@contoso.com";
const RIGHTS: [&str; 3] = ["FullAccess", "SendAs", "SendOnBehalf"];
const NAMES: [&str; 3] = ["Sales", "Sales EMEA", "Büro & Empfang"];

pub fn tenant() -> Seed {
    Seed {
        quirks: quirks(7),
        ..Seed::contoso().with_user(SeedUser {
            account_disabled: true,
            ..SeedUser::shared_mailbox(LEGACY, "Legacy")
        })
    }
}

/// What a sequence of steps means.
pub fn actions_of(steps: &[u64]) -> Actions {
    steps.iter().flat_map(|step| actions_of_step(*step)).collect()
}

/// Steps from here on are about who holds what and for how long.
pub const ABOUT_PEOPLE: u64 = 1 << 32;
/// And from here on about the operator's memory.
pub const ABOUT_LEDGERS: u64 = 1 << 33;
/// And from here on each step is a story of several actions, which lead where single ones seldom do.
pub const STORY: u64 = 1 << 34;

/// Small numbers are plain things, so that shrinking ends at them.
fn actions_of_step(step: u64) -> Actions {
    let number = step % ABOUT_PEOPLE / 64;
    let mut rng = Rng::seeded(number);
    // The first choices of each list are the plain ones.
    let mut choose = |count: usize| {
        let most = number.min(count as u64 - 1) + 1;
        usize::try_from(rng.below(most)).unwrap()
    };
    if step >= STORY {
        return story(step, &mut choose);
    }
    if step >= ABOUT_LEDGERS {
        let what = Action::Slip(about_ledgers(step, &mut choose));
        return vec![what, wait(step, &mut choose)];
    }
    if step >= ABOUT_PEOPLE {
        let what = about_people(step % 16, &mut choose);
        return vec![what, wait(step, &mut choose)];
    }
    let name = MAILBOXES[choose(MAILBOXES.len())];
    let address = ADDRESSES[choose(ADDRESSES.len())];
    let user = USERS[choose(USERS.len())];
    let what = match step % 16 {
        0..=3 => Action::Apply(some_mailbox(name, address, &mut choose)),
        4..=7 => Action::Apply(some_permission(name, &mut choose)),
        8 => Action::delete_permission(&format!("{name}-{}", choose(3))),
        9 => Action::delete_mailbox(name),
        10 => Action::SignIn(address_of_ours(choose(4)).to_owned(), true),
        11 => Action::Admin(
            "Add-MailboxPermission",
            full_access(address_of_ours(choose(4)), user),
        ),
        12 => Action::Admin(
            "Remove-MailboxPermission",
            full_access(address_of_ours(choose(4)), user),
        ),
        13 => match choose(8) {
            6 => Action::WipeStatus(name.to_owned()),
            7 => Action::Purge(address_of_ours(choose(4)).to_owned()),
            what => by_hand(address_of_ours(choose(4)), what),
        },
        14 => Action::Rename(USERS[choose(5)].to_owned(), renamed(choose(3))),
        _ => Action::Crash,
    };
    vec![what, wait(step, &mut choose)]
}

fn wait(step: u64, choose: &mut impl FnMut(usize) -> usize) -> Action {
    match (step / 16) % 4 {
        0 => Action::Settle,
        1 => Action::Wait(Duration::ZERO),
        2 => Action::Wait(Duration::from_millis(u64::try_from(choose(5_000)).unwrap())),
        _ => Action::Wait(Duration::from_secs(u64::try_from(choose(400)).unwrap())),
    }
}

/// Rights that end, groups person by person, mailboxes whose rights are all declared, people who have left, and an
/// admin who grants beside all that.
fn about_people(what: u64, choose: &mut impl FnMut(usize) -> usize) -> Action {
    let name = MAILBOXES[choose(MAILBOXES.len())];
    let address = address_of_ours(choose(4));
    let user = USERS[choose(5)];
    match what {
        0..=2 => {
            let minutes = [10, 30, 60, 240][choose(4)];
            let end = START.parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes);
            let ends = json!({ "spec": { "expiresAt": end.to_string() } });
            Action::Apply(with(some_permission(name, choose), &ends))
        }
        3 | 4 => {
            let mut manifest = some_permission(name, choose);
            if let Some(list) = manifest["spec"]["members"].as_array_mut() {
                list.push(json!({ "group": STAFF, "expand": true }));
            }
            Action::Apply(manifest)
        }
        5 => Action::Apply(with(
            some_mailbox(name, address, choose),
            &json!({ "spec": { "management": "Observe" } }),
        )),
        6 => Action::Member(STAFF.to_owned(), user.to_owned(), choose(2) == 0),
        7..=9 => {
            let ignore: &[&str] = if choose(3) == 2 { &[user] } else { &[] };
            let all_declared = json!({ "permissions": { "mode": "Exclusive", "ignore": ignore } });
            let manifest = some_mailbox(name, address, choose);
            Action::Apply(with(manifest, &json!({ "spec": all_declared })))
        }
        10 | 11 => Action::Admin("Add-RecipientPermission", send_as(address, user)),
        12 => Action::Admin("Remove-RecipientPermission", send_as(address, user)),
        13 => Action::Admin("Set-Mailbox", on_behalf(address, user)),
        14 => Action::Apply(with(usual_tenant(), &json!({ "spec": { "departed": [user] } }))),
        _ => Action::Apply(with(usual_tenant(), &json!({ "spec": { "departed": [] } }))),
    }
}

/// Memory that is lost, restored, copied and strayed, and reports that say something else.
fn about_ledgers(step: u64, choose: &mut impl FnMut(usize) -> usize) -> Slip {
    let name = MAILBOXES[choose(MAILBOXES.len())].to_owned();
    match step % 16 {
        0..=3 => Slip::Scramble(name, step),
        4..=6 => Slip::Backup,
        7 => Slip::Forget(name),
        8..=10 => Slip::Restore(name, step % 16 == 8),
        11 => Slip::Copy(name),
        12..=14 => Slip::Rebuild(name, step),
        _ => Slip::Stray(LEGACY.to_owned()),
    }
}

/// A mailbox that two people use, and then: it comes back without its permission, or stays away while one of them leaves,
/// or its ledger is restored as it was before one of them was taken out, or it goes between the revoke and the grant of a
/// change of automapping.
fn story(step: u64, choose: &mut impl FnMut(usize) -> usize) -> Actions {
    let which = choose(MAILBOXES.len());
    let (name, team) = (MAILBOXES[which], format!("{}-0", MAILBOXES[which]));
    let apply_mailbox = || Action::Apply(mailbox(name, ADDRESSES[which]));
    let manifest = |members: &[&str]| permission(&team, name, members, &["FullAccess", "SendAs"]);
    let members = |members: &[&str]| Action::Apply(manifest(members));
    // Switching automapping off for all is one call; switching it on is a revoke and a grant for each person.
    let unmapped = with(
        manifest(&USERS[..2]),
        &json!({ "spec": { "autoMapping": false } }),
    );
    let begin = if step % 4 == 3 {
        Action::Apply(unmapped)
    } else {
        members(&USERS[..2])
    };
    let mut actions = vec![apply_mailbox(), begin, Action::Settle];
    actions.extend(match step % 4 {
        0 => vec![
            Action::delete_mailbox(name),
            Action::delete_permission(&team),
            Action::seconds(60),
            apply_mailbox(),
            Action::Settle,
        ],
        1 => vec![
            Action::delete_mailbox(name),
            Action::seconds(60),
            Action::Apply(with(
                usual_tenant(),
                &json!({ "spec": { "departed": [USERS[0]] } }),
            )),
        ],
        2 => vec![
            Action::Slip(Slip::Backup),
            members(&USERS[..1]),
            Action::Settle,
            Action::seconds(60),
            Action::Slip(Slip::RestoreAtRest(name.to_owned())),
        ],
        _ => {
            let busy = Fault::Throttled {
                retry_after_seconds: Some(20),
            };
            vec![
                Action::Faults(Faults {
                    rules: vec![FaultRule::always(busy).on(&["Add-MailboxPermission"])],
                    ..Faults::default()
                }),
                members(&USERS[..2]),
                Action::seconds(30),
                Action::delete_mailbox(name),
                // The request that waits for its turn would be sent all the same.
                Action::Crash,
                Action::Faults(Faults::default()),
            ]
        }
    });
    actions.push(wait(step, choose));
    actions
}

fn send_as(mailbox: &str, user: &str) -> Value {
    json!({ "Identity": mailbox, "Trustee": user, "AccessRights": ["SendAs"], "Confirm": false })
}

fn on_behalf(mailbox: &str, user: &str) -> Value {
    let add = json!({ "@odata.type": "#Exchange.GenericHashTable", "Add": [user] });
    json!({ "Identity": mailbox, "GrantSendOnBehalfTo": add })
}

fn address_of_ours(number: usize) -> &'static str {
    ADDRESSES[number]
}

fn some_mailbox(name: &str, address: &str, choose: &mut impl FnMut(usize) -> usize) -> Value {
    let aliases: Vec<&str> = ALIASES.into_iter().filter(|_| choose(4) == 1).collect();
    let mut spec = json!({ "displayName": NAMES[choose(3)], "aliases": aliases });
    match choose(12) {
        3 => spec["signIn"] = json!("Allowed"),
        5 => spec["management"] = json!("Paused"),
        7 => {
            spec["adoption"] = json!("SharedMailbox");
            spec["emailAddress"] = json!(LEGACY);
        }
        _ => {}
    }
    let kind = name.len() + aliases_of(&spec) + display_name_of(&spec);
    let settings = some_settings(kind as u64);
    with(
        with(mailbox(name, address), &json!({ "spec": spec })),
        &json!({ "spec": settings }),
    )
}

fn aliases_of(spec: &Value) -> usize {
    spec["aliases"].as_array().map_or(0, Vec::len)
}

fn display_name_of(spec: &Value) -> usize {
    spec["displayName"].as_str().map_or(0, str::len)
}

fn some_permission(mailbox: &str, choose: &mut impl FnMut(usize) -> usize) -> Value {
    let name = format!("{mailbox}-{}", choose(3));
    let members: Vec<&str> = USERS.into_iter().filter(|_| choose(4) == 1).collect();
    let first = choose(3);
    let rights: Vec<&str> = RIGHTS
        .into_iter()
        .enumerate()
        .filter(|(n, _)| *n == first || choose(3) == 1)
        .map(|(_, r)| r)
        .collect();
    let mut manifest = permission(&name, mailbox, &members, &rights);
    if choose(5) == 2
        && let Some(list) = manifest["spec"]["members"].as_array_mut()
    {
        list.push(json!({ "group": "sales-team@contoso.com" }));
    }
    manifest["spec"]["autoMapping"] = json!(choose(4) != 2);
    manifest
}

fn full_access(mailbox: &str, user: &str) -> Value {
    json!({ "Identity": mailbox, "User": user, "AccessRights": ["FullAccess"], "InheritanceType": "All", "Confirm": false })
}

/// What an admin does to a mailbox in Exchange.
fn by_hand(mailbox: &'static str, what: usize) -> Action {
    let mut change = match what {
        0 => json!({ "DisplayName": "Changed by hand" }),
        1 => {
            json!({ "EmailAddresses": { "@odata.type": "#Exchange.GenericHashTable", "Add": ["smtp:by.hand@contoso.com"] } })
        }
        2 => json!({ "CustomAttribute15": "cost centre 7" }),
        3 => json!({
            "CustomAttribute1": "theirs", "MailTip": "Theirs", "HiddenFromAddressListsEnabled": true,
            "IssueWarningQuota": "20GB"
        }),
        4 => json!({ "Type": "Regular" }),
        _ => return Action::Admin("Remove-Mailbox", json!({ "Identity": mailbox, "Confirm": false })),
    };
    change["Identity"] = json!(mailbox);
    Action::Admin("Set-Mailbox", change)
}

fn renamed(what: usize) -> Rename {
    match what {
        0 => Rename {
            display_name: Some("New Name".to_owned()),
            ..Rename::default()
        },
        1 => Rename {
            address: Some("new.name@contoso.com".to_owned()),
            ..Rename::default()
        },
        _ => Rename {
            display_name: Some("Other Name".to_owned()),
            ..Rename::default()
        },
    }
}

/// Runs the actions of these steps in a tenant of this kind, and judges their end.
pub fn replay_sequence(steps: &[u64], profile: Option<Profile>) -> Result<(), String> {
    on_paused_time(async {
        let mut simulation = Simulation::of(in_profile(tenant(), profile)).await;
        simulation.run_all(&actions_of(steps)).await?;
        finish(&mut simulation, Patience::usual()).await?;
        simulation
            .scramble_all_at_rest(steps.iter().fold(0, |sum, step| sum ^ step))
            .await
    })
}
