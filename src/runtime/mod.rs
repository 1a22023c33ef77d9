//! Everything around the controller: arguments, health and metrics server, telemetry, shutdown.

pub mod args;
pub mod lease;
pub mod server;
pub mod telemetry;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::chance::Chance;
use crate::clock::Clock;
use crate::controller::{Metrics, Operator, Readiness, Settings};
use crate::exchange::GatewayMetrics;
use crate::leadership::Leadership;
use lease::Elector;

/// The name of the Lease, in the operator's namespace.
const LEASE: &str = "shared-mailbox-operator";

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
    #[error("the lease was lost: another replica may lead now; this one ends and starts afresh")]
    LeaseLost,
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
    let settings = Settings {
        operator_namespace: args.operator_namespace.clone(),
        allowed_endpoints: args.allow_endpoint_overrides,
        concurrency: args.concurrency,
    };
    let clock = Clock::system();
    let operator = |leadership| Operator {
        client: client.clone(),
        http,
        clock,
        chance: Chance::system(),
        settings,
        metrics,
        gateway_metrics,
        leadership,
    };
    let ended = if args.leader_elect {
        let identity = args
            .identity
            .unwrap_or_else(|| format!("operator-{}", uuid::Uuid::new_v4()));
        let elector = Elector::new(client.clone(), &args.operator_namespace, LEASE, identity, clock);
        lead(elector, operator, readiness, shutdown).await
    } else {
        tracing::warn!("leader election is off: make sure that only one replica runs");
        operator(Leadership::alone()).run(readiness, shutdown).await;
        Ok(())
    };
    server.abort();
    tracing::info!("stopped");
    ended
}

/// Works while this process leads; an error when it lost the lease, so that the process ends and starts afresh.
pub async fn lead(
    mut elector: Elector,
    operator: impl FnOnce(Leadership) -> Operator,
    readiness: watch::Sender<Readiness>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let mut shutdown = std::pin::pin!(shutdown);
    readiness.send_replace(Readiness::Standby);
    tokio::select! {
        () = elector.win() => {}
        () = &mut shutdown => return Ok(()),
    }
    let operator = operator(elector.leadership());
    let (lost, was_lost) = tokio::sync::oneshot::channel::<()>();
    let stop = async {
        tokio::select! {
            () = &mut shutdown => {}
            // The sender is dropped when the lease is lost.
            _ = was_lost => {}
        }
    };
    // The lease is kept until the last write under way has ended.
    let kept = async {
        elector.keep().await;
        drop(lost);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = operator.run(readiness, stop) => {}
        () = kept => {}
    }
    let lost = !elector.leadership().is_current();
    elector.release().await;
    if lost { Err(StartError::LeaseLost) } else { Ok(()) }
}
