//! The state behind the server and what every write has in common: identity, time, ownership, admission.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::call::Call;
use super::fields::Shape;
use super::kinds::{self, Kind};
use super::managed::{self, Writer};
use super::meta;
use super::schema::{self, Schema};
use super::store::{Key, Store};
use crate::rng::Rng;

/// The store, the names it gives out, and the time.
#[derive(Debug)]
pub struct World {
    pub store: Store,
    pub metadata: Arc<Schema>,
    /// Set before each request.
    pub now: Timestamp,
    ids: Rng,
}

/// How field ownership of a written object comes about.
pub enum Ownership<'a> {
    /// Whatever changed belongs to the writer.
    OfChanges(&'a Writer),
    /// An apply has already settled it.
    Settled,
}

/// What a write left.
pub struct Written {
    /// Whether the object was not there before.
    pub created: bool,
    pub object: Arc<Value>,
}

impl World {
    pub fn new(now: Timestamp) -> Result<Self, String> {
        let mut world = Self {
            store: Store::new(kinds::built_in()),
            metadata: Arc::new(schema::metadata()?),
            now,
            ids: Rng::default(),
        };
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            world.add_namespace(name);
        }
        Ok(world)
    }

    /// The served kind a request names, in the version it names.
    pub fn kind(&self, call: &Call) -> Option<Arc<Kind>> {
        self.kind_of(&call.group, &call.plural)
            .filter(|kind| kind.version == call.version)
    }

    pub fn kind_of(&self, group: &str, plural: &str) -> Option<Arc<Kind>> {
        let collection = self
            .store
            .collection(group, plural)
            .filter(|collection| !collection.is_withdrawn())?;
        Some(Arc::clone(&collection.kind))
    }

    /// RFC 3339 in whole seconds, as `metav1.Time` has it.
    pub fn timestamp(&self) -> String {
        self.now.round(jiff::Unit::Second).unwrap_or(self.now).to_string()
    }

    /// A fresh uid: random in appearance, the same in every run.
    pub fn new_uid(&mut self) -> String {
        let high = self.ids.draw();
        let low = self.ids.draw();
        let bytes = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// Five characters for `generateName`, from the alphabet of the real server.
    pub fn new_suffix(&mut self) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut number = self.ids.draw();
        (0..5)
            .map(|_| {
                let index = usize::try_from(number % ALPHABET.len() as u64).unwrap_or_default();
                number /= ALPHABET.len() as u64;
                char::from(ALPHABET[index])
            })
            .collect()
    }

    pub fn writer(&self, kind: &Kind, call: &Call) -> Writer {
        Writer {
            manager: call.manager(),
            subresource: call.subresource.clone(),
            leaves_status: kind.has_status && call.subresource.is_empty(),
            api_version: kind.api_version(),
            time: self.timestamp(),
        }
    }

    /// Puts an object in place the way a create does, without admission: for what the server makes itself.
    pub fn insert(&mut self, kind: &Kind, key: &Key, mut object: Value) -> Arc<Value> {
        object["apiVersion"] = json!(kind.api_version());
        object["kind"] = json!(kind.kind);
        let uid = self.new_uid();
        let created = self.timestamp();
        let metadata = meta::metadata(&mut object);
        metadata.insert("name".to_owned(), json!(key.name));
        metadata.insert("uid".to_owned(), json!(uid));
        metadata.insert("creationTimestamp".to_owned(), json!(created));
        if !key.namespace.is_empty() {
            metadata.insert("namespace".to_owned(), json!(key.namespace));
        }
        if kind.counts_generations {
            metadata.insert("generation".to_owned(), json!(1));
        }
        self.store.put(kind, key, object)
    }

    /// Settles who owns what in `object`.
    pub fn own(&self, kind: &Kind, old: Option<&Value>, object: &mut Value, ownership: &Ownership<'_>) {
        if let Ownership::OfChanges(writer) = ownership {
            managed::note_update(self.shape(kind), old, object, writer);
        }
    }

    pub fn shape<'a>(&'a self, kind: &'a Kind) -> Shape<'a> {
        Shape {
            schema: kind.schema.as_deref(),
            metadata: &self.metadata,
        }
    }
}
