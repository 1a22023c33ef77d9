//! The tower service: takes requests apart, lets faults befall them, and turns results into HTTP.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body as AnswerBody;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use kube::client::Body as ClientBody;
use serde_json::Value;
use tower::{BoxError, Service};

use super::Shared;
use super::call::{Call, Verb};
use super::errors::Refusal;
use super::faults::{Disturbance, DisturbedAnswer};
use super::kinds::Kind;
use super::watch::Watch;
use super::world::{Ownership, World, Written};

/// The server as a service, cloneable, for `kube::Client` and for layers around it.
#[derive(Clone)]
pub struct ApiService {
    shared: Arc<Shared>,
}

enum Answer {
    Object(StatusCode, Value),
    Text(StatusCode, &'static str),
    Watch(Box<Watch>),
}

impl ApiService {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl Service<Request<ClientBody>> for ApiService {
    type Response = Response<AnswerBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ClientBody>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let Some(call) = Call::parse(&parts, body) else {
                return Ok(text_response(StatusCode::BAD_REQUEST, "bad request"));
            };
            respond(&shared, &call).await
        })
    }
}

async fn respond(shared: &Arc<Shared>, call: &Call) -> Result<Response<AnswerBody>, BoxError> {
    let disturbance = shared.faults().decide(call);
    let Some(Disturbance {
        before,
        takes_effect,
        after,
        answer,
    }) = disturbance
    else {
        return Ok(note(shared, call, execute(shared, call)));
    };
    let response = if takes_effect && !before.is_zero() {
        // It is on its way: it arrives even when whoever sent it is gone by then.
        let (shared, call) = (Arc::clone(shared), call.clone());
        let arrival = tokio::spawn(async move {
            tokio::time::sleep(before).await;
            carry_out(&shared, &call, true, answer)
        });
        arrival.await?
    } else {
        tokio::time::sleep(before).await;
        carry_out(shared, call, takes_effect, answer)
    };
    tokio::time::sleep(after).await;
    match response {
        Some(response) => Ok(response),
        None if answer == DisturbedAnswer::Silence => pending().await,
        None => Err(io::Error::new(io::ErrorKind::ConnectionReset, "connection reset by peer").into()),
    }
}

/// A disturbed request's effect and its line in the log; the response, unless none leaves.
fn carry_out(
    shared: &Arc<Shared>,
    call: &Call,
    takes_effect: bool,
    answer: DisturbedAnswer,
) -> Option<Response<AnswerBody>> {
    let executed = takes_effect.then(|| execute(shared, call));
    let changed = executed.as_ref().is_some_and(|executed| executed.changed);
    match (answer, executed) {
        (DisturbedAnswer::Real, Some(executed)) => Some(note(shared, call, executed)),
        (DisturbedAnswer::Refused(code, retry_after), _) => {
            let refusal = Refusal::injected(code, retry_after);
            let executed = Executed {
                answer: Err(refusal),
                changed,
            };
            Some(note(shared, call, executed))
        }
        (DisturbedAnswer::Real | DisturbedAnswer::Reset | DisturbedAnswer::Silence, _) => {
            shared.log().note(shared.now(), call, 0, changed, None);
            None
        }
    }
}

/// How a request ended.
struct Executed {
    answer: Result<Answer, Refusal>,
    /// Whether it changed the store.
    changed: bool,
}

fn execute(shared: &Arc<Shared>, call: &Call) -> Executed {
    if call.verb == Verb::Watch {
        let kind = shared.world().kind(call);
        let answer = match kind {
            Some(kind) => Watch::start(shared, kind, call).map(|watch| Answer::Watch(Box::new(watch))),
            None => Ok(no_such_path()),
        };
        return Executed {
            answer,
            changed: false,
        };
    }
    let staleness = shared.faults().staleness();
    let mut world = shared.world();
    world.now = shared.now();
    let before = world.store.revision();
    let answer = dispatch(&mut world, call, staleness);
    let revision = world.store.revision();
    drop(world);
    shared.announce(revision);
    Executed {
        answer,
        changed: revision != before,
    }
}

