//! DELETE: preconditions, marking what finalizers hold, removing the rest.

use std::sync::Arc;

use serde_json::{Value, json};

use super::call::Call;
use super::errors::{self, Refusal};
use super::kinds::Kind;
use super::meta;
use super::selector::Selector;
use super::store::Key;
use super::update::raise_generation;
use super::world::World;

impl World {
    /// Deletes one object: the answer is the object while something holds it, else a `Status`.
    pub fn delete(&mut self, kind: &Kind, call: &Call, options: &Value) -> Result<Value, Refusal> {
        let key = Key::new(&call.namespace, &call.name);
        let Some(old) = self.store.get(kind, &key).cloned() else {
            return Err(Refusal::not_found(kind, &call.name));
        };
        let precondition = |field: &str| {
            options["preconditions"][field]
                .as_str()
                .filter(|wanted| !wanted.is_empty())
        };
        if let Some(wanted) = precondition("uid").filter(|wanted| *wanted != meta::uid(&old)) {
            let why = format!(
                "the UID in the precondition ({wanted}) does not match the UID in record ({}). \
                 The object might have been deleted and then recreated",
                meta::uid(&old)
            );
            return Err(Refusal::delete_conflict(kind, &call.name, &why));
        }
        if let Some(wanted) = precondition("resourceVersion").filter(|v| *v != meta::resource_version(&old)) {
            let why = format!(
                "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record \
                 ({}). The object might have been modified",
                meta::resource_version(&old)
            );
            return Err(Refusal::delete_conflict(kind, &call.name, &why));
        }
        let dry =
            call.parameter("dryRun").is_some() || options["dryRun"].as_array().is_some_and(|d| !d.is_empty());
        if dry {
            return Ok(old.as_ref().clone());
        }
        Ok(match self.mark_or_remove(kind, &key) {
            Some(held) => held.as_ref().clone(),
            None => errors::deleted(kind, &call.name, meta::uid(&old)),
        })
    }

    /// Deletes what a selector matches; the answer is the list of it.
    pub fn delete_collection(&mut self, kind: &Kind, call: &Call) -> Result<Value, Refusal> {
        let selector = Selector::parse(kind, call)?;
        let namespace = Some(call.namespace.as_str()).filter(|namespace| !namespace.is_empty());
        let keys = self
            .store
            .collection_of(kind)
            .map(|all| all.keys(namespace))
            .unwrap_or_default();
        let mut items = Vec::new();
        for key in keys {
            let Some(object) = self.store.get(kind, &key).cloned() else {
                continue;
            };
            if selector.matches(&object) {
                items.push(object.as_ref().clone());
                self.mark_or_remove(kind, &key);
            }
        }
        Ok(json!({
            "apiVersion": kind.api_version(),
            "kind": kind.list_kind(),
            "metadata": {"resourceVersion": self.store.revision().to_string()},
            "items": items,
        }))
    }

    /// Marks what something holds (and returns it) or removes it for good.
    pub fn mark_or_remove(&mut self, kind: &Kind, key: &Key) -> Option<Arc<Value>> {
        let old = self.store.get(kind, key).cloned()?;
        let held_by_server = kind.is_namespace() || kind.is_definition();
        if meta::finalizers(&old).is_empty() && !held_by_server {
            self.store.remove(kind, key, old.as_ref().clone());
            self.after_removal(kind, key);
            return None;
        }
        if meta::is_deleting(&old) {
            return Some(old);
        }
        let mut marked = old.as_ref().clone();
        let now = self.timestamp();
        let metadata = meta::metadata(&mut marked);
        metadata.insert("deletionTimestamp".to_owned(), json!(now));
        if kind.is_definition() {
            super::namespaces::hold_definition(metadata);
        }
        metadata.insert("deletionGracePeriodSeconds".to_owned(), json!(0));
        raise_generation(&mut marked);
        if kind.is_namespace() {
            marked["status"]["phase"] = json!("Terminating");
            if let Some(metadata) = marked["metadata"].as_object_mut() {
                metadata.remove("deletionGracePeriodSeconds");
            }
        }
        let marked = self.store.put(kind, key, marked);
        if kind.is_namespace() {
            self.empty_namespace(&key.name);
        } else if kind.is_definition() {
            self.empty_definition(&marked);
        }
        Some(marked)
    }
}
