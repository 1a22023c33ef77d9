//! What is done and said of a mailbox whose manifest is not carried out: paused, refused, or within something whose deletion
//! somebody holds up.

use super::edits::patch_ledger;
use super::groups::{ALL_STAFF, expanded_as, person, staff};
use super::kit::*;
use super::remembered::*;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, CustomResourceExt};
use serde_json::{Value, json};
use shared_mailbox_operator::api::{MailboxPermission, SharedMailbox};
use simulator::{Fault, FaultRule, Faults, Seed, SeedUser};
use testkit::{World, condition, permission, with};

/// What a team writes that is not carried out, and how Ready is by it.
struct HeldBack {
    change: Value,
    status: &'static str,
    reason: &'static str,
}

fn held_back() -> [HeldBack; 2] {
    [
        HeldBack {
            change: json!({ "management": "Paused" }),
            status: "Unknown",
            reason: "Paused",
        },
        HeldBack {
            change: json!({ "emailAddress": "sales@elsewhere.example" }),
            status: "False",
            reason: "DomainNotAccepted",
        },
    ]
}

#[derive(Debug)]
struct MemberSummaries {
    mailbox: String,
    permission: String,
}

fn member_summaries(mailbox: &SharedMailbox, permission: &MailboxPermission) -> MemberSummaries {
    let mailbox = mailbox.status.as_ref().unwrap().member_summary.clone();
    let permission = permission.status.as_ref().unwrap().member_summary.clone();
    MemberSummaries {
        mailbox: mailbox.unwrap(),
        permission: permission.unwrap(),
    }
}

