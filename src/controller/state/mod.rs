//! What is known, and what is to be done next: small, in memory, and found again after a restart.

pub mod breaker;
pub mod deadlines;
pub mod directory;
pub mod inbox;
pub mod index;
pub mod key;
pub mod known_ledger;
pub mod ledgers;
pub mod memory;
pub mod pending;
pub mod queue;
pub mod read_mailbox;
pub mod requests;
pub mod share;
pub mod sign_in;
pub mod tenants;
pub mod tries;
mod written_settings;

use std::collections::HashMap;

use jiff::Timestamp;
use kube::ResourceExt;
use parking_lot::{Mutex, MutexGuard};

use crate::api::MailboxLedger;
use crate::api::reason::Reason;
use breaker::{Acquired, Breaker, Removals};
use index::Index;
use key::{MailboxKey, Work};
use memory::Memory;
use pending::PendingWork;
use queue::Queue;
use sign_in::TenantSignIn;
use tenants::Tenants;

/// Everything that outlives a reconcile.
#[derive(Default)]
pub struct State {
    pub queue: Queue<Work>,
    pub tenants: Tenants,
    breaker: Breaker,
    index: Mutex<Index>,
    memory: Mutex<HashMap<MailboxKey, Memory>>,
    pending: Mutex<PendingWork>,
    /// The uid of the definition of MailboxPermission, as it was read last.
    permissions_crd_uid: Mutex<Option<String>>,
}

impl State {
    pub fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock()
    }

    pub fn pending(&self) -> MutexGuard<'_, PendingWork> {
        self.pending.lock()
    }

    /// How many of these removals may be carried out now. They count from now on.
    pub fn acquire(&self, removals: &Removals<'_>) -> Acquired {
        self.breaker.acquire(&self.index, removals)
    }

    /// The ledger was written, and counts what was acquired for it.
    pub fn written(&self, ledger: &MailboxLedger, now: Timestamp) {
        let glance = ledger.into();
        self.index.lock().ledgers_mut().apply(glance, now);
        self.breaker.written(&ledger.name_any());
    }

    pub fn permissions_crd_uid(&self) -> Option<String> {
        self.permissions_crd_uid.lock().clone()
    }

    /// An unknown uid leaves what was known.
    pub fn set_permissions_crd_uid(&self, uid: Option<String>) {
        if uid.is_some() {
            *self.permissions_crd_uid.lock() = uid;
        }
    }

    /// Lets `change` see what is remembered of `key` between reconciles.
    pub fn remember<T>(&self, key: &MailboxKey, change: impl FnOnce(&mut Memory) -> T) -> T {
        change(self.memory.lock().entry(key.clone()).or_default())
    }

    /// What is proven of sign-in on all mailboxes of a tenant.
    pub fn sign_in_of(&self, tenant: &str) -> TenantSignIn {
        let keys: Vec<MailboxKey> = {
            let index = self.index();
            let keys = index.of_tenant(tenant).into_iter();
            keys.filter(|key| index.ledgers().has_mailbox(key)).collect()
        };
        let memory = self.memory.lock();
        let mut all = TenantSignIn::default();
        for key in &keys {
            all.add(memory.get(key).map(|memory| &memory.sign_in));
        }
        all
    }

    /// What was reported of sign-in on each mailbox, and since when.
    pub fn reported_sign_in(&self) -> HashMap<MailboxKey, (Reason, Timestamp)> {
        let memory = self.memory.lock();
        let reported = memory.iter().filter_map(|(key, memory)| {
            let reported = memory.sign_in.reported?;
            Some((key.clone(), reported))
        });
        reported.collect()
    }

    pub fn forget(&self, key: &MailboxKey) {
        self.memory.lock().remove(key);
        self.pending().forget(key);
    }
}
