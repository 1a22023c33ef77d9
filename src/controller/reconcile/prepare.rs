//! Everything that is known before Exchange is asked: the tenant, the mode, what is remembered, the manifests as written.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::ResourceExt;

use super::begin::Reconcile;
use super::outcome::{Outcome, Stall};
use super::prepared::{Prepared, Remembered};
use super::validate::{self, Admitted, Refused, Surroundings};
use crate::api::condition::whole_seconds;
use crate::api::{Management, Record, SharedMailbox, last_reconcile_request};
use crate::controller::state::index::claims_of;
use crate::controller::state::tenants::{Tenant, TenantState};
use crate::mail::{MarkerOwner, SmtpAddress};
use crate::plan::Purpose;

impl Reconcile<'_> {
    pub(super) fn prepare(&mut self) -> Result<Prepared, Outcome> {
        if self.is_being_deleted() {
            return self.prepare_release();
        }
        let (prepared, refusal) = self.prepare_to_keep()?;
        match refusal {
            None => Ok(prepared),
            // Only a mailbox that was created, and marked, has something that could be taken away.
            Some(stall) if self.known_mailbox(&prepared.record).is_none() => Err(Outcome::Stalled(stall)),
            Some(stall) if prepared.record.intent.is_some() || !prepared.writes => {
                Err(Outcome::Stalled(stall))
            }
            Some(stall) => {
                self.refusal = Some(stall);
                Ok(Prepared {
                    purpose: Purpose::OnlyRemove,
                    ..prepared
                })
            }
        }
    }

    /// With why the manifest is refused, if it is.
    pub(super) fn prepare_to_keep(&self) -> Result<(Prepared, Option<Stall>), Outcome> {
        let spec = &self.object.spec;
        if spec.management == Management::Paused {
            return Err(Outcome::Paused("spec.management"));
        }
        let tenant = self.tenant()?;
        let management = spec.management.min(tenant.management);
        if management == Management::Paused {
            return Err(Outcome::Paused("the ExchangeTenant's spec.management"));
        }
        self.check_tenant(&tenant)?;
        let record = self.read_record()?;
        let (admitted, refusal) = match self.admit(&tenant) {
            Ok(admitted) => (admitted, None),
            Err(Refused {
                stall,
                declared: Some(declared),
            }) => (*declared, Some(stall)),
            Err(Refused {
                stall,
                declared: None,
            }) => return Err(Outcome::Stalled(stall)),
        };
        let owner = MarkerOwner {
            cluster: tenant.cluster.clone(),
            namespace: self.key.namespace.clone(),
            name: self.key.name.clone(),
            uid: self.object.uid().unwrap_or_default(),
        };
        let state = &self.context.state;
        let prepared = Prepared {
            tenant,
            purpose: Purpose::Keep,
            writes: management == Management::Enforce,
            record,
            owner,
            admitted,
            remembered: self.remembered(),
            remove_orphans: self.wants_orphans_removed(),
            has_unreadable_permissions: state.index().has_unreadable_permissions(&self.key.namespace),
            now: whole_seconds(self.context.clock.now()),
        };
        Ok((prepared, refusal))
    }

    fn remembered(&self) -> Remembered {
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
                earlier: memory.settings.earlier(now),
            }
        })
    }

    fn read_record(&self) -> Result<Record, Outcome> {
        let status = self.object.status.as_ref();
        match status.and_then(|status| status.record.as_ref()) {
            Some(raw) => raw
                .read()
                .map_err(|error| Outcome::Stalled(Stall::RecordUnreadable(error.to_string()))),
            None => Ok(Record::default()),
        }
    }

    fn check_tenant(&self, tenant: &Tenant) -> Result<(), Outcome> {
        let status = self.object.status.as_ref();
        let pinned = status.and_then(|status| status.tenant_guid.as_ref());
        match pinned.filter(|pinned| **pinned != tenant.guid.to_string()) {
            None => Ok(()),
            Some(pinned) => Err(Outcome::Stalled(Stall::TenantChanged(format!(
                "the mailbox was created in tenant {pinned} and the ExchangeTenant {:?} now leads to {}: nothing is \
                 read as absence and nothing is written; point it back, or delete and apply this resource",
                self.object.spec.tenant_ref.name, tenant.guid
            )))),
        }
    }

    fn tenant(&self) -> Result<Arc<Tenant>, Outcome> {
        let name = &self.object.spec.tenant_ref.name;
        match self.context.state.tenants.get(name) {
            // Whoever has left, or what no rule admits any more, is granted nothing by what was checked before.
            Some(TenantState::Ready(tenant)) if self.has_changed(&tenant) => Err(Outcome::TenantPending),
            Some(TenantState::Ready(tenant)) => Ok(tenant),
            // What was reported for this very spec stays: an outage of the tenant is the tenant's to report.
            Some(TenantState::NotReady { .. }) if self.is_reported() => Err(Outcome::TenantPending),
            Some(TenantState::NotReady { why, .. }) => Err(Outcome::Stalled(Stall::TenantNotReady(format!(
                "the ExchangeTenant {name:?} is not ready: {why}"
            )))),
            None if self.context.state.index().has_tenant(name) => Err(Outcome::TenantPending),
            None => Err(Outcome::Stalled(Stall::TenantNotFound(format!(
                "spec.tenantRef.name: there is no ExchangeTenant {name:?}; the platform team has to create it"
            )))),
        }
    }

    /// Whether the ExchangeTenant was edited since it was checked.
    fn has_changed(&self, checked: &Tenant) -> bool {
        let newest = self
            .context
            .state
            .index()
            .tenant(&self.object.spec.tenant_ref.name);
        newest.is_some_and(|newest| newest.metadata.generation > checked.generation)
    }

    fn admit(&self, tenant: &Tenant) -> Result<Admitted, Refused> {
        let index = self.context.state.index();
        let addresses = claims_of(&self.object);
        let has_mailbox = |mailbox: &SharedMailbox| {
            let status = mailbox.status.as_ref();
            status.is_some_and(|status| status.mailbox_guid.is_some())
        };
        let provisioned = has_mailbox(&self.object);
        let earlier: Vec<BTreeSet<SmtpAddress>> = index
            .mailboxes_in(&self.key.namespace)
            .iter()
            .filter(|other| !provisioned && other.uid() != self.object.uid())
            .filter(|other| has_mailbox(other) || validate::is_older(other, &self.object))
            .map(|other| claims_of(other))
            .collect();
        let around = Surroundings {
            rules: &tenant.rules,
            namespace: &self.key.namespace,
            earlier,
            rivals: validate::rivals(&index, &tenant.rules, &self.object, &addresses),
            accepted_domains: &tenant.accepted_domains,
            departed: &tenant.departed.addresses,
            now: self.context.clock.now(),
        };
        drop(index);
        validate::admit(&self.object, &self.permissions, &around)
    }
}
