//! What is known, and what is to be done next: small, in memory, and found again after a restart.

pub mod breaker;
pub mod deadlines;
mod holders;
pub mod index;
pub mod key;
pub mod pending;
pub mod queue;
mod requests;
pub mod tenants;
