//! What the watches showed, by mailbox: small, and able to say what a change means.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::core::ObjectMeta;
use tokio::time::Instant;

use super::deadlines::Deadlines;
use super::key::{Changes, LEDGER, MAILBOX, MailboxKey, PERMISSION, TENANT, Work};
use super::ledgers::Ledgers;
use super::read_mailbox::ReadMailbox;
use super::requests::{first_lane, permission_lane, prune, same_mailbox_request};
use super::seen_ledger::{LedgerGlance, SeenLedger};
use super::share::{Beyond, MAILBOXES, PERMISSIONS, Share};
use crate::api::{ExchangeTenant, MailboxPermission, SharedMailbox, reconcile_requests};
use crate::lane::Lane;
use crate::mail::{Right, SmtpAddress};
use crate::plan::People;

#[derive(Default)]
pub struct Index {
    mailboxes: BTreeMap<MailboxKey, SeenMailbox>,
    permissions: BTreeMap<MailboxKey, BTreeMap<String, Arc<MailboxPermission>>>,
    /// Which mailbox each permission, by namespace and name, belongs to.
    permission_homes: BTreeMap<(String, String), MailboxKey>,
    claims: HashMap<(String, SmtpAddress), BTreeSet<MailboxKey>>,
    uids: HashSet<String>,
    tenants: BTreeMap<String, Arc<ExchangeTenant>>,
    /// Objects, by kind, namespace and name, that could not be decoded: nobody knows what they declare.
    unreadable: BTreeSet<(&'static str, String, String)>,
    /// What each namespace has, by kind.
    shares: HashMap<(&'static str, String), Share>,
    /// Permissions that are known by name and size only, by mailbox.
    beyond: BTreeMap<MailboxKey, BTreeSet<String>>,
    /// Objects that are to be read again, because there is room for them.
    to_be_read: BTreeSet<(&'static str, String, String)>,
    /// Those for which there is no room any more, or room again, until somebody sees to them.
    moved: Vec<Beyond>,
    ledgers: Ledgers,
    deadlines: Deadlines,
}

struct SeenMailbox {
    object: Arc<SharedMailbox>,
    claims: BTreeSet<SmtpAddress>,
    first_seen: Instant,
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

    /// What nobody saw happen before a restart: ledgers that grant what no permission declares, of which a revocation
    /// must not wait behind the regular rechecks; and ledgers whose resource is gone.
    pub fn owed_by_ledgers(&self) -> Changes {
        let lane = |ledger: &SeenLedger| {
            let permissions = self.permissions.get(&ledger.key);
            let permissions = permissions.into_iter().flat_map(BTreeMap::values);
            let declared: Vec<(SmtpAddress, Right)> =
                permissions.flat_map(|permission| rights_of(permission)).collect();
            match self.mailboxes.contains_key(&ledger.key) {
                true if ledger.owes(&declared) => Some(Lane::Revocation),
                true => None,
                false => Some(Lane::Sweep),
            }
        };
        let owed = self.ledgers.all();
        owed.filter_map(|ledger| Some((Work::Mailbox(ledger.key.clone()), lane(ledger)?)))
            .collect()
    }

    pub fn uid_is_alive(&self, uid: &str) -> bool {
        self.uids.contains(uid)
    }

    /// On how many mailboxes of the tenant named `tenant` changes wait for approval.
    pub fn held_mailboxes(&self, tenant: &str) -> usize {
        let waits = |seen: &&SeenMailbox| {
            let status = seen.object.status.as_ref();
            seen.object.spec.tenant_ref.name == tenant && status.is_some_and(|status| status.held.is_some())
        };
        self.mailboxes.values().filter(waits).count()
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

    /// All mailboxes that claim `address` in the tenant named `tenant`.
    pub fn claimants(&self, tenant: &str, address: &SmtpAddress) -> Vec<Arc<SharedMailbox>> {
        let keys = self.claims.get(&(tenant.to_owned(), address.clone()));
        keys.into_iter()
            .flatten()
            .filter_map(|key| self.mailbox(key))
            .collect()
    }

    pub fn mailboxes_in(&self, namespace: &str) -> Vec<Arc<SharedMailbox>> {
        let first = MailboxKey {
            namespace: namespace.to_owned(),
            name: String::new(),
        };
        let from_here = self.mailboxes.range(first..);
        let here = from_here.take_while(|(key, _)| key.namespace == namespace);
        here.map(|(_, seen)| Arc::clone(&seen.object)).collect()
    }

    /// The mailboxes that belong to the tenant named `tenant`, and those whose resource is gone.
    pub fn of_tenant(&self, tenant: &str) -> Vec<MailboxKey> {
        let mailboxes = self
            .mailboxes
            .iter()
            .filter(|(_, seen)| seen.object.spec.tenant_ref.name == tenant);
        let present = mailboxes.map(|(key, _)| key.clone());
        present
            .chain(self.ledgers.released(|other| other == tenant))
            .collect()
    }

    /// Mailboxes whose resource is gone, and the ExchangeTenant that it named, too: another one may lead to the same tenant.
    pub fn orphaned(&self) -> Vec<MailboxKey> {
        self.ledgers.released(|tenant| !self.has_tenant(tenant))
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
        let share = self.share(MAILBOX, &key.namespace);
        let was_out = share.is_out(&key.name);
        let moved = share.set(&key.name, created, read.size, MAILBOXES);
        let is_out = share.is_out(&key.name);
        let mut changes = self.note_moved(MAILBOX, &key.namespace, moved);
        self.to_be_read
            .remove(&(MAILBOX, key.namespace.clone(), key.name.clone()));
        if was_out != is_out || is_readable_again {
            changes.push((Work::Mailbox(key.clone()), Lane::Edit));
        }
        let read = if is_out {
            ReadMailbox::by_name_and_size(&read.object, &read.claims, read.size)
        } else {
            read
        };
        changes.extend(self.keep_mailbox(key, read, now));
        changes
    }

    fn keep_mailbox(&mut self, key: MailboxKey, read: ReadMailbox, now: Instant) -> Changes {
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
        if let Some(before) = &before {
            let released = before.claims.difference(&claims).cloned().collect();
            let tenant = &before.object.spec.tenant_ref.name;
            self.unclaim(&key, tenant, &released, &mut changes);
            self.uids.remove(&before.object.uid().unwrap_or_default());
        }
        for address in &claims {
            let claim = (object.spec.tenant_ref.name.clone(), address.clone());
            self.claims.entry(claim).or_default().insert(key.clone());
        }
        self.uids.insert(object.uid().unwrap_or_default());
        let same = before.filter(|before| before.object.uid() == object.uid());
        let first_seen = same.map_or(now, |before| before.first_seen);
        self.mailboxes.insert(
            key,
            SeenMailbox {
                object: Arc::new(object),
                claims,
                first_seen,
            },
        );
        changes
    }

    pub fn delete_mailbox(&mut self, key: &MailboxKey) -> Changes {
        let mut changes = Changes::new();
        self.readable(MAILBOX, &key.namespace, &key.name);
        let moved = self.share(MAILBOX, &key.namespace).remove(&key.name, MAILBOXES);
        changes.extend(self.note_moved(MAILBOX, &key.namespace, moved));
        self.forget_empty_share(MAILBOX, &key.namespace);
        if let Some(gone) = self.mailboxes.remove(key) {
            self.unclaim(key, &gone.object.spec.tenant_ref.name, &gone.claims, &mut changes);
            self.uids.remove(&gone.object.uid().unwrap_or_default());
            // Its permissions must say that their mailbox is gone.
            changes.push((Work::Mailbox(key.clone()), Lane::Edit));
        }
        changes
    }

    /// Whoever waited for an address that is free now is reconciled again.
    fn unclaim(
        &mut self,
        key: &MailboxKey,
        tenant: &str,
        released: &BTreeSet<SmtpAddress>,
        changes: &mut Changes,
    ) {
        for address in released {
            let claim = (tenant.to_owned(), address.clone());
            if let Some(claimants) = self.claims.get_mut(&claim) {
                claimants.remove(key);
                changes.extend(
                    claimants
                        .iter()
                        .map(|other| (Work::Mailbox(other.clone()), Lane::Edit)),
                );
                if claimants.is_empty() {
                    self.claims.remove(&claim);
                }
            }
        }
    }

    pub fn apply_permission(&mut self, mut object: MailboxPermission) -> Changes {
        prune(&mut object.metadata);
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
        let (created, size) = (created(&object.metadata), object.spec.members.len());
        let share = self.share(PERMISSION, &namespace);
        let moved = share.set(&name, created, size, PERMISSIONS);
        let is_out = share.is_out(&name);
        changes.extend(self.note_moved(PERMISSION, &namespace, moved));
        self.to_be_read
            .remove(&(PERMISSION, namespace.clone(), name.clone()));
        self.permission_homes
            .insert((namespace.clone(), name.clone()), home.clone());
        if is_out {
            changes.extend(self.put_out(&home, &name));
            self.moved.push(Beyond::new(PERMISSION, &namespace, &name));
            return changes;
        }
        if self.is_let_in(&home, &name) {
            changes.push((Work::Mailbox(home.clone()), Lane::Edit));
        }
        let before = self.permissions.get(&home).and_then(|all| all.get(&name));
        if let Some(lane) = permission_lane(before.map(Arc::as_ref), &object) {
            changes.push((Work::Mailbox(home.clone()), lane));
        }
        self.deadlines.set(&home, &name, &object);
        self.permissions
            .entry(home)
            .or_default()
            .insert(name, Arc::new(object));
        changes
    }

    pub fn delete_permission(&mut self, namespace: &str, name: &str) -> Changes {
        let mut changes = self.readable_again(namespace, name);
        let moved = self.share(PERMISSION, namespace).remove(name, PERMISSIONS);
        changes.extend(self.note_moved(PERMISSION, namespace, moved));
        self.forget_empty_share(PERMISSION, namespace);
        self.to_be_read
            .remove(&(PERMISSION, namespace.to_owned(), name.to_owned()));
        let Some(home) = self
            .permission_homes
            .remove(&(namespace.to_owned(), name.to_owned()))
        else {
            return changes;
        };
        self.is_let_in(&home, name);
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

    /// Whatever waited because this permission could not be decoded is due: revocations above all.
    fn readable_again(&mut self, namespace: &str, name: &str) -> Changes {
        if !self.readable(PERMISSION, namespace, name) {
            return Changes::new();
        }
        let here = self.mailboxes.keys().filter(|key| key.namespace == namespace);
        here.map(|key| (Work::Mailbox(key.clone()), Lane::Revocation))
            .collect()
    }

    /// Remembers that an object can't be decoded. What it declared before stays declared.
    pub fn mark_unreadable(&mut self, kind: &'static str, namespace: &str, name: &str) {
        self.unreadable
            .insert((kind, namespace.to_owned(), name.to_owned()));
    }

    /// True when the object could not be decoded before.
    fn readable(&mut self, kind: &'static str, namespace: &str, name: &str) -> bool {
        self.unreadable
            .remove(&(kind, namespace.to_owned(), name.to_owned()))
    }

    pub fn has_unreadable_permissions(&self, namespace: &str) -> bool {
        self.unreadable
            .iter()
            .any(|(kind, other, _)| *kind == PERMISSION && other == namespace)
    }

    /// How many objects of a kind can't be decoded.
    pub fn unreadable(&self, kind: &str) -> usize {
        self.unreadable
            .iter()
            .filter(|(other, ..)| *other == kind)
            .count()
    }

    /// Whether this very object, as it is now, can't be decoded.
    pub fn is_unreadable(&self, kind: &'static str, metadata: &ObjectMeta) -> bool {
        // Nearly always none is, and this is asked of every object.
        !self.unreadable.is_empty() && {
            let text = |part: &Option<String>| part.clone().unwrap_or_default();
            let key = (kind, text(&metadata.namespace), text(&metadata.name));
            self.unreadable.contains(&key)
        }
    }

    /// Namespace and name of those.
    fn unreadable_names(&self, kind: &'static str) -> impl Iterator<Item = (String, String)> {
        self.unreadable
            .iter()
            .filter(move |(other, ..)| *other == kind)
            .map(|(_, namespace, name)| (namespace.clone(), name.clone()))
    }

    pub fn apply_ledger(&mut self, glance: LedgerGlance) -> Changes {
        let name = glance.name_any();
        self.readable(LEDGER, "", &name);
        self.ledgers.apply(glance)
    }

    pub fn delete_ledger(&mut self, name: &str) -> Changes {
        self.readable(LEDGER, "", name);
        self.ledgers.delete(name)
    }

    pub fn ledger_names(&self) -> Vec<String> {
        let unreadable = self.unreadable_names(LEDGER).map(|(_, name)| name);
        self.ledgers.names().into_iter().chain(unreadable).collect()
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

    pub fn mailbox_keys(&self) -> Vec<MailboxKey> {
        let unreadable = self.unreadable_names(MAILBOX);
        self.mailboxes
            .keys()
            .cloned()
            .chain(unreadable.map(|(namespace, name)| MailboxKey { namespace, name }))
            .collect()
    }

    pub fn permission_keys(&self) -> Vec<(String, String)> {
        self.permission_homes
            .keys()
            .cloned()
            .chain(self.unreadable_names(PERMISSION))
            .collect()
    }

    pub fn tenant_names(&self) -> Vec<String> {
        let unreadable = self.unreadable_names(TENANT).map(|(_, name)| name);
        self.tenants.keys().cloned().chain(unreadable).collect()
    }
}

/// Each right of each member, as written.
fn rights_of(permission: &MailboxPermission) -> impl Iterator<Item = (SmtpAddress, Right)> {
    let spec = &permission.spec;
    let members = spec
        .members
        .iter()
        .filter_map(|member| member.user.as_ref().or(member.group.as_ref()));
    members
        .filter_map(|address| address.parse::<SmtpAddress>().ok())
        .flat_map(|address| spec.rights.iter().map(move |right| (address.clone(), *right)))
}

fn created(metadata: &ObjectMeta) -> Option<Timestamp> {
    metadata.creation_timestamp.as_ref().map(|time| time.0)
}

mod room;
#[cfg(test)]
mod tests;
