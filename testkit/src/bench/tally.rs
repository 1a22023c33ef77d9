//! What was asked of the tenant and of the API server during a phase.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use simulator::{Actor, JournalEntry, JournalKind};

use crate::api_server::Request;

/// Counts of one phase. Requests that were answered with an error count too.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// HTTP requests to the admin API of Exchange that carried one cmdlet by itself.
    pub singles: usize,
    /// HTTP requests to it that carried several.
    pub batches: usize,
    /// Cmdlets in those batches.
    pub in_batches: usize,
    /// Cmdlets that read, by name.
    pub reading: BTreeMap<String, usize>,
    /// Cmdlets that change something, by name.
    pub writing: BTreeMap<String, usize>,
    /// HTTP requests to Graph.
    pub graph_requests: usize,
    /// Calls to Graph by method and kind of path; a batch has several.
    pub graph_calls: BTreeMap<String, usize>,
    /// Writes of the operator to custom resources that changed something, as `METHOD plural/subresource`; those to tenants
    /// and leases are counted apart.
    pub kubernetes_writes: BTreeMap<String, usize>,
    /// Status writes of tenants, and renewals of leases.
    pub proofs: usize,
    /// Events of the operator.
    pub events: usize,
}

impl Tally {
    pub fn of(journal: &[JournalEntry], requests: &[Request]) -> Self {
        let mut tally = Self::default();
        let mut by_request: BTreeMap<u64, usize> = BTreeMap::new();
        let mut graph: BTreeSet<u64> = BTreeSet::new();
        for entry in journal.iter().filter(|entry| entry.actor == Actor::App) {
            match &entry.kind {
                JournalKind::Cmdlet { name, .. } => {
                    let cmdlets = if entry.is_write() {
                        &mut tally.writing
                    } else {
                        &mut tally.reading
                    };
                    *cmdlets.entry(name.clone()).or_default() += 1;
                    *by_request.entry(entry.request.unwrap_or_default()).or_default() += 1;
                }
                JournalKind::Graph { method, path, .. } => {
                    *tally
                        .graph_calls
                        .entry(format!("{method} {}", kind(path)))
                        .or_default() += 1;
                    graph.extend(entry.request);
                }
                JournalKind::Token { .. } | JournalKind::Other { .. } => {}
            }
        }
        tally.graph_requests = graph.len();
        for cmdlets in by_request.into_values() {
            if cmdlets == 1 {
                tally.singles += 1;
            } else {
                tally.batches += 1;
                tally.in_batches += cmdlets;
            }
        }
        for request in requests.iter().filter(|request| request.is_write) {
            tally.write(request);
        }
        tally
    }

    fn write(&mut self, request: &Request) {
        let is_tests = request.manager == "bench" || request.manager == "tests";
        if is_tests || !request.changed {
            return;
        }
        match (request.group.as_str(), request.plural.as_str()) {
            ("events.k8s.io", _) | ("", "events") => self.events += 1,
            ("coordination.k8s.io", _) | ("sharedmailbox.dev", "exchangetenants") => self.proofs += 1,
            ("sharedmailbox.dev", plural) => {
                let what = format!("{} {plural}/{}", request.method, request.subresource);
                *self
                    .kubernetes_writes
                    .entry(what.trim_end_matches('/').to_owned())
                    .or_default() += 1;
            }
            (_, _) => {}
        }
    }

    /// HTTP requests to Exchange.
    pub fn http(&self) -> usize {
        self.singles + self.batches
    }

    pub fn cmdlets(&self) -> usize {
        self.reads() + self.writes()
    }

    pub fn reads(&self) -> usize {
        self.reading.values().sum()
    }

    pub fn writes(&self) -> usize {
        self.writing.values().sum()
    }

    pub fn kubernetes(&self) -> usize {
        self.kubernetes_writes.values().sum()
    }

    /// Cmdlets in a request, on average.
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn fill(&self) -> f64 {
        self.cmdlets() as f64 / self.http().max(1) as f64
    }
}

/// A path without ids.
fn kind(path: &str) -> String {
    let parts = path.trim_start_matches("/v1.0/").split('/');
    let words = parts.map(|part| if part.contains(['-', '@']) { "ID" } else { part });
    words.collect::<Vec<_>>().join("/")
}
