//! What was seen of an assumption, in words that name nobody.

use std::collections::BTreeMap;

use crate::exchange::ExchangeError;

/// How an assumption stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "camelCase")]
pub enum State {
    Holds,
    Differs,
    /// Nothing on this tenant shows it, or it was not tried.
    NotSeen,
}

/// By the name of the assumption: how it stands, and what was seen.
#[derive(Debug, Default)]
pub struct Findings(BTreeMap<&'static str, (State, String)>);

impl Findings {
    pub fn get(&self, name: &str) -> Option<(State, &str)> {
        let (state, seen) = self.0.get(name)?;
        Some((*state, seen))
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    pub fn holds(&mut self, name: &'static str, seen: impl Into<String>) {
        self.0.insert(name, (State::Holds, seen.into()));
    }

    pub fn differs(&mut self, name: &'static str, seen: impl Into<String>) {
        self.0.insert(name, (State::Differs, seen.into()));
    }

    pub fn not_seen(&mut self, name: &'static str, why: impl Into<String>) {
        self.0.insert(name, (State::NotSeen, why.into()));
    }

    /// The second text where it does not hold.
    pub fn judge(&mut self, name: &'static str, holds: bool, seen: &str, otherwise: &str) {
        if holds {
            self.holds(name, seen);
        } else {
            self.differs(name, otherwise);
        }
    }
}

/// An error without the service's own words, which may name people: its class, type and status.
pub fn described(error: &ExchangeError) -> String {
    let kind: String = error
        .exception
        .iter()
        .flat_map(|name| name.chars())
        .filter(char::is_ascii_alphanumeric)
        .take(80)
        .collect();
    let status = error.status.map(|status| format!("HTTP {status}"));
    let details: Vec<String> = [Some(kind).filter(|kind| !kind.is_empty()), status]
        .into_iter()
        .flatten()
        .collect();
    let class = error.class.label().replace('_', " ");
    if details.is_empty() {
        class
    } else {
        format!("{class} ({})", details.join(", "))
    }
}
