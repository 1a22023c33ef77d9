//! Objects that can't be decoded, mostly of a newer version after a downgrade: each says so in its own status. Where the
//! status itself is what can't be decoded, it is thrown away. A task of its own writes that, so that no watch waits for the
//! API server.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::core::error_boundary::InvalidObject;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::context::Context;
use super::state::inbox::Inbox;
use crate::api::reason::Reason;
use crate::api::{FINALIZER, condition};

/// The next object waits meanwhile.
const TIMEOUT: Duration = Duration::from_secs(10);
const REASON: Reason = Reason::Unreadable;

/// An object that can't be decoded, as a watch showed it.
pub struct Unreadable {
    resource: ApiResource,
    namespace: Option<String>,
    name: String,
    resource_version: Option<String>,
    error: String,
    /// Whether an object of this kind can be decoded.
    is_readable: fn(Value) -> bool,
}

impl Unreadable {
    pub fn new<K: Resource<DynamicType = ()> + DeserializeOwned>(invalid: InvalidObject) -> Self {
        let InvalidObject { error, metadata } = invalid;
        Self {
            resource: ApiResource::erase::<K>(&()),
            namespace: metadata.namespace,
            name: metadata.name.unwrap_or_default(),
            resource_version: metadata.resource_version,
            error,
            is_readable: |object| serde_json::from_value::<K>(object).is_ok(),
        }
    }
}

/// Writes into the status of each object that it can't be read, for ever; a failure is reported in the log only.
pub async fn report(context: Arc<Context>, inbox: Arc<Inbox<Unreadable>>) {
    loop {
        let (_, object) = inbox.next().await;
        let name = &object.name;
        match tokio::time::timeout(TIMEOUT, write(&context, &object)).await {
            Ok(Ok(())) => {}
            // It is gone, or somebody else wrote: the watch shows it again.
            Ok(Err(kube::Error::Api(status))) if status.is_not_found() || status.is_conflict() => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, name, "the status of an unreadable object could not be written");
            }
            Err(_) => tracing::warn!(
                name,
                "the status of an unreadable object could not be written in time"
            ),
        }
    }
}

async fn write(context: &Context, unreadable: &Unreadable) -> Result<(), kube::Error> {
    let Unreadable {
        resource,
        namespace,
        name,
        resource_version,
        error,
        is_readable,
    } = unreadable;
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(context.client.clone(), namespace, resource),
        None => Api::all_with(context.client.clone(), resource),
    };
    let mut object = api.get(name).await?;
    if object.metadata.resource_version != *resource_version {
        // Perhaps it can be read now; if not, the watch shows it again.
        return Ok(());
    }
    if has_unreadable_status(&object, *is_readable) {
        // Nothing but a report: with the watch that shows it gone everything is reported anew.
        object.data["status"] = json!({ "observedGeneration": -1 });
        api.replace_status(name, &PostParams::default(), &object).await?;
        return Ok(());
    }
    let generation = object.metadata.generation.unwrap_or_default();
    let old: Vec<Condition> =
        serde_json::from_value(object.data["status"]["conditions"].clone()).unwrap_or_default();
    let text = format!(
        "this version of the operator can't read the resource, and does nothing about it until it can: {error}"
    );
    let text = text + waits_for_deletion(&object);
    let conditions = condition::of_unread(&old, REASON, &text, generation, context.clock.now());
    if conditions == old {
        return Ok(());
    }
    if !object.data["status"].is_object() {
        object.data["status"] = Value::Object(serde_json::Map::new());
    }
    let status = &mut object.data["status"];
    status["conditions"] = json!(conditions);
    status["observedGeneration"] = json!(generation);
    status["summary"] = json!(REASON.as_str());
    api.replace_status(name, &PostParams::default(), &object).await?;
    Ok(())
}

/// The same words as of one that can be read: what makes it go is read all the same.
fn waits_for_deletion(object: &DynamicObject) -> &'static str {
    let is_held = object.finalizers().iter().any(|name| name == FINALIZER);
    if is_held && object.metadata.deletion_timestamp.is_some() {
        "; it is being deleted, and stays until then: with deletionPolicy Retain it goes at once and everything stays as it is"
    } else {
        ""
    }
}

/// Whether nothing but the status can't be read.
fn has_unreadable_status(object: &DynamicObject, is_readable: fn(Value) -> bool) -> bool {
    let Ok(mut value) = serde_json::to_value(object) else {
        return false;
    };
    let status = value.as_object_mut().and_then(|fields| fields.remove("status"));
    status.is_some() && is_readable(value)
}
