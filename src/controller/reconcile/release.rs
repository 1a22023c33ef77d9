//! The release of a resource whose mailbox stays, and is perhaps not marked yet.
//!
//! A mailbox that was created gets marker, name and sign-in block first: nobody would know afterwards whose it is, and
//! anybody could sign in to it. Exchange is not asked about a mailbox that has them.

use std::time::Duration;

use super::begin::Reconcile;
use super::create::AMBIGUOUS;
use super::outcome::{Outcome, Progress};
use super::prepared::Prepared;
use super::requeue::{Completed, requeue};
use crate::controller::metrics::ReconcileResult;
use crate::controller::state::tenants::TenantState;
use crate::mail::MailboxGuid;
use crate::plan::Purpose;

/// A mailbox that surely was created is looked up so long while its resource waits to be released; one whose create was
/// never answered for as long as that stays ambiguous.
const LOOKED_UP_WHEN_CREATED: Duration = Duration::from_hours(1);

impl Reconcile<'_> {
    /// `Outcome::Released`: nothing is left to do for the mailbox. A tenant that can't be used until somebody acts holds a
    /// deletion up for minutes only: it may be no more than a token that was refused.
    pub(super) fn prepare_release(&self) -> Result<Prepared, Outcome> {
        let status = self.object.status.as_ref();
        let is_known = status.is_some_and(|status| status.mailbox_guid.is_some());
        let Some(intent) = self.recorded().and_then(|record| record.intent) else {
            return Err(Outcome::Released);
        };
        let patience = if is_known {
            LOOKED_UP_WHEN_CREATED
        } else {
            AMBIGUOUS
        };
        let unsent = self
            .context
            .state
            .remember(self.key, |memory| memory.unsent.clone());
        let age = self.context.clock.since(intent.at);
        if age >= patience || unsent == Some(intent.one_time_name) {
            return Err(Outcome::Released);
        }
        let tenant = &self.object.spec.tenant_ref.name;
        if let Some(TenantState::NotReady { why, passing }) = self.context.state.tenants.get(tenant)
            && (passing || age < AMBIGUOUS)
        {
            return Err(Outcome::Progressing(Progress::WaitingForExchange(why)));
        }
        match self.prepare_to_keep() {
            Ok((prepared, None)) if prepared.writes => Ok(Prepared {
                purpose: Purpose::Release(self.object.spec.deletion_policy),
                ..prepared
            }),
            // The tenant is there and was not checked yet.
            Err(Outcome::TenantPending) => Err(Outcome::TenantPending),
            Ok(_) | Err(_) => Err(Outcome::Released),
        }
    }

    /// Once it was seen it surely was created, whatever a replica shows later.
    pub(super) async fn remember_found(
        &mut self,
        prepared: &Prepared,
        guid: MailboxGuid,
    ) -> Result<(), Outcome> {
        let mut status = self.object.status.clone().unwrap_or_default();
        status.mailbox_guid = Some(guid.to_string());
        // Until now it was what was asked for, which proves nothing.
        status.primary_address = None;
        status.tenant_guid = Some(prepared.tenant.guid.to_string());
        self.write_status(status).await
    }

    /// Releases the resource, or says when that is tried again.
    pub(super) async fn finish_release(&mut self, outcome: Outcome) -> Completed {
        let outcome = match outcome {
            // Retain: the mailbox stays as it is, with its marker and its grants.
            Outcome::Released | Outcome::UpToDate => match self.set_finalizer(false).await {
                Ok(()) => return Completed::new(ReconcileResult::Success, None),
                Err(failed) => failed,
            },
            Outcome::Conflict => Outcome::Conflict,
            Outcome::Observed
            | Outcome::Drift(_)
            | Outcome::Paused(_)
            | Outcome::Progressing(_)
            | Outcome::Unavailable(_)
            | Outcome::Stalled(_)
            | Outcome::Held(_)
            | Outcome::TenantPending => {
                let why = "the mailbox is not marked yet".to_owned();
                Outcome::Progressing(Progress::WaitingForExchange(why))
            }
        };
        requeue(self.context, self.key, &outcome, self.lane)
    }
}
