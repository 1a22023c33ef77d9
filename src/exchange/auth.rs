//! Access tokens by client credentials.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, Response};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use super::connection::Connection;
use super::credential::{Credential, CredentialKind, Proof};
use super::error::{Concerns, ErrorClass, ExchangeError, Stage};
use super::http::{HttpService, answer_to};
use super::metrics::GatewayMetrics;
use super::text;
use super::wire::retry_after;
use crate::clock::Clock;
use crate::mail::TenantGuid;

const OPERATION: &str = "Token request";
/// Tokens live for about an hour; a new one is asked for this long before the end.
const REFRESH_EARLY: Duration = Duration::from_mins(5);
/// More than Entra ever gives.
const LONGEST_LIFE: Duration = Duration::from_hours(24);
/// So many permissions of a token are read.
const MOST_ROLES: usize = 200;
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a failure answers for everybody, so that many callers send one request.
const FAILURE_HOLDS: Duration = Duration::from_secs(1);
const REFUSAL_HOLDS: Duration = Duration::from_secs(10);
/// When a new token is asked for again that was not given while the old one is good.
const RETRY_LATER: Duration = Duration::from_mins(1);

/// An access token. Debug shows no part of it.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub secret: Arc<SecretString>,
    pub obtained: Instant,
    refresh_at: Instant,
    expires: Instant,
    /// `tid`; None when the token is not readable.
    pub tenant: Option<TenantGuid>,
    /// `roles`, the application permissions that it carries; None when the token is not readable.
    pub roles: Option<BTreeSet<String>>,
    number: u64,
}

/// The tokens of one resource; one request at a time, whoever asks.
#[derive(Debug)]
pub(super) struct TokenSource {
    connection: Arc<Connection>,
    scope: String,
    clock: Clock,
    http: HttpService,
    metrics: GatewayMetrics,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    failed: Option<(Instant, ExchangeError)>,
    /// How each credential did when a token was asked for last, up to the one that was accepted.
    tried: Tried,
    numbered: u64,
}

/// What became of the credentials at the last token request.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    pub accepted: Option<CredentialKind>,
    /// Those before it, with the reason.
    pub refused: Vec<(CredentialKind, ExchangeError)>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: String,
    #[serde(default)]
    error_codes: Vec<u64>,
    #[serde(default)]
    trace_id: Option<String>,
}

impl TokenSource {
    /// `audience` is Exchange's or Graph's, as [`Endpoints`](super::Endpoints) names it.
    pub fn new(
        connection: Arc<Connection>,
        audience: &str,
        clock: Clock,
        http: HttpService,
        metrics: GatewayMetrics,
    ) -> Self {
        Self {
            connection,
            scope: format!("{}/.default", audience.trim_end_matches('/')),
            clock,
            http,
            metrics,
            state: Mutex::default(),
        }
    }

    /// A token that is valid now, for the tenant that was asked for. While Entra can't be reached, the old one is
    /// used to its end.
    pub async fn get(&self) -> Result<Token, ExchangeError> {
        let token = self.of_any_tenant().await?;
        let wanted = self.connection.tenant;
        match token.tenant.filter(|tenant| *tenant != wanted) {
            None => Ok(token),
            // Whatever another tenant says of our mailboxes is neither absence nor permission.
            Some(other) => {
                let message = format!("Entra gave a token for tenant {other} instead of {wanted}");
                Err(ExchangeError::new(
                    ErrorClass::Transient,
                    Stage::Token,
                    OPERATION,
                    message,
                ))
            }
        }
    }

    /// A token that is valid now, whichever tenant it is for: only good for saying which.
    pub async fn of_any_tenant(&self) -> Result<Token, ExchangeError> {
        let mut state = self.state.lock().await;
        let now = self.clock.instant();
        let usable = state.token.clone().filter(|token| now < token.expires);
        if let Some(token) = usable.as_ref().filter(|token| now < token.refresh_at) {
            return Ok(token.clone());
        }
        if let Some((_, error)) = state.failed.as_ref().filter(|(until, _)| now < *until) {
            return usable.ok_or_else(|| error.clone());
        }
        match self.ask(&mut state.tried).await {
            Ok(granted) => {
                state.numbered += 1;
                let token = self.token(granted, state.numbered);
                state.token = Some(token.clone());
                state.failed = None;
                Ok(token)
            }
            Err(error) => {
                let holds = match error.class.concerns() {
                    Concerns::App | Concerns::Call => REFUSAL_HOLDS,
                    Concerns::Service => error.retry_after.unwrap_or(FAILURE_HOLDS),
                };
                let now = self.clock.instant();
                state.failed = Some((now + holds, error.clone()));
                // Nobody waits for Entra again and again while the token is good.
                if let Some(token) = &mut state.token {
                    token.refresh_at = now + RETRY_LATER;
                }
                usable.ok_or(error)
            }
        }
    }

