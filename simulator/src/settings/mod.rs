//! Settings of a mailbox: one table for each pair of a Get- and a Set- cmdlet, one row for each setting.
//!
//! A row is all there is to a setting: the Get- cmdlet shows it, the Set- cmdlet takes it as a parameter and
//! writes it, an admin can change it, and tests see it in a mailbox's view.

mod kind;
mod language;
mod mail_tip;
mod setting;
mod shown;
mod size;
mod tables;

pub use kind::Kind;
pub use language::culture;
pub use setting::{Pair, Setting};
pub use shown::ShownSettings;
pub use tables::{AUTO_REPLY, CLIENT_ACCESS, MAILBOX, REGIONAL, all, pair_of};
