//! Rights of members over time: automapping, renames, unions, objects that can't be read.

use super::kit::*;
use super::remembered::{held, holders, throttle_removals, until_removing};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use shared_mailbox_operator::api::{MailboxPermission, all_crds};
use simulator::Rename;
use testkit::api_server::{Disturbance, Verb, on};
use testkit::kstatus::{Kstatus, of};
use testkit::{World, condition, permission, with};

fn full_access(name: &str, members: &[&str], auto_mapping: bool) -> Value {
    let mapping = json!({ "spec": { "autoMapping": auto_mapping } });
    with(permission(name, "sales", members, &["FullAccess"]), &mapping)
}

fn mapped(world: &World, member: &str) -> Option<bool> {
    let id = world.tenant.object_id(member).unwrap();
    view(world)
        .full_access
        .iter()
        .find(|entry| entry.trustee == id)
        .map(|entry| entry.auto_mapping)
}

#[tokio::test(start_paused = true)]
async fn automapping_changes_by_one_revoke_and_one_grant_for_each_person() {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    world.apply(&full_access("all", &[FIRST, SECOND], true)).await;
    world.apply(&full_access("third", &[THIRD], true)).await;
    world.wait_permission("all", "True", "Granted").await;
    world.sleep(2).await;
    forget(&world);
    world.apply(&full_access("all", &[FIRST, SECOND], false)).await;
    world.wait_permission("all", "True", "Granted").await;
    until(&world, "nothing is mapped", || {
        mapped(&world, SECOND) == Some(false)
    })
    .await;
    assert_eq!(mapped(&world, FIRST), Some(false));
    assert_eq!(mapped(&world, THIRD), Some(true));
    let (remove, add) = ("Remove-MailboxPermission", "Add-MailboxPermission");
    assert_eq!(world.writes(), [remove, add, remove, add], "one person at a time");
    world.sleep(2).await;
    forget(&world);
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn of_two_permissions_the_one_without_automapping_wins_until_it_is_deleted() {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    world.apply(&full_access("with", &[FIRST], true)).await;
    world.apply(&full_access("without", &[FIRST], false)).await;
    world.wait_permission("without", "True", "Granted").await;
    world.wait_permission("with", "True", "Granted").await;
    assert_eq!(mapped(&world, FIRST), Some(false));
    world.delete_permission("without").await;
    until(&world, "the other counts alone", || {
        mapped(&world, FIRST) == Some(true)
    })
    .await;
    world.delete_permission("with").await;
    until(&world, "nobody asks for it", || mapped(&world, FIRST).is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_renamed_member_costs_nothing() {
    let world = sales_with(&[FIRST, SECOND]).await;
    let rename = Rename {
        upn: Some("first.married@contoso.com".into()),
        address: Some("first.married@contoso.com".into()),
        display_name: Some("First Married".into()),
        drop_old_address: false,
    };
    world.tenant.rename_user(FIRST, &rename).unwrap();
    world.sleep(2 * 3600).await;
    assert_eq!(world.writes(), NOTHING);
    assert_eq!(world.kubernetes_writes(), NOTHING);
    world.apply(&team(&["first.married@contoso.com", SECOND])).await;
    world.wait_permission("team", "True", "Granted").await;
    assert_eq!(world.writes(), NOTHING, "the manifest follows the rename");
    world.apply(&team(&[SECOND])).await;
    until(&world, "the renamed member is revoked", || {
        view(&world).send_as.len() == 1
    })
    .await;
    assert_eq!(view(&world).full_access.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_person_under_two_addresses_is_granted_once() {
    let world = World::start().await;
    let alias = json!({ "@odata.type": "#Exchange.GenericHashTable", "add": ["1st@contoso.com"] });
    admin(
        &world,
        "Set-Mailbox",
        json!({ "Identity": FIRST, "EmailAddresses": alias }),
    );
    forget(&world);
    world.apply(&sales(json!({}))).await;
    world.apply(&team(&[FIRST, "1st@contoso.com"])).await;
    let team = world.wait_permission("team", "True", "Granted").await;
    assert_eq!(team.status.unwrap().member_summary.as_deref(), Some("2/2"));
    assert_eq!(sent(&world, "Add-MailboxPermission"), 1);
    assert_eq!(
        world
            .mailbox("sales")
            .await
            .status
            .unwrap()
            .member_summary
            .as_deref(),
        Some("1")
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_is_granted_like_a_person() {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    let group = json!({ "spec": { "members": [{ "group": "sales-team@contoso.com" }] } });
    let all = permission("team", "sales", &[], &["FullAccess", "SendAs", "SendOnBehalf"]);
    world.apply(&with(all, &group)).await;
    world.wait_permission("team", "True", "Granted").await;
    let group = world.tenant.object_id("sales-team@contoso.com").unwrap();
    let view = view(&world);
    assert_eq!((view.send_as, view.on_behalf), (vec![group], vec![group]));
    forget(&world);
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
}

/// The definition of MailboxPermission as a newer version may have it: with a right that we don't know.
fn newer_definition() -> CustomResourceDefinition {
    let crd = all_crds()
        .into_iter()
        .find(|crd| crd.spec.names.kind == "MailboxPermission")
        .unwrap();
    let text = serde_json::to_string(&crd)
        .unwrap()
        .replace("\"SendOnBehalf\"]", "\"SendOnBehalf\",\"ReadItems\"]");
    serde_json::from_str(&text).unwrap()
}

/// MailboxPermissions as a client of another version sees them.
fn newer_permissions(world: &World) -> Api<DynamicObject> {
    let kind = ApiResource::erase::<MailboxPermission>(&());
    Api::namespaced_with(world.client.clone(), "team-sales", &kind)
}

async fn apply_newer(world: &World, manifest: &Value) {
    let name = manifest["metadata"]["name"].as_str().unwrap();
    let params = PatchParams::apply("tests").force();
    newer_permissions(world)
        .patch(name, &params, &Patch::Apply(manifest))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_revokes_nobody_and_comes_back_when_it_can() {
    let mut world = sales_with(&[FIRST]).await;
    world
        .apply(&permission("more", "sales", &[SECOND], &["SendAs"]))
        .await;
    world.wait_permission("more", "True", "Granted").await;
    world.server.install_crd(newer_definition());
    apply_newer(
        &world,
        &permission("more", "sales", &[SECOND], &["SendAs", "ReadItems"]),
    )
    .await;
    forget(&world);
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING, "what it declared before stays declared");
    let newer = newer_permissions(&world).get("more").await.unwrap();
    says(&stalled(&newer, "Unreadable"), &["can't read the resource"]);
    assert_eq!(of(&newer), Kstatus::Failed);
    assert_eq!(
        world.kubernetes_writes(),
        ["PUT mailboxpermissions/more/status"],
        "once, and nobody else's"
    );
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
    let unreadable = r#"sharedmailbox_objects{kind="MailboxPermission",state="unreadable"}"#;
    assert!((world.metric(unreadable) - 1.0).abs() < 1e-9);
    // After a restart nobody knows what it declared.
    world.crash_operator().await;
    world.start_operator();
    world.apply(&team(&[])).await;
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    assert_eq!(view(&world).send_as.len(), 2);
    world
        .apply(&permission("more", "sales", &[SECOND], &["SendAs"]))
        .await;
    until(&world, "revocations continue", || view(&world).send_as.len() == 1).await;
    assert_eq!(view(&world).full_access.len(), 0);
    world.wait_permission("more", "True", "Granted").await;
    assert!(world.metric(unreadable).abs() < 1e-9);
}

/// Each of these statuses is tried for ten seconds.
#[tokio::test(start_paused = true)]
async fn the_status_of_an_unreadable_object_holds_up_no_watch() {
    let world = sales_with(&[FIRST]).await;
    world.server.install_crd(newer_definition());
    world.server.disturb(
        u32::MAX,
        on(Verb::Get, "mailboxpermissions"),
        Disturbance::ignored(),
    );
    for number in 0..20 {
        let newer = permission(&format!("newer-{number}"), "elsewhere", &[SECOND], &["ReadItems"]);
        apply_newer(&world, &newer).await;
    }
    world.apply(&team(&[FIRST, THIRD])).await;
    world.sleep(5).await;
    assert_eq!(view(&world).full_access.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_object_holds_up_no_end_and_nothing_that_was_announced() {
    let world = sales_with(&[FIRST, SECOND]).await;
    let end = world.server.now() + jiff::SignedDuration::from_hours(1);
    let ends = json!({ "spec": { "expiresAt": format!("{end:.0}") } });
    world
        .apply(&with(permission("temp", "sales", &[THIRD], &["SendAs"]), &ends))
        .await;
    world.wait_permission("temp", "True", "Granted").await;
    throttle_removals(&world);
    world.apply(&team(&[FIRST])).await;
    until_removing(&world).await;
    world.server.install_crd(newer_definition());
    apply_newer(&world, &permission("newer", "sales", &[SECOND], &["ReadItems"])).await;
    // What it declares may be what the end of the other one is now.
    let newer = permission("temp", "sales", &[THIRD], &["SendAs", "ReadItems"]);
    apply_newer(&world, &newer).await;
    world.sleep(600).await;
    world.tenant.set_faults(simulator::Faults::default());
    world.sleep(INTERVAL).await;
    assert_eq!(holders(&world), held(1, 2), "what was announced is finished");
    world.apply(&team(&[])).await;
    world.sleep(3600).await;
    let first = world.tenant.object_id(FIRST).unwrap();
    assert_eq!(
        view(&world).send_as,
        [first],
        "and the end has come; nobody else loses anything"
    );
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_object_that_is_deleted_holds_nothing_up_any_longer() {
    let mut world = sales_with(&[FIRST]).await;
    world.crash_operator().await;
    world.server.install_crd(newer_definition());
    apply_newer(&world, &permission("newer", "sales", &[SECOND], &["ReadItems"])).await;
    world.start_operator();
    world.apply(&team(&[])).await;
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    let before = world.server.now();
    newer_permissions(&world)
        .delete("newer", &DeleteParams::default())
        .await
        .unwrap();
    until(&world, "revocations continue", || view(&world).send_as.is_empty()).await;
    assert!(world.server.now().duration_since(before).as_secs() < 60);
}

#[tokio::test(start_paused = true)]
async fn a_permission_of_a_refused_mailbox_says_why_in_its_own_words() {
    let world = World::start().await;
    world
        .apply(&sales(json!({ "emailAddress": "sales@contoso.onmicrosoft.com" })))
        .await;
    world.apply(&team(&[FIRST])).await;
    let team = world.wait_permission("team", "False", "MailboxNotReady").await;
    says(
        &stalled(&team, "MailboxNotReady"),
        &["AccessDenied", "sales@contoso.onmicrosoft.com"],
    );
    assert_eq!(condition(&team, "Granted").unwrap().status, "False");
}

#[tokio::test(start_paused = true)]
async fn a_permission_without_members_says_that_nobody_gets_a_right() {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    world
        .apply(&permission("team", "sales", &[], &["FullAccess"]))
        .await;
    let team = world.wait_permission("team", "True", "Granted").await;
    let ready = condition(&team, "Ready").unwrap();
    assert_eq!(ready.message, "no members are declared, so nobody gets a right");
}
