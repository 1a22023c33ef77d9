//! Checks an ExchangeTenant: credentials, tenant id, roles, domains, and the people it names.

pub mod check;
mod endpoints;
mod people;
mod timing;
