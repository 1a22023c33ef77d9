//! The orders in which the tools of docs/restore.md bring things back, and what a backup brings that nobody wants any more.

use super::adoption::{adopting, usual};
use super::kit::*;
use super::remembered::*;
use jiff::SignedDuration;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};
use shared_mailbox_operator::api::MailboxLedger;
use shared_mailbox_operator::ledger::{Access, held_on, is_intact};
use testkit::{World, condition, mailbox, permission, with};

/// A mailbox that somebody lost with all its objects, while no operator ran: the second member was taken out of the manifests
/// since, and nobody has revoked their rights.
pub async fn lost(world: &mut World) -> Vec<MailboxLedger> {
    let backup = world.ledgers().await;
    world.stop_operator().await;
    world.delete_mailbox("sales").await;
    world.delete_permission("team").await;
    restore_ledgers(world, &[]).await;
    forget(world);
    backup
}

pub async fn create_ledgers(
    world: &World,
    backup: &[MailboxLedger],
) -> Vec<Result<MailboxLedger, kube::Error>> {
    let api: Api<MailboxLedger> = Api::all(world.client.clone());
    let mut answers = Vec::new();
    for ledger in backup {
        let again = MailboxLedger::new(ledger.metadata.name.as_deref().unwrap(), ledger.spec.clone());
        answers.push(api.create(&PostParams::default(), &again).await);
    }
    answers
}

/// Nobody loses anything for an hour, and then whom the manifests do not name.
pub async fn only_the_second_member_is_revoked(world: &World) {
    only_after_the_hour(world, held(2, 2), held(1, 1), "who is declared stays").await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    let ledger = world.ledger().await;
    assert!(is_intact(&ledger));
    world.sleep(3 * HOUR).await;
    assert_eq!(holders(world), held(1, 1));
}

#[tokio::test(start_paused = true)]
async fn flux_brings_manifests_after_the_ledgers_were_restored() {
    let mut world = sales_with(&[FIRST, SECOND]).await;
    let backup = lost(&mut world).await;
    world.start_operator();
    create_ledgers(&world, &backup).await;
    world.apply(&team(&[FIRST])).await;
    world.apply(&sales(json!({}))).await;
    only_the_second_member_is_revoked(&world).await;
    assert_eq!(events_of(&world, "MemoryLost").await, 0);
}

#[tokio::test(start_paused = true)]
async fn flux_has_applied_already_when_the_ledgers_are_restored() {
    let mut world = sales_with(&[FIRST, SECOND]).await;
    let backup = lost(&mut world).await;
    world.start_operator();
    world.apply(&sales(json!({}))).await;
    world.apply(&team(&[FIRST])).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.sleep(2 * HOUR).await;
    assert_eq!(holders(&world), held(2, 2), "the second member is a stranger");
    assert_eq!(events_of(&world, "MemoryLost").await, 1);
    create_ledgers(&world, &backup).await;
    let merged = async || (world.ledgers().await.len() == 1).then_some(());
    world.wait("one ledger is left", merged).await;
    only_the_second_member_is_revoked(&world).await;
}

