//! PUT, and the common end of every change to an object that is there.

use std::sync::Arc;

use serde_json::{Value, json};

use super::admission::admit;
use super::call::{Call, Verb};
use super::create::{fill_in_type, fold_string_data};
use super::errors::{FieldError, Refusal};
use super::kinds::Kind;
use super::meta;
use super::store::Key;
use super::world::{Ownership, World, Written};

impl World {
    /// Replaces an object, or its status.
    pub fn replace(&mut self, kind: &Kind, call: &Call, mut new: Value) -> Result<Written, Refusal> {
        fill_in_type(kind, &mut new)?;
        check_name(call, &new)?;
        let key = Key::new(&call.namespace, &call.name);
        let writer = self.writer(kind, call);
        let Some(old) = self.store.get(kind, &key).cloned() else {
            if kind.create_on_update && call.subresource.is_empty() {
                let object = self.create(kind, call, new, &Ownership::OfChanges(&writer))?;
                return Ok(Written {
                    created: true,
                    object,
                });
            }
            return Err(Refusal::not_found(kind, &call.name));
        };
        let object = self.update(kind, call, &old, new, &Ownership::OfChanges(&writer))?;
        Ok(Written {
            created: false,
            object,
        })
    }

    /// Brings `new` in the place of `old`: preconditions, what this door may change, admission, generation,
    /// and the end of an object whose last finalizer went.
    pub fn update(
        &mut self,
        kind: &Kind,
        call: &Call,
        old: &Arc<Value>,
        mut new: Value,
        ownership: &Ownership<'_>,
    ) -> Result<Arc<Value>, Refusal> {
        check_preconditions(kind, call, old, &new)?;
        let settled_owners = match ownership {
            Ownership::Settled => new["metadata"].get("managedFields").cloned(),
            Ownership::OfChanges(_) => None,
        };
        if call.subresource.is_empty() {
            meta::keep_servers_fields(&mut new, old);
            if kind.has_status {
                put_field(&mut new, "status", old.get("status"));
            }
        } else {
            let status = new.get("status").cloned();
            new = old.as_ref().clone();
            put_field(&mut new, "status", status.as_ref());
        }
        if let Some(owners) = settled_owners {
            meta::metadata(&mut new).insert("managedFields".to_owned(), owners);
        }
        fold_string_data(kind, &mut new);
        check_finalizers(kind, old, &new)?;
        admit(kind, call, &mut new, Some(old))?;
        self.own(kind, Some(old), &mut new, ownership);
        if call.parameter("dryRun").is_some() {
            return Ok(Arc::new(new));
        }
        if same(old, &new) && same_owners(old, &new) {
            return Ok(Arc::clone(old));
        }
        count_generation(kind, old, &mut new);
        if kind.is_definition() && call.subresource.is_empty() {
            self.serve_definition(&mut new).map_err(Refusal::bad_request)?;
        }
        let key = Key::new(&call.namespace, &call.name);
        Ok(self.settle(kind, &key, new))
    }

    /// Stores `object`, or removes it when it is marked for deletion and nothing holds it any more.
    pub fn settle(&mut self, kind: &Kind, key: &Key, object: Value) -> Arc<Value> {
        let held = kind.is_namespace() && super::namespaces::is_held(&object);
        if meta::is_deleting(&object) && meta::finalizers(&object).is_empty() && !held {
            let removed = self.store.remove(kind, key, object);
            self.after_removal(kind, key);
            return removed;
        }
        self.store.put(kind, key, object)
    }
}

fn check_preconditions(kind: &Kind, call: &Call, old: &Value, new: &Value) -> Result<(), Refusal> {
    check_name(call, new)?;
    if let Some(namespace) = new["metadata"]["namespace"]
        .as_str()
        .filter(|namespace| !namespace.is_empty())
        && kind.namespaced
        && namespace != call.namespace
    {
        return Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    check_identity(kind, call, old, new)?;
    let wanted = meta::resource_version(new);
    if wanted.is_empty() && !kind.unconditional_update {
        let why = "must be specified for an update";
        let error = FieldError::invalid("metadata.resourceVersion", &json!(0), why);
        return Err(Refusal::invalid_thing(
            &kind.group,
            &kind.plural,
            &call.name,
            &[error],
        ));
    }
    if !wanted.is_empty() && wanted != meta::resource_version(old) {
        return Err(Refusal::outdated(kind, &call.name));
    }
    Ok(())
}

/// The body must name the object that the path names.
pub fn check_name(call: &Call, object: &Value) -> Result<(), Refusal> {
    let name = meta::name(object);
    if name.is_empty() {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            call.name
        )));
    }
    if name != call.name {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.name
        )));
    }
    Ok(())
}

