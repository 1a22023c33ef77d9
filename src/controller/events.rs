//! Events on resources: for people who run `kubectl describe`. Written on transitions only, so they need no
//! series; one that can't be written is logged and never fails a reconcile.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client, Resource, ResourceExt};

use crate::api::condition::cut;
use crate::clock::Clock;
use crate::exchange::trail;
use crate::rng::Rng;

/// The API server refuses longer notes.
const NOTE_LIMIT: usize = 1024;
const CONTROLLER: &str = "sharedmailbox.dev/operator";

#[derive(Clone)]
pub struct Events {
    client: Client,
    clock: Clock,
    rng: Rng,
    instance: String,
}

/// What happened to an object, as people read it.
pub struct Event<'a> {
    pub warning: bool,
    /// UpperCamelCase, like the reasons of conditions.
    pub reason: &'a str,
    /// What the operator was doing.
    pub action: &'a str,
    pub note: &'a str,
}

/// A warning's note also names the request that failed last in this reconcile. A condition never does: it would be
/// rewritten with each try.
fn traced(warning: bool, note: &str) -> String {
    match trail::last_failed_request().filter(|_| warning) {
        Some(id) => format!("{} (request {id})", cut(note, NOTE_LIMIT - 100)),
        None => note.to_owned(),
    }
}

impl Events {
    pub fn new(client: Client, clock: Clock, rng: Rng) -> Self {
        Self {
            client,
            clock,
            instance: format!("shared-mailbox-operator-{}", rng.uuid().simple()),
            rng,
        }
    }

    pub async fn publish<K>(&self, object: &K, event: Event<'_>)
    where
        K: Resource<DynamicType = ()>,
    {
        let Event {
            warning,
            reason,
            action,
            note,
        } = event;
        let regarding: ObjectReference = object.object_ref(&());
        // Events of cluster-scoped objects live in the namespace `default`.
        let namespace = object.namespace().unwrap_or_else(|| "default".to_owned());
        let event = v1::Event {
            metadata: ObjectMeta {
                name: Some(format!(
                    "{}.{}",
                    cut(&object.name_any(), 200),
                    self.rng.uuid().simple()
                )),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            action: Some(cut(action, 128)),
            reason: Some(cut(reason, 128)),
            note: Some(cut(&traced(warning, note), NOTE_LIMIT)),
            type_: Some(if warning { "Warning" } else { "Normal" }.to_owned()),
            event_time: Some(MicroTime(self.clock.now())),
            regarding: Some(regarding),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..v1::Event::default()
        };
        let api: Api<v1::Event> = Api::namespaced(self.client.clone(), &namespace);
        if let Err(error) = api.create(&PostParams::default(), &event).await {
            tracing::warn!(%error, reason, "an event could not be written");
        }
    }
}
