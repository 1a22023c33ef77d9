//! JSON encoding of cmdlet parameters.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Without this tag the server's binder sees an opaque object and can't convert it.
const HASHTABLE: &str = "#Exchange.GenericHashTable";

/// The parameters of one cmdlet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters(BTreeMap<String, Parameter>);

#[derive(Clone, Debug, PartialEq)]
enum Parameter {
    Value(Value),
    /// What is added to a list with several values and what is removed from it.
    Edit {
        add: Vec<String>,
        remove: Vec<String>,
    },
}

impl Parameters {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), Parameter::Value(value.into()));
    }

    pub fn add(&mut self, name: &str, item: String) {
        self.edit(name, |add, _| add.push(item));
    }

    pub fn remove(&mut self, name: &str, item: String) {
        self.edit(name, |_, remove| remove.push(item));
    }

    fn edit(&mut self, name: &str, change: impl FnOnce(&mut Vec<String>, &mut Vec<String>)) {
        let nothing = || Parameter::Edit {
            add: Vec::new(),
            remove: Vec::new(),
        };
        let parameter = self.0.entry(name.to_owned()).or_insert_with(nothing);
        if let Parameter::Value(_) = parameter {
            *parameter = nothing();
        }
        if let Parameter::Edit { add, remove } = parameter {
            change(add, remove);
        }
    }

    pub fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.clone());
    }

    /// Always an object, `{}` when empty.
    pub fn to_json(&self) -> Value {
        let fields = self
            .0
            .iter()
            .map(|(name, parameter)| (name.clone(), parameter.to_json()));
        Value::Object(fields.collect())
    }
}

impl Parameter {
    fn to_json(&self) -> Value {
        match self {
            Self::Value(value) => value.clone(),
            Self::Edit { add, remove } => {
                let mut table = Map::new();
                table.insert("@odata.type".to_owned(), json!(HASHTABLE));
                for (key, items) in [("Add", add), ("Remove", remove)] {
                    if !items.is_empty() {
                        table.insert(key.to_owned(), json!(items));
                    }
                }
                Value::Object(table)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_change_is_a_tagged_table() {
        let mut parameters = Parameters::default();
        parameters.add("EmailAddresses", "smtp:a@contoso.com".to_owned());
        assert_eq!(
            parameters.to_json(),
            json!({"EmailAddresses": {"@odata.type": "#Exchange.GenericHashTable", "Add": ["smtp:a@contoso.com"]}})
        );
        parameters.remove("EmailAddresses", "smtp:b@contoso.com".to_owned());
        let table = &parameters.to_json()["EmailAddresses"];
        assert_eq!(
            (&table["Add"], &table["Remove"]),
            (&json!(["smtp:a@contoso.com"]), &json!(["smtp:b@contoso.com"]))
        );
    }

    #[test]
    fn no_parameters_are_an_empty_object_and_a_null_stays_one() {
        let mut parameters = Parameters::default();
        assert_eq!(parameters.to_json(), json!({}));
        parameters.set("MailTip", Value::Null);
        assert_eq!(parameters.to_json(), json!({"MailTip": null}));
    }
}
