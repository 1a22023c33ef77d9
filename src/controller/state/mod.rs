//! What is known, and what is to be done next: small, in memory, and found again after a restart.

pub mod breaker;
pub mod deadlines;
pub mod directory;
mod holders;
pub mod index;
pub mod key;
pub mod memory;
pub mod pending;
pub mod queue;
mod requests;
pub mod tenants;
mod written_settings;

use std::collections::HashMap;

use kube::Client;
use parking_lot::{Mutex, MutexGuard};

use breaker::{Breaker, Removals};
use index::Index;
use key::{MailboxKey, Work};
use memory::Memory;
use pending::PendingWork;
use queue::Queue;
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
}

impl State {
    pub fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock()
    }

    pub fn pending(&self) -> MutexGuard<'_, PendingWork> {
        self.pending.lock()
    }

    /// Whether these removals are few enough to be carried out now; they are counted, and the API server remembers it.
    pub async fn try_acquire(&self, client: &Client, removals: Removals<'_>) -> Result<bool, kube::Error> {
        self.breaker.try_acquire(client, &self.index, removals).await
    }

    /// Lets `change` see what is remembered of `key` between reconciles.
    pub fn remember<T>(&self, key: &MailboxKey, change: impl FnOnce(&mut Memory) -> T) -> T {
        change(self.memory.lock().entry(key.clone()).or_default())
    }

    pub fn forget(&self, key: &MailboxKey) {
        self.memory.lock().remove(key);
        self.pending().forget(key);
    }
}
