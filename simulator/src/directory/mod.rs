//! The tenant's directory: every object with its recent versions, and indexes over them.

mod entry;
mod history;
mod kind;
mod membership;
mod object;

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

pub use entry::{AccessEntry, AccessRight, SendAsEntry, Standing};
pub use history::{History, View, Visibility};
pub use kind::OutsideKind;
pub use object::{Group, Mailbox, MailboxType, Object, Outside, smtp_part};

/// Position of an object in the directory; stays the same for its whole life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(usize);

/// An object as one view shows it.
#[derive(Clone, Debug)]
pub struct ObjectView {
    pub handle: Handle,
    pub object: Arc<Object>,
    /// Entra's `accountEnabled`: whether anybody can sign in.
    pub account_enabled: bool,
    /// Exchange's own `AccountDisabled`, which may say something else.
    pub disabled_in_exchange: bool,
    /// Somebody signed in while it was open, and their sessions were not revoked.
    pub signed_in: bool,
}

impl Deref for ObjectView {
    type Target = Object;

    fn deref(&self) -> &Object {
        &self.object
    }
}

#[derive(Clone, Debug)]
struct Entry {
    /// `None` is an object that is gone for good.
    object: History<Option<Arc<Object>>>,
    /// Kept apart because Exchange and Entra may disagree on it for hours, or for good.
    account_enabled: History<bool>,
    disabled_in_exchange: History<bool>,
    signed_in: bool,
}

/// Who says whether an account can be signed in to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInStore {
    /// `accountEnabled`, which decides.
    Entra,
    /// `AccountDisabled`.
    Exchange,
}

/// All objects. Writes push a new version of one object; nothing else is copied.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    entries: Vec<Entry>,
    /// Everything that ever named an object, in lower case. A hit is checked against the version read.
    names: HashMap<String, Vec<Handle>>,
    ids: HashMap<Uuid, Handle>,
    /// Object ids by security identifier, in lower case. They outlive their objects: entries keep naming them.
    sids: HashMap<String, Uuid>,
    writes: u64,
}

impl Directory {
    pub fn insert(&mut self, object: Object, account_enabled: bool, visibility: Visibility) -> Handle {
        self.writes += 1;
        let handle = Handle(self.entries.len());
        self.ids.insert(object.id, handle);
        self.index(handle, &object);
        self.entries.push(Entry {
            object: History::starting_with(Some(Arc::new(object)), visibility.clone()),
            account_enabled: History::starting_with(account_enabled, visibility.clone()),
            disabled_in_exchange: History::starting_with(!account_enabled, visibility),
            signed_in: false,
        });
        handle
    }

    /// Adds an account that is gone: entries that name it don't resolve.
    pub fn insert_gone(&mut self, id: Uuid, sid: &str) {
        self.sids.insert(sid.to_lowercase(), id);
    }

    /// The account, there or gone, with this security identifier.
    pub fn with_sid(&self, sid: &str) -> Option<Uuid> {
        self.sids.get(&sid.to_lowercase()).copied()
    }

    /// Writes a new version of an object.
    pub fn replace(&mut self, handle: Handle, object: Object, visibility: Visibility, now: Duration) {
        self.writes += 1;
        self.index(handle, &object);
        if let Some(entry) = self.entries.get_mut(handle.0) {
            entry.object.push(Some(Arc::new(object)), visibility, now);
        }
    }

    /// Removes an object for good; its addresses are free again.
    pub fn purge(&mut self, handle: Handle, visibility: Visibility, now: Duration) {
        self.writes += 1;
        if let Some(entry) = self.entries.get_mut(handle.0) {
            entry.object.push(None, visibility, now);
        }
    }

    pub fn set_account_enabled(
        &mut self,
        handle: Handle,
        store: SignInStore,
        enabled: bool,
        visibility: Visibility,
        now: Duration,
    ) {
        self.writes += 1;
        if let Some(entry) = self.entries.get_mut(handle.0) {
            match store {
                SignInStore::Entra => {
                    entry.account_enabled.push(enabled, visibility, now);
                    entry.signed_in |= enabled;
                }
                SignInStore::Exchange => entry.disabled_in_exchange.push(!enabled, visibility, now),
            }
        }
    }

    /// Revokes the sessions of an account. Answers whether it had any.
    pub fn sign_out(&mut self, handle: Handle) -> bool {
        self.writes += 1;
        let entry = self.entries.get_mut(handle.0);
        entry.is_some_and(|entry| std::mem::take(&mut entry.signed_in))
    }

    /// How many times anything was written.
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// The object as `view` shows it, if it shows it at all.
    pub fn seen(&self, handle: Handle, view: View) -> Option<ObjectView> {
        let entry = self.entries.get(handle.0)?;
        let object = entry.object.seen(view)?.clone()?;
        let account_enabled = entry.account_enabled.seen(view).copied().unwrap_or(true);
        let disabled_in_exchange = entry.disabled_in_exchange.seen(view).copied().unwrap_or(false);
        Some(ObjectView {
            handle,
            object,
            account_enabled,
            disabled_in_exchange,
            signed_in: entry.signed_in,
        })
    }

    pub fn by_id(&self, id: Uuid, view: View) -> Option<ObjectView> {
        self.seen(*self.ids.get(&id)?, view)
    }

    /// Objects that answer to `identity` in this view.
    pub fn matching(&self, identity: &str, view: View) -> Vec<ObjectView> {
        let identity = identity.to_lowercase();
        let handles = self.names.get(&identity).map(Vec::as_slice).unwrap_or_default();
        handles
            .iter()
            .filter_map(|handle| self.seen(*handle, view))
            .filter(|seen| seen.answers_to(&identity))
            .collect()
    }

    /// Every object that this view shows, in the order of creation.
    pub fn all(&self, view: View) -> impl Iterator<Item = ObjectView> {
        (0..self.entries.len()).filter_map(move |at| self.seen(Handle(at), view))
    }

    fn index(&mut self, handle: Handle, object: &Object) {
        self.sids.insert(object.sid.to_lowercase(), object.id);
        let master = object.master_sid.iter();
        self.sids
            .extend(master.map(|sid| (sid.to_lowercase(), object.id)));
        for name in object.identities() {
            let handles = self.names.entry(name).or_default();
            if !handles.contains(&handle) {
                handles.push(handle);
            }
        }
    }
}
