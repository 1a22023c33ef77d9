//! What is known before Exchange is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::validate::Admitted;
use crate::controller::state::tenants::Tenant;
use crate::ledger::Ledger;
use crate::mail::{Holder, MarkerOwner, ObjectId, Right};
use crate::plan::{Acknowledged, Change, Earlier, Purpose, SignInAttempts, TakeUp};

/// What one reconcile is about, and what it may do.
pub struct Prepared {
    pub tenant: Arc<Tenant>,
    /// What it may do: a refused manifest only takes access away, and one that its team pauses or observes only protects.
    pub purpose: Purpose,
    /// False where the tenant is only observed, or the team observes a mailbox that nothing protects yet.
    pub writes: bool,
    pub ledger: Ledger,
    pub owner: MarkerOwner,
    pub admitted: Admitted,
    pub remembered: Remembered,
    /// The mailbox was taken up again a moment ago.
    pub take_up: Option<TakeUp>,
    /// Somebody asked for grants of accounts that are gone to be removed.
    pub remove_orphans: bool,
    /// A MailboxPermission of the namespace can't be decoded, or there is no room for one of the mailbox: nobody knows what
    /// it declares.
    pub has_unread_permissions: bool,
    /// In whole seconds.
    pub now: Timestamp,
}

/// What this process remembers of earlier writes.
pub struct Remembered {
    /// What Exchange acknowledged a moment ago.
    pub acknowledged: Acknowledged,
    /// Rows that Exchange shows and says do not exist when they are to be removed.
    pub stuck: BTreeSet<(Holder, Right)>,
    /// The same, when it was said once is enough.
    pub said_missing: BTreeSet<(Holder, Right)>,
    /// Grants that Exchange acknowledged so long ago that every replica would show them, and that none shows.
    pub unverified: BTreeSet<(ObjectId, Right)>,
    /// Changes that failed several times in a row.
    pub failing: BTreeSet<Change>,
    /// What became of settings.
    pub earlier: BTreeMap<&'static str, Earlier>,
    /// What became of sign-in.
    pub sign_in: SignInAttempts,
}
