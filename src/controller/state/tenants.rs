//! Tenants as the mailboxes' tasks use them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use super::breaker::Limits;
use super::directory::DirectoryCache;
use crate::api::{Management, SignInControl};
use crate::exchange::{Capabilities, CredentialKind, Gateway, Missing};
use crate::leadership::TenantClaim;
use crate::mail::{ClusterId, Domain, SmtpAddress, TenantGuid};
use crate::plan::People;
use crate::rules::AccessRules;
use crate::setting::Values;

/// A tenant whose connection was checked.
pub struct Tenant {
    /// Of the manifest that was checked.
    pub generation: Option<i64>,
    pub gateway: Gateway,
    pub guid: TenantGuid,
    pub rules: AccessRules,
    pub management: Management,
    pub cluster: ClusterId,
    /// Clusters whose mailboxes this one takes over.
    pub succeeds: Vec<ClusterId>,
    pub marker_attribute: u8,
    /// What mailboxes that are created are to have once, by family of settings.
    pub defaults: BTreeMap<&'static str, Values>,
    pub sign_in_control: SignInControl,
    /// How often each mailbox is rechecked.
    pub interval: Duration,
    pub accepted_domains: BTreeSet<Domain>,
    /// Where Exchange gives every mailbox an address of its own.
    pub initial_domain: Domain,
    pub directory: Arc<DirectoryCache>,
    /// Whose grants are never removed.
    pub protected: People,
    /// Who loses everything.
    pub departed: People,
    /// The entries of both lists that match no recipient in the tenant.
    pub unresolved: BTreeSet<SmtpAddress>,
    /// How much may be taken away at once.
    pub safety: Limits,
    /// After how long people may use what Exchange was asked to grant.
    pub propagation: Duration,
}

#[derive(Clone)]
pub enum TenantState {
    Ready(Arc<Tenant>),
    NotReady {
        /// For the mailboxes' messages.
        why: String,
        /// It may go away by itself.
        passing: bool,
    },
}

/// What is known through one connection to a tenant, be the tenant usable or not: a pause that the service asked for
/// holds for every request, those of a check that failed included.
#[derive(Clone)]
pub struct Connected {
    /// Of the connection behind the gateway; another one needs another gateway.
    pub fingerprint: u64,
    pub gateway: Gateway,
    pub directory: Arc<DirectoryCache>,
}

/// What a probe of a tenant found, and when.
#[derive(Clone)]
pub struct Probed {
    /// Of the connection that was probed.
    pub fingerprint: u64,
    pub at: Instant,
    pub capabilities: Capabilities,
    /// What had been refused by then.
    pub refused: BTreeSet<Missing>,
    /// The request for a reconcile that was answered.
    pub request: Option<String>,
}

/// What was found in the Secrets that a tenant names.
#[derive(Clone, Debug, Default)]
pub struct CredentialFacts {
    /// When they end, where that is known.
    pub ends: Vec<(CredentialKind, Timestamp)>,
    /// Those that can't be used, and why.
    pub unusable: Vec<(CredentialKind, String)>,
}

impl CredentialFacts {
    /// When the first of them ends.
    pub fn first_end(&self) -> Option<Timestamp> {
        self.ends.iter().map(|(_, ends)| *ends).min()
    }
}

/// All tenants that were checked, by name.
#[derive(Default)]
pub struct Tenants {
    states: RwLock<HashMap<String, TenantState>>,
    connections: Mutex<HashMap<String, Connected>>,
    /// What is known of each tenant's credentials: also while the tenant can't be used.
    credentials: RwLock<HashMap<String, CredentialFacts>>,
    /// What was found out about each tenant.
    probed: Mutex<HashMap<String, Probed>>,
    /// This installation's claims, each of which says by itself when it ends.
    claims: Mutex<HashMap<TenantGuid, TenantClaim>>,
    /// The Lease of a tenant that another installation serves, and since when it is so.
    leases: Mutex<HashMap<TenantGuid, (LeaseSpec, Instant)>>,
    /// When the proof of sign-in was written to a status last.
    proof_written: Mutex<HashMap<String, Instant>>,
    /// Which other installation serves a tenant, as it was reported.
    elsewhere: Mutex<HashMap<String, String>>,
}

