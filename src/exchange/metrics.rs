//! Counters of what is sent. Labels are few and fixed: no mailbox, no person, no tenant text.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use strum::IntoEnumIterator as _;

use crate::lane::Lane;

use super::error::{ErrorClass, Retry, Stage};
use super::wire::Effect;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    cmdlet: &'static str,
    result: &'static str,
    lane: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EffectLabels {
    effect: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    service: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// Why work had to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Wait {
    /// The service asked to be left alone.
    Throttled,
    /// The tenant's writes a minute are used up.
    WriteBudget,
}

type Durations = Family<EffectLabels, Histogram, fn() -> Histogram>;

/// One attempt at a call that was answered, or whose answer was lost.
pub(super) struct Attempt {
    pub cmdlet: &'static str,
    pub effect: Effect,
    pub lane: Lane,
    /// None: it succeeded.
    pub error: Option<ErrorClass>,
    pub took: Duration,
}

/// The gateway's metrics; one set serves all tenants. Clones share their values.
#[derive(Clone, Debug)]
pub struct GatewayMetrics {
    calls: Family<CallLabels, Counter>,
    durations: Durations,
    requests: Family<ServiceLabels, Counter>,
    retries: Family<ReasonLabels, Counter>,
    waits: Family<ReasonLabels, Counter<f64, std::sync::atomic::AtomicU64>>,
}

impl Default for GatewayMetrics {
    fn default() -> Self {
        let metrics = Self {
            calls: Family::default(),
            durations: Family::new_with_constructor(durations),
            requests: Family::default(),
            retries: Family::default(),
            waits: Family::default(),
        };
        for effect in [Effect::Read, Effect::Repeatable, Effect::Create] {
            let effect = label(effect);
            drop(metrics.durations.get_or_create(&EffectLabels { effect }));
        }
        for stage in Stage::iter() {
            let service = stage.label();
            drop(metrics.requests.get_or_create(&ServiceLabels { service }));
        }
        for class in ErrorClass::iter().filter(|class| class.retry() != Retry::Never) {
            let reason = class.label();
            drop(metrics.retries.get_or_create(&ReasonLabels { reason }));
        }
        for wait in [Wait::Throttled, Wait::WriteBudget] {
            let reason = wait.label();
            drop(metrics.waits.get_or_create(&ReasonLabels { reason }));
        }
        metrics
    }
}

impl Wait {
    fn label(self) -> &'static str {
        self.into()
    }
}

fn label(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "read",
        Effect::Repeatable => "write",
        Effect::Create => "create",
    }
}

/// 100 ms to 100 s: typical cmdlets take about a second.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.1, 2.0, 11))
}

impl GatewayMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let exchange = registry.sub_registry_with_prefix("sharedmailbox_exchange");
        exchange.register(
            "calls",
            "Answers by cmdlet, result (ok or the class of the error) and lane; every attempt counts",
            metrics.calls.clone(),
        );
        exchange.register_with_unit(
            "call_duration",
            "Time from sending a call to its answer, the rest of its batch included",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        exchange.register(
            "requests",
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

    pub(super) fn answered(&self, attempt: &Attempt) {
        let Attempt {
            cmdlet,
            effect,
            lane,
            error,
            took,
        } = *attempt;
        let labels = CallLabels {
            cmdlet,
            result: error.map_or("ok", ErrorClass::label),
            lane: lane.label(),
        };
        self.calls.get_or_create(&labels).inc();
        self.durations
            .get_or_create(&EffectLabels {
                effect: label(effect),
            })
            .observe(took.as_secs_f64());
    }

    /// So that there is an example of calls too.
    pub fn count_example(&self) {
        self.answered(&Attempt {
            cmdlet: "Get-Mailbox",
            effect: Effect::Read,
            lane: Lane::Sweep,
            error: None,
            took: Duration::ZERO,
        });
    }

    pub(super) fn requested(&self, service: Stage) {
        self.requests
            .get_or_create(&ServiceLabels {
                service: service.label(),
            })
            .inc();
    }

    pub(super) fn retried(&self, class: ErrorClass) {
        let reason = class.label();
        self.retries.get_or_create(&ReasonLabels { reason }).inc();
    }

    pub(super) fn waited(&self, reason: Wait, wait: Duration) {
        let reason = reason.label();
        self.waits
            .get_or_create(&ReasonLabels { reason })
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
        metrics.answered(&Attempt {
            cmdlet: "Get-Mailbox",
            effect: Effect::Read,
            lane: Lane::Sweep,
            error: None,
            took: Duration::from_millis(700),
        });
        metrics.answered(&Attempt {
            cmdlet: "Set-Mailbox",
            effect: Effect::Repeatable,
            lane: Lane::Edit,
            error: Some(ErrorClass::Conflict),
            took: Duration::from_secs(1),
        });
        metrics.retried(ErrorClass::Throttled);
        metrics.requested(Stage::Exchange);
        metrics.waited(Wait::Throttled, Duration::from_millis(1500));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            r#"exchange_calls_total{cmdlet="Get-Mailbox",result="ok",lane="sweep"} 1"#,
            r#"exchange_calls_total{cmdlet="Set-Mailbox",result="conflict",lane="edit"} 1"#,
            r#"exchange_retries_total{reason="throttled"} 1"#,
            r#"exchange_requests_total{service="exchange"} 1"#,
            r#"exchange_budget_wait_seconds_total{reason="throttled"} 1.5"#,
            r#"exchange_call_duration_seconds_count{effect="read"} 1"#,
            r#"exchange_call_duration_seconds_count{effect="create"} 0"#,
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }
}
