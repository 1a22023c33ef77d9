//! Label and field selectors of list, watch and deletecollection.

use serde_json::Value;

use super::call::Call;
use super::errors::Refusal;
use super::kinds::Kind;

/// What a collection is narrowed down to.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<FieldRequirement>,
}

#[derive(Clone, Debug)]
enum Requirement {
    Exists(String),
    Missing(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

#[derive(Clone, Debug)]
enum Field {
    Name,
    Namespace,
    /// One that the definition names, as a JSON pointer.
    Selectable(String),
}

/// Whether a field equals a value, or differs from it.
#[derive(Clone, Debug)]
struct FieldRequirement {
    field: Field,
    equal: bool,
    value: String,
}

impl Selector {
    /// Parses the `labelSelector` and `fieldSelector` parameters of a request for `kind`.
    pub fn parse(kind: &Kind, call: &Call) -> Result<Self, Refusal> {
        let labels = split_outside_parentheses(call.parameter("labelSelector").unwrap_or_default())
            .into_iter()
            .map(|part| requirement(&part))
            .collect::<Result<_, _>>()?;
        let fields = call
            .parameter("fieldSelector")
            .unwrap_or_default()
            .split(',')
            .filter(|part| !part.is_empty())
            .map(|part| field_requirement(kind, part))
            .collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub fn matches(&self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        let labels = &metadata["labels"];
        self.labels.iter().all(|requirement| requirement.holds(labels))
            && self
                .fields
                .iter()
                .all(|FieldRequirement { field, equal, value }| {
                    let actual = match field {
                        Field::Name => text(metadata.get("name")),
                        Field::Namespace => text(metadata.get("namespace")),
                        Field::Selectable(pointer) => text(object.pointer(pointer)),
                    };
                    (actual == *value) == *equal
                })
    }
}

/// A field as selectors compare it; one that is not there is empty.
fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

impl Requirement {
    fn holds(&self, labels: &Value) -> bool {
        let value = |key: &str| labels.get(key).and_then(Value::as_str);
        match self {
            Self::Exists(key) => value(key).is_some(),
            Self::Missing(key) => value(key).is_none(),
            Self::In(key, wanted) => value(key).is_some_and(|v| wanted.iter().any(|w| w == v)),
            Self::NotIn(key, unwanted) => value(key).is_none_or(|v| unwanted.iter().all(|w| w != v)),
        }
    }
}

fn split_outside_parentheses(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
        .into_iter()
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect()
}

fn requirement(part: &str) -> Result<Requirement, Refusal> {
    let unparsable = || Refusal::bad_request(format!("unable to parse requirement: {part}"));
    if let Some((head, values)) = part.split_once('(') {
        let values = values
            .trim_end_matches(')')
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect();
        let mut words = head.split_whitespace();
        let key = words.next().ok_or_else(unparsable)?.to_owned();
        return match words.next() {
            Some("in") => Ok(Requirement::In(key, values)),
            Some("notin") => Ok(Requirement::NotIn(key, values)),
            _ => Err(unparsable()),
        };
    }
    for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = part.split_once(operator) {
            let (key, values) = (key.trim().to_owned(), vec![value.trim().to_owned()]);
            return Ok(if equal {
                Requirement::In(key, values)
            } else {
                Requirement::NotIn(key, values)
            });
        }
    }
    if part.split_whitespace().count() != 1 {
        return Err(unparsable());
    }
    Ok(match part.strip_prefix('!') {
        Some(key) => Requirement::Missing(key.trim().to_owned()),
        None => Requirement::Exists(part.to_owned()),
    })
}

fn field_requirement(kind: &Kind, part: &str) -> Result<FieldRequirement, Refusal> {
    for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = part.split_once(operator) {
            let field = match key {
                "metadata.name" => Field::Name,
                "metadata.namespace" if kind.namespaced => Field::Namespace,
                _ if kind.selectable_fields.iter().any(|field| field == key) => {
                    Field::Selectable(format!("/{}", key.replace('.', "/")))
                }
                _ => return Err(Refusal::bad_request(format!("field label not supported: {key}"))),
            };
            return Ok(FieldRequirement {
                field,
                equal,
                value: value.to_owned(),
            });
        }
    }
    Err(Refusal::bad_request(format!("invalid field selector: {part}")))
}
