//! The HTTP service under the gateway.

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::{Request, Response};
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use super::text;

/// Sends one request and returns the whole answer. A connection pool in production; a simulated tenant or a
/// script in tests.
pub type HttpService = BoxCloneSyncService<Request<Bytes>, Response<Bytes>, TransportError>;

/// Answers above this size are refused while they stream in. 1,000 rows of the widest list stay below 20 MiB.
pub const LARGEST_ANSWER: usize = 32 * 1024 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// No answer, or none that could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// False when the request surely never reached the service (no connection). True when it may have been
    /// executed.
    pub sent: bool,
    pub message: String,
}

impl TransportError {
    /// The request surely never left: no address, no connection.
    pub fn not_sent(message: impl Into<String>) -> Self {
        Self {
            sent: false,
            message: message.into(),
        }
    }

    /// The answer was lost; the request may have been executed.
    pub fn lost(message: impl Into<String>) -> Self {
        Self {
            sent: true,
            message: message.into(),
        }
    }
}

/// The answer, or that it is lost: there is none within `limit`.
pub(super) async fn answer_to(
    http: &HttpService,
    request: Request<Bytes>,
    limit: Duration,
) -> Result<Response<Bytes>, TransportError> {
    match tokio::time::timeout(limit, http.clone().oneshot(request)).await {
        Ok(result) => result,
        Err(_) => Err(TransportError::lost(format!(
            "no answer within {} s",
            limit.as_secs()
        ))),
    }
}

/// The production service: a connection pool that follows no redirect (a redirect to another host would carry
/// the token there), keeps answers within [`LARGEST_ANSWER`] and takes proxies from the environment (`HTTPS_PROXY`,
/// `HTTP_PROXY`, `NO_PROXY`). `extra_roots` are certificates (PEM) that are trusted beside the system's.
///
/// Timeouts of whole requests are the gateway's.
pub fn client(extra_roots: Option<&[u8]>) -> Result<HttpService, TransportError> {
    let roots = certificates(extra_roots.unwrap_or_default())?;
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("shared-mailbox-operator/", env!("CARGO_PKG_VERSION")))
        .tls_certs_merge(roots)
        .build()
        .map_err(|error| TransportError::not_sent(described(error)))?;
    Ok(HttpService::new(tower::service_fn(move |request| {
        send(client.clone(), request, LARGEST_ANSWER)
    })))
}

fn certificates(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, TransportError> {
    let found = reqwest::Certificate::from_pem_bundle(pem)
        .map_err(|error| TransportError::not_sent(described(error)))?;
    if found.is_empty() && !pem.is_empty() {
        return Err(TransportError::not_sent(
            "the extra CA file holds no certificate (PEM)",
        ));
    }
    Ok(found)
}

async fn send(
    client: reqwest::Client,
    request: Request<Bytes>,
    largest: usize,
) -> Result<Response<Bytes>, TransportError> {
    let request =
        reqwest::Request::try_from(request).map_err(|error| TransportError::not_sent(described(error)))?;
    let answer = client.execute(request).await.map_err(|error| {
        let surely_unsent = error.is_connect() || error.is_builder();
        TransportError {
            sent: !surely_unsent,
            message: described(error),
        }
    })?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    match read(answer, largest).await {
        Ok(body) => *response.body_mut() = body,
        // Error answers of Exchange sometimes claim to be gzip and are not; the status still says the class.
        Err(_) if response.status().is_client_error() => {}
        Err(error) => return Err(error),
    }
    Ok(response)
}

async fn read(answer: reqwest::Response, largest: usize) -> Result<Bytes, TransportError> {
    let mut body = BytesMut::new();
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| TransportError::lost(described(error)))?;
        if body.len() + chunk.len() > largest {
            return Err(TransportError::lost(format!(
                "the answer is larger than {largest} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The error with its causes, without the URL (its host is in the span, its query is long).
fn described(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut described = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        // Writing to a String can't fail.
        let _ = write!(described, ": {inner}");
        cause = inner.source();
    }
    text::bounded(&described)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::http::StatusCode;
    use axum::response::Redirect;
    use axum::routing::any;

    use super::*;

    struct Server {
        address: SocketAddr,
        redirected: Arc<AtomicUsize>,
    }

    async fn server() -> Server {
        let redirected = Arc::new(AtomicUsize::new(0));
        let count = redirected.clone();
        let routes = Router::new()
            .route("/ok", any(|| async { "fine" }))
            .route("/large", any(|| async { vec![b'x'; 4096] }))
            .route("/redirect", any(|| async { Redirect::temporary("/target") }))
            .route(
                "/target",
                any(move || async move { count.fetch_add(1, Ordering::SeqCst).to_string() }),
            )
            .route(
                "/not-gzip",
                any(|| async { (StatusCode::BAD_REQUEST, [("content-encoding", "gzip")], "plain") }),
            );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Server { address, redirected }
    }

    fn bare_client() -> reqwest::Client {
        reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap()
    }

    fn get(address: SocketAddr, path: &str) -> Request<Bytes> {
        Request::get(format!("http://{address}{path}"))
            .body(Bytes::new())
            .unwrap()
    }

    #[tokio::test]
    async fn the_production_client_answers_and_does_not_follow_redirects() {
        use tower::ServiceExt as _;
        let server = server().await;
        let client = client(None).unwrap();
        let answer = client.clone().oneshot(get(server.address, "/ok")).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.body()[..]),
            (200, &b"fine"[..])
        );
        let answer = client.oneshot(get(server.address, "/redirect")).await.unwrap();
        assert_eq!(answer.status().as_u16(), 307);
        assert_eq!(server.redirected.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_file_without_a_certificate_is_refused() {
        let error = client(Some(b"not PEM")).unwrap_err();
        assert!(error.message.contains("holds no certificate"), "{error}");
    }

    #[tokio::test]
    async fn an_answer_above_the_limit_is_refused_and_counts_as_perhaps_executed() {
        let server = server().await;
        let small = send(bare_client(), get(server.address, "/large"), 4096)
            .await
            .unwrap();
        assert_eq!(small.body().len(), 4096);
        let error = send(bare_client(), get(server.address, "/large"), 4095)
            .await
            .unwrap_err();
        assert!(
            error.sent && error.message.contains("larger than 4095"),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn an_error_answer_that_only_claims_to_be_gzip_keeps_its_status() {
        let server = server().await;
        let answer = send(bare_client(), get(server.address, "/not-gzip"), 4096)
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), 400);
    }

    #[tokio::test]
    async fn a_refused_connection_was_surely_not_sent() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = send(bare_client(), get(address, "/ok?secret=planted"), 4096)
            .await
            .unwrap_err();
        assert!(!error.sent, "{error:?}");
        assert!(!error.message.contains("planted"), "{error:?}");
    }

    #[tokio::test]
    async fn a_connection_that_breaks_after_the_request_may_have_been_executed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (socket, _) = listener.accept().await.unwrap();
            socket.readable().await.unwrap();
            let mut request = [0; 16];
            let _ = socket.try_read(&mut request);
        });
        let error = send(bare_client(), get(address, "/ok"), 4096).await.unwrap_err();
        assert!(error.sent, "{error:?}");
    }
}
