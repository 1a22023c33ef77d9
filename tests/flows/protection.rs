//! What protects outranks what a team writes: whatever a team does with its own objects, people who have left, rights whose
//! end has come, removals that were announced and an open account are taken care of within one interval.

use std::time::Duration;

use super::kit::*;
use super::remembered::*;
use jiff::SignedDuration;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use shared_mailbox_operator::api::{MailboxPermission, SharedMailbox, TIME_PATTERN, all_crds};
use simulator::{Faults, Seed};
use testkit::{World, condition, permission, tenant, with};

/// What protects.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Duty {
    Departed,
    End,
    Owed,
    Block,
}

const DUTIES: [Duty; 4] = [Duty::Departed, Duty::End, Duty::Owed, Duty::Block];

impl Duty {
    /// `sales`, with what is to be taken away.
    async fn begin(self) -> World {
        match self {
            Self::Departed => sales_with(&[FIRST, SECOND]).await,
            Self::End => {
                let world = sales_with(&[FIRST]).await;
                let end = world.server.now() + SignedDuration::from_hours(1);
                guest_until(&world, end).await;
                world
            }
            Self::Owed => {
                let world = sales_with(&[FIRST, SECOND]).await;
                throttle_removals(&world);
                world.apply(&team(&[FIRST])).await;
                until_removing(&world).await;
                world
            }
            Self::Block => sales_with(&[FIRST]).await,
        }
    }

    /// From now on it is due.
    async fn fall_due(self, world: &World, tenant: &Value) {
        match self {
            Self::Departed => {
                let departed = json!({ "spec": { "departed": [SECOND] } });
                world.apply(&with(tenant.clone(), &departed)).await;
            }
            Self::End => world.sleep(HOUR - 600).await,
            Self::Owed => world.tenant.set_faults(Faults::default()),
            Self::Block => world.tenant.set_account_enabled(SALES, true).unwrap(),
        }
    }

    fn is_done(self, world: &World) -> bool {
        match self {
            Self::Departed | Self::End | Self::Owed => holders(world) == held(1, 1),
            Self::Block => view(world).account_disabled,
        }
    }
}

/// What a team does meanwhile.
#[derive(Clone, Copy, Debug)]
enum Team {
    Writes(fn() -> Value),
    /// Writes what the operator can't decode, and what the definitions took at that time.
    WritesUnreadable(fn() -> Value),
    /// Deletes the mailbox, and holds its deletion up.
    HoldsUp,
    WipesStatus,
    ForgesStatus,
    ForgesUnreadableStatus,
    ChurnsLabels,
}

/// The API server takes it for a time, and nobody can say which.
const NO_TIME: &str = "2026-01-01T00:00:00+99:99";

const TEAMS: [(&str, Team); 12] = [
    ("paused", Team::Writes(|| json!({ "management": "Paused" }))),
    ("observe", Team::Writes(|| json!({ "management": "Observe" }))),
    ("invalid", Team::Writes(|| json!({ "displayName": "Sales\u{7}" }))),
    (
        "an alias that is no address",
        Team::Writes(|| json!({ "aliases": ["a..b@contoso.com"] })),
    ),
    (
        "a primary address that is none",
        Team::Writes(|| json!({ "emailAddress": ".sales@contoso.com" })),
    ),
    (
        "refused",
        Team::Writes(|| json!({ "emailAddress": "sales@elsewhere.example" })),
    ),
    (
        "an absence that ends at no time",
        Team::WritesUnreadable(
            || json!({ "spec": { "automaticReplies": { "state": "Disabled", "end": NO_TIME } } }),
        ),
    ),
    ("deleting", Team::HoldsUp),
    ("wiped", Team::WipesStatus),
    ("forged", Team::ForgesStatus),
    ("forged so that nobody can read it", Team::ForgesUnreadableStatus),
    ("churned", Team::ChurnsLabels),
];

impl Team {
    async fn begin(self, world: &World) {
        match self {
            Self::Writes(change) => world.apply(&sales(change())).await,
            Self::HoldsUp => {
                let held_up = json!({ "metadata": { "finalizers": ["example.com/wait"] } });
                world.apply(&with(sales(json!({})), &held_up)).await;
                world.delete_mailbox("sales").await;
            }
            Self::WritesUnreadable(change) => unreadable(world, change(), Part::Spec).await,
            Self::ForgesUnreadableStatus => {
                unreadable(world, forged_at_no_time(), Part::Status).await;
            }
            Self::WipesStatus | Self::ForgesStatus | Self::ChurnsLabels => self.go_on(world, 0).await,
        }
        // Whatever was sent before is answered.
        world.sleep(600).await;
    }

