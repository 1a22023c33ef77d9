//! The SharedMailbox itself: what it knows, and writes to it.

use std::sync::Arc;

use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::begin::Reconcile;
use super::outcome::Outcome;
use crate::api::condition::{self, Kind};
use crate::api::{FINALIZER, MailboxPermission, REMOVE_ORPHANS, Record, SharedMailbox, SharedMailboxStatus};
use crate::lane::Lane;
use crate::mail::{MailboxGuid, ObjectId};

impl Reconcile<'_> {
    /// By its GUID in status, or as this process remembers it from the create that the record announces.
    pub fn known_mailbox(&self, record: &Record) -> Option<MailboxGuid> {
        let status = self.object.status.as_ref();
        let written = status.and_then(|status| status.mailbox_guid.as_ref()?.parse().ok());
        let created = self
            .context
            .state
            .remember(self.key, |memory| memory.created.clone());
        let announced = record.intent.as_ref().map(|intent| &intent.one_time_name);
        written.or(created
            .filter(|(name, _)| Some(name) == announced)
            .map(|(_, guid)| guid))
    }

    /// The account behind the mailbox, as far as the status knows it.
    pub fn account(&self) -> Option<ObjectId> {
        self.object.status.as_ref()?.object_id.as_ref()?.parse().ok()
    }

    /// What is remembered of the mailbox, as the API server has acknowledged it.
    pub fn recorded(&self) -> Option<Record> {
        self.object.status.as_ref()?.record.as_ref()?.read().ok()
    }

    /// Whether a SharedMailbox with this uid exists.
    pub fn is_alive(&self, uid: &str) -> bool {
        self.context.state.index().uid_is_alive(uid)
    }

    /// True when the status already speaks of this generation and the mailbox was there.
    pub fn is_reported(&self) -> bool {
        self.object.status.as_ref().is_some_and(|status| {
            status.observed_generation == self.object.metadata.generation && status.mailbox_guid.is_some()
        })
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
        let status = self.object.status.as_ref();
        let done = status.and_then(|status| status.last_handled_orphan_removal.as_ref());
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

    /// Has the API server acknowledge the record before anything that it announces is done.
    pub async fn announce(&mut self, record: &Record) -> Result<(), Outcome> {
        let mut status = self.object.status.clone().unwrap_or_default();
        let raw = record.into();
        if status.record.as_ref() == Some(&raw) {
            return Ok(());
        }
        status.record = Some(raw);
        self.write_status(status).await
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

    /// Puts our finalizer on or takes it off.
    pub async fn set_finalizer(&mut self, wanted: bool) -> Result<(), Outcome> {
        let finalizers = self.object.finalizers();
        if finalizers.iter().any(|finalizer| finalizer == FINALIZER) == wanted {
            return Ok(());
        }
        let others = finalizers
            .iter()
            .map(String::as_str)
            .filter(|other| *other != FINALIZER);
        let finalizers: Vec<&str> = others.chain(wanted.then_some(FINALIZER)).collect();
        // The version makes sure that nobody else's finalizer is lost.
        let version = self.object.resource_version();
        let patch = json!({ "metadata": { "finalizers": finalizers, "resourceVersion": version } });
        self.object = self
            .api()
            .patch(&self.key.name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .map_err(|error| Outcome::of_kube(&error))?;
        Ok(())
    }

    fn api(&self) -> Api<SharedMailbox> {
        Api::namespaced(self.context.client.clone(), &self.key.namespace)
    }
}
