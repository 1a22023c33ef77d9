//! Every setting as the API server takes and refuses it.

use kube::api::{Api, DynamicObject, PostParams};
use kube::{Client, CustomResourceExt, Resource};
use serde_json::{Value, json};
use shared_mailbox_operator::api::SharedMailbox;
use shared_mailbox_operator::plan::FAMILIES;
use testkit::{longest_address, with};

use super::server::{client, shared};

async fn mailboxes(client: Client, namespace: &str) -> Api<DynamicObject> {
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
    let manifest = serde_json::from_value(json!({ "metadata": { "name": namespace } })).unwrap();
    namespaces
        .create(&PostParams::default(), &manifest)
        .await
        .unwrap();
    Api::namespaced_with(client, namespace, &SharedMailbox::api_resource())
}

async fn apply(api: &Api<DynamicObject>, name: &str, settings: &Value) -> Result<Value, String> {
    let spec = with(
        json!({ "displayName": "Sales", "emailAddress": "sales@contoso.com" }),
        settings,
    );
    let manifest = json!({ "apiVersion": SharedMailbox::api_version(&()), "kind": SharedMailbox::kind(&()),
        "metadata": { "name": name }, "spec": spec });
    let manifest = serde_json::from_value(manifest).unwrap();
    match api.create(&PostParams::default(), &manifest).await {
        Ok(taken) => Ok(taken.data["spec"].clone()),
        Err(kube::Error::Api(status)) => Err(status.message),
        Err(other) => panic!("{other}"),
    }
}

/// Every field of every family by its example.
fn examples() -> Value {
    let crd = serde_json::to_value(SharedMailbox::crd()).unwrap();
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut declared = json!({});
    for family in FAMILIES {
        if family.choice.is_some() {
            declared[family.name] = spec["properties"][family.name]["example"].clone();
            continue;
        }
        let properties = family.properties.iter();
        for property in properties.filter(|property| property.shown_as.is_some()) {
            let (mut schema, mut at) = (spec.clone(), &mut declared);
            for name in property.field.split('.') {
                schema = match &schema["properties"][name] {
                    Value::Null => schema["additionalProperties"].clone(),
                    property => property.clone(),
                };
                at = at.as_object_mut().unwrap().entry(name).or_insert(json!({}));
            }
            *at = schema["example"].clone();
        }
    }
    declared
}

#[tokio::test]
async fn every_example_is_taken_and_kept_as_it_is() {
    let Some(shared) = shared() else { return };
    let api = mailboxes(client(&shared.control_plane).await, "examples").await;
    let examples = examples();
    let taken = apply(&api, "examples", &examples).await.unwrap();
    assert_eq!(with(taken.clone(), &examples), taken);
}

#[tokio::test]
async fn the_largest_settings_are_taken() {
    let Some(shared) = shared() else { return };
    let api = mailboxes(client(&shared.control_plane).await, "largest-settings").await;
    let attributes: serde_json::Map<String, Value> = (1..=15)
        .map(|number| (number.to_string(), json!("ä".repeat(1024))))
        .collect();
    let largest = json!({
        "mailTip": "ä".repeat(175), "customAttributes": attributes, "retentionPolicy": "ä".repeat(64),
        "deletedItemRetention": "30d", "litigationHold": { "enabled": true, "duration": "24855d" },
        "quota": { "warning": "9999999Gi", "prohibitSend": "9999999Gi", "prohibitSendReceive": "9999999Gi" },
        "delivery": { "maxSendSize": "150Mi", "maxReceiveSize": "150Mi", "recipientLimit": 1000,
            "acceptFrom": (0..100).map(longest_address).collect::<Vec<_>>(),
            "rejectFrom": (0..100).map(longest_address).collect::<Vec<_>>() },
        "regional": { "language": "zh-Hans-CN", "timeZone": "x".repeat(64), "dateFormat": "x".repeat(32),
            "timeFormat": "x".repeat(32) },
        "aliases": (0..300).map(longest_address).collect::<Vec<_>>(),
        "forwarding": { "mode": "External", "externalAddress": longest_address(1), "keepCopy": false },
        "automaticReplies": { "state": "Scheduled", "internal": "ä".repeat(8192), "external": "ä".repeat(8192),
            "audience": "Known", "start": "2026-12-24T08:00:00Z", "end": "2027-01-04T08:00:00Z" },
        "archive": { "enabled": true, "autoExpanding": true },
    });
    apply(&api, "largest", &largest).await.unwrap();
}

#[tokio::test]
async fn a_setting_outside_its_bounds_is_refused_with_field_and_reason() {
    let Some(shared) = shared() else { return };
    let api = mailboxes(client(&shared.control_plane).await, "settings-bounds").await;
    for (settings, field, why) in [
        (
            json!({ "mailTip": "x".repeat(176) }),
            "spec.mailTip",
            "more than 175",
        ),
        (json!({ "mailTip": "a < b" }), "spec.mailTip", "plain text"),
        (
            json!({ "customAttributes": { "16": "x" } }),
            "spec.customAttributes",
            "numbers from 1 to 15",
        ),
        (
            json!({ "customAttributes": { "1": "x".repeat(1025) } }),
            "spec.customAttributes.1",
            "more than 1024",
        ),
        (
            json!({ "deletedItemRetention": "31d" }),
            "spec.deletedItemRetention",
            "should match",
        ),
        (
            json!({ "deletedItemRetention": "0d" }),
            "spec.deletedItemRetention",
            "should match",
        ),
        (
            json!({ "quota": { "warning": "49GB" } }),
            "spec.quota.warning",
            "should match",
        ),
        (
            json!({ "quota": { "warning": "2Gi", "prohibitSendReceive": "1Gi" } }),
            "spec.quota",
            "must not be above quota.prohibitSendReceive",
        ),
        (
            json!({ "delivery": { "maxSendSize": "151Mi" } }),
            "spec.delivery.maxSendSize",
            "not be above 150Mi",
        ),
        (
            json!({ "delivery": { "recipientLimit": 0 } }),
            "spec.delivery.recipientLimit",
            "greater than or equal to 1",
        ),
        (
            json!({ "litigationHold": { "duration": "1d" } }),
            "spec.litigationHold.enabled",
            "Required value",
        ),
        (
            json!({ "litigationHold": { "enabled": false, "duration": "1d" } }),
            "spec.litigationHold",
            "needs enabled: true",
        ),
        (
            json!({ "litigationHold": { "enabled": true, "duration": "24856d" } }),
            "spec.litigationHold.duration",
            "not be above 24855d",
        ),
        (
            json!({ "retentionPolicy": "x".repeat(65) }),
            "spec.retentionPolicy",
            "more than 64",
        ),
        (
            json!({ "clientAccess": { "smtpAuth": "On" } }),
            "spec.clientAccess.smtpAuth",
            "Unsupported value",
        ),
        (
            json!({ "regional": { "language": "de" } }),
            "spec.regional.language",
            "should match",
        ),
        (
            json!({ "regional": { "timeZone": "Europe/Berlin" } }),
            "spec.regional.timeZone",
            "Windows name",
        ),
        (
            json!({ "regional": { "dateFormat": "dd.MM.yyyy" } }),
            "spec.regional",
            "need regional.language",
        ),
    ] {
        let message = apply(&api, "refused", &settings).await.unwrap_err();
        assert!(
            message.contains(field) && message.contains(why),
            "{settings}: {message}"
        );
    }
}
