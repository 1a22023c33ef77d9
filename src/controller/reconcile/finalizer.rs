//! Our finalizer on a SharedMailbox: there while its deletion policy asks for something to be done before it goes.
//!
//! It is patched with nothing but the uid, and the place in the list, as preconditions: others may edit the object all the
//! time, and their finalizers stay. A patch that fails stops nothing: it is tried again.

use std::time::Duration;

use http::Request;
use kube::core::ObjectMeta;
use serde_json::{Value, json};

use super::outcome::{Later, Outcome};
use super::requeue::Completed;
use super::resource::is_let_go;
use super::task::Reconcile;
use crate::api::{FINALIZER, LET_GO, SharedMailbox};
use crate::lane::Lane;

/// A patch that failed is tried again after so long.
const AGAIN: Duration = Duration::from_secs(15);

impl Reconcile<'_> {
    /// Has the finalizer on the resource, or not, as its policy needs it. What fails is owed, and stops nothing.
    pub(super) async fn keep_finalizer(&mut self) {
        let metadata = &self.object.metadata;
        let wanted = self.object.spec.deletion_policy.holds_the_resource();
        let operations = match (place(metadata), wanted) {
            (None, true) => added(metadata),
            (Some(place), false) => removed(metadata, place),
            (None, false) | (Some(_), true) => return,
        };
        match self.patch(&operations).await {
            Ok(next) => {
                self.object.metadata.resource_version = next.resource_version;
                self.object.metadata.finalizers = next.finalizers;
            }
            Err(error) => {
                tracing::warn!(%error, "the finalizer of a SharedMailbox could not be written; it is tried again");
                self.is_finalizer_owed = true;
            }
        }
    }

    /// Takes the finalizer away: Kubernetes lets the resource go, unless somebody else holds it.
    pub(super) async fn take_finalizer_away(&self, metadata: &ObjectMeta) -> Result<(), Outcome> {
        let Some(place) = place(metadata) else {
            return Ok(());
        };
        match self.patch(&removed(metadata, place)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            // Another finalizer came or went, and ours is in another place.
            Err(kube::Error::Api(status)) if status.code == 422 => Err(Outcome::Conflict),
            Err(error) => Err(Outcome::of_kube(&error)),
        }
    }

    /// The resource is being deleted, and its policy is Retain by now, or somebody lets it go who may: nothing is done.
    pub(super) async fn let_go_at_once(&mut self, metadata: &ObjectMeta) {
        if let Err(outcome) = self.take_finalizer_away(metadata).await {
            self.owes_a_finalizer(&outcome);
            return;
        }
        self.object.metadata = ObjectMeta {
            finalizers: None,
            ..metadata.clone()
        };
        let by = if is_let_go(metadata) {
            format!("the annotation {LET_GO} says so")
        } else {
            "its deletionPolicy is Retain".to_owned()
        };
        let note = format!("the SharedMailbox goes and its mailbox stays as it is: {by}");
        tracing::info!(target: "audit", reason = "LetGo", mailbox = %self.key, "{note}");
        self.publish(false, "LetGo", "Delete", &note).await;
    }

    /// The resource is to go at once, and the finalizer is still there.
    pub(super) fn owes_a_finalizer(&mut self, failed: &Outcome) {
        tracing::warn!(
            ?failed,
            "a SharedMailbox that is to go at once could not be let go; it is tried again"
        );
        self.is_finalizer_owed = true;
    }

    /// Nothing is known of the mailbox. Where the finalizer could not be written, that is tried again.
    pub(super) fn absent(&self, again: Option<Later>) -> Outcome {
        if self.is_finalizer_owed {
            Outcome::TooEarly(Later {
                after: AGAIN,
                lane: Lane::Edit,
            })
        } else {
            Outcome::Absent(again)
        }
    }

    /// Back soon where the finalizer could not be written.
    pub(super) fn with_finalizer_soon(&self, completed: Completed) -> Completed {
        if self.is_finalizer_owed {
            completed.sooner(AGAIN, Lane::Edit)
        } else {
            completed
        }
    }

    async fn patch(&self, operations: &Value) -> Result<ObjectMeta, kube::Error> {
        let url = <SharedMailbox as kube::Resource>::url_path(&(), Some(&self.key.namespace));
        let request = Request::patch(format!(
            "{url}/{}?fieldManager=shared-mailbox-operator",
            self.key.name
        ))
        .header(http::header::CONTENT_TYPE, "application/json-patch+json")
        .body(operations.to_string().into_bytes())
        .map_err(kube::Error::HttpError)?;
        let answer: kube::core::PartialObjectMeta<SharedMailbox> =
            self.context.client.request(request).await?;
        Ok(answer.metadata)
    }
}

/// Where in the list ours is.
fn place(metadata: &ObjectMeta) -> Option<usize> {
    let mut names = metadata.finalizers.iter().flatten();
    names.position(|name| name == FINALIZER)
}

fn of_this_object(metadata: &ObjectMeta) -> Value {
    json!({ "op": "test", "path": "/metadata/uid", "value": metadata.uid })
}

/// Behind those that are there. A list that is not there yet is made only of the object as it was read: somebody else may
/// have begun one.
fn added(metadata: &ObjectMeta) -> Value {
    if metadata.finalizers.iter().flatten().next().is_some() {
        return json!([
            of_this_object(metadata),
            { "op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER },
        ]);
    }
    json!([
        of_this_object(metadata),
        { "op": "test", "path": "/metadata/resourceVersion", "value": metadata.resource_version },
        { "op": "add", "path": "/metadata/finalizers", "value": [FINALIZER] },
    ])
}

fn removed(metadata: &ObjectMeta, place: usize) -> Value {
    let path = format!("/metadata/finalizers/{place}");
    json!([
        of_this_object(metadata),
        { "op": "test", "path": path, "value": FINALIZER },
        { "op": "remove", "path": path },
    ])
}
