//! What the controller counts. Names and meanings follow controller-runtime's where it has one, so that dashboards
//! written for it work. No mailbox, person or namespace is ever a label.

mod gauges;
mod reasons;
mod result;
mod states;

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::clock::Clock;
use crate::controller::state::State;
use crate::controller::state::key::{KINDS, Work};
use crate::controller::state::pending::Effect;
use crate::lane::Lane;
use crate::plan::{self, Change};

pub use gauges::{GaugeFamily, Gauges};
pub use result::ReconcileResult;
use states::States;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    controller: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ControllerLabels {
    controller: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    name: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneLabels {
    lane: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PropertyLabels {
    property: &'static str,
}

/// What gauges are read from.
struct Source {
    state: Weak<State>,
    clock: Clock,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Clones share their values.
#[derive(Clone)]
pub struct Metrics {
    reconciles: Family<ResultLabels, Counter>,
    errors: Family<ControllerLabels, Counter>,
    terminal_errors: Family<ControllerLabels, Counter>,
    panics: Family<ControllerLabels, Counter>,
    timeouts: Family<ControllerLabels, Counter>,
    reconcile_seconds: Histograms<ControllerLabels>,
    most_reconciles: Family<ControllerLabels, Gauge>,
    adds: Family<QueueLabels, Counter>,
    retries: Family<QueueLabels, Counter>,
    queue_seconds: Histograms<QueueLabels>,
    work_seconds: Histograms<QueueLabels>,
    watch_errors: Family<KindLabels, Counter>,
    refusals: Family<KindLabels, Counter>,
    effect_seconds: Histograms<LaneLabels>,
    drift_found: Family<PropertyLabels, Counter>,
    drift_repaired: Family<PropertyLabels, Counter>,
    /// What gauges are read from at each scrape; nothing before work has begun.
    source: Arc<Mutex<Option<Source>>>,
}

/// 10 ms to a minute and a half: a recheck without changes takes a second, a creation under load minutes.
fn reconcile_seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.02, 4.0, 7))
}

/// 1 ms to four minutes.
fn queue_seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 8.0, 7))
}

/// One second to nine hours: five seconds are usual, and hours mean that somebody's edit hangs.
fn effect_seconds() -> Histogram {
    Histogram::new([1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 32_400.0])
}

impl Default for Metrics {
    /// Every series whose labels are known beforehand is there from the start: a rate needs a zero to rise from.
    fn default() -> Self {
        let metrics = Self {
            reconciles: Family::default(),
            errors: Family::default(),
            terminal_errors: Family::default(),
            panics: Family::default(),
            timeouts: Family::default(),
            reconcile_seconds: Family::new_with_constructor(reconcile_seconds),
            most_reconciles: Family::default(),
            adds: Family::default(),
            retries: Family::default(),
            queue_seconds: Family::new_with_constructor(queue_seconds),
            work_seconds: Family::new_with_constructor(reconcile_seconds),
            watch_errors: Family::default(),
            refusals: Family::default(),
            effect_seconds: Family::new_with_constructor(effect_seconds),
            drift_found: Family::default(),
            drift_repaired: Family::default(),
            source: Arc::default(),
        };
        for controller in Work::CONTROLLERS {
            let labels = ControllerLabels { controller };
            for family in [
                &metrics.errors,
                &metrics.terminal_errors,
                &metrics.panics,
                &metrics.timeouts,
            ] {
                drop(family.get_or_create(&labels));
            }
            drop(metrics.reconcile_seconds.get_or_create(&labels));
            drop(metrics.most_reconciles.get_or_create(&labels));
            for result in ReconcileResult::ALL.map(ReconcileResult::label) {
                drop(
                    metrics
                        .reconciles
                        .get_or_create(&ResultLabels { controller, result }),
                );
            }
            let labels = QueueLabels { name: controller };
            for family in [&metrics.adds, &metrics.retries] {
                drop(family.get_or_create(&labels));
            }
            for family in [&metrics.queue_seconds, &metrics.work_seconds] {
                drop(family.get_or_create(&labels));
            }
        }
        for kind in KINDS {
            drop(metrics.watch_errors.get_or_create(&KindLabels { kind }));
            drop(metrics.refusals.get_or_create(&KindLabels { kind }));
        }
        for lane in [Lane::Edit, Lane::Revocation].map(Lane::label) {
            drop(metrics.effect_seconds.get_or_create(&LaneLabels { lane }));
        }
        for property in properties() {
            for family in [&metrics.drift_found, &metrics.drift_repaired] {
                drop(family.get_or_create(&PropertyLabels { property }));
            }
        }
        metrics
    }
}

