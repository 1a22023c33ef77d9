//! The resource and its permissions as they are in Kubernetes now, and whether it is time to reconcile them.

use std::sync::Arc;
use std::time::Duration;

use super::cascading_deletion::{CascadingDeletion, cascading_deletion};
use super::ledger::LedgerFile;
use super::outcome::{Outcome, PausedBy, Stall};
use super::requeue::{Completed, RECHECK, requeue};
use super::resource::{self, Found};
use super::stand_in;
use crate::api::{MailboxPermission, SharedMailbox, SignIn};
use crate::controller::context::Context;
use crate::controller::metrics::ReconcileResult;
use crate::controller::state::key::MailboxKey;
use crate::lane::Lane;
use crate::plan::Account;

/// A new mailbox waits so long for its permissions, so that they are in its first plan.
const GATHERING: Duration = Duration::from_millis(800);

/// A deletion of a namespace or of our CRDs that takes so long is held up by somebody.
const HANGS: Duration = Duration::from_mins(5);

/// `kubectl delete` of many objects takes seconds. Whoever needs longer deletes and creates in turn.
const UNSETTLED: Duration = Duration::from_secs(10);

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

/// One reconcile of one mailbox.
pub struct Reconcile<'a> {
    pub context: &'a Context,
    pub key: &'a MailboxKey,
    pub lane: Lane,
    /// As read at the start, and as answered by each of our writes. When it is gone, what the ledger knows of it.
    pub object: SharedMailbox,
    /// The resource is gone: only what outlives it is done.
    pub is_gone: bool,
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

impl<'a> Reconcile<'a> {
    /// `Err`: there is nothing to reconcile, or it is too early.
    pub async fn begin(context: &'a Context, key: &'a MailboxKey, lane: Lane) -> Result<Self, Completed> {
        let ended = |outcome: &Outcome| requeue(context, key, outcome, lane);
        let found = resource::read(context, key).await;
        let found = found.map_err(|error| ended(&Outcome::of_kube(&error)))?;
        let (found, last_word) = match found {
            Found::Nothing => (None, None),
            Found::Declares(object) => (Some(*object), None),
            Found::SaysNothing { last_word } => (None, Some(last_word)),
        };
        let is_there = last_word.is_some();
        let is_gone = found.is_none();
        let mut reconcile = Self {
            context,
            key,
            lane,
            object: found.unwrap_or_else(|| stand_in::nameless(key)),
            is_gone,
            ledger: LedgerFile::default(),
            permissions: Vec::new(),
            last_word,
            restraint: None,
            seen_account: None,
            created: false,
            reattached: false,
        };
        if is_gone {
            return Box::pin(reconcile.begin_without_resource(is_there)).await;
        }
        reconcile.wait_for_permissions()?;
        let looked_up = reconcile.find_ledger().await;
        looked_up.map_err(|outcome| ended(&outcome))?;
        reconcile.permissions = context.state.index().permissions_of(key);
        reconcile.wait_for_cascading_deletion().await?;
        Ok(reconcile)
    }

    /// How long ago the index saw the mailbox first: for waits after which something counts as settled.
    pub fn known_for(&self) -> Duration {
        let now = self.context.clock.instant();
        let first = self.context.state.index().first_seen(self.key);
        first.map_or(Duration::MAX, |first| now.saturating_duration_since(first))
    }

    fn wait_for_permissions(&self) -> Result<(), Completed> {
        let waited = self.known_for();
        let is_known = !self.context.state.index().ledgers().of(self.key).is_empty();
        if is_known || waited >= GATHERING {
            return Ok(());
        }
        let again = (GATHERING.saturating_sub(waited), Lane::Edit);
        Err(Completed::new(ReconcileResult::RequeueAfter, Some(again)))
    }

    /// While everything around the mailbox is being deleted nobody loses a right by it, and nothing is done. A deletion that
    /// somebody holds up must not suspend what protects.
    async fn wait_for_cascading_deletion(&mut self) -> Result<(), Completed> {
        let (context, key, lane) = (self.context, self.key, self.lane);
        let ledger = self.remembered_ledger();
        let deletion = cascading_deletion(context, key, ledger.as_ref(), &self.permissions).await;
        let again = match deletion {
            Ok(CascadingDeletion::No) => return Ok(()),
            Ok(CascadingDeletion::Unknown { wait, since }) if since < UNSETTLED => (wait, lane),
            Ok(CascadingDeletion::Unknown { wait, since: _ }) => {
                self.restraint = Some(Restraint::Unsettled(wait));
                return Ok(());
            }
            Ok(CascadingDeletion::UnderWay(since)) if since < HANGS => (RECHECK, Lane::Sweep),
            Ok(CascadingDeletion::UnderWay(_)) => {
                self.restraint = Some(Restraint::Deleting);
                return Ok(());
            }
            Err(error) => return Err(requeue(context, key, &Outcome::of_kube(&error), lane)),
        };
        Err(Completed::new(ReconcileResult::RequeueAfter, Some(again)))
    }
}
