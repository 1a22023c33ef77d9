//! Who got and lost access, when and why.
//!
//! The history holds changes, no snapshots: who had what at a moment is found by starting from who has what now and
//! undoing every line that is newer, the newest first. So dropping the oldest lines takes nothing from later answers.
//!
//! A person, right and cause have one line a day (UTC): further changes of that day are counted in it. The line keeps
//! its place, which is that of its first change, and what was before it; `at` and `after` are those of its last
//! change. Undoing a whole day therefore ends with what was before the day's first change: answers are exact for the
//! end of every day, and for every moment but those between the first and the last change that one line stands for.
//! Those moments are answered with something that was so on that day; the API server's audit log knows each change.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::api::{GrantState, HistoryLine, MailboxLedgerSpec};
use crate::mail::{ObjectId, Right};

/// How much JSON the lines may be, how many, and how old.
pub const BYTES: usize = 64 * 1024;
const LINES: usize = 1000;
const AGE: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How many permissions a line names.
const PERMISSIONS: usize = 20;
/// How many people: the others have a line more.
const PEOPLE: usize = 500;

const DECLARED: &str = "declared";
const NOT_DECLARED: &str = "no longer declared";
/// It was taken away outside the operator, or is taken away and granted again for automapping.
const GRANTED_ANEW: &str = "granted anew";

/// Why rights changed with one write.
#[derive(Clone, Debug, Default)]
pub struct Why {
    /// The cause of each change that has one of its own; the others are because a manifest declares them, or none does
    /// any longer.
    pub causes: BTreeMap<(ObjectId, Right), &'static str>,
    /// By which Microsoft's support finds the last request.
    pub request: Option<String>,
}

/// Who had what at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// The history does not reach back so far: see the audit log.
    Unknown,
    Known(BTreeMap<ObjectId, BTreeSet<Right>>),
}

/// Adds to the history of `spec` what changed since `before`, and drops what is too old or too much.
pub fn note(spec: &mut MailboxLedgerSpec, before: Option<&MailboxLedgerSpec>, why: &Why, now: Timestamp) {
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    spec.history_from.get_or_insert(now);
    let mut changes = changes_of_rights(spec, before, why, now);
    let life = causes_of_life(spec, before).into_iter();
    changes.extend(life.map(|cause| of_the_mailbox(cause, why.request.clone(), now)));
    add(spec, changes, now);
}

/// Adds that the ledger was restored or edited. Nobody knows what was between the backup and now.
pub fn note_restored(spec: &mut MailboxLedgerSpec, now: Timestamp) {
    spec.history_from = Some(now);
    add(spec, vec![of_the_mailbox("Restored", None, now)], now);
}

fn add(spec: &mut MailboxLedgerSpec, changes: Vec<HistoryLine>, now: Timestamp) {
    if !changes.is_empty() {
        spec.history = collapsed(std::mem::take(&mut spec.history), changes, now);
    }
    drop_oldest(spec, now);
}

fn of_the_mailbox(cause: &str, request: Option<String>, now: Timestamp) -> HistoryLine {
    HistoryLine {
        at: now,
        ids: Vec::new(),
        right: None,
        before: None,
        after: None,
        cause: cause.to_owned(),
        by: Vec::new(),
        request,
        n: 1,
    }
}

/// Adds the lines of another ledger of the same mailbox that `spec` lacks, as far as there is room. Two histories side by
/// side can't be undone together, so from the newest of those lines on, and not before, answers are known.
pub fn join(spec: &mut MailboxLedgerSpec, other: &MailboxLedgerSpec, now: Timestamp) {
    let about = |line: &HistoryLine| (line.right, line.cause.clone(), day(line.at));
    let known: BTreeSet<_> = spec
        .history
        .iter()
        .flat_map(|line| subjects(line).map(|id| (about(line), id)))
        .collect();
    let missing = other.history.iter().filter_map(|line| {
        let is_missing = |id: &Option<ObjectId>| !known.contains(&(about(line), *id));
        let missing: Vec<Option<ObjectId>> = subjects(line).filter(is_missing).collect();
        let ids = missing.iter().copied().flatten().collect();
        (!missing.is_empty()).then(|| HistoryLine { ids, ..line.clone() })
    });
    let missing: Vec<HistoryLine> = missing.collect();
    let Some(newest) = missing.iter().map(|line| line.at.min(now)).max() else {
        return;
    };
    spec.history_from = spec.history_from.max(Some(newest));
    spec.history.splice(0..0, missing);
    drop_oldest(spec, now);
}

