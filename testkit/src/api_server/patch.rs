//! PATCH in its three kinds: merge patch, JSON patch, server-side apply.

use serde_json::{Value, json};

use super::call::Call;
use super::errors::{FieldError, Refusal};
use super::kinds::Kind;
use super::managed;
use super::meta;
use super::store::Key;
use super::update::check_name;
use super::world::{Ownership, World, Written};

impl World {
    /// Applies the body of a PATCH.
    pub fn patch(&mut self, kind: &Kind, call: &Call, body: Value) -> Result<Written, Refusal> {
        let content_type = call.content_type.split(';').next().unwrap_or_default().trim();
        if content_type == "application/apply-patch+yaml" {
            return self.apply(kind, call, body);
        }
        let key = Key::new(&call.namespace, &call.name);
        let Some(old) = self.store.get(kind, &key).cloned() else {
            return Err(Refusal::not_found(kind, &call.name));
        };
        let mut new = old.as_ref().clone();
        match content_type {
            // Strategic merge patches of the kinds that we send equal merge patches but for lists with keys.
            "application/strategic-merge-patch+json" if !kind.is_custom() => {
                json_patch::merge(&mut new, &body);
            }
            "application/merge-patch+json" if body.is_object() => json_patch::merge(&mut new, &body),
            "application/merge-patch+json" => {
                return Err(Refusal::bad_request("error decoding patch: not an object"));
            }
            "application/json-patch+json" => {
                if !body.is_array() {
                    return Err(Refusal::bad_request(
                        "error decoding patch: not a list of operations",
                    ));
                }
                let operations: json_patch::Patch =
                    serde_json::from_value(body).map_err(|_| Refusal::unprocessable_patch())?;
                json_patch::patch(&mut new, &operations).map_err(|_| Refusal::unprocessable_patch())?;
            }
            _ => {
                return Err(Refusal::unsupported_media_type(&[
                    "application/json-patch+json",
                    "application/merge-patch+json",
                    "application/apply-patch+yaml",
                ]));
            }
        }
        if !new.is_object() {
            return Err(Refusal::bad_request("the patched object is not an object"));
        }
        let writer = self.writer(kind, call);
        let object = self.update(kind, call, &old, new, &Ownership::OfChanges(&writer))?;
        Ok(Written {
            created: false,
            object,
        })
    }

    fn apply(&mut self, kind: &Kind, call: &Call, mut config: Value) -> Result<Written, Refusal> {
        check_apply(kind, call, &config)?;
        check_name(call, &config)?;
        let (force, writer) = (call.is_set("force"), self.writer(kind, call));
        let key = Key::new(&call.namespace, &call.name);
        let wanted_version = meta::resource_version(&config).to_owned();
        let wanted_uid = meta::uid(&config).to_owned();
        only_this_doors_fields(kind, call, &mut config);
        let Some(old) = self.store.get(kind, &key).cloned() else {
            if !call.subresource.is_empty() {
                return Err(Refusal::not_found(kind, &call.name));
            }
            if !wanted_uid.is_empty() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {wanted_uid}, and no existing object was found"
                );
                return Err(Refusal::conflict(kind, &call.name, &why));
            }
            let nothing = json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {}});
            let object = managed::apply(self.shape(kind), &nothing, &config, &writer, force)?;
            let object = self.create(kind, call, object, &Ownership::Settled)?;
            return Ok(Written {
                created: true,
                object,
            });
        };
        let mut new = managed::apply(self.shape(kind), &old, &config, &writer, force)?;
        let metadata = meta::metadata(&mut new);
        if !wanted_version.is_empty() {
            metadata.insert("resourceVersion".to_owned(), json!(wanted_version));
        }
        if !wanted_uid.is_empty() {
            metadata.insert("uid".to_owned(), json!(wanted_uid));
        }
        let object = self.update(kind, call, &old, new, &Ownership::Settled)?;
        Ok(Written {
            created: false,
            object,
        })
    }
}

fn check_apply(kind: &Kind, call: &Call, config: &Value) -> Result<(), Refusal> {
    if call.parameter("fieldManager").is_none() {
        let error = FieldError::required("fieldManager", "is required for apply patch");
        return Err(Refusal::invalid_options("PatchOptions", &[error]));
    }
    if config["kind"].as_str() != Some(&kind.kind)
        || config["apiVersion"].as_str() != Some(&kind.api_version())
    {
        return Err(Refusal::bad_request(format!(
            "invalid object type: {}, Kind={}",
            config["apiVersion"].as_str().unwrap_or("/"),
            config["kind"].as_str().unwrap_or_default()
        )));
    }
    if config["metadata"]["managedFields"]
        .as_array()
        .is_some_and(|owners| !owners.is_empty())
    {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    Ok(())
}

/// What the other door writes is neither applied nor owned here.
fn only_this_doors_fields(kind: &Kind, call: &Call, config: &mut Value) {
    let Some(fields) = config.as_object_mut() else {
        return;
    };
    if call.subresource.is_empty() {
        if kind.has_status {
            fields.remove("status");
        }
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            for bookkeeping in [
                "resourceVersion",
                "uid",
                "creationTimestamp",
                "generation",
                "managedFields",
            ] {
                metadata.remove(bookkeeping);
            }
        }
        return;
    }
    fields.retain(|name, _| matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "status"));
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|name, _| matches!(name.as_str(), "name" | "namespace"));
    }
}
