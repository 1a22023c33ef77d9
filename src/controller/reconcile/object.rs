//! What a reconcile knows of its SharedMailbox, and what it writes to it.

use std::sync::Arc;

use kube::api::PostParams;
use kube::{Api, ResourceExt};

use super::outcome::Outcome;
use super::prepared::Remembered;
use super::task::Reconcile;
use crate::api::condition::{self, Kind};
use crate::api::{
    MailboxPermission, REMOVE_ORPHANS, SharedMailbox, SharedMailboxStatus, last_reconcile_request,
};
use crate::lane::Lane;
use crate::ledger::Ledger;
use crate::mail::{MailboxGuid, ObjectId};

impl Reconcile<'_> {
    /// By its GUID in the ledger, or as this process remembers it from the create that the ledger announces.
    pub fn known_mailbox(&self, ledger: &Ledger) -> Option<MailboxGuid> {
        let draft = self.ledger.draft();
        let written = draft.and_then(|draft| draft.mailbox.as_ref().map(|mailbox| mailbox.guid));
        let created = self
            .context
            .state
            .remember(self.key, |memory| memory.created.clone());
        let announced = ledger.intent.as_ref().map(|intent| &intent.one_time_name);
        written.or(created
            .filter(|(name, _)| Some(name) == announced)
            .map(|(_, guid)| guid))
    }

    /// The account behind the mailbox, as far as the ledger knows it.
    pub fn account(&self) -> Option<ObjectId> {
        self.ledger.draft()?.mailbox.as_ref()?.object_id
    }

    /// Whether a SharedMailbox with this uid exists.
    pub fn is_alive(&self, uid: &str) -> bool {
        self.context.state.index().uid_is_alive(uid)
    }

    /// True when the status already speaks of this generation and the mailbox is there.
    pub fn is_reported(&self) -> bool {
        let is_there = self.ledger.spec().is_some_and(|spec| spec.mailbox.is_some());
        let status = self.object.status.as_ref();
        is_there && status.and_then(|status| status.observed_generation) == self.object.metadata.generation
    }

    /// True when the status says of this generation that everything is as declared.
    pub fn is_reported_ready(&self) -> bool {
        let status = self.object.status.as_ref();
        let ready = status.and_then(|status| condition::find(&status.conditions, Kind::Ready));
        self.is_reported() && ready.is_some_and(|ready| ready.status == "True")
    }

    /// Somebody asked for it and it was not done yet.
    pub fn wants_orphans_removed(&self) -> bool {
        let asked = self.object.annotations().get(REMOVE_ORPHANS);
        let done = self.ledger.spec().and_then(|spec| spec.orphans_removed.as_ref());
        asked.is_some() && asked != done
    }

    /// True when what is written now follows from no edit: manifests are as they were reported.
    pub fn is_drift(&self) -> bool {
        self.is_drift_for(&self.object)
    }

    pub fn is_drift_for(&self, object: &SharedMailbox) -> bool {
        let status = object.status.as_ref();
        let reported = status.and_then(|status| status.observed_generation);
        let permission_is_reported = |permission: &Arc<MailboxPermission>| {
            let status = permission.status.as_ref();
            status.and_then(|status| status.observed_generation) == permission.metadata.generation
        };
        let conditions = status.map_or(&[][..], |status| &status.conditions);
        // While it is still being applied, nothing was ever as declared that could have drifted.
        condition::find(conditions, Kind::Provisioned).is_some()
            && condition::find(conditions, Kind::Reconciling).is_none()
            && reported == object.metadata.generation
            && self.permissions.iter().all(permission_is_reported)
            && self.lane != Lane::Revocation
    }

    /// Writes the status when it differs; a conflict means that somebody else wrote, and ends the reconcile.
    pub async fn write_status(&mut self, status: SharedMailboxStatus) -> Result<(), Outcome> {
        if self.object.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let mut next = self.object.clone();
        next.status = Some(status);
        self.object = self
            .api()
            .replace_status(&self.key.name, &PostParams::default(), &next)
            .await
            .map_err(|error| Outcome::of_kube(&error))?;
        Ok(())
    }

    pub(super) fn remembered(&self) -> Remembered {
        let now = self.context.clock.instant();
        let status = self.object.status.as_ref();
        let handled = status.and_then(|status| status.last_handled_reconcile_at.as_ref());
        let is_asked = last_reconcile_request(self.object.annotations()) != handled;
        self.context.state.remember(self.key, |memory| {
            if is_asked {
                memory.settings.forget();
            }
            Remembered {
                acknowledged: memory.acknowledged(now),
                stuck: memory.stuck(now),
                said_missing: memory.said_to_be_missing(),
                unverified: memory.tries.unverified(now),
                failing: memory.tries.failing(),
                earlier: memory.settings.earlier(now),
                sign_in: memory.sign_in.attempts(now),
            }
        })
    }

    fn api(&self) -> Api<SharedMailbox> {
        Api::namespaced(self.context.client.clone(), &self.key.namespace)
    }
}