/// Another uid is a failed precondition in a PUT and an invalid change in a PATCH; so is marking by hand.
fn check_identity(kind: &Kind, call: &Call, old: &Value, new: &Value) -> Result<(), Refusal> {
    let immutable = |field: &str, value: &Value| {
        let error = FieldError::invalid(&format!("metadata.{field}"), value, "field is immutable");
        Err(Refusal::invalid(kind, &call.name, &[error.clone(), error]))
    };
    let (wanted, uid) = (meta::uid(new), meta::uid(old));
    if !wanted.is_empty() && wanted != uid {
        if call.verb == Verb::Patch {
            return immutable("uid", &json!(wanted));
        }
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: /registry/{}/{}/{}/{}, ResourceVersion: 0, \
             AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid}",
            kind.group, kind.plural, call.namespace, call.name
        );
        return Err(Refusal::conflict(kind, &call.name, &why));
    }
    let (marked, was_marked) = (
        &new["metadata"]["deletionTimestamp"],
        &old["metadata"]["deletionTimestamp"],
    );
    if marked.is_string() && marked != was_marked {
        return immutable("deletionTimestamp", marked);
    }
    Ok(())
}

fn check_finalizers(kind: &Kind, old: &Value, new: &Value) -> Result<(), Refusal> {
    if !meta::is_deleting(old) {
        return Ok(());
    }
    let held = meta::finalizers(old);
    let added: Vec<&str> = meta::finalizers(new)
        .into_iter()
        .filter(|name| !held.contains(name))
        .collect();
    if added.is_empty() {
        return Ok(());
    }
    let listed: Vec<String> = added.iter().map(|name| format!("\"{name}\"")).collect();
    let why = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        listed.join(", ")
    );
    Err(Refusal::invalid(
        kind,
        meta::name(new),
        &[FieldError::forbidden("metadata.finalizers", why)],
    ))
}

fn put_field(object: &mut Value, name: &str, value: Option<&Value>) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    match value {
        Some(value) => fields.insert(name.to_owned(), value.clone()),
        None => fields.remove(name),
    };
}

/// Whether two states of an object are the same to a reader; who owns what since when is not part of it.
fn same(old: &Value, new: &Value) -> bool {
    let ours = |name: &str| !matches!(name, "managedFields" | "resourceVersion");
    same_fields(old, new, |name| name != "metadata") && same_fields(&old["metadata"], &new["metadata"], ours)
}

fn same_fields(a: &Value, b: &Value, counts: impl Fn(&str) -> bool) -> bool {
    let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else {
        return a == b;
    };
    let counted = |(name, _): &(&String, &Value)| counts(name);
    a.iter().filter(counted).eq(b.iter().filter(counted))
}

/// Whether the same managers own the same fields: a write that changes nothing must not count for its time alone.
fn same_owners(old: &Value, new: &Value) -> bool {
    let (old, new) = (owners(old), owners(new));
    old.len() == new.len()
        && old
            .iter()
            .zip(new)
            .all(|(a, b)| same_fields(a, b, |name| name != "time"))
}

fn owners(object: &Value) -> &[Value] {
    object["metadata"]["managedFields"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

fn count_generation(kind: &Kind, old: &Value, new: &mut Value) {
    let counts = |name: &str| name != "metadata" && !(kind.has_status && name == "status");
    if kind.counts_generations && !same_fields(old, new, counts) {
        raise_generation(new);
    }
}

/// One more generation, where the object counts them.
pub fn raise_generation(object: &mut Value) {
    if let Some(generation) = object["metadata"]["generation"].as_i64() {
        meta::metadata(object).insert("generation".to_owned(), json!(generation + 1));
    }
}