    async fn go_on(self, world: &World, round: u64) {
        match self {
            Self::Writes(_) | Self::WritesUnreadable(_) | Self::ForgesUnreadableStatus | Self::HoldsUp => {}
            Self::WipesStatus => {
                patch_status::<SharedMailbox>(world, "sales", json!(null)).await;
                patch_status::<MailboxPermission>(world, "team", json!(null)).await;
            }
            Self::ForgesStatus => patch_status::<SharedMailbox>(world, "sales", forged()).await,
            Self::ChurnsLabels => {
                let labels = json!({ "metadata": { "labels": { "round": round.to_string() } } });
                let params = PatchParams::default();
                let mailboxes = world.api::<SharedMailbox>();
                mailboxes
                    .patch("sales", &params, &Patch::Merge(&labels))
                    .await
                    .unwrap();
                let permissions = world.api::<MailboxPermission>();
                permissions
                    .patch("team", &params, &Patch::Merge(&labels))
                    .await
                    .unwrap();
            }
        }
    }
}

/// Merges `change` into the SharedMailbox as somebody did while the definitions took every time of the API server's.
async fn unreadable(world: &World, change: Value, part: Part) {
    for mut crd in all_crds() {
        let text = serde_json::to_string(&crd).unwrap();
        crd = serde_json::from_str(&text.replace(&format!(",\"pattern\":{TIME_PATTERN:?}"), "")).unwrap();
        world.server.install_crd(crd);
    }
    let kind = ApiResource::erase::<SharedMailbox>(&());
    let mailboxes: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), "team-sales", &kind);
    let (patch, params) = (Patch::Merge(change), PatchParams::default());
    match part {
        Part::Spec => mailboxes.patch("sales", &params, &patch).await.unwrap(),
        Part::Status => mailboxes.patch_status("sales", &params, &patch).await.unwrap(),
    };
    for crd in all_crds() {
        world.server.install_crd(crd);
    }
}

enum Part {
    Spec,
    Status,
}

fn forged_at_no_time() -> Value {
    let revoked = json!({ "address": FIRST, "objectId": "x", "right": "SendAs", "revokedAt": NO_TIME });
    json!({ "status": { "revoked": [revoked] } })
}

fn forged() -> Value {
    let ready = json!({ "type": "Ready", "status": "True", "reason": "UpToDate", "message": "",
                        "lastTransitionTime": "2026-11-22T09:00:00Z" });
    json!({
        "mailboxGuid": "99999999-2222-3333-4444-555555555555",
        "objectId": "99999999-2222-3333-4444-555555555555",
        "tenantGuid": "99999999-2222-3333-4444-555555555555",
        "observedGeneration": 4711, "conditions": [ready], "revoked": [],
    })
}

/// Waits up to one interval, and says after how many seconds it was done.
async fn done_within_an_interval(world: &World, duty: Duty, team: Team) -> Option<u64> {
    const ROUND: u64 = 10;
    for round in 1..=INTERVAL / ROUND {
        team.go_on(world, round).await;
        world.sleep(ROUND).await;
        if duty.is_done(world) {
            return Some(round * ROUND);
        }
    }
    None
}

#[tokio::test(start_paused = true)]
async fn whatever_a_team_does_what_protects_is_done_within_an_interval() {
    let mut failed = Vec::new();
    for (name, team) in TEAMS {
        for duty in DUTIES {
            let world = duty.begin().await;
            team.begin(&world).await;
            duty.fall_due(&world, &tenant()).await;
            if done_within_an_interval(&world, duty, team).await.is_none() {
                failed.push(format!("{duty:?} under {name}"));
                continue;
            }
            world.sleep(INTERVAL).await;
            let left = view(&world);
            if !duty.is_done(&world) || (left.full_access.len(), left.send_as.len()) != (1, 1) {
                failed.push(format!(
                    "{duty:?} under {name}: not what protects alone: {left:?}"
                ));
            }
        }
    }
    assert_eq!(failed, NOTHING);
}

