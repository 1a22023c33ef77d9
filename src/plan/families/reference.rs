//! The table of settings as documentation, from the table itself and from the definition of the custom resource.

use kube::CustomResourceExt;
use serde_json::{Value as Json, json};

use super::family::Family;
use super::list::FAMILIES;
use crate::api::SharedMailbox;
use crate::setting::Property;

/// One row for each setting, in Markdown.
pub fn reference() -> String {
    let definition = json!(SharedMailbox::crd());
    let spec = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut table = "| field | example | what it does | in Exchange | off value | needs |\n\
                     | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    let mut fields = Vec::new();
    for family in FAMILIES {
        if let Some((choice, off)) = family.choice {
            let (field, schema) = field(spec, choice);
            table.push_str(&row(&field, &schema, "which of the next ones is set", off, ""));
        }
        for property in family
            .properties
            .iter()
            .filter(|property| property.shown_as.is_some())
        {
            let (field, schema) = field(spec, property.field);
            // The numbers of custom attributes are one field.
            if !fields.contains(&field) {
                let place = place(family, property, &field);
                table.push_str(&row(&field, &schema, &place, property.off, family.demands));
                fields.push(field);
            }
        }
    }
    table
}

/// The cmdlet and the parameter.
fn place(family: &Family, property: &Property, field: &str) -> String {
    let parameter = match field.strip_suffix(".*") {
        Some(_) => "CustomAttribute1 to 15",
        None => property.parameter,
    };
    format!("`{} -{parameter}`", family.call.cmdlet())
}

fn row(field: &str, schema: &Json, place: &str, off: &str, demands: &str) -> String {
    let off = match off {
        "" => "none".to_owned(),
        off => format!("`{off}`"),
    };
    format!(
        "| `{field}` | {} | {} | {place} | {off} | {demands} |\n",
        example(schema),
        first_sentence(schema),
    )
}

/// The field by its path in the manifest, and its schema. Of a map it is any of its entries.
fn field(spec: &Json, path_in_spec: &str) -> (String, Json) {
    let mut schema = spec.clone();
    let mut path = Vec::new();
    for name in path_in_spec.split('.') {
        let next = &schema["properties"][name];
        if next.is_null() {
            path.push("*");
            let mut entry = schema["additionalProperties"].clone();
            entry["description"] = schema["description"].clone();
            schema = entry;
        } else {
            path.push(name);
            schema = next.clone();
        }
    }
    (path.join("."), schema)
}

fn example(schema: &Json) -> String {
    let example = &schema["example"];
    match example {
        Json::Null => String::new(),
        Json::String(text) => format!("`{text}`"),
        Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => format!("`{example}`"),
    }
}

/// Without what stands behind a colon: the whole text is in `kubectl explain`.
fn first_sentence(schema: &Json) -> String {
    let text = schema["description"]
        .as_str()
        .unwrap_or_default()
        .replace('\n', " ");
    let end = text.find(". ").unwrap_or(text.trim_end_matches('.').len());
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_one_row_with_an_example_and_a_sentence() {
        let table = reference();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        for row in &rows {
            let cells: Vec<&str> = row.split(" | ").collect();
            assert_eq!(cells.len(), 6, "{row}");
            assert!(cells[1].starts_with('`') && cells[2].len() > 10, "{row}");
        }
        let is_shown = |property: &&Property| property.shown_as.is_some();
        let properties = FAMILIES
            .iter()
            .flat_map(|family| family.properties)
            .filter(is_shown);
        let choices = FAMILIES.iter().filter(|family| family.choice.is_some());
        let count = properties.count() + choices.count();
        let said = format!("| {count} ([list](settings.md)) |");
        assert!(
            include_str!("../../../docs/comparison.md").contains(&said),
            "docs/comparison.md: {said}"
        );
        // Fifteen custom attributes are one row.
        assert_eq!(rows.len(), count - 14);
    }
}
