//! A Kubernetes API server for tests, in process, behind kube's `Client`.
//!
//! It keeps what the operator relies on: resourceVersions and conflicts, generations, the status
//! subresource, finalizers, patches of all three kinds, watches with bookmarks, admission of our definitions'
//! schemas and CEL rules, namespaces that take their content along. The conformance suite beside it runs
//! against this double and against a real kube-apiserver, so that neither can drift unnoticed.
//!
//! A request passes through: `call` (what is asked) → `faults` (what goes wrong) → `read`, `watch`, `create`,
//! `update`, `patch`, `delete` (what happens) → `world` and `store` (what is) → `log`.
//!
//! Time is a start plus tokio's elapsed time, so days pass in seconds under a paused clock; uids and generated
//! names come from a counter, so that every run of a test sees the same ones.

mod admission;
mod built_in;
mod call;
mod create;
mod delete;
mod discovery;
mod errors;
mod faults;
mod fields;
mod kinds;
mod log;
mod managed;
mod meta;
mod namespaces;
mod patch;
mod read;
mod rules;
mod schema;
mod selector;
mod service;
mod store;
#[cfg(test)]
mod tests;
mod update;
mod validate;
mod watch;
mod world;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::client::Body as ClientBody;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::Service;

pub use axum::body::Body as AnswerBody;
pub use call::{Call, Verb};
pub use faults::{Disturbance, DisturbedAnswer, Staleness, on, on_status_writes, on_writes};
pub use log::Request;
pub use service::ApiService;

use faults::Faults;
use log::Log;
use store::Key;
use watch::Signal;
use world::World;

/// What all clones and all running watches of one server share.
pub struct Shared {
    world: Mutex<World>,
    faults: Mutex<Faults>,
    log: Mutex<Log>,
    signal: Signal,
    clock_start: Timestamp,
    started: Instant,
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock()
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock()
    }

    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        self.clock_start.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    fn announce(&self, revision: u64) {
        self.signal.announce(revision);
    }
}

/// An API server. Cheap to clone; all clones are the same server.
#[derive(Clone)]
pub struct ApiServer {
    shared: Arc<Shared>,
}

impl ApiServer {
    /// A server with the default namespaces and no definitions, whose clock shows `clock_start` now.
    pub fn new(clock_start: Timestamp) -> Self {
        let world = World::new(clock_start).expect("the built-in metadata schema parses");
        let shared = Shared {
            world: Mutex::new(world),
            faults: Mutex::default(),
            log: Mutex::default(),
            signal: Signal::default(),
            clock_start,
            started: Instant::now(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The server's wall time.
    pub fn now(&self) -> Timestamp {
        self.shared.now()
    }

    /// A client whose default namespace is `default`, without retries of its own.
    pub fn client(&self) -> Client {
        Client::new(self.service(), "default")
    }

    /// A client over a service that wraps [`ApiServer::service`].
    #[allow(clippy::unused_self, reason = "reads as `client`, beside which it is used")]
    pub fn client_over<S>(&self, service: S) -> Client
    where
        S: Service<http::Request<ClientBody>, Response = http::Response<AnswerBody>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<tower::BoxError>,
    {
        Client::new(service, "default")
    }

    /// The raw service behind the clients, for a harness to wrap.
    pub fn service(&self) -> ApiService {
        ApiService::new(Arc::clone(&self.shared))
    }

    /// Serves a definition, as a create or replace of it through the API would.
    ///
    /// # Panics
    /// When the definition is not one that the server takes.
    pub fn install_crd(&self, crd: CustomResourceDefinition) {
        let mut definition = serde_json::to_value(crd).expect("a definition serializes");
        let mut world = self.shared.world();
        world.now = self.shared.now();
        let kind = world
            .kind_of("apiextensions.k8s.io", "customresourcedefinitions")
            .expect("is built in");
        let key = Key::new("", meta::name(&definition));
        let old = world.store.get(&kind, &key).cloned();
        meta::metadata(&mut definition)
            .entry("creationTimestamp")
            .or_insert(json!(world.timestamp()));
        world
            .serve_definition(&mut definition)
            .expect("the definition is valid");
        match old {
            Some(old) => {
                meta::keep_servers_fields(&mut definition, &old);
                update::raise_generation(&mut definition);
                world.store.put(&kind, &key, definition);
            }
            None => {
                world.insert(&kind, &key, definition);
            }
        }
        self.shared.announce(world.store.revision());
    }

    /// Creates a namespace if it is not there.
    pub fn add_namespace(&self, name: &str) {
        let mut world = self.shared.world();
        world.now = self.shared.now();
        world.add_namespace(name);
        self.shared.announce(world.store.revision());
    }

    /// All objects of a resource as stored now, past any fault; `namespace` narrows to one.
    pub fn objects(&self, group: &str, plural: &str, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let world = self.shared.world();
        let Some(all) = world.store.collection(group, plural) else {
            return Vec::new();
        };
        all.iter(namespace)
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }

    /// The newest revision.
    pub fn revision(&self) -> u64 {
        self.shared.world().store.revision()
    }

    /// Forgets all history: watches and pages from before now are answered with 410.
    pub fn compact(&self) {
        self.shared.world().store.compact();
    }

    /// Ends every running watch without a word.
    pub fn cut_watches(&self) {
        self.shared.signal.cut();
    }

    /// Makes reads lag behind.
    pub fn read_from_the_past(&self, staleness: Staleness) {
        self.shared.faults().set_staleness(staleness);
    }

    /// Makes events of a resource (of all others when empty) reach watches this much later; different delays
    /// reorder events of different resources.
    pub fn delay_events(&self, plural: &str, delay: Duration) {
        self.shared.faults().set_watch_delay(plural, delay);
        self.shared.signal.wake();
    }

    /// Makes watches send each event twice.
    pub fn repeat_events(&self, twice: bool) {
        self.shared.faults().send_events_twice(twice);
    }

    /// Lets `disturbance` befall the next `times` requests that `which` picks.
    pub fn disturb(
        &self,
        times: u32,
        which: impl Fn(&Call) -> bool + Send + Sync + 'static,
        disturbance: Disturbance,
    ) {
        let decision = Arc::new(move |call: &Call| which(call).then(|| disturbance.clone()));
        self.shared.faults().add(Some(times), decision);
    }

    /// Asks `decide` about every request, for schedules that draw from a seed.
    pub fn disturb_by(&self, decide: impl Fn(&Call) -> Option<Disturbance> + Send + Sync + 'static) {
        self.shared.faults().add(None, Arc::new(decide));
    }

    /// Ends all faults; watches that were delayed catch up.
    pub fn calm(&self) {
        self.shared.faults().clear();
        self.shared.signal.wake();
    }

    /// Requests so far, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.log().all()
    }

    /// Writes that changed something.
    pub fn writes(&self) -> Vec<Request> {
        self.requests()
            .into_iter()
            .filter(|request| request.is_write && request.changed)
            .collect()
    }

    /// Empties the request log.
    pub fn forget_requests(&self) {
        self.shared.log().clear();
    }
}
