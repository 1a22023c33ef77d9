//! How things stand, read from the index and the queue at each scrape: a walk over a few small structs an object.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use tokio::time::Instant;

use super::gauges::{GaugeFamily, Labels};
use super::reasons;
use crate::api::condition::{self, Kind};
use crate::api::reason::Reason;
use crate::api::{ExchangeTenant, MailboxPermission, RightState, SharedMailbox};
use crate::clock::Clock;
use crate::controller::state::State;
use crate::controller::state::index::Index;
use crate::controller::state::key::{KINDS, MAILBOX, MailboxKey, PERMISSION, TENANT, Work};
use crate::controller::state::queue::{Place, Queue};
use crate::controller::state::tenants::TenantState;
use crate::exchange::GatewayReading;
use crate::lane::Lane;

/// Each object is in one of these.
const OBJECT_STATES: [&str; 5] = ["ready", "reconciling", "stalled", "new", "unreadable"];
/// Each managed mailbox is in one of these.
const SIGN_IN_STATES: [&str; 5] = ["blocked", "unverified", "allowed", "open", "unknown"];

/// What the reason of `SignInBlocked` says; anything else is unknown.
const SIGN_IN_BY_REASON: [(Reason, &str); 6] = [
    (Reason::Blocked, "blocked"),
    (Reason::Unverified, "unverified"),
    (Reason::AllowedBySpec, "allowed"),
    (Reason::Open, "open"),
    (Reason::SignInNotEffective, "open"),
    (Reason::DecisionNeeded, "open"),
];

#[derive(Default)]
pub struct States {
    objects: BTreeMap<(&'static str, &'static str), usize>,
    stalled: BTreeMap<(&'static str, &'static str), usize>,
    refused_members: usize,
    sign_in: BTreeMap<&'static str, usize>,
    open_oldest: Duration,
    owed: usize,
    owed_oldest: Duration,
    depth: BTreeMap<(&'static str, &'static str), usize>,
    /// Ages of the reconciles under way.
    running: BTreeMap<&'static str, Vec<Duration>>,
    tenants: Vec<TenantReading>,
}

struct TenantReading {
    name: String,
    /// None before the first check.
    up: Option<bool>,
    ready: bool,
    gateway: Option<GatewayReading>,
    credential_expires: Option<Timestamp>,
}

impl States {
    pub fn of(state: &State, clock: Clock) -> Self {
        let mut states = Self::empty();
        let (wall, now) = (clock.now(), clock.instant());
        let sign_in = state.reported_sign_in();
        states.read_index(&state.index(), &sign_in, wall);
        states.read_queue(&state.queue, now);
        (states.owed, states.owed_oldest) = state.pending().owed(now);
        for tenant in &mut states.tenants {
            tenant.credential_expires = state.tenants.credentials(&tenant.name).first_end();
            if let Some(TenantState::Ready(ready)) = state.tenants.get(&tenant.name) {
                tenant.gateway = Some(ready.gateway.reading());
            }
        }
        states
    }

    /// Something of everything.
    pub fn example() -> Self {
        let mut states = Self::empty();
        states.stalled.insert((MAILBOX, "AccessDenied"), 1);
        states.tenants.push(TenantReading {
            name: "default".to_owned(),
            up: Some(true),
            ready: true,
            gateway: Some(GatewayReading::default()),
            credential_expires: Some(Timestamp::UNIX_EPOCH),
        });
        states
    }

    /// Zero of everything whose labels are known beforehand.
    fn empty() -> Self {
        let mut states = Self::default();
        for kind in KINDS {
            states
                .objects
                .extend(OBJECT_STATES.map(|state| ((kind, state), 0)));
        }
        states.sign_in.extend(SIGN_IN_STATES.map(|state| (state, 0)));
        for controller in Work::CONTROLLERS {
            states.running.insert(controller, Vec::new());
            for lane in Lane::ALL.map(Lane::label) {
                states.depth.insert((controller, lane), 0);
            }
        }
        states
    }

