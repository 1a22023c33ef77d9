//! A Kubernetes operator that makes Microsoft 365 shared mailboxes declarative.
//!
//! The modules in the order in which data passes through them:
//!
//! - [`api`]: the custom resources, what a user writes and reads back.
//! - [`mail`]: value types (address, object id, SID, right, marker), parsed once and valid ever after.
//! - [`setting`]: values of settings, and the cmdlets that show and write them.
//! - [`controller`]: Kubernetes watches feed an index and a queue; one task a mailbox runs
//!   begin → prepare → fetch → validate → plan → apply → report.
//! - [`ledger`]: what the operator remembers of a mailbox, read from and written to its MailboxLedger.
//! - [`rules`]: what the ExchangeTenant lets a namespace have; plain functions on values.
//! - [`plan`]: desired × observed × ledger → ordered steps; plain functions on values.
//! - [`exchange`]: the one place that talks to Exchange and Graph.
//! - [`doctor`]: checks on a real tenant what the operator assumes of Exchange and Graph.
//! - [`runtime`]: settings, health and metrics server, telemetry, shutdown.
//! - [`clock`], [`rng`], [`lane`], [`fair`], [`leadership`] and [`words`]: time, randomness, urgency, turns, the right to
//!   write, and counts in messages, shared by all.

// One more variant is considered everywhere: no match over an enum of ours ends in `_`.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod api;
pub mod clock;
pub mod controller;
pub mod doctor;
pub mod exchange;
pub mod fair;
pub mod lane;
pub mod leadership;
pub mod ledger;
pub mod mail;
pub mod plan;
pub mod rng;
pub mod rules;
pub mod runtime;
pub mod setting;
pub mod words;
