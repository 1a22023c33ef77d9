//! The custom resources and the operator on a real kube-apiserver.
//!
//! Without a control plane (`cargo xtask control-plane` builds one) these tests say so and are skipped; where
//! SMO_REQUIRE_CONTROL_PLANE is set they fail instead.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, where a panic is a failure"
)]

mod chart;
mod conformance;
mod image;
mod kinds;
mod lease;
mod ledger;
mod main_job;
mod operator;
mod process;
mod released;
mod secrets;
mod server;
mod settings;
