//! What people do to the cluster beside applying mailboxes: Secrets, namespaces, annotations, forged statuses.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared_mailbox_operator::api::{ExchangeTenant, MailboxLedger, SharedMailbox};

use testkit::{OPERATOR_NAMESPACE, World, ready};

/// Writes the client secret anew.
pub async fn set_secret(world: &World, data: Value) {
    keep_secret(world, "exchange-credentials", "Opaque", data).await;
}

/// Puts a Secret of this type into the operator's namespace, in place of one of this name that may be there.
pub async fn keep_secret(world: &World, name: &str, kind: &str, data: Value) {
    let api: Api<Secret> = Api::namespaced(world.client.clone(), OPERATOR_NAMESPACE);
    match api.delete(name, &DeleteParams::default()).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.is_not_found() => {}
        Err(error) => panic!("the Secret {name} could not be deleted: {error}"),
    }
    let secret: Secret = serde_json::from_value(json!({
        "metadata": { "name": name, "namespace": OPERATOR_NAMESPACE }, "type": kind, "stringData": data
    }))
    .expect("a Secret");
    api.create(&PostParams::default(), &secret)
        .await
        .expect("the Secret can be created");
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
        .expect("it can be created");
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

/// Requests a reconcile of `sales` and waits until it was done, whatever it found.
pub async fn look_now(world: &World) {
    let stamp = world.server.now().to_string();
    annotate(world, &stamp).await;
    let api: Api<SharedMailbox> = world.api();
    let check = async || {
        let status = api.get_opt("sales").await.ok()??.status?;
        (status.last_handled_reconcile_at.as_deref() == Some(stamp.as_str())).then_some(())
    };
    world.wait("a reconcile that was requested", check).await;
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

/// Writes into the spec of the only ledger, as a restore or a slip does.
pub async fn patch_ledger(world: &World, spec: Value) {
    let resource = ApiResource::erase::<MailboxLedger>(&());
    let api: Api<DynamicObject> = Api::all_with(world.client.clone(), &resource);
    let list = api.list(&ListParams::default()).await.expect("a list");
    assert_eq!(list.items.len(), 1, "there is one ledger");
    let name = list.items[0].metadata.name.clone().expect("a name");
    patch_ledger_named(world, &name, spec).await;
}

/// The same of the ledger with this name.
pub async fn patch_ledger_named(world: &World, name: &str, spec: Value) {
    let resource = ApiResource::erase::<MailboxLedger>(&());
    let api: Api<DynamicObject> = Api::all_with(world.client.clone(), &resource);
    let params = PatchParams {
        field_manager: Some("tests".into()),
        ..PatchParams::default()
    };
    api.patch(name, &params, &Patch::Merge(json!({ "spec": spec })))
        .await
        .expect("a ledger can be edited here");
}

/// Takes the ledgers away and puts them back as a backup has them: as objects with another uid.
pub async fn restore_ledgers(world: &World, backup: &[MailboxLedger]) {
    let api: Api<MailboxLedger> = Api::all(world.client.clone());
    for ledger in world.ledgers().await {
        let name = ledger.metadata.name.expect("a name");
        api.delete(&name, &DeleteParams::default())
            .await
            .expect("it was there");
    }
    for ledger in backup {
        let name = ledger.metadata.name.clone().expect("a name");
        let again = MailboxLedger::new(&name, ledger.spec.clone());
        api.create(&PostParams::default(), &again)
            .await
            .expect("it can be restored");
    }
}
