//! All metrics of the process: the controller's, the gateway's, and those of the process itself.

use std::fs;

use http::{Request, Response};
use kube::client::Body;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tower::{Layer, Service};

use super::lease::LEASE;
use crate::controller::{GaugeFamily, Gauges, Metrics};
use crate::exchange::GatewayMetrics;
use crate::leadership::Leadership;

/// The registry and what is counted in it.
pub struct Telemetry {
    pub registry: Registry,
    pub controller: Metrics,
    pub gateway: GatewayMetrics,
}

impl Telemetry {
    /// `leadership`: whether this process leads; `requests`: those of its Kubernetes client.
    pub fn new(leadership: Leadership, requests: &KubernetesRequests) -> Self {
        let mut registry = Registry::default();
        let controller = Metrics::register(&mut registry);
        Self::complete(registry, controller, leadership, requests)
    }

    /// The same with an example of everything.
    fn examples() -> Self {
        let mut registry = Registry::default();
        let controller = Metrics::register_examples(&mut registry);
        let requests = KubernetesRequests::default();
        requests.count("GET", "200");
        let telemetry = Self::complete(registry, controller, Leadership::alone(), &requests);
        telemetry.gateway.count_example();
        telemetry
    }

    fn complete(
        mut registry: Registry,
        controller: Metrics,
        leadership: Leadership,
        requests: &KubernetesRequests,
    ) -> Self {
        let gateway = GatewayMetrics::register(&mut registry);
        registry.register(
            "rest_client_requests",
            "Requests to the Kubernetes API by status and method",
            requests.0.clone(),
        );
        registry.register_collector(Box::new(Gauges::new(move || {
            let mut families = vec![build_info(), leader(&leadership)];
            families.extend(process());
            families
        })));
        Self {
            registry,
            controller,
            gateway,
        }
    }
}

/// Every metric there is, each with one example, as `/metrics` would show them.
pub fn examples() -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    encode(&mut text, &Telemetry::examples().registry)?;
    Ok(text)
}

fn build_info() -> GaugeFamily {
    let labels = vec![("version", env!("CARGO_PKG_VERSION").into())];
    GaugeFamily::new(
        "sharedmailbox_build_info",
        "Which version runs",
        vec![(labels, 1.0)],
    )
}

fn leader(leadership: &Leadership) -> GaugeFamily {
    let leads = f64::from(u8::from(leadership.is_current()));
    GaugeFamily::new(
        "leader_election_master_status",
        "Whether this process leads",
        vec![(vec![("name", LEASE.into())], leads)],
    )
}

/// What /proc reports about this process; nothing where there is no /proc.
fn process() -> Vec<GaugeFamily> {
    let mut families = Vec::new();
    if let Some(bytes) = resident_memory() {
        families.push(GaugeFamily::single(
            "process_resident_memory_bytes",
            "Memory in use",
            bytes,
        ));
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        families.push(GaugeFamily::single(
            "process_open_fds",
            "Open file descriptors",
            f64::from(u32::try_from(open.count()).unwrap_or(u32::MAX)),
        ));
    }
    families
}

/// The line `VmRSS:  12345 kB` of /proc/self/status.
fn resident_memory() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024.0)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    code: String,
    method: String,
}

/// Counts requests to the Kubernetes API: a layer of kube's client. Clones share their values.
#[derive(Clone, Debug, Default)]
pub struct KubernetesRequests(Family<RequestLabels, Counter>);

impl KubernetesRequests {
    /// client-go's label for a request that got no answer.
    const NO_ANSWER: &str = "<error>";

    fn count(&self, method: &str, code: &str) {
        let labels = RequestLabels {
            code: code.to_owned(),
            method: method.to_owned(),
        };
        self.0.get_or_create(&labels).inc();
    }
}

impl<S> Layer<S> for KubernetesRequests {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted {
            inner,
            requests: self.clone(),
        }
    }
}

/// A service whose requests are counted.
#[derive(Clone)]
pub struct Counted<S> {
    inner: S,
    requests: KubernetesRequests,
}

impl<S, B> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    B: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = futures::future::BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let requests = self.requests.clone();
        let method = request.method().clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            match &answer {
                Ok(response) => requests.count(method.as_str(), response.status().as_str()),
                Err(_) => requests.count(method.as_str(), KubernetesRequests::NO_ANSWER),
            }
            answer
        })
    }
}
