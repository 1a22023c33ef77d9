//! One HTTP request to Exchange: a batch out, an outcome for each of its calls back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::{Instrument as _, Span};
use uuid::Uuid;

use super::queue::{Outcome, Waiting};
use super::shared::{Core, Slot, not_leading};
use crate::exchange::auth::Token;
use crate::exchange::error::{ErrorClass, ExchangeError, Retry, Stage};
use crate::exchange::http::answer_to;
use crate::exchange::learned::AfterError;
use crate::exchange::metrics::Attempt;
use crate::exchange::text;
use crate::exchange::wire::{Effect, Failure, Reply};

/// No answer within this time is a lost answer. A batch runs ten cmdlets of typically a second.
pub const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);

/// Each create of a batch beyond the first may take this much longer: they are the slowest of all, and a lost answer makes
/// every one of them uncertain.
const CREATE_TIMEOUT: Duration = Duration::from_secs(30);

/// What OData answers for a call that it did not run because another of its batch failed.
const FAILED_DEPENDENCY: u16 = 424;

/// After a role was granted, tokens from before it keep failing: a refusal renews tokens older than this.
pub const STALE_ROLES: Duration = Duration::from_mins(5);

/// Sends the calls as one request and answers each of them. Runs to its end even if no caller waits any more, so
/// that no write is cut off half-way.
pub async fn send(core: Arc<Core>, batch: Vec<Waiting>, slot: Slot) {
    let id = Uuid::new_v4();
    // A batch serves several callers and can be the child of none: each caller's span gets its ids instead.
    let span = tracing::info_span!(
        "exchange_request",
        client_request_id = %id,
        cmdlet = if let [one] = batch.as_slice() { one.cmdlet.name } else { "$batch" },
        calls = batch.len(),
        status = tracing::field::Empty,
        request_id = tracing::field::Empty,
    );
    for waiting in &batch {
        span.follows_from(&waiting.span);
        waiting
            .span
            .record("client_request_id", tracing::field::display(id));
    }
    let started = core.clock.instant();
    let outcomes = exchange(&core, &batch, id).instrument(span.clone()).await;
    let took = core.clock.instant().duration_since(started);
    drop(slot);
    for (waiting, outcome) in batch.into_iter().zip(outcomes) {
        let error = outcome.result.as_ref().err().map(|failure| &failure.error);
        core.metrics.answered(&Attempt {
            cmdlet: waiting.cmdlet.name,
            effect: waiting.cmdlet.effect,
            lane: waiting.lane,
            error: error.map(|error| error.class),
            took,
        });
        if let Some(error) = error {
            let (class, error) = (error.class.label(), error.traced());
            tracing::debug!(parent: &waiting.span, class, error, "an attempt failed");
        }
        // The caller may no longer wait.
        let _ = waiting.answer.send(outcome);
    }
}

async fn exchange(core: &Core, batch: &[Waiting], id: Uuid) -> Vec<Outcome> {
    let token = match core.exchange_tokens.get().await {
        Ok(token) => token,
        Err(error) => return whole(batch, &Failure::without_effect(error)),
    };
    // The service may have asked another request to wait while the token was fetched.
    if let Err(failure) = core.wait_out_hold().await {
        return whole(batch, &failure);
    }
    let request = match batch {
        [one] => core.api.invoke(&one.url, &one.cmdlet, &token.secret, id),
        many => {
            let items = many
                .iter()
                .map(|waiting| (waiting.url.as_str(), &*waiting.cmdlet));
            core.api.batch(items, &token.secret, id)
        }
    };
    let request = match request {
        Ok(request) => request,
        Err(error) => {
            return whole(
                batch,
                &Failure::without_effect(error_of(ErrorClass::Invalid, &error.to_string())),
            );
        }
    };
    let writes = batch.iter().any(|waiting| waiting.cmdlet.effect != Effect::Read);
    let writing = writes.then(|| core.leadership.begin_write());
    if matches!(writing, Some(None)) {
        return whole(batch, &not_leading(Stage::Exchange, ""));
    }
    core.metrics.requested(Stage::Exchange);
    let response = answer_to(&core.http, request, timeout(batch)).await;
    if let Some(writing) = writing.flatten() {
        writing.ended();
    }
    let response = match response {
        Ok(response) => response,
        Err(lost) => {
            let mut error = error_of(ErrorClass::Transient, &lost.message);
            error.request_id = Some(id.to_string());
            return whole(batch, &Failure::new(error, lost.sent));
        }
    };
    let reply = Reply::from_http(&response, core.clock.now());
    drop(response);
    if let Some(date) = reply.date {
        core.learned.lock().ahead = Some(core.clock.now().duration_since(date));
    }
    Span::current().record("status", reply.status);
    if let Some(id) = &reply.request_id {
        Span::current().record("request_id", id.as_str());
        for waiting in batch {
            waiting.span.record("request_id", id.as_str());
        }
    }
    let outcomes = match batch {
        [one] => vec![Outcome {
            result: reply.interpret(one.cmdlet.name),
            whole_request_failed: false,
        }],
        many => batch_outcomes(core, many, reply),
    };
    learn(core, &token, &outcomes).await;
    note(core, batch, &outcomes);
    outcomes
}

fn timeout(batch: &[Waiting]) -> Duration {
    let is_create = |call: &&Waiting| call.cmdlet.effect == Effect::Create;
    let further = batch.iter().filter(is_create).skip(1).count();
    REQUEST_TIMEOUT + CREATE_TIMEOUT * u32::try_from(further).unwrap_or_default()
}