/// Who had what on the mailbox at `at`.
pub fn held_on(spec: &MailboxLedgerSpec, at: Timestamp) -> Access {
    if spec.history_from.is_none_or(|from| at < from) {
        return Access::Unknown;
    }
    let mut held: BTreeMap<ObjectId, BTreeSet<Right>> = BTreeMap::new();
    for person in &spec.people {
        let rights = person.rights.iter();
        let has = rights.filter(|(_, entry)| is_had(Some(entry.state)));
        held.insert(person.id, has.map(|(right, _)| *right).collect());
    }
    for line in spec.history.iter().rev().filter(|line| line.at > at) {
        let Some(right) = line.right else { continue };
        for id in &line.ids {
            let rights = held.entry(*id).or_default();
            if is_had(line.before) {
                rights.insert(right);
            } else {
                rights.remove(&right);
            }
        }
    }
    held.retain(|_, rights| !rights.is_empty());
    Access::Known(held)
}

/// The newest line of each right of each person.
pub fn last_changes(spec: &MailboxLedgerSpec) -> BTreeMap<(ObjectId, Right), &HistoryLine> {
    // A collapsed line keeps the place of its first change.
    let mut lines: Vec<&HistoryLine> = spec.history.iter().collect();
    lines.sort_by_key(|line| line.at);
    let mut last = BTreeMap::new();
    for line in lines {
        let Some(right) = line.right else { continue };
        last.extend(line.ids.iter().map(|id| ((*id, right), line)));
    }
    last
}

/// Whether a line says that a right was got.
pub fn is_grant(line: &HistoryLine) -> bool {
    is_had(line.after)
}

/// Whether a line says that a right was lost.
pub fn is_removal(line: &HistoryLine) -> bool {
    match line.after {
        Some(GrantState::Removed) | None => true,
        Some(GrantState::Pending | GrantState::Granted | GrantState::Held | GrantState::Removing) => false,
    }
}

/// Whether somebody with a right in this state can use it.
fn is_had(state: Option<GrantState>) -> bool {
    match state {
        Some(GrantState::Granted | GrantState::Held | GrantState::Removing) => true,
        Some(GrantState::Pending | GrantState::Removed) | None => false,
    }
}

/// One line for all who got or lost the same right in the same way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Alike {
    right: Right,
    cause: &'static str,
    before: Option<GrantState>,
    after: GrantState,
    by: Vec<String>,
}

fn changes_of_rights(
    spec: &MailboxLedgerSpec,
    before: Option<&MailboxLedgerSpec>,
    why: &Why,
    now: Timestamp,
) -> Vec<HistoryLine> {
    let (old, new) = (before.map(states).unwrap_or_default(), states(spec));
    let pairs: BTreeSet<(ObjectId, Right)> = old.keys().chain(new.keys()).copied().collect();
    let mut lines: BTreeMap<Alike, Vec<ObjectId>> = BTreeMap::new();
    for pair in pairs {
        let (was, is) = (old.get(&pair), new.get(&pair));
        let state_before = was.map(|entry| entry.state);
        if is_had(is.map(|entry| entry.state)) == is_had(state_before) {
            continue;
        }
        let after = is.map_or(GrantState::Removed, |entry| entry.state);
        let usual = match after {
            GrantState::Granted | GrantState::Held | GrantState::Removing => DECLARED,
            GrantState::Pending => GRANTED_ANEW,
            GrantState::Removed => NOT_DECLARED,
        };
        // What takes a right away may have forgotten already who declared it.
        let by = [is, was].into_iter().flatten().map(Standing::permissions);
        let alike = Alike {
            right: pair.1,
            cause: why.causes.get(&pair).copied().unwrap_or(usual),
            before: state_before,
            after,
            by: by.into_iter().find(|by| !by.is_empty()).unwrap_or_default(),
        };
        lines.entry(alike).or_default().push(pair.0);
    }
    let line = |alike: &Alike, ids: &[ObjectId]| HistoryLine {
        at: now,
        ids: ids.to_vec(),
        right: Some(alike.right),
        before: alike.before,
        after: Some(alike.after),
        cause: alike.cause.to_owned(),
        by: alike.by.clone(),
        request: why.request.clone(),
        n: 1,
    };
    lines
        .iter()
        .flat_map(|(alike, ids)| ids.chunks(PEOPLE).map(move |ids| line(alike, ids)))
        .collect()
}

/// How one right of one person stands in one version of the object.
struct Standing<'a> {
    state: GrantState,
    by: &'a [i32],
    permissions: &'a [String],
}

impl Standing<'_> {
    fn permissions(&self) -> Vec<String> {
        let name = |position: &i32| self.permissions.get(usize::try_from(*position).ok()?);
        self.by
            .iter()
            .filter_map(name)
            .take(PERMISSIONS)
            .cloned()
            .collect()
    }
}

fn states(spec: &MailboxLedgerSpec) -> BTreeMap<(ObjectId, Right), Standing<'_>> {
    let mut states = BTreeMap::new();
    for person in &spec.people {
        for (right, entry) in &person.rights {
            let standing = Standing {
                state: entry.state,
                by: &entry.by,
                permissions: &spec.permissions,
            };
            states.insert((person.id, *right), standing);
        }
    }
    states
}

