//! What must hold in every run, whatever happened in it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use simulator::{Actor, JournalEntry, JournalKind};

use super::expectations::{MARKER_ATTRIBUTE, id_of, objects};
use super::model;
use super::rights::{Pair, RightsChange, changes};
use super::wishes::{Key, Right};
use super::{INTERVAL, Simulation};

/// How long things may take in a run; faults and lag make it longer.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until everything is as declared, after the last fault.
    pub convergence: Duration,
    /// From an edit until nothing more is done for the old manifest.
    pub old_plans: Duration,
    /// How long Ready may say True while a right is missing in the tenant itself.
    pub untruth: Duration,
    /// How long a permission may say that its mailbox is not ready, or a right that is there not granted, while the mailbox
    /// says that all is as declared: they are written one after the other, and an outage may come between.
    pub contradiction: Duration,
}

impl Patience {
    /// For a tenant without faults or with short ones.
    pub fn usual() -> Self {
        Self {
            convergence: Duration::from_mins(50),
            old_plans: Duration::from_mins(2),
            untruth: INTERVAL + Duration::from_mins(2),
            contradiction: Duration::from_mins(5),
        }
    }

    /// Without waiting for anything.
    pub fn at_once(self) -> Self {
        Self {
            convergence: Duration::ZERO,
            ..self
        }
    }

    /// For a tenant whose replicas lag by up to half an hour.
    pub fn long() -> Self {
        Self {
            convergence: Duration::from_hours(3),
            old_plans: Duration::from_mins(30),
            untruth: INTERVAL + Duration::from_mins(50),
            contradiction: Duration::from_mins(40),
        }
    }
}

/// What was under way when something changed may still be done.
const UNDER_WAY: SignedDuration = SignedDuration::from_mins(1);

/// Requests to one side in one simulated minute, above which something turns in circles. Each mailbox of a run
/// needs fewer than this for a create with all its members.
const BUSY_MINUTE: usize = 400;

/// So late the operator has asked again who has an address, and no longer rechecks what it revoked.
pub const MEMORY_HOLDS: Duration = Duration::from_mins(50);

impl Simulation {
    /// Two drift intervals in which nothing may be written anywhere; what Exchange refuses for good may be asked
    /// again, slowly.
    pub async fn stays(&mut self) -> Result<(), String> {
        let from = self.world.server.now();
        let sequence = self.last_sent();
        let status_writes = self.status_writes(Timestamp::MIN);
        let reported = self.reported();
        self.pass(INTERVAL * 2 + Duration::from_secs(30)).await;
        let written = self.sent_since(sequence);
        if !written.is_empty() {
            return Err(format!(
                "nothing was to be done after {from}, yet this was sent: {written:#?}"
            ));
        }
        let mut more = self.status_writes(Timestamp::MIN).split_off(status_writes.len());
        let only_forgot = self.only_forgot(&reported);
        more.retain(|write| !only_forgot.iter().any(|object| write.contains(object)));
        if !more.is_empty() {
            return Err(format!(
                "nothing was to be reported after {from}, yet this was written: {more:#?}"
            ));
        }
        Ok(())
    }

    /// The status of each object without its revocations, and these; by how a write to it is listed.
    fn reported(&self) -> BTreeMap<String, (Value, Vec<Value>)> {
        let mut reported = BTreeMap::new();
        for plural in ["sharedmailboxes", "mailboxpermissions"] {
            for object in self.world.server.objects("sharedmailbox.dev", plural, None) {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                let mut status = object["status"].clone();
                let revoked = status.as_object_mut().and_then(|status| status.remove("revoked"));
                let revoked = revoked.and_then(|revoked| revoked.as_array().cloned());
                let written = format!(" {plural}/{name}/status ");
                reported.insert(written, (status, revoked.unwrap_or_default()));
            }
        }
        reported
    }

    /// Objects whose statuses say the same as before, but for revocations that are no longer listed: that ends after a day,
    /// also while all is quiet.
    fn only_forgot(&self, before: &BTreeMap<String, (Value, Vec<Value>)>) -> Vec<String> {
        let forgot = |(object, (status, revoked)): (String, (Value, Vec<Value>))| {
            let (status_before, revoked_before) = before.get(&object)?;
            let is_shorter = revoked.len() < revoked_before.len();
            let adds_nothing = revoked.iter().all(|one| revoked_before.contains(one));
            (status == *status_before && is_shorter && adds_nothing).then_some(object)
        };
        self.reported().into_iter().filter_map(forgot).collect()
    }

    /// The number of the last entry in the tenant's journal.
    pub(super) fn last_sent(&self) -> u64 {
        let journal = self.world.tenant.journal();
        journal.last().map_or(0, |entry| entry.sequence)
    }

    /// What the operator has written to Exchange and Graph since then, but for what was refused.
    pub(super) fn sent_since(&self, sequence: u64) -> Vec<String> {
        let journal = self.world.tenant.journal_since(sequence);
        let is_write =
            |entry: &&JournalEntry| entry.actor == Actor::App && entry.is_write() && entry.status < 400;
        let written = journal.iter().filter(is_write);
        written.map(|entry| format!("{:?}", entry.kind)).collect()
    }

