//! A structural schema: read once from a definition, then used to prune, to default, and to know which
//! lists and maps are merged and which are replaced whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::rules::Rules;

/// How a list is merged and what makes its elements the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListType {
    Atomic,
    Set,
    /// Elements are identified by these fields.
    Map(Vec<String>),
}

/// What `additionalProperties` says.
#[derive(Debug)]
pub enum Additional {
    Nothing,
    Anything,
    Each(Box<Schema>),
}

/// Numeric and size bounds, as written.
#[derive(Debug, Default)]
pub struct Bounds {
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    pub min_items: Option<u64>,
    pub max_items: Option<u64>,
    pub min_properties: Option<u64>,
    pub max_properties: Option<u64>,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub exclusive_minimum: bool,
    pub exclusive_maximum: bool,
    pub multiple_of: Option<f64>,
}

/// One node of an `openAPIV3Schema`.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent properties, as in the schema itself"
)]
pub struct Schema {
    pub kind: Option<String>,
    pub format: Option<String>,
    pub nullable: bool,
    pub properties: BTreeMap<String, Self>,
    pub additional: Additional,
    pub items: Option<Box<Self>>,
    pub required: Vec<String>,
    pub allowed: Vec<Value>,
    pub pattern: Option<String>,
    pub bounds: Bounds,
    pub default: Option<Value>,
    pub int_or_string: bool,
    pub preserves_unknown: bool,
    pub embedded: bool,
    pub list: ListType,
    pub atomic_map: bool,
    pub all_of: Vec<Self>,
    pub any_of: Vec<Self>,
    pub one_of: Vec<Self>,
    pub not: Option<Box<Self>>,
    pub rules: Option<Arc<Rules>>,
}

impl Schema {
    /// Reads a schema node and everything below it.
    pub fn parse(schema: &Value) -> Result<Self, String> {
        let child = |key: &str| schema.get(key).filter(|value| value.is_object());
        let children = |key: &str| -> Result<Vec<Self>, String> {
            schema[key]
                .as_array()
                .into_iter()
                .flatten()
                .map(Self::parse)
                .collect()
        };
        let mut properties = BTreeMap::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            properties.insert(name.clone(), Self::parse(property)?);
        }
        let additional = match schema.get("additionalProperties") {
            Some(Value::Bool(true)) => Additional::Anything,
            Some(each @ Value::Object(_)) => Additional::Each(Box::new(Self::parse(each)?)),
            _ => Additional::Nothing,
        };
        let text = |key: &str| schema[key].as_str().map(str::to_owned);
        let flag = |key: &str| schema[key].as_bool() == Some(true);
        Ok(Self {
            kind: text("type"),
            format: text("format"),
            nullable: flag("nullable"),
            properties,
            additional,
            items: child("items").map(Self::parse).transpose()?.map(Box::new),
            required: strings(&schema["required"]),
            allowed: schema["enum"].as_array().cloned().unwrap_or_default(),
            pattern: text("pattern"),
            bounds: bounds(schema),
            default: schema.get("default").cloned(),
            int_or_string: flag("x-kubernetes-int-or-string"),
            preserves_unknown: flag("x-kubernetes-preserve-unknown-fields"),
            embedded: flag("x-kubernetes-embedded-resource"),
            list: match schema["x-kubernetes-list-type"].as_str() {
                Some("set") => ListType::Set,
                Some("map") => ListType::Map(strings(&schema["x-kubernetes-list-map-keys"])),
                _ => ListType::Atomic,
            },
            atomic_map: schema["x-kubernetes-map-type"].as_str() == Some("atomic"),
            all_of: children("allOf")?,
            any_of: children("anyOf")?,
            one_of: children("oneOf")?,
            not: child("not").map(Self::parse).transpose()?.map(Box::new),
            rules: Rules::of(schema)?.map(Arc::new),
        })
    }

    /// The schema of one field of an object, declared or additional.
    pub fn field(&self, name: &str) -> Option<&Self> {
        match (self.properties.get(name), &self.additional) {
            (Some(property), _) => Some(property),
            (None, Additional::Each(each)) => Some(each),
            (None, _) => None,
        }
    }

    fn keeps(&self, name: &str) -> bool {
        self.preserves_unknown
            || self.properties.contains_key(name)
            || !matches!(self.additional, Additional::Nothing)
    }
}

fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn bounds(schema: &Value) -> Bounds {
    let count = |key: &str| schema[key].as_u64();
    Bounds {
        min_length: count("minLength"),
        max_length: count("maxLength"),
        min_items: count("minItems"),
        max_items: count("maxItems"),
        min_properties: count("minProperties"),
        max_properties: count("maxProperties"),
        minimum: schema["minimum"].as_f64(),
        maximum: schema["maximum"].as_f64(),
        exclusive_minimum: schema["exclusiveMinimum"].as_bool() == Some(true),
        exclusive_maximum: schema["exclusiveMaximum"].as_bool() == Some(true),
        multiple_of: schema["multipleOf"].as_f64(),
    }
}

/// Removes fields no schema names, below the root's own `apiVersion`, `kind` and `metadata`; returns their
/// paths.
pub fn prune(root: &Schema, object: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    if let Some(fields) = object.as_object_mut() {
        prune_fields(root, fields, "", true, &mut unknown);
    }
    unknown
}

fn prune_value(schema: &Schema, value: &mut Value, path: &str, unknown: &mut Vec<String>) {
    match value {
        Value::Object(fields) => prune_fields(schema, fields, path, schema.embedded, unknown),
        Value::Array(items) => {
            if let Some(each) = &schema.items {
                for (index, item) in items.iter_mut().enumerate() {
                    prune_value(each, item, &format!("{path}[{index}]"), unknown);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn prune_fields(
    schema: &Schema,
    fields: &mut Map<String, Value>,
    path: &str,
    is_resource: bool,
    unknown: &mut Vec<String>,
) {
    let known_anyway = |name: &str| is_resource && matches!(name, "apiVersion" | "kind" | "metadata");
    fields.retain(|name, _| {
        let keeps = schema.keeps(name) || known_anyway(name);
        if !keeps {
            unknown.push(join(path, name));
        }
        keeps
    });
    for (name, value) in fields.iter_mut() {
        if known_anyway(name) {
            continue;
        }
        if let Some(below) = schema.field(name) {
            prune_value(below, value, &join(path, name), unknown);
        }
    }
}

/// Drops nulls where they are not allowed and fills in defaults, as the server does on every write.
pub fn default(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, field| {
                let below = schema.field(name);
                !field.is_null() || below.is_none_or(|below| below.nullable || below.preserves_unknown)
            });
            for (name, below) in &schema.properties {
                if let Some(default) = below.default.as_ref().filter(|_| !fields.contains_key(name)) {
                    fields.insert(name.clone(), default.clone());
                }
            }
            for (name, field) in fields.iter_mut() {
                if let Some(below) = schema.field(name) {
                    self::default(below, field);
                }
            }
        }
        Value::Array(items) => {
            if let Some(each) = &schema.items {
                for item in items {
                    self::default(each, item);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The schema every object's metadata has, as far as merging and pruning need it.
pub fn metadata() -> Result<Schema, String> {
    let text = json!({"type": "string"});
    let texts = json!({"type": "object", "additionalProperties": text});
    Schema::parse(&json!({
        "type": "object",
        "properties": {
            "name": text, "generateName": text, "namespace": text, "selfLink": text, "uid": text,
            "resourceVersion": text, "creationTimestamp": text, "deletionTimestamp": text,
            "generation": {"type": "integer"},
            "deletionGracePeriodSeconds": {"type": "integer"},
            "labels": texts, "annotations": texts,
            "finalizers": {"type": "array", "items": text, "x-kubernetes-list-type": "set"},
            "ownerReferences": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["uid"],
                "items": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": true},
            },
            "managedFields": {"type": "array", "items": {"type": "object", "additionalProperties": true}},
        },
    }))
}

pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