    /// Makes the next [`Self::get`] ask for a new token, unless somebody has done so already.
    pub async fn reject(&self, refused: &Token) {
        let mut state = self.state.lock().await;
        if state
            .token
            .as_ref()
            .is_some_and(|token| token.number == refused.number)
        {
            state.token = None;
            state.failed = None;
        }
    }

    /// The next [`Self::get`] asks for a new token, whatever Entra said before.
    pub async fn forget(&self) {
        let mut state = self.state.lock().await;
        state.token = None;
        state.failed = None;
    }

    fn token(&self, granted: Granted, number: u64) -> Token {
        let Granted {
            access_token,
            expires_in,
        } = granted;
        let obtained = self.clock.instant();
        let lifetime = Duration::from_secs(expires_in).min(LONGEST_LIFE);
        let claims = claims_of(&access_token);
        Token {
            obtained,
            refresh_at: obtained + lifetime.saturating_sub(REFRESH_EARLY).max(lifetime / 2),
            expires: obtained + lifetime,
            tenant: claims.as_ref().and_then(|claims| claims.tid.parse().ok()),
            roles: claims.map(|claims| claims.roles.into_iter().take(MOST_ROLES).collect()),
            secret: Arc::new(SecretString::from(access_token)),
            number,
        }
    }

    /// The next [`Self::get`] asks for a new token when a better credential was refused last: somebody may have mended it.
    /// The present one is used as long as there is no other.
    pub async fn retry_refused(&self) {
        let mut state = self.state.lock().await;
        if !state.tried.refused.is_empty()
            && let Some(token) = &mut state.token
        {
            token.refresh_at = self.clock.instant();
        }
    }

    /// How the credentials did at the last request.
    pub async fn tried(&self) -> Tried {
        self.state.lock().await.tried.clone()
    }

    /// Asks with one credential after the other until one is accepted, and notes how they did. When Entra gives no answer
    /// the next one would get none either, and nothing was said about any.
    async fn ask(&self, noted: &mut Tried) -> Result<Granted, ExchangeError> {
        let mut tried = Tried::default();
        for credential in &self.connection.credentials {
            let kind = credential.kind();
            match self.ask_with(credential).await {
                Ok(granted) => {
                    tried.accepted = Some(kind);
                    *noted = tried;
                    return Ok(granted);
                }
                Err(error) if error.class.concerns() == Concerns::Service => return Err(error),
                Err(error) => {
                    if self.connection.credentials.len() > 1 {
                        tracing::warn!(
                            credential = kind.words(),
                            error = error.traced(),
                            "Entra refuses a credential"
                        );
                    }
                    tried.refused.push((kind, error));
                }
            }
        }
        let error = all_refused(&tried.refused);
        *noted = tried;
        Err(error)
    }

    async fn ask_with(&self, credential: &Credential) -> Result<Granted, ExchangeError> {
        let failed = |class, message: String| ExchangeError::new(class, Stage::Token, OPERATION, message);
        let Connection {
            tenant,
            endpoints,
            client_id,
            ..
        } = &*self.connection;
        let url = format!(
            "{}/{tenant}/oauth2/v2.0/token",
            endpoints.authority.trim_end_matches('/')
        );
        // What is wrong on this side is refused as Entra would: the next credential may work.
        let proof = credential
            .proof(*client_id, &url, self.clock)
            .await
            .map_err(|message| failed(ErrorClass::Denied, message))?;
        self.metrics.requested(Stage::Token);
        let client_id = client_id.to_string();
        let mut fields = vec![
            ("client_id", client_id.as_str()),
            ("scope", self.scope.as_str()),
            ("grant_type", "client_credentials"),
        ];
        fields.extend(proof.fields());
        let request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(http::header::ACCEPT, "application/json")
            .header("client-request-id", Uuid::new_v4().to_string())
            .body(Bytes::from(form(&fields)))
            .map_err(|error| failed(ErrorClass::Invalid, error.to_string()))?;
        let answer = answer_to(&self.http, request, TIMEOUT)
            .await
            .map_err(|error| failed(ErrorClass::Transient, text::bounded(&error.message)))?;
        if answer.status() == 200 {
            return serde_json::from_slice(answer.body()).map_err(|_| {
                failed(
                    ErrorClass::Transient,
                    "the answer holds no access token".to_owned(),
                )
            });
        }
        Err(self.refused(&answer, &proof))
    }

