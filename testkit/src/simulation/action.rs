//! What people do, and which faults there are meanwhile.

use std::time::Duration;

use serde_json::Value;
use simulator::{Faults, Rename};

use super::slips::Slip;

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Action {
    /// kubectl apply; what admission refuses changes nothing.
    Apply(Value),
    /// kubectl delete of a kind and name.
    Delete(&'static str, String),
    /// An admin runs a cmdlet in Exchange.
    Admin(&'static str, Value),
    /// An admin deletes a mailbox so that nothing of it is left.
    Purge(String),
    /// An admin blocks (false) or unblocks an account in Entra.
    SignIn(String, bool),
    /// Somebody joins (true) or leaves a group.
    Member(String, String, bool),
    /// An admin renames a person.
    Rename(String, Rename),
    /// A backup without statuses is restored over a mailbox that carries its marker.
    WipeStatus(String),
    /// Something happens to the operator's memory, or to what it reports.
    Slip(Slip),
    /// Faults of Exchange and Graph from now on, instead of those before.
    Faults(Faults),
    /// The process dies, and another starts seconds later.
    Crash,
    Wait(Duration),
    /// Waits until everything is as declared.
    Settle,
}

pub type Actions = Vec<Action>;

impl Action {
    pub fn delete_mailbox(name: &str) -> Self {
        Self::Delete("SharedMailbox", name.to_owned())
    }

    pub fn delete_permission(name: &str) -> Self {
        Self::Delete("MailboxPermission", name.to_owned())
    }

    pub fn seconds(seconds: u64) -> Self {
        Self::Wait(Duration::from_secs(seconds))
    }
}
