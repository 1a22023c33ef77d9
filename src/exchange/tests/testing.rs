//! A scripted tenant under the gateway, for this module's tests.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock::Clock;
use crate::exchange::http::{HttpService, TransportError};
use crate::exchange::{Cloud, Connection, Credential, Endpoints, Gateway, GatewayMetrics};

pub const TENANT: &str = "11111111-2222-3333-4444-555555555555";
pub const SECRET: &str = "planted-client-secret";

/// How long the scripted services take.
pub const LATENCY: Duration = Duration::from_millis(500);

/// What the script makes of one call.
#[derive(Clone, Debug)]
pub enum Reaction {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// No connection.
    Refused,
    /// Executed perhaps, but no answer.
    Lost,
    /// Never an answer.
    Silent,
}

impl Reaction {
    pub fn status(status: u16, body: &Value) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: body.to_string().into_bytes(),
        }
    }

    pub fn text(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub fn rows(rows: &Value) -> Self {
        Self::status(200, &json!({"@adminapi.warnings": [], "value": rows}))
    }

    pub fn warned(warning: &str) -> Self {
        Self::status(200, &json!({"@adminapi.warnings": [warning], "value": []}))
    }

    pub fn failed(status: u16, exception: &str, text: &str) -> Self {
        let detail = format!("Ex6F9304|Microsoft.Exchange.{exception}|{text}");
        Self::status(
            status,
            &json!({"error": {"code": "x", "message": "Error executing cmdlet", "details": [{"message": detail}]}}),
        )
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }

    fn into_response(self) -> Result<Response<Bytes>, TransportError> {
        match self {
            Self::Answer {
                status,
                headers,
                body,
            } => {
                let mut response = Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                Ok(response.body(Bytes::from(body)).unwrap())
            }
            Self::Refused => Err(TransportError::not_sent("connection refused")),
            Self::Lost | Self::Silent => Err(TransportError::lost("connection reset")),
        }
    }
}

/// One cmdlet, Graph call or token request as the service sees it.
#[derive(Clone, Debug)]
pub struct Call {
    /// The cmdlet, or `GET /v1.0/…`, or `token`.
    pub name: String,
    pub parameters: Value,
    pub url: String,
    pub authorization: String,
    pub anchor: Option<String>,
    /// How many calls of this name came before.
    pub earlier: usize,
}

/// One HTTP request.
#[derive(Clone, Debug)]
pub struct Received {
    /// Since the tenant began.
    pub at: Duration,
    pub calls: Vec<Call>,
    pub anchor: Option<String>,
    pub body: String,
}

impl Received {
    pub fn after(&self, earlier: &Self) -> Duration {
        self.at.saturating_sub(earlier.at)
    }

    pub fn names(&self) -> Vec<&str> {
        self.calls.iter().map(|call| call.name.as_str()).collect()
    }
}

fn anchor_of(request: &Request<Bytes>) -> Option<String> {
    let value = request.headers().get("x-anchormailbox")?;
    Some(value.to_str().unwrap().to_owned())
}

type Script = dyn Fn(&Call) -> Reaction + Send + Sync;

/// What the script saw.
#[derive(Clone)]
pub struct Tenant {
    seen: Arc<Mutex<Vec<Received>>>,
    began: Instant,
    script: Arc<Script>,
    tokens: Arc<AtomicUsize>,
    in_flight: Arc<AtomicUsize>,
    most_in_flight: Arc<AtomicUsize>,
    leaves_out: bool,
}

impl Tenant {
    /// A tenant that answers by `script`; a token request reaches it as `token` and may be answered with
    /// [`Tenant::grant`].
    pub fn new(script: impl Fn(&Call) -> Reaction + Send + Sync + 'static) -> Self {
        Self {
            seen: Arc::default(),
            began: Instant::now(),
            script: Arc::new(script),
            tokens: Arc::default(),
            in_flight: Arc::default(),
            most_in_flight: Arc::default(),
            leaves_out: false,
        }
    }

    /// The same, whose batches leave out every answer but the first.
    pub fn answering_only_the_first(&self) -> Self {
        Self {
            leaves_out: true,
            ..self.clone()
        }
    }

    pub fn connection() -> Connection {
        Connection {
            tenant: TENANT.parse().unwrap(),
            endpoints: Endpoints::for_cloud(Cloud::Worldwide),
            client_id: Uuid::from_u128(7),
            credentials: vec![Credential::ClientSecret(SecretString::from(SECRET))],
            max_concurrent: 2,
            writes_per_minute: 600,
        }
    }

    pub fn gateway(&self) -> Gateway {
        self.gateway_of(Self::connection())
    }

    pub fn gateway_of(&self, connection: Connection) -> Gateway {
        Gateway::new(
            connection,
            self.service(),
            Self::clock(),
            GatewayMetrics::default(),
        )
    }

    pub fn clock() -> Clock {
        Clock::starting_at("2026-11-22T09:00:00Z".parse().unwrap())
    }

