//! What the watches showed, by mailbox: small, and able to say what a change means.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::core::ObjectMeta;
use tokio::time::Instant;

use super::deadlines::Deadlines;
use super::inbox::Object;
use super::key::{Changes, LEDGER, MAILBOX, MailboxKey, PERMISSION, TENANT, Work};
use super::known_ledger::LedgerGlance;
use super::ledgers::Ledgers;
use super::read_mailbox::{Claims, ReadMailbox, ReadPermission};
use super::requests::{first_lane, permission_lane, prune, same_mailbox_request};
use super::share::{MAILBOXES, Moved, PERMISSIONS};
use crate::api::{ExchangeTenant, MailboxPermission, SharedMailbox, reconcile_requests};
use crate::lane::Lane;
use crate::mail::SmtpAddress;
use crate::plan::People;

use room::Room;

#[derive(Default)]
pub struct Index {
    mailboxes: BTreeMap<MailboxKey, KnownMailbox>,
    permissions: BTreeMap<MailboxKey, BTreeMap<String, Arc<MailboxPermission>>>,
    /// Which mailbox each permission, by namespace and name, belongs to.
    permission_homes: BTreeMap<(String, String), MailboxKey>,
    /// Who claims an address in the tenant of this name, the oldest first. Mailboxes for which there is no room claim nothing.
    claims: HashMap<(String, SmtpAddress), BTreeSet<Rank>>,
    uids: HashSet<String>,
    tenants: BTreeMap<String, Arc<ExchangeTenant>>,
    /// Names of objects, by kind and namespace, that could not be decoded: nobody knows what they declare.
    unreadable: HashMap<(&'static str, String), BTreeSet<String>>,
    room: Room,
    ledgers: Ledgers,
    deadlines: Deadlines,
}

/// By creation, then by namespace and name.
pub type Rank = (Option<Timestamp>, MailboxKey);

/// A SharedMailbox as it was read last.
pub struct KnownMailbox {
    pub object: Arc<SharedMailbox>,
    /// The addresses that it asks for.
    pub claims: Arc<Claims>,
    /// There is no room for it: it is known by name, size and primary address.
    pub is_out: bool,
    first_seen: Instant,
}

impl KnownMailbox {
    pub fn rank(&self, key: &MailboxKey) -> Rank {
        (created(&self.object.metadata), key.clone())
    }
}

impl Index {
    pub fn mailbox(&self, key: &MailboxKey) -> Option<Arc<SharedMailbox>> {
        self.mailboxes.get(key).map(|seen| Arc::clone(&seen.object))
    }

    pub fn first_seen(&self, key: &MailboxKey) -> Option<Instant> {
        self.mailboxes.get(key).map(|seen| seen.first_seen)
    }

    /// The permissions that name this mailbox, by name, whether it exists or not.
    pub fn permissions_of(&self, key: &MailboxKey) -> Vec<Arc<MailboxPermission>> {
        self.permissions
            .get(key)
            .map(|all| all.values().cloned().collect())
            .unwrap_or_default()
    }

    pub fn ledgers(&self) -> &Ledgers {
        &self.ledgers
    }

    pub fn ledgers_mut(&mut self) -> &mut Ledgers {
        &mut self.ledgers
    }

    pub fn in_namespace(&self, namespace: &str) -> impl Iterator<Item = (&MailboxKey, &KnownMailbox)> {
        let first = MailboxKey {
            namespace: namespace.to_owned(),
            name: String::new(),
        };
        let from_here = self.mailboxes.range(first..);
        from_here.take_while(move |(key, _)| key.namespace == namespace)
    }

    pub fn uid_is_alive(&self, uid: &str) -> bool {
        self.uids.contains(uid)
    }

    /// The mailboxes on which these people hold something, for them to lose it at once.
    pub fn held_by(&self, people: &People) -> Changes {
        self.ledgers.revocations_of(people)
    }

    /// What is due because the end of a permission has come, or is a day ahead.
    pub fn due(&mut self, now: Timestamp) -> Changes {
        self.deadlines.due(now)
    }

    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.next()
    }

    pub fn mailboxes(&self) -> impl Iterator<Item = &SharedMailbox> {
        self.mailboxes.values().map(|seen| &*seen.object)
    }

    pub fn permissions(&self) -> impl Iterator<Item = &MailboxPermission> {
        self.permissions
            .values()
            .flat_map(|all| all.values())
            .map(|object| &**object)
    }