#[tokio::test(start_paused = true)]
async fn who_lost_a_right_meanwhile_is_not_said_to_hold_it() {
    for HeldBack {
        change,
        status,
        reason,
    } in held_back()
    {
        let world = sales_with(&[FIRST, SECOND]).await;
        world.apply(&sales(change)).await;
        world.wait_mailbox("sales", status, reason).await;
        depart(&world, SECOND).await;
        until(&world, "they lost everything", || holders(&world) == held(1, 1)).await;
        world.sleep(60).await;
        let object = world.mailbox("sales").await;
        let team = world.permission("team").await;
        let summaries = member_summaries(&object, &team);
        assert_eq!(summaries.mailbox, "1", "{reason}");
        assert_eq!(summaries.permission, "1/2", "{reason}");
        assert_ne!(
            condition(&object, "PermissionsSynced").unwrap().status,
            "True",
            "{reason}"
        );
        assert_eq!(condition(&object, "Ready").unwrap().reason, reason);
        stays_quiet(&world, std::time::Duration::from_hours(2)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_right_that_somebody_took_away_is_missed_and_not_granted() {
    let world = sales_with(&[FIRST, SECOND]).await;
    world.apply(&sales(json!({ "management": "Paused" }))).await;
    world.wait_mailbox("sales", "Unknown", "Paused").await;
    admin(
        &world,
        "Remove-RecipientPermission",
        json!({ "Identity": SALES, "Trustee": SECOND, "AccessRights": ["SendAs"] }),
    );
    forget(&world);
    world.sleep(INTERVAL).await;
    let object = world.mailbox("sales").await;
    let team = world.permission("team").await;
    assert_eq!(member_summaries(&object, &team).permission, "1/2");
    says(&member_message(&team, SECOND), &["management is Paused"]);
    let synced = condition(&object, "PermissionsSynced").unwrap();
    assert_eq!(
        (synced.status.as_str(), synced.reason.as_str()),
        ("False", "Withheld")
    );
    assert_eq!(world.writes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn what_enforce_would_do_is_not_listed_any_more_once_it_would_not() {
    for HeldBack {
        change,
        status,
        reason,
    } in held_back()
    {
        let world = sales_with(&[FIRST]).await;
        world
            .apply(&sales(
                json!({ "management": "Observe", "displayName": "Vendite" }),
            ))
            .await;
        let object = world.wait_mailbox("sales", "True", "Observed").await;
        assert_eq!(object.status.unwrap().pending_plan.len(), 1);
        world.apply(&sales(change)).await;
        let object = world.wait_mailbox("sales", status, reason).await;
        assert_eq!(object.status.unwrap().pending_plan, NOTHING, "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_was_just_created_is_marked_and_blocked_whatever_its_team_writes_then() {
    let changes = [
        json!({ "management": "Observe" }),
        held_back()[0].change.clone(),
        held_back()[1].change.clone(),
    ];
    for change in changes {
        let world = world(Seed::contoso(), json!({})).await;
        let fault = Fault::Throttled {
            retry_after_seconds: Some(20),
        };
        world
            .tenant
            .add_fault(FaultRule::always(fault).on(&["Set-Mailbox"]));
        world.apply(&sales(json!({}))).await;
        until(&world, "it is created", || shared_mailboxes(&world) == 1).await;
        world.apply(&team(&[FIRST])).await;
        world.apply(&sales(change.clone())).await;
        // A call that was under way waits up to three minutes for a tenant that throttles.
        world.sleep(300).await;
        world.tenant.set_faults(Faults::default());
        until_marked_and_blocked(&world).await;
        world.sleep(INTERVAL).await;
        assert_eq!(holders(&world), held(0, 0), "{change}");
        assert_eq!(shared_mailboxes(&world), 1, "{change}");
        assert_eq!(world.ledger().await.spec.intent, None, "{change}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_that_was_never_sent_is_not_sent_for_who_only_observes_or_pauses() {
    for (management, reason) in [("Observe", "Observed"), ("Paused", "Paused")] {
        let world = world(Seed::contoso(), json!({})).await;
        let fault = Fault::Throttled {
            retry_after_seconds: Some(20),
        };
        world
            .tenant
            .add_fault(FaultRule::always(fault).on(&["New-Mailbox"]));
        world.apply(&sales(json!({}))).await;
        let announced = async || (!world.ledgers().await.is_empty()).then_some(());
        world.wait("it is announced", announced).await;
        world.apply(&sales(json!({ "management": management }))).await;
        world.sleep(300).await;
        world.tenant.set_faults(Faults::default());
        world.sleep(INTERVAL).await;
        assert_eq!(shared_mailboxes(&world), 0, "{management}");
        let object = world.mailbox("sales").await;
        assert_eq!(condition(&object, "Ready").unwrap().reason, reason);
        if management == "Observe" {
            let status = object.status.unwrap();
            assert_eq!(status.pending_plan, ["create the mailbox"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_mailbox_that_cannot_be_protected_says_why() {
    let world = sales_with(&[FIRST, SECOND]).await;
    world.apply(&sales(json!({ "management": "Paused" }))).await;
    world.wait_mailbox("sales", "Unknown", "Paused").await;
    let other = json!({ "tenant": { "name": "default", "guid": "99999999-2222-3333-4444-555555555555" } });
    patch_ledger(&world, other).await;
    let object = world.wait_mailbox("sales", "False", "TenantChanged").await;
    says(&stalled(&object, "TenantChanged"), &["point it back"]);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_hangs_does_not_suspend_what_protects() {
    let world = world(Seed::contoso(), json!({})).await;
    settle(&world, &[FIRST, SECOND]).await;
    // Somebody's finalizer on another one is enough.
    let held_up = json!({ "metadata": { "finalizers": ["example.com/wait"] } });
    let other = permission("other", "elsewhere", &[THIRD], &["SendAs"]);
    world.apply(&with(other, &held_up)).await;
    world.sleep(5).await;
    let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    definitions
        .delete(MailboxPermission::crd_name(), &kube::api::DeleteParams::default())
        .await
        .unwrap();
    world.sleep(600).await;
    forget(&world);
    let before = world.mailbox("sales").await.status;
    depart(&world, SECOND).await;
    world.tenant.set_account_enabled(SALES, true).unwrap();
    world.sleep(2 * INTERVAL).await;
    assert_eq!(holders(&world), held(1, 1), "nobody else loses anything");
    assert!(view(&world).account_disabled);
    let after = world.mailbox("sales").await.status;
    let ready = |status: &Option<shared_mailbox_operator::api::SharedMailboxStatus>| {
        status.as_ref().unwrap().summary.clone()
    };
    assert_eq!(ready(&before), ready(&after), "the rest stays as it was reported");
}

#[tokio::test(start_paused = true)]
async fn who_is_declared_again_during_a_pause_and_taken_out_once_more_waits_for_its_end() {
    let world = sales_with(&[FIRST, SECOND]).await;
    throttle_removals(&world);
    world.apply(&team(&[FIRST])).await;
    until_removing(&world).await;
    world.apply(&sales(json!({ "management": "Paused" }))).await;
    world.apply(&team(&[FIRST, SECOND])).await;
    // A call that was under way waits up to three minutes for a tenant that throttles.
    world.sleep(300).await;
    world.tenant.set_faults(Faults::default());
    world.sleep(INTERVAL).await;
    assert_eq!(holders(&world), held(2, 2), "they are declared again");
    world.apply(&team(&[FIRST])).await;
    world.sleep(2 * INTERVAL).await;
    assert_eq!(holders(&world), held(2, 2), "nobody announced this removal");
    world.apply(&sales(json!({}))).await;
    until(&world, "the pause is over", || holders(&world) == held(1, 1)).await;
}

/// A mailbox with 490 people: 310 by name, and 180 who came with a group.
async fn with_490_people() -> World {
    let crowd: Vec<String> = (0..310).map(|n| format!("crowd{n}@contoso.com")).collect();
    let mut seed = staff(180, 230);
    for name in &crowd {
        seed = seed.with_user(SeedUser::person(name, name));
    }
    let world = world(seed, json!({})).await;
    world.apply(&sales(json!({}))).await;
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    world
        .apply(&permission("crowd", "sales", &crowd, &["SendAs"]))
        .await;
    world.apply(&expanded_as("team", ALL_STAFF)).await;
    world.wait_permission("crowd", "True", "Granted").await;
    world.wait_permission("team", "True", "Granted").await;
    world
}

#[tokio::test(start_paused = true)]
async fn who_leaves_a_large_group_makes_room_and_is_revoked() {
    let world = with_490_people().await;
    for number in 0..30 {
        let (left, joined) = (person(number), person(180 + number));
        world.tenant.remove_group_member(ALL_STAFF, &left).unwrap();
        world.tenant.add_group_member(ALL_STAFF, &joined).unwrap();
    }
    let id = |number: usize| world.tenant.object_id(&person(number)).unwrap();
    until(&world, "joiners in, leavers out", || {
        let holders = view(&world).send_as;
        (0..30).all(|n| !holders.contains(&id(n)) && holders.contains(&id(180 + n)))
    })
    .await;
    world.wait_permission("team", "True", "Granted").await;
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_room_in_a_large_group_is_named_and_the_others_are_followed() {
    let world = with_490_people().await;
    for number in 0..5 {
        world
            .tenant
            .remove_group_member(ALL_STAFF, &person(number))
            .unwrap();
    }
    for number in 180..200 {
        world.tenant.add_group_member(ALL_STAFF, &person(number)).unwrap();
    }
    let gone = world.tenant.object_id(&person(0)).unwrap();
    until(&world, "as many as there is room for", || {
        let holders = view(&world).send_as;
        holders.len() == 500 && !holders.contains(&gone)
    })
    .await;
    let team = world.wait_permission("team", "False", "PartiallyGranted").await;
    says(
        &stalled(&team, "PartiallyGranted"),
        &["5 people", ALL_STAFF, "500 people"],
    );
    let object = world.mailbox("sales").await;
    assert_eq!(
        condition(&object, "PermissionsSynced").unwrap().reason,
        "MembersRefused"
    );
}
