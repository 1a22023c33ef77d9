//! Tenants as the mailboxes' tasks use them.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::breaker::Limits;
use crate::api::{Management, SignInControl};
use crate::controller::reconcile::validate::{Expansion, Resolution};
use crate::exchange::Gateway;
use crate::mail::{ClusterId, Domain, Holder, ObjectId, SmtpAddress, TenantGuid};
use crate::plan::{Identity, People};
use crate::rules::{AccessRules, MemberKind};

/// A tenant whose connection was checked.
pub struct Tenant {
    /// Of the manifest that was checked.
    pub generation: Option<i64>,
    pub gateway: Gateway,
    pub guid: TenantGuid,
    pub rules: AccessRules,
    pub management: Management,
    pub cluster: ClusterId,
    pub marker_attribute: u8,
    pub sign_in_control: SignInControl,
    /// How often each mailbox is looked at.
    pub interval: Duration,
    pub accepted_domains: BTreeSet<Domain>,
    /// Where Exchange gives every mailbox an address of its own.
    pub initial_domain: Domain,
    pub directory: Arc<DirectoryCache>,
    /// Whose grants are never removed.
    pub protected: People,
    /// Who loses everything.
    pub departed: People,
    /// Who of both lists nobody in the tenant answers to.
    pub unresolved: BTreeSet<SmtpAddress>,
    /// How much may be taken away at once.
    pub safety: Limits,
    /// After how long people may use what Exchange was told to grant.
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

/// All tenants that were checked, by name.
#[derive(Default)]
pub struct Tenants {
    states: RwLock<HashMap<String, TenantState>>,
    connections: Mutex<HashMap<String, Connected>>,
    /// When each tenant's credential ends, where that is known: also while the tenant can't be used.
    credential_expiries: RwLock<HashMap<String, Timestamp>>,
}

impl Tenants {
    pub fn get(&self, name: &str) -> Option<TenantState> {
        self.states
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    pub fn set(&self, name: &str, state: TenantState) {
        self.states
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), state);
    }

    /// The connection with this fingerprint, as it was left, or a new one.
    pub fn connected(&self, name: &str, fingerprint: u64, connect: impl FnOnce() -> Gateway) -> Connected {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
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
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    pub fn credential_expiry(&self, name: &str) -> Option<Timestamp> {
        self.credential_expiries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .copied()
    }

    pub fn set_credential_expiry(&self, name: &str, expires: Option<Timestamp>) {
        let mut all = self
            .credential_expiries
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        match expires {
            Some(expires) => all.insert(name.to_owned(), expires),
            None => all.remove(name),
        };
    }

    pub fn remove(&self, name: &str) {
        self.set_credential_expiry(name, None);
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
        self.states
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }
}

/// Answers of the directory that hold for a while: who has which address, who is in which group, who is behind which
/// row, and whether the app may read users.
#[derive(Default)]
pub struct DirectoryCache {
    answers: Cache<(MemberKind, SmtpAddress), Resolution>,
    expansions: Cache<ObjectId, Expansion>,
    identities: Cache<Holder, Identity>,
    users_unreadable_until: Mutex<Option<Instant>>,
}

/// How long a member's look-up holds. A rename keeps the object id, so an old answer does no harm; a new owner
/// of an address is noticed within this time.
const MEMBER_FRESH: Duration = Duration::from_mins(30);
/// Misses are asked again soon: the person may just have been created.
const MISS_FRESH: Duration = Duration::from_secs(30);
/// How long the members of a group are taken as they were: mailboxes that share a group read it once a pass.
const GROUP_FRESH: Duration = Duration::from_mins(2);
/// How long an app that may not read users is taken at its word.
const UNREADABLE: Duration = Duration::from_mins(30);
const MOST_ANSWERS: usize = 50_000;

impl DirectoryCache {
    pub fn answer(&self, member: &(MemberKind, SmtpAddress), now: Instant) -> Option<Resolution> {
        self.answers.get(member, now, |resolution| match resolution {
            Resolution::Found(_) => MEMBER_FRESH,
            Resolution::NotFound
            | Resolution::NoMailbox
            | Resolution::PlainGroup
            | Resolution::Unusable(_) => MISS_FRESH,
        })
    }

    pub fn remember(&self, member: (MemberKind, SmtpAddress), resolution: Resolution, now: Instant) {
        self.answers.put(member, resolution, now);
    }

    pub fn expansion(&self, group: &ObjectId, now: Instant) -> Option<Expansion> {
        self.expansions.get(group, now, |_| GROUP_FRESH)
    }

    pub fn remember_expansion(&self, group: ObjectId, expansion: Expansion, now: Instant) {
        self.expansions.put(group, expansion, now);
    }

    /// The members of every group are read again at the next look.
    pub fn forget_expansions(&self) {
        self.expansions.clear();
    }

    pub fn identity(&self, holder: &Holder, now: Instant) -> Option<Identity> {
        self.identities.get(holder, now, |identity| match identity {
            Identity::Known { .. } => MEMBER_FRESH,
            // Somebody may be restored, and his grant is about to be removed as a leftover.
            Identity::Gone => MISS_FRESH,
        })
    }

    pub fn remember_identity(&self, holder: Holder, identity: Identity, now: Instant) {
        self.identities.put(holder, identity, now);
    }

    /// Looks these members up again the next time: Exchange does not find them any more.
    pub fn forget(&self, members: &[ObjectId]) {
        if members.is_empty() {
            return;
        }
        self.answers.retain(|_, answer| match answer {
            Resolution::Found(found) => !members.contains(&found.object_id),
            Resolution::NotFound
            | Resolution::NoMailbox
            | Resolution::PlainGroup
            | Resolution::Unusable(_) => true,
        });
        self.expansions.clear();
    }

    pub fn users_are_readable(&self, now: Instant) -> bool {
        let until = self
            .users_unreadable_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        until.is_none_or(|until| now >= until)
    }

    pub fn users_turned_out_unreadable(&self, now: Instant) {
        let mut until = self
            .users_unreadable_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *until = Some(now + UNREADABLE);
    }
}

/// Answers with the time at which they were given.
struct Cache<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    fn get(&self, key: &K, now: Instant, fresh: impl Fn(&V) -> Duration) -> Option<V> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, answer) = answers.get(key)?;
        (now.saturating_duration_since(*asked) < fresh(answer)).then(|| answer.clone())
    }

    fn put(&self, key: K, answer: V, now: Instant) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MOST_ANSWERS {
            answers.retain(|_, (asked, _)| now.saturating_duration_since(*asked) < MEMBER_FRESH);
        }
        if answers.len() < MOST_ANSWERS {
            answers.insert(key, (now, answer));
        }
    }

    fn retain(&self, keep: impl Fn(&K, &V) -> bool) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|key, (_, answer)| keep(key, answer));
    }

    fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
