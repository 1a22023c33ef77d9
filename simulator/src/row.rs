//! Output objects: properties with the type side-keys that the admin API puts beside them.

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

/// The properties asked for with `?$select=`; everything when there was none.
#[derive(Clone, Debug, Default)]
pub struct Select(Option<Vec<String>>);

impl Select {
    pub fn all() -> Self {
        Self(None)
    }

    pub fn only(names: impl IntoIterator<Item = String>) -> Self {
        Self(Some(names.into_iter().collect()))
    }

    pub fn wants(&self, name: &str) -> bool {
        self.0
            .as_ref()
            .is_none_or(|names| names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)))
    }
}

/// One output object in the making. Properties that were not selected are skipped.
#[derive(Debug)]
pub struct Row<'s> {
    select: &'s Select,
    properties: Map<String, Value>,
}

impl<'s> Row<'s> {
    pub fn new(select: &'s Select) -> Self {
        Self {
            select,
            properties: Map::new(),
        }
    }

    pub fn wants(&self, name: &str) -> bool {
        self.select.wants(name)
    }

    pub fn put(&mut self, name: &str, value: impl Into<Value>) {
        if self.wants(name) {
            self.properties.insert(name.to_owned(), value.into());
        }
    }

    pub fn guid(&mut self, name: &str, guid: Uuid) {
        self.typed(name, guid.to_string().into(), "System.Guid", "#Guid");
    }

    pub fn list(&mut self, name: &str, items: Vec<String>) {
        if self.wants(name) {
            self.properties
                .insert(format!("{name}@odata.type"), "#Collection(String)".into());
            self.properties.insert(name.to_owned(), items.into());
        }
    }

    /// A date as `<name>` with an offset and as `<name>UTC` ending in Z.
    pub fn date(&mut self, name: &str, at: Timestamp) {
        let seconds = at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        self.typed(
            name,
            format!("{seconds}+00:00").into(),
            "System.DateTime",
            "#DateTimeOffset",
        );
        let utc = format!("{name}UTC");
        self.typed(
            &utc,
            format!("{seconds}Z").into(),
            "System.DateTime",
            "#DateTimeOffset",
        );
    }

    pub fn finish(self) -> Map<String, Value> {
        self.properties
    }

    fn typed(&mut self, name: &str, value: Value, data: &str, odata: &str) {
        if self.wants(name) {
            self.properties.insert(format!("{name}@data.type"), data.into());
            self.properties.insert(format!("{name}@odata.type"), odata.into());
            self.properties.insert(name.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Row, Select};

    #[test]
    fn a_guid_carries_its_type_beside_it() {
        let select = Select::all();
        let mut row = Row::new(&select);
        row.guid("Guid", Uuid::nil());
        let row = row.finish();
        assert_eq!(row["Guid@data.type"], "System.Guid");
        assert_eq!(row["Guid@odata.type"], "#Guid");
    }

    #[test]
    fn only_selected_properties_are_there_and_case_does_not_matter() {
        let select = Select::only(["guid".to_owned()]);
        let mut row = Row::new(&select);
        row.guid("Guid", Uuid::nil());
        row.put("Name", "x");
        let row = row.finish();
        assert!(row.contains_key("Guid") && !row.contains_key("Name"));
    }
}
