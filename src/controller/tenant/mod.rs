//! Checks an ExchangeTenant: credentials, tenant id, roles, domains, and the people it names.

mod capabilities;
pub mod check;
mod connection;
mod credentials;
mod endpoints;
mod fault;
mod people;
mod refusals;
mod report;
mod serving;
mod sign_in;
mod timing;
