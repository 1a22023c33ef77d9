//! A whole world in one process: API server, simulated tenant and operator. The API server is the double, on
//! tokio's paused time, or a real one.
//!
//! Longer than others: it is what every flow begins with, one short sentence a function.

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared_mailbox_operator::api::{
    ExchangeTenant, MailboxLedger, MailboxPermission, SharedMailbox, all_crds,
};
use shared_mailbox_operator::clock::Clock;
use shared_mailbox_operator::controller::{Metrics, Operator, Readiness, Settings};
use shared_mailbox_operator::exchange::{GatewayMetrics, HttpService, TransportError};
use shared_mailbox_operator::leadership::Leadership;
use shared_mailbox_operator::rng::Rng;
use simulator::{Control, JournalEntry, Seed, Simulator};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tower::util::BoxCloneSyncService;

use crate::api_server::ApiServer;
use crate::conditions::ready;
use crate::manifests::tenant;
use crate::profile::in_this_run;

pub const NAMESPACE: &str = "team-sales";
pub const OPERATOR_NAMESPACE: &str = "shared-mailbox-system";
pub const START: &str = "2026-11-22T09:00:00Z";

/// An API server that a world can sit on.
pub trait Server {
    fn client(&self) -> Client;

    /// The operator's clock, which agrees with the server's.
    fn clock(&self) -> Clock;

    /// Where the operator's ids come from.
    fn rng(&self) -> Rng;

    /// How long to wait for what should happen.
    fn patience(&self) -> Duration;
}

impl Server for ApiServer {
    fn client(&self) -> Client {
        ApiServer::client(self)
    }

    fn clock(&self) -> Clock {
        Clock::starting_at(self.now())
    }

    /// The same in every run.
    fn rng(&self) -> Rng {
        Rng::seeded(1)
    }

    fn patience(&self) -> Duration {
        Duration::from_hours(1)
    }
}

pub struct World<S = ApiServer> {
    pub server: S,
    pub client: Client,
    pub simulator: Simulator,
    pub tenant: Control,
    /// Of the operator that was started last.
    pub clock: Clock,
    /// The operator's right to write.
    pub leadership: Leadership,
    /// All lives of the operator draw from it, so that no name is chosen twice.
    pub rng: Rng,
    /// Where the operator finds its service account token, if anywhere.
    pub federated_token_file: Option<PathBuf>,
    /// Reconciles at a time of the operator that is started next.
    pub concurrency: usize,
    operator: Option<RunningOperator>,
    /// What the present or last operator counts.
    metrics: Registry,
}

struct RunningOperator {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    readiness: watch::Receiver<Readiness>,
}

/// How the operator reaches the simulated tenant without a socket.
pub fn in_process(simulator: &Simulator) -> HttpService {
    let simulator = simulator.clone();
    BoxCloneSyncService::new(tower::service_fn(move |request| {
        let simulator = simulator.clone();
        async move {
            simulator
                .handle(request)
                .await
                .map_err(|_| TransportError::lost("the answer was lost"))
        }
    }))
}

impl World {
    /// Everything but the operator.
    pub async fn without_operator(seed: Seed) -> Self {
        let server = ApiServer::new(START.parse::<Timestamp>().unwrap());
        for crd in all_crds() {
            server.install_crd(crd);
        }
        Self::on(server, seed).await
    }

    /// The usual world: a tenant named `default` and a running operator.
    pub async fn start() -> Self {
        let mut world = Self::without_operator(Seed::contoso()).await;
        world.apply(&tenant()).await;
        world.start_operator();
        world
    }

    /// Writes to our custom resources that changed something, by the operator, as `METHOD plural/name/subresource`. Those
    /// to statuses of tenants are counted apart: the time of proof moves on.
    pub fn kubernetes_writes(&self) -> Vec<String> {
        let mut writes = self.writes_of_the_operator();
        writes.retain(|write| !is_tenant_status(write));
        writes
    }

