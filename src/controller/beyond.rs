//! Objects for which a namespace has no room: each says so in its own status, and is read once there is room again. A task
//! of its own does that, so that no watch waits for the API server.

use std::sync::Arc;
use std::time::Duration;

use kube::api::PostParams;
use kube::{Api, ResourceExt};

use super::context::Context;
use super::events::Event;
use super::state::inbox::{Inbox, Object, Retries};
use super::state::index::Index;
use super::state::key::{Changes, MAILBOX};
use super::state::read_mailbox::{ReadMailbox, ReadPermission};
use super::state::share::{Limit, PERMISSIONS};
use crate::api::condition;
use crate::api::reason::Reason;
use crate::api::{MailboxPermission, SharedMailbox};

/// The next object waits meanwhile.
const TIMEOUT: Duration = Duration::from_secs(10);
const REASON: Reason = Reason::OverLimit;

/// Sees to each of these objects, for ever. One with which something fails is tried again later, and the others go on.
pub async fn report(context: Arc<Context>, inbox: Arc<Inbox<()>>) {
    let mut retries = Retries::default();
    loop {
        for due in retries.due(context.clock.instant()) {
            inbox.put(due, ());
        }
        let wait = retries.next();
        let wait = wait.map(|due| due.saturating_duration_since(context.clock.instant()));
        let next = tokio::select! {
            biased;
            (object, ()) = inbox.next() => Some(object),
            () = context.clock.sleep(wait.unwrap_or_default()), if wait.is_some() => None,
        };
        let Some(object) = next else { continue };
        match tokio::time::timeout(TIMEOUT, see_to(&context, &object)).await {
            // What is read again may put others out.
            Ok(Ok(moved)) => {
                retries.succeeded(&object);
                for other in moved {
                    inbox.put(other, ());
                }
            }
            Ok(Err(error)) if is_somebody_elses(&error) => retries.succeeded(&object),
            Ok(Err(error)) => again(&context, &mut retries, object, &error.to_string()),
            Err(_) => again(&context, &mut retries, object, "it took too long"),
        }
    }
}

/// It is gone, or somebody else wrote, and the watch shows it again; or nobody can decode it, which others see to.
fn is_somebody_elses(error: &kube::Error) -> bool {
    if let kube::Error::Api(status) = error {
        return status.is_not_found() || status.is_conflict();
    }
    matches!(error, kube::Error::SerdeError(_))
}

fn again(context: &Context, retries: &mut Retries, object: Object, why: &str) {
    let Object {
        kind,
        namespace,
        name,
    } = &object;
    tracing::warn!(
        why,
        kind,
        namespace,
        name,
        "an object over the limit could not be seen to; it is tried again"
    );
    retries.failed(object, context.clock.instant());
}

async fn see_to(context: &Context, object: &Object) -> Result<Vec<Object>, kube::Error> {
    let Object {
        kind,
        namespace,
        name,
    } = object;
    if *kind == MAILBOX {
        let api: Api<SharedMailbox> = Api::namespaced(context.client.clone(), namespace);
        let Some(found) = api.get_opt(name).await? else {
            return Ok(Vec::new());
        };
        let read = ReadMailbox::of(found);
        let now = context.clock.instant();
        return Ok(take_in(context, object, |index| index.apply_mailbox(read, now)));
    }
    let api: Api<MailboxPermission> = Api::namespaced(context.client.clone(), namespace);
    let Some(found) = api.get_opt(name).await? else {
        return Ok(Vec::new());
    };
    if context.state.index().room().is_beyond(kind, namespace, name) {
        report_beyond(context, &api, found).await?;
        return Ok(Vec::new());
    }
    let read = ReadPermission::from(found);
    let now = context.clock.now();
    Ok(take_in(context, object, |index| {
        index.apply_permission(read, now)
    }))
}

/// There is room for it again, unless the watch showed it meanwhile. Answers what else is to be seen to.
fn take_in(context: &Context, object: &Object, apply: impl FnOnce(&mut Index) -> Changes) -> Vec<Object> {
    let Object {
        kind,
        namespace,
        name,
    } = object;
    let (changes, moved) = {
        let mut index = context.state.index();
        if !index.room().is_to_be_read(kind, namespace, name) {
            return Vec::new();
        }
        (apply(&mut index), index.take_moved())
    };
    context.request(changes);
    moved
}

async fn report_beyond(
    context: &Context,
    api: &Api<MailboxPermission>,
    object: MailboxPermission,
) -> Result<(), kube::Error> {
    let Limit { objects, parts } = PERMISSIONS;
    let text = format!(
        "the namespace has more than {objects} MailboxPermissions, or more than {parts} members in them, and this is one of \
         the youngest: it is not read. Nobody is granted anything by it, and who holds a right on its mailbox keeps it, \
         apart from people who have left and rights that end. Delete others, name groups in place of people, or use \
         another namespace"
    );
    let generation = object.metadata.generation.unwrap_or_default();
    let before = object.status.clone().unwrap_or_default();
    let now = context.clock.now();
    let conditions = condition::of_unread(&before.conditions, REASON, &text, generation, now);
    if conditions == before.conditions {
        return Ok(());
    }
    let mut next = object;
    let status = next.status.get_or_insert_default();
    status.conditions = conditions;
    status.observed_generation = Some(generation);
    status.summary = Some(REASON.to_string());
    let name = next.name_any();
    let written = api.replace_status(&name, &PostParams::default(), &next).await?;
    let event = Event {
        warning: true,
        reason: REASON.as_str(),
        action: "Read",
        note: &text,
    };
    context.events.publish(&written, event).await;
    tracing::warn!(
        namespace = written.namespace(),
        name,
        "a namespace has more than it may"
    );
    Ok(())
}
