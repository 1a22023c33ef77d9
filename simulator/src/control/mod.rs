//! What happens in the tenant outside a client: the admin's hand, faults, the journal.

pub mod endpoints;
mod entries;
mod handle;
mod people;

pub use entries::{AccessRow, SendAsRow};
pub use handle::{Control, UnknownObject};
pub use people::Rename;
