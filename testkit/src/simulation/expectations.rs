//! What was asked for and when, and whose everything is: the oracles' memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use simulator::Control;
use uuid::Uuid;

use super::model;
use super::standing::{Standing, standing};
use super::wishes::{self, Key, Right};
use crate::world::World;

/// Where the usual tenant keeps markers.
pub const MARKER_ATTRIBUTE: &str = "CustomAttribute15";

/// The wanted grants from one moment on, with automapping where it means something.
pub struct Wanted {
    pub from: Timestamp,
    pub grants: BTreeMap<Key, bool>,
    /// The names of the SharedMailboxes that there are.
    pub mailboxes: BTreeSet<String>,
}

pub struct Expectations {
    pub history: Vec<Wanted>,
    /// Every end that was declared for a grant, past or to come.
    ends: BTreeSet<(Key, Timestamp)>,
    /// Everything that was in the tenant before us, by object id: nobody but an admin may change it.
    pub foreign_objects: BTreeMap<String, Value>,
    /// Grants that an admin made and no manifest has asked for since: they stay.
    pub foreign_grants: BTreeSet<(Uuid, Uuid, Right)>,
    /// Grants, by mailbox, that may be there or not: their declaration was given up with the mailbox's resource,
    /// or they were an admin's before they were declared.
    pub tolerated: BTreeSet<(Uuid, Uuid, Right)>,
    /// Mailboxes, by name, whose SharedMailbox was deleted under RevokePermissions and not applied since: nothing is wanted on
    /// them.
    revoked_with: BTreeSet<String>,
    /// Mailboxes whose marker an admin overwrote, and since when: nobody of us writes to them any more.
    pub given_away: BTreeMap<Uuid, Timestamp>,
    /// Further addresses that were declared since the resource was applied, and its former primary addresses.
    pub declared_aliases: BTreeMap<String, BTreeSet<String>>,
    pub primaries: BTreeMap<String, BTreeSet<String>>,
    /// Rights that are missing although Ready says True, since when.
    missing_while_ready: BTreeMap<Key, Timestamp>,
    /// The revisions of both sides at the last observation.
    observed_at: (u64, u64),
    /// The longest such time that was seen, and for what.
    pub untruth: Option<(Duration, Key)>,
    /// Rights that were there at some time since they were last asked for.
    were_there: BTreeSet<Key>,
    /// Mailboxes, by name and generation, whose settings were as declared at some time.
    were_as_declared: BTreeSet<(String, i64)>,
    /// Permissions that contradict their mailboxes, since when.
    at_odds: BTreeMap<String, Timestamp>,
    /// The longest such time that was seen, and of which permission.
    pub contradiction: Option<(Duration, String)>,
    /// The first thing that was reported and had never been so since it was asked for.
    pub lie: Option<String>,
}

impl Expectations {
    pub fn open(tenant: &Control) -> Self {
        let mut expected = Self {
            history: Vec::new(),
            ends: BTreeSet::new(),
            foreign_objects: BTreeMap::new(),
            foreign_grants: BTreeSet::new(),
            tolerated: BTreeSet::new(),
            revoked_with: BTreeSet::new(),
            given_away: BTreeMap::new(),
            declared_aliases: BTreeMap::new(),
            primaries: BTreeMap::new(),
            missing_while_ready: BTreeMap::new(),
            observed_at: (0, 0),
            untruth: None,
            were_there: BTreeSet::new(),
            were_as_declared: BTreeSet::new(),
            at_odds: BTreeMap::new(),
            contradiction: None,
            lie: None,
        };
        for object in objects(tenant) {
            expected.foreign_objects.insert(id_of(&object), object);
        }
        expected
    }

    /// Takes the newest manifests into account.
    pub fn note(&mut self, world: &World) {
        let grants = wishes::wanted(world);
        self.ends.extend(wishes::declared_ends(world));
        self.give_up(world);
        let staying = |mailbox: &Arc<Value>| mailbox["metadata"]["deletionTimestamp"].is_null();
        for mailbox in model::mailboxes(world).into_iter().filter(staying) {
            let name = model::name(&mailbox);
            let aliases = self.declared_aliases.entry(name.clone()).or_default();
            aliases.extend(model::texts(&mailbox["spec"]["aliases"]));
            let primary = mailbox["spec"]["emailAddress"].as_str().unwrap_or_default();
            self.primaries
                .entry(name.clone())
                .or_default()
                .insert(primary.to_lowercase());
            if mailbox["spec"]["adoption"] == "SharedMailbox"
                && let Some(view) = world.tenant.mailbox(primary)
                && view.type_details == "SharedMailbox"
                && let Some(_) = self.foreign_objects.remove(&view.object_id.to_string())
            {
                // From now on it may be ours; who was granted something before keeps it.
                let held = model::held(&view).into_iter();
                self.foreign_grants
                    .extend(held.map(|(who, right)| (view.object_id, who, right)));
                let its_own = view.addresses.iter().filter_map(|address| address.get(5..));
                let its_own = its_own.map(str::to_lowercase);
                self.primaries.entry(name.clone()).or_default().extend(its_own);
            }
            // Only an admin's grant can come to be declared.
            if self.foreign_grants.is_empty() {
                continue;
            }
            let Some(view) = model::view_of(world, &mailbox) else {
                continue;
            };
            for key in grants.keys().filter(|key| key.mailbox == name) {
                let grant = (view.object_id, key.member, key.right);
                if self.foreign_grants.remove(&grant) {
                    self.tolerated.insert(grant);
                }
            }
        }
        self.remember(world, world.server.now(), grants);
    }

