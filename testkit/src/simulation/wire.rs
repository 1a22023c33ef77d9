//! Both clients of the operator, tapped: every request is read before it leaves, every effect is counted, and
//! the process can be made to die at any of them.
//!
//! An effect is a request that may change something: an HTTP request to Exchange or Graph with at least one
//! cmdlet that writes, or a write to the API server. A process that is dead sends and hears nothing any more,
//! whatever tasks of it are still to be dropped.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body as ClientBody;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use shared_mailbox_operator::exchange::{HttpService, TransportError};
use simulator::Simulator;
use tokio::sync::Notify;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service};

use super::pauses::{Pauses, Side};
use super::secrets::Secrets;
use super::sent::Sent;
use super::written::wrong_with;
use crate::api_server::{AnswerBody, ApiServer, ApiService};

/// When, around one effect, the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The request never leaves.
    BeforeSent,
    /// The request is carried out and nobody hears the answer.
    Unanswered,
    /// The answer arrives; the process dies when it wants to say the next thing.
    Answered,
}

impl Phase {
    pub const ALL: [Self; 3] = [Self::BeforeSent, Self::Unanswered, Self::Answered];
}

#[derive(Default)]
struct State {
    counting: bool,
    effects: Vec<String>,
    /// The process dies around the effect of this number, counting from 1.
    crash_at: Option<(usize, Phase)>,
    dies_at_next_request: bool,
    crashed: bool,
    /// The resource (uid) that announced each one-time name.
    intents: BTreeMap<String, String>,
    /// Writes to Exchange and Graph, each with the ledgers that there were when it left.
    sent: Vec<Arc<Sent>>,
    /// What was said against requests, the first few times.
    wrongs: Vec<String>,
}

/// What the taps of all lives of the operator share.
#[derive(Clone, Default)]
pub struct Wire {
    state: Arc<Mutex<State>>,
    pub secrets: Secrets,
}

/// One process. Dies once.
#[derive(Clone, Default)]
pub struct Life {
    dead: Arc<AtomicBool>,
    end: Arc<Notify>,
    pauses: Arc<Pauses>,
}

impl Life {
    pub fn is_over(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    pub fn end(&self) {
        self.dead.store(true, Ordering::Relaxed);
        self.end.notify_one();
    }

    pub async fn ended(&self) {
        self.end.notified().await;
    }
}

impl Wire {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Counts effects from now on, from 1, and lets the process die around one of them.
    pub fn count_from_here(&self, crash_at: Option<(usize, Phase)>) {
        let mut state = self.state();
        state.counting = true;
        state.effects.clear();
        state.crash_at = crash_at;
        state.crashed = false;
    }

    /// The effects since counting began, as people read them.
    pub fn effects(&self) -> Vec<String> {
        self.state().effects.clone()
    }

    /// Whether the death that was asked for has happened.
    pub fn crashed(&self) -> bool {
        self.state().crashed
    }

    /// One-time names, with the uid of the resource that announced each.
    pub fn intents(&self) -> BTreeMap<String, String> {
        self.state().intents.clone()
    }

    /// Writes to Exchange, in order.
    pub fn sent(&self) -> Vec<Arc<Sent>> {
        self.state().sent.clone()
    }

    /// What was wrong with requests for themselves.
    pub fn wrongs(&self) -> Vec<String> {
        self.state().wrongs.clone()
    }

    fn complain(&self, wrong: String) {
        let mut state = self.state();
        if state.wrongs.len() < 5 {
            state.wrongs.push(wrong);
        }
    }

    pub fn client(&self, server: &ApiServer, life: &Life) -> Client {
        server.client_over(KubernetesTap {
            wire: self.clone(),
            life: life.clone(),
            server: server.clone(),
            inner: server.service(),
        })
    }

