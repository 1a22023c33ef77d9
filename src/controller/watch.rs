//! Kubernetes watches feed the index; the index says what a change requests.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::{Backoff, ResetTimerBackoff};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, CustomResourceExt, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch::Sender;

use super::context::Context;
use super::state::inbox::{Inbox, Object};
use super::state::index::Index;
use super::state::key::{self, Changes, MailboxKey};
use super::state::known_ledger::LedgerGlance;
use super::state::read_mailbox::{ReadMailbox, ReadPermission};
use super::unreadable::Unreadable;
use crate::api::{ExchangeTenant, MailboxPermission, SharedMailbox};
use crate::clock::Clock;
use crate::rng::Rng;

/// What the index does with objects of one kind.
pub trait Indexed:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
    type Key: Clone + Eq + Hash + Send;
    /// With what costs time to find out: everybody waits for the index.
    type Read;

    const KIND: &'static str;

    fn key(metadata: &kube::core::ObjectMeta) -> Self::Key;
    fn read(self) -> Self::Read;
    fn apply(read: Self::Read, index: &mut Index, clock: Clock) -> Changes;
    fn delete(index: &mut Index, key: &Self::Key) -> Changes;
    fn known(index: &Index) -> Vec<Self::Key>;
}

impl Indexed for SharedMailbox {
    type Key = MailboxKey;
    type Read = ReadMailbox;

    const KIND: &'static str = key::MAILBOX;

    fn key(metadata: &kube::core::ObjectMeta) -> MailboxKey {
        let (namespace, name) = names(metadata);
        MailboxKey { namespace, name }
    }

    fn read(self) -> ReadMailbox {
        ReadMailbox::of(self)
    }

    fn apply(read: ReadMailbox, index: &mut Index, clock: Clock) -> Changes {
        index.apply_mailbox(read, clock.instant())
    }

    fn delete(index: &mut Index, key: &MailboxKey) -> Changes {
        index.delete_mailbox(key)
    }

    fn known(index: &Index) -> Vec<MailboxKey> {
        index.mailbox_keys()
    }
}

impl Indexed for MailboxPermission {
    type Key = (String, String);
    type Read = ReadPermission;

    const KIND: &'static str = key::PERMISSION;

    fn key(metadata: &kube::core::ObjectMeta) -> (String, String) {
        names(metadata)
    }

    fn read(self) -> ReadPermission {
        self.into()
    }

    fn apply(read: ReadPermission, index: &mut Index, clock: Clock) -> Changes {
        index.apply_permission(read, clock.now())
    }

    fn delete(index: &mut Index, (namespace, name): &(String, String)) -> Changes {
        index.delete_permission(namespace, name)
    }

    fn known(index: &Index) -> Vec<(String, String)> {
        index.permission_keys()
    }
}

impl Indexed for ExchangeTenant {
    type Key = String;
    type Read = Self;

    const KIND: &'static str = key::TENANT;

    fn key(metadata: &kube::core::ObjectMeta) -> String {
        names(metadata).1
    }

    fn read(self) -> Self {
        self
    }

    fn apply(read: Self, index: &mut Index, _: Clock) -> Changes {
        index.apply_tenant(read)
    }

    fn delete(index: &mut Index, name: &String) -> Changes {
        index.delete_tenant(name)
    }

    fn known(index: &Index) -> Vec<String> {
        index.tenant_names()
    }
}

impl Indexed for LedgerGlance {
    type Key = String;
    type Read = Self;

    const KIND: &'static str = key::LEDGER;

    fn key(metadata: &kube::core::ObjectMeta) -> String {
        names(metadata).1
    }

    fn read(self) -> Self {
        self
    }

    fn apply(read: Self, index: &mut Index, clock: Clock) -> Changes {
        index.apply_ledger(read, clock.now())
    }

    fn delete(index: &mut Index, name: &String) -> Changes {
        index.delete_ledger(name)
    }

    fn known(index: &Index) -> Vec<String> {
        index.ledger_names()
    }
}

