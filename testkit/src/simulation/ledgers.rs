//! What must hold of the MailboxLedgers: they know of each right before Exchange does, only what they list is taken away,
//! and at rest they say what is so. Works on the stored JSON; of the operator's code only what answers about the history
//! and the seal is asked, because its answers are what is judged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use shared_mailbox_operator::api::MailboxLedger;
use shared_mailbox_operator::ledger::{Access, held_on, is_intact};
use uuid::Uuid;

use super::model::{self, name, ready_of, texts};
use super::wishes::{self, Right};
use super::{Patience, Simulation};
use crate::world::World;

/// From what a reconcile reads of the clock to the store, with retries and slow answers.
const BETWEEN_CLOCK_AND_STORE: SignedDuration = SignedDuration::from_mins(2);

/// A write to Exchange, with what was stored when it left.
pub struct Sent {
    pub at: Timestamp,
    pub cmdlet: String,
    pub parameters: Value,
    /// The ledgers of its mailbox.
    pub ledgers: Vec<Arc<Value>>,
    /// The people whom the tenant's manifest calls departed, as it writes them.
    pub departed: Vec<String>,
}

/// A right as parameters and ledgers write it: the holder's object id or SID, and the right.
pub type Pair = (String, &'static str);

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
    exclusive: BTreeMap<String, BTreeSet<Timestamp>>,
    revision: u64,
}

pub fn ledgers(world: &World) -> Vec<Arc<Value>> {
    world.server.objects("sharedmailbox.dev", "mailboxledgers", None)
}

impl Versions {
    pub fn observe(&mut self, world: &World) {
        for mailbox in model::mailboxes(world) {
            if model::is_exclusive(&mailbox) {
                let times = self.exclusive.entry(name(&mailbox)).or_default();
                times.insert(world.server.now());
            }
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
            self.announced(&sent, patience, wrongs);
        }
        wrongs.extend(self.slips.wrongs.iter().cloned());
        let all = ledgers(&self.world);
        self.one_each(&all, wrongs);
        for ledger in &all {
            self.at_rest(ledger, wrongs);
            self.replays(ledger, wrongs);
        }
    }

    /// What is sent was written down before: a grant as wanted, a revocation as admitted. On a mailbox without a resource
    /// nothing else is sent.
    fn announced(&self, sent: &Sent, patience: Patience, wrongs: &mut Vec<String>) {
        let Sent {
            at,
            cmdlet,
            parameters,
            ledgers,
            departed: _,
        } = sent;
        if cmdlet == "New-Mailbox" {
            if ledgers.is_empty() {
                wrongs.push(format!(
                    "{at}: {parameters} is created and no ledger announces it"
                ));
            }
            return;
        }
        let (added, removed) = changes(cmdlet, parameters);
        for pair in removed.iter().filter(|pair| self.too_early(sent, pair)) {
            wrongs.push(format!(
                "{at}: {pair:?} is revoked within an hour after its ledger was restored: {}",
                people(ledgers)
            ));
        }
        if self.is_touched(*at) {
            return;
        }
        for pair in &added {
            let is_listed = ledgers
                .iter()
                .filter_map(|ledger| entry(ledger, pair))
                .any(|entry| entry["state"] == "Pending" || entry["state"] == "Granted");
            if !is_listed {
                wrongs.push(format!(
                    "{at}: {pair:?} is granted and no ledger announces it: {}",
                    people(ledgers)
                ));
            }
        }
        let long_ago = at
            .saturating_sub(SignedDuration::try_from(patience.old_plans).unwrap())
            .unwrap();
        for pair in &removed {
            if !ledgers
                .iter()
                .any(|ledger| self.admits(sent, ledger, pair, long_ago))
            {
                wrongs.push(format!(
                    "{at}: {pair:?} is revoked and no ledger announces it: {}",
                    people(ledgers)
                ));
            }
        }
        let is_released = |ledger: &Arc<Value>| {
            let since: Option<Timestamp> = ledger["spec"]["releasedAt"]
                .as_str()
                .and_then(|at| at.parse().ok());
            ledger["spec"]["intent"].is_null() && since.is_some_and(|since| since < long_ago)
        };
        let only_revokes = !removed.is_empty() && added.is_empty();
        if !ledgers.is_empty() && ledgers.iter().all(is_released) && !only_revokes {
            wrongs.push(format!(
                "{at}: {cmdlet} {parameters} is sent for a mailbox without a resource"
            ));
        }
    }

