//! Counters of what goes over the wire. Labels are few and fixed: no mailbox, no person, no tenant text.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::lane::Lane;

use super::error::{ErrorClass, Stage};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    cmdlet: &'static str,
    result: &'static str,
    lane: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CmdletLabels {
    cmdlet: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    service: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RetryLabels {
    cmdlet: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WaitLabels {
    reason: &'static str,
}

/// Why work had to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// The service asked to be left alone.
    Throttled,
    /// The tenant's writes a minute are used up.
    WriteBudget,
}

type Durations = Family<CmdletLabels, Histogram, fn() -> Histogram>;

/// The gateway's metrics; one set serves all tenants. Clones share their values.
#[derive(Clone, Debug)]
pub struct GatewayMetrics {
    calls: Family<CallLabels, Counter>,
    durations: Durations,
    requests: Family<ServiceLabels, Counter>,
    retries: Family<RetryLabels, Counter>,
    waits: Family<WaitLabels, Counter<f64, std::sync::atomic::AtomicU64>>,
}

impl Default for GatewayMetrics {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            durations: Family::new_with_constructor(durations),
            requests: Family::default(),
            retries: Family::default(),
            waits: Family::default(),
        }
    }
}

/// 50 ms to 100 s: typical cmdlets take about a second.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.05, 2.0, 12))
}

impl GatewayMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let exchange = registry.sub_registry_with_prefix("shared_mailbox_operator_exchange");
        exchange.register(
            "calls",
            "Answers by cmdlet, result (ok or the class of the error) and lane; every attempt counts",
            metrics.calls.clone(),
        );
        exchange.register_with_unit(
            "call_duration",
            "Time from sending a cmdlet to its answer, the rest of its batch included",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        exchange.register(
            "http_requests",
            "HTTP requests by service; a batch is one",
            metrics.requests.clone(),
        );
        exchange.register(
            "retries",
            "Calls sent again, by the class of the error",
            metrics.retries.clone(),
        );
        exchange.register_with_unit(
            "budget_wait",
            "Time in which work was there and the tenant's budget held it back",
            Unit::Seconds,
            metrics.waits.clone(),
        );
        metrics
    }

    pub(super) fn answered(
        &self,
        cmdlet: &'static str,
        lane: Lane,
        error: Option<ErrorClass>,
        took: Duration,
    ) {
        let labels = CallLabels {
            cmdlet,
            result: error.map_or("ok", ErrorClass::label),
            lane: lane.label(),
        };
        self.calls.get_or_create(&labels).inc();
        self.durations
            .get_or_create(&CmdletLabels { cmdlet })
            .observe(took.as_secs_f64());
    }

    pub(super) fn requested(&self, service: Stage) {
        self.requests
            .get_or_create(&ServiceLabels {
                service: service.label(),
            })
            .inc();
    }

    pub(super) fn retried(&self, cmdlet: &'static str, class: ErrorClass) {
        self.retries
            .get_or_create(&RetryLabels {
                cmdlet,
                reason: class.label(),
            })
            .inc();
    }

    pub(super) fn waited(&self, reason: Wait, wait: Duration) {
        let reason = match reason {
            Wait::Throttled => "throttled",
            Wait::WriteBudget => "write_budget",
        };
        self.waits
            .get_or_create(&WaitLabels { reason })
            .inc_by(wait.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_carry_bounded_labels_only() {
        let mut registry = Registry::default();
        let metrics = GatewayMetrics::register(&mut registry);
        metrics.answered("Get-Mailbox", Lane::Sweep, None, Duration::from_millis(700));
        metrics.answered(
            "Set-Mailbox",
            Lane::Edit,
            Some(ErrorClass::Conflict),
            Duration::from_secs(1),
        );
        metrics.retried("Get-Mailbox", ErrorClass::Throttled);
        metrics.requested(Stage::Exchange);
        metrics.waited(Wait::Throttled, Duration::from_millis(1500));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            r#"exchange_calls_total{cmdlet="Get-Mailbox",result="ok",lane="sweep"} 1"#,
            r#"exchange_calls_total{cmdlet="Set-Mailbox",result="conflict",lane="edit"} 1"#,
            r#"exchange_retries_total{cmdlet="Get-Mailbox",reason="throttled"} 1"#,
            r#"exchange_http_requests_total{service="exchange"} 1"#,
            r#"exchange_budget_wait_seconds_total{reason="throttled"} 1.5"#,
            r#"exchange_call_duration_seconds_count{cmdlet="Get-Mailbox"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }
}
