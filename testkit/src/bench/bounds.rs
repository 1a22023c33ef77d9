//! What a phase may cost: the least that is possible, two other ways to do the same, and what must not be exceeded.

use serde::Serialize;

use super::scenario::{MEMBERS, Phase, Phases};
use super::tally::Tally;

/// Members with both rights, and one with Send on Behalf.
const GRANTS: usize = 2 * MEMBERS + 1;
/// Calls that fit into a batch, and rows on a page.
const BATCH: usize = 10;
const PAGE: usize = 1000;

/// One measure of one phase.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub phase: &'static str,
    pub what: &'static str,
    pub measured: f64,
    /// The least that the interface allows. None: there is nothing to compare with.
    pub lower_bound: Option<f64>,
    /// Each mailbox and each grant as an object by itself, which is read, written and read again.
    pub object_by_object: Option<f64>,
    /// A mailbox with all its grants at once, one call a request.
    pub without_batches: Option<f64>,
    /// More than this fails the check.
    pub at_most: Option<f64>,
    /// Less than this fails the check.
    pub at_least: Option<f64>,
}

impl Row {
    /// Whether it counts what is changed, in Exchange or in Kubernetes, and not what it takes to know or to send that.
    pub fn is_about_writes(&self) -> bool {
        let words = ["writing", "write", "Kubernetes", "events"];
        words.iter().any(|word| self.what.contains(word))
    }

    pub fn holds(&self) -> bool {
        self.at_most.is_none_or(|most| self.measured <= most)
            && self.at_least.is_none_or(|least| self.measured >= least)
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn number(count: usize) -> f64 {
    count as f64
}

impl Row {
    fn of(phase: &'static str, what: &'static str, measured: f64) -> Self {
        Self {
            phase,
            what,
            measured,
            lower_bound: None,
            object_by_object: None,
            without_batches: None,
            at_most: None,
            at_least: None,
        }
    }

    /// The least that is possible.
    fn bound(self, least: usize) -> Self {
        Self {
            lower_bound: Some(number(least)),
            ..self
        }
    }

    /// What it would be object by object, and grouped without batches.
    fn beside(self, objects: usize, grouped: usize) -> Self {
        Self {
            object_by_object: Some(number(objects)),
            without_batches: Some(number(grouped)),
            ..self
        }
    }

    fn at_most(self, most: impl Into<Option<f64>>) -> Self {
        Self {
            at_most: most.into(),
            ..self
        }
    }

    fn at_least(self, least: impl Into<Option<f64>>) -> Self {
        Self {
            at_least: least.into(),
            ..self
        }
    }
}

/// Every measure, in the order of the phases.
pub fn rows(phases: &Phases) -> Vec<Row> {
    let Phases {
        create_one,
        create_together,
        create_rest,
        pass,
        edit,
    } = phases;
    let mut rows = Vec::new();
    rows.extend(creating("create one", create_one));
    if create_together.mailboxes > 0 {
        rows.extend(creating("create together", create_together));
    }
    if create_rest.mailboxes > 0 {
        rows.extend(creating("create the rest", create_rest));
    }
    rows.extend(passing(pass));
    rows.extend(editing(edit));
    rows
}

/// The rows whose bound does not hold.
pub fn broken(rows: &[Row]) -> Vec<&Row> {
    rows.iter().filter(|row| !row.holds()).collect()
}

/// New-Mailbox, Set-Mailbox with Send on Behalf, and each of the other grants.
const WRITES: usize = 2 + 2 * MEMBERS;

/// Object by object: the mailbox is looked for, created, set and read; each grant's member is looked up, the grant is
/// written, and read. Grouped: one search, all writes, one look-up a member, three reads.
fn creating(phase: &'static str, of: &Phase) -> Vec<Row> {
    let Phase {
        mailboxes,
        tally,
        took,
    } = of;
    let count = *mailboxes;
    let (objects, grouped) = (4 + 3 * GRANTS, 1 + WRITES + MEMBERS + 3);
    let each = |total: usize| number(total) / number(count.max(1));
    let (is_alone, is_many) = (count == 1, count >= 50);
    // Three rounds for ten mailboxes each, and a batch of grants for each mailbox.
    let bound = 3 * count.div_ceil(BATCH) + count;
    let http = if is_alone {
        Some(5.0)
    } else {
        is_many.then_some(1.6)
    };
    let reads = if is_alone { 5.0 } else { 4.0 };
    vec![
        Row::of(phase, "Exchange: HTTP requests", number(tally.http()))
            .bound(bound)
            .beside(objects * count, grouped * count),
        Row::of(phase, "the same a mailbox", each(tally.http())).at_most(http),
        Row::of(phase, "writing cmdlets a mailbox", each(tally.writes()))
            .bound(WRITES)
            .beside(2 + GRANTS, WRITES)
            .at_most(number(WRITES))
            .at_least(number(WRITES)),
        Row::of(phase, "reading cmdlets a mailbox", each(tally.reads()))
            .bound(1)
            .beside(objects - 2 - GRANTS, grouped - WRITES)
            .at_most(reads),
        Row::of(phase, "cmdlets in a request", tally.fill())
            .bound(BATCH)
            .beside(1, 1)
            .at_least(is_many.then_some(8.0)),
        graph(phase, tally),
        Row::of(phase, "Kubernetes writes a mailbox", each(tally.kubernetes())).at_most(9.0),
        Row::of(phase, "events a mailbox", each(tally.events)).at_most(3.0),
        Row::of(phase, "simulated seconds", took.as_secs_f64().round()),
    ]
}

fn graph(phase: &'static str, tally: &Tally) -> Row {
    Row::of(phase, "Graph: HTTP requests", number(tally.graph_requests))
}

/// Send As entries of a tenant: those that are declared, as many of others, and each recipient's own.
fn send_as_rows(mailboxes: usize) -> usize {
    12 * mailboxes
}

fn passing(of: &Phase) -> Vec<Row> {
    let Phase {
        mailboxes,
        tally,
        took: _,
    } = of;
    let count = *mailboxes;
    let phase = "an interval";
    let lists = count.div_ceil(PAGE) + send_as_rows(count).div_ceil(PAGE);
    vec![
        Row::of(phase, "Exchange: HTTP requests", number(tally.http()))
            .bound(lists + count.div_ceil(BATCH))
            .beside((1 + GRANTS) * count, 3 * count)
            // Few mailboxes are rarely rechecked at the same moment.
            .at_most(number(count / 2 + 10)),
        Row::of(phase, "Exchange: cmdlets", number(tally.cmdlets()))
            .bound(lists + count)
            .beside((1 + GRANTS) * count, 3 * count),
        graph(phase, tally).beside(count, count),
        Row::of(phase, "cmdlets that write", number(tally.writes()))
            .bound(0)
            .beside(0, 0)
            .at_most(0.0),
        Row::of(
            phase,
            "Kubernetes writes and events",
            number(tally.kubernetes() + tally.events),
        )
        .bound(0)
        .at_most(0.0),
    ]
}

fn editing(of: &Phase) -> Vec<Row> {
    let Phase {
        mailboxes: _,
        tally,
        took: _,
    } = of;
    let phase = "one member more";
    vec![
        Row::of(phase, "writing cmdlets", number(tally.writes()))
            .bound(2)
            .beside(2, 2)
            .at_most(2.0)
            .at_least(2.0),
        Row::of(phase, "Exchange: HTTP requests", number(tally.http()))
            .bound(2)
            .beside(6, 9),
    ]
}
