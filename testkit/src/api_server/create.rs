//! POST, and whatever else makes an object that was not there.

use std::sync::Arc;

use serde_json::{Value, json};

use super::admission::admit;
use super::call::Call;
use super::errors::Refusal;
use super::kinds::Kind;
use super::meta;
use super::store::Key;
use super::world::{Ownership, World};

impl World {
    /// Creates `object` in the namespace of the request.
    pub fn create(
        &mut self,
        kind: &Kind,
        call: &Call,
        mut object: Value,
        ownership: &Ownership<'_>,
    ) -> Result<Arc<Value>, Refusal> {
        fill_in_type(kind, &mut object)?;
        check_namespace(kind, call, &mut object)?;
        let name = self.settle_name(&mut object);
        self.check_place(kind, call, &name)?;
        if !meta::resource_version(&object).is_empty() {
            return Err(Refusal::internal(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        let key = Key::new(&call.namespace, &name);
        self.stamp(kind, &mut object, ownership);
        admit(kind, call, &mut object, None)?;
        if self.store.get(kind, &key).is_some() {
            return Err(Refusal::already_exists(kind, &name));
        }
        self.own(kind, None, &mut object, ownership);
        if call.parameter("dryRun").is_some() {
            return Ok(Arc::new(object));
        }
        if kind.is_definition() {
            self.serve_definition(&mut object)
                .map_err(|why| Refusal::bad_request(why.clone()))?;
        }
        Ok(self.store.put(kind, &key, object))
    }

    fn settle_name(&mut self, object: &mut Value) -> String {
        let name = meta::name(object).to_owned();
        let Some(prefix) = object["metadata"]["generateName"]
            .as_str()
            .filter(|p| !p.is_empty())
        else {
            return name;
        };
        if !name.is_empty() {
            return name;
        }
        let prefix = prefix.to_owned();
        let name = format!("{prefix}{}", self.new_suffix());
        meta::metadata(object).insert("name".to_owned(), json!(name));
        name
    }

    /// The namespace must be there and staying; so must the definition.
    fn check_place(&self, kind: &Kind, call: &Call, name: &str) -> Result<(), Refusal> {
        if kind.namespaced {
            let namespaces = self.kind_of("", "namespaces");
            let place = Key::new("", &call.namespace);
            match namespaces
                .as_ref()
                .and_then(|namespaces| self.store.get(namespaces, &place))
            {
                None => {
                    let Some(namespaces) = namespaces else {
                        return Ok(());
                    };
                    return Err(Refusal::not_found(&namespaces, &call.namespace));
                }
                Some(namespace) if meta::is_deleting(namespace) => {
                    return Err(Refusal::namespace_terminating(kind, name, &call.namespace));
                }
                Some(_) => {}
            }
        }
        if kind.is_custom() && self.definition_is_going(kind) {
            return Err(Refusal::method_not_allowed(
                "create not allowed while custom resource definition is terminating",
            ));
        }
        Ok(())
    }

    fn stamp(&mut self, kind: &Kind, object: &mut Value, ownership: &Ownership<'_>) {
        if kind.has_status
            && !kind.is_namespace()
            && !kind.is_definition()
            && let Some(fields) = object.as_object_mut()
        {
            fields.remove("status");
        }
        let uid = self.new_uid();
        let created = self.timestamp();
        let metadata = meta::metadata(object);
        for field in [
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "selfLink",
        ] {
            metadata.remove(field);
        }
        if matches!(ownership, Ownership::OfChanges(_)) {
            metadata.remove("managedFields");
        }
        metadata.insert("uid".to_owned(), json!(uid));
        metadata.insert("creationTimestamp".to_owned(), json!(created));
        if kind.counts_generations {
            metadata.insert("generation".to_owned(), json!(1));
        }
        if kind.is_namespace() {
            super::namespaces::prepare(object);
        }
        fold_string_data(kind, object);
        if kind.plural == "secrets" && kind.group.is_empty() && object["type"].is_null() {
            object["type"] = json!("Opaque");
        }
    }
}

/// A custom resource must say what it is; for a built-in one the path is enough. Another kind than the path's is
/// left for admission to refuse.
pub fn fill_in_type(kind: &Kind, object: &mut Value) -> Result<(), Refusal> {
    let unrecognized = |why: &str| {
        Refusal::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {why}",
            kind.kind
        ))
    };
    if !object.is_object() {
        return Err(unrecognized("couldn't get version/kind; json parse error"));
    }
    let expected = kind.api_version();
    if kind.is_custom() && object["kind"].as_str().is_none_or(str::is_empty) {
        return Err(unrecognized("Object 'Kind' is missing"));
    }
    match object["apiVersion"].as_str().unwrap_or_default() {
        "" if !kind.is_custom() => object["apiVersion"] = json!(expected),
        actual if actual != expected => {
            return Err(Refusal::bad_request(format!(
                "the API version in the data ({actual}) does not match the expected API version ({expected})"
            )));
        }
        _ => {}
    }
    if object["kind"].as_str().is_none_or(str::is_empty) {
        object["kind"] = json!(kind.kind);
    }
    Ok(())
}

fn check_namespace(kind: &Kind, call: &Call, object: &mut Value) -> Result<(), Refusal> {
    let metadata = meta::metadata(object);
    if !kind.namespaced {
        metadata.remove("namespace");
        return Ok(());
    }
    match metadata.get("namespace").and_then(Value::as_str) {
        Some(written) if !written.is_empty() && written != call.namespace => Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
        _ => {
            metadata.insert("namespace".to_owned(), json!(call.namespace));
            Ok(())
        }
    }
}

/// `stringData` of a Secret becomes `data` on the way in.
pub fn fold_string_data(kind: &Kind, object: &mut Value) {
    use base64::Engine as _;
    if kind.plural != "secrets" || !kind.group.is_empty() {
        return;
    }
    let Some(Value::Object(texts)) = object
        .as_object_mut()
        .and_then(|fields| fields.remove("stringData"))
    else {
        return;
    };
    if !object["data"].is_object() {
        object["data"] = json!({});
    }
    for (name, text) in texts {
        let encoded = base64::engine::general_purpose::STANDARD.encode(text.as_str().unwrap_or_default());
        object["data"][name.as_str()] = json!(encoded);
    }
}