/// What happened to the mailbox itself.
fn causes_of_life(spec: &MailboxLedgerSpec, before: Option<&MailboxLedgerSpec>) -> Vec<&'static str> {
    let had = |what: fn(&MailboxLedgerSpec) -> bool| before.is_some_and(what);
    let is_released = |spec: &MailboxLedgerSpec| spec.released_at.is_some();
    let is_gone = |spec: &MailboxLedgerSpec| spec.gone_at.is_some();
    let happened = [
        (is_released(spec) && !had(is_released), "Released"),
        (!is_released(spec) && had(is_released), "TakenUp"),
        (is_gone(spec) && !had(is_gone), "Gone"),
    ];
    happened
        .into_iter()
        .filter_map(|(did, cause)| did.then_some(cause))
        .collect()
}

fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// The history with `changes`, those who have a line of the day already counted in it. A line of several people of whom
/// only some changed again is split, and the part stays where the line was.
fn collapsed(history: Vec<HistoryLine>, changes: Vec<HistoryLine>, now: Timestamp) -> Vec<HistoryLine> {
    let today = day(now);
    // Who changed, by right and cause: the number of the change.
    let mut waiting: BTreeMap<(Option<Right>, String), BTreeMap<Option<ObjectId>, usize>> = BTreeMap::new();
    for (number, change) in changes.iter().enumerate() {
        let of_kind = waiting.entry((change.right, change.cause.clone())).or_default();
        of_kind.extend(subjects(change).map(|id| (id, number)));
    }
    let mut result = Vec::with_capacity(history.len() + changes.len());
    for line in history {
        let again = waiting.get_mut(&(line.right, line.cause.clone()));
        let Some(again) = again.filter(|_| day(line.at) == today) else {
            result.push(line);
            continue;
        };
        let mut parts: BTreeMap<usize, Vec<ObjectId>> = BTreeMap::new();
        let mut rest = Vec::new();
        let mut is_whole = true;
        for id in subjects(&line) {
            if let Some(number) = again.remove(&id) {
                parts.entry(number).or_default().extend(id);
            } else {
                is_whole = false;
                rest.extend(id);
            }
        }
        for (number, ids) in parts {
            result.extend(changes.get(number).map(|change| counted(&line, ids, change)));
        }
        if !is_whole {
            result.push(HistoryLine { ids: rest, ..line });
        }
    }
    for (number, change) in changes.into_iter().enumerate() {
        let again = waiting.get(&(change.right, change.cause.clone()));
        let is_new = |id: &Option<ObjectId>| again.is_some_and(|again| again.get(id) == Some(&number));
        let new: Vec<Option<ObjectId>> = subjects(&change).filter(is_new).collect();
        if !new.is_empty() {
            let ids = new.into_iter().flatten().collect();
            result.push(HistoryLine { ids, ..change });
        }
    }
    result
}

/// Whom a line is about; None: the mailbox itself.
fn subjects(line: &HistoryLine) -> impl Iterator<Item = Option<ObjectId>> {
    let mailbox = line.ids.is_empty().then_some(None);
    line.ids.iter().copied().map(Some).chain(mailbox)
}

fn counted(line: &HistoryLine, ids: Vec<ObjectId>, change: &HistoryLine) -> HistoryLine {
    let by: BTreeSet<&String> = line.by.iter().chain(&change.by).collect();
    HistoryLine {
        at: change.at,
        ids,
        right: line.right,
        before: line.before,
        after: change.after,
        cause: line.cause.clone(),
        by: by.into_iter().take(PERMISSIONS).cloned().collect(),
        request: change.request.clone().or_else(|| line.request.clone()),
        n: line.n.saturating_add(change.n),
    }
}

/// Drops the oldest lines until the rest is young and small enough. What was before a dropped line is unknown from then
/// on; later answers undo newer lines only and stay as they were.
fn drop_oldest(spec: &mut MailboxLedgerSpec, now: Timestamp) {
    let sizes: Vec<usize> = spec.history.iter().map(size).collect();
    let mut by_age: Vec<usize> = (0..spec.history.len()).collect();
    by_age.sort_by_key(|number| spec.history.get(*number).map(|line| line.at));
    // The brackets; each line counts the comma behind it.
    let mut bytes = 2 + sizes.iter().sum::<usize>();
    let mut dropped = BTreeSet::new();
    for number in by_age {
        let (Some(line), Some(size)) = (spec.history.get(number), sizes.get(number)) else {
            break;
        };
        let is_old = now.duration_since(line.at) > AGE;
        if !is_old && bytes <= BYTES && spec.history.len() - dropped.len() <= LINES {
            break;
        }
        bytes -= size;
        dropped.insert(number);
        // A line of a clock that was ahead makes nothing unknown for longer than until now.
        spec.history_from = spec.history_from.max(Some(line.at.min(now)));
    }
    let mut number = 0..;
    spec.history
        .retain(|_| number.next().is_some_and(|number| !dropped.contains(&number)));
}

fn size(line: &HistoryLine) -> usize {
    serde_json::to_vec(line).map_or(0, |json| json.len()) + 1
}
