//! The status of a SharedMailbox that is being deleted.

use std::collections::BTreeSet;

use super::mailbox::held_changes;
use crate::api::SharedMailboxStatus;
use crate::api::condition::Kind;
use crate::ledger::Ledger;
use crate::plan::{Desired, Observed};

/// `status` without what is compared with a manifest that nobody follows any more, and with what waits. Of a reconcile that
/// read nothing, what waited stays; so does the number of members where nobody knows what was granted.
pub fn deletion(
    mut status: SharedMailboxStatus,
    seen: Option<(&Desired, &Observed)>,
    ledger: Option<&Ledger>,
) -> SharedMailboxStatus {
    let compared = [Kind::PermissionsSynced, Kind::SettingsSynced].map(Kind::as_str);
    status
        .conditions
        .retain(|condition| !compared.contains(&condition.type_.as_str()));
    let Some(ledger) = ledger else {
        return status;
    };
    let people: BTreeSet<_> = ledger.grants.iter().map(|grant| grant.object_id).collect();
    status.member_summary = Some(people.len().to_string());
    if let Some((desired, observed)) = seen {
        status.held = held_changes(desired, observed, ledger);
    }
    status
}
