//! Puts the parts together: watches, workers, and when they may start.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument;

use super::beyond;
use super::context::{Context, Settings};
use super::events::Events;
use super::metrics::{Metrics, ReconcileResult};
use super::reconcile::{Completed, reconcile};
use super::state::key::Work;
use super::state::known_ledger::LedgerGlance;
use super::state::queue::{Pool, Taken};
use super::tenant::check;
use super::unreadable;
use super::watch::{Others, crds_installed, feed};
use crate::api::{ExchangeTenant, MailboxPermission, SharedMailbox};
use crate::clock::Clock;
use crate::exchange::{GatewayMetrics, HttpService, trail};
use crate::fair::{Owned as _, for_owner};
use crate::lane::Lane;
use crate::leadership::Leadership;
use crate::rng::Rng;

/// No reconcile may take longer; Exchange itself allows a cmdlet fifteen minutes.
const LONGEST_RECONCILE: Duration = Duration::from_mins(20);
/// Reconciles for which only revocations are taken: others that wait for the tenant's budget may hold every other slot.
const FOR_REVOCATIONS: usize = 8;
/// Reconciles for which only repairs and the regular rechecks are taken: edits without an end stop none of them.
const FOR_REPAIRS: usize = 4;
/// Exchange gets so long to answer the writes that are under way when the process has to end: Kubernetes kills it
/// after thirty seconds.
const ANSWERED: Duration = Duration::from_secs(20);
/// So long do reconciles have, once no write is under way, to write to Kubernetes what they did: another replica waits for
/// the lease. Each of their steps may be the last one anyway.
const CLOSING: Duration = Duration::from_millis(300);
const AFTER_PANIC: Duration = Duration::from_mins(1);
/// A clock that is set ahead is noticed within this time.
const DEADLINE_TICK: Duration = Duration::from_secs(1);
/// After this long a reconcile that took too long is tried again.
const AFTER_TIMEOUT: Duration = Duration::from_mins(10);

/// Everything the operator needs from outside.
pub struct Operator {
    pub client: Client,
    pub http: HttpService,
    pub clock: Clock,
    pub rng: Rng,
    pub settings: Settings,
    pub metrics: Metrics,
    pub gateway_metrics: GatewayMetrics,
    /// Whether this process may write.
    pub leadership: Leadership,
}

/// What is still missing before work starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Waiting for something, as people read it.
    Waiting(&'static str),
    /// Another replica leads; this one takes over when that one is gone.
    Standby,
    Ready,
}

impl Operator {
    /// Runs until `shutdown` ends; writes under way are waited for, nothing new is started.
    pub async fn run(self, readiness: watch::Sender<Readiness>, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        readiness.send_replace(Readiness::Waiting("the API server"));
        let context = tokio::select! {
            biased;
            context = self.start(&readiness) => context,
            () = &mut shutdown => return,
        };
        let mut background = JoinSet::new();
        let others = Others::default();
        let Others { unreadable, beyond } = others.clone();
        background.spawn(unreadable::report(Arc::clone(&context), unreadable));
        background.spawn(beyond::report(Arc::clone(&context), beyond));
        let mut synced = Vec::new();
        let (sender, receiver) = watch::channel(false);
        background.spawn(feed::<ExchangeTenant>(
            Arc::clone(&context),
            sender,
            others.clone(),
        ));
        synced.push(receiver);
        let (sender, receiver) = watch::channel(false);
        background.spawn(feed::<SharedMailbox>(
            Arc::clone(&context),
            sender,
            others.clone(),
        ));
        synced.push(receiver);
        let (sender, receiver) = watch::channel(false);
        background.spawn(feed::<MailboxPermission>(
            Arc::clone(&context),
            sender,
            others.clone(),
        ));
        synced.push(receiver);
        let (sender, receiver) = watch::channel(false);
        background.spawn(feed::<LedgerGlance>(Arc::clone(&context), sender, others));
        synced.push(receiver);
        readiness.send_replace(Readiness::Waiting("the first list of every custom resource"));
        for mut receiver in synced {
            tokio::select! {
                biased;
                // The sender lives as long as the watch, which never ends by itself.
                _ = receiver.wait_for(|synced| *synced) => {}
                () = &mut shutdown => return,
            }
        }
        let owed = context.state.index().owed_by_ledgers(context.clock.now());
        context.request(owed);
        readiness.send_replace(Readiness::Ready);
        tracing::info!("all watches are in; working");
        background.spawn(queue_what_is_due(Arc::clone(&context)));
        work(&context, shutdown).await;
        background.shutdown().await;
    }

    async fn start(self, readiness: &watch::Sender<Readiness>) -> Arc<Context> {
        let Self {
            client,
            http,
            clock,
            rng,
            settings,
            metrics,
            gateway_metrics,
            leadership,
        } = self;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let cluster_uid = loop {
            match namespaces.get("kube-system").await {
                Ok(namespace) => break namespace.uid().unwrap_or_default().chars().take(8).collect(),
                Err(error) => tracing::warn!(%error, "the namespace kube-system can't be read; trying again"),
            }
            clock.sleep(Duration::from_secs(2)).await;
        };
        let context = Arc::new(Context {
            events: Events::new(client.clone(), clock, rng.clone()),
            client,
            http,
            clock,
            rng,
            settings,
            state: Arc::default(),
            metrics,
            gateway_metrics,
            leadership,
            cluster_uid,
        });
        context
            .metrics
            .read_from(&context.state, clock, context.settings.concurrency);
        readiness.send_replace(Readiness::Waiting("the CRDs"));
        crds_installed(&context).await;
        context
    }
}

