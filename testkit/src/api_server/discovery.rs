//! What is served, as clients discover it, and the few paths that are no resources.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::kinds::Kind;
use super::world::World;

impl World {
    /// Answers a path that is no resource; nothing when there is no such path.
    pub fn discover(&self, path: &str) -> Option<Value> {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match segments.as_slice() {
            ["version"] => Some(json!({"major": "1", "minor": "36", "gitVersion": "v1.36.3"})),
            ["api"] => {
                Some(json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}))
            }
            ["apis"] => {
                let groups: Vec<Value> = self
                    .groups()
                    .into_iter()
                    .map(|(name, version)| group(&name, &version))
                    .collect();
                Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
            }
            ["apis", name] => {
                let version = self.groups().remove(*name)?;
                let mut answer = group(name, &version);
                answer["kind"] = json!("APIGroup");
                answer["apiVersion"] = json!("v1");
                Some(answer)
            }
            ["api", version] => self.resources("", version),
            ["apis", group, version] => self.resources(group, version),
            _ => None,
        }
    }

    fn groups(&self) -> BTreeMap<String, String> {
        let kinds = self
            .store
            .collections()
            .map(|all| &all.kind)
            .filter(|kind| !kind.group.is_empty());
        kinds
            .map(|kind| (kind.group.clone(), kind.version.clone()))
            .collect()
    }

    fn resources(&self, group: &str, version: &str) -> Option<Value> {
        let resources: Vec<Value> = self
            .store
            .collections()
            .map(|all| &all.kind)
            .filter(|kind| kind.group == group && kind.version == version)
            .flat_map(|kind| entries(kind))
            .collect();
        if resources.is_empty() {
            return None;
        }
        let group_version = if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        };
        Some(json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources,
        }))
    }
}

fn group(name: &str, version: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn entries(kind: &Kind) -> Vec<Value> {
    let mut entries = vec![json!({
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": kind.short_names,
        "categories": kind.categories,
    })];
    if kind.has_status {
        entries.push(json!({
            "name": format!("{}/status", kind.plural),
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": ["get", "patch", "update"],
        }));
    }
    entries
}
