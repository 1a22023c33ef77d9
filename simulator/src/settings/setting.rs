//! One setting, and the pair of cmdlets that it belongs to.

use jiff::Timestamp;
use serde_json::Value;

use super::kind::Kind;
use crate::directory::Object;
use crate::error::CmdletError;
use crate::parameters::Takes;
use crate::quirks::Quirks;

/// A cmdlet that shows settings, the one that writes them, and the settings themselves.
#[derive(Debug)]
pub struct Pair {
    pub get: &'static str,
    pub set: &'static str,
    pub settings: &'static [Setting],
}

impl Pair {
    /// The setting of this name, in any case.
    pub fn setting(&self, name: &str) -> Option<&'static Setting> {
        self.settings
            .iter()
            .find(|setting| setting.name.eq_ignore_ascii_case(name))
    }
}

/// One setting. The property that shows it and the parameter that writes it have the same name.
#[derive(Debug)]
pub struct Setting {
    pub name: &'static str,
    pub kind: Kind,
}

/// Shared mailboxes from before July 2018 have 100 GB without a licence (Microsoft's page on Exchange Online limits).
const FIFTY_GB_SINCE: Timestamp = Timestamp::constant(1_530_403_200, 0);

impl Setting {
    /// What the Set- cmdlet takes for it.
    pub fn takes(&self) -> Takes {
        self.kind.takes()
    }

    /// What is stored for a given value; `None` clears the setting. Recipients are looked up by the caller.
    pub fn parse(&self, value: &Value) -> Result<Option<Value>, CmdletError> {
        self.kind.parse(self.name, value)
    }

    /// What the Get- cmdlet shows.
    pub fn shown(&self, object: &Object, quirks: &Quirks) -> Value {
        self.shown_of(self.stored(object), is_large(object), quirks)
    }

    /// What the Get- cmdlet shows of a stored value, or of none in a mailbox that may be large.
    pub fn shown_of(&self, stored: Option<&Value>, large: bool, quirks: &Quirks) -> Value {
        match stored {
            Some(stored) => self.kind.shown(stored, quirks),
            None => self.kind.shown_unset(large, quirks),
        }
    }

    /// What holds, in the form in which it is stored: what was written, or else what is usual.
    pub fn effective(&self, object: &Object) -> Value {
        let stored = self.stored(object).cloned();
        stored.unwrap_or_else(|| self.kind.usual(is_large(object)))
    }

    /// Stores a value, or clears the setting with `None`. What is shown already needs no storing, so that the
    /// service can say that nothing was modified.
    pub fn write(&self, object: &mut Object, value: Option<Value>, quirks: &Quirks) {
        let unset = self.kind.shown_unset(is_large(object), quirks);
        let is_set = self.stored(object).is_some();
        let Some(mailbox) = &mut object.mailbox else {
            return;
        };
        match value {
            None => {
                mailbox.settings.remove(self.name);
            }
            Some(value) if is_set || self.kind.shown(&value, quirks) != unset => {
                mailbox.settings.insert(self.name, value);
            }
            Some(_) => {}
        }
    }

    fn stored<'o>(&self, object: &'o Object) -> Option<&'o Value> {
        object.mailbox.as_ref()?.settings.get(self.name)
    }
}

/// Has 100 GB instead of 50 when nobody wrote a quota.
pub fn is_large(object: &Object) -> bool {
    object.licensed || object.created < FIFTY_GB_SINCE
}
