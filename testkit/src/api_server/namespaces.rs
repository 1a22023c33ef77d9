//! What a controller manager does for namespaces and definitions: what is deleted takes its content along,
//! and stays until the last of it has gone.

use serde_json::{Map, Value, json};

use super::kinds::{self, Kind};
use super::meta;
use super::store::Key;
use super::world::World;

/// Holds a definition until its objects are gone.
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// What the server adds to a new namespace.
pub fn prepare(namespace: &mut Value) {
    let name = meta::name(namespace).to_owned();
    let metadata = meta::metadata(namespace);
    let labels = metadata.entry("labels").or_insert_with(|| json!({}));
    labels["kubernetes.io/metadata.name"] = json!(name);
    namespace["spec"] = json!({"finalizers": ["kubernetes"]});
    namespace["status"] = json!({"phase": "Active"});
}

/// Keeps a definition that is being deleted until its objects are gone.
pub fn hold_definition(metadata: &mut Map<String, Value>) {
    let finalizers = metadata.entry("finalizers").or_insert_with(|| json!([]));
    if let Some(finalizers) = finalizers.as_array_mut() {
        finalizers.push(json!(CLEANUP));
    }
}

/// Whether the namespace still waits until its content is deleted.
pub fn is_held(namespace: &Value) -> bool {
    namespace["spec"]["finalizers"]
        .as_array()
        .is_some_and(|finalizers| !finalizers.is_empty())
}

impl World {
    pub fn add_namespace(&mut self, name: &str) {
        let Some(kind) = self.kind_of("", "namespaces") else {
            return;
        };
        let key = Key::new("", name);
        if self.store.get(&kind, &key).is_some() {
            return;
        }
        let mut namespace = json!({"metadata": {"name": name}});
        prepare(&mut namespace);
        self.insert(&kind, &key, namespace);
    }

    /// Deletes everything in a namespace that is being deleted.
    pub fn empty_namespace(&mut self, namespace: &str) {
        let kinds: Vec<_> = self
            .store
            .collections()
            .filter(|all| all.kind.namespaced)
            .map(|all| all.kind.clone())
            .collect();
        for kind in kinds {
            let keys = self
                .store
                .collection_of(&kind)
                .map(|all| all.keys(Some(namespace)))
                .unwrap_or_default();
            for key in keys {
                self.mark_or_remove(&kind, &key);
            }
        }
        self.finish_namespace(namespace);
    }

    /// Releases a namespace that is being deleted once it is empty.
    fn finish_namespace(&mut self, namespace: &str) {
        let Some(kind) = self.kind_of("", "namespaces") else {
            return;
        };
        let key = Key::new("", namespace);
        let Some(object) = self
            .store
            .get(&kind, &key)
            .filter(|object| meta::is_deleting(object))
            .cloned()
        else {
            return;
        };
        let occupied = self
            .store
            .collections()
            .any(|all| all.kind.namespaced && all.iter(Some(namespace)).next().is_some());
        if occupied || !is_held(&object) {
            return;
        }
        let mut released = object.as_ref().clone();
        released["spec"] = json!({});
        self.settle(&kind, &key, released);
    }

    /// Releases what waited for this object.
    pub fn after_removal(&mut self, kind: &Kind, key: &Key) {
        if kind.is_definition() {
            if let Some((plural, group)) = key.name.split_once('.') {
                self.store.withdraw(group, plural);
            }
            return;
        }
        if kind.namespaced {
            self.finish_namespace(&key.namespace);
        }
        if kind.is_custom() {
            self.finish_definition(kind);
        }
    }

    /// Serves the kinds of a new or changed definition and writes down that they are served.
    pub fn serve_definition(&mut self, definition: &mut Value) -> Result<(), String> {
        let served = kinds::of_definition(definition)?;
        let stored: Vec<Value> = definition["spec"]["versions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|version| version["storage"].as_bool() == Some(true))
            .map(|version| version["name"].clone())
            .collect();
        let condition = |kind: &str, reason: &str, message: &str, since: &str| {
            json!({
                "type": kind, "status": "True", "reason": reason, "message": message,
                "lastTransitionTime": since,
            })
        };
        definition["spec"]["conversion"] = json!({"strategy": "None"});
        let since = definition["metadata"]["creationTimestamp"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        definition["status"] = json!({
            "acceptedNames": definition["spec"]["names"],
            "storedVersions": stored,
            "conditions": [
                condition("NamesAccepted", "NoConflicts", "no conflicts found", &since),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted", &since),
            ],
        });
        for kind in served {
            self.store.serve(kind);
        }
        Ok(())
    }

    fn definition_of(&self, kind: &Kind) -> Option<std::sync::Arc<Value>> {
        let definitions = self.kind_of("apiextensions.k8s.io", "customresourcedefinitions")?;
        self.store
            .get(&definitions, &Key::new("", &kind.resource()))
            .cloned()
    }

    /// Whether the definition of `kind` is being deleted.
    pub fn definition_is_going(&self, kind: &Kind) -> bool {
        self.definition_of(kind)
            .is_some_and(|definition| meta::is_deleting(&definition))
    }

    /// Deletes every object of a definition that is being deleted.
    pub fn empty_definition(&mut self, definition: &Value) {
        let (group, plural) = (
            &definition["spec"]["group"],
            &definition["spec"]["names"]["plural"],
        );
        let (Some(group), Some(plural)) = (group.as_str(), plural.as_str()) else {
            return;
        };
        let Some(kind) = self.kind_of(group, plural) else {
            return;
        };
        let keys = self
            .store
            .collection_of(&kind)
            .map(|all| all.keys(None))
            .unwrap_or_default();
        for key in keys {
            self.mark_or_remove(&kind, &key);
        }
        self.finish_definition(&kind);
    }

    fn finish_definition(&mut self, kind: &Kind) {
        let Some(definition) = self
            .definition_of(kind)
            .filter(|definition| meta::is_deleting(definition))
        else {
            return;
        };
        let Some(definitions) = self.kind_of("apiextensions.k8s.io", "customresourcedefinitions") else {
            return;
        };
        if self
            .store
            .collection_of(kind)
            .is_none_or(super::store::Collection::is_empty)
        {
            let mut released = definition.as_ref().clone();
            if let Some(finalizers) = released["metadata"]["finalizers"].as_array_mut() {
                finalizers.retain(|finalizer| finalizer != CLEANUP);
            }
            self.settle(&definitions, &Key::new("", &kind.resource()), released);
        }
    }
}
