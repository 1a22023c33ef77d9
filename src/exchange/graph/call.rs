//! One request to Graph: sent within its own limits, repeated where that may help, and what an error answer means.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tokio::time::Instant;
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use crate::exchange::auth::Token;
use crate::exchange::capabilities::{BLOCK_USERS, READ_MEMBERS, READ_USERS, REVOKE_SESSIONS};
use crate::exchange::error::{ErrorClass, ExchangeError, Retry, Stage};
use crate::exchange::gateway::{
    Attempts, Core, REQUEST_TIMEOUT, STALE_ROLES, THROTTLED_PATIENCE, Verdict, not_leading,
};
use crate::exchange::http::{TransportError, answer_to};
use crate::exchange::metrics::{Attempt, Wait};
use crate::exchange::text;
use crate::exchange::wire::{Effect, Failure, retry_after};
use crate::lane::Lane;

pub const GET_GROUP: &str = "Graph GET group";
pub const GET_MEMBERS: &str = "Graph GET group members";
pub const GET_USER: &str = "Graph GET user";
pub const PATCH_USER: &str = "Graph PATCH user";
pub const SIGN_OUT: &str = "Graph POST revokeSignInSessions";

/// What Graph shows only explains, and what Exchange shows of the mailbox waits for it: not for longer than this. An answer
/// usually takes less than a second.
const READ_TIMEOUT: Duration = Duration::from_secs(15);

/// The least permission that is enough for `operation`.
fn permission_for(operation: &str) -> &'static str {
    match operation {
        PATCH_USER => BLOCK_USERS,
        SIGN_OUT => REVOKE_SESSIONS,
        GET_GROUP | GET_MEMBERS => READ_MEMBERS,
        _ => READ_USERS,
    }
}

/// Requests of ours with a body change something, and may be repeated.
fn effect_of(body: Option<&Value>) -> Effect {
    if body.is_some() {
        Effect::Repeatable
    } else {
        Effect::Read
    }
}

impl Core {
    /// One Graph request, repeated where that may help: all of ours are safe to repeat. None when the answer has no
    /// JSON body.
    pub async fn graph(
        &self,
        lane: Lane,
        operation: &'static str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Value>, ExchangeError> {
        let span = tracing::info_span!(
            "graph_call",
            operation,
            lane = lane.label(),
            client_request_id = tracing::field::Empty,
            request_id = tracing::field::Empty,
            error = tracing::field::Empty,
        );
        self.graph_attempts(lane, operation, method, path, body)
            .instrument(span)
            .await
    }

