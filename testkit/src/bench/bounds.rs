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

/// What is beside a measured number.
#[derive(Clone, Copy, Default)]
struct Beside {
    bound: Option<usize>,
    objects: Option<usize>,
    grouped: Option<usize>,
    at_most: Option<f64>,
    at_least: Option<f64>,
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn number(count: usize) -> f64 {
    count as f64
}

fn row(phase: &'static str, what: &'static str, measured: f64, beside: Beside) -> Row {
    Row {
        phase,
        what,
        measured,
        lower_bound: beside.bound.map(number),
        object_by_object: beside.objects.map(number),
        without_batches: beside.grouped.map(number),
        at_most: beside.at_most,
        at_least: beside.at_least,
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
        row(
            phase,
            "Exchange: HTTP requests",
            number(tally.http()),
            Beside {
                bound: Some(bound),
                objects: Some(objects * count),
                grouped: Some(grouped * count),
                ..Beside::default()
            },
        ),
        row(
            phase,
            "the same a mailbox",
            each(tally.http()),
            Beside {
                at_most: http,
                ..Beside::default()
            },
        ),
        row(
            phase,
            "writing cmdlets a mailbox",
            each(tally.writes()),
            Beside {
                bound: Some(WRITES),
                objects: Some(2 + GRANTS),
                grouped: Some(WRITES),
                at_most: Some(number(WRITES)),
                at_least: Some(number(WRITES)),
            },
        ),
        row(
            phase,
            "reading cmdlets a mailbox",
            each(tally.reads()),
            Beside {
                bound: Some(1),
                objects: Some(objects - 2 - GRANTS),
                grouped: Some(grouped - WRITES),
                at_most: Some(reads),
                ..Beside::default()
            },
        ),
        row(
            phase,
            "cmdlets in a request",
            tally.fill(),
            Beside {
                bound: Some(BATCH),
                objects: Some(1),
                grouped: Some(1),
                at_least: is_many.then_some(8.0),
                ..Beside::default()
            },
        ),
        graph(phase, tally, Beside::default()),
        row(
            phase,
            "Kubernetes writes a mailbox",
            each(tally.kubernetes()),
            Beside {
                at_most: Some(9.0),
                ..Beside::default()
            },
        ),
        row(
            phase,
            "events a mailbox",
            each(tally.events),
            Beside {
                at_most: Some(3.0),
                ..Beside::default()
            },
        ),
        row(
            phase,
            "simulated seconds",
            took.as_secs_f64().round(),
            Beside::default(),
        ),
    ]
}

fn graph(phase: &'static str, tally: &Tally, beside: Beside) -> Row {
    row(
        phase,
        "Graph: HTTP requests",
        number(tally.graph_requests),
        beside,
    )
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
        row(
            phase,
            "Exchange: HTTP requests",
            number(tally.http()),
            Beside {
                bound: Some(lists + count.div_ceil(BATCH)),
                objects: Some((1 + GRANTS) * count),
                grouped: Some(3 * count),
                // Few mailboxes are rarely rechecked at the same moment.
                at_most: Some(number(count / 2 + 10)),
                ..Beside::default()
            },
        ),
        row(
            phase,
            "Exchange: cmdlets",
            number(tally.cmdlets()),
            Beside {
                bound: Some(lists + count),
                objects: Some((1 + GRANTS) * count),
                grouped: Some(3 * count),
                ..Beside::default()
            },
        ),
        graph(
            phase,
            tally,
            Beside {
                objects: Some(count),
                grouped: Some(count),
                ..Beside::default()
            },
        ),
        row(
            phase,
            "cmdlets that write",
            number(tally.writes()),
            Beside {
                bound: Some(0),
                objects: Some(0),
                grouped: Some(0),
                at_most: Some(0.0),
                ..Beside::default()
            },
        ),
        row(
            phase,
            "Kubernetes writes and events",
            number(tally.kubernetes() + tally.events),
            Beside {
                bound: Some(0),
                at_most: Some(0.0),
                ..Beside::default()
            },
        ),
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
        row(
            phase,
            "writing cmdlets",
            number(tally.writes()),
            Beside {
                bound: Some(2),
                objects: Some(2),
                grouped: Some(2),
                at_most: Some(2.0),
                at_least: Some(2.0),
            },
        ),
        row(
            phase,
            "Exchange: HTTP requests",
            number(tally.http()),
            Beside {
                bound: Some(2),
                objects: Some(6),
                grouped: Some(9),
                ..Beside::default()
            },
        ),
    ]
}
