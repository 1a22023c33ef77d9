//! The gateway to one tenant: callers await one cmdlet, the gateway gathers what concurrent callers ask for.
//!
//! While requests are in flight new calls queue by lane; when a slot frees, up to ten go out as one `$batch`.
//! [`look_up`] makes one filtered read of what several callers ask for ([`gather`]), [`queue`] says what is sent together, [`budget`] how much may be sent, [`send`] is one request, [`retry`] says
//! whether a call is tried again.

mod budget;
mod dispatch;
mod gather;
mod look_up;
mod queue;
mod retry;
mod send;
mod shared;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::AbortHandle;
use tracing::{Instrument as _, Span};

use self::budget::{Hold, WriteBudget};
use self::gather::{Gather, MOST_CONDITIONS};
use self::queue::{Outcome, Queue, Waiting};
pub(super) use self::retry::{Attempts, THROTTLED_PATIENCE, Verdict};
pub(super) use self::send::{REQUEST_TIMEOUT, STALE_ROLES};
pub(super) use self::shared::{Core, not_leading};
use self::shared::{NOT_LEADING, State};
use super::auth::{TokenSource, Tried};
use super::connection::Connection;
use super::error::{ErrorClass, ExchangeError, Retry, Stage};
use super::http::HttpService;
use super::metrics::GatewayMetrics;
use super::trail;
use super::wire::{AdminApi, Answer, Cmdlet, Failure};
use crate::clock::Clock;
use crate::fair;
use crate::lane::Lane;
use crate::leadership::Leadership;
use crate::mail::TenantGuid;

/// Pages of one list; 200,000 rows.
const PAGES: usize = 200;

/// Graph requests in flight at a time. Graph allows far more; a pool of connections does not.
const GRAPH_REQUESTS: usize = 4;

/// The application permission without which Exchange answers no app.
const APP_ROLE: &str = "Exchange.ManageAsApp";

/// Talks to one tenant. Clones share queue, tokens and budget; the last one dropped stops what is in flight.
///
/// A call that its caller drops before it was sent is forgotten; after that the request runs to its end, so that
/// no write is cut off half-way (Graph's requests excepted: each is a whole by itself).
#[derive(Clone)]
pub struct Gateway {
    pub(super) core: Arc<Core>,
    /// Held for its drop.
    _dispatcher: Arc<Dispatcher>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("tenant", &self.core.tenant)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Dispatcher(AbortHandle);

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How things stand at one gateway.
#[derive(Clone, Debug, Default)]
pub struct GatewayReading {
    /// Writes that may go out at once, and a minute.
    pub writes_left: f64,
    pub writes_limit: f64,
    /// Rest of the pause that the service asked for.
    pub throttled: Duration,
    pub waiting: usize,
    pub in_flight: usize,
}

impl Gateway {
    /// Connects nothing yet. Must be called within a tokio runtime: it starts the task that sends what callers ask
    /// for, which ends with the last clone.
    pub fn new(connection: Connection, http: HttpService, clock: Clock, metrics: GatewayMetrics) -> Self {
        Self::led_by(Leadership::alone(), connection, http, clock, metrics)
    }

