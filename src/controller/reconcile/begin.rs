//! The resource and its permissions as they are in Kubernetes now, and whether it is time to reconcile them.

use std::time::Duration;

use super::cascading_deletion::{CascadingDeletion, cascading_deletion};
use super::ledger::LedgerFile;
use super::outcome::{Later, Outcome};
use super::requeue::RECHECK;
use super::resource::{self, Found};
use super::stand_in;
use super::task::{Reconcile, Restraint, Standing};
use crate::api::SignIn;
use crate::controller::context::Context;
use crate::controller::state::key::MailboxKey;
use crate::lane::Lane;

/// A new mailbox waits so long for its permissions, so that they are in its first plan.
const GATHERING: Duration = Duration::from_millis(800);

/// A deletion of a namespace or of our CRDs that takes so long is held up by somebody.
const HANGS: Duration = Duration::from_mins(5);

/// `kubectl delete` of many objects takes seconds. Whoever needs longer deletes and creates in turn.
const UNSETTLED: Duration = Duration::from_secs(10);

impl<'a> Reconcile<'a> {
    /// `Err`: there is nothing to reconcile, or it is too early.
    pub async fn begin(context: &'a Context, key: &'a MailboxKey, lane: Lane) -> Result<Self, Outcome> {
        let found = resource::read(context, key).await;
        let found = found.map_err(|error| Outcome::of_kube(&error))?;
        let (object, standing, last_word, held) = match found {
            Found::Nothing => (None, Standing::Gone, None, None),
            Found::Declares(object) => (Some(*object), Standing::Serves, None, None),
            Found::Deleting(object) => {
                let standing = Standing::BeingDeleted(object.spec.deletion_policy);
                let last_word = object.spec.sign_in.unwrap_or(SignIn::Blocked);
                (Some(*object), standing, Some(last_word), None)
            }
            Found::SaysNothing { last_word, held } => (None, Standing::Gone, Some(last_word), held),
        };
        let is_there = last_word.is_some();
        let mut reconcile = Self {
            context,
            key,
            lane,
            object: object.unwrap_or_else(|| stand_in::nameless(key)),
            standing,
            is_finalizer_owed: false,
            ledger: LedgerFile::default(),
            permissions: Vec::new(),
            last_word,
            restraint: None,
            seen_account: None,
            created: false,
            reattached: false,
        };
        match standing {
            Standing::Serves => reconcile.keep_finalizer().await,
            Standing::BeingDeleted(_) => return Box::pin(reconcile.begin_deletion()).await,
            Standing::Gone => {
                if let Some(metadata) = held {
                    reconcile.let_go_at_once(&metadata).await;
                }
                return Box::pin(reconcile.begin_without_resource(is_there)).await;
            }
        }
        reconcile.wait_for_permissions()?;
        reconcile.find_ledger().await?;
        reconcile.permissions = context.state.index().permissions_of(key);
        reconcile.wait_for_cascading_deletion().await?;
        Ok(reconcile)
    }

    fn wait_for_permissions(&self) -> Result<(), Outcome> {
        let waited = self.known_for();
        let is_known = !self.context.state.index().ledgers().of(self.key).is_empty();
        if is_known || waited >= GATHERING {
            return Ok(());
        }
        Err(Outcome::TooEarly(Later {
            after: GATHERING.saturating_sub(waited),
            lane: Lane::Edit,
        }))
    }

    /// While everything around the mailbox is being deleted nobody loses a right by it, and nothing is done. A deletion that
    /// somebody holds up must not suspend what protects.
    async fn wait_for_cascading_deletion(&mut self) -> Result<(), Outcome> {
        let (context, key, lane) = (self.context, self.key, self.lane);
        let ledger = self.remembered_ledger();
        let deletion = cascading_deletion(context, key, ledger.as_ref(), &self.permissions).await;
        let (after, lane) = match deletion {
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
            Err(error) => return Err(Outcome::of_kube(&error)),
        };
        Err(Outcome::TooEarly(Later { after, lane }))
    }
}