    /// Whether the ledger or the tenant's manifest has this right go.
    fn admits(&self, sent: &Sent, ledger: &Value, pair: &Pair, long_ago: Timestamp) -> bool {
        let (holder, right) = pair;
        let mut evictions = ledger["spec"]["evictions"].as_array().into_iter().flatten();
        let is_evicted = |eviction: &Value| {
            let of = &eviction["holder"];
            eviction["right"] == *right && (of["objectId"] == holder.as_str() || of["sid"] == holder.as_str())
        };
        if evictions.any(is_evicted) {
            return true;
        }
        if self.has_left(sent, holder) {
            return true;
        }
        let Some(entry) = entry(ledger, pair) else {
            let own = text(&ledger["spec"]["resourceRef"]["name"]);
            let times = self.versions.exclusive.get(own);
            return times.is_some_and(|times| times.range(long_ago..=sent.at).next().is_some());
        };
        let until: Option<Timestamp> = entry["until"].as_str().and_then(|until| until.parse().ok());
        matches!(text(&entry["state"]), "Removing" | "Removed")
            || entry["remapping"] == true
            || until.is_some_and(|until| until <= sent.at)
    }

    pub(super) fn has_left(&self, sent: &Sent, holder: &str) -> bool {
        let who = self.world.tenant.object_id(holder);
        let mut departed = sent.departed.iter();
        departed.any(|name| who.is_some() && self.world.tenant.object_id(name) == who)
    }

