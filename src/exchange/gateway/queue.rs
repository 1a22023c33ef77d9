//! What waits to be sent, by urgency.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::Span;

use super::budget::WriteBudget;
use crate::exchange::wire::{Answer, Cmdlet, Effect, Failure};
use crate::fair::{Choice, Fair, Owner};
use crate::lane::Lane;

/// How long calls are gathered before a request leaves: callers that were woken by the same event are in the
/// same batch. Nothing beside the half second that a cmdlet takes.
pub const GATHER: Duration = Duration::from_millis(2);

/// Items in one `$batch`: what Microsoft's own module sends at most.
pub const BATCH: usize = 10;

/// Calls that may wait. One piece of work has few of them here at a time; this bounds what many of them ask for.
const LONGEST_QUEUE: usize = 10_000;

/// One call that waits for its turn.
#[derive(Debug)]
pub struct Waiting {
    pub cmdlet: Arc<Cmdlet>,
    pub url: String,
    pub lane: Lane,
    /// Whose it is: owners take turns.
    pub owner: Owner,
    /// Never in a batch: calls whose last batch failed as a whole.
    pub alone: bool,
    /// When it was put here.
    pub since: Instant,
    pub answer: oneshot::Sender<Outcome>,
    /// The caller's, which learns which request the call became a part of.
    pub span: Span,
}

/// What became of one call in one request.
#[derive(Debug)]
pub struct Outcome {
    pub result: Result<Answer, Failure>,
    /// True when the request as a whole failed at Exchange; the calls in it are then tried one by one.
    pub whole_request_failed: bool,
}

/// Interactive and background calls go in batches of their own. Mixing them would let somebody who waits wait for a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Urgency {
    Urgent,
    Background,
}

impl Urgency {
    pub fn of(lane: Lane) -> Self {
        match lane {
            Lane::Revocation | Lane::Edit => Self::Urgent,
            Lane::Repair | Lane::Sweep => Self::Background,
        }
    }

    /// In the order in which they are served. `turn` is the number of batches before: with every fifth the less urgent lane
    /// is first, so that nothing starves it.
    fn lanes(self, turn: usize) -> [Lane; 2] {
        match self {
            Self::Urgent if turn % TURNS == 2 => [Lane::Edit, Lane::Revocation],
            Self::Urgent => [Lane::Revocation, Lane::Edit],
            // Among urgent calls one in five is of these at all.
            Self::Background if (turn / TURNS) % TURNS == TURNS - 1 => [Lane::Sweep, Lane::Repair],
            Self::Background => [Lane::Repair, Lane::Sweep],
        }
    }
}

/// One batch of so many is of those who would otherwise wait.
const TURNS: usize = 5;

/// While something is in flight, so long does a batch wait for more calls: little beside the half second of a cmdlet, and
/// enough for the callers of the batch before to come back together.
const LINGER: Duration = Duration::from_millis(100);
/// So long does it wait when only regular rechecks are in it, for which nobody waits.
const SWEEP_LINGER: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub struct Queue {
    lanes: [Fair<Waiting>; Lane::ALL.len()],
    /// How many batches were taken.
    turn: usize,
}

impl Queue {
    /// When too many wait, one is given back, to be refused: the newest and least urgent of whoever has most here. Nobody is
    /// kept out by others.
    pub fn push(&mut self, waiting: Waiting) -> Option<Waiting> {
        if self.len() >= LONGEST_QUEUE {
            self.forget_abandoned();
        }
        let is_full = self.len() >= LONGEST_QUEUE;
        self.lane(waiting.lane).push(waiting.owner.clone(), waiting);
        if is_full { self.give_back() } else { None }
    }

