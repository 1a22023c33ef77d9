//! Tenants as the mailboxes' tasks use them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::validate::{AccessRules, MemberKind, Resolution};
use crate::api::{Management, SignInControl};
use crate::exchange::Gateway;
use crate::mail::{ClusterId, Domain, ObjectId, SmtpAddress, TenantGuid};

/// A tenant whose connection was checked.
pub struct Tenant {
    pub gateway: Gateway,
    /// Of the connection behind the gateway; another one needs another gateway.
    pub fingerprint: u64,
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
}

#[derive(Clone)]
pub enum TenantState {
    Ready(Arc<Tenant>),
    /// Why, for the mailboxes' messages.
    NotReady(String),
}

/// All tenants that were checked, by name.
#[derive(Default)]
pub struct Tenants {
    states: RwLock<HashMap<String, TenantState>>,
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
        self.states
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }
}

/// Answers of the directory that hold for a while: who has which address, and whether the app may read users.
#[derive(Default)]
pub struct DirectoryCache {
    answers: Mutex<HashMap<(MemberKind, SmtpAddress), (Instant, Resolution)>>,
    users_unreadable_until: Mutex<Option<Instant>>,
}

/// How long a member's look-up holds. A rename keeps the object id, so an old answer does no harm; a new owner
/// of an address is noticed within this time.
const MEMBER_FRESH: Duration = Duration::from_mins(30);
/// Misses are asked again soon: the person may just have been created.
const MISS_FRESH: Duration = Duration::from_secs(30);
/// How long an app that may not read users is taken at its word.
const UNREADABLE: Duration = Duration::from_mins(30);
const MOST_ANSWERS: usize = 50_000;

impl DirectoryCache {
    pub fn answer(&self, member: &(MemberKind, SmtpAddress), now: Instant) -> Option<Resolution> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, resolution) = answers.get(member)?;
        let fresh = if matches!(resolution, Resolution::Found(_)) {
            MEMBER_FRESH
        } else {
            MISS_FRESH
        };
        (now.saturating_duration_since(*asked) < fresh).then(|| resolution.clone())
    }

    pub fn remember(&self, member: (MemberKind, SmtpAddress), resolution: Resolution, now: Instant) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MOST_ANSWERS {
            answers.retain(|_, (asked, _)| now.saturating_duration_since(*asked) < MEMBER_FRESH);
        }
        if answers.len() < MOST_ANSWERS {
            answers.insert(member, (now, resolution));
        }
    }

    /// Looks these members up again the next time: Exchange does not find them any more.
    pub fn forget(&self, members: &[ObjectId]) {
        if members.is_empty() {
            return;
        }
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|_, (_, answer)| match answer {
            Resolution::Found(found) => !members.contains(&found.object_id),
            _ => true,
        });
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