    pub fn http(&self, server: &ApiServer, simulator: &Simulator, life: &Life) -> HttpService {
        let (wire, life, simulator) = (self.clone(), life.clone(), simulator.clone());
        let server = server.clone();
        BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
            let (wire, life, simulator) = (wire.clone(), life.clone(), simulator.clone());
            let server = server.clone();
            let effect = effect_at_exchange(&request);
            let side = Side::of(request.uri().path());
            async move {
                let sender = wire.clone();
                let send = async move {
                    sender.note_sent(&server, &request);
                    let lost = |_| TransportError::lost("the answer was lost");
                    simulator.handle(request).await.map_err(lost)
                };
                if !life.is_over()
                    && let Some(wrong) = life.pauses.sends(side)
                {
                    wire.complain(wrong);
                }
                let answer = wire.through(&life, effect, send).await;
                if let Ok(answer) = &answer {
                    life.pauses.heard(side, answer);
                }
                answer
            }
        }))
    }

    /// Notes what leaves for Exchange, and what is remembered of its mailbox at this moment.
    fn note_sent(&self, server: &ApiServer, request: &Request<Bytes>) {
        if effect_at_exchange(request).is_none() {
            return;
        }
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let mut calls = Vec::new();
        calls_in(&body, &mut calls);
        calls.extend(written_to_graph(request));
        let all = ledgers_of(server);
        let resources = server.objects("sharedmailbox.dev", "sharedmailboxes", None);
        let resources: Vec<String> = resources.iter().map(|one| super::model::name(one)).collect();
        let tenants = server.objects("sharedmailbox.dev", "exchangetenants", None);
        let departed: Vec<String> = tenants
            .iter()
            .flat_map(|tenant| super::model::texts(&tenant["spec"]["departed"]))
            .collect();
        let ended = super::wishes::ended(server);
        for Written { cmdlet, parameters } in calls {
            let concerns = |ledger: &&Arc<Value>| {
                let spec = &ledger["spec"];
                let is = |one: &Value, other: &Value| one.is_string() && one == other;
                is(&spec["mailbox"]["guid"], &parameters["Identity"])
                    || is(&spec["mailbox"]["objectId"], &parameters["Identity"])
                    || is(&spec["intent"]["oneTimeName"], &parameters["DisplayName"])
            };
            let sent = Sent {
                at: server.now(),
                ledgers: all.iter().filter(concerns).cloned().collect(),
                departed: departed.clone(),
                ended: ended.clone(),
                resources: resources.clone(),
                cmdlet,
                parameters,
            };
            self.state().sent.push(Arc::new(sent));
        }
    }

    /// Judges a ledger that is about to be written.
    fn note_ledger(&self, server: &ApiServer, written: &Value) {
        let all = ledgers_of(server);
        let name = &written["metadata"]["name"];
        let stored = all.iter().find(|ledger| ledger["metadata"]["name"] == *name);
        if let Some(wrong) = wrong_with(written, stored.map(AsRef::as_ref)) {
            self.complain(format!("{}: {wrong}", server.now()));
        }
    }

    async fn through<T, E>(
        &self,
        life: &Life,
        effect: Option<String>,
        send: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        if life.is_over() {
            return pending().await;
        }
        let death = {
            let mut state = self.state();
            if std::mem::take(&mut state.dies_at_next_request) {
                state.crashed = true;
                life.end();
                Some(Phase::BeforeSent)
            } else {
                effect.and_then(|effect| state.note(effect))
            }
        };
        match death {
            None => {}
            Some(Phase::BeforeSent) => {
                self.die(life);
                return pending().await;
            }
            Some(Phase::Unanswered) => {
                // It is on the wire: it is carried out though the sender is gone.
                let _ = tokio::spawn(send).await;
                self.die(life);
                return pending().await;
            }
            Some(Phase::Answered) => {
                let answer = send.await;
                self.state().dies_at_next_request = true;
                return answer;
            }
        }
        let answer = send.await;
        if life.is_over() { pending().await } else { answer }
    }

    fn die(&self, life: &Life) {
        self.state().crashed = true;
        life.end();
    }
}