fn dispatch(world: &mut World, call: &Call, staleness: super::Staleness) -> Result<Answer, Refusal> {
    if call.verb == Verb::Other {
        return Ok(match call.path.as_str() {
            "/healthz" | "/livez" | "/readyz" => Answer::Text(StatusCode::OK, "ok"),
            path => world.discover(path).map_or_else(no_such_path, ok),
        });
    }
    let Some(kind) = world.kind(call).filter(|kind| serves(kind, call)) else {
        return Ok(no_such_path());
    };
    let created_or_ok = |created: bool, object: &Value| {
        Answer::Object(
            if created {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            },
            object.clone(),
        )
    };
    match call.verb {
        Verb::Get => world.get(&kind, call, staleness).map(ok),
        Verb::List => world.list(&kind, call, staleness).map(ok),
        Verb::Update | Verb::Patch if call.name.is_empty() => {
            Err(Refusal::bad_request("name must be provided"))
        }
        Verb::Create if call.name.is_empty() => {
            let writer = world.writer(&kind, call);
            let object = world.create(&kind, call, body(call)?, &Ownership::OfChanges(&writer))?;
            Ok(created_or_ok(true, &object))
        }
        Verb::Update => {
            let Written { created, object } = world.replace(&kind, call, body(call)?)?;
            Ok(created_or_ok(created, &object))
        }
        Verb::Patch => {
            let Written { created, object } = world.patch(&kind, call, body(call)?)?;
            Ok(if call.wants_metadata_only() {
                created_or_ok(created, &super::meta::partial(&object))
            } else {
                created_or_ok(created, &object)
            })
        }
        Verb::Delete => {
            let options = if call.body.is_empty() {
                Value::Null
            } else {
                body(call)?
            };
            world.delete(&kind, call, &options).map(ok)
        }
        Verb::DeleteCollection => world.delete_collection(&kind, call).map(ok),
        Verb::Watch | Verb::Create | Verb::Other => Err(Refusal::method_not_allowed(
            "the server does not allow this method on the requested resource",
        )),
    }
}

fn serves(kind: &Kind, call: &Call) -> bool {
    match call.subresource.as_str() {
        "" if call.verb == Verb::Create => kind.namespaced != call.namespace.is_empty(),
        "" => kind.namespaced || call.namespace.is_empty(),
        "status" => kind.has_status,
        _ => false,
    }
}

fn body(call: &Call) -> Result<Value, Refusal> {
    serde_json::from_slice(&call.body)
        .map_err(|error| Refusal::bad_request(format!("the body of the request was not valid JSON: {error}")))
}

fn ok(object: Value) -> Answer {
    Answer::Object(StatusCode::OK, object)
}

fn no_such_path() -> Answer {
    Answer::Text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// Writes the request down and makes the response.
fn note(shared: &Shared, call: &Call, Executed { answer, changed }: Executed) -> Response<AnswerBody> {
    let mut version = None;
    let response = match answer {
        Ok(Answer::Object(code, object)) => {
            version = object["metadata"]["resourceVersion"].as_str().map(str::to_owned);
            json_response(code, &object, None)
        }
        Ok(Answer::Text(code, text)) => text_response(code, text),
        Ok(Answer::Watch(watch)) => response(StatusCode::OK, "application/json", watch.into_body()),
        Err(refusal) => json_response(refusal.code, &refusal.status(), refusal.retry_after_seconds),
    };
    shared
        .log()
        .note(shared.now(), call, response.status().as_u16(), changed, version);
    response
}

fn json_response(code: StatusCode, body: &Value, retry_after: Option<u32>) -> Response<AnswerBody> {
    let mut response = response(
        code,
        "application/json",
        AnswerBody::from(serde_json::to_vec(body).expect("JSON values serialize")),
    );
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn text_response(code: StatusCode, text: &'static str) -> Response<AnswerBody> {
    response(code, "text/plain; charset=utf-8", AnswerBody::from(text))
}

fn response(code: StatusCode, content_type: &'static str, body: AnswerBody) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static(content_type),
    );
    response
}
