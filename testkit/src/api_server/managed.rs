//! Field ownership: who last set what, and what server-side apply makes of it.

use serde_json::{Value, json};

use super::errors::Refusal;
use super::fields::{FieldSet, Path, Shape, dotted, from_fields_v1, is_empty_at, remove, to_fields_v1};

/// Who writes, and through which door.
#[derive(Clone, Debug)]
pub struct Writer {
    pub manager: String,
    /// `status` for the subresource, empty for the object itself.
    pub subresource: String,
    /// What comes about in `status` through this door is a default of the schema, which belongs to nobody.
    pub leaves_status: bool,
    pub api_version: String,
    /// RFC 3339, whole seconds.
    pub time: String,
}

/// One manager's entry in `metadata.managedFields`.
#[derive(Clone, Debug)]
struct Entry {
    manager: String,
    operation: String,
    subresource: String,
    api_version: String,
    time: String,
    set: FieldSet,
}

impl Entry {
    fn read(value: &Value) -> Self {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        Self {
            manager: text("manager"),
            operation: text("operation"),
            subresource: text("subresource"),
            api_version: text("apiVersion"),
            time: text("time"),
            set: from_fields_v1(&value["fieldsV1"]),
        }
    }

    fn write(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": to_fields_v1(&self.set),
        });
        if !self.subresource.is_empty() {
            entry["subresource"] = json!(self.subresource);
        }
        entry
    }

    fn is(&self, writer: &Writer, operation: &str) -> bool {
        self.manager == writer.manager
            && self.operation == operation
            && self.subresource == writer.subresource
    }
}

fn entries(object: &Value) -> Vec<Entry> {
    object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .map(Entry::read)
        .collect()
}

fn store(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.set.is_empty());
    let listed: Vec<Value> = entries.iter().map(Entry::write).collect();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        if listed.is_empty() {
            metadata.remove("managedFields");
        } else {
            metadata.insert("managedFields".to_owned(), Value::Array(listed));
        }
    }
}

/// Gives `writer` what a create, replace or patch changed, and takes it from everybody else.
pub fn note_update(shape: Shape<'_>, old: Option<&Value>, new: &mut Value, writer: &Writer) {
    let before = old.map(|old| shape.members(old)).unwrap_or_default();
    let after = shape.members(new);
    let written: FieldSet = after
        .iter()
        .filter(|(path, value)| before.get(*path) != Some(value))
        .filter(|(path, _)| !(writer.leaves_status && path.first().is_some_and(|root| root == "f:status")))
        .map(|(path, _)| path.clone())
        .collect();
    let gone = |path: &Path| !after.contains_key(path);
    let mut all = old.map(entries).unwrap_or_default();
    for entry in all.iter_mut().filter(|entry| !entry.is(writer, "Update")) {
        let is_new_element = |path: &Path| before.contains_key(path) && written.contains(path);
        entry.set.retain(|path| !gone(path) && !is_new_element(path));
    }
    if let Some(own) = all.iter_mut().find(|entry| entry.is(writer, "Update")) {
        let held = own.set.clone();
        own.set.retain(|path| !gone(path));
        own.set.extend(written);
        if own.set != held {
            own.time.clone_from(&writer.time);
        }
    } else {
        all.push(fresh(writer, "Update", written));
    }
    store(new, all);
}

fn fresh(writer: &Writer, operation: &str, set: FieldSet) -> Entry {
    Entry {
        manager: writer.manager.clone(),
        operation: operation.to_owned(),
        subresource: writer.subresource.clone(),
        api_version: writer.api_version.clone(),
        time: writer.time.clone(),
        set,
    }
}

/// Server-side apply of `config` over `live`: merges, resolves conflicts, removes what `writer` no longer
/// mentions and nobody else owns.
pub fn apply(
    shape: Shape<'_>,
    live: &Value,
    config: &Value,
    writer: &Writer,
    force: bool,
) -> Result<Value, Refusal> {
    let wanted = shape.leaves(config);
    let present = shape.members(live);
    let is_empty = |value: &Value| *value == json!({}) || *value == json!([]);
    let set: FieldSet = wanted.keys().cloned().collect();
    let changed: FieldSet = wanted
        .iter()
        .filter(|(path, value)| present.get(*path) != Some(value))
        .filter(|(path, value)| !(is_empty(value) && present.contains_key(*path)))
        .map(|(path, _)| path.clone())
        .collect();
    let mut all = entries(live);
    let mut causes = Vec::new();
    for entry in all.iter_mut().filter(|entry| !entry.is(writer, "Apply")) {
        // The same person writing through another door is not a conflict.
        let contested: Vec<Path> = entry.set.intersection(&changed).cloned().collect();
        for path in contested {
            if force {
                entry.set.remove(&path);
            } else {
                causes.push((dotted(&path), conflict_with(entry)));
            }
        }
    }
    if !causes.is_empty() {
        return Err(Refusal::apply_conflict(causes));
    }
    let last = all
        .iter()
        .find(|entry| entry.is(writer, "Apply"))
        .map(|entry| entry.set.clone());
    let others: FieldSet = all
        .iter()
        .filter(|entry| !entry.is(writer, "Apply"))
        .flat_map(|entry| entry.set.iter().cloned())
        .collect();
    let mut merged = shape.merge(live, config);
    if let Some(last) = &last {
        drop_abandoned(&mut merged, last, &set, &others);
    }
    if let Some(own) = all.iter_mut().find(|entry| entry.is(writer, "Apply")) {
        if own.set != set {
            own.time.clone_from(&writer.time);
        }
        own.set = set;
    } else {
        all.push(fresh(writer, "Apply", set));
    }
    let after = shape.members(&merged);
    for entry in &mut all {
        entry.set.retain(|path| after.contains_key(path));
    }
    store(&mut merged, all);
    Ok(merged)
}

fn conflict_with(entry: &Entry) -> String {
    if entry.operation == "Apply" {
        format!("conflict with \"{}\"", entry.manager)
    } else {
        let door = if entry.subresource.is_empty() {
            String::new()
        } else {
            format!(" with subresource \"{}\"", entry.subresource)
        };
        format!(
            "conflict with \"{}\"{door} using {}",
            entry.manager, entry.api_version
        )
    }
}

fn drop_abandoned(merged: &mut Value, last: &FieldSet, set: &FieldSet, others: &FieldSet) {
    let owned_below = |path: &[String]| {
        [set, others]
            .iter()
            .any(|owned| owned.iter().any(|kept| kept.starts_with(path)))
    };
    for path in last {
        if owned_below(path) {
            continue;
        }
        remove(merged, path);
        // Containers that the manager had filled alone are removed with their last field.
        let mut above = path.as_slice();
        while let [rest @ .., _] = above {
            above = rest;
            if above.len() < 2 && above.first().is_none_or(|root| root == "f:metadata") {
                break;
            }
            if above.is_empty() || owned_below(above) || !is_empty_at(merged, above) {
                break;
            }
            remove(merged, above);
        }
    }
}
