//! The table of settings: which field of a manifest wishes what, and by which call it is written.
//!
//! A **family** is what Exchange refuses, what somebody else contests, and what is counted and reported together. One
//! more setting is a field of the CRD, an entry here with its line in [`list`], and a row in the simulated tenant's table.
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

mod appearance;
mod archive;
mod automatic_replies;
mod client_access;
mod custom_attributes;
mod delivery;
mod family;
mod forwarding;
mod list;
mod quota;
mod reference;
mod regional;
mod retention;

pub use family::{Company, Dropped, Family, Feature, Move, Need, Repairs};
pub use list::{FAMILIES, of_defaults, shown_by};
pub use reference::reference;
