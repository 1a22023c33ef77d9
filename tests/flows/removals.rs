//! What was taken away: when it is accepted, when it is reported, and when it is done again.

use super::kit::*;
use serde_json::json;
use shared_mailbox_operator::api::{GrantState, RECONCILE_REQUESTED_AT};
use simulator::{Delay, Fault, FaultRule, Faults, Lag, Profile};
use testkit::{condition, permission, with};

/// One replica that lags by this many milliseconds.
fn lagging(by: u64) -> Faults {
    Faults {
        lag: Lag {
            delay: Delay::fixed(by),
            replicas: 1,
        },
        ..Faults::default()
    }
}

#[tokio::test(start_paused = true)]
async fn what_exchange_acknowledges_and_forgets_is_not_reported_as_done_and_done_again() {
    let forgets: [&[&str]; 3] = [&["Add-*"], &["Set-Mailbox"], &["Remove-*"]];
    for cmdlets in forgets {
        let world = sales_with(&[FIRST, SECOND]).await;
        world
            .tenant
            .add_fault(FaultRule::always(Fault::Forgotten).on(cmdlets));
        world.apply(&sales(json!({ "displayName": "Sales EMEA" }))).await;
        world.apply(&team(&[FIRST, THIRD])).await;
        world.wait_mailbox("sales", "False", "WaitingForExchange").await;
        let third = world.tenant.object_id(THIRD).unwrap();
        for _ in 0..20 {
            world.sleep(30).await;
            let right = view(&world).display_name == "Sales EMEA" && view(&world).send_as.contains(&third);
            let reported = condition(&world.mailbox("sales").await, "Ready").unwrap().status;
            assert!(right || reported != "True", "{cmdlets:?}");
        }
        let second = world.tenant.object_id(SECOND).unwrap();
        let reported = world.mailbox("sales").await.status.unwrap().revoked.len();
        let gone = !view(&world).send_as.contains(&second);
        assert_eq!(
            reported,
            if gone { 2 } else { 0 },
            "{cmdlets:?}: who still holds it is not reported as revoked"
        );
        world.tenant.set_faults(Faults::default());
        world.wait_mailbox("sales", "True", "UpToDate").await;
        world.wait_permission("team", "True", "Granted").await;
        let now = view(&world);
        assert_eq!(
            (
                now.display_name.as_str(),
                now.send_as.len(),
                now.full_access.len()
            ),
            ("Sales EMEA", 2, 2)
        );
        assert!(now.send_as.contains(&third));
        let reported = world.mailbox("sales").await.status.unwrap().revoked.len();
        assert_eq!(reported, 2, "{cmdlets:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_is_sent_once_and_reported_when_a_lagging_replica_shows_it() {
    let world = sales_with(&[FIRST, SECOND]).await;
    world.tenant.set_faults(lagging(40_000));
    world.apply(&team(&[FIRST])).await;
    world.sleep(20).await;
    assert_eq!(view(&world).send_as.len(), 1);
    let mailbox = world.wait_mailbox("sales", "False", "WaitingForExchange").await;
    let status = mailbox.status.unwrap();
    assert_eq!((status.revoked.len(), status.foreign_grants), (0, None));
    let status = world
        .wait_mailbox("sales", "True", "UpToDate")
        .await
        .status
        .unwrap();
    assert_eq!((status.revoked.len(), status.foreign_grants), (2, None));
    world.sleep(2 * INTERVAL).await;
    let mut writes = world.writes();
    // Where warnings don't say whether anything was removed, what a replica still shows is removed by its SID.
    let in_doubt = tenants_are(&[Profile::Hybrid]);
    assert_eq!(writes.len(), if in_doubt { 4 } else { 2 }, "{writes:?}");
    writes.sort();
    writes.dedup();
    assert_eq!(writes, ["Remove-MailboxPermission", "Remove-RecipientPermission"]);
}

/// The removal is acknowledged, forgotten, and a replica that does not know of the grant yet seems to show it done.
#[tokio::test(start_paused = true)]
async fn a_removal_that_is_forgotten_while_a_replica_does_not_show_the_grant_yet_is_done_in_the_end() {
    let world = sales_with(&[FIRST]).await;
    let writes = ["Set-Mailbox", "Remove-*"];
    let every_right = |members: &[&str]| {
        permission(
            "team",
            "sales",
            members,
            &["FullAccess", "SendAs", "SendOnBehalf"],
        )
    };
    world.tenant.set_faults(lagging(1_500_000));
    world
        .apply(&sales(json!({ "aliases": ["info@contoso.com"] })))
        .await;
    world.apply(&every_right(&[FIRST, SECOND])).await;
    world.sleep(60).await;
    let second = world.tenant.object_id(SECOND).unwrap();
    let holds = |view: &simulator::MailboxView| {
        let full_access = view.full_access.iter().any(|row| row.trustee == second);
        [
            full_access,
            view.send_as.contains(&second),
            view.on_behalf.contains(&second),
        ]
    };
    let has_address = |view: &simulator::MailboxView| {
        let addresses = view.addresses.iter();
        addresses
            .filter(|address| address.ends_with("info@contoso.com"))
            .count()
            == 1
    };
    let now = view(&world);
    assert_eq!((holds(&now), has_address(&now)), ([true; 3], true));
    world
        .tenant
        .add_fault(FaultRule::always(Fault::Forgotten).on(&writes));
    world.apply(&sales(json!({}))).await;
    world.apply(&every_right(&[FIRST])).await;
    world.sleep(300).await;
    let now = view(&world);
    assert_eq!((holds(&now), has_address(&now)), ([true; 3], true), "forgotten");
    world.tenant.set_faults(Faults::default());
    world.sleep(4 * INTERVAL).await;
    let now = view(&world);
    assert_eq!((holds(&now), has_address(&now)), ([false; 3], false));
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.sleep(4 * INTERVAL).await;
    // Forgetting alone is worth no write; the next one leaves it out.
    world.apply(&sales(json!({ "mailTip": "Hello" }))).await;
    world
        .apply(&permission("other", "sales", &[SECOND], &["SendAs"]))
        .await;
    world.wait_permission("other", "True", "Granted").await;
    let mailbox = world.mailbox("sales").await.status.unwrap();
    assert_eq!(mailbox.foreign_grants, None);
    let ledger = world.ledger().await.spec;
    let mut rights = ledger.people.iter().flat_map(|person| person.rights.values());
    assert!(
        rights.all(|right| right.state == GrantState::Granted),
        "nothing is remembered for ever: {ledger:?}"
    );
    assert_eq!((ledger.removed_addresses.len(), ledger.addresses.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn under_observe_an_earlier_removal_is_not_reported_again_with_each_reconcile() {
    let world = sales_with(&[FIRST, SECOND]).await;
    world.tenant.set_faults(lagging(40_000));
    world.apply(&team(&[FIRST])).await;
    world.wait_mailbox("sales", "False", "WaitingForExchange").await;
    world.apply(&sales(json!({ "management": "Observe" }))).await;
    for request in 0..10 {
        world.sleep(10).await;
        let asked = json!({ "metadata": { "annotations": { RECONCILE_REQUESTED_AT: request.to_string() } } });
        world
            .apply(&with(sales(json!({ "management": "Observe" })), &asked))
            .await;
    }
    // It was announced before, so it is finished.
    world.sleep(120).await;
    assert_eq!(world.mailbox("sales").await.status.unwrap().revoked.len(), 2);
    let reported = events_about(&world, "team").await;
    let revoked = reported.iter().filter(|event| event.starts_with("RightsRevoked"));
    assert!(revoked.count() <= 2, "{reported:?}");
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(world.mailbox("sales").await.status.unwrap().revoked.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_event_about_a_removal_names_the_person_as_the_manifest_did() {
    let world = sales_with(&[FIRST, SECOND]).await;
    world.sleep(3600).await;
    world.apply(&team(&[FIRST])).await;
    until(&world, "the right is gone", || view(&world).send_as.len() == 1).await;
    world.sleep(60).await;
    let reported = events_about(&world, "sales").await.join("\n");
    says(&reported, &["Changed: ", &format!("revoke SendAs of {SECOND}")]);
}
