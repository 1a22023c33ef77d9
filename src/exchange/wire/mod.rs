//! The JSON of the admin API: what a cmdlet looks like on the wire and what an answer means.

mod envelope;
mod error;
mod interpret;
mod parameters;
mod reply;
mod row;

pub(super) use envelope::{AdminApi, Answer, Cmdlet, Effect};
pub(super) use error::Failure;
pub use parameters::Parameters;
pub(super) use reply::{Reply, retry_after};
pub(super) use row::{Row, Unreadable};
