//! The CRDs as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::{CustomResourceExt, Resource};
use serde_json::json;

use super::{ExchangeTenant, MailboxLedger, MailboxPermission, SharedMailbox, TIME_PATTERN};

/// All CRDs, ready to apply.
pub fn all_crds() -> Vec<CustomResourceDefinition> {
    let mut crds = vec![
        ExchangeTenant::crd(),
        MailboxLedger::crd(),
        MailboxPermission::crd(),
        SharedMailbox::crd(),
    ];
    for crd in &mut crds {
        for version in &mut crd.spec.versions {
            if let Some(root) = version
                .schema
                .as_mut()
                .and_then(|s| s.open_api_v3_schema.as_mut())
            {
                strip_null_from_enums(root);
                take_times_that_we_can_read(root);
                say_that_nothing_was_observed(root);
                if crd.spec.names.kind == MailboxLedger::kind(&()) {
                    keep_ledgers_whole(root);
                }
            }
        }
    }
    crds
}

/// An object without a status is one that nobody has observed yet. Tools that wait (kstatus) take it for one that is done
/// unless its status says of another generation.
fn say_that_nothing_was_observed(schema: &mut JSONSchemaProps) {
    let status = schema.properties.as_mut().and_then(|all| all.get_mut("status"));
    if let Some(status) = status {
        status.default = Some(JSON(json!({ "observedGeneration": -1 })));
    }
}

/// Whoever writes a time that we can't read must not get an object into the way of its mailbox.
fn take_times_that_we_can_read(schema: &mut JSONSchemaProps) {
    if schema.format.as_deref() == Some("date-time") {
        schema.pattern = Some(TIME_PATTERN.to_owned());
    }
    let properties = schema.properties.iter_mut().flat_map(|all| all.values_mut());
    properties.for_each(take_times_that_we_can_read);
    if let Some(JSONSchemaPropsOrBool::Schema(inner)) = schema.additional_properties.as_mut() {
        take_times_that_we_can_read(inner);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = schema.items.as_mut() {
        take_times_that_we_can_read(item);
    }
}

/// A ledger is written by one writer and as a whole: as an atomic map it has one entry in managedFields. What a newer
/// operator wrote into it must not be lost by an older definition.
fn keep_ledgers_whole(root: &mut JSONSchemaProps) {
    let spec = root.properties.as_mut().and_then(|all| all.get_mut("spec"));
    if let Some(spec) = spec {
        spec.x_kubernetes_map_type = Some("atomic".to_owned());
        spec.x_kubernetes_preserve_unknown_fields = Some(true);
        bound(spec);
    }
}

/// No name, address, id or time is longer.
const LONGEST: i64 = 320;

/// Whatever has no bound of its own gets one.
fn bound(schema: &mut JSONSchemaProps) {
    match schema.type_.as_deref() {
        Some("string") if schema.max_length.is_none() && schema.enum_.is_none() => {
            schema.max_length = Some(LONGEST);
        }
        Some("object") if schema.properties.is_none() && schema.max_properties.is_none() => {
            schema.max_properties = Some(3);
        }
        _ => {}
    }
    let properties = schema.properties.iter_mut().flat_map(|all| all.values_mut());
    properties.for_each(bound);
    if let Some(JSONSchemaPropsOrBool::Schema(inner)) = schema.additional_properties.as_mut() {
        bound(inner);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = schema.items.as_mut() {
        bound(item);
    }
}

/// An optional enum comes out with `null` among its values; a `null` in a manifest is then stored rather than
/// dropped. Left out is the one way of saying nothing.
fn strip_null_from_enums(schema: &mut JSONSchemaProps) {
    if let Some(values) = schema.enum_.as_mut() {
        let before = values.len();
        values.retain(|value| !value.0.is_null());
        if values.len() < before {
            schema.nullable = None;
        }
    }
    for property in schema
        .properties
        .iter_mut()
        .flat_map(|properties| properties.values_mut())
    {
        strip_null_from_enums(property);
    }
    match schema.items.as_mut() {
        Some(JSONSchemaPropsOrArray::Schema(item)) => strip_null_from_enums(item),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(strip_null_from_enums),
        None => {}
    }
}
