//! One reconcile of one mailbox: what every step of it has in hand.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;

use super::ledger::LedgerFile;
use super::outcome::{Outcome, PausedBy, Stall};
use crate::api::{DeletionPolicy, MailboxPermission, SharedMailbox, SignIn};
use crate::controller::context::Context;
use crate::controller::events::Event;
use crate::controller::state::key::MailboxKey;
use crate::controller::state::tenants::Tenant;
use crate::lane::Lane;
use crate::mail::MarkerOwner;
use crate::plan::Account;

/// Why a manifest is not carried out.
#[derive(Clone, Debug)]
pub enum Restraint {
    /// It is refused: access is taken away, and nothing else happens.
    Refused(Stall),
    /// Its team paused it: the mailbox is read, and only what protects is done.
    Paused,
    /// Its team observes it: only what protects is done, and what else Enforce would do is reported.
    Observed,
    /// Its namespace or our CRDs have been in deletion for long: only what protects is done.
    Deleting,
    /// Its permissions come and go, and it has not been known for long whether everything is being deleted: only what
    /// protects is done. It may be known after so long.
    Unsettled(Duration),
}

impl Restraint {
    /// Whether nothing is compared with the manifest: only what protects is done, or access taken away, and reported.
    pub fn only_protects(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Paused | Self::Deleting | Self::Unsettled(_) => true,
            Self::Observed => false,
        }
    }

    /// How the reconcile ends because of it, whatever came of what is done all the same.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Refused(stall) => Outcome::Stalled(stall.clone()),
            Self::Paused => Outcome::Paused(PausedBy::Team),
            Self::Observed => Outcome::Observed,
            Self::Deleting | Self::Unsettled(_) => Outcome::Deleting,
        }
    }
}

/// How it stands with the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is there and says what is wanted.
    Serves,
    /// It is being deleted, and this is to be done before it goes.
    BeingDeleted(DeletionPolicy),
    /// It is gone, or as good as gone: only what outlives it is done.
    Gone,
}

/// One reconcile of one mailbox.
pub struct Reconcile<'a> {
    pub context: &'a Context,
    pub key: &'a MailboxKey,
    pub lane: Lane,
    /// As read at the start, and as answered by each of our writes. When it is gone, what the ledger knows of it.
    pub object: SharedMailbox,
    pub standing: Standing,
    /// What says whether our finalizer is on the resource could not be written.
    pub is_finalizer_owed: bool,
    pub ledger: LedgerFile,
    pub permissions: Vec<Arc<MailboxPermission>>,
    /// What a resource says of sign-in that is being deleted, that nobody can read, or that has not taken the mailbox up: it
    /// counts for as long as that is there.
    pub last_word: Option<SignIn>,
    /// What the manifest does not get, once that is known.
    pub restraint: Option<Restraint>,
    /// Sign-in as it was read, until it is written.
    pub seen_account: Option<Account>,
    /// The mailbox was created in this reconcile.
    pub created: bool,
    /// It was created by an earlier resource of this name, and is being taken up again.
    pub reattached: bool,
}

impl Reconcile<'_> {
    /// How long ago the index saw the mailbox first: for waits after which something counts as settled.
    pub fn known_for(&self) -> Duration {
        let now = self.context.clock.instant();
        let first = self.context.state.index().first_seen(self.key);
        first.map_or(Duration::MAX, |first| now.saturating_duration_since(first))
    }

    /// Whether the ExchangeTenant was edited since it was checked.
    pub(super) fn has_changed(&self, checked: &Tenant) -> bool {
        let newest = self
            .context
            .state
            .index()
            .tenant(&self.object.spec.tenant_ref.name);
        newest.is_some_and(|newest| newest.metadata.generation > checked.generation)
    }

    /// As the marker of the mailbox is to name the resource.
    pub(super) fn owner(&self, tenant: &Tenant) -> MarkerOwner {
        MarkerOwner {
            cluster: tenant.cluster.clone(),
            namespace: self.key.namespace.clone(),
            name: self.object.name_any(),
            uid: self.object.uid().unwrap_or_default(),
        }
    }

    pub(super) async fn publish(&self, warning: bool, reason: &str, action: &str, note: &str) {
        let event = Event {
            warning,
            reason,
            action,
            note,
        };
        self.context.events.publish(&self.object, event).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::VETOES;

    /// A new restraint is a row of the table of what stops a removal, unless it stops none.
    #[test]
    fn what_restrains_a_manifest_is_in_the_table_of_vetoes() {
        let row = |restraint: &Restraint| match restraint {
            // What it took away is taken away all the same.
            Restraint::Refused(_) => None,
            Restraint::Paused | Restraint::Observed => Some("`management` of the mailbox"),
            Restraint::Deleting | Restraint::Unsettled(_) => Some("Cascading deletion"),
        };
        for restraint in [
            Restraint::Paused,
            Restraint::Observed,
            Restraint::Deleting,
            Restraint::Unsettled(Duration::ZERO),
        ] {
            let name = row(&restraint);
            let named = VETOES.iter().filter(|(listed, _)| Some(*listed) == name);
            assert_eq!(named.count(), 1, "{restraint:?}");
        }
    }
}