    /// `sign_in`: what this process reported of it, which nobody else writes.
    fn read_index(
        &mut self,
        index: &Index,
        sign_in: &HashMap<MailboxKey, (Reason, Timestamp)>,
        now: Timestamp,
    ) {
        // What is known of an object that can't be read any more is its past.
        let readable = |kind, metadata: &ObjectMeta| !index.is_unreadable(kind, metadata);
        let mailboxes = index.mailboxes();
        for mailbox in mailboxes.filter(|mailbox| readable(MAILBOX, &mailbox.metadata)) {
            let reported = MailboxKey::of(mailbox).and_then(|key| sign_in.get(&key));
            self.read_mailbox(mailbox, reported, now);
        }
        let permissions = index.permissions();
        for permission in permissions.filter(|permission| readable(PERMISSION, &permission.metadata)) {
            self.read_permission(permission);
        }
        for tenant in index.tenants() {
            if readable(TENANT, &tenant.metadata) {
                self.read_tenant(&tenant);
            }
        }
        for kind in KINDS {
            let count = index.unreadable(kind);
            *self.objects.entry((kind, "unreadable")).or_default() += count;
        }
    }

    fn read_mailbox(
        &mut self,
        mailbox: &SharedMailbox,
        reported: Option<&(Reason, Timestamp)>,
        now: Timestamp,
    ) {
        let status = mailbox.status.as_ref();
        let conditions = status.map_or(&[][..], |status| &status.conditions);
        self.read_conditions(MAILBOX, conditions);
        // After a restart the status is all there is, until the mailbox is reconciled.
        let shown = condition::find(conditions, Kind::SignInBlocked);
        let shown = shown.and_then(|shown| Some((Reason::of(shown)?, shown.last_transition_time.0)));
        let sign_in = reported.copied().or(shown);
        let state = SIGN_IN_BY_REASON
            .into_iter()
            .find(|(known, _)| sign_in.is_some_and(|(reason, _)| reason == *known))
            .map_or("unknown", |(_, state)| state);
        *self.sign_in.entry(state).or_default() += 1;
        if let (Some((reason, since)), "open") = (sign_in, state) {
            // What was reported before a restart counts, too.
            let before = shown.filter(|(before, _)| *before == reason);
            let since = before.map_or(since, |(_, before)| since.min(before));
            let age = now.duration_since(since);
            self.open_oldest = self.open_oldest.max(Duration::try_from(age).unwrap_or_default());
        }
    }

    fn read_permission(&mut self, permission: &MailboxPermission) {
        let Some(status) = &permission.status else {
            return self.read_conditions(PERMISSION, &[]);
        };
        self.read_conditions(PERMISSION, &status.conditions);
        let refused = status.members.iter().filter(|member| {
            let mut rights = member.rights.iter();
            rights.any(|right| right.state == RightState::Refused)
        });
        self.refused_members += refused.count();
    }

    fn read_tenant(&mut self, tenant: &ExchangeTenant) {
        let conditions = tenant
            .status
            .as_ref()
            .map_or(&[][..], |status| &status.conditions);
        self.read_conditions(TENANT, conditions);
        let ready = condition::find(conditions, Kind::Ready);
        self.tenants.push(TenantReading {
            name: tenant.metadata.name.clone().unwrap_or_default(),
            up: ready.map(|ready| Reason::of(ready) != Some(Reason::Unreachable)),
            ready: ready.is_some_and(|ready| ready.status == "True"),
            gateway: None,
            credential_expires: None,
        });
    }

    fn read_conditions(&mut self, kind: &'static str, conditions: &[Condition]) {
        let holds = |kind| condition::find(conditions, kind).is_some_and(|found| found.status == "True");
        let ready = condition::find(conditions, Kind::Ready);
        let state = match ready {
            None => "new",
            Some(_) if holds(Kind::Ready) => "ready",
            Some(_) if holds(Kind::Stalled) => "stalled",
            Some(_) => "reconciling",
        };
        *self.objects.entry((kind, state)).or_default() += 1;
        if let (Some(ready), "stalled") = (ready, state) {
            let reason = reasons::label(&ready.reason);
            *self.stalled.entry((kind, reason)).or_default() += 1;
        }
    }

    fn read_queue(&mut self, queue: &Queue<Work>, now: Instant) {
        queue.survey(|work, place| {
            let controller = work.controller();
            match place {
                Place::Ready(lane) => *self.depth.entry((controller, lane.label())).or_default() += 1,
                Place::Running(since) => {
                    let age = now.saturating_duration_since(since);
                    self.running.entry(controller).or_default().push(age);
                }
            }
        });
    }

    pub fn families(&self) -> Vec<GaugeFamily> {
        let mut families = self.of_objects();
        families.extend(self.of_work());
        families.extend(self.of_tenants());
        families
    }

