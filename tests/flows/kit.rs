//! Sentences that many flows share.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared_mailbox_operator::api::{ExchangeTenant, MailboxPermission, SharedMailbox};
use simulator::{Fault, FaultRule, JournalKind, Seed};

use super::support::world::{OPERATOR_NAMESPACE, World, condition, mailbox, permission, ready, tenant, with};

pub const SALES: &str = "sales@contoso.com";
pub const FIRST: &str = "first.member@contoso.com";
pub const SECOND: &str = "second.member@contoso.com";
pub const THIRD: &str = "third.member@contoso.com";
/// A little more than the default interval at which mailboxes are looked at.
pub const INTERVAL: u64 = 660;

/// A running operator in this tenant, with `change` merged into the ExchangeTenant.
pub async fn world(seed: Seed, change: Value) -> World {
    let mut world = World::without_operator(seed).await;
    world.apply(&with(tenant(), &change)).await;
    world.start_operator();
    world
}

/// The mailbox `sales`, with `change` merged into its spec.
pub fn sales(change: Value) -> Value {
    with(mailbox("sales", SALES), &Value::from_iter([("spec", change)]))
}

/// Full Access and Send As on `sales`, in the permission `team`.
pub fn team(members: &[&str]) -> Value {
    permission("team", "sales", members, &["FullAccess", "SendAs"])
}

/// `sales` with these members, made and Ready.
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

pub const NOTHING: &[&str] = &[];

/// The message of Ready, after a check that the object is stalled for this reason.
pub fn stalled<K: Resource + Serialize>(object: &K, reason: &str) -> String {
    let (status, ready_reason, message) = condition(object, "Ready").expect("there is a Ready condition");
    assert_eq!(
        (status.as_str(), ready_reason.as_str()),
        ("False", reason),
        "{message}"
    );
    let (stalled, why, _) = condition(object, "Stalled").expect("kstatus would wait for ever");
    assert_eq!((stalled.as_str(), why.as_str()), ("True", reason));
    assert_eq!(condition(object, "Reconciling"), None);
    message
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

/// Runs a cmdlet as an admin would, behind the operator's back.
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

/// Writes the client secret anew.
pub async fn set_secret(world: &World, data: Value) {
    let api: Api<Secret> = Api::namespaced(world.client.clone(), OPERATOR_NAMESPACE);
    let _ = api.delete("exchange-credentials", &DeleteParams::default()).await;
    let secret: Secret = serde_json::from_value(json!({
        "metadata": { "name": "exchange-credentials", "namespace": OPERATOR_NAMESPACE }, "stringData": data
    }))
    .expect("a Secret");
    api.create(&PostParams::default(), &secret)
        .await
        .expect("the Secret can be made");
}

pub async fn delete_secret(world: &World) {
    let api: Api<Secret> = Api::namespaced(world.client.clone(), OPERATOR_NAMESPACE);
    api.delete("exchange-credentials", &DeleteParams::default())
        .await
        .expect("it was there");
}

pub async fn delete_tenant(world: &World, name: &str) {
    let api: Api<ExchangeTenant> = Api::all(world.client.clone());
    api.delete(name, &DeleteParams::default())
        .await
        .expect("it was there");
}

pub async fn make_namespace(world: &World, name: &str) {
    let api: Api<Namespace> = Api::all(world.client.clone());
    let namespace = serde_json::from_value(json!({ "metadata": { "name": name } })).expect("a namespace");
    api.create(&PostParams::default(), &namespace)
        .await
        .expect("it can be made");
}

/// Waits until an object of another namespace is reported so.
pub async fn wait_in(
    world: &World,
    namespace: &str,
    name: &str,
    status: &str,
    reason: &str,
) -> SharedMailbox {
    let api: Api<SharedMailbox> = Api::namespaced(world.client.clone(), namespace);
    let what = format!("{namespace}/{name} Ready={status} {reason}");
    let check = async || {
        api.get_opt(name)
            .await
            .ok()?
            .filter(|object| ready(object, status, reason))
    };
    world.wait(what, check).await
}

/// Waits until the named ExchangeTenant is reported so.
pub async fn wait_tenant_named(world: &World, name: &str, status: &str, reason: &str) -> ExchangeTenant {
    let api: Api<ExchangeTenant> = Api::all(world.client.clone());
    let check = async || {
        api.get_opt(name)
            .await
            .ok()?
            .filter(|object| ready(object, status, reason))
    };
    world
        .wait(format!("ExchangeTenant {name} Ready={status} {reason}"), check)
        .await
}

/// Edits the status as somebody who may patch it.
pub async fn patch_status<K>(world: &World, name: &str, status: Value)
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let params = PatchParams {
        field_manager: Some("tests".to_owned()),
        ..PatchParams::default()
    };
    let api: Api<K> = world.api();
    api.patch_status(name, &params, &Patch::Merge(json!({ "status": status })))
        .await
        .expect("may be patched");
}

/// Asks for a pass over `sales` and waits until it was made, whatever it found.
pub async fn look_now(world: &World) {
    let stamp = world.server.now().to_string();
    annotate(world, &stamp).await;
    let api: Api<SharedMailbox> = world.api();
    let check = async || {
        let status = api.get_opt("sales").await.ok()??.status?;
        (status.last_handled_reconcile_at.as_deref() == Some(stamp.as_str())).then_some(())
    };
    world.wait("a pass that was asked for", check).await;
}

pub async fn annotate(world: &World, stamp: &str) {
    let api: Api<SharedMailbox> = world.api();
    let params = PatchParams {
        field_manager: Some("tests".to_owned()),
        ..PatchParams::default()
    };
    let patch =
        json!({ "metadata": { "annotations": { "sharedmailbox.dev/reconcile-requested-at": stamp } } });
    api.patch("sales", &params, &Patch::Merge(patch))
        .await
        .expect("it is there");
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
