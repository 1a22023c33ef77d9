//! Mailboxes that are observed first, one and many, and then taken over.

use std::time::Duration;

use super::adoption::*;
use super::kit::*;
use kube::api::ListParams;
use serde_json::{Value, json};
use shared_mailbox_operator::api::SharedMailbox;
use simulator::{AccessRow, MailboxView, Seed, SeedUser, SendAsRow};
use testkit::{World, condition, mailbox, permission, tenant, with};

#[tokio::test(start_paused = true)]
async fn under_observe_an_adoption_is_shown_and_green_and_nothing_is_written() {
    let open = SeedUser {
        account_disabled: false,
        ..existing()
    };
    let world = world_with(open, rule(&json!({}))).await;
    let before = world.tenant.mailboxes();
    let observed = json!({ "management": "Observe", "displayName": "Sales EMEA" });
    world.apply(&adopting(&observed)).await;
    world
        .apply(&permission("team", "sales", &[FIRST, SECOND], &["FullAccess"]))
        .await;
    let object = sales_drifts(&world).await;
    let plan = object.status.as_ref().unwrap().pending_plan.join("; ");
    says(
        &plan,
        &[
            "take over the shared mailbox sales@contoso.com with ExchangeGuid",
            "3 permissions that no manifest declares",
            "mark the mailbox as ours",
            "set displayName to \"Sales EMEA\"",
            "grant FullAccess to second.member@contoso.com",
        ],
    );
    assert!(!plan.contains("sign-in"), "{plan}");
    assert_eq!(
        condition(&object, "SignInBlocked").unwrap().in_short(),
        "False DecisionNeeded"
    );
    world.wait_permission("team", "True", "Observed").await;
    world.sleep(60).await;
    stays_quiet(&world, Duration::from_secs(3 * INTERVAL)).await;
    assert_eq!(world.tenant.mailboxes(), before);
    assert_eq!(world.ledgers().await, []);
    world
        .apply(&adopting(
            &json!({ "displayName": "Sales EMEA", "signIn": "Blocked" }),
        ))
        .await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
    assert_eq!(view(&world).full_access.len(), 3);
    assert!(view(&world).account_disabled);
}

/// `SMO_ADOPTED=1000` takes minutes.
fn many() -> usize {
    let asked = std::env::var("SMO_ADOPTED").ok();
    asked.and_then(|number| number.parse().ok()).unwrap_or(200)
}

fn address(number: usize) -> String {
    format!("box{number}@contoso.com")
}

fn box_(number: usize) -> SeedUser {
    SeedUser {
        addresses: vec![format!("old{number}@contoso.com")],
        account_disabled: !number.is_multiple_of(50),
        custom_attributes: [(1, format!("cost centre {number}"))].into(),
        ..SeedUser::shared_mailbox(&address(number), &format!("Box {number}"))
    }
}

fn manifest_of(number: usize) -> Value {
    let manifest = mailbox(&format!("box{number}"), &address(number));
    let mut spec = json!({ "adoption": "SharedMailbox", "displayName": format!("Box {number}") });
    if number.is_multiple_of(10) {
        spec["mailTip"] = json!("We answer within a day.");
    }
    with(manifest, &json!({ "spec": spec }))
}

