//! What the operator's tests share: an API server double, the suite that holds it to the real one, and worlds in one
//! process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test helper fails the test"
)]

pub mod api_server;
pub mod bed;
pub mod canary;
pub mod conformance;
pub mod kstatus;
pub mod world;
