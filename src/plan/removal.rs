//! Why a right that we granted is removed, and what may veto that.
//!
//! Everything that can stop or delay a removal, in the order in which it is found. docs/how-it-works.md says for how
//! long.
//!
//! | veto | found by |
//! | --- | --- |
//! | the SharedMailbox is gone, or its namespace or the CRD is being deleted | `controller/reconcile/gone.rs`, `cascading_deletion.rs` |
//! | `management` of the mailbox is Paused or Observe, and the removal is not one that protects | `Plan::only_what_protects` |
//! | `management` of the tenant is Paused or Observe, the tenant can't be used, or the ledger can't be read | `controller/reconcile/prepare.rs` |
//! | Exchange could not be read | `controller/reconcile/fetch` |
//! | the mailbox is not ours, or no shared mailbox any more | `controller/reconcile/validate/judge.rs` |
//! | a manifest declares the right, by this or another name of the same person | `grants::plan` |
//! | [`Veto::Stuck`], [`Veto::Protected`], [`Veto::StillDeclared`], [`Veto::PerhapsDeclared`], [`Veto::TakenUp`] | [`removal`] |
//! | a row that nobody declares: ignored, protected, unknown, denied | `foreign::foreign` |
//! | a row that nobody declares, and the mailbox was taken up again less than an hour ago | `grants::plan` |
//! | the breaker, or a group that changed all at once | `controller/reconcile/hold.rs`, by `hold::weigh` |
//! | Exchange acknowledged it a moment ago | `controller/reconcile/apply.rs` |
//! | the API server does not acknowledge the ledger that announces it | `controller/reconcile/ledger/write.rs` |
//!
//! A manifest that is refused, and somebody else who contests settings, stop no removal.

use super::desired::{Desired, TakeUp};
use super::{Cause, removed};
use crate::ledger::RecordedGrant;

/// What stops the removal of a grant that no manifest names by its object id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Veto {
    /// Exchange shows the row and says that it does not exist. Tried again once an hour, when it no longer counts as stuck.
    Stuck,
    /// `protectedTrustees` of the ExchangeTenant names the trustee.
    Protected,
    /// A manifest names the member and they can't be granted to now, be it that they are unknown or refused.
    StillDeclared,
    /// A manifest can't be read, and perhaps names them. What was announced before is finished, and an end that is
    /// remembered comes.
    PerhapsDeclared,
    /// The mailbox was taken up again less than an hour ago, and not all the permissions are back that declared it.
    TakenUp,
}

/// `is_announced`: the removal was admitted before, and is perhaps under way.
pub(super) fn removal(grant: &RecordedGrant, desired: &Desired, is_announced: bool) -> Result<Cause, Veto> {
    let is_kept = |written| desired.kept.contains(&(written, grant.right));
    let permissions_ended =
        !grant.by.is_empty() && grant.by.iter().all(|name| desired.expired.contains(name));
    let has_ended = permissions_ended || grant.until.is_some_and(|until| until <= desired.now);
    let take_up = desired
        .take_up
        .as_ref()
        .filter(|take_up| desired.now < take_up.until);
    let is_restored = take_up.is_some_and(|take_up| take_up.restored);
    if removed::is_stuck(grant, desired) {
        Err(Veto::Stuck)
    } else if desired.policy.departed.include_holder_of(grant) {
        Ok(Cause::Departed)
    } else if desired.policy.protected.include_holder_of(grant) {
        Err(Veto::Protected)
    } else if grant.written_as().cloned().any(is_kept) {
        Err(Veto::StillDeclared)
    } else if is_restored {
        Err(Veto::TakenUp)
    } else if has_ended {
        Ok(Cause::Expired)
    } else if !is_announced && desired.has_unread_permissions {
        Err(Veto::PerhapsDeclared)
    } else if !is_announced && take_up.is_some_and(|take_up| !take_up.has_all_of(grant)) {
        Err(Veto::TakenUp)
    } else {
        Ok(Cause::Undeclared)
    }
}

impl TakeUp {
    /// Whether every permission that declared the grant exists again, and says so no longer.
    fn has_all_of(&self, grant: &RecordedGrant) -> bool {
        !grant.by.is_empty() && grant.by.iter().all(|name| self.permissions.contains(name))
    }
}
