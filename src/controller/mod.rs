//! From a change in Kubernetes to the same change in Exchange, and back to a status.
//!
//! [`watch`] feeds the [`index`], which says what a change asks for; the [`queue`] hands it out by lane; one
//! [`pass`] a mailbox runs [`fetch`] → [`validate`] → [`crate::plan`] → [`apply`] → [`report`]. What an ending
//! means for conditions, events, requeue and metrics stands in [`outcome`] alone. Tenants are checked by
//! [`tenant_check`] and used through [`tenant`].

mod apply;
mod audit;
mod breaker;
mod context;
mod create;
mod deadlines;
mod endpoints;
mod events;
mod fetch;
mod going;
mod holders;
mod index;
mod key;
mod metrics;
mod outcome;
mod pass;
mod people;
mod permission;
mod promises;
mod queue;
mod report;
mod requests;
mod tenant;
mod tenant_check;
mod timing;
mod unreadable;
mod validate;
mod watch;
mod worker;

pub use context::Settings;
pub use metrics::{GaugeFamily, Gauges, Metrics};
pub use worker::{Operator, Readiness};
