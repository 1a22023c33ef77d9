//! What the test binaries share: an API server double and the suite that holds it to the real one.

#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "support code of tests, where a panic is a failed test; each binary uses a part of it"
)]

pub mod api_server;
pub mod bed;
pub mod canary;
pub mod conformance;
pub mod kstatus;
pub mod world;
