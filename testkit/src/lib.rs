//! What the operator's tests share. The operator itself runs unchanged inside; everything around it is here:
//!
//! - [`api_server`]: a Kubernetes API server in process, with faults on demand.
//! - [`conformance`]: the suite that holds it to a real API server.
//! - [`bench`]: what the operator costs Exchange and the cluster, counted.
//! - [`World`]: API server, simulated tenant and operator together; manifests and conditions beside it.
//! - [`simulation`]: worlds under actions and faults drawn from a seed, and the oracles that judge their runs.
//! - [`kstatus`] and [`canary`]: how other tools judge a status, and what a secret looks like where it must not be.

// One more variant is considered everywhere: no match over an enum of ours ends in `_`.
#![warn(clippy::wildcard_enum_match_arm)]

// A helper that panics fails its test. Each module may panic in the ways that it uses, and no others.

#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "helpers of tests"
)]
pub mod api_server;
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "helpers of tests"
)]
pub mod bench;
#[allow(clippy::missing_panics_doc, reason = "helpers of tests")]
pub mod canary;
#[allow(clippy::expect_used, clippy::missing_panics_doc, reason = "helpers of tests")]
mod certificates;
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "helpers of tests")]
mod conditions;
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "helpers of tests"
)]
pub mod conformance;
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "helpers of tests")]
pub mod kstatus;
#[allow(clippy::expect_used, clippy::missing_panics_doc, reason = "helpers of tests")]
mod ledgers;
mod manifests;
#[allow(clippy::panic, clippy::missing_panics_doc, reason = "helpers of tests")]
mod profile;
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "helpers of tests")]
mod rng;
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "helpers of tests"
)]
pub mod simulation;
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "helpers of tests"
)]
mod world;

pub use certificates::AppCertificate;
pub use conditions::{Condition, condition, ready};
pub use ledgers::{largest_ledger, ledger, longest_address};
pub use manifests::{mailbox, permission, tenant, with};
pub use profile::{VARIABLE as PROFILE_VARIABLE, profile};
pub use rng::Rng;
pub use world::{NAMESPACE, OPERATOR_NAMESPACE, START, Server, World, in_process};
