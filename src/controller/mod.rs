//! From a change in Kubernetes to the same change in Exchange, and back to a status.
//!
//! - [`state`]: what is known, and what is to be done next. The watches ([`watch`]) feed its index, which says what a
//!   change asks for; its queue hands that out by lane. It knows nothing of how the work is done.
//! - [`tenant`]: checks an ExchangeTenant and keeps its connection.
//! - [`reconcile`]: one mailbox: fetch → validate → [`crate::plan`] → apply → report. What an ending means for
//!   conditions, events, requeue and metrics stands in `reconcile::outcome` alone.
//! - [`worker`]: takes work out of the queue and runs it.
//!
//! [`context`] is what every task shares.

mod beyond;
mod context;
mod events;
mod metrics;
mod reconcile;
mod state;
mod tenant;
mod unreadable;
mod watch;
mod worker;

pub use context::Settings;
pub use metrics::{GaugeFamily, Gauges, Metrics};
pub use worker::{Operator, Readiness};
