//! One team's storm delays others by a bounded factor: each lane and each namespace has a share of workers, of the tenant's
//! budget, and of what may be revoked at once.

use std::time::Duration;

use super::kit::*;
use super::remembered::{held, holders};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use shared_mailbox_operator::api::SharedMailbox;
use simulator::{Delay, Faults, Seed, SeedUser};
use testkit::{World, mailbox, permission, tenant, with};

const STORM: &str = "team-storm";
/// Mailboxes of the team that storms: more than there are workers.
const MANY: usize = 70;

fn of_storm(manifest: Value) -> Value {
    with(manifest, &json!({ "metadata": { "namespace": STORM } }))
}

/// Two teams in a tenant with a small budget, whose rules share no address; `sales` is Ready.
async fn two_teams(seed: Seed, change: Value) -> World {
    let mut calm = tenant()["spec"]["access"][0].clone();
    calm["addresses"] = json!([SALES]);
    let mut storm = calm.clone();
    storm["namespaces"]["names"] = json!([STORM]);
    storm["addresses"] = json!(["*@sales.contoso.com"]);
    storm["maxMailboxes"] = json!(100);
    let rules = json!({ "spec": { "access": [calm, storm], "limits": { "writesPerMinute": 60 } } });
    let world = world(seed, with(rules, &change)).await;
    make_namespace(&world, STORM).await;
    settle(&world, &[FIRST, SECOND]).await;
    world
}

/// The other team has far more to be written than the budget of many minutes.
async fn backlog(world: &World) {
    world.tenant.set_faults(Faults {
        latency: Delay::fixed(500),
        ..Faults::default()
    });
    for number in 0..MANY {
        let name = format!("storm{number:02}");
        let address = format!("{name}@sales.contoso.com");
        world.apply(&of_storm(mailbox(&name, &address))).await;
        let members = permission(&name, &name, &[FIRST, SECOND, THIRD], &["FullAccess", "SendAs"]);
        world.apply(&of_storm(members)).await;
    }
    world.sleep(120).await;
}

/// Edits of the other team, thirty a second, for as long as this is polled.
async fn storm(world: &World) {
    let api: Api<SharedMailbox> = Api::namespaced(world.client.clone(), STORM);
    let params = PatchParams::default();
    for round in 0_usize.. {
        for one in 0..30 {
            let name = format!("storm{:02}", (round * 30 + one) % MANY);
            let edit = json!({ "spec": { "displayName": format!("round {round}") } });
            api.patch(&name, &params, &Patch::Merge(edit)).await.unwrap();
        }
        world.sleep(1).await;
    }
}

/// How many seconds pass until it is so, at most `most`.
async fn seconds(world: &World, most: u64, is_done: impl Fn() -> bool) -> u64 {
    for second in 0..most {
        if is_done() {
            return second;
        }
        world.sleep(1).await;
    }
    most
}

#[tokio::test(start_paused = true)]
async fn a_backlog_of_one_team_delays_what_another_edits_and_revokes_by_seconds() {
    let world = two_teams(Seed::contoso(), json!({})).await;
    backlog(&world).await;
    let waiting = MANY * 8 - world.writes().len();
    assert!(waiting > 200, "{waiting}");
    world.apply(&sales(json!({ "displayName": "Vendite" }))).await;
    let edit = seconds(&world, 600, || view(&world).display_name == "Vendite").await;
    world.apply(&team(&[FIRST])).await;
    let revocation = seconds(&world, 600, || holders(&world) == held(1, 1)).await;
    world.apply(&team(&[FIRST, THIRD])).await;
    let grant = seconds(&world, 600, || holders(&world) == held(2, 2)).await;
    assert!(
        edit <= 20 && revocation <= 20 && grant <= 20,
        "edit {edit}, revocation {revocation}, grant {grant} seconds"
    );
}

#[tokio::test(start_paused = true)]
async fn edits_of_one_team_without_an_end_stop_no_repair_of_another() {
    const RECHECKED: u64 = 120;
    let often = json!({ "spec": { "drift": { "interval": format!("{RECHECKED}s") } } });
    let world = two_teams(Seed::contoso(), often).await;
    backlog(&world).await;
    let repaired = async {
        world.tenant.set_account_enabled(SALES, true).unwrap();
        let blocked = seconds(&world, 3 * RECHECKED, || view(&world).account_disabled).await;
        world.apply(&sales(json!({ "displayName": "Vendite" }))).await;
        let edit = seconds(&world, 600, || view(&world).display_name == "Vendite").await;
        (blocked, edit)
    };
    let (blocked, edit) = tokio::select! {
        times = repaired => times,
        () = storm(&world) => unreachable!("it has no end"),
    };
    assert!(
        blocked <= RECHECKED + 60 && edit <= 20,
        "blocked after {blocked}, edited after {edit} seconds"
    );
}

fn people(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("person{n}@contoso.com")).collect()
}

#[tokio::test(start_paused = true)]
async fn whatever_one_team_revokes_another_has_its_share_of_what_may_be_revoked() {
    let mut seed = Seed::contoso();
    for name in people(60) {
        seed = seed.with_user(SeedUser::person(&name, &name));
    }
    let safety = json!({ "spec": { "safety": { "maxRevocations": 50, "maxRevocationPercent": 0 },
        "limits": { "writesPerMinute": 600 } } });
    let world = two_teams(seed, safety).await;
    let names = people(60);
    let crowd = |count: usize| {
        let names: Vec<&str> = names[..count].iter().map(String::as_str).collect();
        of_storm(permission("crowd", "storm", &names, &["SendAs"]))
    };
    let address = "storm@sales.contoso.com";
    world.apply(&of_storm(mailbox("storm", address))).await;
    world.apply(&crowd(60)).await;
    let holders_of_storm = || world.tenant.mailbox(address).map_or(0, |view| view.send_as.len());
    until(&world, "all are granted", || holders_of_storm() == 60).await;
    world.sleep(60).await;
    // More than half of what the tenant allows waits, although all of it would be free.
    world.apply(&crowd(30)).await;
    wait_in(&world, STORM, "storm", "False", "Held").await;
    // Half of it is theirs.
    world.apply(&crowd(60)).await;
    wait_in(&world, STORM, "storm", "True", "UpToDate").await;
    world.apply(&crowd(35)).await;
    until(&world, "half of it is theirs", || holders_of_storm() == 35).await;
    world.apply(&crowd(34)).await;
    wait_in(&world, STORM, "storm", "False", "Held").await;
    world.apply(&team(&[FIRST])).await;
    until(&world, "the other team revokes all the same", || {
        holders(&world) == held(1, 1)
    })
    .await;
    let waited = tokio::time::timeout(
        Duration::from_secs(1),
        world.wait_mailbox("sales", "True", "UpToDate"),
    );
    assert!(waited.await.is_ok());
}
