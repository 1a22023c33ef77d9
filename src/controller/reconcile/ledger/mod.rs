//! The ledger of the mailbox that is being reconciled: found, taken up, and written before what it announces.

mod delete;
mod find;
mod merge;
mod take_up;
mod write;

use kube::core::ObjectMeta;

use super::outcome::Stall;
use crate::api::{MailboxLedger, MailboxLedgerSpec};
use crate::ledger::Why;
use crate::mail::{ClusterId, MailboxGuid};

pub use delete::delete;

/// With the GUID of a lost mailbox: the name of the ledger of the one that was created in its place.
const AFTER: &str = "after-";

/// A ledger that nothing may follow from.
#[derive(Clone, Debug, PartialEq)]
pub enum Unusable {
    Unreadable { metadata: Box<ObjectMeta>, why: String },
    OfAnotherCluster { name: String, cluster: String },
}

impl Unusable {
    /// `own`: the cluster whose mailboxes are marked here.
    pub fn stall(&self, own: &ClusterId) -> Stall {
        match self {
            Self::Unreadable { metadata, why } => Stall::LedgerUnreadable(format!(
                "the MailboxLedger {} of this mailbox can't be read ({why}); nothing is written. Start the version of \
                 the operator again that wrote it; or have a cluster administrator give up what it remembers, so that \
                 the mailbox is taken up by its marker and every right counts as granted outside the operator: \
                 {}",
                name_of(metadata),
                forgetting(name_of(metadata))
            )),
            Self::OfAnotherCluster { name, cluster } => Stall::LedgerOfAnotherCluster(format!(
                "the MailboxLedger {name} of this mailbox is of the cluster {cluster} and this one is {own}; nothing is \
                 written. When this cluster is to take its mailboxes over, have the platform team list {cluster} in \
                 spec.ownership.succeeds of the ExchangeTenant; when the ledger is a copy that nobody needs, have a \
                 cluster administrator delete it: {}",
                forgetting(name)
            )),
        }
    }
}

fn name_of(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}

/// How to delete a ledger that a SharedMailbox has: the policy asks for the words (charts/…-crds).
fn forgetting(name: &str) -> String {
    format!(
        "kubectl annotate mailboxledger {name} --overwrite sharedmailbox.dev/forget-serving={name} && kubectl delete \
         mailboxledger {name}"
    )
}

/// What is known of the ledger.
#[derive(Default)]
pub struct LedgerFile {
    /// As the API server has it; None: the mailbox has none.
    object: Option<MailboxLedger>,
    /// As it is to be, but for what a plan remembers, the history and the seal.
    draft: Option<MailboxLedgerSpec>,
    /// Why rights change in this reconcile, for the history.
    pub why: Why,
    /// There is one, and it can't be used.
    pub unusable: Option<Unusable>,
    /// A mailbox that was announced was searched for in this reconcile, and Exchange shows none.
    pub is_unseen: bool,
    /// Whether the mailbox carries somebody else's marker; None: it was not read.
    pub is_foreign: Option<bool>,
    /// The next write is the first of a resource to have this ledger, or the first after it was restored.
    pub is_taken_up: bool,
    /// Whether rights wait since a take-up for the permissions that declared them; None: nobody knows yet.
    pub has_due: Option<bool>,
    /// The mailbox that this ledger's own is created in place of.
    pub after_lost: Option<MailboxGuid>,
    /// The mailbox is ours, and nothing was remembered of it.
    pub is_lost: bool,
    /// Ledgers of other mailboxes that resources of this name had, and which no resource has now.
    pub left_behind: Vec<MailboxLedger>,
}

impl LedgerFile {
    /// The mailbox carries somebody else's marker: nothing of it is taken up.
    pub fn is_somebody_elses(&mut self) {
        self.is_foreign = Some(true);
        self.draft = self.spec().cloned();
        self.is_taken_up = false;
    }

    /// Another hand of this reconcile wrote the ledger meanwhile.
    pub fn refreshed(&mut self, other: Self) {
        self.object = other.object;
        self.draft = other.draft;
    }

    pub fn of(object: MailboxLedger) -> Self {
        Self {
            draft: Some(object.spec.clone()),
            object: Some(object),
            ..Self::default()
        }
    }

    /// As the API server has it.
    pub fn spec(&self) -> Option<&MailboxLedgerSpec> {
        self.object.as_ref().map(|object| &object.spec)
    }

    pub fn object(&self) -> Option<&MailboxLedger> {
        self.object.as_ref()
    }

    /// As it is to be.
    pub fn draft(&self) -> Option<&MailboxLedgerSpec> {
        self.draft.as_ref()
    }

    pub fn draft_mut(&mut self) -> Option<&mut MailboxLedgerSpec> {
        self.draft.as_mut()
    }
}