    /// Writes by the operator to our kinds, changed or not.
    fn status_writes(&self, since: Timestamp) -> Vec<String> {
        let requests = self.world.server.requests();
        let by_operator = requests.iter().filter(|request| {
            request.is_write
                && request.at >= since
                && request.group == "sharedmailbox.dev"
                && request.manager != "tests"
                && request.method != "DELETE"
                // The time of proof on the tenant moves on by itself.
                && request.plural != "exchangetenants"
        });
        by_operator
            .map(|r| {
                format!(
                    "{} {}/{}/{} {}",
                    r.method, r.plural, r.name, r.subresource, r.code
                )
            })
            .collect()
    }

    /// Everything that was wrong at any time in this run.
    pub fn wrongs(&self, patience: Patience) -> Vec<String> {
        let mut wrongs = Vec::new();
        self.foreign(&mut wrongs);
        self.writes(patience, &mut wrongs);
        self.creates(&mut wrongs);
        self.pace(&mut wrongs);
        self.ledgers(patience, &mut wrongs);
        if let Some((long, key)) = &self.expected.untruth
            && *long > patience.untruth
        {
            wrongs.push(format!("Ready was True for {long:?} while {key:?} was missing"));
        }
        wrongs.extend(self.expected.lie.clone());
        if let Some((long, name)) = &self.expected.contradiction
            && *long > patience.contradiction
        {
            wrongs.push(format!(
                "permission {name} said for {long:?} that its mailbox was not ready, or a right not granted, and the \
                 mailbox said otherwise"
            ));
        }
        let metrics = self.supervisor.metrics();
        self.wire.secrets.search("the metrics", metrics.as_bytes());
        wrongs.extend(self.wire.secrets.found());
        wrongs.extend(self.wire.wrongs());
        wrongs
    }

    /// What one needs to see why a run failed: our mailboxes, all writes, what happened to the resources.
    pub async fn report(&self) -> String {
        let views = self.world.tenant.mailboxes().into_iter();
        let ours = views.filter(|view| {
            !self
                .expected
                .foreign_objects
                .contains_key(&view.object_id.to_string())
        });
        let mailboxes: Vec<String> = ours.map(|view| format!("{view:?}")).collect();
        let journal = self.world.tenant.journal();
        let writes = journal.iter().filter(|entry| entry.is_write()).map(|entry| {
            let (at, actor, lost, status) = (entry.at, entry.actor, entry.answer_lost, entry.status);
            let what = match &entry.kind {
                JournalKind::Cmdlet { name, parameters, .. } => format!("{name} {parameters}"),
                other @ (JournalKind::Token { .. }
                | JournalKind::Graph { .. }
                | JournalKind::Other { .. }) => format!("{other:?}"),
            };
            let changed = if entry.changed { "changed" } else { "" };
            format!(
                "{at} {actor:?} {status} {changed} {} {what}",
                if lost { "answer lost" } else { "" }
            )
        });
        let requests = self.world.server.requests();
        let written = requests
            .iter()
            .filter(|request| request.is_write && request.plural != "events")
            .map(|request| {
                let (at, code) = (request.at, request.code);
                let changed = if request.changed { "changed" } else { "" };
                format!(
                    "{at} {} {}/{} {} {code} {changed}",
                    request.method, request.plural, request.name, request.subresource
                )
            });
        let mut written: Vec<String> = writes.chain(written).collect();
        written.sort();
        format!(
            "{}\n{}\n{}",
            self.world.dump().await,
            mailboxes.join("\n"),
            written.join("\n")
        )
    }

    /// Everything that was asked of either side, in order.
    pub fn trace(&self) -> String {
        let journal = self.world.tenant.journal();
        let asked = journal.iter().map(|entry| {
            let (at, status, changed) = (entry.at, entry.status, entry.changed);
            format!("{at} {status} {changed} {:?}", entry.kind)
        });
        let requests = self.world.server.requests();
        let written = requests.iter().map(|request| {
            let (at, code, version) = (request.at, request.code, request.resource_version.as_deref());
            format!("{at} {code} {} {} {version:?}", request.method, request.path)
        });
        asked.chain(written).collect::<Vec<_>>().join("\n")
    }

    /// What was there before us is as it was, but for what an admin did.
    fn foreign(&self, wrongs: &mut Vec<String>) {
        let now: BTreeMap<String, Value> = objects(&self.world.tenant)
            .into_iter()
            .map(|object| (id_of(&object), object))
            .collect();
        for (id, before) in &self.expected.foreign_objects {
            if now.get(id) != Some(before) {
                wrongs.push(format!(
                    "{id} is not ours and was changed: {before} became {:?}",
                    now.get(id)
                ));
            }
        }
        let views = self.world.tenant.mailboxes();
        for (mailbox, member, right) in &self.expected.foreign_grants {
            let Some(view) = views.iter().find(|view| view.object_id == *mailbox) else {
                continue;
            };
            if !model::held(view).contains(&(*member, *right)) {
                wrongs.push(format!("an admin's grant of {right:?} to {member} is gone"));
            }
        }
    }

