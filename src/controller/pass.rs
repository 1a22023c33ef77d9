//! One pass over one mailbox: fetch → validate → plan → apply → report.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kube::api::PostParams;
use kube::{Api, ResourceExt};
use tokio::time::Instant;

use super::apply::{Applied, Target};
use super::context::{Context, Memory};
use super::create;
use super::events::Happening;
use super::fetch::{Fetch, Located, Seen};
use super::key::MailboxKey;
use super::outcome::{Outcome, Progress, Stall};
use super::report::{self, Facts};
use super::tenant::{Tenant, TenantState};
use super::validate::{self, Admitted, Surroundings, Wanted};
use crate::api::condition::{self, Kind};
use crate::api::{MailboxPermission, Management, Record, SharedMailbox};
use crate::exchange::ErrorClass;
use crate::lane::Lane;
use crate::mail::{MailboxGuid, MarkerOwner, ObjectId, Right, SmtpAddress};
use crate::plan::{self, Change, Desired, Observed, Plan, Standing};

/// How long a mailbox that Exchange does not find is looked for before it counts as gone. Longer than the
/// minutes by which replicas lag.
const LOSS_CONFIRMED: Duration = Duration::from_mins(5);

pub struct Pass<'a> {
    pub context: &'a Context,
    pub key: &'a MailboxKey,
    pub lane: Lane,
    /// As read at the start of the pass, and as answered by each of our writes.
    pub object: SharedMailbox,
    pub permissions: Vec<Arc<MailboxPermission>>,
}

/// How a pass ended, with what it saw.
pub struct Ending {
    pub outcome: Outcome,
    /// None: the record stays as it is.
    pub record: Option<Record>,
    pub view: Option<View>,
    /// What was written, as people read it.
    pub done: Vec<String>,
}

/// A mailbox that was read, judged and planned for.
pub struct View {
    pub tenant: Arc<Tenant>,
    pub admitted: Admitted,
    pub wanted: Wanted,
    pub desired: Desired,
    pub observed: Observed,
    pub kind: String,
    pub rest: Plan,
    pub refused_settings: Vec<String>,
    pub refused_grants: BTreeMap<(ObjectId, Right), String>,
    pub writes: bool,
}

/// Everything that is known before the mailbox itself is read.
pub struct Ground {
    pub tenant: Arc<Tenant>,
    pub writes: bool,
    pub record: Record,
    pub owner: MarkerOwner,
    pub admitted: Admitted,
}

/// What is known and wanted when a plan is made.
struct Judged {
    ground: Ground,
    wanted: Wanted,
    desired: Desired,
}

impl Judged {
    fn end(
        self,
        outcome: Outcome,
        record: Option<Record>,
        seen: Seen,
        rest: Plan,
        applied: Applied,
    ) -> Ending {
        let Self {
            ground,
            wanted,
            desired,
        } = self;
        let Applied {
            acknowledged: _,
            done,
            refused_settings,
            refused_grants,
            error: _,
        } = applied;
        let view = View {
            tenant: ground.tenant,
            admitted: ground.admitted,
            wanted,
            desired,
            observed: seen.observed,
            kind: seen.kind,
            rest,
            refused_settings,
            refused_grants,
            writes: ground.writes,
        };
        Ending {
            outcome,
            record,
            view: Some(view),
            done,
        }
    }
}

impl From<Outcome> for Ending {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            record: None,
            view: None,
            done: Vec::new(),
        }
    }
}

