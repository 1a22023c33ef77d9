//! Reading one row of an answer.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of JSON, what has another form than the one that is known is not understood"
)]

use std::str::FromStr;

use serde_json::{Map, Value};

/// A property that must be there is not, or has another type. Nothing may be concluded from such a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer has no usable {property}")]
pub struct Unreadable {
    pub property: &'static str,
}

/// One row. Side-keys (`Guid@odata.type`) are simply not asked for.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a>(pub &'a Map<String, Value>);

impl<'a> Row<'a> {
    /// A string that must be there; null reads as empty.
    pub fn text(self, property: &'static str) -> Result<String, Unreadable> {
        match self.0.get(property) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Null) => Ok(String::new()),
            _ => Err(Unreadable { property }),
        }
    }

    /// A string that may be missing, null or empty.
    pub fn optional_text(self, property: &str) -> Option<&'a str> {
        self.0.get(property)?.as_str().filter(|text| !text.is_empty())
    }

    /// A value type; None where the property is missing, empty, or shows that there is none (a nil GUID).
    pub fn optional<T: FromStr>(self, property: &str) -> Option<T> {
        self.optional_text(property)?.parse().ok()
    }

    pub fn required<T: FromStr>(self, property: &'static str) -> Result<T, Unreadable> {
        self.optional(property).ok_or(Unreadable { property })
    }

    /// A flag that must be there.
    pub fn flag(self, property: &'static str) -> Result<bool, Unreadable> {
        self.optional_flag(property).ok_or(Unreadable { property })
    }

    /// A flag that rows of some versions lack.
    pub fn optional_flag(self, property: &str) -> Option<bool> {
        match self.0.get(property)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// A list of strings that must be there; null is an empty list and a bare string a list of one.
    pub fn texts(self, property: &'static str) -> Result<Vec<String>, Unreadable> {
        let unreadable = Unreadable { property };
        match self.0.get(property) {
            Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(one)) if one.is_empty() => Ok(Vec::new()),
            Some(Value::String(one)) => Ok(vec![one.clone()]),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned).ok_or_else(|| unreadable.clone()))
                .collect(),
            _ => Err(unreadable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::MailboxGuid;
    use serde_json::json;

    #[test]
    fn a_missing_property_is_not_an_empty_one() {
        let Value::Object(map) = json!({
            "Null": null, "Text": "x", "List": ["a", "b"], "One": "a", "No": [1], "Flag": true, "Word": "False",
            "Nil": "00000000-0000-0000-0000-000000000000"
        }) else {
            unreachable!()
        };
        let row = Row(&map);
        assert_eq!(row.text("Null").unwrap(), "");
        assert!(row.text("Missing").is_err());
        assert_eq!(row.texts("List").unwrap(), ["a", "b"]);
        assert_eq!(row.texts("One").unwrap(), ["a"]);
        assert!(row.texts("Null").unwrap().is_empty());
        assert!(row.texts("Missing").is_err());
        assert!(row.texts("No").is_err());
        assert!(row.flag("Flag").unwrap());
        assert!(!row.flag("Word").unwrap());
        assert!(row.flag("Null").is_err());
        assert_eq!(row.optional::<MailboxGuid>("Nil"), None);
        assert_eq!(
            row.required::<MailboxGuid>("Missing").unwrap_err().to_string(),
            "the answer has no usable Missing"
        );
    }
}
