//! Decides what is sent next, and sends it: one task for each gateway.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::queue::{BATCH, GATHER, Outcome, Urgency, Waiting};
use super::retry::THROTTLED_PATIENCE;
use super::send;
use super::shared::{Core, Slot, State, not_leading, throttled};
use crate::exchange::error::Stage;
use crate::exchange::metrics::Wait;
use crate::exchange::wire::{Effect, Failure};

/// What can be done now.
enum Next {
    Send(Vec<Waiting>, Urgency),
    /// The service wants to be left alone for longer than anybody waits here.
    Refuse(Vec<Waiting>, Duration),
    /// Without a reason when it only waits for more calls.
    WaitFor(Duration, Option<Wait>),
    Idle,
}

impl Core {
    fn next(&self) -> Next {
        let now = self.clock.instant();
        let mut state = self.state();
        state.queue.forget_abandoned();
        if state.queue.len() == 0 {
            return Next::Idle;
        }
        if let Some(left) = state.hold.remaining(now) {
            return if left > THROTTLED_PATIENCE {
                Next::Refuse(state.queue.drain(), left)
            } else {
                Next::WaitFor(left, Some(Wait::Throttled))
            };
        }
        if state.in_flight >= state.max_in_flight {
            return Next::Idle;
        }
        let State {
            queue,
            writes,
            in_flight,
            background_in_flight,
            creates_in_flight,
            max_in_flight,
            hold: _,
        } = &mut *state;
        // One slot stays free of background work, so that whoever waits for an answer never waits for a sweep; nor for
        // creates, ten of which take minutes.
        let slots = (*max_in_flight - 1).max(1);
        let most_creates = if *creates_in_flight >= slots {
            0
        } else if *max_in_flight > 1 {
            BATCH
        } else {
            1
        };
        let mut lingers = None;
        for urgency in queue.order() {
            if urgency == Urgency::Background && *background_in_flight >= slots {
                continue;
            }
            if let Some(left) = queue.lingers(urgency, *in_flight > 0, now) {
                lingers = Some(lingers.map_or(left, |other: Duration| other.min(left)));
                continue;
            }
            let batch = queue.take_batch(urgency, most_creates, writes, now);
            if !batch.is_empty() {
                *in_flight += 1;
                *creates_in_flight += usize::from(is_create(&batch));
                *background_in_flight += usize::from(urgency == Urgency::Background);
                return Next::Send(batch, urgency);
            }
        }
        let budget = (queue.has_writes() && writes.is_used_up(now)).then(|| writes.next_in(now));
        match (budget, lingers) {
            (Some(budget), Some(lingers)) if lingers < budget => Next::WaitFor(lingers, None),
            (Some(budget), _) => Next::WaitFor(budget, Some(Wait::WriteBudget)),
            (None, Some(lingers)) => Next::WaitFor(lingers, None),
            (None, None) => Next::Idle,
        }
    }
}

/// Works for as long as the gateway lives. Requests in flight end with this task.
pub async fn dispatch(core: Arc<Core>) {
    futures::join!(send_what_may_go(&core), refuse_when_stood_down(&core));
}

/// Whether these calls create mailboxes: they go with nothing else.
fn is_create(batch: &[Waiting]) -> bool {
    batch
        .first()
        .is_some_and(|call| call.cmdlet.effect == Effect::Create)
}

async fn send_what_may_go(core: &Arc<Core>) {
    let mut requests = JoinSet::new();
    loop {
        let wait = loop {
            match core.next() {
                Next::Send(batch, urgency) => {
                    let slot = Slot {
                        core: core.clone(),
                        urgency,
                        is_create: is_create(&batch),
                    };
                    requests.spawn(send::send(core.clone(), batch, slot));
                }
                Next::Refuse(calls, left) => refuse(calls, |cmdlet| throttled(cmdlet, left)),
                Next::WaitFor(wait, reason) => break Some((wait, reason)),
                Next::Idle => break None,
            }
        };
        while requests.try_join_next().is_some() {}
        if let Some((wait, reason)) = wait {
            let began = core.clock.instant();
            tokio::select! {
                biased;
                () = core.clock.sleep(wait) => {}
                () = core.work.notified() => {}
            }
            if let Some(reason) = reason {
                let waited = core.clock.instant().duration_since(began);
                core.metrics.waited(reason, waited);
            }
        } else {
            core.work.notified().await;
        }
        core.clock.sleep(GATHER).await;
    }
}

/// Whoever waits gets an answer at once, so that work ends in order when it has to end.
async fn refuse_when_stood_down(core: &Core) {
    core.leadership.stood_down().await;
    let waiting = core.state().queue.drain();
    refuse(waiting, |cmdlet| not_leading(Stage::Exchange, cmdlet));
}

fn refuse(calls: Vec<Waiting>, why: impl Fn(&str) -> Failure) {
    for call in calls {
        let outcome = Outcome {
            result: Err(why(call.cmdlet.name)),
            whole_request_failed: false,
        };
        // The caller may no longer wait.
        let _ = call.answer.send(outcome);
    }
}
