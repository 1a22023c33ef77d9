//! One module for each command.

pub mod bench;
pub mod control_plane;
pub mod demo;
pub mod generate;
pub mod image;
pub mod regression;
pub mod test;
pub mod upgrade;

mod cargo;
mod charts;
mod shell;
mod stage;
