//! Admission of a custom resource: OpenAPI validation, then CEL, each with the real server's wording.
//!
//! On updates a value that did not change is not judged again (ratcheting), so that tightening a schema
//! doesn't strand the objects that are already there.

use std::collections::HashMap;

use kube::core::cel::cel::{Context, Program, Value as CelValue};
use kube::core::cel::{ErrorKind, RootContext, ValidationError};
use parking_lot::Mutex;
use serde_json::Value;

use super::errors::{FieldError, shown};
use super::kinds::Kind;
use super::schema::{Additional, ListType, Schema, join};

/// Adds everything that is wrong with `object`; `old` is what an update replaces. Through the door of the status
/// only the status is judged, and messages name fields as seen from there.
pub fn validate(
    kind: &Kind,
    schema: &Schema,
    only_status: bool,
    object: &Value,
    old: Option<&Value>,
    errors: &mut Vec<FieldError>,
) {
    if !only_status {
        check(schema, object, old, "", errors);
    } else if let (Some(schema), Some(status)) = (schema.field("status"), object.get("status")) {
        let mut found = Vec::new();
        check(
            schema,
            status,
            old.and_then(|old| old.get("status")),
            "",
            &mut found,
        );
        errors.extend(found.into_iter().map(|error| error.below("status")));
    }
    let root = RootContext {
        api_version: kind.api_version(),
        api_group: kind.group.clone(),
        kind: kind.kind.clone(),
    };
    if errors.iter().any(FieldError::stops_rules) {
        if has_rules(schema) {
            let why = "some validation rules were not checked because the object was invalid; \
                       correct the existing errors to complete validation";
            errors.push(FieldError::invalid("<nil>", &Value::Null, why));
        }
    } else {
        check_rules(schema, object, old, "", Some(&root), errors);
    }
}

fn check(schema: &Schema, value: &Value, old: Option<&Value>, path: &str, errors: &mut Vec<FieldError>) {
    if old == Some(value) {
        return;
    }
    if value.is_null() && (schema.nullable || schema.preserves_unknown && schema.kind.is_none()) {
        return;
    }
    if schema.kind.as_deref() == Some("integer") && value.is_number() {
        if !check_integer(schema, value, path, errors) {
            return;
        }
    } else if !has_type(schema, value) {
        let wanted = if schema.int_or_string {
            "integer,string"
        } else {
            schema.kind.as_deref().unwrap_or("object")
        };
        let actual = type_name(value);
        let why = format!("{path} in body must be of type {wanted}: \"{actual}\"");
        errors.push(FieldError::wrong_type(path, actual, why));
        return;
    }
    if !schema.allowed.is_empty() && !schema.allowed.contains(value) {
        errors.push(FieldError::unsupported(path, value, &schema.allowed));
    }
    match value {
        Value::String(text) => check_text(schema, text, path, errors),
        Value::Number(number) => check_number(schema, number, path, errors),
        Value::Array(items) => check_list(schema, items, old, path, errors),
        Value::Object(_) => check_object(schema, value, old, path, errors),
        Value::Null | Value::Bool(_) => {}
    }
    check_branches(schema, value, path, errors);
}