    /// No mailbox and no living resource has two ledgers, and a mailbox that is served has one.
    fn one_each(&self, all: &[Arc<Value>], wrongs: &mut Vec<String>) {
        let mut mailboxes = BTreeSet::new();
        let mut resources = BTreeSet::new();
        for ledger in all {
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
        for mailbox in model::mailboxes(&self.world) {
            let uid = text(&mailbox["metadata"]["uid"]);
            if ready_of(&mailbox).is_true() && !is_watched_only(&mailbox) && !resources.contains(uid) {
                wrongs.push(format!("{} is served without a ledger", name(&mailbox)));
            }
        }
    }

    /// What a ledger says while nothing is to be done.
    fn at_rest(&self, ledger: &Value, wrongs: &mut Vec<String>) {
        let spec = &ledger["spec"];
        let own = text(&spec["resourceRef"]["name"]).to_owned();
        let object: MailboxLedger = match serde_json::from_value(ledger.clone()) {
            Ok(object) => object,
            Err(error) => return wrongs.push(format!("the ledger of {own} can't be read: {error}")),
        };
        let mut check = |fine: bool, what: String| {
            if !fine {
                wrongs.push(format!("the ledger of {own}: {what}"));
            }
        };
        let now = self.world.server.now();
        let replayed = held_on(&object.spec, now);
        check(
            replayed == Access::Unknown || pairs(&replayed) == had(ledger),
            format!("replays to {replayed:?}"),
        );
        let guid: Option<Uuid> = text(&spec["mailbox"]["guid"]).parse().ok();
        let Some(view) = guid.and_then(|guid| self.world.tenant.mailbox(&guid.to_string())) else {
            return;
        };
        let is_marked = model::marked_name(&view).as_deref() == Some(own.as_str());
        if !is_marked || view.type_details != "SharedMailbox" {
            return;
        }
        let held = model::held(&view);
        let listed = listed(ledger);
        let departed = wishes::departed(&self.world);
        if !spec["releasedAt"].is_null() {
            for (member, right, state) in &listed {
                let holds = held.contains(&(*member, *right));
                let is_left = *state != "Removed" && departed.contains(member) && holds;
                check(!is_left, format!("{member} has left and holds {right:?}"));
            }
            return;
        }
        let resources = model::mailboxes(&self.world);
        let uid = &spec["resourceRef"]["uid"];
        let found = resources
            .iter()
            .find(|mailbox| mailbox["metadata"]["uid"] == *uid);
        let Some(resource) = found.filter(|found| ready_of(found).is_true() && !is_watched_only(found))
        else {
            return;
        };
        check(
            is_intact(&object),
            format!("the seal is broken: {} {}", ledger["metadata"], spec["seal"]),
        );
        for (member, right) in &held {
            check(
                !departed.contains(member),
                format!("{member} has left and holds {right:?}"),
            );
        }
        let wanted = wishes::wanted(&self.world);
        let is_wanted = |member, right| {
            let mut keys = wanted.keys();
            keys.any(|key| key.mailbox == own && key.member == member && key.right == right)
        };
        for (member, right, state) in listed {
            if state == "Removed" {
                continue;
            }
            let is_declared = is_wanted(member, right) || model::is_named(&self.world, resource, member);
            check(
                is_declared,
                format!("{member} is listed with {right:?} {state}, which nobody declares"),
            );
            let is_there = held.contains(&(member, right));
            check(
                state != "Granted" || is_there,
                format!("{member} is listed with {right:?} and lacks it"),
            );
            check(
                state != "Removing",
                format!("{member} is still to lose {right:?}"),
            );
        }
    }

    /// The history answers for each moment what the ledger said then, but for the moments between two changes of one day
    /// that one line stands for.
    fn replays(&self, ledger: &Value, wrongs: &mut Vec<String>) {
        let Ok(object) = serde_json::from_value::<MailboxLedger>(ledger.clone()) else {
            return;
        };
        let versions = self.versions.seen.get(text(&ledger["metadata"]["uid"]));
        for version in versions.into_iter().flatten() {
            let replayed = held_on(&object.spec, version.at);
            if replayed == Access::Unknown {
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

/// For people.
fn people(ledgers: &[Arc<Value>]) -> String {
    let each = ledgers.iter().map(|ledger| ledger["spec"]["people"].to_string());
    each.collect::<Vec<_>>().join("; ")
}

fn is_watched_only(mailbox: &Value) -> bool {
    matches!(text(&mailbox["spec"]["management"]), "Paused" | "Observe")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub fn entry<'a>(ledger: &'a Value, (holder, right): &Pair) -> Option<&'a Value> {
    let people = ledger["spec"]["people"].as_array().into_iter().flatten();
    people
        .filter(|person| person["id"] == holder.as_str() || person["sid"] == holder.as_str())
        .find_map(|person| person["rights"].get(*right))
}

/// Everybody whom a ledger lists, with each right and its state.
fn listed(ledger: &Value) -> Vec<(Uuid, Right, &str)> {
    let mut listed = Vec::new();
    for person in ledger["spec"]["people"].as_array().into_iter().flatten() {
        let rights = person["rights"].as_object().into_iter().flatten();
        for (right, entry) in rights {
            if let (Ok(id), Some(right)) = (text(&person["id"]).parse(), Right::parse(right)) {
                listed.push((id, right, text(&entry["state"])));
            }
        }
    }
    listed
}

/// Who can use what, as the ledger says.
fn had(ledger: &Value) -> BTreeSet<(String, String)> {
    let listed = listed(ledger).into_iter();
    let has = listed.filter(|(_, _, state)| matches!(*state, "Granted" | "Held" | "Removing"));
    has.map(|(id, right, _)| (id.to_string(), format!("{right:?}")))
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

/// Which rights a cmdlet gives and takes.
pub fn changes(cmdlet: &str, parameters: &Value) -> (Vec<Pair>, Vec<Pair>) {
    let one = |field: &str, right| {
        let holder = parameters[field].as_str().map(str::to_owned);
        // Without a holder it clears the automapping of all.
        holder.map(|holder| (holder, right)).into_iter().collect()
    };
    let on_behalf = |way: &str| -> Vec<Pair> {
        let list = texts(&parameters["GrantSendOnBehalfTo"][way]);
        list.into_iter().map(|holder| (holder, "SendOnBehalf")).collect()
    };
    match cmdlet {
        "Add-MailboxPermission" => (one("User", "FullAccess"), vec![]),
        "Remove-MailboxPermission" => (vec![], one("User", "FullAccess")),
        "Add-RecipientPermission" => (one("Trustee", "SendAs"), vec![]),
        "Remove-RecipientPermission" => (vec![], one("Trustee", "SendAs")),
        "Set-Mailbox" => (on_behalf("Add"), on_behalf("Remove")),
        _ => (vec![], vec![]),
    }
}
