//! Everything around the controller: arguments, health and metrics server, telemetry, shutdown.

pub mod args;
pub mod server;
pub mod telemetry;

use std::net::SocketAddr;
use std::sync::Arc;

use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::controller::{Metrics, Operator, Readiness, Settings};
use crate::exchange::GatewayMetrics;

/// What kept the operator from starting.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("no way to the Kubernetes API: {0}; set KUBECONFIG or run in a cluster")]
    KubeConfig(#[from] kube::config::InferConfigError),
    #[error("no Kubernetes client: {0}")]
    Kube(#[from] kube::Error),
    #[error("no HTTP client: {0}")]
    Http(String),
    #[error("can't listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("can't listen for signals: {0}")]
    Signals(std::io::Error),
}

/// Runs the operator until SIGTERM or ctrl-c.
pub async fn run(args: args::Run) -> Result<(), StartError> {
    let mut config = kube::Config::infer().await?;
    // The client's default waits for ever; watches have their own, longer idle limit.
    config.read_timeout = Some(std::time::Duration::from_secs(330));
    let client = kube::Client::try_from(config)?;
    let http = crate::exchange::http::client().map_err(|error| StartError::Http(error.to_string()))?;
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let gateway_metrics = GatewayMetrics::register(&mut registry);
    let (readiness, ready) = watch::channel(Readiness::Waiting("start"));
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|source| StartError::Listen {
            address: args.listen,
            source,
        })?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "serving /livez, /readyz and /metrics");
    }
    let server = tokio::spawn(server::serve(listener, ready, Arc::new(registry)));
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: finishing what is under way"),
            _ = interrupt.recv() => tracing::info!("SIGINT: finishing what is under way"),
        }
    };
    if !args.leader_elect {
        tracing::warn!("leader election is off: make sure that only one replica runs");
    }
    let settings = Settings {
        operator_namespace: args.operator_namespace,
        allowed_endpoints: args.allow_endpoint_overrides,
        concurrency: args.concurrency,
    };
    let operator = Operator {
        client,
        http,
        clock: Clock::system(),
        settings,
        metrics,
        gateway_metrics,
    };
    operator.run(readiness, shutdown).await;
    server.abort();
    tracing::info!("stopped");
    Ok(())
}