fn has_type(schema: &Schema, value: &Value) -> bool {
    if schema.int_or_string {
        return value.is_string() || is_integer(value);
    }
    match schema.kind.as_deref() {
        None => true,
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => is_integer(value),
        Some("number") => value.is_number(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some(_) => false,
    }
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if is_integer(value) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Whether a number is of the integer format that the schema names; the server has two words for it.
fn check_integer(schema: &Schema, value: &Value, path: &str, errors: &mut Vec<FieldError>) -> bool {
    let (actual, wanted, format) = match schema.format.as_deref() {
        Some(format @ ("int32" | "int64")) => ("float64", format, format!("with format {format}")),
        _ => ("number", "integer", "(default format)".to_owned()),
    };
    let whole = is_integer(value);
    if !whole {
        let why = format!("{path} in body must be of type {wanted}: \"{actual}\"");
        errors.push(FieldError::wrong_type(path, actual, why));
    }
    let fits = wanted != "int32" || value.as_i64().is_some_and(|number| i32::try_from(number).is_ok());
    if !whole || !fits {
        let why = format!("Checked value must be of type integer {format} in {path}");
        errors.push(FieldError::invalid("<nil>", &Value::String(String::new()), why));
    }
    whole
}

fn check_text(schema: &Schema, text: &str, path: &str, errors: &mut Vec<FieldError>) {
    let bounds = &schema.bounds;
    let length = text.chars().count() as u64;
    let value = Value::String(text.to_owned());
    if let Some(limit) = bounds.max_length.filter(|limit| length > *limit) {
        errors.push(FieldError::too_long(path, limit));
    }
    if let Some(limit) = bounds.min_length.filter(|limit| length < *limit) {
        let why = format!("{path} in body should be at least {limit} chars long");
        errors.push(FieldError::invalid(path, &value, why));
    }
    if let Some(pattern) = schema
        .pattern
        .as_deref()
        .filter(|pattern| !matches(pattern, text))
    {
        let why = format!("{path} in body should match '{pattern}'");
        errors.push(FieldError::invalid(path, &value, why));
    }
    if schema.format.as_deref() == Some("date-time") && !is_date_time(text) {
        let why = format!("{path} in body must be of type date-time: {}", shown(&value));
        errors.push(FieldError::wrong_type(path, text, why));
    }
}

/// What the real server takes for a time: it looks at nothing after a second `t`, and takes any offset of four digits.
fn is_date_time(text: &str) -> bool {
    const TIME: &str = "^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$";
    let text = text.to_lowercase();
    let mut parts = text.split('t');
    let (Some(day), Some(time)) = (parts.next(), parts.next()) else {
        return false;
    };
    let is_digits = |from: usize, to: usize| {
        day.get(from..to)
            .is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_day = day.len() == 10
        && is_digits(0, 4)
        && is_digits(5, 7)
        && is_digits(8, 10)
        && day.parse::<jiff::civil::Date>().is_ok();
    let part = |from: usize| time.get(from..from + 2).unwrap_or_default();
    is_day && matches(TIME, time) && part(0) <= "23" && part(3) <= "59" && part(6) <= "59"
}

fn check_number(schema: &Schema, number: &serde_json::Number, path: &str, errors: &mut Vec<FieldError>) {
    let bounds = &schema.bounds;
    let actual = number.as_f64().unwrap_or_default();
    let value = Value::Number(number.clone());
    let mut refuse = |why: String| {
        errors.push(FieldError::invalid(path, &value, format!("{path} in body {why}")));
    };
    if let Some(limit) = bounds.maximum {
        if bounds.exclusive_maximum && actual >= limit {
            refuse(format!("should be less than {limit}"));
        } else if actual > limit {
            refuse(format!("should be less than or equal to {limit}"));
        }
    }
    if let Some(limit) = bounds.minimum {
        if bounds.exclusive_minimum && actual <= limit {
            refuse(format!("should be greater than {limit}"));
        } else if actual < limit {
            refuse(format!("should be greater than or equal to {limit}"));
        }
    }
    if let Some(step) = bounds.multiple_of.filter(|step| (actual / step).fract() != 0.0) {
        refuse(format!("should be a multiple of {step}"));
    }
}

fn check_list(
    schema: &Schema,
    items: &[Value],
    old: Option<&Value>,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    let bounds = &schema.bounds;
    if let Some(limit) = bounds.max_items.filter(|limit| items.len() as u64 > *limit) {
        errors.push(FieldError::too_many(path, items.len(), limit));
    }
    if let Some(limit) = bounds.min_items.filter(|limit| (items.len() as u64) < *limit) {
        let why = format!("{path} in body should have at least {limit} items");
        errors.push(FieldError::invalid(path, &Value::from(items.len()), why));
    }
    for (index, item) in items.iter().enumerate() {
        let field = format!("{path}[{index}]");
        let earlier = items.iter().take(index);
        match &schema.list {
            ListType::Set if earlier.clone().any(|other| other == item) => {
                errors.push(FieldError::duplicate(&field, &shown(item)));
            }
            ListType::Map(keys) if earlier.clone().any(|other| same_element(keys, other, item)) => {
                let named: serde_json::Map<String, Value> =
                    keys.iter().map(|key| (key.clone(), item[key].clone())).collect();
                errors.push(FieldError::duplicate(&field, &Value::Object(named).to_string()));
            }
            ListType::Atomic | ListType::Set | ListType::Map(_) => {}
        }
        if let Some(each) = &schema.items {
            check(each, item, old_element(schema, item, old), &field, errors);
        }
    }
}

/// The element of the old list that an element continues: by key, by value, or none in an atomic list.
fn old_element<'a>(schema: &Schema, item: &Value, old: Option<&'a Value>) -> Option<&'a Value> {
    let old = old?.as_array()?;
    match &schema.list {
        ListType::Map(keys) => old.iter().find(|other| same_element(keys, other, item)),
        ListType::Set => old.iter().find(|other| *other == item),
        ListType::Atomic => None,
    }
}

fn same_element(keys: &[String], a: &Value, b: &Value) -> bool {
    keys.iter().all(|key| a.get(key) == b.get(key))
}

fn check_object(
    schema: &Schema,
    value: &Value,
    old: Option<&Value>,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    let Some(fields) = value.as_object() else { return };
    let bounds = &schema.bounds;
    if let Some(limit) = bounds.max_properties.filter(|limit| fields.len() as u64 > *limit) {
        errors.push(FieldError::too_many(path, fields.len(), limit));
    }
    if let Some(limit) = bounds
        .min_properties
        .filter(|limit| (fields.len() as u64) < *limit)
    {
        let why = format!("{path} in body should have at least {limit} properties");
        errors.push(FieldError::invalid(path, &Value::from(fields.len()), why));
    }
    for name in &schema.required {
        if !fields.contains_key(name) {
            errors.push(FieldError::required(&join(path, name), ""));
        }
    }
    for (name, field) in fields {
        if path.is_empty() && name == "metadata" {
            continue;
        }
        if let Some(below) = schema.field(name) {
            check(
                below,
                field,
                old.and_then(|old| old.get(name)),
                &join(path, name),
                errors,
            );
        }
    }
}

fn check_branches(schema: &Schema, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let failures = |branch: &Schema| {
        let mut found = Vec::new();
        check(branch, value, None, path, &mut found);
        found
    };
    for branch in &schema.all_of {
        errors.extend(failures(branch));
    }
    if !schema.any_of.is_empty() && !schema.any_of.iter().any(|branch| failures(branch).is_empty()) {
        let why = format!(
            "{} in body must validate at least one schema (anyOf)",
            quoted(path)
        );
        errors.push(FieldError::invalid(path, &Value::String(String::new()), why));
    }
    if !schema.one_of.is_empty() {
        let valid = schema
            .one_of
            .iter()
            .filter(|branch| failures(branch).is_empty())
            .count();
        if valid != 1 {
            let found = if valid == 0 {
                "Found none valid"
            } else {
                "Found more than one valid"
            };
            let why = format!(
                "{} in body must validate one and only one schema (oneOf). {found}",
                quoted(path)
            );
            errors.push(FieldError::invalid(path, &Value::String(String::new()), why));
        }
    }
    if schema
        .not
        .as_ref()
        .is_some_and(|branch| failures(branch).is_empty())
    {
        let why = format!("{} in body must not validate the schema (not)", quoted(path));
        errors.push(FieldError::invalid(path, &Value::String(String::new()), why));
    }
}

fn quoted(path: &str) -> String {
    format!("\"{path}\"")
}

/// Whether `text` matches the regular expression, as CEL's own `matches` decides it. Answers are remembered:
/// compiling an address pattern costs more than everything else in a write.
fn matches(pattern: &str, text: &str) -> bool {
    static KNOWN: Mutex<Option<HashMap<(String, String), bool>>> = Mutex::new(None);
    const REMEMBERED: usize = 20_000;
    let question = (pattern.to_owned(), text.to_owned());
    let mut known = KNOWN.lock();
    let known = known.get_or_insert_default();
    if let Some(answer) = known.get(&question) {
        return *answer;
    }
    let mut context = Context::default();
    context.add_variable_from_value("text", text.to_owned());
    context.add_variable_from_value("pattern", pattern.to_owned());
    let answer = Program::compile("text.matches(pattern)")
        .is_ok_and(|program| matches!(program.execute(&context), Ok(CelValue::Bool(true))));
    if known.len() >= REMEMBERED {
        known.clear();
    }
    known.insert(question, answer);
    answer
}

fn has_rules(schema: &Schema) -> bool {
    schema.rules.is_some()
        || schema.properties.values().any(has_rules)
        || schema.items.as_deref().is_some_and(has_rules)
        || matches!(&schema.additional, Additional::Each(each) if has_rules(each))
}

fn check_rules(
    schema: &Schema,
    value: &Value,
    old: Option<&Value>,
    path: &str,
    root: Option<&RootContext>,
    errors: &mut Vec<FieldError>,
) {
    if let Some(rules) = &schema.rules {
        let unchanged = old == Some(value);
        for failure in rules.check(value, old, root) {
            if !unchanged || rules.is_transition(&failure.rule) {
                errors.push(rule_error(&failure, value, path));
            }
        }
    }
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if let Some(below) = schema.field(name) {
                    let old = old.and_then(|old| old.get(name));
                    check_rules(below, field, old, &join(path, name), None, errors);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if let Some(each) = &schema.items {
                    let old = old_element(schema, item, old);
                    check_rules(each, item, old, &format!("{path}[{index}]"), None, errors);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn rule_error(failure: &ValidationError, value: &Value, path: &str) -> FieldError {
    let field = match failure.field_path.as_str() {
        "" => path.to_owned(),
        below => join(path, below.trim_start_matches('.')),
    };
    let field = if field.is_empty() {
        "<nil>".to_owned()
    } else {
        field
    };
    if failure.kind != ErrorKind::ValidationFailure {
        let type_of_value = Value::String(type_name(value).to_owned());
        return FieldError::invalid(
            &field,
            &type_of_value,
            format!("{} evaluating rule: {}", failure.message, failure.rule),
        );
    }
    match failure.reason.as_deref() {
        Some("FieldValueForbidden") => FieldError::forbidden(&field, &failure.message),
        Some("FieldValueRequired") => FieldError::required(&field, &failure.message),
        Some("FieldValueDuplicate") => FieldError::duplicate(&field, &shown(value)),
        _ if value.is_object() || value.is_array() => FieldError::invalid_unshown(&field, &failure.message),
        _ => FieldError::invalid(&field, value, &failure.message),
    }
}