    /// What may be taken away from strangers now may be gone from now on.
    fn give_up(&mut self, world: &World) {
        let exclusive = model::exclusive(world);
        let departed = wishes::departed(world);
        let may_go = |(mailbox, person, _): &(Uuid, Uuid, Right)| {
            let ignored = exclusive.get(mailbox);
            departed.contains(person) || ignored.is_some_and(|ignored| !ignored.contains(person))
        };
        let (given_up, kept) = std::mem::take(&mut self.foreign_grants)
            .into_iter()
            .partition(may_go);
        self.foreign_grants = kept;
        self.tolerated.extend::<BTreeSet<_>>(given_up);
    }

    /// What is wanted from now on.
    fn remember(&mut self, world: &World, from: Timestamp, mut grants: BTreeMap<Key, bool>) {
        let mailboxes = model::mailboxes(world);
        for mailbox in &mailboxes {
            let name = model::name(mailbox);
            if mailbox["metadata"]["deletionTimestamp"].is_null() {
                self.revoked_with.remove(&name);
            } else if mailbox["spec"]["deletionPolicy"] == "RevokePermissions" {
                self.revoked_with.insert(name);
            }
        }
        self.were_there.retain(|key| grants.contains_key(key));
        grants.retain(|key, _| !self.revoked_with.contains(&key.mailbox));
        let mailboxes: BTreeSet<String> = mailboxes.iter().map(|mailbox| model::name(mailbox)).collect();
        let same = |last: &Wanted| last.grants == grants && last.mailboxes == mailboxes;
        if !self.history.last().is_some_and(same) {
            self.history.push(Wanted {
                from,
                grants,
                mailboxes,
            });
        }
    }

    /// The resource of this name is about to be deleted: what was declared on its mailbox is nobody's from now on.
    pub fn release(&mut self, world: &World, name: &str) {
        let found = model::mailboxes(world)
            .into_iter()
            .find(|mailbox| model::name(mailbox) == name);
        let view = found.and_then(|mailbox| model::view_of(world, &mailbox));
        // A status that was scrambled knows no mailbox.
        let view = view.or_else(|| model::marked(world, name));
        if let Some(view) = view {
            let ever = self.history.iter().flat_map(|wanted| wanted.grants.keys());
            let on_it = ever.filter(|key| key.mailbox == name);
            self.tolerated
                .extend(on_it.map(|key| (view.object_id, key.member, key.right)));
        }
        self.declared_aliases.remove(name);
    }

    /// What an admin changed is the admin's.
    pub fn admin_ran(&mut self, world: &World, cmdlet: &str, parameters: &Value) {
        let text = |name: &str| parameters[name].as_str().unwrap_or_default();
        self.refresh(&world.tenant, text("Identity"));
        if parameters.get(MARKER_ATTRIBUTE).is_some()
            && let Some(mailbox) = world.tenant.object_id(text("Identity"))
        {
            self.given_away.insert(mailbox, world.server.now());
        }
        let right = match cmdlet {
            "Add-MailboxPermission" | "Remove-MailboxPermission" => Right::FullAccess,
            "Add-RecipientPermission" | "Remove-RecipientPermission" => Right::SendAs,
            "Set-Mailbox" if parameters.get("GrantSendOnBehalfTo").is_some() => Right::SendOnBehalf,
            _ => return,
        };
        let added = parameters["GrantSendOnBehalfTo"]["Add"][0].as_str();
        let names = [text("User"), text("Trustee"), added.unwrap_or_default()];
        let trustee = names.into_iter().find_map(|name| world.tenant.object_id(name));
        let mailbox = world.tenant.mailbox(text("Identity"));
        if let (Some(mailbox), Some(trustee)) = (mailbox, trustee) {
            if cmdlet.starts_with("Remove-") {
                self.foreign_grants.remove(&(mailbox.object_id, trustee, right));
                return;
            }
            let wanted = wishes::wanted(world);
            let name = model::marked_name(&mailbox);
            let declared = wanted.keys().any(|key| {
                Some(&key.mailbox) == name.as_ref() && key.member == trustee && key.right == right
            });
            let grant = (mailbox.object_id, trustee, right);
            if declared || self.tolerated.contains(&grant) || self.was_wanted(name.as_deref(), trustee, right)
            {
                self.tolerated.insert(grant);
            } else {
                self.foreign_grants.insert(grant);
            }
        }
    }

    /// True when the grant was ever declared: its removal may still be under way.
    pub fn was_wanted(&self, name: Option<&str>, member: Uuid, right: Right) -> bool {
        let mut ever = self.history.iter().flat_map(|wanted| wanted.grants.keys());
        ever.any(|key| Some(key.mailbox.as_str()) == name && key.member == member && key.right == right)
    }