    /// The same, for one of several processes: nothing that changes something is sent unless `leadership` holds at
    /// that moment.
    pub fn led_by(
        leadership: Leadership,
        connection: Connection,
        http: HttpService,
        clock: Clock,
        metrics: GatewayMetrics,
    ) -> Self {
        let connection = Arc::new(connection);
        let tokens = |audience: &str| {
            TokenSource::new(connection.clone(), audience, clock, http.clone(), metrics.clone())
        };
        let exchange_tokens = tokens(&connection.endpoints.exchange_audience);
        let graph_tokens = tokens(&connection.endpoints.graph_audience);
        let seed = String::from(connection.tenant).bytes().fold(0_u64, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        let core = Arc::new(Core {
            tenant: connection.tenant,
            api: AdminApi::new(&connection.endpoints.exchange, connection.tenant),
            graph_base: connection.endpoints.graph.trim_end_matches('/').to_owned(),
            exchange_tokens,
            graph_tokens,
            state: Mutex::new(State {
                queue: Queue::default(),
                hold: Hold::new(seed),
                writes: WriteBudget::new(connection.writes_per_minute, clock.instant()),
                max_in_flight: connection.max_concurrent.max(1),
                in_flight: 0,
                background_in_flight: 0,
                creates_in_flight: 0,
            }),
            work: Notify::new(),
            graph_slots: Semaphore::new(GRAPH_REQUESTS),
            graph_hold: Mutex::new(Hold::new(seed.rotate_left(32))),
            graph_silence: Mutex::default(),
            learned: Mutex::default(),
            http,
            clock,
            metrics,
            leadership,
            conditions: AtomicUsize::new(MOST_CONDITIONS),
            gather: Gather::default(),
        });
        let dispatcher = tokio::spawn(dispatch::dispatch(core.clone())).abort_handle();
        Self {
            core,
            _dispatcher: Arc::new(Dispatcher(dispatcher)),
        }
    }

    /// The tenant that Entra issues tokens for (`tid`).
    pub async fn tenant_guid(&self) -> Result<TenantGuid, ExchangeError> {
        let token = self.core.exchange_tokens.of_any_tenant().await;
        let token = token.inspect_err(|error| {
            trail::note(error);
            error.log();
        })?;
        token.tenant.ok_or_else(|| {
            let message = "the access token does not say which tenant it is for";
            ExchangeError::new(ErrorClass::Transient, Stage::Token, "Token request", message)
        })
    }

    /// Whether the token for Exchange carries `Exchange.ManageAsApp`; None: it can't be read.
    pub async fn may_manage_exchange(&self) -> Option<bool> {
        let roles = self.core.exchange_tokens.get().await.ok()?.roles?;
        Some(roles.contains(APP_ROLE))
    }

    /// The next calls try credentials again that were refused while another one worked.
    pub async fn retry_refused_credentials(&self) {
        self.core.exchange_tokens.retry_refused().await;
        self.core.graph_tokens.retry_refused().await;
    }

    /// How the credentials did when a token for Exchange was asked for last.
    pub async fn tried_credentials(&self) -> Tried {
        self.core.exchange_tokens.tried().await
    }

    /// The next calls come with new tokens.
    pub async fn forget_tokens(&self) {
        self.core.exchange_tokens.forget().await;
        self.core.graph_tokens.forget().await;
    }

    /// How things stand now.
    pub fn reading(&self) -> GatewayReading {
        let now = self.core.clock.instant();
        let mut state = self.core.state();
        GatewayReading {
            writes_left: state.writes.left(now),
            writes_limit: state.writes.capacity(),
            throttled: state.hold.remaining(now).unwrap_or_default(),
            waiting: state.queue.len(),
            in_flight: state.in_flight,
        }
    }

    /// One cmdlet with one answer.
    pub(super) async fn call(&self, lane: Lane, cmdlet: Cmdlet) -> Result<Answer, ExchangeError> {
        let url = self.core.api.invoke_url(&cmdlet);
        self.core.call(lane, &Arc::new(cmdlet), url).await
    }

    /// A cmdlet that lists: all pages, or an error. An incomplete list proves nothing.
    ///
    /// App-only clients have seen second pages refused unless the request names the organisation by its initial domain:
    /// then the list is read once more so, and everything after it.
    pub(super) async fn list(&self, lane: Lane, cmdlet: Cmdlet) -> Result<Answer, ExchangeError> {
        self.core.list(lane, &cmdlet).await
    }
}

fn too_many(cmdlet: &str) -> Outcome {
    failed(cmdlet, "too many calls wait for this tenant", false)
}

fn failed(cmdlet: &str, message: &str, perhaps_executed: bool) -> Outcome {
    let error = ExchangeError::new(ErrorClass::Transient, Stage::Exchange, cmdlet, message);
    Outcome {
        result: Err(Failure::new(error, perhaps_executed)),
        whole_request_failed: false,
    }
}

/// "Expired or Invalid pagination request": the link was just given, so it is the back end that does not know it.
fn is_refused_page(error: &ExchangeError) -> bool {
    error.message.to_ascii_lowercase().contains("pagination request")
}

impl Core {
    async fn list(&self, lane: Lane, cmdlet: &Cmdlet) -> Result<Answer, ExchangeError> {
        let api = &self.api;
        let anchor = api.anchor();
        match self.list_once(lane, cmdlet).await {
            // Another list may have found it out meanwhile.
            Err(error)
                if is_refused_page(&error) && (api.anchor_at_initial_domain() || api.anchor() != anchor) =>
            {
                self.list_once(lane, cmdlet).await
            }
            answer => answer,
        }
    }

