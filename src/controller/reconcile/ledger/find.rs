//! Which ledger is that of a mailbox. The index only says where to look: the object itself is read afresh, and that
//! there is none is believed of a list of the API server's only.

use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::{Api, ResourceExt};

use super::super::begin::Reconcile;
use super::super::outcome::Outcome;
use super::LedgerFile;
use super::merge::merged;
use crate::api::MailboxLedger;
use crate::api::condition::whole_seconds;
use crate::mail::MailboxGuid;

/// What was found.
#[derive(Default)]
struct Listed {
    readable: Vec<MailboxLedger>,
    /// Why one can't be read.
    unreadable: Option<String>,
}

impl Reconcile<'_> {
    /// Finds the ledger of the resource's name. One that another resource of this name began is taken up later, when the
    /// rules admit that.
    pub(in crate::controller::reconcile) async fn find_ledger(&mut self) -> Result<(), Outcome> {
        let known: Vec<String> = {
            let index = self.context.state.index();
            let known = index.ledgers().of(self.key);
            known.into_iter().map(|ledger| ledger.name.clone()).collect()
        };
        let mut found = Listed::default();
        for name in &known {
            let object = self
                .guarded_ledgers()
                .get_opt(name)
                .await
                .map_err(|error| Outcome::of_kube(&error))?;
            if let Some(DeserializeGuard(object)) = object {
                found.take(object);
            }
        }
        if found.readable.is_empty() && found.unreadable.is_none() {
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
            found.take(object.0);
        }
        Ok(found)
    }

    /// Several ledgers of one mailbox become one. Of several mailboxes the one counts that is not gone.
    async fn take_ledger(&mut self, found: Listed) -> Result<(), Outcome> {
        let Listed {
            mut readable,
            unreadable,
        } = found;
        let uid = self.object.uid();
        readable.sort_by_key(|ledger| {
            let spec = &ledger.spec;
            (
                spec.gone_at.is_some(),
                Some(&spec.resource_ref.uid) != uid.as_ref(),
                ledger.name_any(),
            )
        });
        let now = whole_seconds(self.context.clock.now());
        let mut rest = readable.into_iter();
        let Some(mut first) = rest.next() else {
            self.ledger.unreadable = unreadable;
            return Ok(());
        };
        for other in rest {
            let guid = |ledger: &MailboxLedger| ledger.spec.mailbox.as_ref().map(|mailbox| mailbox.guid);
            if guid(&first).is_some() && guid(&first) == guid(&other) {
                first = merged(&self.context.client, first, other, now)
                    .await
                    .map_err(|error| Outcome::of_kube(&error))?;
            }
        }
        self.ledger = LedgerFile {
            unreadable,
            ..LedgerFile::of(first)
        };
        Ok(())
    }
}

impl Listed {
    fn take(&mut self, object: Result<MailboxLedger, InvalidObject>) {
        match object {
            Err(invalid) => self.unreadable = Some(invalid.error),
            Ok(ledger) => match crate::ledger::read(&ledger.spec) {
                Ok(_) => self.readable.push(ledger),
                Err(error) => self.unreadable = Some(format!("{}: {error}", ledger.name_any())),
            },
        }
    }
}