impl Pass<'_> {
    pub async fn run(&mut self) -> Ending {
        match self.look_and_act().await {
            Ok(ending) => ending,
            Err(outcome) => outcome.into(),
        }
    }

    async fn look_and_act(&mut self) -> Result<Ending, Outcome> {
        let ground = self.prepare()?;
        let fetch = self.fetch(&ground);
        let guid = self
            .object
            .status
            .as_ref()
            .and_then(|status| status.mailbox_guid.as_ref()?.parse().ok());
        let members = fetch.members(ground.admitted.members_to_look_up());
        let (directory, located) = if let Some(guid) = guid {
            (members.await, Ok(Ok(Located::Mailbox(guid))))
        } else {
            futures::join!(
                members,
                fetch.locate(&ground.admitted, &ground.owner, &ground.record)
            )
        };
        let directory = directory.map_err(|error| Outcome::of_error(&error))?;
        let located = located
            .map_err(|error| Outcome::of_error(&error))?
            .map_err(Outcome::Stalled)?;
        let namespace = &self.key.namespace;
        let wanted = validate::resolve(&ground.admitted, namespace, &ground.tenant.rules, &directory);
        match located {
            Located::Mailbox(guid) => self.existing(ground, wanted, guid).await,
            Located::Nowhere(_) if !ground.writes => {
                Ok(Outcome::Drift(vec!["create the mailbox".to_owned()]).into())
            }
            Located::Nowhere(nickname) => create::create(self, ground, wanted, nickname).await,
        }
    }

    /// Everything that needs no look at Exchange: the tenant, the mode, the record, the manifests as written.
    fn prepare(&self) -> Result<Ground, Outcome> {
        let spec = &self.object.spec;
        if spec.management == Management::Paused {
            return Err(Outcome::Paused("spec.management"));
        }
        let tenant = self.tenant()?;
        let management = spec.management.min(tenant.management);
        if management == Management::Paused {
            return Err(Outcome::Paused("the ExchangeTenant's spec.management"));
        }
        let status = self.object.status.clone().unwrap_or_default();
        let pinned = status
            .tenant_guid
            .filter(|pinned| *pinned != tenant.guid.to_string());
        if let Some(pinned) = pinned {
            return Err(Outcome::Stalled(Stall::TenantChanged(format!(
                "the mailbox was made in tenant {pinned} and the ExchangeTenant {:?} now leads to {}: nothing is read \
                 as absence and nothing is written; point it back, or delete and apply this resource",
                spec.tenant_ref.name, tenant.guid
            ))));
        }
        let record = match &status.record {
            Some(raw) => raw
                .read()
                .map_err(|error| Outcome::Stalled(Stall::RecordUnreadable(error.to_string())))?,
            None => Record::default(),
        };
        let owner = MarkerOwner {
            cluster: tenant.cluster.clone(),
            namespace: self.key.namespace.clone(),
            name: self.key.name.clone(),
            uid: self.object.uid().unwrap_or_default(),
        };
        let admitted = self.admit(&tenant).map_err(Outcome::Stalled)?;
        Ok(Ground {
            writes: management == Management::Enforce,
            tenant,
            record,
            owner,
            admitted,
        })
    }

    fn tenant(&self) -> Result<Arc<Tenant>, Outcome> {
        let name = &self.object.spec.tenant_ref.name;
        match self.context.tenants.get(name) {
            Some(TenantState::Ready(tenant)) => Ok(tenant),
            // What was reported for this very spec stays: an outage of the tenant is the tenant's to tell.
            Some(TenantState::NotReady(_)) if self.is_reported() => Err(Outcome::NotYet),
            Some(TenantState::NotReady(why)) => Err(Outcome::Stalled(Stall::TenantNotReady(format!(
                "the ExchangeTenant {name:?} is not ready: {why}"
            )))),
            None if self.context.index().has_tenant(name) => Err(Outcome::NotYet),
            None => Err(Outcome::Stalled(Stall::TenantNotFound(format!(
                "spec.tenantRef.name: there is no ExchangeTenant {name:?}; the platform team has to make it"
            )))),
        }
    }

    /// True when the status already speaks of this generation and the mailbox was there.
    fn is_reported(&self) -> bool {
        self.object.status.as_ref().is_some_and(|status| {
            status.observed_generation == self.object.metadata.generation && status.mailbox_guid.is_some()
        })
    }

    fn admit(&self, tenant: &Tenant) -> Result<Admitted, Stall> {
        let index = self.context.index();
        let addresses = super::index::claims_of(&self.object);
        let provisioned = self
            .object
            .status
            .as_ref()
            .is_some_and(|status| status.mailbox_guid.is_some());
        let earlier: Vec<BTreeSet<SmtpAddress>> = index
            .mailboxes_in(&self.key.namespace)
            .iter()
            .filter(|other| !provisioned && other.uid() != self.object.uid())
            .filter(|other| validate::is_older(other, &self.object))
            .map(|other| super::index::claims_of(other))
            .collect();
        let around = Surroundings {
            rules: &tenant.rules,
            namespace: &self.key.namespace,
            earlier,
            rivals: validate::rivals(&index, &self.object, &addresses),
            accepted_domains: &tenant.accepted_domains,
        };
        drop(index);
        validate::admit(&self.object, &self.permissions, &around)
    }

    pub fn fetch<'b>(&self, ground: &'b Ground) -> Fetch<'b> {
        Fetch {
            tenant: &ground.tenant,
            lane: self.lane,
            now: self.context.clock.instant(),
        }
    }

    /// The account behind the mailbox, as far as the status knows it.
    fn account(&self) -> Option<ObjectId> {
        self.object.status.as_ref()?.object_id.as_ref()?.parse().ok()
    }

    async fn existing(
        &mut self,
        ground: Ground,
        wanted: Wanted,
        guid: MailboxGuid,
    ) -> Result<Ending, Outcome> {
        let read = self
            .fetch(&ground)
            .mailbox(guid, self.account(), &wanted.grants, &ground.record)
            .await;
        let seen = match read {
            Err(error) if error.class == ErrorClass::NotFound => return Err(self.missing(&ground, guid)),
            other => other.map_err(|error| Outcome::of_error(&error))?,
        };
        self.context
            .remember(self.key, |memory| memory.missing_since = None);
        if seen.kind != "SharedMailbox" {
            return Err(Outcome::Stalled(Stall::NotSharedMailbox(format!(
                "the mailbox {guid} is a {} now: nothing is written until it is a SharedMailbox again \
                 (Set-Mailbox -Type Shared) or this resource is deleted",
                seen.kind
            ))));
        }
        let alive = |uid: &str| self.context.index().uid_is_alive(uid);
        match plan::standing(&ground.owner, &seen.observed, &ground.record, alive) {
            Standing::Ours | Standing::JustCreated => {}
            Standing::Reattached => {
                let note =
                    format!("took up the mailbox {guid} again, which an earlier resource of this name made");
                self.tell(false, "Reattached", "Reattach", &note).await;
            }
            Standing::NotOurs(why) => {
                return Err(Outcome::Stalled(Stall::NotOurs(format!(
                    "the mailbox {guid} at {} is not ours: {why}; nothing is written to it",
                    seen.observed.primary
                ))));
            }
        }
        let desired = self.desired(&ground, &wanted);
        self.act(ground, wanted, desired, seen).await
    }

    /// Exchange does not find a mailbox that it had: looked for again before that is believed.
    fn missing(&self, ground: &Ground, guid: MailboxGuid) -> Outcome {
        if ground.record.intent.is_some() {
            let text = "Exchange does not show the new mailbox yet; this takes seconds, at times minutes";
            return Outcome::Progressing(Progress::WaitingForExchange(text.to_owned()));
        }
        let now = self.context.clock.instant();
        let since = self
            .context
            .remember(self.key, |memory| *memory.missing_since.get_or_insert(now));
        if now.saturating_duration_since(since) < LOSS_CONFIRMED {
            return Outcome::Progressing(Progress::ConfirmingLoss);
        }
        Outcome::Stalled(Stall::MailboxGone(format!(
            "Exchange has not found the mailbox {guid} for {} minutes; it is not made again by itself: restore it in \
             Exchange, or delete and apply this resource for a new and empty one",
            LOSS_CONFIRMED.as_secs() / 60
        )))
    }

    pub fn desired(&self, ground: &Ground, wanted: &Wanted) -> Desired {
        let mut kept_members = wanted.kept_members.clone();
        if self
            .context
            .index()
            .has_unreadable_permissions(&self.key.namespace)
        {
            // Nobody knows what such a permission declares, so nothing counts as undeclared.
            kept_members.extend(ground.record.grants.iter().map(|grant| grant.member.clone()));
        }
        Desired {
            owner: ground.owner.clone(),
            marker_attribute: ground.tenant.marker_attribute,
            display_name: self.object.spec.display_name.clone(),
            address: ground.admitted.address.clone(),
            alias: ground.admitted.alias.clone(),
            aliases: ground.admitted.aliases.clone(),
            sign_in: ground.admitted.sign_in,
            sign_in_control: ground.tenant.sign_in_control,
            grants: wanted.grants.clone(),
            kept_members,
        }
    }

    /// Plans for what was seen, carries the plan out and looks again.
    pub async fn act(
        &mut self,
        ground: Ground,
        wanted: Wanted,
        desired: Desired,
        seen: Seen,
    ) -> Result<Ending, Outcome> {
        let planned = plan::plan(&desired, &seen.observed, &ground.record);
        let judged = Judged {
            ground,
            wanted,
            desired,
        };
        if !judged.ground.writes {
            let outcome = if planned.is_empty() {
                Outcome::Observed
            } else {
                Outcome::Drift(planned.describe())
            };
            return Ok(judged.end(outcome, None, seen, planned, Applied::default()));
        }
        let now = self.context.clock.instant();
        let acknowledged = self.context.remember(self.key, |memory| memory.acknowledged(now));
        let (todo, left_out) = planned.without(&acknowledged);
        if todo.is_empty() && left_out {
            let text = "Exchange acknowledged the changes and does not show them yet".to_owned();
            let outcome = Outcome::Progressing(Progress::WaitingForExchange(text));
            let record = Some(planned.announced.clone());
            return Ok(judged.end(outcome, record, seen, planned, Applied::default()));
        }
        if todo.is_empty() {
            self.context.remember(self.key, Memory::settled);
            let record = Some(planned.settled.clone());
            return Ok(judged.end(Outcome::UpToDate, record, seen, planned, Applied::default()));
        }
        self.announce(&planned.announced).await?;
        self.carry_out(judged, &planned, &todo, &seen.observed).await
    }

    /// Does what is to be done and looks again.
    async fn carry_out(
        &mut self,
        judged: Judged,
        planned: &Plan,
        todo: &Plan,
        observed: &Observed,
    ) -> Result<Ending, Outcome> {
        let target = Target {
            gateway: &judged.ground.tenant.gateway,
            lane: if todo.steps.iter().any(plan::Step::revokes) {
                Lane::Revocation
            } else {
                self.lane
            },
            guid: observed.guid,
            object_id: observed.object_id,
        };
        let mut applied = target.apply(todo).await;
        let now = self.context.clock.instant();
        let acknowledged = applied.acknowledged.iter().cloned();
        self.context
            .remember(self.key, |memory| memory.acknowledge(acknowledged, now));
        let remembered = remembered(planned, &applied);
        let read = self.fetch(&judged.ground);
        let confirmed = match applied.error.take() {
            Some(error) => Err(error),
            None => {
                read.mailbox(
                    observed.guid,
                    observed.object_id,
                    &judged.desired.grants,
                    &remembered,
                )
                .await
            }
        };
        let confirmed = match confirmed {
            Ok(confirmed) => confirmed,
            Err(error) => {
                let outcome = Outcome::of_error(&error);
                return Ok(Ending {
                    outcome,
                    record: Some(remembered),
                    view: None,
                    done: applied.done,
                });
            }
        };
        let rest = plan::plan(&judged.desired, &confirmed.observed, &remembered);
        let outcome = verdict(&rest, &applied);
        let after = if matches!(outcome, Outcome::UpToDate) {
            self.context.remember(self.key, Memory::settled);
            &rest.settled
        } else {
            &rest.announced
        };
        let record = Record {
            intent: remembered.intent.clone(),
            ..after.clone()
        };
        let record = without_refused(record, &applied);
        Ok(judged.end(outcome, Some(record), confirmed, rest, applied))
    }

    /// Has the API server acknowledge the record before anything that it announces is done.
    pub async fn announce(&mut self, record: &Record) -> Result<(), Outcome> {
        let mut status = self.object.status.clone().unwrap_or_default();
        let raw = record.into();
        if status.record.as_ref() == Some(&raw) {
            return Ok(());
        }
        status.record = Some(raw);
        self.write_status(status).await
    }

    /// Writes the status when it differs; a conflict means that somebody else wrote, and ends the pass.
    pub async fn write_status(&mut self, status: crate::api::SharedMailboxStatus) -> Result<(), Outcome> {
        if self.object.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let mut next = self.object.clone();
        next.status = Some(status);
        let api: Api<SharedMailbox> = Api::namespaced(self.context.client.clone(), &self.key.namespace);
        self.object = api
            .replace_status(&self.key.name, &PostParams::default(), &next)
            .await
            .map_err(|e| of_kube(&e))?;
        Ok(())
    }

    pub async fn tell(&self, warning: bool, reason: &str, action: &str, note: &str) {
        self.context
            .events
            .publish(
                &self.object,
                Happening {
                    warning,
                    reason,
                    action,
                    note,
                },
            )
            .await;
    }

    /// Writes what people read: the mailbox's status, then those of its permissions.
    pub async fn report(&mut self, ending: Ending) -> Outcome {
        let Ending {
            outcome,
            record,
            view,
            done,
        } = ending;
        let meaning = outcome.meaning();
        let now = self.context.clock.now();
        let stored = self
            .object
            .status
            .as_ref()
            .and_then(|status| status.record.as_ref()?.read().ok());
        let record_now = record.clone().or(stored).unwrap_or_default();
        let facts = view.as_ref().map(|view| view.facts(&record_now));
        let before = self.object.clone();
        let mut status = report::mailbox(&before, &meaning, facts.as_ref(), record.as_ref(), now);
        if let Outcome::Drift(steps) = &outcome {
            status.pending_plan = steps.iter().take(50).cloned().collect();
        }
        let nothing_to_tell = before.status.is_none() && meaning.ready.is_none();
        if !nothing_to_tell && let Err(failed) = self.write_status(status).await {
            return failed;
        }
        self.tell_about(&before, &meaning, &done).await;
        let mut stale = false;
        for (position, object) in self.permissions.clone().iter().enumerate() {
            let next = match (&view, &facts) {
                (Some(view), Some(facts)) => {
                    let judged = view
                        .admitted
                        .permissions
                        .get(position)
                        .zip(view.wanted.verdicts.get(position));
                    judged.map(|(permission, verdicts)| {
                        report::permission(permission, verdicts, facts, view.writes, now)
                    })
                }
                _ => report::permission_without_mailbox(object, &meaning, now),
            };
            if let Some(next) = next {
                stale |= !super::permission::write(self.context, object, next).await;
            }
        }
        if stale { Outcome::Outdated } else { outcome }
    }

    async fn tell_about(&self, before: &SharedMailbox, meaning: &super::outcome::Meaning, done: &[String]) {
        let old = before
            .status
            .as_ref()
            .and_then(|status| condition::find(&status.conditions, Kind::Ready));
        if !done.is_empty() {
            let was_ready = old.is_some_and(|ready| ready.status == "True");
            let same_spec =
                before.status.as_ref().and_then(|s| s.observed_generation) == before.metadata.generation;
            let permissions_known = self.permissions.iter().all(|permission| {
                permission.status.as_ref().and_then(|s| s.observed_generation)
                    == permission.metadata.generation
            });
            let drift = was_ready && same_spec && permissions_known && self.lane != Lane::Revocation;
            if drift {
                self.context.metrics.repairs.inc();
            }
            let reason = if drift { "DriftRepaired" } else { "Changed" };
            self.tell(false, reason, "Apply", &done.join("; ")).await;
        }
        let Some(ready) = &meaning.ready else { return };
        if old.is_none_or(|old| old.reason != ready.reason || old.status != ready.truth.as_str()) {
            self.tell(meaning.warn, ready.reason, "Reconcile", &ready.message)
                .await;
        }
    }
}

