//! Objects for which a namespace has no room: each says so in its own status, and is read once there is room again. A task
//! of its own does that, so that no watch waits for the API server.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use kube::api::PostParams;
use kube::{Api, ResourceExt};
use tokio::sync::mpsc::UnboundedReceiver;

use super::context::Context;
use super::events::Event;
use super::state::index::Index;
use super::state::key::{Changes, MAILBOX};
use super::state::read_mailbox::ReadMailbox;
use super::state::share::{Beyond, Limit, PERMISSIONS};
use crate::api::condition;
use crate::api::reason::Reason;
use crate::api::{MailboxPermission, SharedMailbox};

/// The next object waits meanwhile.
const TIMEOUT: Duration = Duration::from_secs(10);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(5);
const REASON: Reason = Reason::OverLimit;

/// Sees to each of these objects, for ever; after a failure again.
pub async fn report(context: Arc<Context>, mut found: UnboundedReceiver<Beyond>) {
    // What is read again may put others out.
    let mut next: VecDeque<Beyond> = VecDeque::new();
    loop {
        let object = match next.pop_front() {
            Some(object) => object,
            None => match found.recv().await {
                Some(object) => object,
                None => return,
            },
        };
        let Beyond {
            kind,
            namespace,
            name,
        } = &object;
        match tokio::time::timeout(TIMEOUT, see_to(&context, &object)).await {
            Ok(Ok(moved)) => next.extend(moved),
            // It is gone, or somebody else wrote: the watch shows it again.
            Ok(Err(kube::Error::Api(status))) if status.is_not_found() || status.is_conflict() => {}
            failed => {
                let why = match failed {
                    Ok(Err(error)) => error.to_string(),
                    Ok(Ok(_)) | Err(_) => "it took too long".to_owned(),
                };
                tracing::warn!(
                    why,
                    kind,
                    namespace,
                    name,
                    "an object over the limit could not be seen to; it is tried again"
                );
                next.push_back(object);
                context.clock.sleep(PAUSE).await;
            }
        }
    }
}

async fn see_to(context: &Context, beyond: &Beyond) -> Result<Vec<Beyond>, kube::Error> {
    let Beyond {
        kind,
        namespace,
        name,
    } = beyond;
    if *kind == MAILBOX {
        let api: Api<SharedMailbox> = Api::namespaced(context.client.clone(), namespace);
        let Some(object) = api.get_opt(name).await? else {
            return Ok(Vec::new());
        };
        let read = ReadMailbox::of(object);
        let now = context.clock.instant();
        return Ok(take_in(context, beyond, |index| index.apply_mailbox(read, now)));
    }
    let api: Api<MailboxPermission> = Api::namespaced(context.client.clone(), namespace);
    let Some(object) = api.get_opt(name).await? else {
        return Ok(Vec::new());
    };
    if context.state.index().room().is_beyond(kind, namespace, name) {
        report_beyond(context, &api, object).await?;
        return Ok(Vec::new());
    }
    let now = context.clock.now();
    Ok(take_in(context, beyond, |index| {
        index.apply_permission(object, now)
    }))
}

/// There is room for it again, unless the watch showed it meanwhile. Answers what else is to be seen to.
fn take_in(context: &Context, beyond: &Beyond, apply: impl FnOnce(&mut Index) -> Changes) -> Vec<Beyond> {
    let Beyond {
        kind,
        namespace,
        name,
    } = beyond;
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