    /// Everything but token requests.
    pub fn requests(&self) -> Vec<Received> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|seen| seen.names() != ["token"])
            .cloned()
            .collect()
    }

    pub fn token_requests(&self) -> Vec<Received> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|seen| seen.names() == ["token"])
            .cloned()
            .collect()
    }

    /// The most Exchange and Graph requests that were ever in flight together.
    pub fn most_in_flight(&self) -> usize {
        self.most_in_flight.load(Ordering::SeqCst)
    }

    /// An access token for `tenant` that names its number.
    pub fn grant(number: usize, expires_in: u64) -> Reaction {
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let claims = json!({"tid": TENANT, "number": number});
        let token = format!("{}.{}.{number}", part(&json!({"alg": "none"})), part(&claims));
        Reaction::status(
            200,
            &json!({"token_type": "Bearer", "expires_in": expires_in, "access_token": token}),
        )
    }

    pub fn service(&self) -> HttpService {
        let tenant = self.clone();
        HttpService::new(tower::service_fn(move |request| {
            let tenant = tenant.clone();
            async move { tenant.answer(request).await }
        }))
    }

    async fn answer(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let path = request.uri().path().to_owned();
        let is_token = path.ends_with("/oauth2/v2.0/token");
        let calls = self.calls(&request);
        let anchor = anchor_of(&request);
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        let at = self.began.elapsed();
        self.seen.lock().unwrap().push(Received {
            at,
            calls: calls.clone(),
            anchor,
            body,
        });
        let reactions: Vec<Reaction> = calls.iter().map(|call| self.react(call)).collect();
        if !is_token {
            let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_in_flight.fetch_max(now, Ordering::SeqCst);
        }
        tokio::time::sleep(LATENCY).await;
        if reactions
            .iter()
            .any(|reaction| matches!(reaction, Reaction::Silent))
        {
            std::future::pending::<()>().await;
        }
        if !is_token {
            self.in_flight.fetch_sub(1, Ordering::SeqCst);
        }
        if path.ends_with("/$batch") {
            let answered = if self.leaves_out { 1 } else { calls.len() };
            Self::batch(&calls, reactions.into_iter().take(answered).collect())
        } else {
            reactions.into_iter().next().unwrap().into_response()
        }
    }

    pub fn react(&self, call: &Call) -> Reaction {
        let reaction = (self.script)(call);
        if call.name == "token" && matches!(&reaction, Reaction::Answer { status: 0, .. }) {
            return Self::grant(self.tokens.fetch_add(1, Ordering::SeqCst) + 1, 3599);
        }
        reaction
    }

    /// What a script answers to everything it has no opinion on: tokens are granted, cmdlets have no rows.
    pub fn default_reaction(call: &Call) -> Reaction {
        if call.name == "token" {
            Reaction::text(0, "")
        } else {
            Reaction::rows(&json!([]))
        }
    }

    fn calls(&self, request: &Request<Bytes>) -> Vec<Call> {
        let url = request.uri().to_string();
        let path = request.uri().path();
        let authorization = request
            .headers()
            .get("authorization")
            .map_or_else(String::new, |value| value.to_str().unwrap().to_owned());
        let anchor = anchor_of(request);
        let json: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let one = |name: String, parameters: Value, url: String| Call {
            name,
            parameters,
            url,
            authorization: authorization.clone(),
            anchor: anchor.clone(),
            earlier: 0,
        };
        let cmdlet = |body: &Value, url: String| {
            let input = &body["CmdletInput"];
            one(
                input["CmdletName"].as_str().unwrap().to_owned(),
                input["Parameters"].clone(),
                url,
            )
        };
        let mut calls = if path.ends_with("/token") {
            vec![one("token".to_owned(), Value::Null, url)]
        } else if path.starts_with("/v1.0/") {
            vec![one(format!("{} {path}", request.method()), json, url)]
        } else if path.ends_with("/$batch") {
            let items = json["requests"].as_array().unwrap();
            items
                .iter()
                .map(|item| cmdlet(&item["body"], item["url"].as_str().unwrap().to_owned()))
                .collect()
        } else {
            vec![cmdlet(&json, url)]
        };
        let seen = self.seen.lock().unwrap();
        for call in &mut calls {
            call.earlier = seen
                .iter()
                .flat_map(|seen| &seen.calls)
                .filter(|other| other.name == call.name)
                .count();
        }
        calls
    }

    /// Items come back in reverse order: only their ids distinguish them.
    fn batch(calls: &[Call], reactions: Vec<Reaction>) -> Result<Response<Bytes>, TransportError> {
        let mut responses = Vec::new();
        for (place, reaction) in reactions.into_iter().enumerate().rev() {
            let Reaction::Answer {
                status,
                headers,
                body,
            } = reaction
            else {
                return reaction.into_response();
            };
            let headers: serde_json::Map<String, Value> = headers
                .into_iter()
                .map(|(name, value)| (name.to_owned(), json!(value)))
                .collect();
            let body: Value =
                serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body)));
            responses
                .push(json!({"id": place.to_string(), "status": status, "headers": headers, "body": body}));
        }
        assert!(!calls.is_empty());
        Reaction::status(200, &json!({ "responses": responses })).into_response()
    }
}