impl View {
    fn facts<'a>(&'a self, record: &'a Record) -> Facts<'a> {
        Facts {
            desired: &self.desired,
            observed: &self.observed,
            kind: &self.kind,
            record,
            rest: &self.rest,
            refused_settings: &self.refused_settings,
            refused_grants: &self.refused_grants,
            tenant: self.tenant.guid,
            members_refused: self
                .wanted
                .verdicts
                .iter()
                .flatten()
                .filter(|verdict| verdict.is_err())
                .count(),
        }
    }
}

/// What must be remembered after a plan was carried out, perhaps in part: everything announced, less what
/// Exchange acknowledged as taken away.
fn remembered(planned: &Plan, applied: &Applied) -> Record {
    let done = |change: Change| applied.acknowledged.contains(&change);
    let mut record = planned.announced.clone();
    record.grants.retain(|grant| {
        let settled = planned
            .settled
            .grants
            .iter()
            .any(|s| s.object_id == grant.object_id && s.right == grant.right);
        settled || !done(Change::Revoked(grant.object_id, grant.right))
    });
    for grant in &mut record.grants {
        // Both halves of a remapping are done when nothing failed.
        grant.remapping &= !done(Change::Granted(grant.object_id, grant.right));
    }
    record.addresses.retain(|address| {
        planned.settled.addresses.contains(address) || !done(Change::AddressRemoved(address.clone()))
    });
    let marker_planned = planned
        .steps
        .iter()
        .flat_map(plan::Step::changes)
        .any(|change| change == Change::Marker);
    if !marker_planned || done(Change::Marker) {
        record.intent = None;
    }
    without_refused(record, applied)
}

