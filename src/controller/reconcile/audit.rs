//! The audit log: one record for each write to Exchange or the directory, with who asked for it.

use kube::ResourceExt;

use super::execution::Execution;
use super::report::Names;
use super::task::Reconcile;
use super::validate::Judged;
use crate::ledger::{Ledger, RecordedGrant};
use crate::mail::{ObjectId, Right};
use crate::plan::{Account, Change, ChangeKind, Desired, Observed, Plan};
use crate::setting::Value;

/// The target of the log records, to be filtered by.
const TARGET: &str = "audit";

/// Writes one record for each change that Exchange acknowledged.
pub fn log(
    reconcile: &Reconcile<'_>,
    judged: &Judged,
    planned: &Plan,
    observed: &Observed,
    execution: &Execution,
) {
    if execution.writes.is_empty() {
        return;
    }
    let (desired, ledger) = (&judged.desired, &judged.prepared.ledger);
    let names = Names::with_foreign(desired, observed, ledger);
    for write in &execution.writes {
        let request_id = write.request_id.as_deref().unwrap_or_default();
        for change in &write.changes {
            let asked_by = asked_by(reconcile, desired, ledger, change);
            let cause = planned
                .causes
                .get(change)
                .map_or(plain_cause(desired, change), |cause| cause.as_str());
            let (before, after) = before_and_after(change, planned, observed);
            tracing::info!(
                target: TARGET,
                mailbox = %desired.address,
                mailbox_guid = %observed.guid,
                change = names.in_change(change),
                trustee = trustee(change),
                before,
                after,
                cause,
                asked_by,
                reason = reasons(reconcile, desired, change),
                request_id,
                "changed"
            );
        }
    }
}

/// Who gets or loses something, by what never changes: their object id, or the SID of the row.
fn trustee(change: &Change) -> Option<String> {
    let removed = change.removed().map(|(holder, _)| holder.to_string());
    removed.or_else(|| change.delegate().map(ToString::to_string))
}

/// Why a change is made that takes nobody's access away.
fn plain_cause(desired: &Desired, change: &Change) -> &'static str {
    let is_withdrawn = change
        .setting()
        .is_some_and(|family| !desired.settings.contains_key(family));
    if is_withdrawn {
        "no longer declared"
    } else {
        "declared"
    }
}

/// The resources, with their generations, from which a change follows.
fn asked_by(reconcile: &Reconcile<'_>, desired: &Desired, ledger: &Ledger, change: &Change) -> String {
    let namespace = &reconcile.key.namespace;
    let permission = |name: &String| {
        let object = reconcile
            .permissions
            .iter()
            .find(|permission| permission.name_any() == *name);
        let generation = object.and_then(|object| object.metadata.generation);
        match generation {
            Some(generation) => format!("MailboxPermission {namespace}/{name} generation {generation}"),
            None => format!("MailboxPermission {namespace}/{name} (gone)"),
        }
    };
    let by = permissions_behind(desired, ledger, change);
    if by.is_empty() {
        let generation = reconcile.object.metadata.generation.unwrap_or_default();
        return format!("SharedMailbox {} generation {generation}", reconcile.key);
    }
    by.iter().map(permission).collect::<Vec<_>>().join(", ")
}

/// The MailboxPermissions, by name, that declare a grant or did.
fn permissions_behind(desired: &Desired, ledger: &Ledger, change: &Change) -> Vec<String> {
    let declared = |id: &ObjectId, right: Right| {
        let wanted = desired.grants.get(&(*id, right));
        wanted.map(|wanted| wanted.by.iter().cloned().collect())
    };
    let recorded = |id: &ObjectId, right: Right| {
        let same = |grant: &&RecordedGrant| grant.object_id == *id && grant.right == right;
        ledger.grants.iter().find(same).map(|grant| grant.by.clone())
    };
    let found = match change.kind() {
        ChangeKind::Gives(id, right) => declared(id, right),
        ChangeKind::Remaps(id) => declared(id, Right::FullAccess),
        ChangeKind::TakesBack(id, right) => recorded(id, right),
        ChangeKind::Evicts(..) | ChangeKind::RemapsEverybody | ChangeKind::Sets(..) | ChangeKind::Other => {
            None
        }
    };
    found.unwrap_or_default()
}

/// `spec.reason` of the permissions behind a grant.
fn reasons(reconcile: &Reconcile<'_>, desired: &Desired, change: &Change) -> String {
    let behind = permissions_behind(desired, &Ledger::default(), change);
    let objects = reconcile
        .permissions
        .iter()
        .filter(|object| behind.contains(&object.name_any()));
    let reasons: Vec<&str> = objects
        .filter_map(|object| object.spec.reason.as_deref())
        .collect();
    reasons.join("; ")
}

fn before_and_after(change: &Change, planned: &Plan, observed: &Observed) -> (String, String) {
    let text = |before: &str, after: &str| (before.to_owned(), after.to_owned());
    match change {
        Change::Granted(..) => text("absent", "granted"),
        Change::Revoked(..) | Change::Evicted(..) => text("granted", "absent"),
        Change::Remapped(_, on) => (format!("automapping {}", !on), format!("automapping {on}")),
        Change::AutoMappingCleared => text("automapping true or unknown", "automapping false"),
        Change::SignIn { allowed, through: _ } => {
            let before = match observed.account {
                Account::Open => "allowed",
                Account::Blocked => "blocked",
                Account::NotShown | Account::Denied(_) | Account::Unread(_) => "unknown",
            };
            text(before, if *allowed { "allowed" } else { "blocked" })
        }
        Change::SignedOut => text("perhaps signed in", "signed out"),
        Change::Marker { .. } => text(&observed.attribute, "our marker"),
        Change::Set { property, to, .. } => {
            let words = |value: &Value| property.kind.words(value);
            let before = planned.before.get(change);
            (before.map(words).unwrap_or_default(), words(to))
        }
        Change::Primary(address) => text(observed.primary.as_str(), address.as_str()),
        Change::AddressAdded(address) => text("", address.as_str()),
        Change::AddressRemoved(address) => text(address.as_str(), ""),
    }
}
