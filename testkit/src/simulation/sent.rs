//! What must hold of each write to Exchange and Graph, with the ledgers that the API server had when it left: each grant
//! and each revocation is in one of them, and so is the intent of each mailbox that is created.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::ledgers::text;
use super::rights::{Pair, RightsChange, changes};
use super::{Patience, Simulation};

/// A write to Exchange, with what was stored when it left.
pub struct Sent {
    pub at: Timestamp,
    /// Or the method and path of a write to Graph.
    pub cmdlet: String,
    pub parameters: Value,
    /// The ledgers of its mailbox.
    pub ledgers: Vec<Arc<Value>>,
    /// The people whom the tenant's manifest calls departed, as it writes them.
    pub departed: Vec<String>,
    /// The MailboxPermissions whose end had come, by name.
    pub ended: Vec<String>,
    /// The SharedMailboxes that there were, by name.
    pub resources: Vec<String>,
}

impl Simulation {
    /// What is sent was written down before: a grant as wanted, a revocation as admitted. On a mailbox without a resource
    /// nothing else is sent.
    pub(super) fn was_announced(&self, sent: &Sent, patience: Patience, wrongs: &mut Vec<String>) {
        if sent.cmdlet == "New-Mailbox" {
            if sent.ledgers.is_empty() {
                wrongs.push(sent.wrong("no ledger announces it"));
            }
            return;
        }
        let RightsChange { given, taken } = changes(&sent.cmdlet, &sent.parameters);
        if taken.iter().any(|pair| self.too_early(sent, pair)) {
            wrongs.push(sent.wrong("its ledger was restored less than an hour ago"));
        }
        // What was under way is sent all the same.
        if self.is_touched(sent) {
            return;
        }
        let old_plans = SignedDuration::try_from(patience.old_plans).unwrap();
        let long_ago = sent.at.saturating_sub(old_plans).unwrap();
        let is_wanted = |pair| sent.ledgers.iter().any(|ledger| wants(ledger, pair));
        if !given.iter().all(is_wanted) {
            wrongs.push(sent.wrong("no ledger lists the grant"));
        }
        let is_admitted = |pair| {
            let mut ledgers = sent.ledgers.iter();
            ledgers.any(|ledger| self.admits(sent, ledger, pair, long_ago))
        };
        if !taken.iter().all(is_admitted) {
            wrongs.push(sent.wrong("no ledger announces the revocation"));
        }
        let has_no_resource = !sent.ledgers.is_empty()
            && sent
                .ledgers
                .iter()
                .all(|ledger| is_released_since(ledger, long_ago));
        // Automapping was being changed when the resource was deleted.
        let is_remapped = |pair| {
            let mut entries = sent.ledgers.iter().filter_map(|ledger| entry(ledger, pair));
            entries.any(|entry| entry["remapping"] == true)
        };
        let outlives = if sent.is_to_graph() {
            sent.may_close_sign_in()
        } else {
            !(taken.is_empty() && given.is_empty()) && given.iter().all(is_remapped)
        };
        if has_no_resource && !outlives {
            wrongs.push(sent.wrong("its mailbox has no resource"));
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
        if self.had_left(sent, holder, long_ago) {
            return true;
        }
        // A SID that is known from elsewhere need not be in the ledger: it lists the person by their id.
        let by_id = || Some((self.world.tenant.object_id(holder)?.to_string(), *right));
        let by_id = || entry(ledger, &by_id()?);
        let Some(entry) = entry(ledger, pair).or_else(by_id) else {
            let own = text(&ledger["spec"]["resourceRef"]["name"]);
            let times = self.versions.exclusive.get(own);
            return times.is_some_and(|times| times.range(long_ago..=sent.at).next().is_some());
        };
        let until: Option<Timestamp> = entry["until"].as_str().and_then(|until| until.parse().ok());
        matches!(text(&entry["state"]), "Removing" | "Removed")
            || entry["remapping"] == true
            || sent.has_ended(ledger, entry)
            || until.is_some_and(|until| until <= sent.at)
    }

    /// Whether the holder had left when it was sent, or when it was planned.
    pub(super) fn had_left(&self, sent: &Sent, holder: &str, planned: Timestamp) -> bool {
        let Some(who) = self.world.tenant.object_id(holder) else {
            return false;
        };
        let mut departed = sent.departed.iter();
        let times = self.versions.departed.get(&who);
        departed.any(|name| self.world.tenant.object_id(name) == Some(who))
            || times.is_some_and(|times| times.range(planned..=sent.at).next().is_some())
    }
}

impl Sent {
    /// Whether the end of every permission that declared the right had come. One that was applied with an end in the past
    /// left no end in the ledger.
    fn has_ended(&self, ledger: &Value, entry: &Value) -> bool {
        let by = entry["by"].as_array().map(Vec::as_slice).unwrap_or_default();
        let name = |position: &Value| {
            let position = usize::try_from(position.as_u64()?).ok()?;
            ledger["spec"]["permissions"][position].as_str()
        };
        let is_over = |name: &str| self.ended.iter().any(|ended| ended == name);
        !by.is_empty() && by.iter().all(|position| name(position).is_some_and(is_over))
    }

    fn is_to_graph(&self) -> bool {
        self.cmdlet.contains(' ')
    }

    /// Without a resource an account is left alone, but for sessions that were to be ended already, and while another one
    /// stands in its place.
    fn may_close_sign_in(&self) -> bool {
        self.ledgers.iter().any(|ledger| {
            let spec = &ledger["spec"];
            let own = text(&spec["resourceRef"]["name"]);
            spec["signOutOwed"] == true || self.resources.iter().any(|name| name == own)
        })
    }

    /// For people.
    fn wrong(&self, why: &str) -> String {
        let each = self.ledgers.iter();
        let people: Vec<String> = each.map(|ledger| ledger["spec"]["people"].to_string()).collect();
        let Self {
            at,
            cmdlet,
            parameters,
            ..
        } = self;
        format!(
            "{at}: {cmdlet} {parameters} is sent, and {why}: {}",
            people.join("; ")
        )
    }
}

fn wants(ledger: &Value, pair: &Pair) -> bool {
    entry(ledger, pair).is_some_and(|entry| matches!(text(&entry["state"]), "Pending" | "Granted"))
}

/// Whether the resource was gone by then, and nothing of its creation was left to do.
fn is_released_since(ledger: &Value, long_ago: Timestamp) -> bool {
    let spec = &ledger["spec"];
    let since: Option<Timestamp> = spec["releasedAt"].as_str().and_then(|at| at.parse().ok());
    spec["intent"].is_null() && since.is_some_and(|since| since < long_ago)
}

pub fn entry<'a>(ledger: &'a Value, (holder, right): &Pair) -> Option<&'a Value> {
    let people = ledger["spec"]["people"].as_array().into_iter().flatten();
    people
        .filter(|person| person["id"] == holder.as_str() || person["sid"] == holder.as_str())
        .find_map(|person| person["rights"].get(*right))
}
