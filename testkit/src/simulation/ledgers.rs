//! What must hold of the MailboxLedgers at rest: they say what is so, and their history what was so. Works on the stored
//! JSON; of the operator's code only what answers about the history and the seal is asked, because its answers are what
//! is judged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use shared_mailbox_operator::api::MailboxLedger;
use shared_mailbox_operator::ledger::{Access, held_on, is_intact};
use simulator::MailboxView;
use uuid::Uuid;

use super::model::{self, name, ready_of};
use super::wishes::{self, Key, Right};
use super::{Patience, Simulation};
use crate::world::World;

/// From what a reconcile reads of the clock to the store, with retries and slow answers.
const BETWEEN_CLOCK_AND_STORE: SignedDuration = SignedDuration::from_mins(2);

/// Who could use which right at one moment, as a version of a ledger said then.
struct Version {
    at: Timestamp,
    /// Its resourceVersion.
    revision: Value,
    had: BTreeSet<(String, String)>,
}

/// What was seen of the ledgers while the run went on.
#[derive(Default)]
pub struct Versions {
    /// By the uid of the ledger.
    seen: BTreeMap<String, Vec<Version>>,
    /// When which resource tolerated no right but the declared ones, by name.
    pub exclusive: BTreeMap<String, BTreeSet<Timestamp>>,
    /// When whom the tenant's manifest called departed.
    pub departed: BTreeMap<Uuid, BTreeSet<Timestamp>>,
    revision: u64,
}

pub fn ledgers(world: &World) -> Vec<Arc<Value>> {
    world.server.objects("sharedmailbox.dev", "mailboxledgers", None)
}

/// Whether any ledger is of this mailbox.
pub fn remembers(world: &World, mailbox: Uuid) -> bool {
    let guid = mailbox.to_string();
    ledgers(world)
        .iter()
        .any(|ledger| ledger["spec"]["mailbox"]["guid"] == guid)
}

/// A stray one of another cluster is nobody's here.
fn is_ours(ledger: &Value) -> bool {
    !text(&ledger["spec"]["cluster"]).starts_with("other/")
}

impl Versions {
    pub fn observe(&mut self, world: &World) {
        for mailbox in model::mailboxes(world) {
            if model::is_exclusive(&mailbox) {
                let times = self.exclusive.entry(name(&mailbox)).or_default();
                times.insert(world.server.now());
            }
        }
        for person in wishes::departed(world) {
            self.departed
                .entry(person)
                .or_default()
                .insert(world.server.now());
        }
        let revision = world.server.revision();
        if revision == self.revision {
            return;
        }
        self.revision = revision;
        for ledger in ledgers(world) {
            let uid = text(&ledger["metadata"]["uid"]).to_owned();
            let revision = &ledger["metadata"]["resourceVersion"];
            let seen = self.seen.entry(uid).or_default();
            if seen.last().is_some_and(|last| last.revision == *revision) {
                continue;
            }
            seen.push(Version {
                at: world.server.now(),
                revision: revision.clone(),
                had: had(&ledger),
            });
        }
    }
}

impl Simulation {
    /// Everything that was or is wrong with ledgers. For a run that is at rest.
    pub(super) fn ledgers(&self, patience: Patience, wrongs: &mut Vec<String>) {
        for sent in self.wire.sent() {
            self.was_announced(&sent, patience, wrongs);
        }
        wrongs.extend(self.slips.wrongs.iter().cloned());
        let all = ledgers(&self.world);
        self.one_each(&all, wrongs);
        for ledger in &all {
            self.at_rest(ledger, wrongs);
            self.replays(ledger, wrongs);
        }
    }

    /// No mailbox and no living resource has two ledgers, and a mailbox that is served has one.
    fn one_each(&self, all: &[Arc<Value>], wrongs: &mut Vec<String>) {
        let mut mailboxes = BTreeSet::new();
        let mut resources = BTreeSet::new();
        for ledger in all.iter().filter(|ledger| is_ours(ledger)) {
            let spec = &ledger["spec"];
            let guid = text(&spec["mailbox"]["guid"]);
            if !guid.is_empty() && !mailboxes.insert(guid) {
                wrongs.push(format!("mailbox {guid} has two ledgers"));
            }
            let uid = text(&spec["resourceRef"]["uid"]);
            let is_present = spec["releasedAt"].is_null() && spec["goneAt"].is_null();
            if is_present && !resources.insert(uid) {
                wrongs.push(format!("the resource {uid} has two ledgers"));
            }
        }
        self.remembered(&mailboxes, wrongs);
        for mailbox in model::mailboxes(&self.world) {
            let uid = text(&mailbox["metadata"]["uid"]);
            if ready_of(&mailbox).is_true() && !is_watched_only(&mailbox) && !resources.contains(uid) {
                wrongs.push(format!("{} is served without a ledger", name(&mailbox)));
            }
        }
    }

