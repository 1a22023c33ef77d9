//! Statuses of MailboxPermissions, and permissions that name no mailbox.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::PostParams;
use kube::{Api, ResourceExt};

use super::report;
use crate::api::condition::{self, Kind};
use crate::api::reason::{Reason, RefusalReason};
use crate::api::{MailboxPermission, MailboxPermissionStatus, MemberStatus};
use crate::controller::context::Context;
use crate::controller::events::Event;
use crate::controller::state::key::{self, MailboxKey};

/// How long a permission waits for its mailbox before it counts as stalled.
const PATIENCE: Duration = Duration::from_mins(10);

/// Writes the status when it differs. `has_event`: an event says already what was granted. False when the index showed
/// an old version: try again.
pub async fn write(
    context: &Context,
    object: &Arc<MailboxPermission>,
    status: MailboxPermissionStatus,
    has_event: bool,
) -> bool {
    if object.status.as_ref() == Some(&status) {
        return true;
    }
    let refusals = new_refusals(object.status.as_ref(), &status);
    let mut next = MailboxPermission::clone(object);
    let conditions = status.conditions.clone();
    next.status = Some(status);
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<MailboxPermission> = Api::namespaced(context.client.clone(), &namespace);
    match api
        .replace_status(&object.name_any(), &PostParams::default(), &next)
        .await
    {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.is_not_found() => return true,
        Err(kube::Error::Api(status)) if status.is_conflict() => return false,
        Err(error) => {
            tracing::warn!(%error, permission = %object.name_any(), "a status could not be written");
            return false;
        }
    }
    context.metrics.refused(key::PERMISSION, refusals);
    let before = object
        .status
        .as_ref()
        .map_or(&[][..], |status| &status.conditions);
    for kind in [Kind::ExpiresSoon, Kind::Ready] {
        let is_ready = condition::find(&conditions, Kind::Ready).is_some_and(|ready| ready.status == "True");
        if kind == Kind::Ready && has_event && is_ready {
            continue;
        }
        publish_change(context, object, kind, before, &conditions).await;
    }
    true
}

/// An event when a condition turned.
async fn publish_change(
    context: &Context,
    object: &Arc<MailboxPermission>,
    kind: Kind,
    before: &[Condition],
    now: &[Condition],
) {
    let Some(now) = condition::find(now, kind) else {
        return;
    };
    let old = condition::find(before, kind);
    if old.is_some_and(|old| old.reason == now.reason && old.status == now.status) {
        return;
    }
    // The other kind is an advisory, and named as such.
    let (reason, warning) = if kind == Kind::Ready {
        (now.reason.as_str(), Reason::of(now).is_some_and(lacks_members))
    } else {
        (kind.as_str(), true)
    };
    let event = Event {
        warning,
        reason,
        action: "Reconcile",
        note: &now.message,
    };
    context.events.publish(object.as_ref(), event).await;
}

/// Whether somebody has to see to the members, or to the mailbox that is missing.
fn lacks_members(reason: Reason) -> bool {
    [
        Reason::PartiallyGranted,
        Reason::MembersRefused,
        Reason::MailboxNotFound,
    ]
    .contains(&reason)
}

/// Members whom the access rules refuse now and did not refuse before.
fn new_refusals(old: Option<&MailboxPermissionStatus>, new: &MailboxPermissionStatus) -> usize {
    fn refused(status: &MailboxPermissionStatus) -> BTreeSet<&str> {
        let denied = |member: &&MemberStatus| {
            let message = member.message.as_deref();
            message.and_then(RefusalReason::of_message) == Some(RefusalReason::AccessDenied)
        };
        let members = status.members.iter().filter(denied);
        members.map(|member| member.address.as_str()).collect()
    }
    let before = old.map(refused).unwrap_or_default();
    refused(new).difference(&before).count()
}

/// Reports to the permissions of a mailbox that it does not exist; answers when to recheck.
pub async fn report_missing_mailbox(context: &Context, key: &MailboxKey) -> Option<Duration> {
    let permissions = context.state.index().permissions_of(key);
    let now = context.clock.now();
    let mut again: Option<Duration> = None;
    for object in &permissions {
        let waited = waited(object).map_or(Duration::ZERO, |since| context.clock.since(since));
        let stalled = waited >= PATIENCE;
        let status = report::permission_of_missing_mailbox(object, stalled, now);
        let written = write(context, object, status, false).await;
        let next = if written {
            PATIENCE.saturating_sub(waited)
        } else {
            Duration::from_secs(1)
        };
        if !(written && stalled) {
            again = Some(again.map_or(next, |other| other.min(next)));
        }
    }
    again
}

/// Since when the permission has been without its mailbox.
fn waited(object: &MailboxPermission) -> Option<jiff::Timestamp> {
    let ready = condition::find(&object.status.as_ref()?.conditions, Kind::Ready)?;
    (Reason::of(ready) == Some(Reason::MailboxNotFound)).then_some(ready.last_transition_time.0)
}
