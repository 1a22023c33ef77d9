//! A SharedMailbox that is deleted under RevokePermissions: what is done before it goes, and what it waits for.

use super::breaker::with_people_on;
use super::kit::*;
use super::remembered::*;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use shared_mailbox_operator::api::{FINALIZER, LET_GO, SharedMailbox};
use simulator::{FaultRule, Faults, Seed};
use testkit::{World, condition, mailbox, permission, tenant, with};

pub fn revoking() -> Value {
    sales(json!({ "deletionPolicy": "RevokePermissions" }))
}

/// `sales`, whose permissions go with it, and these members.
pub async fn sales_revoking(members: &[&str]) -> World {
    let world = World::start().await;
    world.apply(&revoking()).await;
    world.apply(&team(members)).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
    world.sleep(2).await;
    forget(&world);
    world
}

pub async fn found(world: &World, name: &str) -> Option<SharedMailbox> {
    world.api::<SharedMailbox>().get_opt(name).await.unwrap()
}

pub async fn until_gone(world: &World, name: &str) {
    let gone = async || found(world, name).await.is_none().then_some(());
    world.wait("the resource is gone", gone).await;
}

pub async fn patch(world: &World, name: &str, change: Value) {
    let api = world.api::<SharedMailbox>();
    let params = PatchParams::default();
    api.patch(name, &params, &Patch::Merge(&change)).await.unwrap();
}

pub async fn retain(world: &World) {
    patch(world, "sales", json!({ "spec": { "deletionPolicy": "Retain" } })).await;
}

pub fn finalizers(object: &SharedMailbox) -> Vec<&str> {
    object.finalizers().iter().map(String::as_str).collect()
}

#[tokio::test(start_paused = true)]
async fn what_was_granted_goes_with_the_resource_and_the_mailbox_stays() {
    let world = sales_revoking(&[FIRST, SECOND]).await;
    let stranger = json!({ "Identity": SALES, "User": THIRD, "AccessRights": ["FullAccess"] });
    admin(&world, "Add-MailboxPermission", stranger);
    assert_eq!(finalizers(&world.mailbox("sales").await), [FINALIZER]);
    world.delete_mailbox("sales").await;
    until_gone(&world, "sales").await;
    assert_eq!(holders(&world), held(1, 0), "what an admin granted stays");
    released(&world).await;
    // The permission still names the mailbox.
    world.wait_permission("team", "False", "MailboxNotFound").await;
    world.sleep(2 * HOUR).await;
    assert_eq!(holders(&world), held(1, 0), "and nothing is granted again");
    let mailbox = view(&world);
    assert!(mailbox.account_disabled && !mailbox.custom_attributes.is_empty());
    let events = events_about(&world, "sales").await.join("\n");
    says(&events, &["Deleted: what MailboxPermissions granted"]);

    world.apply(&revoking()).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(holders(&world), held(3, 2), "who is declared has access again");
}

#[tokio::test(start_paused = true)]
async fn under_retain_there_is_no_finalizer_and_one_that_is_changed_to_it_has_none_any_more() {
    let world = sales_with(&[FIRST]).await;
    assert_eq!(finalizers(&world.mailbox("sales").await), [""; 0]);
    world.apply(&revoking()).await;
    let kept = async || (finalizers(&world.mailbox("sales").await) == [FINALIZER]).then_some(());
    world.wait("it is held", kept).await;
    world.apply(&sales(json!({ "deletionPolicy": "Retain" }))).await;
    let free = async || finalizers(&world.mailbox("sales").await).is_empty().then_some(());
    world.wait("it is not held", free).await;
    forget(&world);
    world.delete_mailbox("sales").await;
    assert!(found(&world, "sales").await.is_none(), "it goes at once");
    world.sleep(INTERVAL).await;
    assert_eq!((holders(&world), world.writes()), (held(1, 1), vec![]));
}

/// `sales` with so many people of whom three may lose something at once.
pub async fn with_people(count: usize) -> World {
    let safety = json!({ "maxRevocations": 3, "maxRevocationPercent": 10 });
    with_people_on(&revoking(), count, safety).await
}