    /// Nothing is parsed here: everybody waits for the index.
    pub fn apply_mailbox(&mut self, read: ReadMailbox, now: Instant) -> Changes {
        let Some(key) = MailboxKey::of(&read.object) else {
            return Changes::new();
        };
        let is_readable_again = self.readable(MAILBOX, &key.namespace, &key.name);
        let created = created(&read.object.metadata);
        let share = self.room.share(MAILBOX, &key.namespace);
        let was_out = share.is_out(&key.name);
        let moved = share.set(&key.name, created, read.size, MAILBOXES);
        let is_out = share.is_out(&key.name);
        let mut changes = self.note_moved(MAILBOX, &key.namespace, moved);
        self.room.was_read(MAILBOX, &key.namespace, &key.name);
        if was_out != is_out || is_readable_again {
            changes.push((Work::Mailbox(key.clone()), Lane::Edit));
        }
        let read = if is_out {
            ReadMailbox::by_name_and_size(&read.object, &read.claims, read.size)
        } else {
            read
        };
        changes.extend(self.keep_mailbox(key, read, is_out, now));
        changes
    }

    fn keep_mailbox(&mut self, key: MailboxKey, read: ReadMailbox, is_out: bool, now: Instant) -> Changes {
        let ReadMailbox {
            object,
            claims,
            size: _,
        } = read;
        let mut changes = Changes::new();
        let before = self.mailboxes.remove(&key);
        match &before {
            Some(before) if same_mailbox_request(&before.object, &object) => {}
            Some(_) => changes.push((Work::Mailbox(key.clone()), Lane::Edit)),
            None => changes.push((Work::Mailbox(key.clone()), first_lane(&object))),
        }
        let rank = (created(&object.metadata), key.clone());
        if let Some(before) = &before {
            // Another creation, tenant or size is another claim.
            let is_same_claim = before.rank(&key) == rank
                && before.object.spec.tenant_ref == object.spec.tenant_ref
                && !is_out;
            let is_kept = |address: &SmtpAddress| is_same_claim && claims.contains(address);
            let released = before.claims.iter().filter(|address| !is_kept(address));
            let released = released.cloned().collect();
            self.unclaim(&key, before, &released, &mut changes);
            self.uids.remove(&before.object.uid().unwrap_or_default());
        }
        for address in claims.iter().filter(|_| !is_out) {
            let claim = (object.spec.tenant_ref.name.clone(), address.clone());
            self.claims.entry(claim).or_default().insert(rank.clone());
        }
        self.uids.insert(object.uid().unwrap_or_default());
        let same = before.filter(|before| before.object.uid() == object.uid());
        let first_seen = same.map_or(now, |before| before.first_seen);
        self.mailboxes.insert(
            key,
            KnownMailbox {
                object: Arc::new(object),
                claims: Arc::new(claims),
                is_out,
                first_seen,
            },
        );
        changes
    }

    pub fn delete_mailbox(&mut self, key: &MailboxKey) -> Changes {
        let mut changes = Changes::new();
        self.readable(MAILBOX, &key.namespace, &key.name);
        let moved = self
            .room
            .share(MAILBOX, &key.namespace)
            .remove(&key.name, MAILBOXES);
        changes.extend(self.note_moved(MAILBOX, &key.namespace, moved));
        self.room.forget_empty_share(MAILBOX, &key.namespace);
        if let Some(gone) = self.mailboxes.remove(key) {
            self.unclaim(key, &gone, &gone.claims, &mut changes);
            self.uids.remove(&gone.object.uid().unwrap_or_default());
            // Its permissions must say that their mailbox is gone.
            changes.push((Work::Mailbox(key.clone()), Lane::Edit));
        }
        changes
    }

    /// Whoever waited for an address that is free now is reconciled again.
    fn unclaim(&mut self, key: &MailboxKey, before: &KnownMailbox, released: &Claims, changes: &mut Changes) {
        // It claimed nothing.
        if before.is_out {
            return;
        }
        let rank = before.rank(key);
        let tenant = &before.object.spec.tenant_ref.name;
        for address in released {
            let claim = (tenant.clone(), address.clone());
            if let Some(claimants) = self.claims.get_mut(&claim) {
                claimants.remove(&rank);
                changes.extend(
                    claimants
                        .iter()
                        .map(|(_, other)| (Work::Mailbox(other.clone()), Lane::Edit)),
                );
                if claimants.is_empty() {
                    self.claims.remove(&claim);
                }
            }
        }
    }

