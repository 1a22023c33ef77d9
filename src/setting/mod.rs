//! Settings of a mailbox: their values, and the cmdlets that show and write them.
//!
//! Knows nothing of manifests: which field of a manifest wishes what is data in `plan::FAMILIES`.

mod culture;
mod html;
mod kind;
mod source;
mod value;
mod values;

pub use kind::Kind;
pub use source::{Call, Property, Source};
pub use value::{Name, Value, Who, Words};
pub use values::Values;