    /// How often the status of a tenant was changed.
    pub fn tenant_status_writes(&self) -> usize {
        let writes = self.writes_of_the_operator();
        writes.iter().filter(|write| is_tenant_status(write)).count()
    }

    fn writes_of_the_operator(&self) -> Vec<String> {
        let by_operator = |request: &&crate::api_server::Request| {
            let edited = request.manager == "tests" || request.method == "DELETE";
            request.is_write && request.changed && request.group == "sharedmailbox.dev" && !edited
        };
        let words = |r: &crate::api_server::Request| {
            format!("{} {}/{}/{}", r.method, r.plural, r.name, r.subresource)
                .trim_end_matches('/')
                .to_owned()
        };
        self.server
            .requests()
            .iter()
            .filter(by_operator)
            .map(words)
            .collect()
    }
}

impl<S: Server> World<S> {
    /// Everything but the operator, on a server that has our CRDs.
    pub async fn on(server: S, seed: Seed) -> Self {
        let client = server.client();
        let simulator = Simulator::new(in_this_run(seed));
        let world = Self {
            tenant: simulator.control(),
            clock: server.clock(),
            rng: server.rng(),
            client,
            server,
            simulator,
            leadership: Leadership::alone(),
            operator: None,
            metrics: Registry::default(),
            federated_token_file: None,
            concurrency: 16,
        };
        for name in ["kube-system", "default", OPERATOR_NAMESPACE, NAMESPACE] {
            world.ensure_namespace(name).await;
        }
        let secret: Secret = serde_json::from_value(json!({
            "metadata": { "name": "exchange-credentials", "namespace": OPERATOR_NAMESPACE },
            "stringData": { "clientSecret": "simulated-secret" }
        }))
        .unwrap();
        let secrets: Api<Secret> = Api::namespaced(world.client.clone(), OPERATOR_NAMESPACE);
        secrets.create(&PostParams::default(), &secret).await.unwrap();
        world
    }

    pub async fn ensure_namespace(&self, name: &str) {
        let api: Api<Namespace> = Api::all(self.client.clone());
        if api.get_opt(name).await.unwrap().is_none() {
            let namespace: Namespace =
                serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
            api.create(&PostParams::default(), &namespace).await.unwrap();
        }
    }

    pub fn start_operator(&mut self) {
        self.start_operator_over(self.client.clone(), in_process(&self.simulator));
    }

    /// Starts the operator behind other clients than the plain ones.
    pub fn start_operator_over(&mut self, client: Client, http: HttpService) {
        assert!(self.operator.is_none(), "one operator at a time");
        let (readiness, observed) = watch::channel(Readiness::Waiting("start"));
        let (stop, stopped) = oneshot::channel::<()>();
        let operator = self.new_operator(client, http, self.leadership.clone());
        let task = tokio::spawn(operator.run(readiness, async move {
            let _ = stopped.await;
        }));
        self.operator = Some(RunningOperator {
            stop,
            task,
            readiness: observed,
        });
    }

    /// An operator that somebody else runs.
    pub fn new_operator(&mut self, client: Client, http: HttpService, leadership: Leadership) -> Operator {
        self.metrics = Registry::default();
        self.clock = self.server.clock();
        Operator {
            client,
            http,
            clock: self.clock,
            rng: self.rng.clone(),
            settings: Settings {
                operator_namespace: OPERATOR_NAMESPACE.to_owned(),
                tenant_lease_namespace: "kube-system".to_owned(),
                allowed_endpoints: Vec::new(),
                federated_token_file: self.federated_token_file.clone(),
                concurrency: self.concurrency,
            },
            metrics: Metrics::register(&mut self.metrics),
            gateway_metrics: GatewayMetrics::register(&mut self.metrics),
            leadership,
        }
    }

