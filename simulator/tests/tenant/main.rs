//! The tenant as a client meets it over HTTP, without sockets.

// Helpers outside of #[test] functions fail a test by panicking, too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, where a panic is a failure"
)]

mod access_lists;
mod apart;
mod client;
mod client_access;
mod faults;
mod graph;
mod groups;
mod lag;
mod mailboxes;
mod paging;
mod permissions;
mod quirks;
mod quotas;
mod recipients;
mod refusals;
mod regional;
mod settings;
mod sign_in;
mod trustees;
mod unkind;
mod wire;
