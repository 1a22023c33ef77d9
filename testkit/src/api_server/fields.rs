//! Sets of field paths: what a manager owns, in the notation of `fieldsV1`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::schema::{ListType, Schema};

/// A path's elements: `f:name`, `k:{"key":"value"}` or `v:"value"`.
pub type Path = Vec<String>;

/// Owned paths. A container is itself an element only where it is empty or an element of a list.
pub type FieldSet = BTreeSet<Path>;

/// Every leaf of an object with its value; list elements and empty containers appear with `null`.
pub type Leaves = BTreeMap<Path, Value>;

/// How one kind's objects are taken apart: by its schema, or, for built-in kinds, with atomic lists.
#[derive(Clone, Copy)]
pub struct Shape<'a> {
    pub schema: Option<&'a Schema>,
    pub metadata: &'a Schema,
}

impl<'a> Shape<'a> {
    fn root_field(&self, name: &str) -> Option<&'a Schema> {
        match name {
            "metadata" => Some(self.metadata),
            _ => self.schema.and_then(|schema| schema.field(name)),
        }
    }

    /// The leaves that managers can own: identity and bookkeeping of the server are left out.
    pub fn leaves(&self, object: &Value) -> Leaves {
        let mut leaves = Leaves::new();
        for (name, value) in object.as_object().into_iter().flatten() {
            if matches!(name.as_str(), "apiVersion" | "kind") {
                continue;
            }
            collect(
                self.root_field(name),
                value,
                &mut vec![format!("f:{name}")],
                &mut leaves,
            );
        }
        leaves.retain(|path, _| !is_bookkeeping(path));
        leaves
    }

    /// The leaves, and every container that holds some: a container belongs to whoever brought it in.
    pub fn members(&self, object: &Value) -> Leaves {
        let mut members = self.leaves(object);
        let containers: FieldSet = members
            .keys()
            .flat_map(|path| (1..path.len()).map(|length| path[..length].to_vec()))
            .filter(|path| path.len() > 1 || path.first().is_some_and(|root| root != "f:metadata"))
            .collect();
        for container in containers {
            members.entry(container).or_insert(Value::Null);
        }
        members
    }

    /// `config` laid over `live`: what an apply makes of the object before pruning.
    pub fn merge(&self, live: &Value, config: &Value) -> Value {
        let mut merged = live.as_object().cloned().unwrap_or_default();
        for (name, value) in config.as_object().into_iter().flatten() {
            let below = self.root_field(name);
            let together = merge(below, merged.get(name), value);
            merged.insert(name.clone(), together);
        }
        Value::Object(merged)
    }
}

fn is_bookkeeping(path: &Path) -> bool {
    const SERVERS: [&str; 10] = [
        "f:name",
        "f:namespace",
        "f:uid",
        "f:resourceVersion",
        "f:generation",
        "f:creationTimestamp",
        "f:deletionTimestamp",
        "f:deletionGracePeriodSeconds",
        "f:managedFields",
        "f:selfLink",
    ];
    path.first().is_some_and(|root| root == "f:metadata")
        && path.get(1).is_none_or(|field| SERVERS.contains(&field.as_str()))
}

fn is_granular_map(schema: Option<&Schema>) -> bool {
    schema.is_none_or(|schema| !schema.atomic_map)
}

fn collect(schema: Option<&Schema>, value: &Value, path: &mut Path, leaves: &mut Leaves) {
    match (value, schema.map(|schema| &schema.list)) {
        (Value::Object(fields), _) if is_granular_map(schema) && !fields.is_empty() => {
            for (name, field) in fields {
                path.push(format!("f:{name}"));
                collect(schema.and_then(|schema| schema.field(name)), field, path, leaves);
                path.pop();
            }
        }
        (Value::Array(items), Some(ListType::Set)) if !items.is_empty() => {
            for item in items {
                path.push(format!("v:{item}"));
                leaves.insert(path.clone(), Value::Null);
                path.pop();
            }
        }
        (Value::Array(items), Some(ListType::Map(keys))) if !items.is_empty() => {
            let each = schema.and_then(|schema| schema.items.as_deref());
            for item in items {
                path.push(key_element(keys, item));
                leaves.insert(path.clone(), Value::Null);
                collect(each, item, path, leaves);
                path.pop();
            }
        }
        _ => {
            leaves.insert(path.clone(), value.clone());
        }
    }
}

fn key_element(keys: &[String], item: &Value) -> String {
    let named: Map<String, Value> = keys.iter().map(|key| (key.clone(), item[key].clone())).collect();
    format!("k:{}", Value::Object(named))
}

