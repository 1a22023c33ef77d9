//! What the controller counts. Names follow controller-runtime's where it has one.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResultLabels {
    pub controller: &'static str,
    pub result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KindLabels {
    pub kind: &'static str,
}

#[derive(Clone)]
pub struct Metrics {
    pub passes: Family<ResultLabels, Counter>,
    pub pass_seconds: Histogram,
    pub ready_work: Gauge,
    pub watch_errors: Family<KindLabels, Counter>,
    pub unreadable_objects: Family<KindLabels, Counter>,
    pub repairs: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            passes: Family::default(),
            pass_seconds: Histogram::new(exponential_buckets(0.01, 4.0, 8)),
            ready_work: Gauge::default(),
            watch_errors: Family::default(),
            unreadable_objects: Family::default(),
            repairs: Counter::default(),
        }
    }
}

impl Metrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let Self {
            passes,
            pass_seconds,
            ready_work,
            watch_errors,
            unreadable_objects,
            repairs,
        } = &metrics;
        registry.register(
            "controller_runtime_reconcile",
            "Passes by how they ended",
            passes.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_time_seconds",
            "How long a pass took",
            pass_seconds.clone(),
        );
        registry.register(
            "workqueue_depth",
            "Work that is ready and waits for a worker",
            ready_work.clone(),
        );
        registry.register(
            "smo_watch_errors",
            "Failures of Kubernetes watches",
            watch_errors.clone(),
        );
        registry.register(
            "smo_unreadable_objects",
            "Objects of our kinds that could not be decoded",
            unreadable_objects.clone(),
        );
        registry.register("smo_drift_repairs", "Passes that repaired drift", repairs.clone());
        metrics
    }
}