#[tokio::test(start_paused = true)]
async fn many_mailboxes_are_observed_and_then_taken_over_and_nobody_loses_anything() {
    let many = many();
    let seed = (0..many).fold(Seed::contoso(), |seed, number| seed.with_user(box_(number)));
    let mut world = World::without_operator(seed).await;
    let people = [FIRST, SECOND, THIRD, GUEST];
    for number in 0..many {
        let person = |step: usize| people[(number + step) % people.len()];
        let of = address(number);
        world
            .tenant
            .inject_access(&of, &AccessRow::of(person(0)))
            .unwrap();
        world
            .tenant
            .inject_access(&of, &AccessRow::of(person(1)))
            .unwrap();
        world
            .tenant
            .inject_send_as(&of, &SendAsRow::of(person(2)))
            .unwrap();
    }
    let access = rule(&json!({ "maxMailboxes": 2 * many }));
    let observe = json!({ "spec": { "management": "Observe" } });
    world.apply(&with(with(tenant(), &access), &observe)).await;
    for number in 0..many {
        world.apply(&manifest_of(number)).await;
        // One declares what is there, one something new.
        let person = match number % 10 {
            3 => people[number % people.len()],
            7 => people[(number + 3) % people.len()],
            _ => continue,
        };
        let team = permission(
            &format!("team{number}"),
            &format!("box{number}"),
            &[person],
            &["FullAccess"],
        );
        world.apply(&team).await;
    }
    forget(&world);
    let before = world.tenant.mailboxes();
    world.start_operator();
    let all = world.api::<SharedMailbox>();
    let listed = async || all.list(&ListParams::default()).await.unwrap().items;
    let are = async |short: &str| {
        let all = listed().await;
        let there = all
            .iter()
            .filter(|one| condition(*one, "Ready").is_some_and(|ready| ready.in_short() == short));
        there.count()
    };
    // Seldom: reading all of them is what takes real time.
    for _ in 0..60 {
        world.sleep(60).await;
        if are("True Observed").await == many {
            break;
        }
    }
    assert_eq!(are("True Observed").await, many);
    assert_eq!(world.writes(), NOTHING);
    assert_eq!(world.tenant.mailboxes(), before);
    assert_eq!(world.ledgers().await.len(), 0);
    forget(&world);
    world
        .apply(&with(
            with(tenant(), &access),
            &json!({ "spec": { "management": "Enforce" } }),
        ))
        .await;
    let undecided = many / 50;
    for _ in 0..60 {
        world.sleep(60).await;
        if are("True UpToDate").await + undecided == many {
            break;
        }
    }
    assert_eq!(
        (are("True UpToDate").await, are("False DecisionNeeded").await),
        (many - undecided, undecided)
    );
    let mut counts = std::collections::BTreeMap::new();
    for write in world.writes() {
        *counts.entry(write).or_insert(0) += 1;
    }
    // A marker each, a tip for one in ten, and a right for one in ten.
    let expected = [
        ("Add-MailboxPermission".to_owned(), many / 10),
        ("Set-Mailbox".to_owned(), many + many / 10),
    ];
    assert_eq!(counts, expected.into());
    for (before, after) in before.iter().zip(world.tenant.mailboxes()) {
        only_what_is_declared_moved(before, &after);
    }
}

/// Of one of many.
fn only_what_is_declared_moved(before: &MailboxView, after: &MailboxView) {
    let (before, mut after) = (but_marker(before), but_marker(after));
    let rest = before.primary_address.strip_prefix("box");
    let number: Option<usize> = rest.and_then(|rest| rest.split('@').next()?.parse().ok());
    if number.is_some_and(|number| number.is_multiple_of(10)) {
        assert_ne!(after.settings, before.settings);
        after.settings = before.settings.clone();
    }
    if number.is_some_and(|number| number % 10 == 7) {
        assert_eq!(after.full_access.len(), 3);
        after
            .full_access
            .retain(|entry| before.full_access.contains(entry));
    }
    assert_eq!(after, before);
}

/// The manifests of docs/adoption.md, in its order.
fn documented() -> Vec<Value> {
    let page = include_str!("../../docs/adoption.md");
    let blocks = page.split("```yaml\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    blocks
        .flat_map(|text| serde_saphyr::from_multiple::<Value>(text).unwrap())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_documented_way_takes_a_mailbox_over_as_it_says() {
    let documented = documented();
    let [rule, sales, team] = documented.as_slice() else {
        panic!("{documented:?}")
    };
    let access = json!({ "spec": { "access": rule } });
    let world = world_with(existing(), access).await;
    let before = view(&world);
    world.apply(sales).await;
    world.apply(team).await;
    let object = sales_drifts(&world).await;
    let plan = &object.status.as_ref().unwrap().pending_plan;
    says(
        &plan.join("; "),
        &[
            "take over",
            "mark the mailbox",
            "grant FullAccess to second.member@contoso.com",
        ],
    );
    let foreign = &object.status.as_ref().unwrap().foreign;
    assert!(foreign.iter().any(|one| one.who == GUEST), "{foreign:?}");
    world.sleep(INTERVAL).await;
    assert_eq!((world.writes(), world.ledgers().await), (Vec::new(), Vec::new()));
    let mut enforced = sales.clone();
    enforced["spec"].as_object_mut().unwrap().remove("management");
    world.apply(&enforced).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("sales-team", "True", "Granted").await;
    let after = view(&world);
    assert!(
        before
            .full_access
            .iter()
            .all(|entry| after.full_access.contains(entry))
    );
    assert!(before.send_as.iter().all(|who| after.send_as.contains(who)));
    assert_eq!(
        (after.settings, after.addresses),
        (before.settings, before.addresses)
    );
}