impl Metrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        metrics.register_reconciles(registry);
        metrics.register_ours(registry);
        let source = Arc::clone(&metrics.source);
        registry.register_collector(Box::new(Gauges::new(move || {
            let read = |source: &Source| Some(States::of(&*source.state.upgrade()?, source.clock).families());
            source.lock().as_ref().and_then(read).unwrap_or_default()
        })));
        metrics
    }

    /// The same with one example of every state, for whoever wants to know what there is.
    pub fn register_examples(registry: &mut Registry) -> Self {
        let metrics = Self::register(registry);
        registry.register_collector(Box::new(Gauges::new(|| States::example().families())));
        metrics
    }

    fn register_reconciles(&self, registry: &mut Registry) {
        registry.register(
            "controller_runtime_reconcile",
            "Reconciles by how they ended",
            self.reconciles.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_errors",
            "Reconciles that could not reach something, that ended in a stall, or that panicked",
            self.errors.clone(),
        );
        registry.register(
            "controller_runtime_terminal_reconcile_errors",
            "Reconciles that ended in a stall: somebody has to act",
            self.terminal_errors.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_panics",
            "Reconciles that panicked: each is a bug",
            self.panics.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_timeouts",
            "Reconciles that were cancelled because they took too long",
            self.timeouts.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_time_seconds",
            "How long a reconcile took",
            self.reconcile_seconds.clone(),
        );
        registry.register(
            "controller_runtime_max_concurrent_reconciles",
            "Reconciles that may run at a time, both controllers together",
            self.most_reconciles.clone(),
        );
        registry.register("workqueue_adds", "Work that was queued", self.adds.clone());
        registry.register(
            "workqueue_retries",
            "Work that was queued again because it was not settled",
            self.retries.clone(),
        );
        registry.register(
            "workqueue_queue_duration_seconds",
            "How long work that was ready waited for a worker",
            self.queue_seconds.clone(),
        );
        registry.register(
            "workqueue_work_duration_seconds",
            "How long a piece of work took",
            self.work_seconds.clone(),
        );
    }

    fn register_ours(&self, registry: &mut Registry) {
        registry.register(
            "sharedmailbox_watch_errors",
            "Failures of Kubernetes watches",
            self.watch_errors.clone(),
        );
        registry.register(
            "sharedmailbox_policy_refusals",
            "Times a manifest, or a member in one, newly came to be refused by the access rules",
            self.refusals.clone(),
        );
        registry.register(
            "sharedmailbox_time_to_effect_seconds",
            "From an edit being seen to Exchange showing it; edits that end in a stall are not counted",
            self.effect_seconds.clone(),
        );
        registry.register(
            "sharedmailbox_drift_found",
            "Differences from the manifests that follow from no edit of theirs",
            self.drift_found.clone(),
        );
        registry.register(
            "sharedmailbox_drift_repaired",
            "Such differences that were repaired",
            self.drift_repaired.clone(),
        );
    }

    /// From now on gauges are read from `state`, until it is gone; `concurrency` reconciles run at a time.
    pub fn read_from(&self, state: &Arc<State>, clock: Clock, concurrency: usize) {
        *self.source.lock() = Some(Source {
            state: Arc::downgrade(state),
            clock,
        });
        let most = i64::try_from(concurrency).unwrap_or(i64::MAX);
        for controller in Work::CONTROLLERS {
            self.most_reconciles
                .get_or_create(&ControllerLabels { controller })
                .set(most);
        }
    }

    pub fn queued(&self, work: &Work) {
        let labels = QueueLabels {
            name: work.controller(),
        };
        self.adds.get_or_create(&labels).inc();
    }

    pub fn taken(&self, work: &Work, waited: Duration) {
        let labels = QueueLabels {
            name: work.controller(),
        };
        self.queue_seconds
            .get_or_create(&labels)
            .observe(waited.as_secs_f64());
    }

    /// A reconcile of `work` has ended.
    pub fn reconciled(&self, work: &Work, result: ReconcileResult, comes_back: bool, took: Duration) {
        let controller = work.controller();
        let labels = ResultLabels {
            controller,
            result: result.label(),
        };
        self.reconciles.get_or_create(&labels).inc();
        let labels = ControllerLabels { controller };
        let failed = match result {
            ReconcileResult::Success | ReconcileResult::Requeue | ReconcileResult::RequeueAfter => false,
            ReconcileResult::Error => true,
            ReconcileResult::Stalled => {
                self.terminal_errors.get_or_create(&labels).inc();
                true
            }
            ReconcileResult::Panic => {
                self.panics.get_or_create(&labels).inc();
                true
            }
            ReconcileResult::Timeout => {
                self.timeouts.get_or_create(&labels).inc();
                true
            }
        };
        if failed {
            self.errors.get_or_create(&labels).inc();
        }
        let seconds = took.as_secs_f64();
        self.reconcile_seconds.get_or_create(&labels).observe(seconds);
        let labels = QueueLabels { name: controller };
        self.work_seconds.get_or_create(&labels).observe(seconds);
        if comes_back {
            self.adds.get_or_create(&labels).inc();
            if result != ReconcileResult::Success {
                self.retries.get_or_create(&labels).inc();
            }
        }
    }

    pub fn watch_failed(&self, kind: &'static str) {
        self.watch_errors.get_or_create(&KindLabels { kind }).inc();
    }

    /// So many manifests, or members in one manifest, newly came to be refused by the access rules.
    pub fn refused(&self, kind: &'static str, count: usize) {
        self.refusals
            .get_or_create(&KindLabels { kind })
            .inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    pub fn took_effect(&self, effect: &Effect) {
        let labels = LaneLabels {
            lane: effect.lane.label(),
        };
        self.effect_seconds
            .get_or_create(&labels)
            .observe(effect.took.as_secs_f64());
    }

    pub fn drift_found<'a>(&self, changes: impl IntoIterator<Item = &'a Change>) {
        count(&self.drift_found, changes);
    }

    pub fn drift_repaired<'a>(&self, changes: impl IntoIterator<Item = &'a Change>) {
        count(&self.drift_repaired, changes);
    }
}