#[tokio::test(start_paused = true)]
async fn what_is_too_much_at_once_is_held_until_exactly_that_is_approved() {
    let world = with_people(5).await;
    world.delete_mailbox("sales").await;
    let object = world.wait_mailbox("sales", "False", "Held").await;
    says(
        &stalled(&object, "Held"),
        &[
            "5 changes",
            "person0@contoso.com",
            "deletionPolicy Retain it goes at once",
        ],
    );
    let waiting = object.status.unwrap().held.unwrap();
    world.sleep(2 * INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    let asked = |id: &str| json!({ "metadata": { "annotations": { "sharedmailbox.dev/approve": id } } });
    patch(&world, "sales", asked("something-else")).await;
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    patch(&world, "sales", asked(&waiting.id)).await;
    until_gone(&world, "sales").await;
    assert_eq!(holders(&world), held(0, 0));
}

#[tokio::test(start_paused = true)]
async fn while_it_is_held_what_protects_goes_on() {
    let world = with_people(5).await;
    world.delete_mailbox("sales").await;
    world.wait_mailbox("sales", "False", "Held").await;
    world.tenant.set_account_enabled(SALES, true).unwrap();
    until(&world, "it is blocked again", || view(&world).account_disabled).await;
    let object = world.wait_mailbox("sales", "False", "Held").await;
    assert_eq!(
        condition(&object, "SignInBlocked").unwrap().in_short(),
        "True Blocked"
    );
    let departed = json!({ "spec": {
        "departed": ["person4@contoso.com"],
        "safety": { "maxRevocations": 3, "maxRevocationPercent": 10 }
    } });
    world.apply(&with(tenant(), &departed)).await;
    until(&world, "who has left loses all", || holders(&world) == held(0, 4)).await;
}

#[tokio::test(start_paused = true)]
async fn retain_lets_it_go_while_it_is_held_and_nobody_loses_anything() {
    let world = with_people(5).await;
    world.delete_mailbox("sales").await;
    world.wait_mailbox("sales", "False", "Held").await;
    forget(&world);
    retain(&world).await;
    until_gone(&world, "sales").await;
    world.sleep(2 * HOUR).await;
    assert_eq!((holders(&world), world.writes()), (held(0, 5), vec![]));
}

#[tokio::test(start_paused = true)]
async fn without_its_tenant_it_waits_and_says_what_to_do_and_only_its_own_uid_lets_it_go() {
    let world = sales_revoking(&[FIRST]).await;
    delete_tenant(&world, "default").await;
    world.sleep(5).await;
    world.delete_mailbox("sales").await;
    let object = world.wait_mailbox("sales", "False", "DeletionWaiting").await;
    says(
        &stalled(&object, "DeletionWaiting"),
        &[
            "there is no ExchangeTenant \"default\"",
            "deletionPolicy Retain",
            LET_GO,
        ],
    );
    let events = events_about(&world, "sales").await.join("\n");
    says(&events, &["DeletionWaiting: there is no ExchangeTenant"]);
    let let_go = |uid: String| json!({ "metadata": { "annotations": { LET_GO: uid } } });
    patch(&world, "sales", let_go("another".to_owned())).await;
    world.sleep(INTERVAL).await;
    assert!(found(&world, "sales").await.is_some());
    patch(&world, "sales", let_go(object.uid().unwrap())).await;
    until_gone(&world, "sales").await;
    assert_eq!((holders(&world), world.writes()), (held(1, 1), vec![]));
    let events = events_about(&world, "sales").await.join("\n");
    says(&events, &["LetGo: "]);
}

#[tokio::test(start_paused = true)]
async fn what_the_team_pauses_is_deleted_and_what_the_owner_of_the_tenant_pauses_waits() {
    let world = sales_revoking(&[FIRST]).await;
    patch(&world, "sales", json!({ "spec": { "management": "Paused" } })).await;
    for ceiling in ["Observe", "Paused"] {
        let change = json!({ "spec": { "management": ceiling } });
        world.apply(&with(tenant(), &change)).await;
        world.sleep(30).await;
        if ceiling == "Observe" {
            world.delete_mailbox("sales").await;
        }
        let object = world.wait_mailbox("sales", "False", "DeletionWaiting").await;
        says(&stalled(&object, "DeletionWaiting"), &["nothing is written"]);
    }
    assert_eq!(world.writes(), NOTHING);
    world.apply(&tenant()).await;
    until_gone(&world, "sales").await;
    assert_eq!(holders(&world), held(0, 0));
}

#[tokio::test(start_paused = true)]
async fn finalizers_of_others_stay_and_hold_it_after_ours_is_gone() {
    let world = sales_revoking(&[FIRST, SECOND]).await;
    let all = ["example.com/before", FINALIZER, "example.com/after"];
    patch(&world, "sales", json!({ "metadata": { "finalizers": all } })).await;
    world.delete_mailbox("sales").await;
    let freed = async || {
        let object = world.mailbox("sales").await;
        (!finalizers(&object).contains(&FINALIZER)).then_some(object)
    };
    let object = world.wait("ours is gone", freed).await;
    let ready = condition(&object, "Ready").unwrap();
    says(
        &ready.message,
        &["is done", "example.com/before, example.com/after"],
    );
    assert!(
        !ready.message.contains("Retain"),
        "nothing would follow from it: {}",
        ready.message
    );
    assert_eq!(finalizers(&object), ["example.com/before", "example.com/after"]);
    assert_eq!(holders(&world), held(0, 0));
    world.tenant.set_account_enabled(SALES, true).unwrap();
    until(&world, "it is blocked again", || view(&world).account_disabled).await;
    let object = world.mailbox("sales").await;
    assert_eq!(finalizers(&object), ["example.com/before", "example.com/after"]);
    patch(&world, "sales", json!({ "metadata": { "finalizers": null } })).await;
    until_gone(&world, "sales").await;
    released(&world).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_for() {
    let mut world = sales_revoking(&[FIRST]).await;
    world.tenant.add_fault(outage());
    world.delete_mailbox("sales").await;
    world.sleep(60).await;
    let object = world.mailbox("sales").await;
    let ready = condition(&object, "Ready").unwrap();
    assert_eq!(ready.status, "False", "{ready:?}");
    says(&ready.message, &["deletionPolicy Retain it goes at once"]);
    world.crash_operator().await;
    world.start_operator();
    world.sleep(60).await;
    world.tenant.set_faults(Faults::default());
    until_gone(&world, "sales").await;
    assert_eq!(holders(&world), held(0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_exchange_acknowledges_and_forgets_is_no_end() {
    let world = sales_revoking(&[FIRST]).await;
    let forgotten = FaultRule::next(2, simulator::Fault::Forgotten);
    world
        .tenant
        .add_fault(forgotten.on(&["Remove-RecipientPermission", "Remove-MailboxPermission"]));
    world.delete_mailbox("sales").await;
    until_gone(&world, "sales").await;
    assert_eq!(holders(&world), held(0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_is_gone_or_another_clusters_lets_it_go_and_one_that_is_not_ours_does_not() {
    let world = sales_revoking(&[FIRST]).await;
    purge(&world, SALES);
    world.delete_mailbox("sales").await;
    world.sleep(60).await;
    assert!(
        found(&world, "sales").await.is_some(),
        "what is not found is not gone yet"
    );
    until_gone(&world, "sales").await;

    let world = sales_revoking(&[FIRST]).await;
    let marker = view(&world).custom_attributes.values().next().unwrap().clone();
    let (head, tail) = marker.split_once("cluster=").unwrap();
    let (_, tail) = tail.split_once(';').unwrap();
    let theirs = format!("{head}cluster=other/12345678;{tail}");
    admin(
        &world,
        "Set-Mailbox",
        json!({ "Identity": SALES, "CustomAttribute15": theirs }),
    );
    forget(&world);
    world.delete_mailbox("sales").await;
    until_gone(&world, "sales").await;
    world.sleep(HOUR).await;
    assert_eq!((holders(&world), world.writes()), (held(1, 1), vec![]));

    let world = sales_revoking(&[FIRST]).await;
    let text = json!({ "Identity": SALES, "CustomAttribute15": "cost centre 4711" });
    admin(&world, "Set-Mailbox", text);
    forget(&world);
    world.delete_mailbox("sales").await;
    let object = world.wait_mailbox("sales", "False", "NotOurs").await;
    says(
        &stalled(&object, "NotOurs"),
        &["deletionPolicy Retain it goes at once"],
    );
    world.sleep(HOUR).await;
    assert_eq!(world.writes(), NOTHING);
    retain(&world).await;
    until_gone(&world, "sales").await;
    assert_eq!(holders(&world), held(1, 1));
}

#[tokio::test(start_paused = true)]
async fn one_limit_holds_over_all_that_is_deleted_at_once() {
    let safety = json!({ "spec": { "safety": { "maxRevocations": 4, "maxRevocationPercent": 0 } } });
    let world = world(Seed::contoso(), safety).await;
    let names = ["one", "two", "three", "four"];
    for name in names {
        let one = mailbox(name, &format!("{name}@contoso.com"));
        let policy = json!({ "spec": { "deletionPolicy": "RevokePermissions" } });
        world.apply(&with(one, &policy)).await;
        world.apply(&permission(name, name, &[FIRST], &["SendAs"])).await;
    }
    for name in names {
        world.wait_permission(name, "True", "Granted").await;
    }
    for name in names {
        world.delete_permission(name).await;
        world.delete_mailbox(name).await;
    }
    world.sleep(120).await;
    let left = || {
        let all = world.tenant.mailboxes();
        all.iter().map(|mailbox| mailbox.send_as.len()).sum::<usize>()
    };
    assert_eq!(left(), 2, "one namespace has half of four");
    let mut waiting = 0;
    for name in names {
        if let Some(object) = found(&world, name).await {
            assert_eq!(condition(&object, "Ready").unwrap().in_short(), "False Held");
            waiting += 1;
        }
    }
    assert_eq!(waiting, 2);
    world.sleep(31 * 60 + INTERVAL).await;
    assert_eq!(left(), 0, "there is room again");
}

#[tokio::test(start_paused = true)]
async fn a_restored_ledger_takes_nothing_away_for_an_hour() {
    let mut world = sales_revoking(&[FIRST]).await;
    let backup = world.ledgers().await;
    world.crash_operator().await;
    restore_ledgers(&world, &backup).await;
    world.delete_mailbox("sales").await;
    world.start_operator();
    world.sleep(50 * 60).await;
    assert_eq!(holders(&world), held(1, 1));
    let object = world.mailbox("sales").await;
    says(&stalled(&object, "DeletionWaiting"), &["restored or edited"]);
    world.sleep(30 * 60).await;
    until_gone(&world, "sales").await;
    assert_eq!(holders(&world), held(0, 0));
}