    fn give_back(&mut self) -> Option<Waiting> {
        let mut counts: HashMap<Owner, usize> = HashMap::new();
        for (owner, count) in self.lanes.iter().flat_map(Fair::owners) {
            *counts.entry(owner.clone()).or_default() += count;
        }
        let (largest, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        let mut lanes = self.lanes.iter_mut().rev();
        lanes.find_map(|lane| lane.take_back(&largest))
    }

    pub fn len(&self) -> usize {
        self.lanes.iter().map(Fair::count).sum()
    }

    /// Drops the calls whose callers no longer wait.
    pub fn forget_abandoned(&mut self) {
        for lane in &mut self.lanes {
            lane.retain(|waiting| !waiting.answer.is_closed());
        }
    }

    /// Who is served first now: with every fifth batch what nobody waits for.
    pub fn order(&self) -> [Urgency; 2] {
        if self.turn % TURNS == TURNS - 1 {
            [Urgency::Background, Urgency::Urgent]
        } else {
            [Urgency::Urgent, Urgency::Background]
        }
    }

    /// For how long more calls may still join those of this urgency; None: they go now. Nobody keeps access for it.
    pub fn lingers(&self, urgency: Urgency, is_busy: bool, now: Instant) -> Option<Duration> {
        let waiting = || {
            let lanes = urgency.lanes(0).into_iter();
            lanes.flat_map(|lane| self.lanes[lane as usize].iter())
        };
        let first = waiting().map(|call| call.since).min()?;
        if waiting().count() >= BATCH || waiting().any(|call| call.lane == Lane::Revocation) {
            return None;
        }
        let is_sweep = |call: &Waiting| call.lane == Lane::Sweep && !call.cmdlet.effect.is_write();
        let patience = if waiting().all(is_sweep) {
            SWEEP_LINGER
        } else if is_busy {
            LINGER
        } else {
            return None;
        };
        let left = patience.saturating_sub(now.saturating_duration_since(first));
        (!left.is_zero()).then_some(left)
    }

    /// Up to ten calls that may go out together, the most urgent first. Writes go as far as their budget. A create takes
    /// longer than anything else: it waits with other creates, no more than `most_creates`, and nobody else with them.
    pub fn take_batch(
        &mut self,
        urgency: Urgency,
        most_creates: usize,
        writes: &mut WriteBudget,
        now: Instant,
    ) -> Vec<Waiting> {
        let mut batch: Vec<Waiting> = Vec::new();
        let (mut count, mut is_alone) = (0, false);
        let mut creates = None;
        for lane in urgency.lanes(self.turn) {
            let taken = self.lane(lane).take(|_, call| {
                if count >= BATCH || is_alone {
                    return Choice::Stop;
                }
                let is_create = call.cmdlet.effect == Effect::Create;
                let is_of_another_sort = creates.is_some_and(|creates| creates != is_create);
                if (call.alone && count > 0)
                    || is_of_another_sort
                    || (is_create && count >= most_creates)
                    || (call.cmdlet.effect.is_write() && !writes.take(now))
                {
                    return Choice::Skip;
                }
                creates = Some(is_create);
                count += 1;
                is_alone = call.alone;
                Choice::Take
            });
            batch.extend(taken);
        }
        self.turn = self.turn.wrapping_add(usize::from(!batch.is_empty()));
        batch
    }

    /// Everything that waits, to be refused.
    pub fn drain(&mut self) -> Vec<Waiting> {
        self.lanes.iter_mut().flat_map(Fair::drain).collect()
    }

    pub fn has_writes(&self) -> bool {
        self.lanes
            .iter()
            .flat_map(Fair::iter)
            .any(|waiting| waiting.cmdlet.effect.is_write())
    }

    fn lane(&mut self, lane: Lane) -> &mut Fair<Waiting> {
        &mut self.lanes[lane as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        queue: Queue,
        writes: WriteBudget,
        callers: Vec<oneshot::Receiver<Outcome>>,
    }

    impl Bench {
        fn new(writes_per_minute: u32) -> Self {
            let writes = WriteBudget::new(writes_per_minute, Instant::now());
            Self {
                queue: Queue::default(),
                writes,
                callers: Vec::new(),
            }
        }

        fn add(&mut self, lane: Lane, name: &'static str, effect: Effect) {
            self.add_for("", lane, name, effect);
        }

        fn add_for(&mut self, owner: &str, lane: Lane, name: &'static str, effect: Effect) {
            let (answer, caller) = oneshot::channel();
            let waiting = Waiting {
                owner: Owner::from(owner),
                cmdlet: Arc::new(Cmdlet::new(name, effect)),
                url: String::new(),
                lane,
                alone: false,
                since: Instant::now(),
                answer,
                span: Span::none(),
            };
            assert!(self.queue.push(waiting).is_none());
            self.callers.push(caller);
        }

        fn take(&mut self, urgency: Urgency) -> Vec<&'static str> {
            let batch = self
                .queue
                .take_batch(urgency, BATCH, &mut self.writes, Instant::now());
            batch.iter().map(|waiting| waiting.cmdlet.name).collect()
        }
    }

    #[test]
    fn the_most_urgent_lane_is_first_whatever_came_first() {
        let mut bench = Bench::new(100);
        for _ in 0..9 {
            bench.add(Lane::Edit, "edit", Effect::Read);
        }
        bench.add(Lane::Revocation, "revoke", Effect::Repeatable);
        bench.add(Lane::Edit, "last", Effect::Read);
        let batch = bench.take(Urgency::Urgent);
        assert_eq!(batch.len(), 10);
        assert_eq!(batch[0], "revoke");
        assert_eq!(bench.take(Urgency::Urgent), ["last"]);
    }

    #[test]
    fn who_waits_for_an_answer_does_not_share_a_batch_with_a_sweep() {
        let mut bench = Bench::new(100);
        bench.add(Lane::Sweep, "sweep", Effect::Read);
        bench.add(Lane::Repair, "repair", Effect::Read);
        bench.add(Lane::Edit, "edit", Effect::Read);
        assert_eq!(bench.take(Urgency::Urgent), ["edit"]);
        assert_eq!(bench.take(Urgency::Background), ["repair", "sweep"]);
    }

    #[test]
    fn creates_are_sent_with_creates_only() {
        let mut bench = Bench::new(100);
        bench.add(Lane::Edit, "read", Effect::Read);
        bench.add(Lane::Edit, "create", Effect::Create);
        bench.add(Lane::Edit, "other", Effect::Read);
        bench.add(Lane::Edit, "another create", Effect::Create);
        assert_eq!(bench.take(Urgency::Urgent), ["read", "other"]);
        bench.add(Lane::Edit, "late", Effect::Read);
        assert_eq!(bench.take(Urgency::Urgent), ["create", "another create"]);
        assert_eq!(bench.take(Urgency::Urgent), ["late"]);
    }

    #[test]
    fn a_batch_that_is_not_full_waits_a_little_while_others_are_in_flight() {
        let mut bench = Bench::new(100);
        let lingers = |bench: &Bench, urgency, is_busy| {
            let left = bench.queue.lingers(urgency, is_busy, Instant::now());
            left.map(|left| left.as_secs_f64().ceil())
        };
        assert_eq!(lingers(&bench, Urgency::Urgent, true), None, "nothing waits");
        bench.add(Lane::Edit, "edit", Effect::Repeatable);
        bench.add(Lane::Sweep, "recheck", Effect::Read);
        assert_eq!(lingers(&bench, Urgency::Urgent, false), None);
        assert_eq!(lingers(&bench, Urgency::Urgent, true), Some(1.0));
        assert_eq!(lingers(&bench, Urgency::Background, false), Some(3.0));
        bench.add(Lane::Repair, "repair", Effect::Read);
        assert_eq!(
            lingers(&bench, Urgency::Background, false),
            None,
            "somebody waits"
        );
        bench.add(Lane::Revocation, "revoke", Effect::Repeatable);
        assert_eq!(
            lingers(&bench, Urgency::Urgent, true),
            None,
            "somebody keeps access"
        );
        assert_eq!(bench.take(Urgency::Urgent), ["revoke", "edit"]);
        for _ in 0..BATCH {
            bench.add(Lane::Edit, "edit", Effect::Repeatable);
        }
        assert_eq!(lingers(&bench, Urgency::Urgent, true), None, "it is full");
    }

    #[test]
    fn reads_overtake_writes_that_have_no_budget() {
        let mut bench = Bench::new(1);
        bench.add(Lane::Edit, "first", Effect::Repeatable);
        bench.add(Lane::Edit, "second", Effect::Repeatable);
        bench.add(Lane::Edit, "read", Effect::Read);
        assert_eq!(bench.take(Urgency::Urgent), ["first", "read"]);
        assert!(bench.queue.has_writes());
        assert!(bench.take(Urgency::Urgent).is_empty());
    }

    #[test]
    fn an_abandoned_call_is_forgotten() {
        let mut bench = Bench::new(100);
        bench.add(Lane::Edit, "gone", Effect::Repeatable);
        bench.add(Lane::Edit, "kept", Effect::Read);
        bench.callers.remove(0);
        bench.queue.forget_abandoned();
        assert_eq!(bench.take(Urgency::Urgent), ["kept"]);
    }

    #[test]
    fn the_queue_has_an_end_that_abandoned_calls_do_not_count_for() {
        let mut bench = Bench::new(100);
        for _ in 0..LONGEST_QUEUE {
            bench.add(Lane::Sweep, "read", Effect::Read);
        }
        let (answer, _caller) = oneshot::channel();
        let one_more = Waiting {
            owner: Owner::from(""),
            cmdlet: Arc::new(Cmdlet::new("more", Effect::Read)),
            url: String::new(),
            lane: Lane::Edit,
            alone: false,
            since: Instant::now(),
            answer,
            span: Span::none(),
        };
        let refused = bench.queue.push(one_more).unwrap();
        assert_eq!(refused.lane, Lane::Sweep, "the least urgent");
        assert_eq!(bench.queue.len(), LONGEST_QUEUE);
        // The newest was given back; one that waits is abandoned.
        bench.callers.swap_remove(0);
        assert!(bench.queue.push(refused).is_none());
    }

    #[test]
    fn whoever_fills_the_queue_keeps_nobody_else_out() {
        let mut bench = Bench::new(100);
        for _ in 0..LONGEST_QUEUE {
            bench.add_for("storm", Lane::Revocation, "storm", Effect::Read);
        }
        let (answer, _caller) = oneshot::channel();
        let other = Waiting {
            owner: Owner::from("calm"),
            cmdlet: Arc::new(Cmdlet::new("calm", Effect::Read)),
            url: String::new(),
            lane: Lane::Sweep,
            alone: false,
            since: Instant::now(),
            answer,
            span: Span::none(),
        };
        let refused = bench.queue.push(other).unwrap();
        assert_eq!(&*refused.owner, "storm");
        assert_eq!(bench.take(Urgency::Background), ["calm"]);
    }

    #[test]
    fn owners_take_turns_in_a_batch_and_with_the_budget_of_writes() {
        let mut bench = Bench::new(1);
        for _ in 0..50 {
            bench.add_for("storm", Lane::Edit, "storm", Effect::Read);
        }
        bench.add_for("calm", Lane::Edit, "calm", Effect::Read);
        assert_eq!(bench.take(Urgency::Urgent)[..2], ["storm", "calm"]);
        let mut bench = Bench::new(1);
        for name in ["one", "two"] {
            bench.add_for("storm", Lane::Edit, name, Effect::Repeatable);
        }
        bench.add_for("calm", Lane::Edit, "calm", Effect::Repeatable);
        assert_eq!(bench.take(Urgency::Urgent), ["one"]);
        bench.writes = WriteBudget::new(1, Instant::now());
        assert_eq!(bench.take(Urgency::Urgent), ["calm"]);
    }

    #[test]
    fn one_batch_of_five_is_of_what_is_less_urgent() {
        let mut bench = Bench::new(1000);
        for _ in 0..100 {
            bench.add(Lane::Revocation, "revoke", Effect::Read);
            bench.add(Lane::Edit, "edit", Effect::Read);
            bench.add(Lane::Repair, "repair", Effect::Read);
        }
        let mut firsts = Vec::new();
        for _ in 0..5 {
            let [urgency, _] = bench.queue.order();
            firsts.push(bench.take(urgency)[0]);
        }
        assert_eq!(firsts, ["revoke", "revoke", "edit", "revoke", "repair"]);
    }
}
