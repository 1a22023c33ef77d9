//! Another version of the operator takes over: nothing is written to Exchange because of that.
//!
//! `tests/fixtures/v1alpha1-first` holds objects as the first version left them. They are never edited: what is in
//! them is in somebody's API server.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::PostParams;
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared_mailbox_operator::api::{ExchangeTenant, MailboxPermission, SharedMailbox};
use simulator::{Seed, SeedMailbox, SeedUser};

use super::kit::*;
use testkit::{NAMESPACE, World};

const TENANT: &str = include_str!("../fixtures/v1alpha1-first/tenant.yaml");
const MAILBOX: &str = include_str!("../fixtures/v1alpha1-first/mailbox.yaml");
const PERMISSION: &str = include_str!("../fixtures/v1alpha1-first/permission.yaml");

const MAILBOXES: usize = 1_000;

fn decoded<K: DeserializeOwned>(text: &str) -> K {
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn objects_of_the_first_version_are_read_with_everything_in_them() {
    let mailbox: SharedMailbox = decoded(MAILBOX);
    let status = mailbox.status.as_ref().unwrap();
    let record = status.record.as_ref().unwrap().read().unwrap();
    assert_eq!(record.grants.len(), 3);
    assert!(record.grants[0].sid.is_some() && record.grants[0].auto_mapping == Some(true));
    assert_everything_is_kept(&mailbox, MAILBOX);
    assert_everything_is_kept(&decoded::<MailboxPermission>(PERMISSION), PERMISSION);
    assert_everything_is_kept(&decoded::<ExchangeTenant>(TENANT), TENANT);
}

/// Whatever is in `text` is in the object too.
fn assert_everything_is_kept<K: Serialize>(object: &K, text: &str) {
    let (kept, written) = (serde_json::to_value(object).unwrap(), decoded::<Value>(text));
    let mut lost = Vec::new();
    find_lost(&written, &kept, "", &mut lost);
    assert_eq!(lost, Vec::<String>::new());
}

fn find_lost(written: &Value, kept: &Value, path: &str, lost: &mut Vec<String>) {
    match (written, kept) {
        (Value::Object(written), Value::Object(kept)) => {
            for (key, value) in written {
                let kept = kept.get(key).unwrap_or(&Value::Null);
                find_lost(value, kept, &format!("{path}.{key}"), lost);
            }
        }
        (Value::Array(written), Value::Array(kept)) if written.len() == kept.len() => {
            for (place, (value, kept)) in written.iter().zip(kept).enumerate() {
                find_lost(value, kept, &format!("{path}[{place}]"), lost);
            }
        }
        (written, kept) if written == kept => {}
        (written, kept) => lost.push(format!("{path}: {written} became {kept}")),
    }
}

fn name(number: usize) -> String {
    format!("box-{number}")
}

fn address(number: usize) -> String {
    format!("box-{number}@contoso.com")
}

/// The tenant with as many mailboxes as the first version would have left it.
fn seed() -> Seed {
    let mut seed = Seed::contoso();
    seed.users.extend((0..MAILBOXES).map(|number| SeedUser {
        mailbox: SeedMailbox::Shared,
        account_disabled: true,
        ..SeedUser::person(&address(number), &format!("Box {number}"))
    }));
    seed
}

/// Puts mailbox and permission number `number` into the API server, and what belongs to them into the tenant.
async fn leave_behind(world: &World, number: usize, cluster: &str) {
    let mut mailbox: SharedMailbox = decoded(MAILBOX);
    mailbox.metadata.name = Some(name(number));
    mailbox.spec.display_name = format!("Box {number}");
    mailbox.spec.email_address = address(number);
    let view = world.tenant.mailbox(&address(number)).unwrap();
    let member = world.tenant.object_id(FIRST).unwrap().to_string();
    let sid = world.tenant.sid(FIRST).unwrap();
    let mut status = serde_json::to_value(mailbox.status.take().unwrap()).unwrap();
    status["mailboxGuid"] = json!(view.exchange_guid);
    status["objectId"] = json!(view.object_id);
    status["primaryAddress"] = json!(address(number));
    status["memberSummary"] = json!("1");
    for grant in status["record"]["grants"].as_array_mut().unwrap() {
        grant["objectId"] = json!(member);
        if grant["sid"].is_string() {
            grant["sid"] = json!(sid);
        }
    }
    let stored = store(&world.api(), mailbox, status).await;
    let marker = format!(
        "Managed by shared-mailbox-operator v1; cluster=default/{cluster}; resource={NAMESPACE}/{}; uid={}; \
         mailbox={}; change the Kubernetes resource, not this mailbox",
        name(number),
        stored.uid().unwrap(),
        view.exchange_guid
    );
    let identity = view.exchange_guid.to_string();
    admin(
        world,
        "Set-Mailbox",
        json!({
            "Identity": identity, "CustomAttribute15": marker, "GrantSendOnBehalfTo": [member]
        }),
    );
    admin(
        world,
        "Add-MailboxPermission",
        json!({
            "Identity": identity, "User": member, "AccessRights": ["FullAccess"]
        }),
    );
    admin(
        world,
        "Add-RecipientPermission",
        json!({
            "Identity": identity, "Trustee": member, "AccessRights": ["SendAs"]
        }),
    );

    let mut permission: MailboxPermission = decoded(PERMISSION);
    permission.metadata.name = Some(name(number));
    permission.spec.mailbox_ref.name = name(number);
    let mut status = serde_json::to_value(permission.status.take().unwrap()).unwrap();
    status["members"][0]["objectId"] = json!(member);
    store(&world.api(), permission, status).await;
}

/// Creates the object and writes its status.
async fn store<K>(api: &Api<K>, mut object: K, status: Value) -> K
where
    K: Resource + Clone + Serialize + DeserializeOwned + std::fmt::Debug,
{
    let metadata = object.meta_mut();
    (metadata.uid, metadata.generation) = (None, None);
    let created = api.create(&PostParams::default(), &object).await.unwrap();
    write_status(api, &created, status).await
}

async fn write_status<K>(api: &Api<K>, object: &K, status: Value) -> K
where
    K: Resource + Clone + Serialize + DeserializeOwned + std::fmt::Debug,
{
    let mut whole = serde_json::to_value(object).unwrap();
    whole["status"] = status;
    let name = object.name_any();
    let params = PostParams::default();
    let stored = api.replace_subresource("status", &name, &params, &whole);
    stored.await.unwrap()
}

/// Everything has been rechecked by the present operator.
async fn everything_was_rechecked(world: &World) {
    let reconciles = r#"controller_runtime_reconcile_total{controller="sharedmailbox",result="success"}"#;
    until(world, "a recheck of everything", || {
        world.metric(reconciles) >= f64::from(u32::try_from(MAILBOXES).unwrap())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_mailboxes_of_the_first_version_are_taken_over_without_a_write_to_exchange() {
    let mut world = World::without_operator(seed()).await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let uid = namespaces.get("kube-system").await.unwrap().uid().unwrap();
    for number in 0..MAILBOXES {
        leave_behind(&world, number, &uid[..8]).await;
    }
    let mut tenant: ExchangeTenant = decoded(TENANT);
    let status = serde_json::to_value(tenant.status.take().unwrap()).unwrap();
    for rule in &mut tenant.spec.access {
        rule.max_mailboxes = i32::try_from(MAILBOXES).unwrap();
    }
    store(&Api::all(world.client.clone()), tenant, status).await;
    forget(&world);
    world.start_operator();
    everything_was_rechecked(&world).await;
    assert_eq!(world.writes(), NOTHING);
    for number in [0, 1, MAILBOXES - 1] {
        world.wait_mailbox(&name(number), "True", "UpToDate").await;
        world.wait_permission(&name(number), "True", "Granted").await;
    }

    // The way back: what a newer version remembers beside is unknown here.
    world.stop_operator().await;
    let api = world.api::<SharedMailbox>();
    for number in 0..MAILBOXES {
        let object = api.get(&name(number)).await.unwrap();
        let mut status = serde_json::to_value(object.status.as_ref().unwrap()).unwrap();
        status["record"]["newer"] = json!({ "than": "this" });
        status["record"]["grants"][0]["newer"] = json!(true);
        write_status(&api, &object, status).await;
    }
    forget(&world);
    world.start_operator();
    everything_was_rechecked(&world).await;
    assert_eq!(world.writes(), NOTHING);
    world.wait_mailbox(&name(0), "True", "UpToDate").await;
}
