//! What a tenant's service and the app's role can do, found out by reads alone (design: probe, don't assume).
//!
//! `used` says what the operator uses, `probe` asks, `role` reads the service's own list of the role's cmdlets, `found`
//! puts together what was heard with what the gateway has [`learned`](super::learned) from its own traffic. What is not
//! known for sure is unknown, and nothing follows from it.

mod found;
mod probe;
mod role;
mod used;

pub use found::{Capabilities, ClockState, Column};
pub use probe::{NO_PARAMETER, Samples};
pub use used::{BLOCK_USERS, READ_MEMBERS, READ_USERS, REVOKE_SESSIONS, USED_CMDLETS, USED_PERMISSIONS};
