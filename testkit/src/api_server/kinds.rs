//! Which resources are served: a few built-in ones, and every CustomResourceDefinition that was installed.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use super::schema::Schema;

/// One served resource, in one version.
#[derive(Clone, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    clippy::struct_field_names,
    reason = "independent properties, named as in a definition"
)]
pub struct Kind {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    pub plural: String,
    pub singular: String,
    pub kind: String,
    pub short_names: Vec<String>,
    pub categories: Vec<String>,
    pub namespaced: bool,
    /// Writes on the main resource leave `status` alone; `/status` changes nothing else.
    pub has_status: bool,
    /// `metadata.generation` counts changes of anything but metadata (and status, where it is apart).
    pub counts_generations: bool,
    /// A PUT without resourceVersion overwrites whatever is there.
    pub unconditional_update: bool,
    /// A PUT on a name that does not exist creates it.
    pub create_on_update: bool,
    /// Fields by which a collection can be narrowed down beside name and namespace, such as `spec.owner.uid`.
    pub selectable_fields: Vec<String>,
    /// What a custom resource must look like; built-in kinds are taken as they come.
    pub schema: Option<Arc<Schema>>,
}

impl Kind {
    /// `plural.group`, as error messages name a resource.
    pub fn resource(&self) -> String {
        qualified(&self.plural, &self.group)
    }

    /// `Kind.group`, as validation errors name a kind.
    pub fn qualified_kind(&self) -> String {
        qualified(&self.kind, &self.group)
    }

    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    pub fn is_namespace(&self) -> bool {
        self.group.is_empty() && self.plural == "namespaces"
    }

    pub fn is_definition(&self) -> bool {
        self.group == "apiextensions.k8s.io" && self.plural == "customresourcedefinitions"
    }

    pub fn is_custom(&self) -> bool {
        self.schema.is_some()
    }

    pub fn list_kind(&self) -> String {
        format!("{}List", self.kind)
    }
}

fn qualified(what: &str, group: &str) -> String {
    if group.is_empty() {
        what.to_owned()
    } else {
        format!("{what}.{group}")
    }
}

/// The kinds that are there before any definition is installed.
pub fn built_in() -> Vec<Kind> {
    let core = |plural: &str, kind: &str| built_in_kind("", "v1", plural, kind);
    let mut namespaces = core("namespaces", "Namespace");
    namespaces.namespaced = false;
    namespaces.has_status = true;
    namespaces.short_names = vec!["ns".to_owned()];
    let mut pods = core("pods", "Pod");
    pods.has_status = true;
    pods.counts_generations = true;
    let mut leases = built_in_kind("coordination.k8s.io", "v1", "leases", "Lease");
    leases.unconditional_update = false;
    leases.create_on_update = true;
    let mut events = built_in_kind("events.k8s.io", "v1", "events", "Event");
    events.create_on_update = true;
    let mut definitions = built_in_kind(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
    );
    definitions.namespaced = false;
    definitions.has_status = true;
    definitions.counts_generations = true;
    definitions.unconditional_update = false;
    vec![
        namespaces,
        core("secrets", "Secret"),
        core("configmaps", "ConfigMap"),
        pods,
        leases,
        events,
        definitions,
    ]
}

fn built_in_kind(group: &str, version: &str, plural: &str, kind: &str) -> Kind {
    Kind {
        group: group.to_owned(),
        version: version.to_owned(),
        plural: plural.to_owned(),
        singular: kind.to_lowercase(),
        kind: kind.to_owned(),
        short_names: Vec::new(),
        categories: Vec::new(),
        namespaced: true,
        has_status: false,
        counts_generations: false,
        unconditional_update: true,
        create_on_update: false,
        selectable_fields: Vec::new(),
        schema: None,
    }
}

/// The kinds a CustomResourceDefinition serves, one a version.
pub fn of_definition(definition: &Value) -> Result<Vec<Kind>, String> {
    let spec = &definition["spec"];
    let text = |value: &Value, what: &str| {
        value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("{what}: Required value"))
    };
    let texts = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let names = &spec["names"];
    let mut kinds = Vec::new();
    for version in spec["versions"].as_array().into_iter().flatten() {
        if version["served"].as_bool() != Some(true) {
            continue;
        }
        let schema = &version["schema"]["openAPIV3Schema"];
        if !schema.is_object() {
            return Err(
                "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required".into(),
            );
        }
        let kind = text(&names["kind"], "spec.names.kind")?;
        kinds.push(Kind {
            group: text(&spec["group"], "spec.group")?,
            version: text(&version["name"], "spec.versions[0].name")?,
            plural: text(&names["plural"], "spec.names.plural")?,
            singular: names["singular"]
                .as_str()
                .map_or_else(|| kind.to_lowercase(), str::to_owned),
            kind,
            short_names: texts(&names["shortNames"]),
            categories: texts(&names["categories"]),
            namespaced: spec["scope"].as_str() == Some("Namespaced"),
            has_status: version["subresources"]["status"].is_object(),
            counts_generations: true,
            unconditional_update: false,
            create_on_update: false,
            selectable_fields: version["selectableFields"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|field| field["jsonPath"].as_str())
                .map(|path| path.trim_start_matches('.').to_owned())
                .collect(),
            schema: Some(parsed(schema)?),
        });
    }
    Ok(kinds)
}

/// A schema, parsed once a process: a simulation creates thousands of servers with the same few definitions.
fn parsed(schema: &Value) -> Result<Arc<Schema>, String> {
    static KNOWN: Mutex<BTreeMap<String, Arc<Schema>>> = Mutex::new(BTreeMap::new());
    const REMEMBERED: usize = 64;
    let mut known = KNOWN.lock();
    let text = schema.to_string();
    if let Some(schema) = known.get(&text) {
        return Ok(Arc::clone(schema));
    }
    let schema = Arc::new(Schema::parse(schema)?);
    if known.len() >= REMEMBERED {
        known.clear();
    }
    known.insert(text, Arc::clone(&schema));
    Ok(schema)
}
