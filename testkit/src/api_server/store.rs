//! Objects, their one revision counter, and the history that watches and pages read.
//!
//! Nothing here knows HTTP, schemas or admission; `put` and `remove` are the only ways in which anything changes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;

use super::kinds::Kind;

/// Changes kept for each resource; what is older was compacted away.
const HISTORY: usize = 20_000;

/// An object's place in its collection; cluster-scoped objects have an empty namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// One write, as watches see it.
#[derive(Clone, Debug)]
pub struct Change {
    pub revision: u64,
    pub at: Instant,
    pub key: Key,
    pub before: Option<Arc<Value>>,
    /// The object as written; for a deletion its last state, carrying the deletion's revision.
    pub object: Arc<Value>,
    pub deleted: bool,
}

/// All objects of one resource.
#[derive(Debug)]
pub struct Collection {
    pub kind: Arc<Kind>,
    objects: BTreeMap<Key, Arc<Value>>,
    changes: VecDeque<Change>,
    /// Changes up to this revision are forgotten.
    compacted: u64,
    /// The definition went: nothing is served any more, watches see the last changes and end.
    withdrawn: bool,
}

impl Collection {
    pub fn is_withdrawn(&self) -> bool {
        self.withdrawn
    }

    pub fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Objects in key order; `namespace` narrows to one.
    pub fn iter<'a>(&'a self, namespace: Option<&'a str>) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        self.objects
            .iter()
            .filter(move |(key, _)| namespace.is_none_or(|wanted| key.namespace == wanted))
    }

    pub fn keys(&self, namespace: Option<&str>) -> Vec<Key> {
        self.iter(namespace).map(|(key, _)| key.clone()).collect()
    }

    pub fn compacted(&self) -> u64 {
        self.compacted
    }

    /// Changes after `revision`, oldest first.
    pub fn changes_after(&self, revision: u64) -> impl Iterator<Item = &Change> {
        let from = self.changes.partition_point(|change| change.revision <= revision);
        self.changes.range(from..)
    }

    /// The collection as it was at `revision`; nothing when that was compacted away.
    pub fn at(&self, revision: u64) -> Option<BTreeMap<Key, Arc<Value>>> {
        if revision < self.compacted {
            return None;
        }
        let mut objects = self.objects.clone();
        for change in self
            .changes
            .iter()
            .rev()
            .take_while(|change| change.revision > revision)
        {
            match &change.before {
                Some(before) => objects.insert(change.key.clone(), Arc::clone(before)),
                None => objects.remove(&change.key),
            };
        }
        Some(objects)
    }

    /// One object as it was at `revision`.
    pub fn get_at(&self, key: &Key, revision: u64) -> Option<Arc<Value>> {
        let undone = self
            .changes_after(revision)
            .find(|change| change.key == *key)
            .map(|change| change.before.clone());
        undone.unwrap_or_else(|| self.objects.get(key).cloned())
    }

    fn forget_up_to(&mut self, revision: u64) {
        while self
            .changes
            .front()
            .is_some_and(|change| change.revision <= revision)
        {
            self.changes.pop_front();
        }
        self.compacted = self.compacted.max(revision);
    }
}

/// Everything etcd would hold.
#[derive(Debug)]
pub struct Store {
    collections: BTreeMap<(String, String), Collection>,
    revision: u64,
}

impl Store {
    pub fn new(kinds: Vec<Kind>) -> Self {
        let mut store = Self {
            collections: BTreeMap::new(),
            revision: 1,
        };
        for kind in kinds {
            store.serve(kind);
        }
        store
    }

    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Serves `kind` from now on; objects stored under an earlier definition of it stay.
    pub fn serve(&mut self, kind: Kind) {
        let id = (kind.group.clone(), kind.plural.clone());
        let compacted = self.revision;
        let kind = Arc::new(kind);
        self.collections
            .entry(id)
            .and_modify(|collection| {
                collection.kind = Arc::clone(&kind);
                collection.withdrawn = false;
            })
            .or_insert_with(|| Collection {
                kind,
                objects: BTreeMap::new(),
                changes: VecDeque::new(),
                compacted,
                withdrawn: false,
            });
    }

    /// Stops serving a resource whose objects are gone.
    pub fn withdraw(&mut self, group: &str, plural: &str) {
        if let Some(collection) = self.collections.get_mut(&(group.to_owned(), plural.to_owned())) {
            collection.withdrawn = true;
        }
    }

    /// What is served.
    pub fn collections(&self) -> impl Iterator<Item = &Collection> {
        self.collections
            .values()
            .filter(|collection| !collection.withdrawn)
    }

    /// A collection, be it withdrawn.
    pub fn collection(&self, group: &str, plural: &str) -> Option<&Collection> {
        self.collections.get(&(group.to_owned(), plural.to_owned()))
    }

    pub fn collection_of(&self, kind: &Kind) -> Option<&Collection> {
        self.collection(&kind.group, &kind.plural)
    }

    pub fn get(&self, kind: &Kind, key: &Key) -> Option<&Arc<Value>> {
        self.collection_of(kind)
            .and_then(|collection| collection.get(key))
    }

    /// Stores `object` under a new revision, which the returned object carries.
    pub fn put(&mut self, kind: &Kind, key: &Key, object: Value) -> Arc<Value> {
        self.commit(kind, key, object, false)
    }

    /// Removes what is at `key`; watches see `last`, carrying the deletion's revision.
    pub fn remove(&mut self, kind: &Kind, key: &Key, last: Value) -> Arc<Value> {
        self.commit(kind, key, last, true)
    }

    fn commit(&mut self, kind: &Kind, key: &Key, mut object: Value, deleted: bool) -> Arc<Value> {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = Value::String(self.revision.to_string());
        let object = Arc::new(object);
        let id = (kind.group.clone(), kind.plural.clone());
        let Some(collection) = self.collections.get_mut(&id) else {
            return object;
        };
        let before = if deleted {
            collection.objects.remove(key)
        } else {
            collection.objects.insert(key.clone(), Arc::clone(&object))
        };
        collection.changes.push_back(Change {
            revision: self.revision,
            at: Instant::now(),
            key: key.clone(),
            before,
            object: Arc::clone(&object),
            deleted,
        });
        if collection.changes.len() > HISTORY
            && let Some(oldest) = collection.changes.front().map(|change| change.revision)
        {
            collection.forget_up_to(oldest);
        }
        object
    }

    /// Forgets all history up to now: watches and pages that start earlier are answered with 410.
    pub fn compact(&mut self) {
        let revision = self.revision;
        for collection in self.collections.values_mut() {
            collection.forget_up_to(revision);
        }
    }
}