    pub fn apply_permission(&mut self, read: impl Into<ReadPermission>, now: Timestamp) -> Changes {
        let ReadPermission { object, size } = read.into();
        let (Some(namespace), Some(name)) = (object.namespace(), object.metadata.name.clone()) else {
            return Changes::new();
        };
        let home = MailboxKey {
            namespace: namespace.clone(),
            name: object.spec.mailbox_ref.name.clone(),
        };
        let mut changes = self.readable_again(&namespace, &name);
        // Deleted and applied again with another mailboxRef while we did not watch.
        if self
            .permission_homes
            .get(&(namespace.clone(), name.clone()))
            .is_some_and(|old| *old != home)
        {
            changes.extend(self.delete_permission(&namespace, &name));
        }
        let created = created(&object.metadata);
        let share = self.room.share(PERMISSION, &namespace);
        let moved = share.set(&name, created, size, PERMISSIONS);
        let is_out = share.is_out(&name);
        changes.extend(self.note_moved(PERMISSION, &namespace, moved));
        self.room.was_read(PERMISSION, &namespace, &name);
        self.permission_homes
            .insert((namespace.clone(), name.clone()), home.clone());
        if is_out {
            changes.extend(self.put_out(&home, &name));
            self.room.moved(PERMISSION, &namespace, &name);
            return changes;
        }
        if self.room.is_let_in(&home, &name) {
            changes.push((Work::Mailbox(home.clone()), Lane::Edit));
        }
        let before = self.permissions.get(&home).and_then(|all| all.get(&name));
        if let Some(lane) = permission_lane(before.map(Arc::as_ref), &object) {
            changes.push((Work::Mailbox(home.clone()), lane));
        }
        let is_new = before.is_none();
        self.deadlines.set(&home, &name, &object, (is_new, now));
        self.permissions
            .entry(home)
            .or_default()
            .insert(name, Arc::new(object));
        changes
    }

    pub fn delete_permission(&mut self, namespace: &str, name: &str) -> Changes {
        let mut changes = self.readable_again(namespace, name);
        let moved = self.room.share(PERMISSION, namespace).remove(name, PERMISSIONS);
        changes.extend(self.note_moved(PERMISSION, namespace, moved));
        self.room.forget_empty_share(PERMISSION, namespace);
        self.room.was_read(PERMISSION, namespace, name);
        let Some(home) = self
            .permission_homes
            .remove(&(namespace.to_owned(), name.to_owned()))
        else {
            return changes;
        };
        self.room.is_let_in(&home, name);
        self.deadlines.forget(&home, name);
        if let Some(all) = self.permissions.get_mut(&home) {
            all.remove(name);
            if all.is_empty() {
                self.permissions.remove(&home);
            }
        }
        changes.push((Work::Mailbox(home), Lane::Revocation));
        changes
    }

    /// A permission is known by name and size only. Its mailbox has to know.
    fn put_out(&mut self, home: &MailboxKey, name: &str) -> Changes {
        self.deadlines.forget(home, name);
        let known = self.permissions.get_mut(home).and_then(|all| all.remove(name));
        let is_new = self.room.put_out(home, name);
        let is_news = known.is_some() || is_new;
        is_news
            .then(|| (Work::Mailbox(home.clone()), Lane::Edit))
            .into_iter()
            .collect()
    }