    fn of_objects(&self) -> Vec<GaugeFamily> {
        let by = |first: &'static str,
                  second: &'static str,
                  counts: &BTreeMap<(&'static str, &'static str), usize>| {
            let row = |(key, count): (&(&'static str, &'static str), &usize)| {
                (labels([(first, key.0), (second, key.1)]), number(*count))
            };
            counts.iter().map(row).collect::<Vec<_>>()
        };
        let sign_in = self
            .sign_in
            .iter()
            .map(|(state, count)| (labels([("state", *state)]), number(*count)));
        vec![
            GaugeFamily::new(
                "sharedmailbox_objects",
                "Objects by kind and state, each once",
                by("kind", "state", &self.objects),
            ),
            GaugeFamily::new(
                "sharedmailbox_stalled_objects",
                "Stalled objects by kind and by the reason of Ready",
                by("kind", "reason", &self.stalled),
            ),
            GaugeFamily::single(
                "sharedmailbox_refused_members",
                "Members who are refused, in all MailboxPermissions",
                number(self.refused_members),
            ),
            GaugeFamily::new(
                "sharedmailbox_sign_in",
                "Managed mailboxes by sign-in; open: it should be blocked and is not",
                sign_in.collect(),
            ),
            GaugeFamily::single(
                "sharedmailbox_sign_in_open_oldest_seconds",
                "For how long sign-in has been open at the mailbox where it has been so longest",
                self.open_oldest.as_secs_f64(),
            ),
            GaugeFamily::single(
                "sharedmailbox_owed_revocations",
                "Rights that no manifest declares any more and that are still held",
                number(self.owed),
            ),
            GaugeFamily::single(
                "sharedmailbox_owed_revocation_oldest_seconds",
                "For how long the oldest revocation has been owed",
                self.owed_oldest.as_secs_f64(),
            ),
        ]
    }

    fn of_work(&self) -> Vec<GaugeFamily> {
        let depth = self
            .depth
            .iter()
            .map(|((name, lane), count)| (labels([("name", *name), ("lane", *lane)]), number(*count)));
        let per_controller = |label: &'static str, value: fn(&[Duration]) -> f64| {
            let row = |(name, ages): (&&'static str, &Vec<Duration>)| (labels([(label, *name)]), value(ages));
            self.running.iter().map(row).collect::<Vec<_>>()
        };
        vec![
            GaugeFamily::new(
                "workqueue_depth",
                "Work that is ready and waits for a worker",
                depth.collect(),
            ),
            GaugeFamily::new(
                "controller_runtime_active_workers",
                "Reconciles in progress",
                per_controller("controller", |ages| number(ages.len())),
            ),
            GaugeFamily::new(
                "workqueue_unfinished_work_seconds",
                "How long the work under way has taken so far, together",
                per_controller("name", |ages| ages.iter().map(Duration::as_secs_f64).sum()),
            ),
            GaugeFamily::new(
                "workqueue_longest_running_processor_seconds",
                "How long the oldest work under way has taken so far",
                per_controller("name", |ages| {
                    ages.iter().max().map_or(0.0, Duration::as_secs_f64)
                }),
            ),
        ]
    }

    fn of_tenants(&self) -> Vec<GaugeFamily> {
        let row = |tenant: &TenantReading, value: Option<f64>| {
            let labels: Labels = vec![("tenant", Cow::Owned(tenant.name.clone()))];
            value.map(|value| (labels, value))
        };
        let family = |name, help, value: &dyn Fn(&TenantReading) -> Option<f64>| {
            let rows = self
                .tenants
                .iter()
                .filter_map(|tenant| row(tenant, value(tenant)));
            GaugeFamily::new(name, help, rows.collect())
        };
        let gateway = |name, help, value: fn(&GatewayReading) -> f64| {
            family(name, help, &|tenant| tenant.gateway.as_ref().map(value))
        };
        vec![
            family(
                "sharedmailbox_tenant_up",
                "Whether Entra and Exchange answered at the last check, if only with a refusal",
                &|tenant| tenant.up.map(flag),
            ),
            family(
                "sharedmailbox_tenant_ready",
                "Whether the ExchangeTenant is Ready",
                &|tenant| tenant.up.map(|_| flag(tenant.ready)),
            ),
            family(
                "sharedmailbox_credential_expiry_timestamp_seconds",
                "When the first of the credentials ends, where that is known",
                &|tenant| tenant.credential_expires.map(seconds),
            ),
            gateway(
                "sharedmailbox_tenant_writes_left",
                "Writes that the tenant's budget allows at once",
                |reading| reading.writes_left,
            ),
            gateway(
                "sharedmailbox_tenant_writes_limit",
                "Writes that the tenant's budget allows a minute",
                |reading| reading.writes_limit,
            ),
            gateway(
                "sharedmailbox_tenant_throttled_seconds",
                "Rest of the pause that Exchange asked for",
                |reading| reading.throttled.as_secs_f64(),
            ),
            gateway(
                "sharedmailbox_tenant_calls_waiting",
                "Calls to Exchange that wait to be sent",
                |reading| number(reading.waiting),
            ),
            gateway(
                "sharedmailbox_tenant_requests_in_flight",
                "Requests to Exchange under way",
                |reading| number(reading.in_flight),
            ),
        ]
    }
}