    /// SIGTERM: writes under way are waited for. The next operator is one that nobody stopped.
    pub async fn stop_operator(&mut self) {
        if let Some(RunningOperator {
            stop,
            task,
            readiness: _,
        }) = self.operator.take()
        {
            let _ = stop.send(());
            task.await.unwrap();
            self.leadership = Leadership::alone();
        }
    }

    /// A crash: the process is gone between two instructions.
    pub async fn crash_operator(&mut self) {
        if let Some(RunningOperator {
            stop: _,
            task,
            readiness: _,
        }) = self.operator.take()
        {
            task.abort();
            let _ = task.await;
        }
    }

    /// What a scrape of the operator shows.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.metrics).unwrap();
        text
    }

    /// The value of one series, as it is written in a scrape.
    pub fn metric(&self, series: &str) -> f64 {
        let text = self.metrics();
        let found = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        found
            .unwrap_or_else(|| panic!("{series} is not in {text}"))
            .parse()
            .unwrap()
    }

    pub fn readiness(&self) -> Option<Readiness> {
        self.operator
            .as_ref()
            .map(|operator| operator.readiness.borrow().clone())
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// kubectl apply, server side, of any of our custom resources.
    pub async fn apply(&self, manifest: &Value) {
        self.try_apply(manifest).await.unwrap();
    }

    pub async fn try_apply(&self, manifest: &Value) -> Result<(), kube::Error> {
        let namespace = manifest["metadata"]["namespace"]
            .as_str()
            .unwrap_or(NAMESPACE)
            .to_owned();
        match manifest["kind"].as_str().unwrap() {
            "SharedMailbox" => {
                apply::<SharedMailbox>(Api::namespaced(self.client.clone(), &namespace), manifest).await
            }
            "MailboxPermission" => {
                apply::<MailboxPermission>(Api::namespaced(self.client.clone(), &namespace), manifest).await
            }
            "ExchangeTenant" => apply::<ExchangeTenant>(Api::all(self.client.clone()), manifest).await,
            other => panic!("no such kind: {other}"),
        }
    }

    pub async fn delete_mailbox(&self, name: &str) {
        self.api::<SharedMailbox>()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    pub async fn delete_permission(&self, name: &str) {
        self.api::<MailboxPermission>()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    pub async fn mailbox(&self, name: &str) -> SharedMailbox {
        self.api::<SharedMailbox>().get(name).await.unwrap()
    }

    pub async fn permission(&self, name: &str) -> MailboxPermission {
        self.api::<MailboxPermission>().get(name).await.unwrap()
    }

    /// All ledgers, by name.
    pub async fn ledgers(&self) -> Vec<MailboxLedger> {
        let api: Api<MailboxLedger> = Api::all(self.client.clone());
        let list = api.list(&kube::api::ListParams::default()).await.unwrap();
        list.items
    }

    /// The only ledger.
    pub async fn ledger(&self) -> MailboxLedger {
        let mut all = self.ledgers().await;
        assert_eq!(all.len(), 1, "there is one ledger");
        all.remove(0)
    }

    pub async fn tenant_resource(&self) -> ExchangeTenant {
        Api::<ExchangeTenant>::all(self.client.clone())
            .get("default")
            .await
            .unwrap()
    }

    /// Waits, in simulated time, until the mailbox's Ready has this status and reason for its newest spec.
    pub async fn wait_mailbox(&self, name: &str, status: &str, reason: &str) -> SharedMailbox {
        let api = self.api::<SharedMailbox>();
        self.wait(
            format!("SharedMailbox {name} Ready={status} {reason}"),
            async || {
                let object = api.get_opt(name).await.unwrap()?;
                ready(&object, status, reason).then_some(object)
            },
        )
        .await
    }

    pub async fn wait_permission(&self, name: &str, status: &str, reason: &str) -> MailboxPermission {
        let api = self.api::<MailboxPermission>();
        self.wait(
            format!("MailboxPermission {name} Ready={status} {reason}"),
            async || {
                let object = api.get_opt(name).await.unwrap()?;
                ready(&object, status, reason).then_some(object)
            },
        )
        .await
    }

    pub async fn wait_tenant(&self, status: &str, reason: &str) -> ExchangeTenant {
        let api: Api<ExchangeTenant> = Api::all(self.client.clone());
        self.wait(format!("ExchangeTenant Ready={status} {reason}"), async || {
            let object = api.get_opt("default").await.unwrap()?;
            ready(&object, status, reason).then_some(object)
        })
        .await
    }

    /// Waits as long as the server's patience lasts; prints everything when it was in vain.
    pub async fn wait<T>(&self, what: impl Debug, check: impl AsyncFn() -> Option<T>) -> T {
        // Closely for the first minute, then once a second: polling is what takes real time.
        let started = tokio::time::Instant::now();
        while started.elapsed() < self.server.patience() {
            if let Some(found) = check().await {
                return found;
            }
            let long = started.elapsed() > Duration::from_mins(1);
            tokio::time::sleep(Duration::from_millis(if long { 1_000 } else { 100 })).await;
        }
        panic!("waited in vain: {what:?}\n{}", self.dump().await);
    }

    pub async fn sleep(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// What changed something at Exchange or Graph, by cmdlet.
    pub fn writes(&self) -> Vec<String> {
        self.tenant
            .journal()
            .iter()
            .filter(|entry| by_app(entry) && entry.is_write())
            .map(name_of)
            .collect()
    }

    /// What was asked of Exchange or Graph without changing anything.
    pub fn reads(&self) -> Vec<String> {
        self.tenant
            .journal()
            .iter()
            .filter(|entry| by_app(entry) && !entry.is_write())
            .map(name_of)
            .collect()
    }

    pub async fn dump(&self) -> String {
        let params = kube::api::ListParams::default();
        let mailboxes = Api::<SharedMailbox>::all(self.client.clone())
            .list(&params)
            .await
            .unwrap()
            .items;
        let permissions = Api::<MailboxPermission>::all(self.client.clone())
            .list(&params)
            .await
            .unwrap()
            .items;
        let tenants = Api::<ExchangeTenant>::all(self.client.clone())
            .list(&params)
            .await
            .unwrap()
            .items;
        let journal: Vec<String> = self
            .tenant
            .journal()
            .iter()
            .rev()
            .take(40)
            .rev()
            .map(|e| format!("{e:?}"))
            .collect();
        format!(
            "{}\n{}\n{}\njournal:\n{}",
            serde_json::to_string_pretty(
                &mailboxes
                    .iter()
                    .map(|m| (&m.metadata.name, &m.status))
                    .collect::<Vec<_>>()
            )
            .unwrap(),
            serde_json::to_string_pretty(
                &permissions
                    .iter()
                    .map(|m| (&m.metadata.name, &m.status))
                    .collect::<Vec<_>>()
            )
            .unwrap(),
            serde_json::to_string_pretty(
                &tenants
                    .iter()
                    .map(|m| (&m.metadata.name, &m.status))
                    .collect::<Vec<_>>()
            )
            .unwrap(),
            journal.join("\n")
        )
    }
}

fn is_tenant_status(write: &str) -> bool {
    write.contains(" exchangetenants/") && write.ends_with("/status")
}

fn by_app(entry: &JournalEntry) -> bool {
    entry.actor == simulator::Actor::App
}

fn name_of(entry: &JournalEntry) -> String {
    entry
        .cmdlet()
        .map_or_else(|| format!("{:?}", entry.kind), str::to_owned)
}

async fn apply<K>(api: Api<K>, manifest: &Value) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize,
{
    let name = manifest["metadata"]["name"].as_str().unwrap();
    api.patch(
        name,
        &PatchParams::apply("tests").force(),
        &Patch::Apply(manifest),
    )
    .await
    .map(drop)
}
