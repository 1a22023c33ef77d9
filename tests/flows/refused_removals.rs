//! A refused SharedMailbox changes nothing, and nobody keeps by it what they are to lose.

use super::kit::*;
use jiff::SignedDuration;
use serde_json::{Value, json};
use shared_mailbox_operator::api::SharedMailbox;
use simulator::{AccessRow, Seed};
use testkit::{NAMESPACE, World, condition, permission, tenant, with};

const FOURTH: &str = "fourth.member@contoso.com";
const ALL: [&str; 3] = ["FullAccess", "SendAs", "SendOnBehalf"];

/// Something that makes the operator refuse the mailbox, with the reason, and its end.
struct Refusal {
    reason: &'static str,
    tenant: Value,
    sales: Value,
}

/// A tenant whose only rule is this one, merged into the usual one.
fn rule(change: &Value) -> Value {
    let mut rule = tenant()["spec"]["access"][0].clone();
    for (field, value) in change.as_object().unwrap() {
        rule[field] = value.clone();
    }
    with(tenant(), &json!({ "spec": { "access": [rule] } }))
}

/// Each also asks for another name: that is never written.
fn refusals() -> Vec<Refusal> {
    let named = |mut change: Value| {
        change["displayName"] = json!("Another Name");
        sales(change)
    };
    vec![
        Refusal {
            reason: "AccessDenied",
            tenant: rule(&json!({ "powers": [] })),
            sales: named(json!({ "permissions": { "mode": "Exclusive" } })),
        },
        Refusal {
            reason: "AccessDenied",
            tenant: rule(&json!({ "addresses": ["others@contoso.com"] })),
            sales: named(json!({})),
        },
        Refusal {
            reason: "DomainNotAccepted",
            tenant: rule(&json!({ "addresses": ["*@contoso.com", "*@elsewhere.example"] })),
            sales: named(json!({ "aliases": ["sales@elsewhere.example"] })),
        },
        Refusal {
            reason: "InvalidSpec",
            tenant: tenant(),
            sales: sales(json!({ "displayName": "Another\u{7}" })),
        },
    ]
}

/// `THIRD` has everything until `hours` after the start.
fn temporary(hours: i64) -> Value {
    let start: jiff::Timestamp = testkit::START.parse().unwrap();
    let end = start + SignedDuration::from_hours(hours);
    with(
        permission("temp", "sales", &[THIRD], &ALL),
        &json!({ "spec": { "expiresAt": end.to_string() } }),
    )
}

fn holds(world: &World, who: &str) -> usize {
    let id = world.tenant.object_id(who).unwrap();
    let view = view(world);
    let full_access = view
        .full_access
        .iter()
        .filter(|entry| entry.trustee == id && !entry.deny)
        .count();
    full_access + usize::from(view.send_as.contains(&id)) + usize::from(view.on_behalf.contains(&id))
}

/// Refused, with the first two in `team` and the third for twelve hours.
async fn refused(refusal: &Refusal) -> World {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    world
        .apply(&permission("team", "sales", &[FIRST, SECOND], &ALL))
        .await;
    world.apply(&temporary(12)).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
    world.wait_permission("temp", "True", "Granted").await;
    world.apply(&refusal.tenant).await;
    world.apply(&refusal.sales).await;
    world.wait_mailbox("sales", "False", refusal.reason).await;
    world.sleep(5).await;
    forget(&world);
    world
}

/// Only cmdlets that take away were sent.
fn only_removals(world: &World) {
    let removes = |cmdlet: &String| {
        cmdlet.starts_with("Remove-") || (cmdlet == "Set-Mailbox" && on_behalf_removals(world))
    };
    let writes = world.writes();
    assert!(writes.iter().all(removes), "{writes:?}");
}

/// Every Set-Mailbox changes nothing but who may send on behalf, and adds nobody.
fn on_behalf_removals(world: &World) -> bool {
    calls(world, "Set-Mailbox").iter().all(|parameters| {
        let fields: Vec<&String> = parameters.as_object().unwrap().keys().collect();
        let known = [
            "Identity",
            "GrantSendOnBehalfTo",
            "Confirm",
            "ErrorAction",
            "WarningAction",
        ];
        fields.iter().all(|field| known.contains(&field.as_str()))
            && parameters["GrantSendOnBehalfTo"].get("Add").is_none()
    })
}

