//! The CRDs as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::{CustomResourceExt, Resource};

use super::{ExchangeTenant, MailboxLedger, MailboxPermission, SharedMailbox};

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
                if crd.spec.names.kind == MailboxLedger::kind(&()) {
                    keep_ledgers_whole(root);
                }
            }
        }
    }
    crds
}

/// A ledger is written by one writer and as a whole: as an atomic map it has one entry in managedFields. What a newer
/// operator wrote into it must not be lost by an older definition.
fn keep_ledgers_whole(root: &mut JSONSchemaProps) {
    let spec = root.properties.as_mut().and_then(|all| all.get_mut("spec"));
    if let Some(spec) = spec {
        spec.x_kubernetes_map_type = Some("atomic".to_owned());
        spec.x_kubernetes_preserve_unknown_fields = Some(true);
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
