//! Sentences that many flows share.

use std::time::Duration;

use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Api, Resource};
use serde::Serialize;
use serde_json::{Value, json};
use shared_mailbox_operator::api::{MailboxPermission, SharedMailbox};
use simulator::{Fault, FaultRule, JournalKind, Profile, Seed};

pub use super::edits::*;
use testkit::{Condition, World, condition, mailbox, permission, tenant, with};

pub const SALES: &str = "sales@contoso.com";
pub const FIRST: &str = "first.member@contoso.com";
pub const SECOND: &str = "second.member@contoso.com";
pub const THIRD: &str = "third.member@contoso.com";
/// A little more than the default interval at which mailboxes are rechecked.
pub const INTERVAL: u64 = 660;

/// A running operator in this tenant, with `change` merged into the ExchangeTenant.
pub async fn world(seed: Seed, change: Value) -> World {
    let mut world = World::without_operator(seed).await;
    world.apply(&with(tenant(), &change)).await;
    world.start_operator();
    world
}

/// Whether the tenants of this run are of one of these kinds: for flows about something that they do otherwise, which flows
/// of their own test.
pub fn tenants_are(profiles: &[Profile]) -> bool {
    testkit::profile().is_some_and(|profile| profiles.contains(&profile))
}

/// Whether the role lacks what shows entries of accounts that are gone, for flows about these; and whether the tenant is
/// therefore asked each hour whether it still does, for flows that count reads.
pub fn leftovers_are_unseen() -> bool {
    tenants_are(&[Profile::NarrowRole])
}

/// The mailbox `sales`, with `change` merged into its spec.
pub fn sales(change: Value) -> Value {
    with(mailbox("sales", SALES), &Value::from_iter([("spec", change)]))
}

/// The events about the resource of this name: reason and note.
pub async fn events_about(world: &World, name: &str) -> Vec<String> {
    let events: Api<Event> = Api::all(world.client.clone());
    let all = events.list(&ListParams::default()).await.unwrap();
    let about = all.items.into_iter().filter(|event| {
        let regarding = event.regarding.as_ref();
        regarding.and_then(|regarding| regarding.name.as_deref()) == Some(name)
    });
    about
        .map(|event| {
            let (reason, note) = (event.reason.unwrap_or_default(), event.note.unwrap_or_default());
            format!("{reason}: {note}")
        })
        .collect()
}

/// How many shared mailboxes there are.
pub fn shared_mailboxes(world: &World) -> usize {
    let all = world.tenant.mailboxes();
    all.iter()
        .filter(|mailbox| mailbox.type_details == "SharedMailbox")
        .count()
}

/// Full Access and Send As on `sales`, in the permission `team`.
pub fn team(members: &[&str]) -> Value {
    permission("team", "sales", members, &["FullAccess", "SendAs"])
}

/// `sales` with these members, created and Ready.
pub async fn sales_with(members: &[&str]) -> World {
    let world = World::start().await;
    settle(&world, members).await;
    world
}

/// Applies `sales` with these members and waits until both are there; forgets what it took.
pub async fn settle(world: &World, members: &[&str]) {
    world.apply(&sales(json!({}))).await;
    world.apply(&team(members)).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    if !members.is_empty() {
        world.wait_permission("team", "True", "Granted").await;
    }
    world.sleep(2).await;
    forget(world);
}

pub fn forget(world: &World) {
    world.tenant.clear_journal();
    world.server.forget_requests();
}

/// `sales` is only observed, and something differs.
pub async fn sales_drifts(world: &World) -> SharedMailbox {
    let drifted = async || {
        let object = world.mailbox("sales").await;
        condition(&object, "Drifted").is_some().then_some(object)
    };
    let object = world.wait("something differs", drifted).await;
    let ready = condition(&object, "Ready").expect("there is a Ready condition");
    assert_eq!(ready.in_short(), "True Observed");
    assert_eq!(
        condition(&object, "Stalled"),
        None,
        "whoever only looks is no failure"
    );
    object
}

/// What an observed mailbox says of its differences.
pub fn drift_of(object: &SharedMailbox) -> String {
    condition(object, "Drifted").expect("something differs").message
}

pub const NOTHING: &[&str] = &[];

/// The message of Ready, after a check that the object is stalled for this reason.
pub fn stalled<K: Resource + Serialize>(object: &K, reason: &str) -> String {
    let ready = condition(object, "Ready").expect("there is a Ready condition");
    assert_eq!(ready.in_short(), format!("False {reason}"), "{}", ready.message);
    let stalled = condition(object, "Stalled").expect("kstatus would wait for ever");
    assert_eq!(stalled.in_short(), format!("True {reason}"));
    assert_eq!(condition(object, "Reconciling"), None);
    ready.message
}

