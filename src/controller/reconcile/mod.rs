//! One mailbox with all its permissions: fetch → validate → plan → apply → report.

mod act;
mod apply;
mod audit;
pub mod cascading_deletion;
mod close;
mod create;
mod fetch;
mod hold;
pub mod outcome;
pub mod pass;
pub mod permission;
mod prepare;
mod remember;
mod report;
mod tell;
pub mod validate;
