//! What is asked of the doctor, and why it can't be done.

use crate::exchange::ExchangeError;
use crate::mail::SmtpAddress;

/// What is done on a mailbox of its own.
#[derive(Clone, Debug)]
pub struct Scratch {
    /// Which nobody has.
    pub address: SmtpAddress,
    /// Who gets rights on it for a moment.
    pub member: Option<SmtpAddress>,
}

/// What kept a check from being made at all.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// Entra or Exchange does not admit the app, or does not answer.
    #[error("the tenant can't be checked: {0}")]
    Tenant(ExchangeError),
    #[error("Entra gave a token for another tenant than the one that was named")]
    AnotherTenant,
    #[error("nothing was created: {0}")]
    NotCreated(ExchangeError),
}
