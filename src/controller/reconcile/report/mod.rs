//! What people read back: statuses computed from an outcome and from what was seen. Plain functions.

mod facts;
mod mailbox;
mod names;
mod permission;

pub use facts::{Facts, Sight, remember_revoked, whole_seconds};
pub use mailbox::mailbox;
pub use names::Names;
pub use permission::{permission, permission_of_missing_mailbox, permission_without_mailbox};
