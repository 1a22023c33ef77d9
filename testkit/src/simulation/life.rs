//! Keeps an operator running, as a Deployment does: when the process dies, another starts.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use shared_mailbox_operator::clock::Clock;
use shared_mailbox_operator::controller::{Metrics, Operator, Readiness, Settings};
use shared_mailbox_operator::exchange::GatewayMetrics;
use shared_mailbox_operator::leadership::Leadership;
use shared_mailbox_operator::rng::Rng;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::wire::{Life, Wire};
use crate::api_server::ApiServer;
use crate::world::{OPERATOR_NAMESPACE, World};

/// From the death of a process to the start of the next.
const RESTART: Duration = Duration::from_secs(3);

/// Ends with its process when dropped.
pub struct Supervisor {
    task: JoinHandle<()>,
    current: Arc<Mutex<Life>>,
    metrics: Arc<Mutex<Registry>>,
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Supervisor {
    pub fn start(world: &World, wire: &Wire) -> Self {
        let current = Arc::new(Mutex::new(Life::default()));
        let metrics = Arc::new(Mutex::new(Registry::default()));
        let (shown, registered) = (Arc::clone(&current), Arc::clone(&metrics));
        let (server, simulator, wire) = (world.server.clone(), world.simulator.clone(), wire.clone());
        let rng = world.rng.clone();
        let task = tokio::spawn(async move {
            loop {
                let life = Life::default();
                *shown.lock() = life.clone();
                let mut registry = Registry::default();
                let operator = operator(&server, &simulator, &wire, &life, &rng, &mut registry);
                *registered.lock() = registry;
                let (readiness, _observed) = watch::channel(Readiness::Waiting("start"));
                let process = AbortOnDrop(tokio::spawn(operator.run(readiness, std::future::pending())));
                life.ended().await;
                drop(process);
                tokio::time::sleep(RESTART).await;
            }
        });
        Self {
            task,
            current,
            metrics,
        }
    }

    /// The present process dies at once.
    pub fn kill(&self) {
        self.current.lock().end();
    }

    /// What a scrape of the present process shows.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        let registry = self.metrics.lock();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn operator(
    server: &ApiServer,
    simulator: &simulator::Simulator,
    wire: &Wire,
    life: &Life,
    rng: &Rng,
    registry: &mut Registry,
) -> Operator {
    Operator {
        client: wire.client(server, life),
        http: wire.http(server, simulator, life),
        clock: Clock::starting_at(server.now()),
        rng: rng.clone(),
        settings: Settings {
            operator_namespace: OPERATOR_NAMESPACE.to_owned(),
            tenant_lease_namespace: "kube-system".to_owned(),
            allowed_endpoints: Vec::new(),
            federated_token_file: None,
            concurrency: 16,
        },
        metrics: Metrics::register(registry),
        gateway_metrics: GatewayMetrics::register(registry),
        leadership: Leadership::alone(),
    }
}