    /// Somebody else's size decides about these objects, too.
    fn note_moved(&mut self, kind: &'static str, namespace: &str, moved: Moved) -> Changes {
        let Moved { out, again } = moved;
        let mut changes = Changes::new();
        for name in out {
            self.room.was_read(kind, namespace, &name);
            let key = (namespace.to_owned(), name.clone());
            match self.permission_homes.get(&key).cloned() {
                Some(home) if kind == PERMISSION => {
                    changes.extend(self.put_out(&home, &name));
                    self.room.moved(kind, namespace, &name);
                }
                Some(_) | None => changes.extend(self.slim_mailbox(namespace, &name)),
            }
        }
        for name in again {
            self.room.is_to_be_read_again(kind, namespace, &name);
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
        let mut changes = self.keep_mailbox(key.clone(), slim, true, first_seen);
        changes.push((Work::Mailbox(key), Lane::Edit));
        changes
    }

    /// For which objects of a namespace there is room.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// Objects that somebody has to see to, once.
    pub fn take_moved(&mut self) -> Vec<Object> {
        self.room.take_moved()
    }

    /// Whatever waited because this permission could not be decoded is due: revocations above all.
    fn readable_again(&mut self, namespace: &str, name: &str) -> Changes {
        if !self.readable(PERMISSION, namespace, name) {
            return Changes::new();
        }
        let here = self.in_namespace(namespace);
        here.map(|(key, _)| (Work::Mailbox(key.clone()), Lane::Revocation))
            .collect()
    }

    /// Remembers that an object can't be decoded. What it declared before stays declared. False when that is known.
    pub fn mark_unreadable(&mut self, kind: &'static str, namespace: &str, name: &str) -> bool {
        let here = self.unreadable.entry((kind, namespace.to_owned())).or_default();
        here.insert(name.to_owned())
    }

    /// True when the object could not be decoded before.
    fn readable(&mut self, kind: &'static str, namespace: &str, name: &str) -> bool {
        if self.unreadable.is_empty() {
            return false;
        }
        let key = (kind, namespace.to_owned());
        let Some(here) = self.unreadable.get_mut(&key) else {
            return false;
        };
        let was_there = here.remove(name);
        if here.is_empty() {
            self.unreadable.remove(&key);
        }
        was_there
    }

    pub fn has_unreadable_permissions(&self, namespace: &str) -> bool {
        self.unreadable.contains_key(&(PERMISSION, namespace.to_owned()))
    }

    /// How many objects of a kind can't be decoded.
    pub fn unreadable(&self, kind: &str) -> usize {
        let all = self.unreadable.iter();
        all.filter(|((other, _), _)| *other == kind)
            .map(|(_, names)| names.len())
            .sum()
    }

    /// Whether this very object, as it is now, can't be decoded.
    pub fn is_unreadable(&self, kind: &'static str, metadata: &ObjectMeta) -> bool {
        // Nearly always none is, and this is asked of every object.
        !self.unreadable.is_empty() && {
            let text = |part: &Option<String>| part.clone().unwrap_or_default();
            let here = self.unreadable.get(&(kind, text(&metadata.namespace)));
            here.is_some_and(|names| names.contains(&text(&metadata.name)))
        }
    }

    pub fn apply_ledger(&mut self, glance: LedgerGlance, now: Timestamp) -> Changes {
        let name = glance.name_any();
        self.readable(LEDGER, "", &name);
        self.ledgers.apply(glance, now)
    }

    pub fn delete_ledger(&mut self, name: &str) -> Changes {
        self.readable(LEDGER, "", name);
        self.ledgers.delete(name)
    }

    pub fn apply_tenant(&mut self, mut object: ExchangeTenant) -> Changes {
        prune(&mut object.metadata);
        let name = object.metadata.name.clone().unwrap_or_default();
        self.readable(TENANT, "", &name);
        let before = self.tenants.get(&name);
        let request = |t: &ExchangeTenant| {
            (
                t.uid(),
                t.metadata.generation,
                reconcile_requests(t.annotations()).map(Option::<&String>::cloned),
            )
        };
        let same = before.is_some_and(|before| request(before) == request(&object));
        self.tenants.insert(name.clone(), Arc::new(object));
        if same {
            Changes::new()
        } else {
            vec![(Work::Tenant(name), Lane::Edit)]
        }
    }

    pub fn delete_tenant(&mut self, name: &str) -> Changes {
        self.readable(TENANT, "", name);
        match self.tenants.remove(name) {
            Some(_) => vec![(Work::Tenant(name.to_owned()), Lane::Edit)],
            None => Changes::new(),
        }
    }

    pub fn tenant(&self, name: &str) -> Option<Arc<ExchangeTenant>> {
        self.tenants.get(name).cloned()
    }

    pub fn has_tenant(&self, name: &str) -> bool {
        self.tenants.contains_key(name)
    }

    pub fn tenants(&self) -> Vec<Arc<ExchangeTenant>> {
        self.tenants.values().cloned().collect()
    }
}

fn created(metadata: &ObjectMeta) -> Option<Timestamp> {
    metadata.creation_timestamp.as_ref().map(|time| time.0)
}

mod queries;
mod room;
#[cfg(test)]
mod tests;
