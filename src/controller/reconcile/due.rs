//! What will be taken away when an hour of grace is over is reported: once, and again when it is more. Whatever statuses say.

use std::collections::BTreeSet;

use kube::ResourceExt;

use super::applied::Snapshot;
use super::task::Reconcile;
use crate::api::condition::{self, Kind};
use crate::controller::events::Event;
use crate::plan::Change;
use crate::words::counted;

impl Reconcile<'_> {
    /// Rights that will be revoked.
    pub(super) async fn publish_revocation_due(&self, snapshot: Option<&Snapshot>) {
        let status = self.object.status.as_ref();
        let shown = status.and_then(|status| condition::find(&status.conditions, Kind::RevocationDue));
        if let (Some(shown), Some(snapshot)) = (shown, snapshot)
            && self.is_unreported(&snapshot.rest.due)
        {
            tracing::warn!(target: "audit", reason = "RevocationDue", mailbox = %self.key, "{}", shown.message);
            self.publish(true, "RevocationDue", "TakeUp", &shown.message)
                .await;
        }
    }

    /// The same of a mailbox without a resource, whose ledger was restored or edited. Only counts: events on ledgers name
    /// nobody.
    pub(super) async fn report_due_without_resource(&self) {
        let (Some(take_up), Some(ledger)) = (self.taken_up(), self.ledger.object()) else {
            return;
        };
        if !take_up.restored || self.ledger.is_foreign != Some(false) {
            return;
        }
        let remembered = self.remembered_without_resource();
        let ends = remembered.grants.iter().filter(|grant| {
            let is_over = grant.until.is_some_and(|until| until <= take_up.until);
            is_over || remembered.announces(&grant.right_of())
        });
        let due: BTreeSet<Change> = ends
            .map(|grant| Change::Revoked(grant.object_id, grant.right))
            .collect();
        if due.is_empty() || !self.is_unreported(&due) {
            return;
        }
        tracing::warn!(
            target: "audit",
            reason = "RevocationDue",
            namespace = self.key.namespace,
            resource = self.object.name_any(),
            rights = due.len(),
            until = %take_up.until,
            "the ledger of a mailbox without a resource was restored or edited, and rights that it lists are to be revoked"
        );
        let note = format!(
            "the ledger was restored or edited, and the SharedMailbox is gone: {} to be revoked after {:.0}, because the end \
             has come or the removal was announced before",
            counted(due.len(), "right is", "rights are"),
            take_up.until
        );
        let event = Event {
            warning: true,
            reason: "RevocationDue",
            action: "Release",
            note: &note,
        };
        self.context.events.publish(ledger, event).await;
    }

    /// Whether any of this was not reported yet since the hour began.
    fn is_unreported(&self, due: &BTreeSet<Change>) -> bool {
        let begun = self.ledger.draft().and_then(|draft| draft.taken_up_at);
        begun.is_some_and(|begun| {
            self.context
                .state
                .remember(self.key, |memory| memory.is_news(begun, due))
        })
    }
}
