//! Exclusive: what no MailboxPermission declares is removed, and what must stay stays.

use super::kit::*;
use serde_json::{Value, json};
use shared_mailbox_operator::api::ForeignState;
use simulator::{AccessRight, AccessRow, Seed, SendAsRow, Standing};
use testkit::{World, tenant, with};

const NOBODY: &str = "S-1-5-21-1-2-3-4";

fn exclusive(more: &Value) -> Value {
    let mut policy = json!({ "mode": "Exclusive" });
    for (key, value) in more.as_object().unwrap() {
        policy[key] = value.clone();
    }
    sales(json!({ "permissions": policy }))
}

fn states(mailbox: &shared_mailbox_operator::api::SharedMailbox) -> Vec<ForeignState> {
    let foreign = &mailbox.status.as_ref().unwrap().foreign;
    foreign.iter().map(|grant| grant.state).collect()
}

fn holds_full_access(world: &World, who: &str) -> bool {
    let id = world.tenant.object_id(who).unwrap();
    view(world)
        .full_access
        .iter()
        .any(|entry| entry.trustee == id && !entry.deny)
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_listed_under_additive_and_loses_everything_in_each_store_under_exclusive() {
    let world = sales_with(&[FIRST]).await;
    world
        .tenant
        .inject_access(
            SALES,
            &AccessRow {
                rights: vec![AccessRight::FullAccess, AccessRight::ReadPermission],
                ..AccessRow::of(SECOND)
            },
        )
        .unwrap();
    world.tenant.inject_send_as(SALES, &SendAsRow::of(THIRD)).unwrap();
    admin(
        &world,
        "Set-Mailbox",
        json!({ "Identity": SALES, "GrantSendOnBehalfTo": { "@odata.type": "#Exchange.GenericHashTable", "Add": [THIRD] } }),
    );
    look_now(&world).await;
    world.sleep(5).await;
    let mailbox = world.mailbox("sales").await;
    assert_eq!(mailbox.status.as_ref().unwrap().foreign_grants, Some(3));
    assert_eq!(states(&mailbox), [ForeignState::Foreign; 3]);
    assert_eq!(world.writes(), NOTHING);

    world.apply(&exclusive(&json!({}))).await;
    until(&world, "strangers are gone", || {
        view(&world).full_access.len() == 1
            && view(&world).send_as.len() == 1
            && view(&world).on_behalf.is_empty()
    })
    .await;
    assert!(holds_full_access(&world, FIRST));
    assert_eq!(
        sent(&world, "Remove-MailboxPermission"),
        1,
        "all rights of a row in one call"
    );
    world.sleep(200).await;
    let mailbox = world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(mailbox.status.as_ref().unwrap().foreign_grants, None);
    assert!(!mailbox.status.unwrap().other_ways_in.is_empty());
    stays_quiet(&world, std::time::Duration::from_secs(2 * INTERVAL)).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_is_ignored_or_protected_and_rows_that_deny_or_are_inherited_stay() {
    let world = world(
        Seed::contoso(),
        json!({ "spec": { "protectedTrustees": [THIRD] } }),
    )
    .await;
    settle(&world, &[FIRST]).await;
    world.tenant.inject_access(SALES, &AccessRow::of(SECOND)).unwrap();
    world.tenant.inject_access(SALES, &AccessRow::of(THIRD)).unwrap();
    let denied = AccessRow {
        deny: true,
        ..AccessRow::of("fourth.member@contoso.com")
    };
    world.tenant.inject_access(SALES, &denied).unwrap();
    let inherited = AccessRow {
        standing: Standing::Inherited,
        ..AccessRow::of("fifth.member@contoso.com")
    };
    world.tenant.inject_access(SALES, &inherited).unwrap();
    world.apply(&exclusive(&json!({ "ignore": [SECOND] }))).await;
    world.sleep(300).await;
    let mailbox = world.wait_mailbox("sales", "True", "UpToDate").await;
    let mut seen = states(&mailbox);
    seen.sort();
    assert_eq!(
        seen,
        [
            ForeignState::Denied,
            ForeignState::Ignored,
            ForeignState::Protected
        ]
    );
    assert_eq!(world.writes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn a_protected_person_keeps_even_what_was_declared_and_is_not_any_more() {
    let world = world(
        Seed::contoso(),
        json!({ "spec": { "protectedTrustees": [SECOND] } }),
    )
    .await;
    settle(&world, &[FIRST, SECOND]).await;
    world.apply(&team(&[FIRST])).await;
    world.sleep(INTERVAL).await;
    assert!(holds_full_access(&world, SECOND));
    assert_eq!(world.writes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn exclusive_needs_its_power() {
    let world = world(Seed::contoso(), json!({ "spec": { "access": [{
        "namespaces": { "names": ["team-sales"] }, "addresses": ["*@contoso.com"], "members": ["*@contoso.com"],
        "rights": ["FullAccess"] }] } }))
    .await;
    world.apply(&exclusive(&json!({}))).await;
    sales_is_refused(
        &world,
        "AccessDenied",
        &["the power Exclusive", "powers: [Exclusive]"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn leftovers_of_accounts_that_are_gone_are_found_and_removed_on_request_only() {
    if leftovers_are_unseen() {
        return;
    }
    let world = sales_with(&[FIRST]).await;
    world.tenant.inject_access(SALES, &AccessRow::of(NOBODY)).unwrap();
    world.tenant.inject_access(SALES, &AccessRow::of(SECOND)).unwrap();
    world.tenant.delete_user(SECOND).unwrap();
    look_now(&world).await;
    world.sleep(60).await;
    let mailbox = world.mailbox("sales").await;
    assert_eq!(mailbox.status.as_ref().unwrap().orphaned_grants, Some(2));
    assert_eq!(states(&mailbox), [ForeignState::Orphaned; 2]);
    assert_eq!(world.writes(), NOTHING, "Additive leaves them");

    let asked = json!({ "metadata": { "annotations": { "sharedmailbox.dev/remove-orphaned-grants": "1" } } });
    world.apply(&testkit::with(sales(json!({})), &asked)).await;
    until(&world, "leftovers are gone", || {
        view(&world).full_access.len() == 1
    })
    .await;
    world.sleep(300).await;
    let status = world
        .wait_mailbox("sales", "True", "UpToDate")
        .await
        .status
        .unwrap();
    assert_eq!(status.orphaned_grants, None);
    assert_eq!(status.last_handled_orphan_removal.as_deref(), Some("1"));
    world.tenant.inject_access(SALES, &AccessRow::of(NOBODY)).unwrap();
    world.sleep(INTERVAL).await;
    assert_eq!(view(&world).full_access.len(), 2, "asked once, done once");
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_exchange_shows_and_says_is_not_there_is_reported_and_not_hammered() {
    let world = sales_with(&[FIRST]).await;
    world.tenant.inject_access(SALES, &AccessRow::of(SECOND)).unwrap();
    world.tenant.set_undeletable(SALES, SECOND, true).unwrap();
    world.tenant.inject_access(SALES, &AccessRow::of(THIRD)).unwrap();
    world.apply(&exclusive(&json!({}))).await;
    let mailbox = world.wait_mailbox("sales", "False", "GrantStuck").await;
    says(
        &stalled(&mailbox, "GrantStuck"),
        &["second.member@contoso.com", "FullAccess"],
    );
    assert!(!holds_full_access(&world, THIRD), "it holds nobody else up");
    forget(&world);
    world.sleep(3000).await;
    assert_eq!(sent(&world, "Remove-MailboxPermission"), 0);
    world.tenant.set_undeletable(SALES, SECOND, false).unwrap();
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert!(!holds_full_access(&world, SECOND));
}

#[tokio::test(start_paused = true)]
async fn strangers_whose_removal_is_held_are_shown_as_exchange_shows_them() {
    let world = sales_with(&[FIRST]).await;
    let safety = json!({ "spec": { "safety": { "maxRevocations": 0, "maxRevocationPercent": 0 } } });
    world.apply(&with(tenant(), &safety)).await;
    world.tenant.inject_access(SALES, &AccessRow::of(SECOND)).unwrap();
    world.apply(&exclusive(&json!({}))).await;
    let mailbox = world.wait_mailbox("sales", "False", "Held").await;
    says(
        &stalled(&mailbox, "Held"),
        &["remove FullAccess of \"second.member@contoso.com\""],
    );
    let held = mailbox.status.unwrap().held.unwrap();
    let [change] = held.changes.as_slice() else {
        panic!("{held:?}")
    };
    says(change, &["second.member@contoso.com", "S-1-5-21-"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_removed_while_a_protected_person_could_not_be_looked_up() {
    let mut world = world(Seed::contoso(), json!({})).await;
    settle(&world, &[FIRST]).await;
    world.stop_operator().await;
    world.tenant.inject_access(SALES, &AccessRow::of(SECOND)).unwrap();
    let rule = simulator::FaultRule {
        cmdlets: vec!["Get-User".to_owned()],
        ..outage()
    };
    world.tenant.add_fault(rule);
    world
        .apply(&testkit::with(
            testkit::tenant(),
            &json!({ "spec": { "protectedTrustees": [SECOND] } }),
        ))
        .await;
    world.apply(&exclusive(&json!({}))).await;
    world.start_operator();
    world.sleep(INTERVAL).await;
    assert!(holds_full_access(&world, SECOND));
    world.tenant.set_faults(simulator::Faults::default());
    world.sleep(2 * INTERVAL).await;
    assert!(holds_full_access(&world, SECOND), "they are protected");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_given_access_again_and_again_loses_it_each_time_at_the_next_recheck() {
    let world = sales_with(&[FIRST]).await;
    world.apply(&exclusive(&json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    for round in 0..6 {
        world.tenant.inject_access(SALES, &AccessRow::of(SECOND)).unwrap();
        world.sleep(2 * INTERVAL).await;
        assert!(!holds_full_access(&world, SECOND), "round {round}");
    }
}