    async fn list_once(&self, lane: Lane, cmdlet: &Cmdlet) -> Result<Answer, ExchangeError> {
        let incomplete = |message: String| {
            let message = format!("the list is incomplete: {message}");
            ExchangeError::new(ErrorClass::Transient, Stage::Exchange, cmdlet.name, message)
        };
        let url = self.api.invoke_url(cmdlet);
        let cmdlet = Arc::new(cmdlet.clone());
        let mut list = self.call(lane, &cmdlet, url).await?;
        let mut followed = Vec::new();
        while let Some(next) = list.next.take() {
            if !self.api.is_ours(&next) {
                return Err(incomplete(
                    "its next page is on another host, which does not get the token".to_owned(),
                ));
            }
            if followed.len() + 1 >= PAGES || followed.contains(&next) {
                return Err(incomplete("its pages have no end".to_owned()));
            }
            followed.push(next.clone());
            // The same body is posted to the link.
            let page = self
                .call(lane, &cmdlet, next)
                .await
                .map_err(|error| ExchangeError {
                    message: format!("the list is incomplete: {}", error.message),
                    class: error.class.of_a_part(),
                    ..error
                })?;
            self.learned.lock().paging = Some(self.api.anchor());
            list.rows.extend(page.rows);
            list.warnings.extend(page.warnings);
            list.next = page.next;
        }
        // "By default, only the first 1000 items are returned. Use the ResultSize parameter …"
        if list.warnings.iter().any(|warning| warning.contains("ResultSize")) {
            return Err(incomplete("the service cut it".to_owned()));
        }
        Ok(list)
    }

    async fn call(&self, lane: Lane, cmdlet: &Arc<Cmdlet>, url: String) -> Result<Answer, ExchangeError> {
        let span = tracing::info_span!(
            "exchange_call",
            cmdlet = cmdlet.name,
            lane = lane.label(),
            attempts = tracing::field::Empty,
            client_request_id = tracing::field::Empty,
            request_id = tracing::field::Empty,
            error = tracing::field::Empty,
        );
        self.attempts(lane, cmdlet, url).instrument(span).await
    }

    /// Attempts the call until it succeeds or one more attempt would not help.
    async fn attempts(&self, lane: Lane, cmdlet: &Arc<Cmdlet>, url: String) -> Result<Answer, ExchangeError> {
        let mut attempts = Attempts::new(cmdlet.effect);
        let mut number = 0_u32;
        let mut alone = false;
        loop {
            number += 1;
            let Outcome {
                result,
                whole_request_failed,
            } = self.attempt(lane, cmdlet, url.clone(), alone).await;
            Span::current().record("attempts", number);
            let failure = match result {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let class = failure.error.class;
            alone |= whole_request_failed && class.retry() == Retry::Backoff;
            let verdict = attempts.judge(failure, self.clock.instant());
            self.end_or_wait(class, verdict).await?;
        }
    }

    /// What follows from a failed attempt: the call ends with an error, or has waited and is tried again.
    pub(super) async fn end_or_wait(&self, class: ErrorClass, verdict: Verdict) -> Result<(), ExchangeError> {
        match verdict {
            Verdict::Final(error) => {
                Span::current().record("error", error.class.label());
                trail::note(&error);
                error.log();
                Err(error)
            }
            Verdict::Again(wait) => {
                self.metrics.retried(class);
                self.pause(wait).await;
                Ok(())
            }
        }
    }

    /// Queues the call once and waits for what becomes of it.
    async fn attempt(&self, lane: Lane, cmdlet: &Arc<Cmdlet>, url: String, alone: bool) -> Outcome {
        let (answer, outcome) = oneshot::channel();
        let waiting = Waiting {
            cmdlet: cmdlet.clone(),
            url,
            lane,
            owner: fair::owner(),
            alone,
            since: self.clock.instant(),
            answer,
            span: Span::current(),
        };
        let failed = |message: &str, perhaps_executed| failed(cmdlet.name, message, perhaps_executed);
        {
            // Under the lock that empties the queue of a replica that stands down: nothing is put there afterwards.
            let mut state = self.state();
            if self.leadership.has_stood_down() {
                return failed(NOT_LEADING, false);
            }
            if let Some(refused) = state.queue.push(waiting) {
                let name = refused.cmdlet.name;
                // Its caller may no longer wait.
                let _ = refused.answer.send(too_many(name));
            }
        }
        self.work.notify_one();
        outcome
            .await
            .unwrap_or_else(|_| failed("the request was given up", true))
    }
}