    async fn graph_attempts(
        &self,
        lane: Lane,
        operation: &'static str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Value>, ExchangeError> {
        let mut attempts = Attempts::new(effect_of(body));
        loop {
            let failure = match self
                .graph_attempt(lane, operation, method.clone(), path, body)
                .await
            {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let class = failure.error.class;
            let is_vain = effect_of(body) == Effect::Read && self.graph_silence.lock().is_silent();
            let verdict = if is_vain {
                Verdict::Final(*failure.error)
            } else {
                attempts.judge(failure, self.clock.instant())
            };
            self.end_or_wait(class, verdict).await?;
        }
    }

    async fn graph_attempt(
        &self,
        lane: Lane,
        operation: &'static str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Value>, Failure> {
        // The semaphore is never closed; an error here could only mean that it was.
        let _slot = self.graph_slots.acquire().await;
        let is_read = effect_of(body) == Effect::Read;
        if is_read && !self.graph_silence.lock().admits(self.clock.instant()) {
            let message = "it does not answer; it is asked again in a moment";
            let silent = ExchangeError::new(ErrorClass::Transient, Stage::Graph, operation, message);
            return Err(Failure::without_effect(silent));
        }
        let token = self.graph_tokens.get().await.map_err(Failure::without_effect)?;
        // After the token: fetching one takes a while, in which Graph may ask to be left alone.
        self.wait_for_graph(operation).await?;
        let id = Uuid::new_v4();
        let request = self
            .graph_request(method, path, body, &token, id)
            .map_err(|error| {
                let message = text::bounded(&error.to_string());
                let unsendable = ExchangeError::new(ErrorClass::Invalid, Stage::Graph, operation, message);
                Failure::without_effect(unsendable)
            })?;
        let writing = body.map(|_| self.leadership.begin_write());
        let refused = match &writing {
            Some(begun) => begun.is_none(),
            None => self.leadership.has_stood_down(),
        };
        if refused {
            return Err(not_leading(Stage::Graph, operation));
        }
        Span::current().record("client_request_id", tracing::field::display(id));
        let started = self.clock.instant();
        self.metrics.requested(Stage::Graph);
        let limit = match effect_of(body) {
            Effect::Read => READ_TIMEOUT,
            Effect::Repeatable | Effect::Create => REQUEST_TIMEOUT,
        };
        let answer = answer_to(&self.http, request, limit).await;
        if let Some(writing) = writing.flatten() {
            writing.ended();
        }
        let result = self.graph_result(operation, id, answer);
        let now = self.clock.instant();
        let error = result.as_ref().err().map(|failure| &*failure.error);
        self.metrics.answered(&Attempt {
            cmdlet: operation,
            effect: effect_of(body),
            lane,
            error: error.map(|error| error.class),
            took: now.duration_since(started),
        });
        self.learn_from_graph(operation, error, now);
        if let Some(error) = error {
            let lacks_a_role = error.status == Some(403) && now.duration_since(token.obtained) > STALE_ROLES;
            if error.status == Some(401) || lacks_a_role {
                self.graph_tokens.reject(&token).await;
            }
        }
        result
    }

    fn graph_result(
        &self,
        operation: &'static str,
        id: Uuid,
        answer: Result<Response<Bytes>, TransportError>,
    ) -> Result<Option<Value>, Failure> {
        match answer {
            Ok(response) => {
                self.graph_silence.lock().answered();
                if response.status().is_success() {
                    Ok(serde_json::from_slice(response.body()).ok())
                } else {
                    Err(self.graph_error(operation, &response))
                }
            }
            Err(lost) => {
                self.graph_silence.lock().lost(self.clock.instant());
                let message = text::bounded(&lost.message);
                let error = ExchangeError::new(ErrorClass::Transient, Stage::Graph, operation, message);
                let request_id = Some(id.to_string());
                Err(Failure::new(ExchangeError { request_id, ..error }, lost.sent))
            }
        }
    }

    /// Which permissions the app has, and how long Graph wants to be left alone.
    fn learn_from_graph(&self, operation: &'static str, error: Option<&ExchangeError>, now: Instant) {
        let Some(error) = error else {
            self.learned.lock().permission(permission_for(operation), true);
            self.graph_hold.lock().accepted(now);
            return;
        };
        if error.class.is_denial() && error.status == Some(403) {
            self.learned.lock().permission(permission_for(operation), false);
        }
        if let Some(id) = &error.request_id {
            Span::current().record("request_id", id.as_str());
        }
        let (class, text) = (error.class.label(), error.traced());
        tracing::debug!(class, error = text, "an attempt failed");
        if error.class.is_throttling() || error.retry_after.is_some() {
            self.graph_hold.lock().refused(now, error.retry_after);
        }
    }

    /// Returns when Graph may be called, or says how long it may not when that is too long to wait for.
    async fn wait_for_graph(&self, operation: &'static str) -> Result<(), Failure> {
        loop {
            let now = self.clock.instant();
            let left = self.graph_hold.lock().remaining(now);
            match left {
                None => return Ok(()),
                Some(left) if left <= THROTTLED_PATIENCE => {
                    self.clock.sleep(left).await;
                    self.metrics.waited(Wait::Throttled, left);
                }
                Some(left) => {
                    let message = "the tenant is throttled";
                    let mut error =
                        ExchangeError::new(ErrorClass::Throttled, Stage::Graph, operation, message);
                    error.retry_after = Some(left);
                    return Err(Failure::without_effect(error));
                }
            }
        }
    }

    fn graph_request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        token: &Token,
        id: Uuid,
    ) -> Result<Request<Bytes>, http::Error> {
        let mut authorization =
            http::HeaderValue::from_str(&format!("Bearer {}", token.secret.expose_secret()))?;
        authorization.set_sensitive(true);
        Request::builder()
            .method(method)
            .uri(format!("{}/v1.0/{path}", self.graph_base))
            .header(http::header::AUTHORIZATION, authorization)
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::ACCEPT, "application/json")
            .header("client-request-id", id.to_string())
            .body(body.map(|body| Bytes::from(body.to_string())).unwrap_or_default())
    }

    fn graph_error(&self, operation: &str, response: &Response<Bytes>) -> Failure {
        let status = response.status().as_u16();
        let permission = permission_for(operation);
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let json: Option<Value> = serde_json::from_slice(response.body()).ok();
        let reported = |pointer: &str| {
            json.as_ref()
                .and_then(|json| json.pointer(pointer))
                .and_then(Value::as_str)
                .map(text::bounded)
        };
        let code = reported("/error/code");
        let class = match (status, code.as_deref()) {
            (429, _) => ErrorClass::Throttled,
            (401 | 403, _) => ErrorClass::Denied,
            (404, Some("Request_ResourceNotFound")) => ErrorClass::NotFound,
            (400, Some(_)) => ErrorClass::Invalid,
            // A 404 without Graph's own code included: it proves nothing.
            _ => ErrorClass::Transient,
        };
        let reason = reported("/error/message").unwrap_or_else(|| "the service gave no reason".to_owned());
        let message = if matches!(status, 401 | 403) {
            format!(
                "{}; the app needs {permission} on Microsoft Graph, with admin consent",
                reason.trim_end_matches('.')
            )
        } else {
            reason
        };
        let error = ExchangeError {
            exception: code,
            status: Some(status),
            request_id: header("request-id")
                .map(text::bounded)
                .or_else(|| reported("/error/innerError/request-id")),
            retry_after: header("retry-after").and_then(|value| retry_after(value, self.clock.now())),
            ..ExchangeError::new(class, Stage::Graph, operation, message)
        };
        Failure::new(error, class.retry() == Retry::Backoff)
    }
}
