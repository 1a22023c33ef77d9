//! `shared-mailbox-operator doctor`: checks on a real tenant what the operator assumes of Exchange and Graph.
//!
//! It speaks through the operator's own [gateway](crate::exchange::Gateway) and capability probe, so that what it finds
//! is what the operator meets. `assumptions` is the table of what is checked, `reading` checks what reads alone can
//! show, `trying` the rest on a mailbox of its own, `report` prints. Nothing that it prints or writes to a file names a
//! person, an address or a tenant; only what went wrong with the scratch mailbox does, on standard error.

pub mod args;
mod assumptions;
pub mod command;
mod finding;
mod reading;
mod report;
mod request;
mod trying;

use std::future::Future;

pub use assumptions::{ASSUMPTIONS, Assumption, Grade, Needs};
pub use finding::{Findings, State};
pub use report::Report;
pub use request::{DoctorError, Scratch};

use crate::clock::Clock;
use crate::exchange::{Connection, Gateway, GatewayMetrics, HttpService};
use crate::rng::Rng;

/// What came of it.
pub struct Outcome {
    pub report: Report,
    /// How to remove by hand what could not be removed. Names the mailbox.
    pub left_behind: Option<String>,
}

/// Checks the tenant. When `stop` ends, what was created is removed, and nothing else is tried.
pub async fn examine(
    connection: Connection,
    http: HttpService,
    (clock, rng): (Clock, Rng),
    scratch: Option<Scratch>,
    stop: impl Future<Output = ()>,
) -> Result<Outcome, DoctorError> {
    let wanted = connection.tenant;
    let gateway = Gateway::new(connection, http, clock, GatewayMetrics::default());
    let tenant = gateway.tenant_guid().await.map_err(DoctorError::Tenant)?;
    if tenant != wanted {
        return Err(DoctorError::AnotherTenant);
    }
    let mut findings = Findings::default();
    let capabilities = reading::read(&gateway, &rng, &mut findings).await?;
    let mut left_behind = None;
    if let Some(scratch) = &scratch {
        let bench = trying::Bench {
            gateway: &gateway,
            clock,
            rng: &rng,
        };
        left_behind = bench.run(scratch, stop, &mut findings).await?;
    }
    Ok(Outcome {
        report: Report {
            findings,
            capabilities,
            tried: scratch.is_some(),
        },
        left_behind,
    })
}