#[tokio::test(start_paused = true)]
async fn ends_departures_and_members_taken_out_do_not_wait_for_a_refused_mailbox() {
    for refusal in refusals() {
        let reason = refusal.reason;
        let world = refused(&refusal).await;
        world.sleep(INTERVAL).await;
        assert_eq!(
            world.writes(),
            NOTHING,
            "{reason}: everybody keeps what is declared"
        );

        world
            .apply(&permission("team", "sales", &[FIRST, FOURTH], &ALL))
            .await;
        until(&world, "who was taken out has nothing", || {
            holds(&world, SECOND) == 0
        })
        .await;
        assert_eq!(holds(&world, FOURTH), 0, "{reason}: nothing new is granted");

        let mut late = 0;
        world.sleep(12 * 3600 - seconds_since_start(&world)).await;
        while holds(&world, THIRD) > 0 {
            world.sleep(1).await;
            late += 1;
            assert!(late <= 5, "{reason}: {late} s after the end");
        }
        let temp = world.wait_permission("temp", "True", "Expired").await;
        assert_eq!(temp.status.unwrap().revoked.len(), 3, "{reason}");

        assert_eq!(holds(&world, FIRST), 3, "{reason}");
        let departed = with(
            refusal.tenant.clone(),
            &json!({ "spec": { "departed": [FIRST] } }),
        );
        world.apply(&departed).await;
        until(&world, "who has left has nothing", || holds(&world, FIRST) == 0).await;
        only_removals(&world);
        let team = world.permission("team").await.status.unwrap();
        let reported = team.members.iter().map(|member| member.address.as_str());
        assert_eq!(
            reported.collect::<Vec<_>>(),
            NOTHING,
            "{reason}: nobody is reported as granted who is not"
        );
        let mailbox = world.wait_mailbox("sales", "False", reason).await;
        stalled(&mailbox, reason);
        assert_eq!(
            mailbox.status.unwrap().revoked.len(),
            9,
            "{reason}: all three are listed"
        );
        stays_quiet(&world, std::time::Duration::from_secs(3 * INTERVAL)).await;

        // Put right, everything else follows.
        world.apply(&tenant()).await;
        world
            .apply(&sales(
                json!({ "permissions": { "mode": "Additive" }, "aliases": [] }),
            ))
            .await;
        world.wait_mailbox("sales", "True", "UpToDate").await;
        assert_eq!(
            (holds(&world, FIRST), holds(&world, FOURTH), holds(&world, THIRD)),
            (3, 3, 0)
        );
    }
}

fn seconds_since_start(world: &World) -> u64 {
    let start: jiff::Timestamp = testkit::START.parse().unwrap();
    u64::try_from(world.server.now().duration_since(start).as_secs()).unwrap()
}

fn sign_in_blocked(mailbox: &SharedMailbox) -> String {
    condition(mailbox, "SignInBlocked").unwrap().in_short()
}

