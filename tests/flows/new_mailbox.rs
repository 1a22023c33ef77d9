//! New-Mailbox: answers that are lost, mailboxes that are slow to show, addresses that are snatched away.

use super::kit::*;
use super::remembered::{HOUR, released, until_marked_and_blocked};
use serde_json::json;
use simulator::{Fault, FaultRule, Faults};
use testkit::{World, condition};

#[tokio::test(start_paused = true)]
async fn minutes_without_a_trace_of_the_new_mailbox_are_waited_out() {
    for minutes in [1, 4, 9] {
        let world = World::start().await;
        world.wait_tenant("True", "Connected").await;
        world.tenant.set_faults(Faults {
            not_found_after_create_ms: minutes * 60_000,
            ..Faults::default()
        });
        world.apply(&sales(json!({}))).await;
        world.apply(&team(&[FIRST])).await;
        let reasons = reasons_until_ready(&world).await;
        assert!(
            !reasons.iter().any(|reason| reason == "ConfirmingLoss"),
            "{reasons:?}"
        );
        world.wait_permission("team", "True", "Granted").await;
        assert_eq!(sent(&world, "New-Mailbox"), 1, "{minutes} minutes");
        assert_eq!(view(&world).full_access.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_new_mailbox_leads_to_one_mailbox() {
    for (fault, sent_often) in [
        (Fault::LostAnswer, 1),
        (Fault::CutAnswer, 1),
        (Fault::LostRequest, 2),
    ] {
        let world = World::start().await;
        world.wait_tenant("True", "Connected").await;
        world
            .tenant
            .add_fault(FaultRule::next(1, fault.clone()).on(&["New-Mailbox"]));
        world.apply(&sales(json!({}))).await;
        world.apply(&team(&[FIRST])).await;
        let reasons = reasons_until_ready(&world).await;
        assert!(
            reasons.iter().any(|reason| reason == "LookingForMailbox"),
            "{fault:?}: {reasons:?}"
        );
        assert_eq!(sent(&world, "New-Mailbox"), sent_often, "{fault:?}");
        assert_eq!(shared_mailboxes(&world), 1);
        assert_eq!(view(&world).display_name, "sales");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_that_is_also_slow_to_show_still_leads_to_one_mailbox() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    world.tenant.set_faults(Faults {
        rules: vec![FaultRule::next(1, Fault::LostAnswer).on(&["New-Mailbox"])],
        not_found_after_create_ms: 5 * 60_000,
        ..Faults::default()
    });
    world.apply(&sales(json!({}))).await;
    reasons_until_ready(&world).await;
    assert_eq!(shared_mailboxes(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_taken_between_read_and_create_is_reported_after_ten_minutes() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    let taken = Fault::ErrorInBody {
        exception: "Microsoft.Exchange.Management.Tasks.ProxyAddressExistsException".to_owned(),
        message:
            "The proxy address \"SMTP:sales@contoso.com\" is already being used by the proxy addresses or \
                  LegacyExchangeDN of \"Salary Negotiations\". Please choose another proxy address."
                .to_owned(),
    };
    world
        .tenant
        .add_fault(FaultRule::always(taken).on(&["New-Mailbox"]));
    world.apply(&sales(json!({}))).await;
    let object = world.wait_mailbox("sales", "False", "LookingForMailbox").await;
    assert_eq!(condition(&object, "Reconciling").unwrap().status, "True");
    let started = world.server.now();
    let object = world.wait_mailbox("sales", "False", "AddressInUse").await;
    let said = stalled(&object, "AddressInUse");
    says(&said, &[SALES, "already used in the tenant", "take another"]);
    let reported = events_about(&world, "sales").await.join("\n") + &serde_json::to_string(&object).unwrap();
    assert!(
        !reported.contains("Salary"),
        "who has it is nobody's business: {reported}"
    );
    let waited = world.server.now().duration_since(started).as_secs();
    assert!((540..1500).contains(&waited), "{waited} s");
    assert_eq!(world.tenant.mailbox(SALES), None);
    world.tenant.set_faults(Faults::default());
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

/// `sales` was just created, with these faults from before.
async fn made_amid(faults: impl IntoIterator<Item = FaultRule>) -> World {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    for fault in faults {
        world.tenant.add_fault(fault);
    }
    world.apply(&sales(json!({}))).await;
    until(&world, "created", || world.tenant.mailbox(SALES).is_some()).await;
    world
}

/// `sales` was just created; Exchange acknowledges the next `times` markers and forgets them.
async fn made_and_marked_in_vain(times: u64) -> World {
    let forgotten = FaultRule::next(times, Fault::Forgotten)
        .on(&["Set-Mailbox"])
        .naming("CustomAttribute15");
    made_amid([forgotten]).await
}

/// `sales` is what a resource may leave behind.
fn assert_marked_and_blocked(world: &World, when: impl std::fmt::Debug) {
    let left = view(world);
    assert!(
        left.account_disabled && left.custom_attributes.contains_key(&15),
        "{when:?}: {left:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_marker_that_exchange_acknowledges_and_forgets_is_set_again_be_the_resource_there_or_about_to_go() {
    for deleted in [false, true] {
        let world = made_and_marked_in_vain(1).await;
        if deleted {
            world.delete_mailbox("sales").await;
            world.sleep(10 * 60).await;
            assert_marked_and_blocked(&world, "left behind");
            world.apply(&sales(json!({}))).await;
        }
        let mailbox = world.wait_mailbox("sales", "True", "UpToDate").await;
        assert!(mailbox.status.unwrap().mailbox_guid.is_some());
        assert_eq!(sent(&world, "New-Mailbox"), 1);
        assert!(view(&world).account_disabled);
    }
}

/// The answer to the mark that is set while the resource waits to be released is forgotten too.
#[tokio::test(start_paused = true)]
async fn a_resource_does_not_go_before_a_read_shows_its_marker() {
    let world = made_and_marked_in_vain(3).await;
    world.delete_mailbox("sales").await;
    world.sleep(20 * 60).await;
    assert!(view(&world).custom_attributes.contains_key(&15));
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(sent(&world, "New-Mailbox"), 1);
}

/// Its create was never answered, so after ten minutes it would count as never sent.
#[tokio::test(start_paused = true)]
async fn a_mailbox_that_was_seen_while_its_resource_waits_to_go_is_marked_however_long_it_takes() {
    let world = made_amid([
        FaultRule::next(1, Fault::LostAnswer).on(&["New-Mailbox"]),
        outage().on(&["Get-MailboxPermission"]),
    ])
    .await;
    world.delete_mailbox("sales").await;
    world.sleep(15 * 60).await;
    world.tenant.set_faults(Faults::default());
    world.sleep(10 * 60).await;
    assert_marked_and_blocked(&world, "left behind");
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(sent(&world, "New-Mailbox"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_is_unusable_for_minutes_lets_no_resource_go_before_its_mailbox_is_marked() {
    let refused = FaultRule::always(Fault::Unauthorized);
    for (trouble, reported) in [
        (outage(), ("Unknown", "Unreachable")),
        (refused, ("False", "NotAuthorized")),
    ] {
        let mut world = made_and_marked_in_vain(u64::MAX).await;
        world.delete_mailbox("sales").await;
        world.sleep(60).await;
        world.tenant.set_faults(Faults::default());
        world.tenant.add_fault(trouble);
        world.crash_operator().await;
        world.start_operator();
        world.wait_tenant(reported.0, reported.1).await;
        world.sleep(120).await;
        world.tenant.set_faults(Faults::default());
        world.sleep(600).await;
        assert_marked_and_blocked(&world, reported);
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_that_perhaps_happened_is_not_forgotten_because_the_next_attempt_was_throttled() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    let slow = Faults {
        not_found_after_create_ms: 9 * 60_000,
        ..Faults::default()
    };
    world.tenant.set_faults(slow.clone());
    let throttled = Fault::Throttled {
        retry_after_seconds: Some(20),
    };
    world
        .tenant
        .add_fault(FaultRule::next(1, Fault::LostAnswer).on(&["New-Mailbox"]));
    world
        .tenant
        .add_fault(FaultRule::always(throttled).on(&["New-Mailbox"]));
    world.apply(&sales(json!({}))).await;
    world.sleep(400).await;
    world.delete_mailbox("sales").await;
    world.sleep(60).await;
    world.tenant.set_faults(slow);
    until_marked_and_blocked(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_marker_that_exchange_forgets_does_not_cost_us_the_mailbox_when_each_part_is_set_alone() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    let busy = Fault::ServerError {
        status: 503,
        exception: None,
        message: None,
    };
    for fault in [FaultRule::next(12, busy), FaultRule::next(1, Fault::Forgotten)] {
        world.tenant.add_fault(fault.on(&["Set-Mailbox"]));
    }
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(view(&world).display_name, "sales");
    assert_eq!(sent(&world, "New-Mailbox"), 1);
}

/// The time of the announcement is that of the first attempt.
#[tokio::test(start_paused = true)]
async fn a_create_that_was_repeated_after_a_day_is_searched_for_as_long_as_a_new_one() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    let slow = Faults {
        not_found_after_create_ms: 20 * 60_000,
        ..Faults::default()
    };
    world.tenant.set_faults(slow.clone());
    let throttled = Fault::Throttled {
        retry_after_seconds: Some(60),
    };
    for rule in [
        FaultRule::next(1, Fault::LostRequest),
        FaultRule::always(throttled),
    ] {
        world.tenant.add_fault(rule.on(&["New-Mailbox"]));
    }
    world.apply(&sales(json!({}))).await;
    world.sleep(25 * HOUR).await;
    assert_eq!(shared_mailboxes(&world), 0);
    world.tenant.set_faults(slow);
    let lost = FaultRule::next(1, Fault::LostAnswer).on(&["New-Mailbox"]);
    world.tenant.add_fault(lost);
    until(&world, "it is created", || shared_mailboxes(&world) == 1).await;
    world.delete_mailbox("sales").await;
    released(&world).await;
    world.sleep(60).await;
    assert_eq!(world.ledgers().await.len(), 1, "no replica shows it yet");
    until_marked_and_blocked(&world).await;
}
