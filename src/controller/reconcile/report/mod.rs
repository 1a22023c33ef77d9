//! What people read back: statuses computed from an outcome and from what was read. Plain functions.

mod deletion;
mod findings;
mod mailbox;
mod members;
mod names;
mod permission;
mod revoked;
mod settings;
mod sign_in;

pub use deletion::deletion;
pub use findings::Findings;
pub use mailbox::mailbox;
pub use names::{Names, first_of};
pub use permission::{
    permission, permission_held_back, permission_of_missing_mailbox, permission_without_mailbox,
};
pub use revoked::revoked;
