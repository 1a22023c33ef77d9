//! GET of one object and of collections: selectors, pages, old revisions, metadata only.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::call::Call;
use super::errors::{FieldError, Refusal};
use super::faults::Staleness;
use super::kinds::Kind;
use super::meta;
use super::selector::Selector;
use super::store::{Collection, Key};
use super::world::World;

impl World {
    pub fn get(&self, kind: &Kind, call: &Call, staleness: Staleness) -> Result<Value, Refusal> {
        let revision = self.revision_to_read(call, staleness)?;
        let key = Key::new(&call.namespace, &call.name);
        let object = self
            .store
            .collection_of(kind)
            .and_then(|all| all.get_at(&key, revision));
        let object = object.ok_or_else(|| Refusal::not_found(kind, &call.name))?;
        Ok(if call.wants_metadata_only() {
            meta::partial(&object)
        } else {
            object.as_ref().clone()
        })
    }

    pub fn list(&self, kind: &Kind, call: &Call, staleness: Staleness) -> Result<Value, Refusal> {
        let selector = Selector::parse(kind, call)?;
        let Some(all) = self.store.collection_of(kind) else {
            return Ok(json!({}));
        };
        let Page { revision, after } = match call.parameter("continue") {
            Some(token) => from_token(token)?,
            None => Page {
                revision: self.revision_to_read(call, staleness)?,
                after: None,
            },
        };
        let objects = all.at(revision).ok_or_else(|| too_old(call))?;
        let limit = call
            .parameter("limit")
            .and_then(|limit| limit.parse::<usize>().ok())
            .filter(|l| *l > 0);
        let mut matching = objects
            .iter()
            .filter(|(key, _)| call.namespace.is_empty() || key.namespace == call.namespace)
            .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after))
            .filter(|(_, object)| selector.matches(object));
        let page: Vec<(&Key, &Arc<Value>)> = matching.by_ref().take(limit.unwrap_or(usize::MAX)).collect();
        let remaining = matching.count();
        let mut metadata = Map::new();
        metadata.insert("resourceVersion".to_owned(), json!(revision.to_string()));
        if let Some((last, _)) = page.last().filter(|_| remaining > 0) {
            metadata.insert("continue".to_owned(), json!(to_token(revision, last)));
            if selector.is_everything() {
                metadata.insert("remainingItemCount".to_owned(), json!(remaining));
            }
        }
        let items: Vec<Value> = page
            .into_iter()
            .map(|(_, object)| list_item(kind, object, call.wants_metadata_only()))
            .collect();
        let (api_version, list_kind) = if call.wants_metadata_only() {
            (
                "meta.k8s.io/v1".to_owned(),
                "PartialObjectMetadataList".to_owned(),
            )
        } else {
            (kind.api_version(), kind.list_kind())
        };
        Ok(json!({"kind": list_kind, "apiVersion": api_version, "metadata": metadata, "items": items}))
    }

    /// The revision a read is answered from: the newest one, unless it asks for less or is made to lag.
    pub fn revision_to_read(&self, call: &Call, staleness: Staleness) -> Result<u64, Refusal> {
        let newest = self.store.revision();
        let wanted = match call.parameter("resourceVersion") {
            None => None,
            Some(text) => Some(text.parse::<u64>().map_err(|_| {
                Refusal::bad_request(format!(
                    "invalid resource version: resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \
                     \"{text}\": invalid syntax"
                ))
            })?),
        };
        if let Some(wanted) = wanted.filter(|wanted| *wanted > newest) {
            return Err(Refusal::too_large_resource_version(wanted, newest));
        }
        if call.parameter("resourceVersionMatch") == Some("Exact") {
            if wanted.is_none() {
                let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
                let error = FieldError::forbidden("resourceVersionMatch", why);
                return Err(Refusal::invalid_options("ListOptions", &[error]));
            }
            return Ok(wanted.unwrap_or(newest));
        }
        let behind = match (staleness, wanted) {
            (Staleness::Everywhere(behind), _) | (Staleness::WhereAllowed(behind), Some(_)) => behind,
            _ => 0,
        };
        let oldest = self
            .store
            .collection(&call.group, &call.plural)
            .map_or(0, Collection::compacted);
        Ok(newest.saturating_sub(behind).max(wanted.unwrap_or(0)).max(oldest))
    }
}

/// Items of built-in kinds come without their type, those of custom kinds with it.
fn list_item(kind: &Kind, object: &Value, metadata_only: bool) -> Value {
    if metadata_only {
        return meta::partial(object);
    }
    let mut item = object.clone();
    if !kind.is_custom()
        && let Some(fields) = item.as_object_mut()
    {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    item
}

fn to_token(revision: u64, last: &Key) -> String {
    STANDARD.encode(json!([revision, last.namespace, last.name]).to_string())
}

/// Where a list begins.
struct Page {
    revision: u64,
    /// The last object of the page before.
    after: Option<Key>,
}

fn from_token(token: &str) -> Result<Page, Refusal> {
    let unusable = || Refusal::bad_request("continue key is not valid");
    let bytes = STANDARD.decode(token).map_err(|_| unusable())?;
    let (revision, namespace, name): (u64, String, String) =
        serde_json::from_slice(&bytes).map_err(|_| unusable())?;
    Ok(Page {
        revision,
        after: Some(Key { namespace, name }),
    })
}

fn too_old(call: &Call) -> Refusal {
    Refusal::expired(if call.parameter("continue").is_some() {
        "The provided continue parameter is too old to display a consistent list result. You can start a new \
         list without the continue parameter, or use the continue token in this response to retrieve the \
         remainder of the results. Continuing with the provided token results in an inconsistent list - objects \
         that were created, modified, or deleted between the time the first chunk was returned and now may show \
         up in the list."
    } else {
        "The resourceVersion for the provided list is too old."
    })
}