    /// A mailbox that carries a marker of ours has a ledger, be its resource gone, unless somebody took that away.
    fn remembered(&self, known: &BTreeSet<&str>, wrongs: &mut Vec<String>) {
        for view in self.world.tenant.mailboxes() {
            let guid = view.exchange_guid.to_string();
            let marker = view.custom_attributes.get(&15).cloned().unwrap_or_default();
            let is_marked = marker.contains(&format!("mailbox={guid}")) && !marker.contains("cluster=other/");
            if is_marked && !known.contains(guid.as_str()) && !self.was_touched(&guid) {
                wrongs.push(format!(
                    "mailbox {guid} is marked and no ledger remembers it: {marker}"
                ));
            }
        }
    }

    /// What a ledger says while nothing is to be done.
    fn at_rest(&self, ledger: &Value, wrongs: &mut Vec<String>) {
        let spec = &ledger["spec"];
        let own = text(&spec["resourceRef"]["name"]);
        let object: MailboxLedger = match serde_json::from_value(ledger.clone()) {
            Ok(object) => object,
            Err(error) => return wrongs.push(format!("the ledger of {own} can't be read: {error}")),
        };
        let mut found = Vec::new();
        let replayed = held_on(&object.spec, self.world.server.now());
        if replayed != Access::Unknown && pairs(&replayed) != had(ledger) {
            found.push(format!("replays to {replayed:?}"));
        }
        if let Some(view) = self.mailbox_of(ledger) {
            let held = model::held(&view);
            if spec["releasedAt"].is_null() {
                if let Some(resource) = self.served_by(ledger) {
                    if !is_intact(&object) {
                        found.push(format!("the seal is broken: {}", spec["seal"]));
                    }
                    self.serving(ledger, &resource, &held, &mut found);
                }
            } else {
                self.released(ledger, &held, &mut found);
            }
        }
        wrongs.extend(found.iter().map(|what| format!("the ledger of {own}: {what}")));
    }

    /// The mailbox, if it is there and carries the marker of the ledger's resource.
    fn mailbox_of(&self, ledger: &Value) -> Option<MailboxView> {
        let spec = &ledger["spec"];
        let guid: Uuid = text(&spec["mailbox"]["guid"]).parse().ok()?;
        let view = self.world.tenant.mailbox(&guid.to_string())?;
        let is_marked = model::marked_name(&view).as_deref() == Some(text(&spec["resourceRef"]["name"]));
        (is_marked && view.type_details == "SharedMailbox").then_some(view)
    }

    /// The resource, if all is as it declares.
    fn served_by(&self, ledger: &Value) -> Option<Arc<Value>> {
        let uid = &ledger["spec"]["resourceRef"]["uid"];
        let mut resources = model::mailboxes(&self.world).into_iter();
        let found = resources.find(|mailbox| mailbox["metadata"]["uid"] == *uid)?;
        (ready_of(&found).is_true() && !is_watched_only(&found)).then_some(found)
    }

    /// Whoever has left holds nothing that is listed, although the resource is gone, and no change is left undone.
    fn released(&self, ledger: &Value, held: &BTreeSet<(Uuid, Right)>, found: &mut Vec<String>) {
        let people = ledger["spec"]["people"].as_array().into_iter().flatten();
        for person in people.filter(|_| is_ours(ledger)) {
            let mut rights = person["rights"].as_object().into_iter().flatten();
            if rights.any(|(_, entry)| entry["remapping"] == true) {
                found.push(format!("automapping of {} is still being changed", person["id"]));
            }
        }
        let departed = wishes::departed(&self.world);
        for Listed { member, right, state } in listed(ledger) {
            if state != "Removed" && departed.contains(&member) && held.contains(&(member, right)) {
                found.push(format!("{member} has left and holds {right:?}"));
            }
        }
    }

