//! Everything that needs no look at Exchange: the tenant, the mode, the record, the manifests as written.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::ResourceExt;

use super::outcome::{Outcome, Stall};
use super::pass::{Ground, Pass};
use super::validate::{self, Admitted, Refused, Surroundings};
use crate::api::{Management, Record, SharedMailbox};
use crate::controller::state::index::claims_of;
use crate::controller::state::tenants::{Tenant, TenantState};
use crate::mail::{MarkerOwner, SmtpAddress};

impl Pass<'_> {
    /// Everything that needs no look at Exchange: the tenant, the mode, the record, the manifests as written.
    pub(super) fn prepare(&self) -> Result<Ground, Outcome> {
        let spec = &self.object.spec;
        if spec.management == Management::Paused {
            return Err(Outcome::Paused("spec.management"));
        }
        let tenant = self.tenant()?;
        let management = spec.management.min(tenant.management);
        if management == Management::Paused {
            return Err(Outcome::Paused("the ExchangeTenant's spec.management"));
        }
        let status = self.object.status.clone().unwrap_or_default();
        let pinned = status
            .tenant_guid
            .filter(|pinned| *pinned != tenant.guid.to_string());
        if let Some(pinned) = pinned {
            return Err(Outcome::Stalled(Stall::TenantChanged(format!(
                "the mailbox was made in tenant {pinned} and the ExchangeTenant {:?} now leads to {}: nothing is read \
                 as absence and nothing is written; point it back, or delete and apply this resource",
                spec.tenant_ref.name, tenant.guid
            ))));
        }
        let record = match &status.record {
            Some(raw) => raw
                .read()
                .map_err(|error| Outcome::Stalled(Stall::RecordUnreadable(error.to_string())))?,
            None => Record::default(),
        };
        let owner = MarkerOwner {
            cluster: tenant.cluster.clone(),
            namespace: self.key.namespace.clone(),
            name: self.key.name.clone(),
            uid: self.object.uid().unwrap_or_default(),
        };
        let writes = management == Management::Enforce;
        let (admitted, refusal) = match self.admit(&tenant) {
            Ok(admitted) => (admitted, None),
            Err(Refused { stall, declared }) => {
                // Only a mailbox that was made, and marked, has something that could be taken away.
                let made = self.known_mailbox(&record).is_some() && record.intent.is_none();
                match declared.filter(|_| made && writes) {
                    Some(declared) => (*declared, Some(stall)),
                    None => return Err(Outcome::Stalled(stall)),
                }
            }
        };
        Ok(Ground {
            tenant,
            writes,
            record,
            owner,
            admitted,
            refusal,
        })
    }

    fn tenant(&self) -> Result<Arc<Tenant>, Outcome> {
        let name = &self.object.spec.tenant_ref.name;
        match self.context.state.tenants.get(name) {
            // Whoever has left, or what no rule admits any more, is granted nothing by what was checked before.
            Some(TenantState::Ready(tenant)) if self.has_changed(&tenant) => Err(Outcome::TenantPending),
            Some(TenantState::Ready(tenant)) => Ok(tenant),
            // What was reported for this very spec stays: an outage of the tenant is the tenant's to tell.
            Some(TenantState::NotReady { .. }) if self.is_reported() => Err(Outcome::TenantPending),
            Some(TenantState::NotReady { why, .. }) => Err(Outcome::Stalled(Stall::TenantNotReady(format!(
                "the ExchangeTenant {name:?} is not ready: {why}"
            )))),
            None if self.context.state.index().has_tenant(name) => Err(Outcome::TenantPending),
            None => Err(Outcome::Stalled(Stall::TenantNotFound(format!(
                "spec.tenantRef.name: there is no ExchangeTenant {name:?}; the platform team has to make it"
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

    /// True when the status already speaks of this generation and the mailbox was there.
    fn is_reported(&self) -> bool {
        self.object.status.as_ref().is_some_and(|status| {
            status.observed_generation == self.object.metadata.generation && status.mailbox_guid.is_some()
        })
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