fn labels<const N: usize>(pairs: [(&'static str, &'static str); N]) -> Labels {
    pairs.map(|(key, value)| (key, Cow::Borrowed(value))).to_vec()
}

/// Counts of objects are far from where a float loses one.
#[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 of anything here")]
fn number(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit a float")]
fn seconds(time: Timestamp) -> f64 {
    time.as_second() as f64
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::state::read_mailbox::ReadMailbox;
    use serde_json::json;

    fn mailbox(name: &str, conditions: &serde_json::Value) -> SharedMailbox {
        serde_json::from_value(json!({
            "apiVersion": "sharedmailbox.dev/v1alpha1", "kind": "SharedMailbox",
            "metadata": { "namespace": "team", "name": name, "uid": name },
            "spec": { "displayName": name, "emailAddress": format!("{name}@contoso.com") },
            "status": { "conditions": conditions }
        }))
        .unwrap()
    }

    fn condition(kind: &str, status: &str, reason: &str) -> serde_json::Value {
        json!({
            "type": kind, "status": status, "reason": reason, "message": "",
            "lastTransitionTime": "2026-11-22T09:00:00Z"
        })
    }

    #[tokio::test]
    async fn each_object_counts_once_and_the_longest_open_sign_in_is_reported() {
        let mut index = Index::default();
        let open = json!([
            condition("Ready", "False", "AnythingElse"),
            condition("Stalled", "True", "AnythingElse"),
            condition("SignInBlocked", "False", "Open")
        ]);
        let fine = json!([
            condition("Ready", "True", "UpToDate"),
            condition("SignInBlocked", "True", "Blocked")
        ]);
        let under_way = json!([
            condition("Ready", "False", "Creating"),
            condition("Reconciling", "True", "Creating")
        ]);
        for (name, conditions) in [("a", open), ("b", fine), ("c", under_way), ("d", json!([]))] {
            index.apply_mailbox(ReadMailbox::of(mailbox(name, &conditions)), Instant::now());
        }
        let mut states = States::empty();
        // Somebody forged the status of `b`.
        let (opened, now) = ("2026-11-22T09:01:00Z", "2026-11-22T09:31:00Z");
        let key = MailboxKey::of(&mailbox("b", &json!([]))).unwrap();
        let reported = HashMap::from([(key, (Reason::Open, opened.parse().unwrap()))]);
        let mut forged = States::empty();
        forged.read_index(&index, &reported, now.parse().unwrap());
        assert_eq!((forged.sign_in["open"], forged.sign_in["blocked"]), (2, 0));
        states.read_index(&index, &HashMap::new(), now.parse().unwrap());
        let objects: Vec<_> = states
            .objects
            .iter()
            .filter(|((kind, _), _)| *kind == MAILBOX)
            .map(|((_, state), count)| (*state, *count))
            .collect();
        assert_eq!(
            objects,
            [
                ("new", 1),
                ("ready", 1),
                ("reconciling", 1),
                ("stalled", 1),
                ("unreadable", 0)
            ]
        );
        assert_eq!(states.stalled, BTreeMap::from([((MAILBOX, "Other"), 1)]));
        assert_eq!(states.sign_in["open"], 1);
        assert_eq!(states.sign_in["blocked"], 1);
        assert_eq!(states.sign_in["unknown"], 2);
        assert_eq!(states.open_oldest, Duration::from_mins(31));
    }
}
