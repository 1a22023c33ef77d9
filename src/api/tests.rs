//! The rules of the custom resources, as far as they can be judged without an API server.

use jiff::Timestamp;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{ExchangeTenant, MailboxPermission, SharedMailbox, TIME_PATTERN, all_crds};

fn object<K: DeserializeOwned>(kind: &str, spec: &Value) -> K {
    let manifest = json!({
        "apiVersion": "sharedmailbox.dev/v1alpha1", "kind": kind,
        "metadata": { "name": "some", "namespace": "team-sales" }, "spec": spec
    });
    serde_json::from_value(manifest).unwrap()
}

fn mailbox(tenant: &str) -> SharedMailbox {
    let spec = json!({
        "tenantRef": { "name": tenant }, "displayName": "Sales", "emailAddress": "sales@contoso.com"
    });
    object("SharedMailbox", &spec)
}

fn permission(tenant: &str, mailbox: &str, member: &Value) -> MailboxPermission {
    let spec = json!({
        "tenantRef": { "name": tenant }, "mailboxRef": { "name": mailbox },
        "members": [member], "rights": ["FullAccess"]
    });
    object("MailboxPermission", &spec)
}

fn tenant(id: &str, cloud: &str, cluster: &str, attribute: &str) -> ExchangeTenant {
    let spec = json!({
        "tenantId": id, "cloud": cloud,
        "credentials": {
            "clientId": "66666666-7777-8888-9999-000000000000", "clientSecretRef": { "name": "credentials" }
        },
        "ownership": { "clusterId": cluster, "markerAttribute": attribute },
        "access": []
    });
    object("ExchangeTenant", &spec)
}

const CONTOSO: &str = "11111111-2222-3333-4444-555555555555";
const FABRIKAM: &str = "99999999-2222-3333-4444-555555555555";

#[test]
fn a_member_is_either_a_user_or_a_group() {
    let judged = |member: Value| permission("default", "sales", &member).validate_cel();
    assert!(judged(json!({ "user": "first.member@contoso.com" })).is_ok());
    assert!(judged(json!({ "group": "sales-team@contoso.com" })).is_ok());
    let both = json!({ "user": "first.member@contoso.com", "group": "sales-team@contoso.com" });
    for neither_or_both in [json!({}), both] {
        let refused = judged(neither_or_both).unwrap_err().to_string();
        assert!(
            refused.contains("a member is either a user or a group"),
            "{refused}"
        );
    }
}

#[test]
fn a_mailbox_and_its_permissions_stay_with_their_tenant() {
    let before = mailbox("default");
    assert!(before.validate_cel_update(&before).is_ok());
    let refused = mailbox("other").validate_cel_update(&before).unwrap_err();
    assert!(
        refused.to_string().contains("tenantRef can't be changed"),
        "{refused}"
    );

    let member = json!({ "user": "first.member@contoso.com" });
    let before = permission("default", "sales", &member);
    assert!(before.validate_cel_update(&before).is_ok());
    for (after, field) in [
        (permission("other", "sales", &member), "tenantRef"),
        (permission("default", "other", &member), "mailboxRef"),
    ] {
        let refused = after.validate_cel_update(&before).unwrap_err().to_string();
        assert!(
            refused.contains(&format!("{field} can't be changed")),
            "{refused}"
        );
    }
}

#[test]
fn a_tenant_keeps_its_identity() {
    let before = tenant(CONTOSO, "Worldwide", "default", "CustomAttribute15");
    assert!(before.validate_cel_update(&before).is_ok());
    let mut after = before.clone();
    after.spec.ownership.succeeds = vec!["production-1/0a1b2c3d".to_owned()];
    assert!(
        after.validate_cel_update(&before).is_ok(),
        "which clusters it succeeds is decided later"
    );
    for (after, field) in [
        (
            tenant(FABRIKAM, "Worldwide", "default", "CustomAttribute15"),
            "tenantId",
        ),
        (tenant(CONTOSO, "China", "default", "CustomAttribute15"), "cloud"),
        (
            tenant(CONTOSO, "Worldwide", "other", "CustomAttribute15"),
            "ownership",
        ),
        (
            tenant(CONTOSO, "Worldwide", "default", "CustomAttribute1"),
            "ownership",
        ),
    ] {
        let refused = after.validate_cel_update(&before).unwrap_err().to_string();
        assert!(
            refused.contains(&format!("{field} can't be changed")),
            "{refused}"
        );
    }
}

