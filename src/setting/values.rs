//! The values of several properties at once.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::{Property, Value};

/// Values by parameter. A wish to clear something is `Nothing`; what is not declared, or was not read, is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<&'static str, Value>);

impl Values {
    /// Only those that are there.
    pub fn of<const N: usize>(values: [(&'static str, Option<Value>); N]) -> Self {
        let there = values
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        Self(there.collect())
    }

    /// What `row` shows. A property that is missing, or not understood, is unread and left out.
    pub fn read<'a>(properties: impl IntoIterator<Item = &'a Property>, row: &Map<String, Json>) -> Self {
        let read = |property: &Property| {
            let value = property.kind.read(row.get(property.shown_as?)?)?;
            Some((property.parameter, value))
        };
        Self(properties.into_iter().filter_map(read).collect())
    }

    pub fn get(&self, parameter: &str) -> Option<&Value> {
        self.0.get(parameter)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(parameter, value)| (*parameter, value))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These of the given properties.
    #[must_use]
    pub fn only(&self, properties: &[Property]) -> Self {
        let wanted = |name: &str| properties.iter().any(|property| property.parameter == name);
        let kept = self.iter().filter(|(name, _)| wanted(name));
        Self(kept.map(|(name, value)| (name, value.clone())).collect())
    }

    /// What would hold once these were written over `shown`.
    #[must_use]
    pub fn over(&self, shown: &Self) -> Self {
        let mut merged = shown.clone();
        merged.0.extend(self.0.clone());
        merged
    }

    /// Those that were read and are not as wished.
    #[must_use]
    pub fn differing(&self, shown: &Self) -> Self {
        let differs =
            |(name, wish): &(&'static str, &Value)| shown.get(name).is_some_and(|value| value != *wish);
        let differing = self.iter().filter(differs);
        Self(differing.map(|(name, value)| (name, value.clone())).collect())
    }

    /// The first wish of which nothing was read.
    pub fn first_unread(&self, shown: &Self) -> Option<&'static str> {
        self.0.keys().find(|name| shown.get(name).is_none()).copied()
    }
}

impl FromIterator<(&'static str, Value)> for Values {
    fn from_iter<I: IntoIterator<Item = (&'static str, Value)>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl IntoIterator for Values {
    type Item = (&'static str, Value);
    type IntoIter = std::collections::btree_map::IntoIter<&'static str, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Extend<(&'static str, Value)> for Values {
    fn extend<I: IntoIterator<Item = (&'static str, Value)>>(&mut self, values: I) {
        self.0.extend(values);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Kind;
    use super::*;

    const TIP: Property = Property::new("mailTip", "MailTip", Kind::MailTip);
    const HIDDEN: Property = Property::new("hidden", "Hidden", Kind::Flag);

    #[test]
    fn a_missing_property_is_unread_and_an_empty_one_is_nothing() {
        let Json::Object(row) = json!({"MailTip": null, "Other": true}) else {
            unreachable!()
        };
        let shown = Values::read(&[TIP, HIDDEN], &row);
        assert_eq!(shown.get("MailTip"), Some(&Value::Nothing));
        assert_eq!(shown.get("Hidden"), None);
        let wish = Values::of([
            ("MailTip", Some(Value::words("x"))),
            ("Hidden", Some(Value::Flag(true))),
        ]);
        assert_eq!(
            wish.differing(&shown),
            Values::of([("MailTip", Some(Value::words("x")))])
        );
        assert_eq!(wish.first_unread(&shown), Some("Hidden"));
    }
}