    /// An object of the tenant as it is from now on, if it was there before us.
    pub fn refresh(&mut self, tenant: &Control, identity: &str) {
        let Some(id) = tenant.object_id(identity).map(|id| id.to_string()) else {
            return;
        };
        if let Some(known) = self.foreign_objects.get_mut(&id)
            && let Some(now) = objects(tenant).into_iter().find(|object| id_of(object) == id)
        {
            *known = now;
        }
    }

    /// Compares what statuses say with the tenant.
    pub fn observe(&mut self, world: &World) {
        let now = world.server.now();
        if !self.foreign_grants.is_empty() {
            // A mailbox may be known only a while after its manifest turned Exclusive.
            self.give_up(world);
        }
        if wishes::something_ends(world) {
            // The operator may be quicker than this observation.
            let from = wishes::last_end(world).unwrap_or(now);
            self.remember(world, from, wishes::wanted(world));
        }
        let revisions = (world.server.revision(), world.tenant.revision());
        if self.observed_at != revisions {
            self.observed_at = revisions;
            let Standing {
                held,
                missing_while_ready: missing,
                missing_while_reported,
                as_declared,
                reported_as_declared,
                at_odds,
            } = standing(world);
            self.were_there.extend(held);
            self.were_as_declared.extend(as_declared);
            for key in missing_while_reported.difference(&self.were_there) {
                self.lie.get_or_insert_with(|| {
                    format!("{now}: {key:?} is reported as granted and was never there")
                });
            }
            for reported in reported_as_declared.difference(&self.were_as_declared) {
                self.lie.get_or_insert_with(|| {
                    format!("{now}: {reported:?} is reported as declared and never was")
                });
            }
            self.at_odds.retain(|name, _| at_odds.contains(name));
            for name in at_odds {
                self.at_odds.entry(name).or_insert(now);
            }
            self.missing_while_ready.retain(|key, _| missing.contains(key));
            for key in missing {
                if !self.were_there.contains(&key) {
                    self.lie.get_or_insert_with(|| {
                        format!("{now}: Ready was True and {key:?} had never been there")
                    });
                }
                self.missing_while_ready.entry(key).or_insert(now);
            }
        }
        for (name, since) in &self.at_odds {
            let long = now.duration_since(*since).unsigned_abs();
            if self
                .contradiction
                .as_ref()
                .is_none_or(|(longest, _)| long > *longest)
            {
                self.contradiction = Some((long, name.clone()));
            }
        }
        for (key, since) in &self.missing_while_ready {
            let long = now.duration_since(*since).unsigned_abs();
            if self.untruth.as_ref().is_none_or(|(longest, _)| long > *longest) {
                self.untruth = Some((long, key.clone()));
            }
        }
    }

    /// What was wanted between two moments.
    fn during(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Wanted> {
        let followed_by = |position: usize| self.history.get(position + 1).map(|next| next.from);
        let history = self.history.iter().enumerate();
        let there = history.filter(move |(position, wanted)| {
            wanted.from <= to && followed_by(*position).unwrap_or(Timestamp::MAX) >= from
        });
        there.map(|(_, wanted)| wanted)
    }

    /// Whether a grant was asked for all the time, some of the time or never between two moments.
    pub fn asked_for(&self, key: &Key, from: Timestamp, to: Timestamp) -> Asked {
        let mut during = self.during(from, to);
        let all = self
            .during(from, to)
            .all(|wanted| wanted.grants.contains_key(key));
        Asked {
            some: during.any(|wanted| wanted.grants.contains_key(key)),
            all: all && self.history.first().is_some_and(|first| first.from <= from),
        }
    }

    /// Whether an end of the grant had come, and the SharedMailbox was gone at some time after it was declared: an end is
    /// carried out there all the same, and a MailboxPermission declares nothing until a SharedMailbox has taken the mailbox
    /// up.
    pub fn ended_without_mailbox(&self, key: &Key, at: Timestamp) -> bool {
        let ended = self.ends.iter().filter(|(ended, end)| ended == key && *end <= at);
        let mut declared = ended.filter_map(|_| {
            let mut history = self.history.iter();
            history
                .find(|wanted| wanted.grants.contains_key(key))
                .map(|wanted| wanted.from)
        });
        declared.any(|since| {
            let mut during = self.during(since, at);
            during.any(|wanted| !wanted.mailboxes.contains(&key.mailbox))
        })
    }

    /// Whether automapping of a grant was ever declared in two ways.
    pub fn was_remapped(&self, key: &Key) -> bool {
        let ways: BTreeSet<bool> = self
            .history
            .iter()
            .filter_map(|wanted| wanted.grants.get(key))
            .copied()
            .collect();
        ways.len() > 1
    }
}

pub struct Asked {
    pub some: bool,
    pub all: bool,
}

pub fn objects(tenant: &Control) -> Vec<Value> {
    match tenant.state()["objects"].take() {
        Value::Array(objects) => objects,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => Vec::new(),
    }
}

pub fn id_of(object: &Value) -> String {
    object["id"].as_str().unwrap_or_default().to_owned()
}