impl State {
    /// Counts an effect; the phase in which the process is to die around it.
    fn note(&mut self, effect: String) -> Option<Phase> {
        if !self.counting {
            return None;
        }
        self.effects.push(effect);
        self.crash_at
            .filter(|(number, _)| *number == self.effects.len())
            .map(|(_, phase)| phase)
    }
}

fn ledgers_of(server: &ApiServer) -> Vec<Arc<Value>> {
    server.objects("sharedmailbox.dev", "mailboxledgers", None)
}

/// The writing cmdlets of a request, or the Graph write it is; None when it only asks.
fn effect_at_exchange(request: &Request<Bytes>) -> Option<String> {
    let path = request.uri().path();
    if !path.to_ascii_lowercase().starts_with("/adminapi/") {
        let writes = request.method() != Method::GET && !path.ends_with("/token");
        return writes.then(|| format!("{} {path}", request.method()));
    }
    let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let mut calls = Vec::new();
    calls_in(&body, &mut calls);
    let names: Vec<String> = calls.into_iter().map(|call| call.cmdlet).collect();
    (!names.is_empty()).then(|| names.join(" + "))
}

/// A write that leaves for Exchange or Graph. One to Graph is named by its method and path, and its identity is the account.
struct Written {
    cmdlet: String,
    parameters: Value,
}

/// A write to an account through Graph, with whose it is.
fn written_to_graph(request: &Request<Bytes>) -> Option<Written> {
    let path = request.uri().path();
    let (_, rest) = path.split_once("/users/")?;
    let account = rest.split('/').next().unwrap_or_default();
    let is_write = request.method() != Method::GET;
    is_write.then(|| Written {
        cmdlet: format!("{} {path}", request.method()),
        parameters: json!({ "Identity": account }),
    })
}

/// The writing cmdlets in a body, with their parameters.
fn calls_in(value: &Value, calls: &mut Vec<Written>) {
    match value {
        Value::Object(fields) => {
            if let Some(name) = fields.get("CmdletName").and_then(Value::as_str)
                && !name.starts_with("Get-")
            {
                let parameters = fields.get("Parameters").cloned().unwrap_or_default();
                calls.push(Written {
                    cmdlet: name.to_owned(),
                    parameters,
                });
            }
            for field in fields.values() {
                calls_in(field, calls);
            }
        }
        Value::Array(items) => {
            for item in items {
                calls_in(item, calls);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[derive(Clone)]
struct KubernetesTap {
    wire: Wire,
    life: Life,
    server: ApiServer,
    inner: ApiService,
}

impl Service<Request<ClientBody>> for KubernetesTap {
    type Response = Response<AnswerBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ClientBody>) -> Self::Future {
        let Self {
            wire,
            life,
            server,
            mut inner,
        } = self.clone();
        Box::pin(async move {
            if request.method() == Method::GET {
                return wire.through(&life, None, inner.call(request)).await;
            }
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            wire.secrets.search("a write to Kubernetes", &body);
            let written: Value = serde_json::from_slice(&body).unwrap_or_default();
            if let (Some(name), Some(uid)) = (
                written
                    .pointer("/spec/intent/oneTimeName")
                    .and_then(Value::as_str),
                written.pointer("/spec/resourceRef/uid").and_then(Value::as_str),
            ) {
                wire.state().intents.insert(name.to_owned(), uid.to_owned());
            }
            if matches!(parts.method, Method::POST | Method::PUT)
                && parts.uri.path().contains("/mailboxledgers")
            {
                wire.note_ledger(&server, &written);
            }
            let effect = format!("{} {}", parts.method, shown(parts.uri.path()));
            if std::env::var_os("SMO_SIMULATION_LOGS").is_some() {
                eprintln!("{effect} {}", written["status"]);
            }
            let request = Request::from_parts(parts, ClientBody::from(body.to_vec()));
            wire.through(&life, Some(effect), inner.call(request)).await
        })
    }
}

/// The end of a path, without the names of events, which are random.
fn shown(path: &str) -> &str {
    path.rfind("/namespaces/").map_or(path, |at| &path[at + 12..])
}
