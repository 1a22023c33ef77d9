//! Whether a namespace has room for its objects; see [`super::super::share`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::inbox::Object;
use super::super::key::MailboxKey;
use super::super::share::Share;

/// For which objects there is room, and which are known by name and size only.
#[derive(Default)]
pub struct Room {
    /// What each namespace has, by kind.
    shares: HashMap<(&'static str, String), Share>,
    /// Permissions that are known by name and size only, by mailbox.
    beyond: BTreeMap<MailboxKey, BTreeSet<String>>,
    /// Objects that are to be read again, because there is room for them.
    to_be_read: BTreeSet<Object>,
    /// Those for which there is no room any more, or room again, until somebody sees to them.
    moved: Vec<Object>,
}

impl Room {
    #[cfg(test)]
    pub(super) fn shares(&self) -> usize {
        self.shares.len()
    }

    /// True when the permission was known whole before.
    pub(super) fn put_out(&mut self, home: &MailboxKey, name: &str) -> bool {
        let names = self.beyond.entry(home.clone()).or_default();
        names.insert(name.to_owned())
    }

    /// True when the permission was known by name and size only.
    pub(super) fn is_let_in(&mut self, home: &MailboxKey, name: &str) -> bool {
        let Some(names) = self.beyond.get_mut(home) else {
            return false;
        };
        let was_out = names.remove(name);
        if names.is_empty() {
            self.beyond.remove(home);
        }
        was_out
    }

    pub(super) fn share(&mut self, kind: &'static str, namespace: &str) -> &mut Share {
        self.shares.entry((kind, namespace.to_owned())).or_default()
    }

    pub(super) fn forget_empty_share(&mut self, kind: &'static str, namespace: &str) {
        let key = (kind, namespace.to_owned());
        if self.shares.get(&key).is_some_and(Share::is_empty) {
            self.shares.remove(&key);
        }
    }

    /// Nobody has to read it again.
    pub(super) fn was_read(&mut self, kind: &'static str, namespace: &str, name: &str) {
        self.to_be_read.remove(&Object::new(kind, namespace, name));
    }

    /// Somebody has to see to it.
    pub(super) fn moved(&mut self, kind: &'static str, namespace: &str, name: &str) {
        self.moved.push(Object::new(kind, namespace, name));
    }

    /// There is room for it again.
    pub(super) fn is_to_be_read_again(&mut self, kind: &'static str, namespace: &str, name: &str) {
        self.to_be_read.insert(Object::new(kind, namespace, name));
        self.moved(kind, namespace, name);
    }

    pub(super) fn take_moved(&mut self) -> Vec<Object> {
        std::mem::take(&mut self.moved)
    }

    /// Whether an object is known by name and size only.
    pub fn is_beyond(&self, kind: &'static str, namespace: &str, name: &str) -> bool {
        let share = self.shares.get(&(kind, namespace.to_owned()));
        share.is_some_and(|share| share.is_out(name))
    }

    /// Whether there is room again for an object that nobody has read since.
    pub fn is_to_be_read(&self, kind: &'static str, namespace: &str, name: &str) -> bool {
        self.to_be_read.contains(&Object::new(kind, namespace, name))
    }

    /// Whether a permission of this mailbox is known by name and size only.
    pub fn has_permissions_beyond(&self, mailbox: &MailboxKey) -> bool {
        self.beyond.contains_key(mailbox)
    }
}