    /// Whoever has left holds nothing, and what is listed is declared and there.
    fn serving(
        &self,
        ledger: &Value,
        resource: &Value,
        held: &BTreeSet<(Uuid, Right)>,
        found: &mut Vec<String>,
    ) {
        let departed = wishes::departed(&self.world);
        let left = held.iter().filter(|(member, _)| departed.contains(member));
        found.extend(left.map(|(member, right)| format!("{member} has left and holds {right:?}")));
        let own = name(resource);
        let wanted = wishes::wanted(&self.world);
        for Listed { member, right, state } in listed(ledger) {
            if state == "Removed" {
                continue;
            }
            let key = Key {
                mailbox: own.clone(),
                member,
                right,
            };
            let is_declared =
                wanted.contains_key(&key) || model::is_named_with(&self.world, resource, member, right);
            if !is_declared {
                found.push(format!(
                    "{member} is listed with {right:?} {state}, which nobody declares"
                ));
            }
            if state == "Removing" {
                found.push(format!("{member} is still to lose {right:?}"));
            }
            if state == "Granted" && !held.contains(&(member, right)) {
                found.push(format!("{member} is listed with {right:?} and lacks it"));
            }
        }
    }

    /// The history answers for each moment what the ledger said then, but for the moments between two changes of one day
    /// that one line stands for.
    fn replays(&self, ledger: &Value, wrongs: &mut Vec<String>) {
        let Ok(object) = serde_json::from_value::<MailboxLedger>(ledger.clone()) else {
            return;
        };
        let versions = self.versions.seen.get(text(&ledger["metadata"]["uid"]));
        // Only what people do to a ledger makes what was before unknown.
        let is_untouched = !self.was_touched(text(&ledger["spec"]["mailbox"]["guid"]));
        for version in versions.into_iter().flatten() {
            let replayed = held_on(&object.spec, version.at);
            if replayed == Access::Unknown {
                if is_untouched && is_ours(ledger) {
                    wrongs.push(format!(
                        "the ledger of {} answers nothing for {}, and only from {:?} on",
                        object.spec.resource_ref.name, version.at, object.spec.history_from
                    ));
                }
                continue;
            }
            let replayed = pairs(&replayed);
            let differing = replayed.symmetric_difference(&version.had);
            let mut wrong = differing.filter(|pair| !is_between(&object, pair, version.at));
            if let Some(pair) = wrong.next() {
                wrongs.push(format!(
                    "the ledger of {} answers wrongly for {} about {pair:?}: {:?}",
                    object.spec.resource_ref.name, version.at, object.spec.history
                ));
            }
        }
    }
}

/// Whether a line about this right leaves open what was at this moment.
fn is_between(object: &MailboxLedger, pair: &(String, String), at: Timestamp) -> bool {
    let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
    let (holder, right) = pair;
    object.spec.history.iter().any(|line| {
        let is_about = line.ids.iter().any(|id| id.to_string() == *holder)
            && line.right.is_some_and(|of| of.to_string() == *right);
        let is_near = line.at.duration_since(at).abs() <= BETWEEN_CLOCK_AND_STORE;
        is_about && (is_near || (line.n > 1 && day(line.at) == day(at)))
    })
}

fn is_watched_only(mailbox: &Value) -> bool {
    matches!(text(&mailbox["spec"]["management"]), "Paused" | "Observe")
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A right that a ledger lists.
struct Listed<'a> {
    member: Uuid,
    right: Right,
    state: &'a str,
}

/// Everybody whom a ledger lists, with each right.
fn listed(ledger: &Value) -> Vec<Listed<'_>> {
    let mut listed = Vec::new();
    for person in ledger["spec"]["people"].as_array().into_iter().flatten() {
        let rights = person["rights"].as_object().into_iter().flatten();
        for (right, entry) in rights {
            if let (Ok(member), Some(right)) = (text(&person["id"]).parse(), Right::parse(right)) {
                let state = text(&entry["state"]);
                listed.push(Listed { member, right, state });
            }
        }
    }
    listed
}

/// Who can use what, as the ledger says.
fn had(ledger: &Value) -> BTreeSet<(String, String)> {
    let listed = listed(ledger).into_iter();
    let has = listed.filter(|listed| matches!(listed.state, "Granted" | "Held" | "Removing"));
    has.map(|listed| (listed.member.to_string(), format!("{:?}", listed.right)))
        .collect()
}

fn pairs(access: &Access) -> BTreeSet<(String, String)> {
    let Access::Known(held) = access else {
        return BTreeSet::new();
    };
    let pairs = held.iter().flat_map(|(id, rights)| {
        rights
            .iter()
            .map(move |right| (id.to_string(), right.to_string()))
    });
    pairs.collect()
}
