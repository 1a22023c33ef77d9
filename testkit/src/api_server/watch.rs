//! Watches: a stream of JSON lines that follows one collection's changes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::call::Call;
use super::errors::{FieldError, Refusal};
use super::kinds::Kind;
use super::meta;
use super::selector::Selector;
use super::store::Change;

/// How often an idle watch hears which revision it is at.
const BOOKMARK_EVERY: Duration = Duration::from_mins(1);
/// How long a watch lasts that names no timeout.
const LONGEST: Duration = Duration::from_mins(30);

/// What running watches wait for. They wake in the order in which they began to wait, so that every run of a
/// test is the same (tokio's own watch channel wakes in any order).
#[derive(Debug, Default)]
pub struct Signal {
    revision: AtomicU64,
    /// How many times all connections were cut.
    cuts: AtomicU64,
    changed: Notify,
}

impl Signal {
    /// The store has reached `revision`.
    pub fn announce(&self, revision: u64) {
        if self.revision.fetch_max(revision, Ordering::Relaxed) < revision {
            self.wake();
        }
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        self.cuts.fetch_add(1, Ordering::Relaxed);
        self.wake();
    }

    /// Lets all watches read again.
    pub fn wake(&self) {
        self.changed.notify_waiters();
    }

    fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }
}

/// One running watch.
pub struct Watch {
    shared: Arc<Shared>,
    kind: Arc<Kind>,
    namespace: String,
    selector: Selector,
    metadata_only: bool,
    bookmarks: bool,
    /// Everything up to this revision has been sent.
    cursor: u64,
    lines: VecDeque<Bytes>,
    ends_at: Instant,
    next_bookmark: Instant,
    cuts: u64,
    over: bool,
}

impl Watch {
    /// Starts a watch; `Err` when the request itself is wrong.
    pub fn start(shared: &Arc<Shared>, kind: Arc<Kind>, call: &Call) -> Result<Self, Refusal> {
        let selector = Selector::parse(&kind, call)?;
        let wants_initial = call.query.get("sendInitialEvents").map(|value| value == "true");
        check_options(call, wants_initial)?;
        let timeout = call
            .parameter("timeoutSeconds")
            .and_then(|seconds| seconds.parse().ok());
        let now = Instant::now();
        let mut watch = Self {
            shared: Arc::clone(shared),
            kind,
            namespace: call.namespace.clone(),
            selector,
            metadata_only: call.wants_metadata_only(),
            bookmarks: call.is_set("allowWatchBookmarks"),
            cursor: 0,
            lines: VecDeque::new(),
            ends_at: now
                + timeout
                    .filter(|seconds| *seconds > 0)
                    .map_or(LONGEST, Duration::from_secs),
            next_bookmark: now + BOOKMARK_EVERY,
            cuts: shared.signal.cuts(),
            over: false,
        };
        watch.send_start(call, wants_initial)?;
        Ok(watch)
    }

    fn send_start(&mut self, call: &Call, wants_initial: Option<bool>) -> Result<(), Refusal> {
        let shared = Arc::clone(&self.shared);
        let staleness = shared.faults().staleness();
        let world = shared.world();
        let from = call.parameter("resourceVersion").unwrap_or("0");
        let legacy_initial = wants_initial.is_none() && from == "0";
        if wants_initial == Some(true) || legacy_initial {
            let revision = world.revision_to_read(call, staleness)?;
            let objects = world
                .store
                .collection_of(&self.kind)
                .and_then(|all| all.at(revision));
            for (key, object) in objects.unwrap_or_default() {
                if (self.namespace.is_empty() || key.namespace == self.namespace)
                    && self.selector.matches(&object)
                {
                    self.send("ADDED", &object);
                }
            }
            self.cursor = revision;
            // Servers of today end the older form of initial events with the same bookmark, if one is wanted.
            if wants_initial == Some(true) || (self.bookmarks && call.parameter("resourceVersion").is_some())
            {
                self.send_bookmark(true);
            }
            return Ok(());
        }
        self.cursor = match from {
            "0" => world.store.revision(),
            text => text.parse().map_err(|_| {
                Refusal::bad_request(format!("Invalid value: \"{text}\": strconv.ParseUint: parsing"))
            })?,
        };
        self.refuse_if_compacted(
            world
                .store
                .collection_of(&self.kind)
                .map_or(0, super::store::Collection::compacted),
        );
        Ok(())
    }

    fn refuse_if_compacted(&mut self, compacted: u64) {
        if self.cursor < compacted {
            let gone = Refusal::expired(format!("too old resource version: {} ({compacted})", self.cursor));
            self.line("ERROR", &gone.status());
            self.over = true;
        }
    }

