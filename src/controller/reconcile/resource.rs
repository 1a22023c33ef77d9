//! The resource as it is in Kubernetes now, as far as this version can read it.

use kube::api::{ApiResource, DynamicObject};
use kube::core::ObjectMeta;
use kube::{Api, Error};
use serde_json::Value;

use crate::api::{DeletionPolicy, FINALIZER, LET_GO, SharedMailbox, SignIn};
use crate::controller::context::Context;
use crate::controller::state::key::MailboxKey;
use crate::controller::state::requests::prune;

/// What was found.
pub enum Found {
    Nothing,
    /// It says what is wanted.
    Declares(Box<SharedMailbox>),
    /// It is being deleted, and its policy asks for something to be done before it goes.
    Deleting(Box<SharedMailbox>),
    /// It is being deleted, for as long as somebody's finalizer likes; or nobody can read it, whatever it was that wrote it.
    /// It is as good as gone: what protects is done by what the ledger knows, and nothing else.
    SaysNothing {
        /// What it says of sign-in.
        last_word: SignIn,
        /// Our own finalizer holds it, and it is to go at once.
        held: Option<Box<ObjectMeta>>,
    },
}

/// Reads the resource. One that can't be decoded is no failure of the API server's: nothing waits until it can.
pub async fn read(context: &Context, key: &MailboxKey) -> Result<Found, Error> {
    let kind = ApiResource::erase::<SharedMailbox>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &key.namespace, &kind);
    Ok(api.get_opt(&key.name).await?.map_or(Found::Nothing, of))
}

fn of(object: DynamicObject) -> Found {
    let is_terminating = object.metadata.deletion_timestamp.is_some();
    let holds = |metadata: &ObjectMeta| metadata.finalizers.iter().flatten().any(|name| name == FINALIZER);
    let held = (is_terminating && holds(&object.metadata)).then(|| Box::new(object.metadata.clone()));
    let Ok(mut value) = serde_json::to_value(object) else {
        return Found::SaysNothing {
            last_word: SignIn::Blocked,
            held: None,
        };
    };
    let is_to_wait = held.as_ref().is_some_and(|metadata| !may_go(&value, metadata));
    let held = held.filter(|_| !is_to_wait);
    // A status is a report: one that can't be read is written anew.
    let decoded = serde_json::from_value::<SharedMailbox>(value.clone()).or_else(|error| {
        match value.as_object_mut().and_then(|fields| fields.remove("status")) {
            Some(_) => serde_json::from_value(value.clone()),
            None => Err(error),
        }
    });
    match decoded {
        Ok(mut object) if !is_terminating || is_to_wait => {
            // They say who approved something, and what holds the object.
            let managed_fields = object.metadata.managed_fields.take();
            let finalizers = object.metadata.finalizers.take();
            prune(&mut object.metadata);
            object.metadata.managed_fields = managed_fields;
            object.metadata.finalizers = finalizers;
            let object = Box::new(object);
            if is_terminating {
                Found::Deleting(object)
            } else {
                Found::Declares(object)
            }
        }
        Ok(object) => Found::SaysNothing {
            last_word: object.spec.sign_in.unwrap_or(SignIn::Blocked),
            held,
        },
        Err(error) => {
            tracing::warn!(%error, "the SharedMailbox can't be read: only what protects is done");
            Found::SaysNothing {
                last_word: sign_in_of(&value),
                held,
            }
        }
    }
}

/// Whether an object that is being deleted asks for nothing that would have to be done before: under Retain, or because
/// somebody says so who may.
fn may_go(value: &Value, metadata: &ObjectMeta) -> bool {
    let policy = value.pointer("/spec/deletionPolicy");
    let retains = match policy.filter(|policy| !policy.is_null()) {
        None => true,
        Some(policy) => serde_json::from_value::<DeletionPolicy>(policy.clone())
            .is_ok_and(|policy| !policy.holds_the_resource()),
    };
    retains || is_let_go(metadata)
}

/// Whether somebody lets this very object go who may.
pub fn is_let_go(metadata: &ObjectMeta) -> bool {
    let asked = metadata.annotations.as_ref().and_then(|all| all.get(LET_GO));
    asked.is_some() && asked == metadata.uid.as_ref()
}

/// What an object that can't be read as a whole says of sign-in.
fn sign_in_of(value: &Value) -> SignIn {
    let written = value.pointer("/spec/signIn").cloned().unwrap_or_default();
    serde_json::from_value(written).unwrap_or(SignIn::Blocked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(spec: &Value, status: &Value) -> Found {
        let object = json!({
            "apiVersion": "sharedmailbox.dev/v1alpha1", "kind": "SharedMailbox",
            "metadata": { "namespace": "team", "name": "sales", "uid": "u" }, "spec": spec, "status": status
        });
        of(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_resource_is_read_as_far_as_it_can_be() {
        let good =
            json!({ "displayName": "Sales", "emailAddress": "sales@contoso.com", "signIn": "Allowed" });
        let forged = json!({ "conditions": "none" });
        assert!(matches!(found(&good, &json!({})), Found::Declares(_)));
        let Found::Declares(object) = found(&good, &forged) else {
            panic!("its status is written anew")
        };
        assert_eq!(object.status, None);
        let mut bad = good;
        bad["automaticReplies"] = json!({ "state": "Disabled", "end": "2026-01-01T00:00:00+99:99" });
        let Found::SaysNothing { last_word, .. } = found(&bad, &json!({})) else {
            panic!("nobody knows what it declares")
        };
        assert_eq!(last_word, SignIn::Allowed);
    }
}
