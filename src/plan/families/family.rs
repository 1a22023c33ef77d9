//! What a family of settings is.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::{Power, SharedMailboxSpec};
use crate::setting::{Call, Property, Value, Values};

/// One or more settings that belong together.
#[derive(Debug)]
pub struct Family {
    /// The path in the manifest: for people, logs and metrics. Never renamed.
    pub name: &'static str,
    pub call: Call,
    pub company: Company,
    pub properties: &'static [Property],
    /// A field that only decides which of the properties are wished, with its off value.
    pub choice: Option<(&'static str, &'static str)>,
    /// What the manifest wishes; empty: the family is not managed. `Err`: a value that can't be understood, and why.
    pub declared: fn(&SharedMailboxSpec) -> Result<Values, String>,
    /// The same in words, for the reference.
    pub demands: &'static str,
    /// What the wish needs beside the role of the app.
    pub needs: fn(&Move<'_>) -> Vec<Need>,
    /// Whether Exchange can take it, judged on what would hold afterwards.
    pub check: fn(&Move<'_>) -> Result<(), String>,
    /// What is sent when these values differ: those, unless the service wants others with them.
    pub sends: fn(&Move<'_>, Values) -> Values,
    /// Declared, and neither written nor withdrawn any more.
    pub rests: fn(&Values, Timestamp) -> bool,
    /// What becomes of it when it was declared and is declared no more.
    pub dropped: Dropped,
    pub repairs: Repairs,
    /// How long Exchange may show an acknowledged value in another form, or not at all, before that counts as its answer.
    pub patience: Duration,
}

/// With what a family is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// In one call with marker, sign-in block and addresses.
    Together,
    /// In a call of its own: the service checks something outside the mailbox, such as a licence.
    Alone,
    /// Each property in a call of its own, and only when the one before it was taken.
    OneByOne,
}

#[derive(Clone, Copy, Debug)]
pub enum Dropped {
    /// What the mailbox has stays.
    Left,
    /// It opens something, so it is set to these values.
    Withdrawn(fn() -> Values),
}

/// How often it is repaired before it counts as contested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repairs {
    /// A few times, and then once an hour.
    Few,
    /// Once for each edit of the manifest: people who use the mailbox change it in Outlook.
    Once,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// An access rule has to give this power to the namespace.
    Power(Power),
    /// An access rule has to list the number of this custom attribute.
    CustomAttribute(u8),
    /// Only reported: the service's own check decides.
    Licence(Feature),
}

/// What a licence on the mailbox's own account gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// More than 50 GB.
    LargeMailbox,
    /// A litigation hold.
    Hold,
    Archive,
}

impl Need {
    /// Everything that access rules decide about.
    pub fn granted_by_rules() -> impl Iterator<Item = Self> {
        let powers = [
            Power::ForwardExternally,
            Power::Hold,
            Power::Retention,
            Power::LegacyProtocols,
        ];
        let attributes = (1..=15).map(Self::CustomAttribute);
        powers.map(Self::Power).into_iter().chain(attributes)
    }
}

/// What is shown of a family and what is wished.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    pub shown: &'a Values,
    pub wish: &'a Values,
}

impl Family {
    pub(super) const PLAIN: Self = Self {
        name: "",
        call: Call::Mailbox,
        company: Company::Together,
        properties: &[],
        choice: None,
        declared: |_| Ok(Values::of([])),
        demands: "",
        needs: |_| Vec::new(),
        check: |_| Ok(()),
        sends: |_, differing| differing,
        rests: |_, _| false,
        dropped: Dropped::Left,
        repairs: Repairs::Few,
        patience: Duration::from_mins(5),
    };

    /// What to write when it is dropped, of a family that opens something.
    pub fn withdrawal(&self) -> Option<Values> {
        match self.dropped {
            Dropped::Left => None,
            Dropped::Withdrawn(off) => Some(off()),
        }
    }

    /// Whether the wish opens what has to be withdrawn when it is dropped.
    pub fn opens(&self, wish: &Values) -> bool {
        let is_open = |off: Values| {
            let mut differing = off
                .iter()
                .map(|(name, off)| wish.get(name).is_some_and(|value| value != off));
            differing.any(|differs| differs)
        };
        self.withdrawal().is_some_and(is_open)
    }
}

pub(super) fn size(field: &str, text: Option<&str>) -> Result<Option<Value>, String> {
    let parse = |text: &str| {
        Value::size(text).ok_or_else(|| format!("spec.{field}: {text:?} is not a size such as 49Gi"))
    };
    text.map(parse).transpose()
}