    fn refused(&self, answer: &Response<Bytes>, proof: &Proof) -> ExchangeError {
        let status = answer.status().as_u16();
        let reported: Option<Refused> = serde_json::from_slice(answer.body()).ok();
        let code = reported.as_ref().and_then(aadsts_code);
        let class = match (status, &reported) {
            (429, _) => ErrorClass::Throttled,
            (400 | 401 | 403 | 404, Some(reported)) if reported.error != "temporarily_unavailable" => {
                match code.as_deref() {
                    // No such tenant; not the name of a tenant.
                    Some("AADSTS90002" | "AADSTS900023") => ErrorClass::Invalid,
                    _ => ErrorClass::Denied,
                }
            }
            _ => ErrorClass::Transient,
        };
        let message = match &reported {
            Some(reported) if !reported.error_description.is_empty() => {
                let sentence = reported
                    .error_description
                    .split(" Trace ID:")
                    .next()
                    .unwrap_or_default();
                let sentence = sentence.lines().next().unwrap_or_default();
                // AADSTS700024 goes on with the time: a condition would be rewritten with each try.
                let sentence = sentence.split(" Current time:").next().unwrap_or_default();
                text::bounded(&proof.hidden_in(sentence))
            }
            Some(reported) => text::bounded(&reported.error),
            None => "Entra gave no reason".to_owned(),
        };
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        ExchangeError {
            exception: code,
            status: Some(status),
            request_id: reported
                .and_then(|reported| reported.trace_id)
                .or_else(|| header("x-ms-request-id").map(str::to_owned))
                .map(|id| text::bounded(&id)),
            retry_after: header("retry-after").and_then(|value| retry_after(value, self.clock.now())),
            ..ExchangeError::new(class, Stage::Token, OPERATION, message)
        }
    }
}

/// The first refusal, with what the others said: any one of them may be mended.
fn all_refused(refused: &[(CredentialKind, ExchangeError)]) -> ExchangeError {
    match refused {
        [] => ExchangeError::new(
            ErrorClass::Denied,
            Stage::Token,
            OPERATION,
            "there is no credential",
        ),
        [(_, only)] => only.clone(),
        [(_, first), ..] => {
            let each: Vec<String> = refused
                .iter()
                .map(|(kind, error)| format!("{}: {}", kind.words(), error.message))
                .collect();
            ExchangeError {
                message: each.join("; "),
                ..first.clone()
            }
        }
    }
}

fn aadsts_code(reported: &Refused) -> Option<String> {
    if let Some(code) = reported.error_codes.first() {
        return Some(format!("AADSTS{code}"));
    }
    let digits: String = reported
        .error_description
        .strip_prefix("AADSTS")?
        .chars()
        .take_while(char::is_ascii_digit)
        .take(12)
        .collect();
    Some(format!("AADSTS{digits}"))
}

/// What is read of a token.
#[derive(Deserialize)]
struct Claims {
    tid: String,
    /// Missing in a token without any application permission.
    #[serde(default)]
    roles: Vec<String>,
}

/// Nothing is verified by it: it is what Entra says about the token it gave us.
fn claims_of(token: &str) -> Option<Claims> {
    let payload = URL_SAFE_NO_PAD
        .decode(token.split('.').nth(1)?.trim_end_matches('='))
        .ok()?;
    serde_json::from_slice(&payload).ok()
}

fn form(fields: &[(&str, &str)]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", percent_encoded(value)))
        .collect();
    fields.join("&")
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let digit = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble)]);
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