fn merge(schema: Option<&Schema>, live: Option<&Value>, config: &Value) -> Value {
    let Some(live) = live else { return config.clone() };
    match (live, config, schema.map(|schema| &schema.list)) {
        (Value::Object(live), Value::Object(config), _) if is_granular_map(schema) => {
            let mut merged = live.clone();
            for (name, field) in config {
                let below = schema.and_then(|schema| schema.field(name));
                let together = merge(below, live.get(name), field);
                merged.insert(name.clone(), together);
            }
            Value::Object(merged)
        }
        (Value::Array(live), Value::Array(config), Some(ListType::Set)) => {
            let mut merged = live.clone();
            merged.extend(config.iter().filter(|item| !live.contains(item)).cloned());
            Value::Array(merged)
        }
        (Value::Array(live), Value::Array(config), Some(ListType::Map(keys))) => {
            let each = schema.and_then(|schema| schema.items.as_deref());
            let mut merged = live.clone();
            for item in config {
                let key = key_element(keys, item);
                match merged.iter_mut().find(|other| key_element(keys, other) == key) {
                    Some(there) => *there = merge(each, Some(there), item),
                    None => merged.push(item.clone()),
                }
            }
            Value::Array(merged)
        }
        _ => config.clone(),
    }
}

/// Removes the value at `path`; nothing happens when it is not there.
pub fn remove(value: &mut Value, path: &[String]) {
    let [first, rest @ ..] = path else { return };
    if rest.is_empty() {
        match value {
            Value::Object(fields) => {
                fields.remove(first.trim_start_matches("f:"));
            }
            Value::Array(items) => items.retain(|item| !is_element(first, item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    } else if let Some(below) = step(value, first) {
        remove(below, rest);
    }
}

/// Whether the container at `path` is there and empty.
pub fn is_empty_at(value: &mut Value, path: &[String]) -> bool {
    match path {
        [] => match value {
            Value::Object(fields) => fields.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        },
        [first, rest @ ..] => step(value, first).is_some_and(|below| is_empty_at(below, rest)),
    }
}

fn step<'a>(value: &'a mut Value, element: &str) -> Option<&'a mut Value> {
    match value {
        Value::Object(fields) => fields.get_mut(element.strip_prefix("f:")?),
        Value::Array(items) => items.iter_mut().find(|item| is_element(element, item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn is_element(element: &str, item: &Value) -> bool {
    if let Some(key) = element.strip_prefix("k:") {
        let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
        return !key.is_empty() && key.iter().all(|(name, value)| item.get(name) == Some(value));
    }
    let value = element
        .strip_prefix("v:")
        .and_then(|text| serde_json::from_str::<Value>(text).ok());
    value.is_some_and(|value| value == *item)
}

/// `fieldsV1` of a set.
pub fn to_fields_v1(set: &FieldSet) -> Value {
    let mut root = Map::new();
    for path in set {
        insert(&mut root, path);
    }
    only_where_needed(&mut root);
    Value::Object(root)
}

fn insert(node: &mut Map<String, Value>, path: &[String]) {
    let [first, rest @ ..] = path else {
        node.insert(".".to_owned(), json!({}));
        return;
    };
    if let Some(below) = node
        .entry(first.clone())
        .or_insert_with(|| json!({}))
        .as_object_mut()
    {
        insert(below, rest);
    }
}

/// `.` marks a member that has members below; on its own it is left out.
fn only_where_needed(node: &mut Map<String, Value>) {
    if node.len() == 1 {
        node.remove(".");
    }
    for (name, below) in node.iter_mut() {
        if name != "."
            && let Some(fields) = below.as_object_mut()
        {
            only_where_needed(fields);
        }
    }
}

/// The set that `fieldsV1` describes.
pub fn from_fields_v1(fields: &Value) -> FieldSet {
    let mut set = FieldSet::new();
    read(fields, &mut Vec::new(), &mut set);
    set
}

fn read(node: &Value, path: &mut Path, set: &mut FieldSet) {
    let Some(fields) = node.as_object() else { return };
    if !path.is_empty() && (fields.is_empty() || fields.contains_key(".")) {
        set.insert(path.clone());
    }
    for (name, below) in fields.iter().filter(|(name, _)| *name != ".") {
        path.push(name.clone());
        read(below, path, set);
        path.pop();
    }
}

/// A path as conflicts print it: `.spec.members`, `.status.conditions[type="Ready"].status`.
pub fn dotted(path: &Path) -> String {
    let mut text = String::new();
    for element in path {
        if let Some(name) = element.strip_prefix("f:") {
            text.push('.');
            text.push_str(name);
        } else if let Some(key) = element.strip_prefix("k:") {
            let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
            let parts: Vec<String> = key
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let _ = write!(text, "[{}]", parts.join(","));
        } else if let Some(value) = element.strip_prefix("v:") {
            let _ = write!(text, "[={value}]");
        }
    }
    text
}
