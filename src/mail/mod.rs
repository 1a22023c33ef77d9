//! Value types: parsed once at the edge and valid ever after. They know nobody else in the crate.

mod address;
mod holder;
mod ids;
mod marker;
mod nickname;
mod right;

#[cfg(test)]
pub use address::parsed;
pub use address::{AddressPattern, Domain, InvalidAddress, InvalidPattern, SmtpAddress};
pub use holder::Holder;
pub use ids::{InvalidId, MailboxGuid, ObjectId, OneTimeName, Sid, TenantGuid};
pub use marker::{ClusterId, Marker, MarkerOwner};
pub use nickname::{InvalidNickname, Nickname};
pub use right::Right;
