//! What the operator costs Exchange, Graph and the cluster, counted and not timed: the whole operator on paused time, in a
//! tenant of a given size, through the phases of its life.
//!
//! A [`Tally`] counts what the simulated tenant and the API server were asked; [`Row`]s lay it beside the lower bound and
//! two other ways to do the same; [`broken`] names the bounds that do not hold.

mod bounds;
mod scenario;
mod table;
mod tally;

pub use bounds::{Row, broken, rows};
pub use scenario::{Phase, Phases, Scenario};
pub use table::{json, table};
pub use tally::Tally;
