//! Whether a namespace has room for its objects; see [`super::super::share`].

use super::super::key::{Changes, MailboxKey, PERMISSION, Work};
use super::super::read_mailbox::ReadMailbox;
use super::super::share::{Beyond, Moved, Share};
use super::Index;
use crate::lane::Lane;

impl Index {
    /// A permission is known by name and size only. Its mailbox has to know.
    pub(super) fn put_out(&mut self, home: &MailboxKey, name: &str) -> Changes {
        self.deadlines.forget(home, name);
        let known = self.permissions.get_mut(home).and_then(|all| all.remove(name));
        let is_new = self
            .beyond
            .entry(home.clone())
            .or_default()
            .insert(name.to_owned());
        let is_news = known.is_some() || is_new;
        is_news
            .then(|| (Work::Mailbox(home.clone()), Lane::Edit))
            .into_iter()
            .collect()
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

    /// Somebody else's size decides about these objects, too.
    pub(super) fn note_moved(&mut self, kind: &'static str, namespace: &str, moved: Moved) -> Changes {
        let Moved { out, again } = moved;
        let mut changes = Changes::new();
        for name in out {
            self.to_be_read
                .remove(&(kind, namespace.to_owned(), name.clone()));
            let key = (namespace.to_owned(), name.clone());
            match self.permission_homes.get(&key).cloned() {
                Some(home) if kind == PERMISSION => {
                    changes.extend(self.put_out(&home, &name));
                    self.moved.push(Beyond::new(kind, namespace, &name));
                }
                Some(_) | None => changes.extend(self.slim_mailbox(namespace, &name)),
            }
        }
        for name in again {
            self.to_be_read.insert((kind, namespace.to_owned(), name.clone()));
            self.moved.push(Beyond::new(kind, namespace, &name));
        }
        changes
    }

    /// There is no room for a mailbox any more.
    fn slim_mailbox(&mut self, namespace: &str, name: &str) -> Changes {
        let key = MailboxKey {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let Some(seen) = self.mailboxes.get(&key) else {
            return Changes::new();
        };
        let first_seen = seen.first_seen;
        let slim = ReadMailbox::by_name_and_size(&seen.object, &seen.claims, 0);
        let mut changes = self.keep_mailbox(key.clone(), slim, first_seen);
        changes.push((Work::Mailbox(key), Lane::Edit));
        changes
    }

    /// Objects that somebody has to see to, once.
    pub fn take_moved(&mut self) -> Vec<Beyond> {
        std::mem::take(&mut self.moved)
    }

    /// Whether an object is known by name and size only.
    pub fn is_beyond(&self, kind: &'static str, namespace: &str, name: &str) -> bool {
        let share = self.shares.get(&(kind, namespace.to_owned()));
        share.is_some_and(|share| share.is_out(name))
    }

    /// Whether there is room again for an object that nobody has read since.
    pub fn is_to_be_read(&self, kind: &'static str, namespace: &str, name: &str) -> bool {
        self.to_be_read
            .contains(&(kind, namespace.to_owned(), name.to_owned()))
    }

    /// Whether a permission of this mailbox is known by name and size only.
    pub fn has_permissions_beyond(&self, mailbox: &MailboxKey) -> bool {
        self.beyond.contains_key(mailbox)
    }
}