#[tokio::test(start_paused = true)]
async fn flux_has_adopted_again_when_the_ledger_is_restored_that_says_what_the_mailbox_was_like() {
    let world = usual().await;
    world.apply(&adopting(&json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    let backup = world.ledgers().await;
    let before = backup[0].spec.before.clone();
    assert!(before.is_some());
    restore_ledgers(&world, &[]).await;
    let begun_anew = async || world.ledgers().await.pop();
    world.wait("a new one begins", begun_anew).await;
    world.sleep(60).await;
    let mut copy = backup.clone();
    copy[0].metadata.name = Some("from-the-backup".to_owned());
    create_ledgers(&world, &copy).await;
    world.sleep(INTERVAL).await;
    assert_eq!(world.ledger().await.spec.before, before);
}

#[tokio::test(start_paused = true)]
async fn velero_restores_kinds_in_the_order_of_their_names_and_nothing_is_due_in_between() {
    let mut world = sales_with(&[FIRST, SECOND]).await;
    let backup = lost(&mut world).await;
    world.start_operator();
    create_ledgers(&world, &backup).await;
    world.sleep(20).await;
    world.apply(&team(&[FIRST, SECOND])).await;
    world.sleep(20).await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.sleep(3 * HOUR).await;
    assert_eq!(events_of(&world, "RevocationDue").await, 0);
    assert_eq!(
        world.writes(),
        ["Set-Mailbox"],
        "the new uid goes into the marker"
    );
    assert_eq!(holders(&world), held(2, 2));
}

#[tokio::test(start_paused = true)]
async fn permissions_that_come_last_find_their_people_where_they_were() {
    let mut world = sales_with(&[FIRST, SECOND]).await;
    let backup = lost(&mut world).await;
    world.start_operator();
    create_ledgers(&world, &backup).await;
    world.apply(&sales(json!({}))).await;
    world.sleep(40 * 60).await;
    assert!(condition(&world.mailbox("sales").await, "RevocationDue").is_some());
    assert_eq!(holders(&world), held(2, 2));
    world.apply(&team(&[FIRST])).await;
    world.sleep(10 * 60).await;
    assert_eq!(holders(&world), held(2, 2), "the ledger may be an old one");
    world.sleep(25 * 60).await;
    assert_eq!(holders(&world), held(1, 1));
}

#[tokio::test(start_paused = true)]
async fn kubectl_create_leaves_ledgers_alone_that_are_there_and_brings_back_the_others() {
    let world = sales_with(&[FIRST]).await;
    world.apply(&mailbox("info", "info@contoso.com")).await;
    world
        .apply(&permission("info", "info", &[SECOND], &["SendAs"]))
        .await;
    world.wait_permission("info", "True", "Granted").await;
    world.sleep(60).await;
    let backup = world.ledgers().await;
    let of = |all: &[MailboxLedger], name: &str| {
        let mut all = all.iter().filter(|ledger| ledger.spec.resource_ref.name == name);
        all.next().cloned()
    };
    let (kept, gone) = (of(&backup, "sales").unwrap(), of(&backup, "info").unwrap());
    world.delete_permission("info").await;
    world.delete_mailbox("info").await;
    let api: Api<MailboxLedger> = Api::all(world.client.clone());
    let name = gone.metadata.name.clone().unwrap();
    api.delete(&name, &DeleteParams::default()).await.unwrap();
    world.sleep(60).await;
    forget(&world);
    let answers = create_ledgers(&world, &backup).await;
    let conflicts = answers
        .iter()
        .filter(|answer| matches!(answer, Err(kube::Error::Api(status)) if status.code == 409));
    assert_eq!(conflicts.count(), 1);
    world.sleep(3 * HOUR).await;
    let after = world.ledgers().await;
    assert_eq!(of(&after, "sales").unwrap().spec, kept.spec);
    let back = of(&after, "info").unwrap();
    assert_eq!(back.spec.shown.state, "Released");
    assert_eq!(states(&back).len(), 1);
    assert_eq!(world.writes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn a_second_restore_leaves_a_trace_too() {
    let mut world = sales_with(&[FIRST]).await;
    for is_again in [false, true] {
        let backup = world.ledgers().await;
        assert_eq!(backup[0].spec.restored, is_again);
        world.stop_operator().await;
        world.sleep(HOUR).await;
        restore_ledgers(&world, &backup).await;
        world.start_operator();
        world.sleep(3 * HOUR).await;
    }
    let spec = world.ledger().await.spec;
    let lines = spec.history.iter().filter(|line| line.cause == "Restored");
    assert_eq!(lines.map(|line| line.n).sum::<i32>(), 2, "{:?}", spec.history);
    let gap = world.server.now() - SignedDuration::from_mins(3 * 60 + 30);
    assert_eq!(held_on(&spec, gap), Access::Unknown);
}

#[tokio::test(start_paused = true)]
async fn an_old_ledger_takes_no_address_from_a_mailbox_that_has_it_now() {
    let world = sales_with(&[FIRST]).await;
    delete_sales(&world).await;
    let backup = world.ledgers().await;
    restore_ledgers(&world, &[]).await;
    purge(&world, SALES);
    world.apply(&mailbox("vendite", SALES)).await;
    world.wait_mailbox("vendite", "True", "UpToDate").await;
    create_ledgers(&world, &backup).await;
    world.sleep(1).await;
    world
        .apply(&permission("vendite", "vendite", &[SECOND], &["SendAs"]))
        .await;
    for _ in 0..120 {
        world.sleep(1).await;
        let object = world.mailbox("vendite").await;
        let ready = condition(&object, "Ready").unwrap();
        assert_ne!(ready.reason, "AddressHeldByRetained", "{}", ready.message);
    }
    world.wait_permission("vendite", "True", "Granted").await;
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_was_given_away_holds_no_address() {
    let world = sales_with(&[FIRST]).await;
    let given = json!({ "Identity": SALES, "CustomAttribute15": "cost centre 4711" });
    admin(&world, "Set-Mailbox", given);
    world.wait_mailbox("sales", "False", "NotOurs").await;
    world.delete_mailbox("sales").await;
    released(&world).await;
    world.apply(&mailbox("vendite", SALES)).await;
    // What Exchange says of it counts, and not what the ledger remembers.
    world.wait_mailbox("vendite", "False", "AddressInUse").await;
    world.sleep(3 * HOUR).await;
    world.wait_mailbox("vendite", "False", "AddressInUse").await;
    assert_eq!(world.ledger().await.spec.shown.state, "ForeignMarker");
}

/// After an etcd restore: whoever compares breaks all seals.
#[tokio::test(start_paused = true)]
async fn broken_seals_make_removals_and_ends_of_an_old_snapshot_wait_for_an_hour() {
    let world = sales_with(&[FIRST]).await;
    let end = world.server.now() + SignedDuration::from_mins(20);
    guest_until(&world, end).await;
    throttle_removals(&world);
    world.delete_permission("team").await;
    until_removing(&world).await;
    world.delete_permission("guest").await;
    world.delete_mailbox("sales").await;
    released(&world).await;
    let observe = json!({ "spec": { "management": "Observe" } });
    world.apply(&with(testkit::tenant(), &observe)).await;
    world.sleep(300).await;
    world.tenant.set_faults(simulator::Faults::default());
    world.sleep(HOUR).await;
    let since = world.server.now() - SignedDuration::from_secs(1);
    patch_ledger(&world, json!({ "seal": Value::Null })).await;
    let enforce = json!({ "spec": { "management": "Enforce" } });
    world.apply(&with(testkit::tenant(), &enforce)).await;
    world.sleep(50 * 60).await;
    assert_eq!(holders(&world), held(1, 2), "nothing is taken away");
    let spec = world.ledger().await.spec;
    assert!(
        spec.history_from.unwrap() >= since,
        "and nothing is known of before"
    );
    world.sleep(20 * 60).await;
    assert_eq!(holders(&world), held(0, 0));
}

/// The mailbox was created again in the place of a lost one, and of both ledgers only the lost one's came back.
#[tokio::test(start_paused = true)]
async fn the_ledger_of_a_lost_mailbox_says_nothing_of_the_one_in_its_place() {
    let exclusive = json!({ "permissions": { "mode": "Exclusive" } });
    let world = sales_with(&[FIRST]).await;
    let lost = view(&world).exchange_guid.to_string();
    purge(&world, SALES);
    world.wait_mailbox("sales", "False", "MailboxGone").await;
    let backup = world.ledgers().await;
    let asked = json!({ "metadata": { "annotations": { "sharedmailbox.dev/recreate": lost } } });
    world.apply(&with(sales(exclusive), &asked)).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
    world.delete_permission("team").await;
    world.apply(&team(&[FIRST])).await;
    world.wait_permission("team", "True", "Granted").await;
    let mut world = world;
    world.stop_operator().await;
    restore_ledgers(&world, &backup).await;
    world.delete_permission("team").await;
    let stranger = json!({ "Identity": SALES, "Trustee": SECOND, "AccessRights": ["SendAs"] });
    admin(&world, "Add-RecipientPermission", stranger);
    forget(&world);
    world.start_operator();
    world.sleep(40 * 60).await;
    assert_eq!(
        holders(&world),
        held(1, 2),
        "permissions may be on their way back"
    );
    assert_eq!(events_of(&world, "MemoryLost").await, 1);
}