#[tokio::test(start_paused = true)]
async fn nothing_but_what_protects_is_written_while_a_team_pauses_or_observes() {
    for management in ["Paused", "Observe"] {
        let world = sales_with(&[FIRST, SECOND]).await;
        let other =
            json!({ "management": management, "displayName": "Vendite", "aliases": ["vendite@contoso.com"] });
        world.apply(&sales(other)).await;
        world.apply(&team(&[FIRST, THIRD])).await;
        world.sleep(INTERVAL).await;
        assert_eq!(world.writes(), NOTHING, "{management}: who is taken out waits");
        depart(&world, FIRST).await;
        world.tenant.set_account_enabled(SALES, true).unwrap();
        world.sleep(INTERVAL).await;
        let second = world.tenant.object_id(SECOND).unwrap();
        assert_eq!(holders(&world), held(1, 1), "{management}");
        assert_eq!(view(&world).send_as, [second], "{management}");
        assert!(view(&world).account_disabled, "{management}");
        let before = (view(&world).display_name, sent(&world, "Add-MailboxPermission"));
        assert_eq!(before, ("sales".to_owned(), 0), "{management}");
        let events = events_about(&world, "sales").await.join("\n");
        says(&events, &[&format!("revoke SendAs of {FIRST}")]);
        forget(&world);
        world.sleep(INTERVAL).await;
        assert_eq!(world.writes(), NOTHING, "{management}: once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_and_an_observed_mailbox_say_so_while_what_protects_is_done() {
    let world = sales_with(&[FIRST, SECOND]).await;
    world
        .apply(&sales(
            json!({ "management": "Observe", "displayName": "Vendite" }),
        ))
        .await;
    sales_drifts(&world).await;
    depart(&world, SECOND).await;
    until(&world, "they lost everything", || holders(&world) == held(1, 1)).await;
    world.sleep(INTERVAL).await;
    let object = sales_drifts(&world).await;
    let status = object.status.as_ref().unwrap();
    assert_eq!(status.pending_plan, ["set displayName to \"Vendite\""]);
    assert_eq!(status.revoked.len(), 2);
    let team = world.wait_permission("team", "False", "PartiallyGranted").await;
    says(&member_message(&team, SECOND), &["departed"]);
    world.apply(&sales(json!({ "management": "Paused" }))).await;
    world.wait_mailbox("sales", "Unknown", "Paused").await;
    depart(&world, FIRST).await;
    world.tenant.set_account_enabled(SALES, true).unwrap();
    until(&world, "they lost everything", || view(&world).send_as.is_empty()).await;
    world.sleep(INTERVAL).await;
    let object = world.wait_mailbox("sales", "Unknown", "Paused").await;
    says(
        &condition(&object, "Ready").unwrap().message,
        &["only what protects"],
    );
    assert_eq!(condition(&object, "SignInBlocked").unwrap().status, "True");
    assert!(object.status.unwrap().revoked.len() >= 2);
    world.wait_permission("team", "Unknown", "Paused").await;
    stays_quiet(&world, std::time::Duration::from_hours(2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_failed_under_paused_is_tried_again_soon() {
    let world = sales_with(&[FIRST, SECOND]).await;
    world.apply(&sales(json!({ "management": "Paused" }))).await;
    world.wait_mailbox("sales", "Unknown", "Paused").await;
    let failing = simulator::FaultRule::next(
        2,
        simulator::Fault::ServerError {
            status: 503,
            exception: None,
            message: None,
        },
    );
    world
        .tenant
        .add_fault(failing.on(&["Remove-MailboxPermission", "Remove-RecipientPermission"]));
    depart(&world, SECOND).await;
    world.sleep(120).await;
    assert_eq!(holders(&world), held(1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_owner_of_a_tenant_stops_what_protects_too() {
    for (management, by_team) in [
        ("Paused", "Enforce"),
        ("Observe", "Enforce"),
        ("Observe", "Paused"),
        ("Observe", "Observe"),
    ] {
        for duty in DUTIES {
            let world = duty.begin().await;
            let stopped = with(tenant(), &json!({ "spec": { "management": management } }));
            world.apply(&stopped).await;
            world.apply(&sales(json!({ "management": by_team }))).await;
            // Whatever was sent before is answered.
            world.sleep(600).await;
            forget(&world);
            duty.fall_due(&world, &stopped).await;
            world.sleep(INTERVAL).await;
            assert_eq!(
                world.writes(),
                NOTHING,
                "{duty:?} under the tenant's {management} and the team's {by_team}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_is_not_enforced_says_on_how_many_mailboxes_nothing_protects() {
    let world = sales_with(&[FIRST, SECOND]).await;
    let condition_now = || async { condition(&world.tenant_resource().await, "ProtectionSuspended") };
    assert!(condition_now().await.is_none(), "everything is protected");

    let observed = json!({ "spec": { "management": "Observe", "departed": [SECOND] } });
    world.apply(&with(tenant(), &observed)).await;
    world.sleep(INTERVAL).await;

    let suspended = condition_now().await.unwrap();
    assert_eq!((&*suspended.status, &*suspended.reason), ("True", "Observe"));
    let counts = "on 1 mailbox, and on 1 of them people in spec.departed hold rights";
    assert!(suspended.message.contains(counts), "{}", suspended.message);
    let events = events_about(&world, "default").await;
    assert!(
        events
            .iter()
            .any(|event| event.starts_with("ProtectionSuspended")),
        "{events:?}"
    );

    world
        .apply(&with(tenant(), &json!({ "spec": { "departed": [SECOND] } })))
        .await;
    world.sleep(INTERVAL).await;
    assert!(condition_now().await.is_none(), "it is enforced again");
    assert_eq!(holders(&world), held(1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_a_rule_lets_people_sign_in_to_is_left_open_by_a_pause() {
    let world = world(Seed::contoso(), json!({})).await;
    settle(&world, &[FIRST]).await;
    for change in [
        json!({ "signIn": "Allowed" }),
        json!({ "signIn": "Allowed", "management": "Paused" }),
        json!({ "signIn": "Allowed", "management": "Observe" }),
        json!({ "signIn": "Allowed", "displayName": "Sales\u{7}" }),
    ] {
        world.apply(&sales(change.clone())).await;
        world.sleep(INTERVAL).await;
        assert!(!view(&world).account_disabled, "{change}");
        let object = world.mailbox("sales").await;
        assert_eq!(
            condition(&object, "SignInBlocked").unwrap().reason,
            "AllowedBySpec",
            "{change}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalid_manifest_does_not_borrow_the_power_of_another_address() {
    let mut narrow = tenant()["spec"]["access"][0].clone();
    narrow["powers"] = json!([]);
    narrow["addresses"] = json!([SALES]);
    let mut wide = tenant()["spec"]["access"][0].clone();
    wide["addresses"] = json!(["*@sales.contoso.com"]);
    let rules = json!({ "spec": { "access": [narrow, wide] } });
    for management in ["Enforce", "Paused", "Observe"] {
        let world = world(Seed::contoso(), rules.clone()).await;
        settle(&world, &[FIRST]).await;
        world
            .apply(&sales(json!({
                "emailAddress": "other@sales.contoso.com", "signIn": "Allowed", "displayName": "Sales\u{7}",
                "management": management,
            })))
            .await;
        world.sleep(30).await;
        world.tenant.set_account_enabled(SALES, true).unwrap();
        world.sleep(INTERVAL).await;
        assert!(view(&world).account_disabled, "{management}");
    }
}

#[tokio::test(start_paused = true)]
async fn permissions_that_come_and_go_without_an_end_suspend_nothing() {
    let world = sales_with(&[FIRST]).await;
    let own = |name: &str, who: &str| permission(name, "sales", &[who], &["SendAs"]);
    let two = [own("one", SECOND), own("two", THIRD)];
    for permission in &two {
        world.apply(permission).await;
    }
    world.wait_permission("one", "True", "Granted").await;
    world.wait_permission("two", "True", "Granted").await;
    let churn = async {
        for round in 0_usize.. {
            let (gone, back) = (["one", "two"][round % 2], &two[(round + 1) % 2]);
            world.delete_permission(gone).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            if round > 0 {
                world.apply(back).await;
            }
            tokio::time::sleep(Duration::from_millis(1400)).await;
        }
    };
    let protected = async {
        world.sleep(60).await;
        world.tenant.set_account_enabled(SALES, true).unwrap();
        depart(&world, FIRST).await;
        world.sleep(INTERVAL).await;
    };
    tokio::select! {
        () = protected => {}
        () = churn => unreachable!("it has no end"),
    }
    let first = world.tenant.object_id(FIRST).unwrap();
    let left = view(&world);
    assert!(left.account_disabled && left.full_access.is_empty(), "{left:?}");
    assert!(!left.send_as.contains(&first), "{left:?}");
}
