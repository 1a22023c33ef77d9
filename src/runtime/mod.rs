//! Everything around the controller: arguments, health and metrics server, telemetry, shutdown.

pub mod args;
pub mod lease;
pub mod metrics;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod pulse;
pub mod server;
pub mod telemetry;

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::client::ClientBuilder;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::controller::{Operator, Readiness, Settings};
use crate::leadership::Leadership;
use crate::rng::Rng;
use lease::{Elector, LEASE};
use metrics::{KubernetesRequests, Telemetry};
use pulse::Pulse;

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
    #[error("can't read --extra-ca {}: {source}", file.display())]
    ExtraCa { file: PathBuf, source: std::io::Error },
}

/// Runs the operator until SIGTERM or ctrl-c.
pub async fn run(args: args::Run) -> Result<(), StartError> {
    let extra_roots = args.extra_ca.map(extra_roots).transpose();
    let trusted = extra_roots.as_ref().ok().and_then(Option::as_deref);
    // Before anything that may fail: whatever fails is reported in the log.
    let filter = telemetry::start(args.log_format, &args.log, trusted);
    let extra_roots = extra_roots?;
    let clock = Clock::system();
    tokio::spawn(async move { clock.follow_system().await });
    if let Some(file) = args.log_from {
        tokio::spawn(filter.follow(file, clock));
    }
    let requests = KubernetesRequests::default();
    let client = kubernetes_client(&requests).await?;
    let http = crate::exchange::http::client(extra_roots.as_deref())
        .map_err(|error| StartError::Http(error.to_string()))?;
    let elector = args.leader_elect.then(|| {
        let identity = args.identity.clone();
        let identity = identity.unwrap_or_else(|| format!("operator-{}", uuid::Uuid::new_v4()));
        Elector::new(client.clone(), &args.operator_namespace, LEASE, identity, clock)
    });
    let leadership = elector
        .as_ref()
        .map_or_else(Leadership::alone, Elector::leadership);
    let Telemetry {
        registry,
        controller: metrics,
        gateway: gateway_metrics,
    } = Telemetry::new(leadership, &requests);
    let (readiness, ready) = watch::channel(Readiness::Waiting("start"));
    let pulse = elector.as_ref().map(Elector::pulse);
    let server = serve(args.listen, ready, pulse, registry).await?;
    let shutdown = shutdown()?;
    let settings = Settings {
        operator_namespace: args.operator_namespace,
        tenant_lease_namespace: args.tenant_lease_namespace,
        allowed_endpoints: args.allow_endpoint_overrides,
        federated_token_file: args.federated_token_file,
        concurrency: args.concurrency,
    };
    let operator = |leadership| Operator {
        client,
        http,
        clock,
        rng: Rng::system(),
        settings,
        metrics,
        gateway_metrics,
        leadership,
    };
    let ended = if let Some(elector) = elector {
        lead(elector, operator, readiness, shutdown).await
    } else {
        tracing::warn!("leader election is off: ensure that only one replica runs");
        operator(Leadership::alone()).run(readiness, shutdown).await;
        Ok(())
    };
    server.abort();
    tracing::info!("stopped");
    #[cfg(feature = "otlp")]
    if let Err(error) = tokio::task::spawn_blocking(otlp::finish).await {
        tracing::warn!(%error, "the last spans could not be sent");
    }
    ended
}

fn extra_roots(file: PathBuf) -> Result<Vec<u8>, StartError> {
    std::fs::read(&file).map_err(|source| StartError::ExtraCa { file, source })
}

async fn kubernetes_client(requests: &KubernetesRequests) -> Result<kube::Client, StartError> {
    let mut config = kube::Config::infer().await?;
    if config.proxy_url == environment_proxy() {
        // It is for the way to Microsoft: inside a cluster, and mostly outside too, the API server is reached directly.
        config.proxy_url = None;
    }
    // The client's default waits for ever; watches have their own, longer idle limit.
    config.read_timeout = Some(Duration::from_secs(330));
    Ok(ClientBuilder::try_from(config)?.with_layer(requests).build())
}

fn environment_proxy() -> Option<http::Uri> {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    set("HTTPS_PROXY").or_else(|| set("https_proxy"))?.parse().ok()
}

/// Serves health and metrics in a task of its own.
async fn serve(
    address: SocketAddr,
    ready: watch::Receiver<Readiness>,
    pulse: Option<Pulse>,
    registry: Registry,
) -> Result<JoinHandle<()>, StartError> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, source })?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "serving /livez, /readyz and /metrics");
    }
    Ok(tokio::spawn(server::serve(
        listener,
        ready,
        pulse,
        Arc::new(registry),
    )))
}

/// Ends with SIGTERM or ctrl-c.
fn shutdown() -> Result<impl Future<Output = ()>, StartError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: ending"),
            _ = interrupt.recv() => tracing::info!("SIGINT: ending"),
        }
    })
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
    if elector.leadership().is_writing() {
        // It may still be executed: nobody else writes before the lease has run out.
        tracing::warn!("a write is not answered: the lease is not given back and runs out by itself");
    } else {
        elector.release().await;
    }
    if lost { Err(StartError::LeaseLost) } else { Ok(()) }
}