/// Every part is in the text: a person finds the field, the value and the rule in it.
pub fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

/// `sales` is refused with these words, and nothing was written to Exchange.
pub async fn sales_is_refused(world: &World, reason: &str, parts: &[&str]) {
    let object = world.wait_mailbox("sales", "False", reason).await;
    says(&stalled(&object, reason), parts);
    assert_eq!(world.writes(), NOTHING);
}

/// The message on one member of the permission `name`.
pub fn member_message(permission: &MailboxPermission, address: &str) -> String {
    let members = &permission.status.as_ref().expect("a status").members;
    let member = members
        .iter()
        .find(|member| member.address == address)
        .expect("the member is listed");
    member.message.clone().unwrap_or_default()
}

/// Runs a cmdlet as an admin would, outside the operator.
pub fn admin(world: &World, cmdlet: &str, parameters: Value) {
    world
        .tenant
        .admin_cmdlet(cmdlet, parameters)
        .expect("the admin may do this");
}

/// Deletes a mailbox so that nothing of it is left.
pub fn purge(world: &World, address: &str) {
    admin(world, "Remove-Mailbox", json!({ "Identity": address }));
    admin(
        world,
        "Remove-Mailbox",
        json!({ "Identity": address, "PermanentlyDelete": true }),
    );
}

/// The tenant's newest state of `sales`.
pub fn view(world: &World) -> simulator::MailboxView {
    world.tenant.mailbox(SALES).expect("the mailbox exists")
}

/// How often a cmdlet was sent, whatever came of it.
pub fn sent(world: &World, cmdlet: &str) -> usize {
    world
        .tenant
        .journal()
        .iter()
        .filter(|entry| entry.cmdlet() == Some(cmdlet))
        .count()
}

/// Parameters of every call of a cmdlet.
pub fn calls(world: &World, cmdlet: &str) -> Vec<Value> {
    let parameters = |kind: JournalKind| match kind {
        JournalKind::Cmdlet { name, parameters, .. } if name == cmdlet => Some(parameters),
        _ => None,
    };
    world
        .tenant
        .journal()
        .into_iter()
        .filter_map(|entry| parameters(entry.kind))
        .collect()
}

/// What went to Exchange at all, reads included.
pub fn asked(world: &World) -> usize {
    world.reads().len() + world.writes().len()
}

/// Exchange is down for everybody.
pub fn outage() -> FaultRule {
    FaultRule::always(Fault::ServerError {
        status: 503,
        exception: None,
        message: None,
    })
}

/// A refusal for good, in the words of Exchange.
pub fn refusal(text: &str) -> Fault {
    Fault::ErrorInBody {
        exception: "Microsoft.Exchange.Data.DataValidationException".to_owned(),
        message: text.to_owned(),
    }
}

/// Approves what is held on `sales` under this id.
pub async fn approve(world: &World, id: &str) {
    let asked = json!({ "metadata": { "annotations": { "sharedmailbox.dev/approve": id } } });
    world.apply(&with(sales(json!({})), &asked)).await;
}

/// Waits for something in the tenant, up to an hour.
pub async fn until(world: &World, what: &str, check: impl Fn() -> bool) {
    world.wait(what, async || check().then_some(())).await;
}

/// Waits this long and checks that nothing was written anywhere.
pub async fn stays_quiet(world: &World, time: Duration) {
    forget(world);
    tokio::time::sleep(time).await;
    assert_eq!(world.writes(), NOTHING);
    assert_eq!(world.kubernetes_writes(), NOTHING);
}

/// Every reason that Ready showed until it was UpToDate.
pub async fn reasons_until_ready(world: &World) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    for poll in 0..5_000 {
        let object = world.mailbox("sales").await;
        if let Some(Condition { reason, .. }) = condition(&object, "Ready") {
            if reasons.last() != Some(&reason) {
                reasons.push(reason.clone());
            }
            if reason == "UpToDate" {
                return reasons;
            }
            assert_eq!(
                condition(&object, "Stalled"),
                None,
                "{reasons:?} {:?}",
                condition(&object, "Ready")
            );
        }
        // Closely at first: polling is what takes real time.
        let pause = if poll < 600 { 100 } else { 2_000 };
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    panic!("never ready: {reasons:?}\n{}", world.dump().await);
}
