//! What is carried out on a mailbox whose resource is gone, and what is not.

use super::kit::*;
use super::remembered::*;
use serde_json::json;
use shared_mailbox_operator::api::GrantState;
use simulator::{Delay, Fault, FaultRule, Faults, Lag, Seed};
use testkit::{World, mailbox, tenant, with};

#[tokio::test(start_paused = true)]
async fn people_who_have_left_lose_their_rights_on_a_mailbox_without_a_resource() {
    let world = sales_with(&[FIRST, SECOND]).await;
    delete_sales(&world).await;
    let stranger = json!({ "Identity": SALES, "User": SECOND, "AccessRights": ["FullAccess"] });
    depart(&world, SECOND).await;
    until(&world, "they lost everything", || holders(&world) == held(1, 1)).await;
    world.sleep(HOUR).await;
    assert_eq!(holders(&world), held(1, 1), "the others keep what they have");
    admin(&world, "Add-MailboxPermission", stranger);
    world.sleep(25 * HOUR).await;
    assert_eq!(
        holders(&world),
        held(1, 1),
        "given by an admin, and taken away by the daily sweep"
    );
}

#[tokio::test(start_paused = true)]
async fn a_right_ends_although_the_resource_is_gone() {
    let world = sales_with(&[FIRST]).await;
    let end = world.server.now() + jiff::SignedDuration::from_hours(2);
    guest_until(&world, end).await;
    world.delete_permission("guest").await;
    world.delete_mailbox("sales").await;
    released(&world).await;
    assert_eq!(holders(&world), held(1, 2));
    world.sleep(2 * HOUR + 60).await;
    assert_eq!(holders(&world), held(1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_was_announced_is_carried_out_although_the_resource_goes() {
    let world = sales_with(&[FIRST, SECOND]).await;
    throttle_removals(&world);
    world.apply(&team(&[FIRST])).await;
    until_removing(&world).await;
    world.delete_mailbox("sales").await;
    released(&world).await;
    world.tenant.set_faults(Faults::default());
    until(&world, "it is carried out", || holders(&world) == held(1, 1)).await;
    world.sleep(HOUR).await;
    assert_eq!(holders(&world), held(1, 1));
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
    until_marked_and_blocked(&world).await;
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
async fn what_is_told_about_a_ledger_names_nobody() {
    let world = sales_with(&[FIRST, SECOND]).await;
    let name = world.ledger().await.metadata.name.unwrap();
    delete_sales(&world).await;
    depart(&world, SECOND).await;
    until(&world, "they lost everything", || holders(&world) == held(1, 1)).await;
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
    depart(&world, FIRST).await;
    world.sleep(2 * 24 * HOUR).await;
    assert_eq!((holders(&world), world.writes()), (held(1, 1), vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_restored_ledger_of_a_mailbox_without_a_resource_is_believed_after_an_hour() {
    let world = sales_with(&[FIRST]).await;
    let end = world.server.now() + jiff::SignedDuration::from_mins(30);
    guest_until(&world, end).await;
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
        held(1, 2),
        "the end has come, and the ledger may be an old one"
    );
    world.sleep(15 * 60 + 24 * HOUR).await;
    assert_eq!(holders(&world), held(1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_somebody_elses_finalizer_holds_up_protects_nobody() {
    let world = sales_with(&[FIRST, SECOND]).await;
    let held_up = json!({ "metadata": { "finalizers": ["example.com/wait"] } });
    world.apply(&with(sales(json!({})), &held_up)).await;
    world.sleep(60).await;
    world.delete_mailbox("sales").await;
    depart(&world, SECOND).await;
    until(&world, "they lost everything", || holders(&world) == held(1, 1)).await;
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
        depart(&world, SECOND).await;
        world.sleep(2 * INTERVAL).await;
        assert_eq!(holders(&world), held(1, 1), "{change}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_failed_under_a_paused_successor_is_tried_again_soon() {
    let world = sales_with(&[FIRST, SECOND]).await;
    delete_sales(&world).await;
    world.apply(&sales(json!({ "management": "Paused" }))).await;
    world.wait_mailbox("sales", "Unknown", "Paused").await;
    world.sleep(60).await;
    let refused = Fault::ServerError {
        status: 503,
        exception: None,
        message: None,
    };
    let removals = ["Remove-MailboxPermission", "Remove-RecipientPermission"];
    world.tenant.add_fault(FaultRule::next(12, refused).on(&removals));
    depart(&world, SECOND).await;
    world.sleep(180).await;
    assert_eq!(holders(&world), held(1, 1));
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
    until_marked_and_blocked(&world).await;
}

/// Somebody holds Full Access as this manifest says.
fn reader(auto_mapping: bool) -> serde_json::Value {
    let plain = testkit::permission("reader", "sales", &[SECOND], &["FullAccess"]);
    with(plain, &json!({ "spec": { "autoMapping": auto_mapping } }))
}

fn entry_of_second(world: &World) -> Option<bool> {
    let id = world.tenant.object_id(SECOND).unwrap();
    let view = view(world);
    let entry = view.full_access.iter().find(|entry| entry.trustee == id);
    entry.map(|entry| entry.auto_mapping)
}

/// For three hours nothing is written, and the mailbox is not read. Where the app's role lacks something, what it has is
/// looked for once an hour, which reads any mailbox.
async fn nothing_is_left_to_do(world: &World) {
    forget(world);
    world.sleep(3 * HOUR).await;
    let reads = calls(world, "Get-Mailbox");
    let of_a_mailbox = reads.iter().filter(|read| read["Identity"].is_string());
    assert_eq!((world.writes(), of_a_mailbox.count()), (vec![], 0));
}

/// The resource goes after the revoke and before the grant of a change of automapping.
async fn cut_in_half() -> World {
    let world = sales_with(&[FIRST]).await;
    world.apply(&reader(false)).await;
    world.wait_permission("reader", "True", "Granted").await;
    world.sleep(2 * HOUR).await;
    throttle(&world, &["Add-MailboxPermission"]);
    world.apply(&reader(true)).await;
    until(&world, "the first half is done", || {
        entry_of_second(&world).is_none()
    })
    .await;
    // It is tried again, and fails again.
    world.sleep(90).await;
    world.delete_mailbox("sales").await;
    released(&world).await;
    world
}

#[tokio::test(start_paused = true)]
async fn whose_automapping_was_being_changed_when_the_resource_went_has_access_again() {
    let world = cut_in_half().await;
    world.delete_permission("reader").await;
    world.tenant.set_faults(Faults::default());
    until(&world, "the second half is done", || {
        entry_of_second(&world) == Some(true)
    })
    .await;
    forget(&world);
    world.sleep(HOUR).await;
    let grants = world.ledger().await.spec.people;
    let mut rights = grants.iter().flat_map(|person| person.rights.values());
    assert!(rights.all(|right| !right.remapping), "it is done: {grants:?}");
    nothing_is_left_to_do(&world).await;
    assert_eq!(entry_of_second(&world), Some(true));
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_exchange_forgets_after_the_resource_went_is_sent_again() {
    let world = cut_in_half().await;
    world.tenant.set_faults(Faults::default());
    world
        .tenant
        .add_fault(FaultRule::next(1, Fault::Forgotten).on(&["Add-MailboxPermission"]));
    world.sleep(HOUR).await;
    assert_eq!(entry_of_second(&world), Some(true));
}

#[tokio::test(start_paused = true)]
async fn who_has_left_is_granted_nothing_although_their_automapping_was_being_changed() {
    let world = cut_in_half().await;
    depart(&world, SECOND).await;
    // A call that was under way waits up to three minutes for a tenant that throttles.
    world.sleep(300).await;
    world.tenant.set_faults(Faults::default());
    forget(&world);
    world.sleep(2 * HOUR).await;
    assert_eq!(sent(&world, "Add-MailboxPermission"), 0, "not even for a moment");
    assert_eq!(entry_of_second(&world), None);
}

#[tokio::test(start_paused = true)]
async fn a_backup_grants_nobody_what_was_taken_away_since() {
    let world = cut_in_half().await;
    let backup = world.ledgers().await;
    world.tenant.set_faults(Faults::default());
    until(&world, "the second half is done", || {
        entry_of_second(&world).is_some()
    })
    .await;
    world.sleep(60).await;
    let second = json!({ "Identity": SALES, "User": SECOND, "AccessRights": ["FullAccess"] });
    admin(&world, "Remove-MailboxPermission", second);
    world.sleep(HOUR).await;
    restore_ledgers(&world, &backup).await;
    world.sleep(3 * HOUR).await;
    assert_eq!(entry_of_second(&world), None, "an old word is no reason to grant");
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_exchange_forgets_is_repeated_although_the_resource_went() {
    let world = sales_with(&[FIRST]).await;
    world.tenant.set_faults(Faults {
        lag: Lag {
            delay: Delay::fixed(1_500_000),
            replicas: 1,
        },
        ..Faults::default()
    });
    world
        .apply(&testkit::permission("guest", "sales", &[SECOND], &["SendAs"]))
        .await;
    world.sleep(60).await;
    let forgets = FaultRule::always(Fault::Forgotten).on(&["Remove-*"]);
    world.tenant.add_fault(forgets);
    world.delete_permission("guest").await;
    world.sleep(300).await;
    // A replica that does not know of the grant yet hides that the removal was forgotten.
    assert_eq!(holders(&world), held(1, 2));
    assert!(states(&world.ledger().await).contains(&GrantState::Removed));
    world.delete_mailbox("sales").await;
    released(&world).await;
    world.sleep(60).await;
    world.tenant.set_faults(Faults::default());
    until(&world, "it is repeated", || holders(&world) == held(1, 1)).await;
    world.sleep(HOUR).await;
    nothing_is_left_to_do(&world).await;
}

#[tokio::test(start_paused = true)]
async fn what_outlives_a_resource_is_done_by_whatever_name_the_tenant_has_now() {
    let world = sales_with(&[FIRST, SECOND]).await;
    delete_sales(&world).await;
    delete_tenant(&world, "default").await;
    world.sleep(60).await;
    let renamed = json!({ "metadata": { "name": "prod" }, "spec": { "departed": [SECOND] } });
    world.apply(&with(tenant(), &renamed)).await;
    until(&world, "they lost everything", || holders(&world) == held(1, 1)).await;
    let elsewhere = json!({ "spec": { "tenantRef": { "name": "prod" } } });
    world.apply(&with(mailbox("vendite", SALES), &elsewhere)).await;
    world
        .wait_mailbox("vendite", "False", "AddressHeldByRetained")
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_ledger_without_a_resource_that_can_t_be_read_says_so() {
    let world = sales_with(&[FIRST]).await;
    delete_sales(&world).await;
    let name = world.ledger().await.metadata.name.unwrap();
    let unreadable = r#"sharedmailbox_objects{kind="MailboxLedger",state="unreadable"}"#;
    assert!(world.metric(unreadable).abs() < 1e-9);
    // Enough to find it can still be read.
    patch_ledger(&world, json!({ "permissions": [] })).await;
    world.sleep(60).await;
    let told = events_about(&world, &name).await.join("\n");
    says(
        &told,
        &["LedgerUnreadable: ", "Start the version again that wrote it"],
    );
    for secret in ["contoso", "team", "00000"] {
        assert!(!told.contains(secret), "{told}");
    }
    assert!((world.metric(unreadable) - 1.0).abs() < 1e-9);
    patch_ledger(&world, json!({ "permissions": ["team"] })).await;
    world.sleep(60).await;
    assert!(world.metric(unreadable).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn that_a_mailbox_is_released_is_told_although_the_answer_to_the_write_is_lost() {
    use testkit::api_server::{Disturbance, Verb, on};
    let world = sales_with(&[FIRST, SECOND]).await;
    let name = world.ledger().await.metadata.name.unwrap();
    let lost = Disturbance::answer_lost();
    world.server.disturb(1, on(Verb::Update, "mailboxledgers"), lost);
    let log = logged(async {
        delete_sales(&world).await;
        world.sleep(60).await;
    })
    .await;
    let told = events_about(&world, &name).await.join("\n");
    says(&told, &["Released: ", "2 people keep 4 rights"]);
    let line = log.lines().find(|line| line.contains("Released")).unwrap_or(&log);
    says(line, &["audit", "sales", "rights=4"]);
}
