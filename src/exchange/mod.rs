//! The one place that talks to Exchange Online and Microsoft Graph.
//!
//! A caller awaits one operation of [`Gateway`]; from there the data passes through:
//!
//! - `cmdlets`: an operation becomes a cmdlet with parameters, and its rows become values of [`crate::mail`].
//! - `gateway`: concurrent calls queue by [lane](crate::lane::Lane), up to ten go out as one `$batch`, within one
//!   budget for the tenant; retries happen here and nowhere else.
//! - `auth`: access tokens by client credentials, one for Exchange and one for Graph; `credential`: what proves which app
//!   it is.
//! - `wire`: the JSON of `InvokeCommand` and `$batch`, and what an error answer means.
//! - `learned`, `capabilities`: what a tenant can do, from answers and from reads that ask for it.
//! - `graph`: the account behind a mailbox, in the directory.
//! - [`trail`]: which request failed last in a piece of work.
//! - [`http`]: the tower service at the bottom, a connection pool in production, anything else in tests.
//!
//! `InvokeCommand` (`/adminapi/beta`) is what Microsoft's ExchangeOnlineManagement module speaks. Microsoft
//! does not document it for direct use and may change it.

mod auth;
mod capabilities;
mod cmdlets;
mod connection;
mod credential;
mod error;
mod gateway;
mod graph;
pub mod http;
mod learned;
mod metrics;
mod scratch;
#[cfg(test)]
mod tests;
mod text;
pub mod trail;
mod wire;

pub use auth::Tried;
pub use capabilities::{
    Capabilities, ClockState, Column, NO_PARAMETER, Samples, USED_CMDLETS, USED_PERMISSIONS,
};
pub use cmdlets::{
    AcceptedDomain, CreatedMailbox, FullAccessRow, GroupRow, MailboxRow, NewMailbox, ProxyAddress, Receipt,
    RecipientIdentity, RecipientKind, RecipientName, RecipientQuery, RecipientRow, SendAsRow, SettingsRow,
    UserRow,
};
pub use connection::{Cloud, Connection, Endpoints, InvalidEndpoint};
pub use credential::{ClientCertificate, Credential, CredentialKind, UnusableCertificate};
pub use error::{Concerns, Ends, ErrorClass, ExchangeError, FailedRead, Stage};
pub use gateway::{Gateway, GatewayReading};
pub use graph::{DirectoryUser, Membership};
pub use http::{HttpService, TransportError};
pub use learned::{AfterError, Anchor, Learned, Missing};
pub use metrics::GatewayMetrics;
pub use scratch::{RemovalError, ScratchMailbox};
pub use wire::Parameters;

#[cfg(test)]
use tests::testing;
