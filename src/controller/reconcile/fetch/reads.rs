//! What every read of one reconcile has in hand.

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::controller::state::tenants::Tenant;
use crate::exchange::ExchangeError;
use crate::lane::Lane;
use crate::mail::{ObjectId, Right};
use crate::plan::Account;

/// A mailbox that could not be read, and what Entra shows of the account that is known to be behind it.
pub struct NotSeen {
    pub error: ExchangeError,
    pub account: Account,
}

/// Reads of one reconcile.
pub struct Reads<'a> {
    pub tenant: &'a Tenant,
    pub lane: Lane,
    pub now: Instant,
    /// Rights whose entry carries another SID than the one that is known.
    pub misnamed: BTreeSet<(ObjectId, Right)>,
}
