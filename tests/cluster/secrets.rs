//! A secret in every credential that the operator is given, and a search for them in everything it prints.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::HeaderMap;
use tokio::net::TcpListener;

use testkit::canary::{TOKEN, found_in};

/// Must be nowhere but in its Secret and in requests to the token endpoint. Its characters look different in a URL.
pub const CLIENT_SECRET: &str = "canary+4f1d~7c0e/9b=";
/// Beside it in the Secret; of no use to the operator, which reads it all the same.
pub const BESIDE: &str = "canary-beside-77e2a1";
/// The password in the proxy's address.
pub const PROXY: &str = "canary-proxy-51c09d";
/// By which the collector of spans would know the operator.
pub const COLLECTOR: &str = "canary-collector-e83f64";

/// What the key of the operator's own certificate, for the API server, looks like in its kubeconfig.
pub fn key_in(kubeconfig: &Path) -> String {
    let text = std::fs::read_to_string(kubeconfig).unwrap();
    let (_, key) = text.split_once("client-key-data: ").unwrap();
    let key = key.trim_start_matches('"');
    // Past the words with which every key begins.
    key[100..160].to_owned()
}

/// Fails when a place shows one of `secrets`, or a token.
pub fn assert_untold(places: &[(&str, &[u8])], secrets: &[&str]) {
    for (place, text) in places {
        for secret in secrets {
            let found = found_in(text, secret);
            assert_eq!(found, None, "{secret} in {place}");
        }
        let text = String::from_utf8_lossy(text);
        for words in [TOKEN, "Bearer ", "access_token"] {
            let line = text.lines().find(|line| line.contains(words));
            assert!(line.is_none(), "{words} in {place}: {line:?}");
        }
    }
}

/// A collector of spans that keeps what it gets, as it came over the wire.
#[derive(Clone, Default)]
pub struct Collector {
    spans: Arc<Mutex<Vec<u8>>>,
    authorized: Arc<Mutex<bool>>,
}

impl Collector {
    pub async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let collector = self.clone();
        let keep = async move |headers: HeaderMap, body: Bytes| {
            collector.spans.lock().unwrap().extend_from_slice(&body);
            *collector.authorized.lock().unwrap() |=
                headers.get("x-api-key").is_some_and(|key| key == COLLECTOR);
        };
        let routes = axum::Router::new().route("/v1/traces", axum::routing::post(keep));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        address
    }

    /// Everything that came, and nothing where the operator was built without `otlp`.
    pub fn spans(&self) -> Vec<u8> {
        let spans = self.spans.lock().unwrap().clone();
        if cfg!(feature = "otlp") {
            assert!(*self.authorized.lock().unwrap(), "the collector knows who sends");
            let text = String::from_utf8_lossy(&spans);
            for words in ["exchange_call", "New-Mailbox", "client_request_id", "team-sales"] {
                assert!(text.contains(words), "{words} is in the spans");
            }
        } else {
            assert!(spans.is_empty());
        }
        spans
    }
}