fn count<'a>(family: &Family<PropertyLabels, Counter>, changes: impl IntoIterator<Item = &'a Change>) {
    // A family that is written with several parameters drifted once.
    let mut settings = BTreeSet::new();
    // Sessions are revoked with a block, which is counted.
    let changes = changes.into_iter().filter(|change| **change != Change::SignedOut);
    for change in changes {
        let is_new = change.setting().is_none_or(|setting| settings.insert(setting));
        if is_new {
            let labels = PropertyLabels {
                property: change.family(),
            };
            family.get_or_create(&labels).inc();
        }
    }
}

/// What may drift: settings by family, and what has a protocol of its own.
fn properties() -> impl Iterator<Item = &'static str> {
    let others = [
        "marker",
        "signIn",
        "emailAddress",
        "aliases",
        "grants",
        "revocations",
    ];
    others
        .into_iter()
        .chain(plan::FAMILIES.iter().map(|family| family.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::SignInControl;
    use crate::setting::Value;
    use prometheus_client::encoding::text::encode;

    fn text(registry: &Registry) -> String {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        text
    }

    #[test]
    fn every_property_is_known_before_it_drifts() {
        let quota = plan::Family::named("quota").unwrap();
        for change in [
            Change::SignIn {
                allowed: false,
                through: SignInControl::Graph,
            },
            Change::SignedOut,
            Change::Marker {
                attribute: 15,
                text: "x".into(),
            },
            Change::AddressAdded("a@contoso.com".parse().unwrap()),
            Change::Set {
                family: quota.name,
                property: quota.properties[0],
                to: Value::Unlimited,
            },
        ] {
            assert!(properties().any(|known| known == change.family()), "{change:?}");
        }
    }

    #[test]
    fn a_stall_and_a_panic_count_as_errors_and_a_settled_reconcile_does_not() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let work = Work::Tenant("default".into());
        for result in [
            ReconcileResult::Success,
            ReconcileResult::Stalled,
            ReconcileResult::Panic,
            ReconcileResult::Timeout,
        ] {
            metrics.reconciled(&work, result, true, Duration::from_secs(1));
        }
        let text = text(&registry);
        for line in [
            r#"controller_runtime_reconcile_total{controller="exchangetenant",result="success"} 1"#,
            r#"controller_runtime_reconcile_total{controller="exchangetenant",result="error"} 3"#,
            r#"controller_runtime_reconcile_errors_total{controller="exchangetenant"} 3"#,
            r#"controller_runtime_terminal_reconcile_errors_total{controller="exchangetenant"} 1"#,
            r#"controller_runtime_reconcile_panics_total{controller="exchangetenant"} 1"#,
            r#"controller_runtime_reconcile_timeouts_total{controller="exchangetenant"} 1"#,
            r#"controller_runtime_reconcile_errors_total{controller="sharedmailbox"} 0"#,
            r#"workqueue_retries_total{name="exchangetenant"} 3"#,
            r#"workqueue_adds_total{name="exchangetenant"} 4"#,
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }

    #[test]
    fn a_process_that_does_not_work_yet_has_counters_and_no_states() {
        let mut registry = Registry::default();
        Metrics::register(&mut registry);
        let text = text(&registry);
        assert!(
            text.contains("sharedmailbox_drift_found_total{property=\"signIn\"} 0"),
            "{text}"
        );
        assert!(!text.contains("sharedmailbox_objects"), "{text}");
    }
}