fn batch_outcomes(core: &Core, batch: &[Waiting], reply: Reply) -> Vec<Outcome> {
    if reply.status != 200 || !reply.is_batch_answer() {
        return match reply.interpret("$batch") {
            Err(mut failure) => {
                // Each call is tried by itself before its batch's refusal counts against it.
                failure.error.class = failure.error.class.of_a_part();
                whole(batch, &failure)
            }
            Ok(_) => whole(
                batch,
                &missing("the service answered the batch with something else"),
            ),
        };
    }
    let request_id = reply.request_id.clone();
    let mut items: HashMap<usize, Reply> = reply
        .into_batch_items(core.clock.now())
        .unwrap_or_default()
        .into_iter()
        .collect();
    // Whoever stops at the first error has run nothing behind it.
    let stopped = items.values().any(|item| item.status >= 400);
    if let Some(seen) = after_error(batch.len(), &items) {
        core.learned.lock().batches = Some(seen);
    }
    batch
        .iter()
        .enumerate()
        .map(|(place, waiting)| {
            let mut item = match items.remove(&place) {
                Some(item) if item.status != FAILED_DEPENDENCY => item,
                // Of a create only its own answer says that it was not run.
                None if !stopped || waiting.cmdlet.effect == Effect::Create => {
                    return missing("the batch was answered without this call").outcome_of(waiting);
                }
                Some(_) | None => return not_run().outcome_of(waiting),
            };
            item.request_id = item.request_id.or_else(|| request_id.clone());
            Outcome {
                result: item.interpret(waiting.cmdlet.name),
                whole_request_failed: false,
            }
        })
        .collect()
}

/// What became of the calls behind the first that failed; None when none failed, or it was the last.
fn after_error(calls: usize, items: &HashMap<usize, Reply>) -> Option<AfterError> {
    let ran = |place: usize| items.get(&place).filter(|item| item.status != FAILED_DEPENDENCY);
    let failed = (0..calls).find(|place| ran(*place).is_some_and(|item| item.status >= 400))?;
    let behind = failed + 1..calls;
    if behind.is_empty() {
        None
    } else if behind.clone().any(|place| ran(place).is_some()) {
        Some(AfterError::Run)
    } else {
        Some(AfterError::NotRun)
    }
}

fn missing(message: &str) -> Failure {
    Failure::new(error_of(ErrorClass::Transient, message), true)
}

/// The service did not run this call of a batch: it is sent again, and by itself.
fn not_run() -> Failure {
    let text = "the service did not run the call, because an earlier one of its batch failed";
    let mut error = error_of(ErrorClass::Transient, text);
    error.status = Some(FAILED_DEPENDENCY);
    Failure::without_effect(error)
}

/// The same failure for every call.
fn whole(batch: &[Waiting], failure: &Failure) -> Vec<Outcome> {
    batch.iter().map(|waiting| failure.outcome_of(waiting)).collect()
}

impl Failure {
    /// What a failure of the whole request is for one of its calls: under the call's own name, unless it was the
    /// token request that failed.
    fn outcome_of(&self, waiting: &Waiting) -> Outcome {
        let mut failure = self.clone();
        let reached_exchange = failure.error.status.is_some() || failure.perhaps_executed;
        let whole_request_failed = failure.error.stage == Stage::Exchange && reached_exchange;
        if failure.error.stage == Stage::Exchange {
            waiting.cmdlet.name.clone_into(&mut failure.error.operation);
        }
        Outcome {
            result: Err(failure),
            whole_request_failed,
        }
    }
}

/// `whole` and its callers put in the operation.
fn error_of(class: ErrorClass, message: &str) -> ExchangeError {
    ExchangeError::new(class, Stage::Exchange, "", text::bounded(message))
}

/// What the answers say about the app's role. What refuses a whole batch says nothing about one cmdlet.
fn note(core: &Core, batch: &[Waiting], outcomes: &[Outcome]) {
    let mut learned = core.learned.lock();
    for (waiting, outcome) in batch
        .iter()
        .zip(outcomes)
        .filter(|(_, outcome)| !outcome.whole_request_failed)
    {
        let error = outcome.result.as_ref().err().map(|failure| &*failure.error);
        learned.cmdlet(waiting.cmdlet.name, waiting.cmdlet.parameters(), error);
    }
}

/// What an answer says about the token and about the tenant's budget.
async fn learn(core: &Core, token: &Token, outcomes: &[Outcome]) {
    let now = core.clock.instant();
    let failures = || {
        outcomes
            .iter()
            .filter_map(|outcome| outcome.result.as_ref().err().map(|failure| &failure.error))
    };
    let token_is_refused = failures().any(|error| match error.status {
        Some(401) => true,
        Some(403) => error.exception.is_none() && now.duration_since(token.obtained) > STALE_ROLES,
        _ => false,
    });
    if token_is_refused {
        core.exchange_tokens.reject(token).await;
    }
    let mut state = core.state();
    for error in failures() {
        let is_throttled = error.class.retry() == Retry::AfterPause;
        if is_throttled || (error.status == Some(503) && error.retry_after.is_some()) {
            state.hold.refused(now, error.retry_after);
        }
    }
    if outcomes.iter().any(|outcome| outcome.result.is_ok()) {
        state.hold.accepted(now);
    }
}
