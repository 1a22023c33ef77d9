//! The settings of a mailbox as the cmdlets show them, for its view.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::setting::is_large;
use super::tables::{all, pair_of};
use crate::directory::Object;
use crate::quirks::Quirks;

/// Every setting of a mailbox, as the Get- cmdlet that has it shows it. Worked out only when it is asked for: tests
/// take views of all mailboxes after each step, and read settings of few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownSettings {
    stored: BTreeMap<&'static str, Value>,
    large: bool,
    quirks: Quirks,
}

impl ShownSettings {
    pub(crate) fn of(object: &Object, quirks: &Quirks) -> Self {
        let mailbox = object.mailbox.as_ref();
        Self {
            stored: mailbox
                .map(|mailbox| mailbox.settings.clone())
                .unwrap_or_default(),
            large: is_large(object),
            quirks: quirks.clone(),
        }
    }

    /// One setting; `None` when there is none of this name.
    pub fn get(&self, name: &str) -> Option<Value> {
        let setting = pair_of(name)?.setting(name)?;
        let stored = self.stored.get(setting.name);
        Some(setting.shown_of(stored, self.large, &self.quirks))
    }

    /// Every setting by its name.
    pub fn all(&self) -> BTreeMap<&'static str, Value> {
        let shown = all().map(|setting| {
            let stored = self.stored.get(setting.name);
            (setting.name, setting.shown_of(stored, self.large, &self.quirks))
        });
        shown.collect()
    }
}

impl Serialize for ShownSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.all().serialize(serializer)
    }
}
