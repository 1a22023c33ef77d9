//! Leader election over a Lease of our own.
//!
//! Expiry is judged by what this process saw and when, on its own monotonic clock, as client-go does: clocks of
//! other machines prove nothing. Each write carries the version it replaces, so of two that race one loses. A
//! leader that can't renew stops by itself well before anybody else may take over.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use tokio::time::Instant;

use super::pulse::Pulse;
use crate::api::SharedMailbox;
use crate::clock::Clock;
use crate::leadership::{Leadership, lease_spec};

/// The name of the Lease, in the operator's namespace.
pub const LEASE: &str = "shared-mailbox-operator";
/// Others may take over when a claim was not renewed for so long.
const DURATION: Duration = Duration::from_secs(15);
/// The leader renews so often.
const RENEWAL: Duration = Duration::from_secs(5);
/// The leader stops by itself when it could not renew for so long: two thirds of the duration.
const DEADLINE: Duration = Duration::from_secs(10);
/// Standbys read the Lease so often, and so does a leader whose renewal failed: a lease that is given back is taken within
/// two seconds also where requests are slow.
const RETRY: Duration = Duration::from_secs(1);
/// One request to the API server; its client has no limit of its own.
const REQUEST: Duration = Duration::from_secs(3);

pub struct Elector {
    api: Api<Lease>,
    mailboxes: Api<SharedMailbox>,
    name: String,
    identity: String,
    clock: Clock,
    leadership: Leadership,
    pulse: Pulse,
    /// The claim of somebody else, as first seen, and when; None for a Lease that was not there.
    seen: Option<(Option<Claim>, Instant)>,
}

/// What must stay the same for a claim to count as not renewed.
#[derive(Clone, Debug, PartialEq)]
struct Claim {
    holder: String,
    renewed: Option<MicroTime>,
    version: Option<String>,
}

impl Elector {
    /// `identity` must differ between any two processes.
    pub fn new(client: Client, namespace: &str, name: &str, identity: String, clock: Clock) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            mailboxes: Api::all(client),
            name: name.to_owned(),
            identity,
            clock,
            leadership: Leadership::contested(),
            pulse: Pulse::new(clock),
            seen: None,
        }
    }

    /// The claim that this elector keeps.
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Beats with every attempt at the lease.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Ends when this process leads.
    pub async fn win(&mut self) {
        while !self.attempt().await {
            self.clock.sleep(RETRY).await;
        }
        tracing::info!(lease = self.name, identity = self.identity, "leading");
    }

    /// Renews the claim; ends when it is lost for good.
    pub async fn keep(&mut self) {
        let mut wait = RENEWAL;
        loop {
            self.clock.sleep(wait).await;
            wait = if self.attempt().await { RENEWAL } else { RETRY };
            if !self.leadership.is_current() {
                tracing::error!(lease = self.name, "the lease is lost");
                return;
            }
        }
    }

    /// Gives the claim up so that others need not wait. Call it when nothing is written any more.
    pub async fn release(&mut self) {
        self.leadership.give_up();
        let released = async {
            let lease = self.api.get_opt(&self.name).await?;
            let Some(mut lease) = lease.filter(|lease| holder(lease) == self.identity) else {
                return Ok(());
            };
            let spec = lease.spec.get_or_insert_default();
            spec.holder_identity = None;
            spec.renew_time = Some(MicroTime(self.clock.now()));
            self.api
                .replace(&self.name, &PostParams::default(), &lease)
                .await
                .map(drop)
        };
        match tokio::time::timeout(REQUEST, released).await {
            Ok(Ok(())) => tracing::info!(lease = self.name, "released"),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the lease could not be released; it runs out by itself");
            }
            Err(_) => tracing::warn!("the lease could not be released in time; it runs out by itself"),
        }
    }

    /// Acquires or renews once. True when this process leads afterwards.
    async fn attempt(&mut self) -> bool {
        self.pulse.beat();
        // The deadline counts from before the request: when its answer is late, so is our knowledge.
        let started = self.clock.instant();
        match tokio::time::timeout(REQUEST, self.claim()).await {
            Ok(Ok(true)) => self.leadership.hold_until(started + DEADLINE),
            Ok(Ok(false)) => self.leadership.give_up(),
            // Somebody else wrote first: the next read shows who.
            Ok(Err(kube::Error::Api(status))) if status.is_conflict() || status.is_already_exists() => {}
            Ok(Err(error)) => tracing::warn!(%error, lease = self.name, "the lease could not be written"),
            Err(_) => tracing::warn!(
                lease = self.name,
                "the API server did not answer in time about the lease"
            ),
        }
        self.leadership.is_current()
    }

    /// False when somebody else holds the lease.
    async fn claim(&mut self) -> Result<bool, kube::Error> {
        let now = MicroTime(self.clock.now());
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            // Somebody may have deleted it under a leader, who continues until its own deadline.
            let mine = self.leadership.is_current() || self.is_stale(None);
            if !mine && !self.nothing_is_declared().await? {
                return Ok(false);
            }
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.spec(LeaseSpec::default(), true, now)),
            };
            self.api.create(&PostParams::default(), &lease).await?;
            return Ok(true);
        };
        let mine = holder(&lease) == self.identity;
        if !mine && !self.is_expired(&lease) {
            return Ok(false);
        }
        let old = lease.spec.take().unwrap_or_default();
        lease.spec = Some(self.spec(old, mine, now));
        // The version that was read comes along, so a claim written meanwhile is a conflict.
        self.api
            .replace(&self.name, &PostParams::default(), &lease)
            .await?;
        self.seen = None;
        Ok(true)
    }

    /// True on a cluster without a SharedMailbox: a leader that lives on beside a deleted Lease has nothing to write
    /// there. So the first start waits for nobody.
    async fn nothing_is_declared(&self) -> Result<bool, kube::Error> {
        let one = ListParams::default().limit(1);
        match self.mailboxes.list_metadata(&one).await {
            Ok(found) => Ok(found.items.is_empty()),
            // The CRDs are not installed yet.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn is_expired(&mut self, lease: &Lease) -> bool {
        let claim = Claim {
            holder: holder(lease).to_owned(),
            renewed: lease.spec.as_ref().and_then(|spec| spec.renew_time.clone()),
            version: lease.metadata.resource_version.clone(),
        };
        // Released in order: its holder had stopped writing before.
        claim.holder.is_empty() || self.is_stale(Some(claim))
    }

    /// True when this very claim was seen first a whole duration ago.
    fn is_stale(&mut self, claim: Option<Claim>) -> bool {
        let now = self.clock.instant();
        match &self.seen {
            Some((seen, since)) if *seen == claim => now.saturating_duration_since(*since) >= DURATION,
            _ => {
                self.seen = Some((claim, now));
                false
            }
        }
    }

    fn spec(&self, old: LeaseSpec, is_ours: bool, now: MicroTime) -> LeaseSpec {
        lease_spec(old, is_ours, self.identity.clone(), now, DURATION)
    }
}

fn holder(lease: &Lease) -> &str {
    lease
        .spec
        .as_ref()
        .and_then(|spec| spec.holder_identity.as_deref())
        .unwrap_or_default()
}