#[test]
fn a_duration_that_cannot_be_used_is_refused_at_admission() {
    let judged = |part: &str, field: &str, text: &str| {
        let mut value =
            serde_json::to_value(tenant(CONTOSO, "Worldwide", "default", "CustomAttribute15")).unwrap();
        value["spec"][part][field] = json!(text);
        serde_json::from_value::<ExchangeTenant>(value)
            .unwrap()
            .validate_cel()
    };
    for (part, field, refused) in [
        ("drift", "interval", "interval must be at least 10s"),
        ("safety", "period", "period must be at least 10s"),
    ] {
        for fine in ["10s", "10m", "1h30m", "24h"] {
            assert!(judged(part, field, fine).is_ok(), "{field} {fine}");
        }
        for wrong in ["5s", "0m", "9s"] {
            let error = judged(part, field, wrong).unwrap_err().to_string();
            assert!(error.contains(refused), "{field} {wrong}: {error}");
        }
        assert!(judged(part, field, "").is_err(), "{field}");
    }
    assert!(judged("limits", "propagation", "0s").is_ok());
    assert!(judged("limits", "propagation", "").is_err());
}

/// Every schema in the CRDs, with its path.
fn each_schema(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        each_schema(&format!("{path}.{name}"), property, visit);
    }
    for part in ["items", "additionalProperties"] {
        if schema[part].is_object() {
            each_schema(&format!("{path}[]"), &schema[part], visit);
        }
    }
}

fn each_schema_of_all(mut visit: impl FnMut(&str, &Value)) {
    for crd in all_crds() {
        let kind = &crd.spec.names.kind;
        for version in &crd.spec.versions {
            let schema = serde_json::to_value(&version.schema).unwrap();
            each_schema(kind, &schema["openAPIV3Schema"], &mut visit);
        }
    }
}

#[test]
fn no_number_is_unsigned() {
    let mut numbers = 0;
    each_schema_of_all(|path, schema| {
        if schema["type"] == "integer" {
            numbers += 1;
            let format = schema["format"].as_str().unwrap_or_default();
            assert!(["int32", "int64"].contains(&format), "{path}: {format:?}");
        }
    });
    assert!(numbers > 0);
}

#[test]
fn every_string_and_list_that_a_user_writes_is_bounded() {
    each_schema_of_all(|path, schema| {
        if !path.contains(".spec") {
            let is_list = schema["type"] == "array";
            assert!(!is_list || schema["maxItems"].is_number(), "{path}: {schema}");
            return;
        }
        let bounded = match schema["type"].as_str() {
            Some("string") => schema["maxLength"].is_number() || schema["enum"].is_array(),
            Some("array") => schema["maxItems"].is_number(),
            Some("object") => schema["properties"].is_object() || schema["maxProperties"].is_number(),
            _ => true,
        };
        assert!(bounded, "{path}: {schema}");
    });
}

#[test]
fn null_is_no_value_of_an_enum() {
    each_schema_of_all(|path, schema| {
        let values = schema["enum"].as_array();
        assert!(
            values.is_none_or(|values| !values.contains(&Value::Null)),
            "{path}"
        );
    });
}

#[test]
fn every_field_has_a_text_for_kubectl_explain() {
    let mut without = Vec::new();
    each_schema_of_all(|path, schema| {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let text = property["description"].as_str().unwrap_or_default();
            // The second is what a time has that has no text of its own.
            if text.is_empty() || text.contains("Wrappers are provided") {
                without.push(format!("{path}.{name}"));
            }
        }
    });
    assert_eq!(without, Vec::<String>::new());
}

/// Any text that the pattern of times admits, with a day and a time that the API server admits.
fn admitted_time() -> impl Strategy<Value = String> {
    let pattern = TIME_PATTERN.trim_start_matches('^').trim_end_matches('$');
    let text = proptest::string::string_regex(pattern).unwrap();
    let digits = (1..=12_u8, 1..=28_u8, 0..=23_u8, 0..=59_u8, 0..=59_u8);
    (text, digits).prop_map(|(text, (month, day, hour, minute, second))| {
        let (year, rest) = (&text[..4], &text[19..]);
        format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{rest}")
    })
}

proptest! {
    #[test]
    fn every_time_that_a_definition_admits_can_be_read(text in admitted_time()) {
        prop_assert!(text.parse::<Timestamp>().is_ok(), "{}", text);
    }
}

#[test]
fn the_earliest_and_the_latest_time_that_a_definition_admits_can_be_read() {
    for text in ["1000-01-01T00:00:00+23:59", "2999-12-31T23:59:59.999999999-23:59"] {
        assert!(text.parse::<Timestamp>().is_ok(), "{text}");
    }
}