impl Tenants {
    pub fn get(&self, name: &str) -> Option<TenantState> {
        self.states.read().get(name).cloned()
    }

    /// The usable tenant with this GUID, whatever its ExchangeTenant is called.
    pub fn ready(&self, guid: TenantGuid) -> Option<Arc<Tenant>> {
        let states = self.states.read();
        states.values().find_map(|state| match state {
            TenantState::Ready(tenant) if tenant.guid == guid => Some(Arc::clone(tenant)),
            TenantState::Ready(_) | TenantState::NotReady { .. } => None,
        })
    }

    pub fn set(&self, name: &str, state: TenantState) {
        self.elsewhere.lock().remove(name);
        self.states.write().insert(name.to_owned(), state);
    }

    /// The connection with this fingerprint, as it was left, or a new one.
    pub fn connected(&self, name: &str, fingerprint: u64, connect: impl FnOnce() -> Gateway) -> Connected {
        let mut connections = self.connections.lock();
        let known = connections
            .get(name)
            .filter(|known| known.fingerprint == fingerprint);
        let connected = known.cloned().unwrap_or_else(|| Connected {
            fingerprint,
            gateway: connect(),
            directory: Arc::default(),
        });
        connections.insert(name.to_owned(), connected.clone());
        connected
    }

    /// The connection, be the tenant usable or not.
    pub fn connection(&self, name: &str) -> Option<Connected> {
        self.connections.lock().get(name).cloned()
    }

    /// This installation's claim to a tenant.
    pub fn claim(&self, guid: TenantGuid) -> TenantClaim {
        self.claims.lock().entry(guid).or_default().clone()
    }

    /// For how long this process has seen the Lease of a tenant as it is now.
    pub fn unchanged_for(&self, guid: TenantGuid, lease: &LeaseSpec, now: Instant) -> Duration {
        let mut leases = self.leases.lock();
        let (known, since) = leases.entry(guid).or_insert_with(|| (lease.clone(), now));
        if known != lease {
            (*known, *since) = (lease.clone(), now);
        }
        now.saturating_duration_since(*since)
    }

    /// Another installation serves the tenant: nothing is done on it, and nothing reported. True when that is news.
    pub fn leave_to(&self, name: &str, holder: &str) -> bool {
        self.states.write().remove(name);
        let known = self.elsewhere.lock().insert(name.to_owned(), holder.to_owned());
        known.is_none_or(|known| known != holder)
    }

    pub fn credentials(&self, name: &str) -> CredentialFacts {
        self.credentials.read().get(name).cloned().unwrap_or_default()
    }

    pub fn set_credentials(&self, name: &str, facts: CredentialFacts) {
        self.credentials.write().insert(name.to_owned(), facts);
    }

    pub fn probed(&self, name: &str) -> Option<Probed> {
        self.probed.lock().get(name).cloned()
    }

    pub fn set_probed(&self, name: &str, probed: Probed) {
        self.probed.lock().insert(name.to_owned(), probed);
    }

    /// Whether the proof of sign-in may be written to the status now: once an interval.
    pub fn may_write_proof(&self, name: &str, interval: Duration, now: Instant) -> bool {
        let mut written = self.proof_written.lock();
        let is_due = written
            .get(name)
            .is_none_or(|last| now.saturating_duration_since(*last) >= interval);
        if is_due {
            written.insert(name.to_owned(), now);
        }
        is_due
    }

    pub fn remove(&self, name: &str) {
        self.probed.lock().remove(name);
        self.proof_written.lock().remove(name);
        self.credentials.write().remove(name);
        self.connections.lock().remove(name);
        self.elsewhere.lock().remove(name);
        self.states.write().remove(name);
    }
}
