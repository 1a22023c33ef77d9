//! Manifests of the three custom resources, and how tests change them.

use serde_json::{Value, json};

use crate::world::NAMESPACE;

/// A mailbox manifest; add to `spec` with [`with`].
pub fn mailbox(name: &str, address: &str) -> Value {
    json!({
        "apiVersion": "sharedmailbox.dev/v1alpha1", "kind": "SharedMailbox",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": { "displayName": name, "emailAddress": address }
    })
}

/// A permission manifest for people.
pub fn permission(name: &str, mailbox: &str, members: &[&str], rights: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|user| json!({ "user": user })).collect();
    json!({
        "apiVersion": "sharedmailbox.dev/v1alpha1", "kind": "MailboxPermission",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": { "mailboxRef": { "name": mailbox }, "members": members, "rights": rights }
    })
}

/// The tenant of the simulator, with a rule for the namespace of the tests.
pub fn tenant() -> Value {
    json!({
        "apiVersion": "sharedmailbox.dev/v1alpha1", "kind": "ExchangeTenant",
        "metadata": { "name": "default" },
        "spec": {
            "tenantId": "11111111-2222-3333-4444-555555555555",
            "credentials": {
                "clientId": "66666666-7777-8888-9999-000000000000",
                "clientSecretRef": { "name": "exchange-credentials" }
            },
            "access": [{
                "namespaces": { "names": [NAMESPACE] },
                "addresses": ["*@contoso.com", "*@sales.contoso.com"],
                "members": ["*@contoso.com"],
                "groups": ["sales-team@contoso.com", "plain-group@contoso.com", "all-staff@contoso.com"],
                "rights": ["FullAccess", "SendAs", "SendOnBehalf"],
                "powers": ["Adopt", "AllowSignIn", "Exclusive", "Retention", "ForwardExternally"], "customAttributes": [1, 2]
            }]
        }
    })
}

/// Merges `patch` into a manifest. Unlike in a merge patch, null is a value and removes nothing.
pub fn with(mut manifest: Value, patch: &Value) -> Value {
    merge(&mut manifest, patch);
    manifest
}

fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}
