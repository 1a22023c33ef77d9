//! Objects that can't be decoded, mostly of a newer version after a downgrade: each says so in its own status and
//! holds up no other.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::core::error_boundary::InvalidObject;
use serde_json::{Value, json};

use super::context::Context;
use super::watch::Indexed;
use crate::api::condition::{self, Kind, Verdict};

/// The watch waits meanwhile.
const TIMEOUT: Duration = Duration::from_secs(10);
const REASON: &str = "Unreadable";

/// Writes into the object's status that it can't be read, once; a failure is told in the log only.
pub async fn tell<K: Indexed>(context: &Context, invalid: &InvalidObject) {
    let told = tokio::time::timeout(TIMEOUT, write::<K>(context, invalid)).await;
    let name = invalid.metadata.name.as_deref();
    match told {
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

async fn write<K: Indexed>(context: &Context, invalid: &InvalidObject) -> Result<(), kube::Error> {
    let resource = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = match &invalid.metadata.namespace {
        Some(namespace) => Api::namespaced_with(context.client.clone(), namespace, &resource),
        None => Api::all_with(context.client.clone(), &resource),
    };
    let name = invalid.metadata.name.clone().unwrap_or_default();
    let mut object = api.get(&name).await?;
    let generation = object.metadata.generation.unwrap_or_default();
    let old: Vec<Condition> =
        serde_json::from_value(object.data["status"]["conditions"].clone()).unwrap_or_default();
    let text = format!(
        "this version of the operator can't read the resource, and does nothing about it until it can: {}",
        invalid.error
    );
    let verdicts = [
        Verdict::new(Kind::Ready, false, REASON, text.as_str()),
        Verdict::new(Kind::Stalled, true, REASON, text),
    ];
    let mut conditions = condition::merge(&old, &verdicts, generation, context.clock.now());
    let replaced = [Kind::Ready, Kind::Stalled, Kind::Reconciling].map(Kind::as_str);
    conditions.extend(
        old.iter()
            .filter(|old| !replaced.contains(&old.type_.as_str()))
            .cloned(),
    );
    if conditions == old {
        return Ok(());
    }
    if !object.data["status"].is_object() {
        object.data["status"] = Value::Object(serde_json::Map::new());
    }
    let status = &mut object.data["status"];
    status["conditions"] = json!(conditions);
    status["observedGeneration"] = json!(generation);
    status["summary"] = json!(REASON);
    api.replace_status(&name, &PostParams::default(), &object).await?;
    Ok(())
}
