//! The table of settings: which field of a manifest wishes what, and by which call it is written.
//!
//! A **family** is what Exchange refuses, what somebody else contests, and what is counted and reported together. One
//! more setting is a field of the CRD, an entry here, and a row in the simulated tenant's table.
//!
//! Marker, sign-in, addresses and Send on Behalf have protocols of their own and are not in it.

/// A family of one setting that is on or off.
macro_rules! flag {
    ($name:literal, $call:ident $parameter:literal, usually $usual:literal, |$spec:ident| $field:expr) => {
        Family {
            name: $name,
            call: Call::$call,
            properties: &[Property::new($name, $parameter, Kind::Flag).off(stringify!($usual))],
            declared: |$spec| Ok(Values::of([($parameter, $field.map(Value::Flag))])),
            ..Family::PLAIN
        }
    };
}

mod archive;
mod automatic_replies;
mod client_access;
mod custom_attributes;
mod delivery;
mod forwarding;
mod look;
mod quota;
mod reference;
mod regional;
mod retention;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{Delivery, MailboxDefaults, Power, SharedMailboxSpec};
use crate::setting::{Call, Property, Source, Value, Values};

pub use reference::reference;

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
    /// Only told: the service's own check decides.
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
    const PLAIN: Self = Self {
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

    pub fn named(name: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.name == name)
    }
}

/// What a tenant's defaults wish, by family.
pub fn of_defaults(defaults: &MailboxDefaults) -> BTreeMap<&'static str, Values> {
    let MailboxDefaults { plain, delivery } = defaults.clone();
    let spec = SharedMailboxSpec {
        plain,
        delivery: Delivery {
            limits: delivery,
            ..Delivery::default()
        },
        ..SharedMailboxSpec::default()
    };
    // Every mailbox has a name of its own.
    let families = FAMILIES.iter().filter(|family| family.name != "displayName");
    let wishes = families.filter_map(|family| Some((family.name, (family.declared)(&spec).ok()?)));
    wishes.filter(|(_, wish)| !wish.is_empty()).collect()
}

/// The properties of these families that `source` shows.
pub fn shown_by<'a>(
    source: Source,
    families: impl IntoIterator<Item = &'a &'static str>,
) -> Vec<&'static Property> {
    let of_source = |family: &&'static Family| family.call.shown_by() == source;
    let families = families.into_iter().filter_map(|name| Family::named(name));
    families
        .filter(of_source)
        .flat_map(|family| family.properties)
        .collect()
}

pub static FAMILIES: &[Family] = &[
    look::DISPLAY_NAME,
    look::ALIAS,
    look::HIDDEN_FROM_ADDRESS_LISTS,
    look::MAIL_TIP,
    look::SENT_ITEMS,
    custom_attributes::CUSTOM_ATTRIBUTES,
    retention::DELETED_ITEM_RETENTION,
    retention::SINGLE_ITEM_RECOVERY,
    delivery::REQUIRE_SENDER_AUTHENTICATION,
    delivery::MAX_SEND_SIZE,
    delivery::MAX_RECEIVE_SIZE,
    delivery::RECIPIENT_LIMIT,
    delivery::ACCEPT_FROM,
    delivery::REJECT_FROM,
    forwarding::FORWARDING,
    quota::QUOTA,
    retention::LITIGATION_HOLD,
    retention::RETENTION_POLICY,
    archive::ARCHIVING,
    client_access::OUTLOOK_WEB,
    client_access::MAPI,
    client_access::EWS,
    client_access::ACTIVE_SYNC,
    client_access::IMAP,
    client_access::POP,
    client_access::SMTP_AUTH,
    client_access::NEW_OUTLOOK,
    client_access::OUTLOOK_MOBILE,
    client_access::OUTLOOK_MAC,
    regional::REGIONAL,
    automatic_replies::AUTOMATIC_REPLIES,
];

fn size(field: &str, text: Option<&str>) -> Result<Option<Value>, String> {
    let parse = |text: &str| {
        Value::size(text).ok_or_else(|| format!("spec.{field}: {text:?} is not a size such as 49Gi"))
    };
    text.map(parse).transpose()
}