    /// The response body: lines until the watch ends.
    pub fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, |mut watch| async move {
            let line = watch.next().await?;
            Some((Ok::<_, Infallible>(line), watch))
        }))
    }

    async fn next(&mut self) -> Option<Bytes> {
        let shared = Arc::clone(&self.shared);
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            // Listening starts before the read, so that nothing is missed in between.
            let mut changed = pin!(shared.signal.changed.notified());
            changed.as_mut().enable();
            let now = Instant::now();
            if self.over || shared.signal.cuts() != self.cuts {
                return None;
            }
            let next_due = self.take_changes(now);
            if !self.lines.is_empty() || self.over {
                continue;
            }
            if now >= self.ends_at {
                self.over = true;
                if self.bookmarks {
                    self.send_bookmark(false);
                }
                continue;
            }
            if now >= self.next_bookmark {
                self.next_bookmark = now + BOOKMARK_EVERY;
                if self.bookmarks {
                    self.send_bookmark(false);
                    continue;
                }
            }
            let wake = [
                Some(self.ends_at),
                self.bookmarks.then_some(self.next_bookmark),
                next_due,
            ];
            let wake = wake.into_iter().flatten().min().unwrap_or(self.ends_at);
            tokio::select! {
                biased;
                () = changed => {}
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Sends what is due and returns when the next change will be.
    fn take_changes(&mut self, now: Instant) -> Option<Instant> {
        let shared = Arc::clone(&self.shared);
        let (delay, twice) = {
            let faults = shared.faults();
            (faults.watch_delay(&self.kind.plural), faults.sends_events_twice())
        };
        let world = shared.world();
        let Some(all) = world.store.collection_of(&self.kind) else {
            self.over = true;
            return None;
        };
        self.refuse_if_compacted(all.compacted());
        if self.over {
            return None;
        }
        let mut newest = world.store.revision();
        for change in all.changes_after(self.cursor) {
            let due = change.at + delay;
            if due > now {
                self.cursor = self.cursor.max(change.revision - 1);
                return Some(due);
            }
            self.send_change(change);
            if twice {
                self.send_change(change);
            }
            self.cursor = change.revision;
            newest = newest.max(change.revision);
        }
        self.cursor = newest;
        self.over = all.is_withdrawn();
        None
    }

    fn send_change(&mut self, change: &Change) {
        if !self.namespace.is_empty() && change.key.namespace != self.namespace {
            return;
        }
        let was = change
            .before
            .as_ref()
            .is_some_and(|before| self.selector.matches(before));
        let is = !change.deleted && self.selector.matches(&change.object);
        match (was, is) {
            (false, true) => self.send("ADDED", &change.object),
            (true, true) => self.send("MODIFIED", &change.object),
            (true, false) if change.deleted => self.send("DELETED", &change.object),
            (true, false) => {
                // It left the selection: shown as it last matched, at the revision of its leaving.
                let mut last = change.before.as_deref().cloned().unwrap_or_default();
                last["metadata"]["resourceVersion"] = json!(change.revision.to_string());
                self.send("DELETED", &last);
            }
            (false, false) => {}
        }
    }

    fn send(&mut self, kind: &str, object: &Value) {
        if self.metadata_only {
            self.line(kind, &meta::partial(object));
        } else {
            self.line(kind, object);
        }
    }

    fn send_bookmark(&mut self, initial_events_end: bool) {
        let (kind, api_version) = if self.metadata_only {
            ("PartialObjectMetadata".to_owned(), "meta.k8s.io/v1".to_owned())
        } else {
            (self.kind.kind.clone(), self.kind.api_version())
        };
        let mut metadata = json!({"resourceVersion": self.cursor.to_string()});
        if initial_events_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
        self.line("BOOKMARK", &object);
    }

    fn line(&mut self, kind: &str, object: &Value) {
        let object = serde_json::to_string(object).expect("JSON values serialize");
        self.lines.push_back(Bytes::from(format!(
            "{{\"type\":\"{kind}\",\"object\":{object}}}\n"
        )));
    }
}

fn check_options(call: &Call, wants_initial: Option<bool>) -> Result<(), Refusal> {
    let version_match = call.parameter("resourceVersionMatch");
    let why = match (wants_initial, version_match) {
        (Some(_), Some("NotOlderThan")) | (None, None) => return Ok(()),
        (Some(_), _) => "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        (None, Some(_)) => "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
    };
    Err(Refusal::invalid_options(
        "ListOptions",
        &[FieldError::forbidden("resourceVersionMatch", why)],
    ))
}