/// A grant that Exchange refused for good was never made.
fn without_refused(mut record: Record, applied: &Applied) -> Record {
    record.grants.retain(|grant| {
        !applied
            .refused_grants
            .contains_key(&(grant.object_id, grant.right))
    });
    record
}

/// How a plan that was carried out ends, given what a second look still finds to do.
fn verdict(rest: &Plan, applied: &Applied) -> Outcome {
    if !applied.refused_settings.is_empty() {
        let text = format!("Exchange refuses: {}", applied.refused_settings.join("; "));
        return Outcome::Stalled(Stall::SettingRefused(text));
    }
    let refused = |change: &Change| match change {
        Change::Granted(id, right) => applied.refused_grants.contains_key(&(*id, *right)),
        _ => false,
    };
    let open: Vec<String> = rest
        .steps
        .iter()
        .filter(|step| !step.changes().iter().all(refused))
        .map(ToString::to_string)
        .collect();
    if open.is_empty() {
        return Outcome::UpToDate;
    }
    let text = format!(
        "Exchange acknowledged the changes and does not show all of them yet: {}",
        open.join("; ")
    );
    Outcome::Progressing(Progress::WaitingForExchange(text))
}

pub fn of_kube(error: &kube::Error) -> Outcome {
    match error {
        kube::Error::Api(status) if status.is_conflict() || status.is_not_found() => Outcome::Outdated,
        other => Outcome::Unavailable(format!("Kubernetes API: {other}")),
    }
}

/// Monotonic time of the first look at `key`, for waits after which something counts as settled.
pub fn seen_for(context: &Context, key: &MailboxKey) -> Duration {
    let now = context.clock.instant();
    let first: Option<Instant> = context.index().first_seen(key);
    first.map_or(Duration::MAX, |first| now.saturating_duration_since(first))
}
