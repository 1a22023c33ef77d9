//! JSON encoding of cmdlet parameters.

use serde_json::{Map, Value, json};

/// Without this tag the server's binder sees an opaque object and can't convert it.
const HASHTABLE: &str = "#Exchange.GenericHashTable";

/// The parameters of one cmdlet; always an object, `{}` when empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters(Map<String, Value>);

impl Parameters {
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Adds to and removes from a multi-value property; nothing is sent when both lists are empty, since a
    /// table without keys would clear the property.
    pub fn change_list(&mut self, name: &str, add: &[String], remove: &[String]) {
        if add.is_empty() && remove.is_empty() {
            return;
        }
        let mut table = Map::new();
        table.insert("@odata.type".to_owned(), json!(HASHTABLE));
        if !add.is_empty() {
            table.insert("Add".to_owned(), json!(add));
        }
        if !remove.is_empty() {
            table.insert("Remove".to_owned(), json!(remove));
        }
        self.0.insert(name.to_owned(), Value::Object(table));
    }

    pub fn to_json(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_change_is_a_tagged_table() {
        let mut parameters = Parameters::default();
        parameters.change_list("EmailAddresses", &["smtp:a@contoso.com".to_owned()], &[]);
        assert_eq!(
            parameters.to_json(),
            json!({"EmailAddresses": {"@odata.type": "#Exchange.GenericHashTable", "Add": ["smtp:a@contoso.com"]}})
        );
    }

    #[test]
    fn an_empty_list_change_is_not_sent_for_it_would_clear_the_property() {
        let mut parameters = Parameters::default();
        parameters.change_list("GrantSendOnBehalfTo", &[], &[]);
        assert_eq!(parameters.to_json(), json!({}));
    }
}
