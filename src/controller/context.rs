//! What every task shares.

use std::path::PathBuf;
use std::sync::Arc;

use kube::Client;

use super::events::Events;
use super::metrics::Metrics;
use super::state::State;
use super::state::key::{Changes, MailboxKey, Work};
use super::state::pending::Remaining;
use crate::clock::Clock;
use crate::exchange::{GatewayMetrics, HttpService};
use crate::lane::Lane;
use crate::leadership::Leadership;
use crate::rng::Rng;

/// How the operator was started.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where credentials lie.
    pub operator_namespace: String,
    /// Where Leases show which installation serves a tenant; all installations of the cluster share it.
    pub tenant_lease_namespace: String,
    /// `HOST[:PORT]` that tenants may name as endpoints.
    pub allowed_endpoints: Vec<String>,
    /// Where Kubernetes projects the service account token for workload identity.
    pub federated_token_file: Option<PathBuf>,
    /// Mailboxes worked on at a time.
    pub concurrency: usize,
}

pub struct Context {
    pub client: Client,
    pub http: HttpService,
    pub clock: Clock,
    pub rng: Rng,
    pub settings: Settings,
    pub state: Arc<State>,
    pub events: Events,
    pub metrics: Metrics,
    pub gateway_metrics: GatewayMetrics,
    pub leadership: Leadership,
    /// First eight letters of the kube-system namespace's uid.
    pub cluster_uid: String,
}

impl Context {
    /// Queues what somebody's change requests, and notes that they wait for it.
    pub fn request(&self, changes: Changes) {
        self.state.pending().add(&changes, self.clock.instant());
        self.enqueue(changes);
    }

    pub fn enqueue(&self, changes: Changes) {
        for (work, lane) in changes {
            self.metrics.queued(&work);
            self.state.queue.add(work, lane);
        }
    }

    /// Queues the mailboxes of a tenant that waited for it, in the lanes in which they came, and the others in theirs;
    /// None: not the others.
    pub fn enqueue_mailboxes_of(&self, tenant: &str, others: Option<Lane>) {
        let keys: Vec<MailboxKey> = {
            let index = self.state.index();
            index
                .of_tenant(tenant)
                .into_iter()
                .chain(index.orphaned())
                .collect()
        };
        let changes = keys.into_iter().filter_map(|key| {
            let waited = self.state.remember(&key, |memory| memory.waits_for_tenant.take());
            Some((Work::Mailbox(key), waited.or(others)?))
        });
        self.enqueue(changes.collect());
    }

    /// A reconcile of `key` has ended, and this is what it still waits for.
    pub fn update_pending(&self, key: &MailboxKey, remaining: Remaining) {
        let effects = self.state.pending().update(key, remaining, self.clock.instant());
        for effect in effects {
            self.metrics.took_effect(&effect);
        }
    }
}
