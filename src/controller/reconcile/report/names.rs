//! People as manifests call them.

use std::collections::BTreeMap;

use crate::ledger::Ledger;
use crate::mail::{Holder, ObjectId, SmtpAddress};
use crate::plan::{self, Change, ChangeKind, Desired, Observed};

/// How the people are called that changes name by their ids.
pub struct Names {
    /// As manifests call them.
    declared: BTreeMap<String, String>,
    /// As Exchange shows those whom nobody declares.
    foreign: BTreeMap<Holder, String>,
}

impl Names {
    /// With those whom nobody declares, for changes that take something from them.
    pub fn with_foreign(desired: &Desired, observed: &Observed, ledger: &Ledger) -> Self {
        let rows = plan::foreign(desired, observed, ledger).into_iter();
        Self {
            foreign: rows.filter_map(|row| Some((row.holder?, row.shown))).collect(),
            ..Self::of(desired, ledger)
        }
    }

    pub fn of(desired: &Desired, ledger: &Ledger) -> Self {
        let recorded = ledger.grants.iter().map(|grant| (grant.object_id, &grant.member));
        let declared = desired
            .grants
            .iter()
            .map(|((id, _), wanted)| (*id, &wanted.member));
        let name = |(id, written): (ObjectId, &SmtpAddress)| {
            let id_text = id.to_string();
            let name = match desired.names.get(&id) {
                Some(name) if desired.groups.contains_key(written) => format!("{name} in {written}"),
                None if desired.groups.contains_key(written) => format!("{id_text} in {written}"),
                Some(_) | None => written.to_string(),
            };
            (id_text, name)
        };
        Self {
            declared: recorded.chain(declared).map(name).collect(),
            foreign: BTreeMap::new(),
        }
    }

    /// Somebody by their id, as far as anybody knows how they are called.
    pub fn called(&self, id: &ObjectId) -> String {
        let id = id.to_string();
        self.declared.get(&id).cloned().unwrap_or(id)
    }

    /// A change, with its people as they are called.
    pub fn in_change(&self, change: &Change) -> String {
        if let ChangeKind::Evicts(holder, right) = change.kind()
            && let Some(shown) = self.foreign.get(holder)
        {
            return format!("remove {right} of {shown:?} ({holder})");
        }
        self.in_text(&change.to_string())
    }

    /// The text with the manifest's address in place of each id.
    pub fn in_text(&self, text: &str) -> String {
        let mut named = text.to_owned();
        for (id, address) in &self.declared {
            if named.contains(id.as_str()) {
                named = named.replace(id.as_str(), address);
            }
        }
        named
    }
}

/// How many things a message names.
const NAMED: usize = 5;

/// The first of these, and how many more there are. The others are not even worded.
pub fn first_of<T: AsRef<str>>(texts: impl ExactSizeIterator<Item = T>) -> String {
    let more = texts.len().saturating_sub(NAMED);
    let shown: Vec<T> = texts.take(NAMED).collect();
    let shown: Vec<&str> = shown.iter().map(AsRef::as_ref).collect();
    if more > 0 {
        format!("{}; and {more} more", shown.join("; "))
    } else {
        shown.join("; ")
    }
}