fn names(metadata: &kube::core::ObjectMeta) -> (String, String) {
    (
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}

/// What tasks of their own see to, because the index can't take it in.
#[derive(Clone, Default)]
pub struct Others {
    /// Objects that can't be decoded.
    pub unreadable: Arc<Inbox<Unreadable>>,
    /// Objects for which their namespace has no room, or room again.
    pub beyond: Arc<Inbox<()>>,
}

/// Feeds the index with all objects of one kind, for ever. `synced` turns true when the first list is in.
pub async fn feed<K: Indexed>(context: Arc<Context>, synced: Sender<bool>, others: Others) {
    let api: Api<DeserializeGuard<K>> = Api::all(context.client.clone());
    // A page is in memory at once.
    let config = watcher::Config::default().page_size(PAGE);
    let events = watcher(api, config).backoff(backoff(context.rng.clone()));
    let mut events = std::pin::pin!(events);
    let mut listed: HashSet<K::Key> = HashSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(DeserializeGuard(object))) => {
                listed.insert(match &object {
                    Ok(object) => K::key(object.meta()),
                    Err(invalid) => K::key(&invalid.metadata),
                });
                take_in(&context, &others, object);
            }
            Ok(Event::InitDone) => {
                let gone: Vec<K::Key> = K::known(&context.state.index())
                    .into_iter()
                    .filter(|key| !listed.contains(key))
                    .collect();
                for key in gone {
                    change(&context, &others, |index| K::delete(index, &key));
                }
                listed = HashSet::new();
                let _ = synced.send_replace(true);
            }
            Ok(Event::Apply(DeserializeGuard(object))) => take_in(&context, &others, object),
            Ok(Event::Delete(DeserializeGuard(object))) => {
                let key = match &object {
                    Ok(object) => K::key(object.meta()),
                    Err(invalid) => K::key(&invalid.metadata),
                };
                change(&context, &others, |index| K::delete(index, &key));
            }
            Err(error) => {
                context.metrics.watch_failed(K::KIND);
                tracing::warn!(kind = K::KIND, %error, "a watch failed; it is tried again");
            }
        }
    }
}

/// Changes the index, and has seen to what that asks for.
fn change(context: &Context, others: &Others, change: impl FnOnce(&mut Index) -> Changes) {
    let (changes, moved) = {
        let mut index = context.state.index();
        (change(&mut index), index.take_moved())
    };
    context.request(changes);
    for object in moved {
        others.beyond.put(object, ());
    }
}

fn take_in<K: Indexed>(context: &Context, others: &Others, object: Result<K, InvalidObject>) {
    match object {
        Ok(object) => {
            let read = object.read();
            change(context, others, |index| K::apply(read, index, context.clock));
        }
        Err(invalid) => {
            let (namespace, name) = names(&invalid.metadata);
            let is_news = context.state.index().mark_unreadable(K::KIND, &namespace, &name);
            if is_news {
                tracing::error!(
                    kind = K::KIND,
                    namespace,
                    name,
                    error = invalid.error,
                    "an object can't be decoded"
                );
            }
            // A ledger has no status. The mailbox that it is of says so in its own.
            if K::KIND != key::LEDGER {
                let object = Object::new(K::KIND, &namespace, &name);
                others.unreadable.put(object, Unreadable::new::<K>(invalid));
            }
        }
    }
}

/// Objects of one page of a first list: etcd takes none of more than 1.5 MiB, so a page is never more than 30 MiB.
const PAGE: u32 = 20;

/// Waits after failures of a watch, one after another: kube's own default, but for where its jitter comes from.
fn backoff(rng: Rng) -> impl Backoff {
    ResetTimerBackoff::new(WatchBackoff { rng, failures: 0 }, HEALTHY_AGAIN)
}

const FIRST_RETRY: Duration = Duration::from_millis(800);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// After so long without a failure the next one is a first one.
const HEALTHY_AGAIN: Duration = Duration::from_mins(2);

struct WatchBackoff {
    rng: Rng,
    failures: u32,
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let doubled = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(self.failures.min(16)));
        self.failures = self.failures.saturating_add(1);
        Some(self.rng.spread(doubled.min(LAST_RETRY)))
    }
}

impl Backoff for WatchBackoff {
    fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Waits until the API server serves all our custom resources, and says how to get there.
pub async fn crds_installed(context: &Context) {
    let api: Api<CustomResourceDefinition> = Api::all(context.client.clone());
    let wanted: Vec<String> = crate::api::all_crds().iter().map(ResourceExt::name_any).collect();
    let mut reported = false;
    loop {
        let found = futures::stream::iter(&wanted)
            .then(|name| api.get_opt(name))
            .try_filter_map(|crd| async {
                let crd = crd.filter(is_established);
                Ok(crd.map(|crd| (crd.name_any(), crd.uid())))
            })
            .try_collect::<HashMap<String, Option<String>>>()
            .await;
        match found {
            Ok(mut found) => {
                let missing: Vec<&str> = wanted
                    .iter()
                    .filter(|name| !found.contains_key(*name))
                    .map(String::as_str)
                    .collect();
                if missing.is_empty() {
                    let uid = found.remove(MailboxPermission::crd_name()).flatten();
                    context.state.set_permissions_crd_uid(uid);
                    return;
                }
                if !reported {
                    let missing = missing.join(", ");
                    tracing::warn!(
                        missing,
                        "waiting for CRDs: install them with `shared-mailbox-operator crd | kubectl apply \
                         --server-side -f -`, or upgrade the CRD chart"
                    );
                    reported = true;
                }
            }
            Err(error) => tracing::warn!(%error, "the CRDs can't be read; trying again"),
        }
        context.clock.sleep(Duration::from_secs(2)).await;
    }
}

fn is_established(crd: &CustomResourceDefinition) -> bool {
    let conditions = crd.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Established" && c.status == "True"))
}