    /// Each write was to a mailbox of ours, revoked nothing that was wanted and granted nothing that was not.
    fn writes(&self, patience: Patience, wrongs: &mut Vec<String>) {
        // By the mailbox, as the marker that we wrote last names it: an admin may have overwritten it since.
        let mut owners: BTreeMap<String, String> = BTreeMap::new();
        for entry in self.world.tenant.journal() {
            let JournalKind::Cmdlet { name, parameters, .. } = &entry.kind else {
                continue;
            };
            if entry.actor != Actor::App || !entry.is_write() || name == "New-Mailbox" {
                continue;
            }
            let identity = parameters["Identity"].as_str().unwrap_or_default();
            if let Some(owner) = parameters[MARKER_ATTRIBUTE].as_str().and_then(model::named_by) {
                owners.insert(identity.to_owned(), owner);
            }
            let id = self.world.tenant.object_id(identity);
            if id.is_some_and(|id| self.expected.foreign_objects.contains_key(&id.to_string())) {
                wrongs.push(format!("{name} was sent for {identity}, which is not ours"));
            }
            let given_away = id.and_then(|id| self.expected.given_away.get(&id));
            if given_away.is_some_and(|since| entry.at.duration_since(*since) > UNDER_WAY) {
                wrongs.push(format!(
                    "{}: {name} was sent for {identity}, which was given away",
                    entry.at
                ));
            }
            if entry.changed {
                let view = self.world.tenant.mailbox(identity);
                let owner = owners.get(identity).cloned();
                if let Some(owner) = owner.or_else(|| view.as_ref().and_then(model::marked_name)) {
                    self.grants(&entry, name, (&owner, parameters), patience, wrongs);
                }
            }
        }
    }

    fn grants(
        &self,
        entry: &JournalEntry,
        name: &str,
        (mailbox, parameters): (&str, &Value),
        patience: Patience,
        wrongs: &mut Vec<String>,
    ) {
        let key = |(holder, right): Pair| {
            Some(Key {
                mailbox: mailbox.to_owned(),
                member: holder.parse().ok()?,
                right: Right::parse(right)?,
            })
        };
        let RightsChange { given, taken } = changes(name, parameters);
        let patience = SignedDuration::try_from(patience.old_plans).unwrap();
        let before = entry.at.saturating_sub(patience).unwrap();
        for key in given.into_iter().filter_map(key) {
            if !self.expected.asked_for(&key, before, entry.at).some {
                wrongs.push(format!(
                    "{}: {key:?} was granted and nobody asked for it",
                    entry.at
                ));
            }
        }
        for key in taken.into_iter().filter_map(key) {
            if self.expected.asked_for(&key, before, entry.at).all
                && !self.expected.was_remapped(&key)
                && !self.expected.ended_without_mailbox(&key, entry.at)
            {
                wrongs.push(format!("{}: {key:?} was revoked and was wanted", entry.at));
            }
        }
    }

    /// One resource never creates two mailboxes.
    fn creates(&self, wrongs: &mut Vec<String>) {
        let intents = self.wire.intents();
        let mut created: BTreeMap<&str, usize> = BTreeMap::new();
        let journal = self.world.tenant.journal();
        for entry in journal
            .iter()
            .filter(|entry| entry.actor == Actor::App && entry.changed)
        {
            let JournalKind::Cmdlet { name, parameters, .. } = &entry.kind else {
                continue;
            };
            if name != "New-Mailbox" {
                continue;
            }
            let display = parameters["DisplayName"].as_str().unwrap_or_default();
            match intents.get(display) {
                Some(uid) => *created.entry(uid).or_default() += 1,
                None => wrongs.push(format!("{display} was created and never announced")),
            }
        }
        for (uid, count) in created {
            if count > 1 && !self.slips.forgotten.contains(uid) {
                wrongs.push(format!("the resource {uid} created {count} mailboxes"));
            }
        }
    }

    /// Nothing turns in circles.
    fn pace(&self, wrongs: &mut Vec<String>) {
        let mut busiest: BTreeMap<(&str, i64), usize> = BTreeMap::new();
        let minute = |at: Timestamp| at.as_second() / 60;
        for entry in self.world.tenant.journal() {
            if entry.actor == Actor::App {
                *busiest.entry(("Exchange", minute(entry.at))).or_default() += 1;
            }
        }
        for request in self.world.server.requests() {
            if request.manager != "tests" {
                *busiest.entry(("Kubernetes", minute(request.at))).or_default() += 1;
            }
        }
        let most = BUSY_MINUTE * self.expected.primaries.len().max(1);
        if let Some(((side, _), count)) = busiest.into_iter().find(|(_, count)| *count > most) {
            wrongs.push(format!("{count} requests to {side} in one minute"));
        }
    }
}
