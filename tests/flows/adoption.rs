//! Taking over mailboxes that were there before their resources.

use std::time::Duration;

use super::kit::*;
use serde_json::{Value, json};
use shared_mailbox_operator::mail::SmtpAddress;
use simulator::{AccessRow, Delay, Fault, FaultRule, Faults, Lag, MailboxView, Seed, SeedUser, SendAsRow};
use testkit::{World, condition, permission, tenant, with};

pub const GUEST: &str = "sixth.member@contoso.com";

/// `sales`, as somebody made it years ago: with an alias, a tip, a delegate and a custom attribute.
pub fn existing() -> SeedUser {
    SeedUser {
        addresses: vec!["info@contoso.com".to_owned()],
        custom_attributes: [(3, "cost centre 7".to_owned())].into(),
        account_disabled: true,
        ..SeedUser::shared_mailbox(SALES, "Sales")
    }
}

pub fn rule(change: &Value) -> Value {
    let rule = json!({
        "namespaces": { "names": ["team-sales"] }, "addresses": ["*@contoso.com"],
        "members": ["*@contoso.com"], "rights": ["FullAccess", "SendAs", "SendOnBehalf"], "powers": ["Adopt", "AllowSignIn"],
    });
    json!({ "spec": { "access": [with(rule, change)] } })
}

/// A tenant with this mailbox, on which two people hold something.
pub async fn world_with(existing: SeedUser, access: Value) -> World {
    let seed = Seed::contoso().with_user(existing);
    let mut world = World::without_operator(seed).await;
    let control = world.tenant.clone();
    control.inject_access(SALES, &AccessRow::of(FIRST)).unwrap();
    control.inject_access(SALES, &AccessRow::of(GUEST)).unwrap();
    control.inject_send_as(SALES, &SendAsRow::of(GUEST)).unwrap();
    admin(
        &world,
        "Set-Mailbox",
        json!({ "Identity": SALES, "MailTip": "Office closed on Friday.", "GrantSendOnBehalfTo": [SECOND] }),
    );
    world.apply(&with(tenant(), &access)).await;
    world.start_operator();
    forget(&world);
    world
}

pub async fn usual() -> World {
    world_with(existing(), rule(&json!({}))).await
}

pub fn adopting(change: &Value) -> Value {
    let plain = sales(json!({ "adoption": "SharedMailbox", "displayName": "Sales" }));
    with(plain, &json!({ "spec": change }))
}

/// Exchange takes no Set-Mailbox.
pub fn no_set() -> FaultRule {
    let unavailable = Fault::ServerError {
        status: 503,
        exception: None,
        message: None,
    };
    FaultRule::always(unavailable).on(&["Set-Mailbox"])
}

/// Everything of a mailbox but its marker.
pub fn but_marker(view: &MailboxView) -> MailboxView {
    let mut view = view.clone();
    view.custom_attributes.remove(&15);
    view
}

