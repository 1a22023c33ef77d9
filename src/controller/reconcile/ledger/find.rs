//! Which ledger is that of a mailbox. The index only says where to look: the object itself is read afresh, and that
//! there is none is believed of a list of the API server's only.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::{Api, ResourceExt};

use super::super::outcome::Outcome;
use super::super::task::Reconcile;
use super::merge::{merged, rewritten};
use super::{AFTER, LedgerFile, Unusable};
use crate::api::condition::whole_seconds;
use crate::api::{MailboxLedger, MailboxLedgerSpec};
use crate::controller::state::key;
use crate::controller::state::tenants::{Tenant, TenantState};
use crate::ledger;
use crate::mail::{ClusterId, MailboxGuid};

/// What was found.
#[derive(Default)]
struct Listed {
    readable: Vec<MailboxLedger>,
    unusable: Option<Unusable>,
}

impl Reconcile<'_> {
    /// Finds the ledger of the resource's name. One that another resource of this name began is taken up later, when the
    /// rules admit that.
    pub(in crate::controller::reconcile) async fn find_ledger(&mut self) -> Result<(), Outcome> {
        let known: Vec<String> = {
            let index = self.context.state.index();
            let known = index.ledgers().of(self.key);
            known.into_iter().map(|ledger| ledger.name().to_owned()).collect()
        };
        let mut found = Listed::default();
        for name in &known {
            let object = self
                .guarded_ledgers()
                .get_opt(name)
                .await
                .map_err(|error| Outcome::of_kube(&error))?;
            // The index may be late: the name may be that of another resource's ledger by now.
            if let Some(DeserializeGuard(object)) = object
                && object
                    .as_ref()
                    .map_or(true, |object| self.is_of_this_name(&object.spec))
            {
                found.take(object, |spec| self.is_of_this_cluster(spec));
            }
        }
        if found.readable.is_empty() && found.unusable.is_none() {
            let (namespace, name) = (&self.key.namespace, &self.key.name);
            let fields = format!("spec.resourceRef.namespace={namespace},spec.resourceRef.name={name}");
            found = self.list(&fields).await?;
        }
        self.take_ledger(found).await
    }

    /// The ledger of a mailbox that was found by its marker and of which this resource knew nothing.
    pub(in crate::controller::reconcile) async fn find_ledger_of(
        &mut self,
        guid: MailboxGuid,
    ) -> Result<(), Outcome> {
        let mut found = self.list(&format!("spec.mailbox.guid={guid}")).await?;
        // What a living resource has is its own.
        found
            .readable
            .retain(|ledger| !self.is_alive(&ledger.spec.resource_ref.uid));
        self.take_ledger(found).await
    }

    /// Whether any ledger remembers the mailbox, of whichever resource. Asked only where this resource has none of its own.
    pub(in crate::controller::reconcile) async fn is_remembered_elsewhere(
        &self,
        guid: MailboxGuid,
    ) -> Result<bool, Outcome> {
        let Listed { readable, unusable } = self.list(&format!("spec.mailbox.guid={guid}")).await?;
        Ok(!readable.is_empty() || unusable.is_some())
    }

    fn is_of_this_name(&self, spec: &MailboxLedgerSpec) -> bool {
        spec.resource_ref.namespace == self.key.namespace && spec.resource_ref.name == self.key.name
    }

    /// What another cluster remembers is nothing to act upon: copied ledgers own as little as copied manifests.
    fn is_of_this_cluster(&self, spec: &MailboxLedgerSpec) -> bool {
        let Ok(cluster) = spec.cluster.parse::<ClusterId>() else {
            return false;
        };
        let succeeded = |tenant: &Tenant| tenant.succeeds.contains(&cluster);
        cluster.uid_part == self.context.cluster_uid
            || matches!(
                self.context.state.tenants.get(&spec.tenant.name),
                Some(TenantState::Ready(tenant)) if succeeded(&tenant)
            )
    }

    /// One that can't be decoded stands in nobody else's way.
    fn guarded_ledgers(&self) -> Api<DeserializeGuard<MailboxLedger>> {
        Api::all(self.context.client.clone())
    }

    async fn list(&self, fields: &str) -> Result<Listed, Outcome> {
        let params = ListParams::default().fields(fields);
        let list = self
            .guarded_ledgers()
            .list(&params)
            .await
            .map_err(|error| Outcome::of_kube(&error))?;
        let mut found = Listed::default();
        for object in list.items {
            found.take(object.0, |spec| self.is_of_this_cluster(spec));
        }
        Ok(found)
    }

    /// Times that lie ahead are put right before anything follows from them, and in the object.
    async fn healed(&self, mut found: MailboxLedger, now: Timestamp) -> Result<MailboxLedger, Outcome> {
        let before = found.clone();
        if !ledger::heal(&mut found.spec, now) {
            return Ok(found);
        }
        tracing::warn!(
            ledger = before.name_any(),
            "a ledger has times that lie ahead: a clock was wrong when they were written, or is wrong now"
        );
        let written = rewritten(&self.context.client, before, found.spec).await;
        written.map_err(|error| Outcome::of_kube(&error))
    }

    /// Several ledgers of one mailbox become one. Of several mailboxes the one counts in whose place no other was created, and
    /// that is not gone; the others have no resource.
    async fn take_ledger(&mut self, found: Listed) -> Result<(), Outcome> {
        let Listed {
            readable: listed,
            unusable,
        } = found;
        if let Some(Unusable::Unreadable { metadata, .. }) = &unusable {
            // What is enough to find it can be read all the same, and was: that is not all that it holds.
            let name = metadata.name.as_deref().unwrap_or_default();
            self.context.state.index().mark_unreadable(key::LEDGER, "", name);
        }
        let now = whole_seconds(self.context.clock.now());
        let mut readable = Vec::with_capacity(listed.len());
        for ledger in listed {
            readable.push(Box::pin(self.healed(ledger, now)).await?);
        }
        let uid = self.object.uid();
        let guid = |ledger: &MailboxLedger| ledger.spec.mailbox.as_ref().map(|mailbox| mailbox.guid);
        let replaced: BTreeSet<MailboxGuid> = readable.iter().filter_map(replaced_by).collect();
        let is_replaced = |ledger: &MailboxLedger| guid(ledger).is_some_and(|guid| replaced.contains(&guid));
        let is_anothers = |ledger: &MailboxLedger| Some(&ledger.spec.resource_ref.uid) != uid.as_ref();
        readable.sort_by_key(|ledger| {
            let spec = &ledger.spec;
            (
                is_replaced(ledger),
                spec.gone_at.is_some(),
                is_anothers(ledger),
                (spec.released_at.is_some(), Reverse(spec.released_at)),
                ledger.name_any(),
            )
        });
        let mut rest = readable.into_iter();
        let Some(mut first) = rest.next() else {
            self.ledger.unusable = unusable;
            return Ok(());
        };
        let mut left_behind = Vec::new();
        for other in rest {
            if guid(&other).is_some() && guid(&first) != guid(&other) {
                if is_replaced(&other) || other.spec.gone_at.is_some() || is_anothers(&other) {
                    left_behind.push(other);
                }
            } else if guid(&first).is_some() && guid(&first) == guid(&other) {
                let merged = Box::pin(merged(&self.context.client, first, other, now)).await;
                first = merged.map_err(|error| Outcome::of_kube(&error))?;
            }
        }
        self.ledger = LedgerFile {
            // Beside our own, another cluster's is of no interest.
            unusable: unusable.filter(|unusable| matches!(unusable, Unusable::Unreadable { .. })),
            left_behind,
            ..LedgerFile::of(first)
        };
        Ok(())
    }
}

/// The mailbox in whose place that of this ledger was created.
fn replaced_by(ledger: &MailboxLedger) -> Option<MailboxGuid> {
    ledger.name_any().strip_prefix(AFTER)?.parse().ok()
}

impl Listed {
    fn take(
        &mut self,
        object: Result<MailboxLedger, InvalidObject>,
        is_of_this_cluster: impl Fn(&MailboxLedgerSpec) -> bool,
    ) {
        let object = match object {
            Ok(object) => object,
            Err(invalid) => {
                self.unusable = Some(Unusable::Unreadable {
                    metadata: Box::new(invalid.metadata),
                    why: invalid.error,
                });
                return;
            }
        };
        let name = object.name_any();
        if let Err(error) = ledger::read(&object.spec) {
            let (metadata, why) = (Box::new(object.metadata), error.to_string());
            self.unusable = Some(Unusable::Unreadable { metadata, why });
        } else if is_of_this_cluster(&object.spec) {
            self.readable.push(object);
        } else if self.unusable.is_none() {
            let cluster = object.spec.cluster;
            self.unusable = Some(Unusable::OfAnotherCluster { name, cluster });
        }
    }
}
