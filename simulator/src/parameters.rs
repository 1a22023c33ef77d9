//! Cmdlet parameters as JSON carries them: names in any case, hashtables with a type tag.

use serde_json::{Map, Value};

use crate::error::CmdletError;

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Text,
    Switch,
    /// A text or an array of texts.
    Texts,
    /// A list that is replaced by an array, or changed by a tagged hashtable with `add` and `remove`.
    List,
}

/// A change to a property with several values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListChange {
    Replace(Vec<String>),
    Edit { add: Vec<String>, remove: Vec<String> },
}

/// The bound parameters of one call.
#[derive(Clone, Debug)]
pub struct Parameters(Map<String, Value>);

/// Parameters every cmdlet takes and that change nothing here.
const COMMON: &[&str] = &[
    "Confirm",
    "WhatIf",
    "ErrorAction",
    "WarningAction",
    "Verbose",
    "Debug",
];

const HASHTABLE: &str = "#Exchange.GenericHashTable";

impl Parameters {
    /// Checks names and types against what the cmdlet takes.
    pub fn bind(
        given: &Map<String, Value>,
        takes: impl Fn(&str) -> Option<(&'static str, Takes)>,
    ) -> Result<Self, CmdletError> {
        let mut bound = Map::new();
        for (name, value) in given {
            if name.contains('@') {
                continue;
            }
            if let Some((known, kind)) = takes(name) {
                check(known, kind, value)?;
                if bound.insert(known.to_owned(), value.clone()).is_some() {
                    return Err(CmdletError::binding(format!(
                        "Cannot bind parameter because parameter '{known}' is specified more than once."
                    )));
                }
            } else if let Some(common) = COMMON.iter().find(|common| common.eq_ignore_ascii_case(name)) {
                bound.insert((*common).to_owned(), value.clone());
            } else {
                return Err(CmdletError::unknown_parameter(name));
            }
        }
        Ok(Self(bound))
    }

    /// Whether the parameter was given, `null` included.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The text of a parameter; `None` when it is missing, `null` or empty.
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).and_then(scalar).filter(|text| !text.is_empty())
    }

    /// The text of a mandatory parameter.
    pub fn required(&self, name: &str) -> Result<String, CmdletError> {
        match self.text(name) {
            Some(text) => Ok(text),
            None if self.has(name) => Err(CmdletError::binding(format!(
                "Cannot bind argument to parameter '{name}' because it is null or an empty string."
            ))),
            None => Err(CmdletError::missing_parameter(name)),
        }
    }

    /// The value of a switch; `None` when it was not given.
    pub fn switch(&self, name: &str) -> Option<bool> {
        self.0.get(name).and_then(Value::as_bool)
    }

    pub fn is_on(&self, name: &str) -> bool {
        self.switch(name) == Some(true)
    }

    /// Items of a text or an array of texts, split at commas as PowerShell does for enumerations.
    pub fn words(&self, name: &str) -> Vec<String> {
        let items = self.0.get(name).map(texts).unwrap_or_default();
        items
            .iter()
            .flat_map(|item| item.split(','))
            .map(|word| word.trim().to_owned())
            .filter(|word| !word.is_empty())
            .collect()
    }

    /// The change that a list parameter asks for; `None` when it was not given.
    pub fn list_change(&self, name: &str) -> Result<Option<ListChange>, CmdletError> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let Value::Object(table) = value else {
            return Ok(Some(ListChange::Replace(texts(value))));
        };
        let (mut add, mut remove, mut edits) = (Vec::new(), Vec::new(), false);
        for (key, value) in table.iter().filter(|(key, _)| !key.contains('@')) {
            edits = true;
            match key.to_ascii_lowercase().as_str() {
                "add" => add.extend(texts(value)),
                "remove" => remove.extend(texts(value)),
                _ => {
                    return Err(CmdletError::conversion(
                        name,
                        "System.Collections.Hashtable",
                        "Microsoft.Exchange.Data.MultiValuedProperty",
                    ));
                }
            }
        }
        Ok(Some(if edits {
            ListChange::Edit { add, remove }
        } else {
            ListChange::Replace(Vec::new())
        }))
    }

    /// The raw value, for settings that take several types.
    pub fn raw(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

fn check(name: &str, takes: Takes, value: &Value) -> Result<(), CmdletError> {
    let fails = |to: &str| {
        Err(CmdletError::conversion(
            name,
            "System.Management.Automation.PSCustomObject",
            to,
        ))
    };
    let tagged = |table: &Map<String, Value>| {
        table
            .get("@odata.type")
            .and_then(Value::as_str)
            .is_some_and(|tag| tag == HASHTABLE)
    };
    match (takes, value) {
        (Takes::Switch, Value::Bool(_) | Value::Null) => Ok(()),
        (Takes::Switch, _) => Err(CmdletError::conversion(
            name,
            "System.Object",
            "System.Management.Automation.SwitchParameter",
        )),
        (Takes::Text, Value::Array(_) | Value::Object(_)) => fails("System.String"),
        (Takes::List, Value::Object(table)) if tagged(table) => Ok(()),
        (Takes::Texts | Takes::List, Value::Object(_)) => {
            fails("Microsoft.Exchange.Data.MultiValuedProperty")
        }
        (Takes::Texts | Takes::List, Value::Array(items)) if items.iter().any(|i| scalar(i).is_none()) => {
            fails("Microsoft.Exchange.Data.MultiValuedProperty")
        }
        _ => Ok(()),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(true) => Some("True".to_owned()),
        Value::Bool(false) => Some("False".to_owned()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(scalar).collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            scalar(other)
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::{ListChange, Parameters, Takes};

    const TAKES: &[(&str, Takes)] = &[
        ("Identity", Takes::Text),
        ("EmailAddresses", Takes::List),
        ("Shared", Takes::Switch),
    ];

    fn bind(value: &Value) -> Result<Parameters, crate::error::CmdletError> {
        let known = |name: &str| {
            let mut takes = TAKES.iter().copied();
            takes.find(|(known, _)| known.eq_ignore_ascii_case(name))
        };
        Parameters::bind(value.as_object().unwrap_or(&Map::new()), known)
    }

    #[test]
    fn names_match_in_any_case() {
        let bound = bind(&json!({"identity": "x", "SHARED": true})).unwrap();
        assert_eq!(bound.text("Identity").as_deref(), Some("x"));
        assert!(bound.is_on("Shared"));
    }

    #[test]
    fn an_unknown_parameter_is_refused_with_400() {
        let error = bind(&json!({"PrimarySmtpAddress": "x"})).unwrap_err();
        assert_eq!(error.status, 400);
        assert!(error.exception.ends_with("AmbiguousParameterSetException"));
        assert!(error.message.contains("PrimarySmtpAddress"));
    }

    #[test]
    fn a_hashtable_without_its_type_tag_cannot_be_converted() {
        let error = bind(&json!({"EmailAddresses": {"add": ["smtp:a@b"]}})).unwrap_err();
        assert_eq!(error.status, 400);
        assert!(error.message.contains("Cannot convert"));
    }

    #[test]
    fn a_tagged_hashtable_adds_and_removes_with_keys_in_any_case() {
        let bound = bind(&json!({"EmailAddresses":
            {"@odata.type": "#Exchange.GenericHashTable", "Add": "smtp:a@b", "remove": ["smtp:c@d"]}}))
        .unwrap();
        let expected = ListChange::Edit {
            add: vec!["smtp:a@b".to_owned()],
            remove: vec!["smtp:c@d".to_owned()],
        };
        assert_eq!(bound.list_change("EmailAddresses").unwrap(), Some(expected));
    }

    #[test]
    fn a_tagged_hashtable_with_nothing_in_it_empties_the_list() {
        let bound = bind(&json!({"EmailAddresses": {"@odata.type": "#Exchange.GenericHashTable"}})).unwrap();
        assert_eq!(
            bound.list_change("EmailAddresses").unwrap(),
            Some(ListChange::Replace(vec![]))
        );
    }

    #[test]
    fn a_text_is_no_switch() {
        assert_eq!(bind(&json!({"Shared": "true"})).unwrap_err().status, 400);
    }

    #[test]
    fn side_keys_with_types_are_not_parameters() {
        assert!(bind(&json!({"EmailAddresses@odata.type": "#Collection(String)"})).is_ok());
    }
}
