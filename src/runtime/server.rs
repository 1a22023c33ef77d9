//! `/livez`, `/readyz` and `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::pulse::Pulse;
use crate::controller::Readiness;

#[derive(Clone)]
struct Shared {
    readiness: watch::Receiver<Readiness>,
    pulse: Option<Pulse>,
    registry: Arc<Registry>,
}

/// Serves until the task is aborted. `pulse` is that of the work on the lease, where there is a lease.
pub async fn serve(
    listener: TcpListener,
    readiness: watch::Receiver<Readiness>,
    pulse: Option<Pulse>,
    registry: Arc<Registry>,
) {
    if let Err(error) = axum::serve(listener, router(readiness, pulse, registry)).await {
        tracing::error!(%error, "the health and metrics server ended");
    }
}

fn router(readiness: watch::Receiver<Readiness>, pulse: Option<Pulse>, registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Shared {
            readiness,
            pulse,
            registry,
        })
}

/// Alive as long as the lease is being worked on: a process that neither claims nor renews it is of no use, and
/// Kubernetes should start another.
async fn livez(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    match &shared.pulse {
        Some(pulse) if !pulse.is_alive() => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the work on the lease has stopped\n",
        ),
        Some(_) | None => (StatusCode::OK, "ok\n"),
    }
}

/// Ready when the CRDs are there and every watch has its first list; says what is missing.
async fn readyz(State(shared): State<Shared>) -> Response {
    match *shared.readiness.borrow() {
        Readiness::Ready => (StatusCode::OK, "ok\n".to_owned()).into_response(),
        Readiness::Standby => (StatusCode::OK, "ok: another replica leads\n".to_owned()).into_response(),
        Readiness::Waiting(what) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {what}\n")).into_response()
        }
    }
}

async fn metrics(State(shared): State<Shared>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut text = String::new();
    match encode(&mut text, &shared.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn ask(router: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_says_what_is_missing_and_liveness_does_not_care() {
        let (sender, receiver) = watch::channel(Readiness::Waiting("the CRDs"));
        let router = router(receiver, None, Arc::new(Registry::default()));
        let waiting = (
            StatusCode::SERVICE_UNAVAILABLE,
            "waiting for the CRDs\n".to_owned(),
        );
        assert_eq!(ask(&router, "/readyz").await, waiting);
        assert_eq!(ask(&router, "/livez").await.0, StatusCode::OK);
        sender.send_replace(Readiness::Ready);
        assert_eq!(ask(&router, "/readyz").await.0, StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_whose_work_on_the_lease_has_stopped_is_not_alive() {
        let (_sender, receiver) = watch::channel(Readiness::Standby);
        let pulse = Pulse::new(Clock::system());
        let router = router(receiver, Some(pulse.clone()), Arc::default());
        for _ in 0..3 {
            tokio::time::advance(Duration::from_secs(20)).await;
            assert_eq!(ask(&router, "/livez").await.0, StatusCode::OK);
            pulse.beat();
        }
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!(ask(&router, "/livez").await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ask(&router, "/readyz").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn metrics_are_openmetrics_text() {
        let (_sender, receiver) = watch::channel(Readiness::Ready);
        let mut registry = Registry::default();
        crate::controller::Metrics::register(&mut registry);
        let (status, text) = ask(&router(receiver, None, Arc::new(registry)), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(
            text.contains("# TYPE workqueue_adds counter") && text.ends_with("# EOF\n"),
            "{text}"
        );
    }
}