/// Queues what the end of a permission asks for when it comes, for ever.
async fn queue_what_is_due(context: Arc<Context>) {
    loop {
        let now = context.clock.now();
        let due = context.state.index().due(now);
        context.enqueue(due);
        let next = context.state.index().next_deadline();
        // Without a deadline a new one is noticed a tick after it came, which is soon enough.
        let wait = next.map_or(DEADLINE_TICK, |next| {
            let left = Duration::try_from(next.duration_since(context.clock.now())).unwrap_or_default();
            left.clamp(Duration::from_millis(1), DEADLINE_TICK)
        });
        context.clock.sleep(wait).await;
    }
}

/// Hands work out until `shutdown` ends, then waits for the writes that are under way. Nothing is written to Exchange or
/// Kubernetes afterwards.
async fn work(context: &Arc<Context>, shutdown: std::pin::Pin<&mut impl Future<Output = ()>>) {
    let [all, revocations, repairs] = pools(context.settings.concurrency);
    let mut reconciles = [JoinSet::new(), JoinSet::new(), JoinSet::new()];
    let [of_all, of_revocations, of_repairs] = &mut reconciles;
    tokio::select! {
        biased;
        () = shutdown => {}
        () = hand_out(context, all, of_all) => {}
        () = hand_out(context, revocations, of_revocations) => {}
        () = hand_out(context, repairs, of_repairs) => {}
    }
    let under_way = reconciles.iter().map(JoinSet::len).sum::<usize>();
    tracing::info!(under_way, "draining");
    // The next write of each reconcile is refused, which ends it; the next leader takes it up.
    context.leadership.stand_down();
    let answered = tokio::time::timeout(ANSWERED, context.leadership.writes_ended()).await;
    if answered.is_err() {
        tracing::warn!("Exchange did not answer a write in time");
    }
    let ends = async {
        for pool in &mut reconciles {
            while pool.join_next().await.is_some() {}
        }
    };
    if tokio::time::timeout(CLOSING, ends).await.is_err() {
        let left = reconciles.iter().map(JoinSet::len).sum::<usize>();
        tracing::info!(left, "reconciles are broken off; the next leader takes them up");
        for pool in &mut reconciles {
            pool.shutdown().await;
        }
    }
}

/// Who takes which work: everything, revocations, and what is not urgent.
fn pools(concurrency: usize) -> [Pool; 3] {
    let pool = |place, slots: usize, most_urgent, least_urgent| Pool {
        place,
        slots: slots.max(1),
        most_urgent,
        least_urgent,
    };
    [
        pool(0, concurrency, Lane::Revocation, Lane::Sweep),
        pool(1, FOR_REVOCATIONS, Lane::Revocation, Lane::Revocation),
        pool(2, FOR_REPAIRS, Lane::Repair, Lane::Sweep),
    ]
}

/// Runs work of this pool for ever.
async fn hand_out(context: &Arc<Context>, pool: Pool, running: &mut JoinSet<()>) {
    loop {
        while running.try_join_next().is_some() {}
        while running.len() >= pool.slots {
            running.join_next().await;
        }
        let Taken { key, lane, waited } = context.state.queue.next(pool).await;
        context.metrics.taken(&key, waited);
        let context = Arc::clone(context);
        let span = key.span(lane);
        let task = async move {
            let started = context.clock.instant();
            let work = for_owner(key.owner(), run_item(&context, &key, lane));
            let run = AssertUnwindSafe(trail::followed(work));
            let run = run.catch_unwind().await;
            let Completed { result, requeue } = run.unwrap_or_else(|_| {
                tracing::error!("a reconcile panicked: this is a bug; the work is tried again");
                Completed::new(ReconcileResult::Panic, Some((AFTER_PANIC, Lane::Repair)))
            });
            let took = context.clock.instant().duration_since(started);
            context.metrics.reconciled(&key, result, requeue.is_some(), took);
            context.state.queue.done(key, requeue);
        };
        running.spawn(task.instrument(span));
    }
}

async fn run_item(context: &Arc<Context>, key: &Work, lane: Lane) -> Completed {
    let too_long = || Completed::new(ReconcileResult::Timeout, Some((AFTER_TIMEOUT, Lane::Repair)));
    match key {
        Work::Tenant(name) => {
            let check = tokio::time::timeout(LONGEST_RECONCILE, Box::pin(check::run(context, name))).await;
            check.map_or_else(
                |_| too_long(),
                |(result, again)| Completed::new(result, again.map(|delay| (delay, Lane::Repair))),
            )
        }
        Work::Mailbox(key) => {
            let run = tokio::time::timeout(LONGEST_RECONCILE, Box::pin(reconcile(context, key, lane))).await;
            run.unwrap_or_else(|_| too_long())
        }
    }
}