#[tokio::test(start_paused = true)]
async fn an_existing_mailbox_is_taken_over_with_everything_that_it_has() {
    let world = usual().await;
    let before = view(&world);
    world.apply(&adopting(&json!({}))).await;
    let object = world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(world.writes(), ["Set-Mailbox"], "the marker, and nothing else");
    let set = calls(&world, "Set-Mailbox");
    let set = set[0].as_object().unwrap();
    assert_eq!(set.keys().collect::<Vec<_>>(), ["CustomAttribute15", "Identity"]);
    let after = view(&world);
    assert_eq!(but_marker(&after), but_marker(&before));
    let marker = &after.custom_attributes[&15];
    says(
        marker,
        &["resource=team-sales/sales", &before.exchange_guid.to_string()],
    );
    assert_eq!(object.status.as_ref().unwrap().foreign_grants, Some(4));
    assert_eq!(
        condition(&object, "SignInBlocked").unwrap().in_short(),
        "True Blocked"
    );
    assert_eq!(
        condition(&object, "Provisioned").unwrap().in_short(),
        "True Adopted"
    );
    let events = events_about(&world, "sales").await;
    assert_eq!(
        events
            .iter()
            .filter(|event| event.starts_with("Adopted: "))
            .count(),
        1,
        "{events:?}"
    );
    stays_quiet(&world, Duration::from_secs(INTERVAL)).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_mailbox_was_like_is_remembered_before_the_first_write() {
    let world = usual().await;
    world.tenant.add_fault(no_set());
    world
        .apply(&adopting(&json!({ "displayName": "Sales EMEA", "mailTip": "" })))
        .await;
    until(&world, "the marker is tried", || sent(&world, "Set-Mailbox") > 0).await;
    let all = world.ledgers().await;
    let [ledger] = all.as_slice() else {
        panic!("{all:?}")
    };
    let spec = &ledger.spec;
    assert_eq!(
        ledger.metadata.name.as_deref(),
        Some(view(&world).exchange_guid.to_string().as_str())
    );
    let before = spec.before.as_ref().unwrap();
    assert_eq!(
        (before.sign_in.as_str(), before.primary.as_str()),
        ("Blocked", SALES)
    );
    let addresses: Vec<&str> = before.addresses.iter().map(SmtpAddress::as_str).collect();
    assert!(
        addresses.contains(&"info@contoso.com") && addresses.contains(&SALES),
        "{addresses:?}"
    );
    assert_eq!(before.settings["DisplayName"], "Sales");
    says(&before.settings["MailTip"], &["Office closed on Friday."]);
    assert_eq!(before.settings["CustomAttribute3"], "cost centre 7");
    assert!(
        before.settings.contains_key("ImapEnabled") && before.settings.contains_key("AutoReplyState"),
        "{before:?}"
    );
    // Some tenants show a group of administrators as well.
    let people = before
        .grants
        .iter()
        .filter(|grant| grant.shown != "Discovery Management");
    let rights: Vec<&str> = people
        .flat_map(|grant| &grant.rights)
        .map(String::as_str)
        .collect();
    let count = |right: &str| rights.iter().filter(|held| **held == right).count();
    assert_eq!(
        (count("FullAccess"), count("SendAs"), count("SendOnBehalf")),
        (2, 1, 1),
        "{before:?}"
    );
    assert_eq!(before.left_out, 0);
    assert!(spec.people.is_empty(), "grants stay somebody else's");
    assert_eq!(spec.shown.state, "Adopting");
    world.tenant.set_faults(Faults::default());
    world.wait_mailbox("sales", "True", "UpToDate").await;
    let after = world.ledgers().await;
    assert_eq!(after[0].spec.before.as_ref(), Some(before));
    assert_eq!(
        (after[0].spec.adopting, after[0].spec.shown.state.as_str()),
        (None, "Serving")
    );
    assert_eq!(
        (
            view(&world).display_name.as_str(),
            before.settings["DisplayName"].as_str()
        ),
        ("Sales EMEA", "Sales")
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_while_what_there_is_can_not_be_read() {
    for cmdlet in ["Get-MailboxAutoReplyConfiguration", "Get-RecipientPermission"] {
        let world = usual().await;
        let unavailable = Fault::ServerError {
            status: 503,
            exception: None,
            message: None,
        };
        world
            .tenant
            .add_fault(FaultRule::always(unavailable).on(&[cmdlet]));
        world.apply(&adopting(&json!({}))).await;
        world.wait_mailbox("sales", "False", "WaitingForExchange").await;
        world.sleep(INTERVAL).await;
        assert_eq!(
            (world.writes(), world.ledgers().await),
            (Vec::new(), Vec::new()),
            "{cmdlet}"
        );
        world.tenant.set_faults(Faults::default());
        world.wait_mailbox("sales", "True", "UpToDate").await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_declared_and_there_becomes_ours_without_a_write_and_goes_with_its_declaration() {
    let world = usual().await;
    world.apply(&adopting(&json!({}))).await;
    world
        .apply(&permission("team", "sales", &[FIRST, GUEST], &["FullAccess"]))
        .await;
    world.wait_permission("team", "True", "Granted").await;
    let object = world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(world.writes(), ["Set-Mailbox"]);
    assert_eq!(object.status.as_ref().unwrap().foreign_grants, Some(2));
    world
        .apply(&permission("team", "sales", &[FIRST], &["FullAccess"]))
        .await;
    until(&world, "what was declared goes", || {
        view(&world).full_access.len() == 1
    })
    .await;
    assert_eq!(view(&world).send_as.len(), 1, "nobody declared it");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_before_the_marker_is_read_again() {
    let world = usual().await;
    let lag = Lag {
        delay: Delay::fixed(45_000),
        replicas: 1,
    };
    world.tenant.set_faults(Faults {
        lag,
        ..Faults::default()
    });
    world
        .apply(&adopting(&json!({ "displayName": "Sales EMEA" })))
        .await;
    world.apply(&team(&[SECOND])).await;
    until(&world, "the marker is written", || {
        view(&world).custom_attributes.contains_key(&15)
    })
    .await;
    world.sleep(20).await;
    assert_eq!(world.writes(), ["Set-Mailbox"], "no replica shows it yet");
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(view(&world).display_name, "Sales EMEA");
    assert_eq!(sent(&world, "New-Mailbox"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_open_account_stays_open_until_somebody_decides() {
    let open = SeedUser {
        account_disabled: false,
        ..existing()
    };
    for (decision, reason, blocked) in [("Blocked", "Blocked", true), ("Allowed", "AllowedBySpec", false)] {
        let mut world = world_with(open.clone(), rule(&json!({}))).await;
        world
            .apply(&adopting(&json!({ "displayName": "Sales EMEA" })))
            .await;
        world.apply(&team(&[SECOND])).await;
        world.wait_permission("team", "True", "Granted").await;
        let object = world.wait_mailbox("sales", "False", "DecisionNeeded").await;
        says(
            &stalled(&object, "DecisionNeeded"),
            &["spec.signIn", "no licence is assigned"],
        );
        assert_eq!(
            condition(&object, "SignInBlocked").unwrap().in_short(),
            "False DecisionNeeded"
        );
        assert_eq!(view(&world).display_name, "Sales EMEA", "everything else is kept");
        world.stop_operator().await;
        world.start_operator();
        world.sleep(3 * INTERVAL).await;
        assert!(!view(&world).account_disabled);
        world
            .apply(&adopting(
                &json!({ "displayName": "Sales EMEA", "signIn": decision }),
            ))
            .await;
        let object = world.wait_mailbox("sales", "True", "UpToDate").await;
        assert_eq!(condition(&object, "SignInBlocked").unwrap().reason, reason);
        assert_eq!(view(&world).account_disabled, blocked);
        // Once it was written it is no question any more.
        world
            .apply(&adopting(&json!({ "displayName": "Sales EMEA" })))
            .await;
        until(&world, "left out is Blocked again", || {
            view(&world).account_disabled
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_was_closed_or_is_closed_later_is_kept_closed() {
    for was_closed in [true, false] {
        let existing = SeedUser {
            account_disabled: was_closed,
            ..existing()
        };
        let world = world_with(existing, rule(&json!({}))).await;
        world.apply(&adopting(&json!({}))).await;
        if !was_closed {
            world.wait_mailbox("sales", "False", "DecisionNeeded").await;
            world.tenant.set_account_enabled(SALES, false).unwrap();
        }
        world.wait_mailbox("sales", "True", "UpToDate").await;
        world.sleep(2 * INTERVAL).await;
        world.tenant.set_account_enabled(SALES, true).unwrap();
        until(&world, "it is closed again", || view(&world).account_disabled).await;
    }
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_mailbox_one_is_created_whatever_adoption_says() {
    let world = World::start().await;
    world.apply(&adopting(&json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(sent(&world, "New-Mailbox"), 1);
    assert!(view(&world).account_disabled);
}