#[tokio::test(start_paused = true)]
async fn sign_in_that_somebody_opens_is_blocked_again_on_a_refused_mailbox() {
    for refusal in refusals() {
        let world = refused(&refusal).await;
        world.tenant.set_account_enabled(SALES, true).unwrap();
        look_now(&world).await;
        until(&world, "sign-in is blocked", || view(&world).account_disabled).await;
        world.sleep(60).await;
        let mailbox = world.wait_mailbox("sales", "False", refusal.reason).await;
        assert_eq!(sign_in_blocked(&mailbox), "True Blocked");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_mailbox_that_is_not_ours_any_more_is_left_alone() {
    let world = refused(&refusals()[0]).await;
    admin(
        &world,
        "Set-Mailbox",
        json!({ "Identity": SALES, "CustomAttribute15": "taken over" }),
    );
    forget(&world);
    world.apply(&permission("team", "sales", &[FIRST], &ALL)).await;
    world.sleep(3 * INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    world.wait_mailbox("sales", "False", "AccessDenied").await;
}

#[tokio::test(start_paused = true)]
async fn too_much_at_once_is_held_on_a_refused_mailbox_too_and_shown() {
    let refusal = &refusals()[0];
    let world = refused(refusal).await;
    let careful = json!({ "spec": { "safety": { "maxRevocations": 1, "maxRevocationPercent": 1 } } });
    world.apply(&with(refusal.tenant.clone(), &careful)).await;
    world.sleep(60).await;
    world.apply(&permission("team", "sales", &[FIRST], &ALL)).await;
    world.sleep(INTERVAL).await;
    assert_eq!((holds(&world, SECOND), world.writes()), (3, vec![]));
    let mailbox = world.wait_mailbox("sales", "False", "AccessDenied").await;
    let held = mailbox.status.unwrap().held.expect("what is held is shown");
    says(&held.changes.join("; "), &[SECOND, "SendAs"]);
    let asked = json!({ "metadata": { "annotations": { "sharedmailbox.dev/approve": held.id } } });
    world.apply(&with(refusal.sales.clone(), &asked)).await;
    until(&world, "approved", || holds(&world, SECOND) == 0).await;
    world.sleep(60).await;
    let mailbox = world.wait_mailbox("sales", "False", "AccessDenied").await;
    assert_eq!(mailbox.status.unwrap().held, None);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_exchange_could_not_take_is_sent_soon_after() {
    let world = refused(&refusals()[0]).await;
    world.tenant.add_fault(outage());
    world.apply(&permission("team", "sales", &[FIRST], &ALL)).await;
    world.sleep(30).await;
    assert_eq!(holds(&world, SECOND), 3);
    world.tenant.set_faults(simulator::Faults::default());
    world.sleep(60).await;
    assert_eq!(holds(&world, SECOND), 0);
}

#[tokio::test(start_paused = true)]
async fn strangers_and_orphans_stay_on_a_mailbox_whose_exclusive_is_refused() {
    let world = refused(&refusals()[0]).await;
    world.tenant.inject_access(SALES, &AccessRow::of(FOURTH)).unwrap();
    look_now(&world).await;
    world.sleep(INTERVAL).await;
    assert_eq!(holds(&world, FOURTH), 1);
    assert_eq!(world.writes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn an_end_does_not_wait_for_a_member_who_is_refused_elsewhere() {
    let narrow = json!({ "spec": { "access": [
        { "namespaces": { "names": [NAMESPACE] }, "addresses": ["*@contoso.com"], "members": ["*@contoso.com"],
          "rights": ["FullAccess", "SendOnBehalf", "SendAs"] }] } });
    let world = world(Seed::contoso(), narrow.clone()).await;
    settle(&world, &[FIRST]).await;
    world.apply(&temporary(2)).await;
    world.wait_permission("temp", "True", "Granted").await;
    let stays = permission("stays", "sales", &[THIRD], &["FullAccess"]);
    world.apply(&stays).await;
    world.wait_permission("stays", "True", "Granted").await;
    let mut narrower = narrow["spec"]["access"][0].clone();
    narrower["members"] = json!([FIRST]);
    world
        .apply(&with(tenant(), &json!({ "spec": { "access": [narrower] } })))
        .await;
    world.wait_permission("stays", "False", "MembersRefused").await;
    world.sleep(3 * 3600).await;
    assert_eq!(
        holds(&world, THIRD),
        1,
        "Full Access is declared still, and its member refused"
    );
    let id = world.tenant.object_id(THIRD).unwrap();
    assert!(!view(&world).send_as.contains(&id) && !view(&world).on_behalf.contains(&id));
}

#[tokio::test(start_paused = true)]
async fn what_a_refused_manifest_leaves_unchecked_is_reported_of_the_generation_before() {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    let before = world.wait_mailbox("sales", "True", "UpToDate").await;
    world
        .apply(&sales(json!({ "displayName": "Another\u{7}" })))
        .await;
    let after = world.wait_mailbox("sales", "False", "InvalidSpec").await;
    let generation = |object: &SharedMailbox, kind: &str| {
        let status = object.status.as_ref().unwrap();
        let found = status.conditions.iter().find(|condition| condition.type_ == kind);
        found.unwrap().observed_generation
    };
    assert_eq!(generation(&after, "Ready"), after.metadata.generation);
    assert_eq!(generation(&after, "SettingsSynced"), before.metadata.generation);
    assert_ne!(before.metadata.generation, after.metadata.generation);
}
