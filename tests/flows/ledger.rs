//! The operator's memory outlives resources, restores and slips, and revokes nobody because of them.

use super::kit::*;
use serde_json::{Value, json};
use shared_mailbox_operator::api::{GrantState, MailboxLedger, SharedMailbox};
use simulator::{Delay, Fault, FaultRule, Faults, Seed};
use testkit::{World, condition, mailbox, permission, with};

const HOUR: u64 = 3600;

async fn delete_sales(world: &World) {
    world.delete_mailbox("sales").await;
    released(world).await;
}

async fn released(world: &World) {
    let is_released = async || {
        let ledgers = world.ledgers().await;
        ledgers
            .iter()
            .all(|ledger| ledger.spec.released_at.is_some())
            .then_some(())
    };
    world.wait("the ledger is Released", is_released).await;
}

fn holders(world: &World) -> (usize, usize) {
    let view = view(world);
    (view.full_access.len(), view.send_as.len())
}

/// The states of the rights in a ledger.
fn states(ledger: &MailboxLedger) -> Vec<GrantState> {
    let people = ledger.spec.people.iter();
    people
        .flat_map(|person| person.rights.values())
        .map(|right| right.state)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_created_mailbox_has_a_ledger_that_says_who_holds_what_and_since_when() {
    let world = sales_with(&[FIRST, SECOND]).await;
    let ledger = world.ledger().await;
    let object = world.mailbox("sales").await;
    assert_eq!(ledger.metadata.name, object.metadata.uid, "named for life");
    assert_eq!(
        ledger.spec.mailbox.as_ref().unwrap().guid.to_string(),
        view(&world).exchange_guid.to_string()
    );
    assert_eq!(ledger.spec.intent, None);
    assert_eq!(states(&ledger), [GrantState::Granted; 4]);
    assert_eq!(
        (ledger.spec.shown.state.as_str(), ledger.spec.shown.people),
        ("Serving", 2)
    );
    assert!(shared_mailbox_operator::ledger::is_intact(&ledger));
    assert!(ledger.metadata.finalizers.is_none() && ledger.metadata.owner_references.is_none());
    assert_eq!(object.metadata.finalizers, None, "nothing holds the resource up");
}

#[tokio::test(start_paused = true)]
async fn a_create_and_a_grant_and_a_revocation_take_few_writes() {
    let ledger_writes = |world: &World| {
        let writes = world.kubernetes_writes();
        let count = |plural: &str| writes.iter().filter(|write| write.contains(plural)).count();
        (
            count("mailboxledgers"),
            count("sharedmailboxes"),
            count("mailboxpermissions"),
        )
    };
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    forget(&world);
    world.apply(&sales(json!({}))).await;
    world.apply(&team(&[FIRST])).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
    world.sleep(INTERVAL).await;
    let (ledgers, mailboxes, permissions) = ledger_writes(&world);
    assert!(
        ledgers <= 3 && mailboxes <= 2 && permissions == 1,
        "{:?}",
        world.kubernetes_writes()
    );
    forget(&world);
    world.apply(&team(&[FIRST, SECOND])).await;
    world.sleep(INTERVAL).await;
    let (ledgers, mailboxes, permissions) = ledger_writes(&world);
    assert!(
        ledgers <= 2 && mailboxes <= 1 && permissions == 1,
        "{:?}",
        world.kubernetes_writes()
    );
    forget(&world);
    world.apply(&team(&[FIRST])).await;
    world.sleep(INTERVAL).await;
    let (ledgers, mailboxes, permissions) = ledger_writes(&world);
    assert!(
        ledgers <= 2 && mailboxes <= 1 && permissions == 1,
        "{:?}",
        world.kubernetes_writes()
    );
    stays_quiet(&world, std::time::Duration::from_secs(3 * HOUR)).await;
}

#[tokio::test(start_paused = true)]
async fn who_was_taken_out_while_the_resource_was_away_is_revoked_when_it_is_back() {
    let world = sales_with(&[FIRST, SECOND]).await;
    delete_sales(&world).await;
    assert_eq!(
        (world.writes(), world.reads()),
        (vec![], vec![]),
        "nobody asks Exchange"
    );
    world.apply(&team(&[FIRST])).await;
    world.sleep(HOUR).await;
    assert_eq!(holders(&world), (2, 2), "only a deletion policy takes them away");
    world.apply(&sales(json!({}))).await;
    until(&world, "the second member is revoked", || {
        holders(&world) == (1, 1)
    })
    .await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.sleep(3 * HOUR).await;
    assert_eq!(holders(&world), (1, 1), "nobody else loses anything");
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_is_back_before_its_permissions_revokes_nobody() {
    for restored_first in ["sales", "team"] {
        let world = sales_with(&[FIRST, SECOND]).await;
        world.delete_mailbox("sales").await;
        world.delete_permission("team").await;
        released(&world).await;
        world.sleep(HOUR).await;
        if restored_first == "team" {
            world.apply(&team(&[FIRST, SECOND])).await;
            world.sleep(40 * 60).await;
            world.apply(&sales(json!({}))).await;
        } else {
            world.apply(&sales(json!({}))).await;
            world.sleep(40 * 60).await;
            let object = world.mailbox("sales").await;
            let due = condition(&object, "RevocationDue").expect("it is announced");
            says(&due.message, &["4 rights", FIRST, SECOND]);
            assert_eq!(events_of(&world, "RevocationDue").await, 1);
            world.apply(&team(&[FIRST, SECOND])).await;
        }
        world.wait_mailbox("sales", "True", "UpToDate").await;
        world.wait_permission("team", "True", "Granted").await;
        world.sleep(3 * HOUR).await;
        assert_eq!(holders(&world), (2, 2));
        assert_eq!(
            world.writes(),
            ["Set-Mailbox"],
            "the new uid goes into the marker"
        );
        assert_eq!(condition(&world.mailbox("sales").await, "RevocationDue"), None);
    }
}

async fn events_of(world: &World, reason: &str) -> usize {
    let all = events_about(world, "sales").await;
    all.iter().filter(|event| event.starts_with(reason)).count()
}

#[tokio::test(start_paused = true)]
async fn rights_whose_permission_stays_away_are_revoked_after_an_hour() {
    let world = sales_with(&[FIRST, SECOND]).await;
    world.delete_mailbox("sales").await;
    world.delete_permission("team").await;
    released(&world).await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    // Whatever the interval at which mailboxes are rechecked.
    let hour = world.ledger().await.spec.taken_up_at.unwrap() + jiff::SignedDuration::from_hours(1);
    let left = hour.duration_since(world.server.now()).as_secs().unsigned_abs();
    world.sleep(left - 30).await;
    assert_eq!(holders(&world), (2, 2), "the hour is not over");
    world.sleep(60).await;
    assert_eq!(holders(&world), (0, 0));
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn under_observe_nothing_is_taken_up_and_nothing_is_written_at_rest() {
    let world = sales_with(&[FIRST]).await;
    world.delete_mailbox("sales").await;
    world.delete_permission("team").await;
    released(&world).await;
    world.apply(&sales(json!({ "management": "Observe" }))).await;
    world.wait_mailbox("sales", "False", "DriftDetected").await;
    world.sleep(60).await;
    stays_quiet(&world, std::time::Duration::from_secs(2 * HOUR)).await;
    assert!(world.ledger().await.spec.released_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn exclusive_evicts_nobody_before_permissions_are_back() {
    let exclusive = json!({ "permissions": { "mode": "Exclusive" } });
    let world = sales_with(&[FIRST]).await;
    world.apply(&sales(exclusive.clone())).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.delete_mailbox("sales").await;
    world.delete_permission("team").await;
    released(&world).await;
    restore_ledgers(&world, &[]).await;
    forget(&world);
    world.apply(&sales(exclusive)).await;
    world.sleep(40 * 60).await;
    assert_eq!(
        holders(&world),
        (1, 1),
        "nothing is remembered, so everybody looks like a stranger"
    );
    world.apply(&team(&[FIRST])).await;
    world.wait_permission("team", "True", "Granted").await;
    world.sleep(3 * HOUR).await;
    assert_eq!(holders(&world), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_restored_ledger_is_believed_after_an_hour_and_never_earlier() {
    let world = sales_with(&[FIRST, SECOND]).await;
    let backup = world.ledgers().await;
    world.apply(&team(&[FIRST])).await;
    until(&world, "the second member is revoked", || {
        holders(&world) == (1, 1)
    })
    .await;
    world.wait_permission("team", "True", "Granted").await;
    let second = json!({ "Identity": SALES, "Trustee": SECOND, "AccessRights": ["SendAs"] });
    admin(&world, "Add-RecipientPermission", second);
    restore_ledgers(&world, &backup).await;
    world.sleep(50 * 60).await;
    assert_eq!(
        holders(&world),
        (1, 2),
        "what an old ledger lists looks like ours, for now"
    );
    let object = world.mailbox("sales").await;
    says(&condition(&object, "RevocationDue").unwrap().message, &[SECOND]);
    world.sleep(15 * 60).await;
    assert_eq!(holders(&world), (1, 1));
    assert!(
        shared_mailbox_operator::ledger::is_intact(&world.ledger().await),
        "it is sealed anew"
    );
}

#[tokio::test(start_paused = true)]
async fn a_backup_beside_the_living_ledger_is_merged_into_it() {
    let world = sales_with(&[FIRST]).await;
    let alive = world.ledger().await;
    let api: kube::Api<MailboxLedger> = kube::Api::all(world.client.clone());
    let copy = MailboxLedger::new("an-old-copy", alive.spec.clone());
    api.create(&kube::api::PostParams::default(), &copy)
        .await
        .unwrap();
    let merged = async || (world.ledgers().await.len() == 1).then_some(());
    world.wait("one ledger is left", merged).await;
    assert_eq!(
        world.ledger().await.metadata.uid,
        alive.metadata.uid,
        "the one that was intact"
    );
    world.sleep(3 * HOUR).await;
    assert_eq!((holders(&world), world.writes()), ((1, 1), vec![]));
}

#[tokio::test(start_paused = true)]
async fn people_who_have_left_lose_their_rights_on_a_mailbox_without_a_resource() {
    let world = sales_with(&[FIRST, SECOND]).await;
    delete_sales(&world).await;
    let stranger = json!({ "Identity": SALES, "User": SECOND, "AccessRights": ["FullAccess"] });
    world
        .apply(&with(
            testkit::tenant(),
            &json!({ "spec": { "departed": [SECOND] } }),
        ))
        .await;
    until(&world, "they lost everything", || holders(&world) == (1, 1)).await;
    world.sleep(HOUR).await;
    assert_eq!(holders(&world), (1, 1), "the others keep what they have");
    admin(&world, "Add-MailboxPermission", stranger);
    world.sleep(25 * HOUR).await;
    assert_eq!(
        holders(&world),
        (1, 1),
        "given by an admin, and taken away by the daily sweep"
    );
}

#[tokio::test(start_paused = true)]
async fn a_right_ends_although_the_resource_is_gone() {
    let world = sales_with(&[FIRST]).await;
    let end = world.server.now() + jiff::SignedDuration::from_hours(2);
    let ends = json!({ "spec": { "expiresAt": format!("{end:.0}") } });
    world
        .apply(&with(permission("guest", "sales", &[SECOND], &["SendAs"]), &ends))
        .await;
    world.wait_permission("guest", "True", "Granted").await;
    world.delete_permission("guest").await;
    world.delete_mailbox("sales").await;
    released(&world).await;
    assert_eq!(holders(&world), (1, 2));
    world.sleep(2 * HOUR + 60).await;
    assert_eq!(holders(&world), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_was_announced_is_carried_out_although_the_resource_goes() {
    let world = sales_with(&[FIRST, SECOND]).await;
    let down = FaultRule::always(Fault::Throttled {
        retry_after_seconds: Some(30),
    });
    world
        .tenant
        .add_fault(down.on(&["Remove-RecipientPermission", "Remove-MailboxPermission"]));
    world.apply(&team(&[FIRST])).await;
    let announced = async || {
        let states = states(&world.ledger().await);
        states.contains(&GrantState::Removing).then_some(())
    };
    world.wait("the removal is announced", announced).await;
    world.delete_mailbox("sales").await;
    released(&world).await;
    world.tenant.set_faults(Faults::default());
    until(&world, "it is carried out", || holders(&world) == (1, 1)).await;
    world.sleep(HOUR).await;
    assert_eq!(holders(&world), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_whose_resource_goes_while_it_is_created_is_marked_and_blocked() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    let fault = Fault::Throttled {
        retry_after_seconds: Some(20),
    };
    world
        .tenant
        .add_fault(FaultRule::next(3, fault).on(&["Set-Mailbox"]));
    world.apply(&sales(json!({}))).await;
    until(&world, "it is created", || shared_mailboxes(&world) == 1).await;
    world.delete_mailbox("sales").await;
    released(&world).await;
    let done = || {
        let view = world.tenant.mailbox(SALES);
        view.is_some_and(|view| view.account_disabled && !view.custom_attributes.is_empty())
    };
    until(&world, "it is finished", done).await;
    assert_eq!(
        view(&world).display_name,
        "sales",
        "it has the name that was asked for"
    );
    world.sleep(60).await;
    let ledger = world.ledger().await;
    assert_eq!(
        (ledger.spec.shown.state.as_str(), ledger.spec.intent),
        ("Released", None)
    );
}

#[tokio::test(start_paused = true)]
async fn an_announced_create_that_nobody_ever_saw_is_forgotten_after_a_day() {
    let mut world = World::without_operator(Seed::contoso()).await;
    world.apply(&testkit::tenant()).await;
    let fault = Fault::LostRequest;
    world
        .tenant
        .add_fault(FaultRule::always(fault).on(&["New-Mailbox"]));
    world.start_operator();
    world.apply(&sales(json!({}))).await;
    let announced = async || (!world.ledgers().await.is_empty()).then_some(());
    world.wait("it is announced", announced).await;
    world.delete_mailbox("sales").await;
    world.sleep(26 * HOUR).await;
    assert_eq!(world.ledgers().await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_mailbox_is_created_anew_when_somebody_asks_for_exactly_that() {
    let world = sales_with(&[FIRST]).await;
    let lost = view(&world).exchange_guid.to_string();
    purge(&world, SALES);
    world.wait_mailbox("sales", "False", "MailboxGone").await;
    let asks = |guid: &str| json!({ "metadata": { "annotations": { "sharedmailbox.dev/recreate": guid } } });
    let other = "44444444-4444-4444-8444-444444444444";
    world.apply(&with(sales(json!({})), &asks(other))).await;
    world.sleep(INTERVAL).await;
    assert_eq!(shared_mailboxes(&world), 0, "another mailbox is meant");
    world.apply(&with(sales(json!({})), &asks(&lost))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
    assert_eq!(holders(&world), (1, 1));
    let names: Vec<_> = world
        .ledgers()
        .await
        .into_iter()
        .filter_map(|ledger| ledger.metadata.name)
        .collect();
    assert!(names.contains(&format!("after-{lost}")), "{names:?}");
    world.sleep(3 * HOUR).await;
    assert_eq!(shared_mailboxes(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_newer_operator_wrote_into_a_ledger_is_kept() {
    let world = sales_with(&[FIRST]).await;
    patch_ledger(&world, json!({ "newer": { "than": "this" } })).await;
    world.apply(&team(&[FIRST, SECOND])).await;
    until(&world, "the second member is granted", || {
        holders(&world) == (2, 2)
    })
    .await;
    world.sleep(60).await;
    let ledger = serde_json::to_value(world.ledger().await).unwrap();
    assert_eq!(ledger["spec"]["newer"], json!({ "than": "this" }));
}

#[tokio::test(start_paused = true)]
async fn what_is_told_about_a_ledger_names_nobody() {
    let world = sales_with(&[FIRST, SECOND]).await;
    let name = world.ledger().await.metadata.name.unwrap();
    delete_sales(&world).await;
    world
        .apply(&with(
            testkit::tenant(),
            &json!({ "spec": { "departed": [SECOND] } }),
        ))
        .await;
    until(&world, "they lost everything", || holders(&world) == (1, 1)).await;
    world.sleep(60).await;
    let told = events_about(&world, &name).await.join("\n");
    says(
        &told,
        &["Released: ", "2 people keep 4 rights", "RightsRevoked: 2 rights"],
    );
    for secret in ["sales", "contoso", "team"] {
        assert!(!told.contains(secret), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_of_a_mailbox_that_was_kept_is_free_once_the_mailbox_is_gone() {
    let world = sales_with(&[FIRST]).await;
    delete_sales(&world).await;
    world.apply(&mailbox("vendite", SALES)).await;
    world
        .wait_mailbox("vendite", "False", "AddressHeldByRetained")
        .await;
    purge(&world, SALES);
    world.wait_mailbox("vendite", "True", "UpToDate").await;
    let ledgers = world.ledgers().await;
    let gone = ledgers
        .iter()
        .filter(|ledger| ledger.spec.gone_at.is_some())
        .count();
    assert_eq!((ledgers.len(), gone), (2, 1));
    for (days, left) in [(88, 2), (91, 1)] {
        let gone = world.server.now() - jiff::SignedDuration::from_hours(days * 24);
        for ledger in world.ledgers().await {
            if ledger.spec.gone_at.is_some() {
                let name = ledger.metadata.name.unwrap();
                patch_ledger_named(&world, &name, json!({ "goneAt": gone })).await;
            }
        }
        world.sleep(25 * HOUR).await;
        let ledgers = world.ledgers().await;
        assert_eq!(
            ledgers.len(),
            left,
            "a mailbox that is gone is remembered for 90 days"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_was_given_away_is_not_written_to_after_its_resource_is_gone() {
    let world = sales_with(&[FIRST]).await;
    let text = json!({ "Identity": SALES, "CustomAttribute15": "cost centre 4711" });
    admin(&world, "Set-Mailbox", text);
    world.wait_mailbox("sales", "False", "NotOurs").await;
    assert_eq!(world.ledger().await.spec.shown.state, "ForeignMarker");
    forget(&world);
    world.delete_mailbox("sales").await;
    released(&world).await;
    world
        .apply(&with(
            testkit::tenant(),
            &json!({ "spec": { "departed": [FIRST] } }),
        ))
        .await;
    world.sleep(2 * 24 * HOUR).await;
    assert_eq!((holders(&world), world.writes()), ((1, 1), vec![]));
}

#[tokio::test(start_paused = true)]
async fn another_definition_of_permissions_starts_the_hour_anew() {
    let mut world = sales_with(&[FIRST]).await;
    world.stop_operator().await;
    patch_ledger(&world, json!({ "permissionsCrdUid": "of-an-older-definition" })).await;
    world.delete_permission("team").await;
    forget(&world);
    world.start_operator();
    world.sleep(50 * 60).await;
    assert_eq!(holders(&world), (1, 1), "permissions may be on their way back");
    world.apply(&team(&[FIRST])).await;
    world.wait_permission("team", "True", "Granted").await;
    world.sleep(3 * HOUR).await;
    assert_eq!((holders(&world), world.writes()), ((1, 1), vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_slow_exchange_leaves_a_status_that_says_that_nothing_was_observed() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    let slow = Delay::fixed(30_000);
    world.tenant.set_faults(Faults {
        latency: slow,
        ..Faults::default()
    });
    world.apply(&sales(json!({}))).await;
    let object: SharedMailbox = world.mailbox("sales").await;
    let status: Value = serde_json::to_value(object.status.unwrap()).unwrap();
    assert_eq!(
        status["observedGeneration"],
        json!(-1),
        "as tools that wait understand it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_restored_ledger_of_a_mailbox_without_a_resource_is_believed_after_an_hour() {
    let world = sales_with(&[FIRST]).await;
    let end = world.server.now() + jiff::SignedDuration::from_mins(30);
    let ends = json!({ "spec": { "expiresAt": format!("{end:.0}") } });
    world
        .apply(&with(permission("guest", "sales", &[SECOND], &["SendAs"]), &ends))
        .await;
    world.wait_permission("guest", "True", "Granted").await;
    world.delete_permission("guest").await;
    delete_sales(&world).await;
    for days in [0, 1] {
        let backup = world.ledgers().await;
        world.sleep(days * 60).await;
        restore_ledgers(&world, &backup).await;
    }
    world.sleep(50 * 60).await;
    assert_eq!(
        holders(&world),
        (1, 2),
        "the end has come, and the ledger may be an old one"
    );
    world.sleep(15 * 60 + 24 * HOUR).await;
    assert_eq!(holders(&world), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_somebody_elses_finalizer_holds_up_protects_nobody() {
    let world = sales_with(&[FIRST, SECOND]).await;
    let held_up = json!({ "metadata": { "finalizers": ["example.com/wait"] } });
    world.apply(&with(sales(json!({})), &held_up)).await;
    world.sleep(60).await;
    world.delete_mailbox("sales").await;
    world
        .apply(&with(
            testkit::tenant(),
            &json!({ "spec": { "departed": [SECOND] } }),
        ))
        .await;
    until(&world, "they lost everything", || holders(&world) == (1, 1)).await;
}

#[tokio::test(start_paused = true)]
async fn another_resource_in_the_place_of_one_that_is_gone_suspends_nothing() {
    for change in [
        json!({ "management": "Paused" }),
        json!({ "management": "Observe" }),
        json!({ "emailAddress": "sales@elsewhere.example" }),
    ] {
        let world = sales_with(&[FIRST, SECOND]).await;
        delete_sales(&world).await;
        world.apply(&sales(change.clone())).await;
        world.sleep(60).await;
        world
            .apply(&with(
                testkit::tenant(),
                &json!({ "spec": { "departed": [SECOND] } }),
            ))
            .await;
        world.sleep(2 * INTERVAL).await;
        assert_eq!(holders(&world), (1, 1), "{change}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_was_announced_is_no_grace_periods_business() {
    let world = sales_with(&[FIRST, SECOND]).await;
    let down = FaultRule::always(Fault::Throttled {
        retry_after_seconds: Some(30),
    });
    world
        .tenant
        .add_fault(down.on(&["Remove-RecipientPermission", "Remove-MailboxPermission"]));
    world.delete_permission("team").await;
    let announced = async || {
        let states = states(&world.ledger().await);
        states.contains(&GrantState::Removing).then_some(())
    };
    world.wait("the removal is announced", announced).await;
    world.delete_mailbox("sales").await;
    released(&world).await;
    world.apply(&sales(json!({}))).await;
    world.sleep(60).await;
    world.tenant.set_faults(Faults::default());
    world.sleep(2 * INTERVAL).await;
    assert_eq!(holders(&world), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lost_mailbox_that_was_restored_is_not_created_anew() {
    let world = sales_with(&[FIRST]).await;
    let guid = view(&world).exchange_guid;
    admin(&world, "Remove-Mailbox", json!({ "Identity": SALES }));
    world.wait_mailbox("sales", "False", "MailboxGone").await;
    admin(
        &world,
        "Undo-SoftDeletedMailbox",
        json!({ "SoftDeletedObject": guid }),
    );
    let asked = json!({ "metadata": { "annotations": { "sharedmailbox.dev/recreate": guid } } });
    world.apply(&with(sales(json!({})), &asked)).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.sleep(HOUR).await;
    assert_eq!((world.ledgers().await.len(), holders(&world)), (1, (1, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_create_that_is_refused_leaves_no_ledger_when_its_resource_goes() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    let rule = FaultRule::always(refusal("Not this one."));
    world.tenant.add_fault(rule.on(&["New-Mailbox"]));
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "False", "SettingRefused").await;
    world.delete_mailbox("sales").await;
    let gone = async || world.ledgers().await.is_empty().then_some(());
    world.wait("the ledger is deleted", gone).await;
}

#[tokio::test(start_paused = true)]
async fn a_create_that_was_throttled_once_is_not_forgotten_when_its_resource_goes() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    let throttled = Fault::Throttled {
        retry_after_seconds: Some(400),
    };
    world
        .tenant
        .add_fault(FaultRule::next(1, throttled).on(&["New-Mailbox"]));
    let set = Fault::Throttled {
        retry_after_seconds: Some(20),
    };
    world
        .tenant
        .add_fault(FaultRule::next(4, set).on(&["Set-Mailbox"]));
    world.apply(&sales(json!({}))).await;
    until(&world, "it is created", || shared_mailboxes(&world) == 1).await;
    world.delete_mailbox("sales").await;
    let done = || {
        let view = world.tenant.mailbox(SALES);
        view.is_some_and(|view| view.account_disabled && !view.custom_attributes.is_empty())
    };
    until(&world, "it is marked and blocked", done).await;
}
