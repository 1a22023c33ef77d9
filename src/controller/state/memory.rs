//! What one process remembers of a mailbox between reconciles. Nothing here is needed for safety: it only avoids
//! repeating what was done a moment ago.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::sign_in::SignInMemory;
use super::tries::Tries;
use super::written_settings::WrittenSettings;
use crate::api::Revoked;
use crate::lane::Lane;
use crate::mail::{Holder, MailboxGuid, OneTimeName, Right};
use crate::plan::{Acknowledged, Change, Desired, Family, Observed, Repairs};
use crate::setting::Values;

/// What is remembered of one mailbox.
#[derive(Default)]
pub struct Memory {
    acknowledged: Vec<(Instant, Change)>,
    /// The lane of a reconcile that came too early: the tenant had not been checked.
    pub waits_for_tenant: Option<Lane>,
    /// When Exchange first did not find a mailbox that it had.
    pub missing_since: Option<Instant>,
    /// Permissions that the ledger names and that are gone, by name, and since when each was missed.
    pub lost: BTreeMap<String, Instant>,
    /// Since when each check found a permission that was missed a moment ago only.
    pub unsettled_since: Option<Instant>,
    /// Since when the namespace, or our CRDs, were seen in deletion while permissions are gone.
    pub deleting_since: Option<Instant>,
    /// Since when each read has shown the mailbox without our marker.
    pub unmarked_since: Option<Instant>,
    /// Who lost a right a short while ago, as it was reported last: the history knows them by their ids alone.
    pub revoked: Vec<Revoked>,
    /// When the mailbox was taken up, as its ledger says, and since when this process knows that.
    taken_up: Option<(Timestamp, Instant)>,
    /// The same of a take-up that is not written yet, and perhaps never is.
    begun: Option<(Timestamp, Instant)>,
    /// An announced create that surely was not executed and may be sent at once.
    pub unsent: Option<OneTimeName>,
    /// A mailbox that New-Mailbox created under this name, for when its GUID could not be written down.
    pub created: Option<(OneTimeName, MailboxGuid)>,
    /// Which removals that are due were reported since a take-up, and since which.
    reported_due: Option<(Timestamp, BTreeSet<Change>)>,
    /// Drift that was repaired, by property, and for which generation of the spec.
    repaired: Vec<(Instant, Change)>,
    repaired_for: Option<i64>,
    /// Rows whose removal was answered with "doesn't exist": how often in a row, and when the last time.
    undeletable: HashMap<(Holder, Right), (u32, Instant)>,
    /// What follows from groups that changed all at once, as the last read of them said.
    pub sudden: BTreeSet<Change>,
    /// The label of the last outcome and how many reconciles in a row ended so.
    ending: Option<(&'static str, u32)>,
    /// The same, of what an earlier resource of this name left.
    earlier_ending: Option<(&'static str, u32)>,
    /// When a mailbox without a resource was swept last, and for which version of the tenant.
    pub swept: Option<(Option<i64>, Instant)>,
    /// Another resource waits for an address of a mailbox without a resource.
    pub address_is_wanted: bool,
    /// What became of earlier writes of settings.
    pub settings: WrittenSettings,
    /// What is known of sign-in.
    pub sign_in: SignInMemory,
    /// What was tried and did not help.
    pub tries: Tries,
}

/// So many repairs of one property within [`CONTEST`] mean that somebody else keeps changing it.
const REPAIRS: usize = 3;
const CONTEST: Duration = Duration::from_hours(6);
/// A contested property is repaired this seldom.
const REST: Duration = Duration::from_hours(1);

/// After so many answers a row that can't be removed is no lagging replica's.
const TRIES: u32 = 3;

impl Memory {
    /// Exchange said that these rows do not exist when they were to be removed. Only those that a read shows nevertheless
    /// count: it says so too of what it has just removed.
    pub fn said_missing(
        &mut self,
        rows: &BTreeSet<(Holder, Right)>,
        is_shown: impl Fn(&(Holder, Right)) -> bool,
        now: Instant,
    ) {
        self.undeletable
            .retain(|row, _| !rows.contains(row) || is_shown(row));
        for row in rows.iter().filter(|row| is_shown(row)) {
            let (count, last) = self.undeletable.entry(row.clone()).or_insert((0, now));
            *count = count.saturating_add(1);
            *last = now;
        }
    }

    /// Rows that are shown, and of which Exchange said that they do not exist.
    pub fn said_to_be_missing(&self) -> BTreeSet<(Holder, Right)> {
        self.undeletable.keys().cloned().collect()
    }

    /// Rows that are shown and can't be removed; tried again once an hour.
    pub fn stuck(&self, now: Instant) -> BTreeSet<(Holder, Right)> {
        let is_stuck =
            |(count, last): &(u32, Instant)| *count >= TRIES && now.saturating_duration_since(*last) < REST;
        let stuck = self.undeletable.iter().filter(|(_, tries)| is_stuck(tries));
        stuck.map(|(row, _)| row.clone()).collect()
    }

    /// The mailbox was read, and was there.
    pub fn was_read(&mut self, desired: &Desired, observed: &Observed, now: (Instant, Timestamp)) {
        self.missing_since = None;
        self.sign_in.observed(desired, observed, now);
        for (family, wish) in desired.settings.iter().chain(&desired.withdrawn) {
            self.settings.observed(family, wish, &shown(family, observed));
        }
    }

    /// Exchange acknowledged what a family of settings wishes while it showed `before`.
    pub fn settings_written(
        &mut self,
        family: &'static str,
        desired: &Desired,
        before: &Observed,
        said_equal: bool,
        now: Instant,
    ) {
        if let Some(wish) = desired.wish(family) {
            let shown = shown(family, before);
            self.settings
                .acknowledged(family, wish.clone(), shown, said_equal, now);
        }
    }

    /// Exchange refused what a family of settings wishes.
    pub fn settings_refused(
        &mut self,
        family: &'static str,
        desired: &Desired,
        (why, may_pass): (&str, bool),
        now: Instant,
    ) {
        if let Some(wish) = desired.wish(family) {
            self.settings
                .refused(family, wish.clone(), why.to_owned(), may_pass, now);
        }
    }

    /// Drift was repaired. A family of settings that is repaired with one write counts once.
    pub fn repaired<'a>(
        &mut self,
        changes: impl IntoIterator<Item = &'a Change>,
        generation: Option<i64>,
        now: Instant,
    ) {
        if self.repaired_for != generation {
            self.repaired.clear();
            self.repaired_for = generation;
        }
        for change in changes {
            let same = |(when, other): &(Instant, Change)| *when == now && change.is_contested_with(other);
            if !self.repaired.iter().any(same) {
                self.repaired.push((now, change.clone()));
            }
        }
    }

    /// Changes that are not written now, because somebody else keeps undoing them. An edit of the spec starts anew.
    pub fn contested(&mut self, generation: Option<i64>, now: Instant) -> Acknowledged {
        self.repaired.retain(|(when, change)| {
            repairs(change) == Repairs::Once || now.saturating_duration_since(*when) < CONTEST
        });
        if self.repaired_for != generation {
            return Acknowledged::new();
        }
        let contested = |change: &Change| {
            let times = self
                .repaired
                .iter()
                .filter(|(_, other)| change.is_contested_with(other))
                .map(|(when, _)| *when);
            let (count, last) =
                times.fold((0, None), |(count, last), when| (count + 1, last.max(Some(when))));
            match repairs(change) {
                Repairs::Once => count >= 1,
                Repairs::Few => {
                    count >= REPAIRS && last.is_some_and(|last| now.saturating_duration_since(last) < REST)
                }
            }
        };
        self.repaired
            .iter()
            .map(|(_, change)| change)
            .filter(|change| contested(change))
            .cloned()
            .collect()
    }

    /// Since when this process knows of a take-up. One that comes to nothing, as each does under Observe, is not taken for the
    /// one that is written.
    pub fn known_take_up(&mut self, taken_up_at: Timestamp, is_written: bool, now: Instant) -> Instant {
        let known = [self.taken_up, self.begun].into_iter().flatten();
        let mut known = known.filter(|(of, _)| *of == taken_up_at);
        let since = known.next().map_or(now, |(_, since)| since);
        let place = if is_written {
            &mut self.taken_up
        } else {
            &mut self.begun
        };
        *place = Some((taken_up_at, since));
        since
    }

    /// What undoes an earlier change makes that one due again.
    pub fn acknowledge(&mut self, changes: impl IntoIterator<Item = Change>, now: Instant) {
        for change in changes {
            self.sign_in.acknowledged(&change, now);
            self.acknowledged
                .retain(|(_, earlier)| !change.supersedes(earlier));
            self.acknowledged.push((now, change));
        }
    }

    pub fn acknowledged(&mut self, now: Instant) -> Acknowledged {
        let tries = &self.tries;
        self.acknowledged
            .retain(|(when, change)| now.saturating_duration_since(*when) < tries.settling(change));
        self.acknowledged
            .iter()
            .map(|(_, change)| change.clone())
            .collect()
    }

    /// Whether any of what is due since this take-up was not reported yet. From now on it was.
    pub fn is_news(&mut self, taken_up_at: Timestamp, due: &BTreeSet<Change>) -> bool {
        let before = self.reported_due.take().filter(|(of, _)| *of == taken_up_at);
        let mut reported = before.map(|(_, reported)| reported).unwrap_or_default();
        let is_news = !due.is_subset(&reported);
        reported.extend(due.iter().cloned());
        self.reported_due = Some((taken_up_at, reported));
        is_news
    }

    /// A read showed everything as wanted: what differs from now on is drift.
    pub fn settled(&mut self) {
        self.acknowledged.clear();
        self.missing_since = None;
        self.unsent = None;
    }

    /// How many reconciles in a row, this one included, ended with `label`.
    pub fn count_ending(&mut self, label: &'static str) -> u32 {
        counted(&mut self.ending, label)
    }

    /// The same, for what an earlier resource of this name left.
    pub fn count_earlier_ending(&mut self, label: &'static str) -> u32 {
        counted(&mut self.earlier_ending, label)
    }
}

fn counted(ending: &mut Option<(&'static str, u32)>, label: &'static str) -> u32 {
    let before = ending.filter(|(before, _)| *before == label);
    let count = before.map_or(0, |(_, count)| count).saturating_add(1);
    *ending = Some((label, count));
    count
}

fn repairs(change: &Change) -> Repairs {
    let family = change.setting().and_then(Family::named);
    family.map_or(Repairs::Few, |family| family.repairs)
}

/// What a read shows of a family; nothing when it could not be read.
fn shown(family: &str, observed: &Observed) -> Values {
    let family = Family::named(family);
    let shown = family.and_then(|family| {
        let source = observed.settings.get(&family.call.shown_by())?;
        Some(source.as_ref().ok()?.only(family.properties))
    });
    shown.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Right;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn what_was_taken_back_meanwhile_counts_as_acknowledged_no_longer() {
        let (id, now) = (
            "00000000-0000-4000-8000-000000000001".parse().unwrap(),
            Instant::now(),
        );
        let mut memory = Memory::default();
        memory.acknowledge([Change::Granted(id, Right::SendAs)], now);
        assert!(
            memory
                .acknowledged(now + MINUTE)
                .contains(&Change::Granted(id, Right::SendAs))
        );
        memory.acknowledge([Change::Revoked(id, Right::SendAs)], now + MINUTE);
        assert!(
            !memory
                .acknowledged(now + MINUTE)
                .contains(&Change::Granted(id, Right::SendAs))
        );
        assert!(memory.acknowledged(now + 5 * MINUTE).is_empty(), "it settles");
    }

    #[test]
    fn a_row_that_is_said_to_be_missing_three_times_is_stuck_for_an_hour() {
        let row = (Holder::Sid("S-1-5-21-1".parse().unwrap()), Right::FullAccess);
        let rows = BTreeSet::from([row]);
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.said_missing(&rows, |_| true, now);
        memory.said_missing(&rows, |_| true, now + 3 * MINUTE);
        assert!(memory.stuck(now + 4 * MINUTE).is_empty(), "a replica may lag");
        memory.said_missing(&rows, |_| true, now + 6 * MINUTE);
        assert_eq!(memory.stuck(now + 7 * MINUTE), rows);
        assert!(memory.stuck(now + 67 * MINUTE).is_empty(), "tried again");
        memory.said_missing(&rows, |_| false, now + 8 * MINUTE);
        assert!(memory.stuck(now + 8 * MINUTE).is_empty(), "it is gone");
    }

    #[test]
    fn three_repairs_in_six_hours_are_a_contest_and_an_edit_ends_it() {
        let (change, now) = (Change::Primary("x@contoso.com".parse().unwrap()), Instant::now());
        let mut memory = Memory::default();
        for round in 0..3 {
            assert!(memory.contested(Some(1), now + round * MINUTE).is_empty());
            memory.repaired([&change], Some(1), now + round * MINUTE);
        }
        assert!(memory.contested(Some(1), now + 30 * MINUTE).contains(&change));
        assert!(memory.contested(Some(2), now + 30 * MINUTE).is_empty());
        assert!(
            memory.contested(Some(1), now + 63 * MINUTE).is_empty(),
            "it rested for an hour"
        );
    }
}
