//! The CRDs as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;

use super::{ExchangeTenant, MailboxPermission, SharedMailbox};

/// All CRDs, ready to apply.
pub fn all_crds() -> Vec<CustomResourceDefinition> {
    let mut crds = vec![
        ExchangeTenant::crd(),
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
            }
        }
    }
    crds
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
