//! A resource takes a mailbox up with what is remembered of it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt};

use super::super::outcome::Outcome;
use super::super::task::Reconcile;
use crate::api::condition::whole_seconds;
use crate::api::{Format1, LedgerMailbox, LedgerResource, LedgerShown, LedgerTenant, MailboxLedgerSpec};
use crate::controller::state::tenants::Tenant;
use crate::ledger;
use crate::mail::MailboxGuid;
use crate::plan::{Observed, TakeUp};

/// So long after a take-up no right is revoked whose permission is not back.
const GRACE: Duration = Duration::from_hours(1);
/// No clock with which anybody can connect to Exchange is so wrong.
const LONG_AGO: Duration = Duration::from_hours(25);

impl Reconcile<'_> {
    /// Whether the ledger is that of this very resource, as we wrote it.
    pub fn has_own_ledger(&self) -> bool {
        self.ledger
            .spec()
            .is_some_and(|spec| Some(&spec.resource_ref.uid) == self.object.uid().as_ref())
    }

    /// Has the draft of the ledger name this resource. Nothing is written by this: the first write to Exchange waits until
    /// the API server has acknowledged it.
    pub fn take_up(&mut self, tenant: &Tenant) {
        let now = whole_seconds(self.context.clock.now());
        let resource = self.resource_ref();
        let cluster = tenant.cluster.to_string();
        let tenant = self.object.spec.tenant_ref.name.clone();
        let crd = self.permissions_crd_uid();
        let Some(object) = self.ledger.object() else {
            return;
        };
        let is_restored = !ledger::is_intact(object);
        let spec = &object.spec;
        let is_another =
            spec.resource_ref.uid != resource.uid || spec.cluster != cluster || spec.released_at.is_some();
        let known = spec.permissions_crd_uid.clone();
        let has_new_kind = known.is_some() && crd.is_some() && known != crd;
        let was_restored = spec.restored
            && (is_withheld(spec) || was_hardly_served(spec) || self.end_of_grace(spec).is_some());
        if !(is_restored || is_another || has_new_kind || is_withheld(spec)) {
            return;
        }
        if let Some(draft) = self.ledger.draft_mut() {
            draft.resource_ref = resource;
            draft.cluster = cluster;
            draft.tenant.name = tenant;
            draft.taken_up_at = Some(now);
            draft.restored = is_restored || was_restored;
            draft.released_at = None;
            draft.permissions_crd_uid = crd.or(known);
        }
        self.ledger.is_taken_up = is_restored || is_another;
    }

    /// A mailbox of ours of which nothing is remembered: a new ledger begins, and whatever is on the mailbox counts as
    /// somebody else's. Named after the mailbox, so that it is found by it.
    pub(in crate::controller::reconcile) fn begin_without_memory(&mut self, tenant: &Tenant) {
        let now = whole_seconds(self.context.clock.now());
        let mut draft = self.new_ledger(tenant);
        draft.taken_up_at = Some(now);
        self.ledger.draft = Some(draft);
        self.ledger.is_taken_up = true;
        self.ledger.is_lost = true;
    }

    /// The ledger of a mailbox that is to be taken over, named after it.
    pub(in crate::controller::reconcile) fn begin_adoption(&mut self, tenant: &Tenant) {
        self.ledger.draft = Some(self.new_ledger(tenant));
    }

    /// The ledger of a mailbox that is to be created.
    pub(in crate::controller::reconcile) fn begin_for_create(&mut self, tenant: &Tenant) {
        if self.ledger.draft().is_none() {
            self.ledger.draft = Some(self.new_ledger(tenant));
        }
    }

    fn new_ledger(&self, tenant: &Tenant) -> MailboxLedgerSpec {
        MailboxLedgerSpec {
            format: Format1,
            seal: None,
            cluster: tenant.cluster.to_string(),
            tenant: LedgerTenant {
                name: self.object.spec.tenant_ref.name.clone(),
                guid: tenant.guid,
            },
            resource_ref: self.resource_ref(),
            mailbox: None,
            intent: None,
            adopting: None,
            before: None,
            sign_in_undecided: false,
            taken_up_at: None,
            restored: false,
            released_at: None,
            gone_at: None,
            addresses: Vec::new(),
            removed_addresses: Vec::new(),
            defaults: None,
            opened: Vec::new(),
            removed_settings: Vec::new(),
            permissions: Vec::new(),
            people: Vec::new(),
            evictions: Vec::new(),
            held: None,
            sign_out_owed: false,
            orphans_removed: None,
            namespace_uid: None,
            permissions_crd_uid: self.permissions_crd_uid(),
            history_from: None,
            history: Vec::new(),
            shown: LedgerShown::default(),
            other: BTreeMap::new(),
        }
    }

    /// The mailbox was lost and is to be created again: what was remembered of the lost one stays with it.
    pub(in crate::controller::reconcile) fn begin_again(&mut self, tenant: &Tenant, lost: MailboxGuid) {
        self.ledger.after_lost = Some(lost);
        self.ledger.object = None;
        self.ledger.draft = Some(self.new_ledger(tenant));
    }

    /// Remembers which namespace this is, by its uid, when the ledger begins or is taken up: whoever creates a namespace
    /// of an old name gets its mailboxes, and the audit log says so.
    pub(in crate::controller::reconcile) async fn note_namespace(&mut self) -> Result<(), Outcome> {
        if self.ledger.object().is_some() && !self.ledger.is_taken_up {
            return Ok(());
        }
        let api: Api<Namespace> = Api::all(self.context.client.clone());
        let namespace = api.get_opt(&self.key.namespace).await;
        let namespace = namespace.map_err(|error| Outcome::of_kube(&error))?;
        let uid = namespace.and_then(|namespace| namespace.uid());
        let Some(draft) = self.ledger.draft_mut() else {
            return Ok(());
        };
        let before = std::mem::replace(&mut draft.namespace_uid, uid.clone());
        if before.is_some() && before != uid {
            tracing::warn!(
                target: "audit",
                reason = "NamespaceRecreated",
                namespace = self.key.namespace,
                resource = self.key.name,
                before,
                after = uid,
                "a mailbox is taken up from another namespace of the same name"
            );
        }
        Ok(())
    }

    /// What the plan must know of a take-up.
    pub(in crate::controller::reconcile) fn taken_up(&self) -> Option<TakeUp> {
        let draft = self.ledger.draft()?;
        let until = self.end_of_grace(draft)?;
        Some(TakeUp {
            until,
            restored: draft.restored,
            permissions: self.permissions.iter().map(|one| one.name_any()).collect(),
        })
    }

    /// When the hour of grace is over; None when it is, or none began.
    ///
    /// The wall clock alone would end it early where it was behind when the mailbox was taken up, in this process or in
    /// another. So it lasts until this process has known of the take-up for an hour, too. A restart begins that anew; of one
    /// longer than a day ago that is not asked.
    fn end_of_grace(&self, spec: &MailboxLedgerSpec) -> Option<Timestamp> {
        let taken_up_at = spec.taken_up_at?;
        let clock = self.context.clock;
        let (now, instant) = (clock.now(), clock.instant());
        if clock.since(taken_up_at) >= LONG_AGO {
            return None;
        }
        let is_written = self
            .ledger
            .spec()
            .is_some_and(|spec| spec.taken_up_at == Some(taken_up_at));
        let known_since = self.context.state.remember(self.key, |memory| {
            memory.known_take_up(taken_up_at, is_written, instant)
        });
        let left = GRACE.saturating_sub(instant.saturating_duration_since(known_since));
        let until = taken_up_at.saturating_add(GRACE).ok()?;
        let until = until.max(now.saturating_add(left).ok()?);
        (until > now).then_some(until)
    }

    /// The hour of a restored ledger begins anew when its mailbox is no longer somebody else's.
    pub(in crate::controller::reconcile) fn begin_withheld_hour(&mut self) {
        let now = whole_seconds(self.context.clock.now());
        if self.ledger.spec().is_some_and(is_withheld)
            && let Some(draft) = self.ledger.draft_mut()
        {
            draft.taken_up_at = Some(now);
        }
    }

    /// Unless a read has shown that the mailbox is ours, it has not begun.
    pub(in crate::controller::reconcile) fn keep_withheld_hour(&mut self) {
        let spec = self.ledger.spec().filter(|spec| is_withheld(spec));
        let before = spec.map(|spec| spec.taken_up_at);
        if self.ledger.is_foreign != Some(false)
            && let (Some(before), Some(draft)) = (before, self.ledger.draft_mut())
        {
            draft.taken_up_at = before;
        }
    }

    /// The mailbox as it was read: by its GUID it is found again whatever happens to resources.
    pub(in crate::controller::reconcile) fn note_mailbox(&mut self, guid: MailboxGuid, observed: &Observed) {
        let Some(draft) = self.ledger.draft_mut() else {
            return;
        };
        let before = draft.mailbox.take().filter(|mailbox| mailbox.guid == guid);
        let known = before.and_then(|mailbox| mailbox.object_id);
        draft.mailbox = Some(LedgerMailbox {
            guid,
            object_id: observed.object_id.or(known),
            address: Some(observed.primary.clone()),
        });
        draft.gone_at = None;
    }

    fn resource_ref(&self) -> LedgerResource {
        LedgerResource {
            namespace: self.key.namespace.clone(),
            name: self.key.name.clone(),
            uid: self.object.uid().unwrap_or_default(),
        }
    }

    fn permissions_crd_uid(&self) -> Option<String> {
        self.context.state.permissions_crd_uid()
    }
}

/// Whether the ledger was restored once and its mailbox was somebody else's since. Whether its hour was over before that
/// nobody knows.
fn is_withheld(spec: &MailboxLedgerSpec) -> bool {
    spec.restored && spec.shown.state == ledger::FOREIGN_MARKER
}

/// Whether no resource had the mailbox for an hour after the ledger was restored: nobody could be told.
fn was_hardly_served(spec: &MailboxLedgerSpec) -> bool {
    let served = spec.released_at.zip(spec.taken_up_at);
    served.is_some_and(|(released, restored)| {
        Duration::try_from(released.duration_since(restored)).unwrap_or_default() < GRACE
    })
}
