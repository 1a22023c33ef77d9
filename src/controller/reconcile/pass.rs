//! One pass over one mailbox: fetch → validate → plan → apply → report.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use tokio::time::Instant;

use super::create;
use super::fetch::{Fetch, Located};
use super::outcome::{Outcome, Progress, Stall};
use super::report;
use super::validate::{self, Admitted, MEMBER_NOT_FOUND, MemberVerdict, NO_MAILBOX, Wanted};
use crate::api::condition::{self, Kind};
use crate::api::{MailboxPermission, REMOVE_ORPHANS, Record, RecordedGrant, SharedMailbox};
use crate::controller::context::Context;
use crate::controller::state::key::MailboxKey;
use crate::controller::state::tenants::Tenant;
use crate::exchange::ErrorClass;
use crate::lane::Lane;
use crate::mail::{MailboxGuid, MarkerOwner, ObjectId, Right};
use crate::plan::{self, Desired, GrantPolicy, Observed, Plan, Standing};

/// How long a mailbox that Exchange does not find is looked for before it counts as gone. Longer than the
/// minutes by which replicas lag.
const LOSS_CONFIRMED: Duration = Duration::from_mins(5);

/// Tools that wait take a resource without a status for one that is done (kstatus does): it has a first status
/// within a second, however slow Exchange is.
const FIRST_WORD: Duration = Duration::from_millis(950);

pub struct Pass<'a> {
    pub context: &'a Context,
    pub key: &'a MailboxKey,
    pub lane: Lane,
    /// As read at the start of the pass, and as answered by each of our writes.
    pub object: SharedMailbox,
    pub permissions: Vec<Arc<MailboxPermission>>,
    /// The mailbox was made by an earlier resource of this name, and is being taken up again.
    pub reattached: bool,
}

/// How a pass ended, with what it saw.
pub struct Ending {
    pub outcome: Outcome,
    /// None: the record stays as it is.
    pub record: Option<Record>,
    pub view: Option<View>,
    /// What was written, as people read it.
    pub done: Vec<String>,
    /// Grants that were taken away.
    pub revoked: Vec<RecordedGrant>,
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
    /// What was granted in this pass.
    pub granted: BTreeSet<(ObjectId, Right)>,
    pub writes: bool,
    /// The manifest is refused: what it declares is not what is to be.
    pub refused: bool,
}

/// Everything that is known before the mailbox itself is read.
pub struct Ground {
    pub tenant: Arc<Tenant>,
    pub writes: bool,
    pub record: Record,
    pub owner: MarkerOwner,
    pub admitted: Admitted,
    /// Why nothing but taking access away is done: the manifest is refused.
    pub refusal: Option<Stall>,
}

impl Ending {
    /// Whether a permission names somebody who may only not be there yet.
    pub fn awaits_somebody(&self) -> bool {
        let verdicts = self
            .view
            .iter()
            .flat_map(|view| view.wanted.verdicts.iter().flatten());
        verdicts
            .filter_map(|verdict| match verdict {
                MemberVerdict::Refused(refusal) => Some(refusal.reason),
                MemberVerdict::One { .. } | MemberVerdict::Everybody(_) => None,
            })
            .any(|reason| reason == MEMBER_NOT_FOUND || reason == NO_MAILBOX)
    }
}

impl From<Outcome> for Ending {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            record: None,
            view: None,
            done: Vec::new(),
            revoked: Vec::new(),
        }
    }
}

impl Pass<'_> {
    pub async fn run(&mut self) -> Ending {
        match Box::pin(self.look_and_act()).await {
            Ok(ending) => ending,
            Err(outcome) => outcome.into(),
        }
    }

    async fn look_and_act(&mut self) -> Result<Ending, Outcome> {
        let ground = self.prepare()?;
        match ground.refusal.clone() {
            None => self.look(ground).await,
            Some(stall) => self.only_take_away(ground, stall).await,
        }
    }

    /// A refused manifest changes nothing, yet nobody keeps by it what he is to lose: ends, departures and members who
    /// were taken out do not wait, nor does the block of sign-in.
    async fn only_take_away(&mut self, ground: Ground, stall: Stall) -> Result<Ending, Outcome> {
        let told = self.is_told(&stall);
        match self.look(ground).await {
            Ok(ending) => Ok(Ending {
                outcome: ending.outcome.of_refused(stall, told),
                ..ending
            }),
            Err(outcome) => Err(outcome.of_refused(stall, told)),
        }
    }

    /// Whether the status tells of this refusal already.
    fn is_told(&self, stall: &Stall) -> bool {
        let meaning = Outcome::Stalled(stall.clone()).meaning();
        let status = self.object.status.as_ref();
        let ready = status.and_then(|status| condition::find(&status.conditions, Kind::Ready));
        let same = |ready: &Condition| {
            meaning
                .ready
                .is_some_and(|told| ready.reason == told.reason && ready.message == told.message)
        };
        ready.is_some_and(same)
            && status.and_then(|status| status.observed_generation) == self.object.metadata.generation
    }

    async fn look(&mut self, ground: Ground) -> Result<Ending, Outcome> {
        let fetch = self.fetch(&ground);
        let guid = self.known_mailbox(&ground.record);
        let members = fetch.directory(&ground.admitted);
        let look = async {
            if let Some(guid) = guid {
                (members.await, Ok(Ok(Located::Mailbox(guid))))
            } else {
                futures::join!(
                    members,
                    fetch.locate(&ground.admitted, &ground.owner, &ground.record)
                )
            }
        };
        let (directory, located) = self.meanwhile_saying_so(look).await?;
        let directory = directory.map_err(|error| Outcome::of_error(&error))?;
        let located = located
            .map_err(|error| Outcome::of_error(&error))?
            .map_err(Outcome::Stalled)?;
        let namespace = &self.key.namespace;
        let tenant = &ground.tenant;
        let wanted = validate::resolve(
            &ground.admitted,
            namespace,
            self.account(),
            &tenant.rules,
            &tenant.departed,
            &directory,
        );
        match located {
            Located::Mailbox(guid) => Box::pin(self.existing(ground, wanted, guid)).await,
            Located::Nowhere(_) if !ground.writes => {
                Ok(Outcome::Drift(vec!["create the mailbox".to_owned()]).into())
            }
            Located::Nowhere(nickname) => Box::pin(create::create(self, ground, wanted, nickname)).await,
        }
    }

    /// Waits for a first look at Exchange; when it takes long, a first status says so meanwhile.
    async fn meanwhile_saying_so<T>(&mut self, look: impl Future<Output = T>) -> Result<T, Outcome> {
        let mut look = std::pin::pin!(look);
        if self.object.status.is_none() {
            let left = FIRST_WORD.saturating_sub(seen_for(self.context, self.key));
            if let Ok(seen) = tokio::time::timeout(left, &mut look).await {
                return Ok(seen);
            }
            self.say_that_it_is_being_looked_at().await?;
        }
        Ok(look.await)
    }

    /// By its GUID in status, or as this process remembers it from the create that the record announces.
    pub(super) fn known_mailbox(&self, record: &Record) -> Option<MailboxGuid> {
        let status = self.object.status.as_ref();
        let written = status.and_then(|status| status.mailbox_guid.as_ref()?.parse().ok());
        let made = self.context.remember(self.key, |memory| memory.made.clone());
        let announced = record.intent.as_ref().map(|intent| &intent.one_time_name);
        written.or(made
            .filter(|(name, _)| Some(name) == announced)
            .map(|(_, guid)| guid))
    }

    pub fn fetch<'b>(&self, ground: &'b Ground) -> Fetch<'b> {
        Fetch {
            tenant: &ground.tenant,
            lane: self.lane,
            now: self.context.clock.instant(),
        }
    }

    /// The account behind the mailbox, as far as the status knows it.
    pub(super) fn account(&self) -> Option<ObjectId> {
        self.object.status.as_ref()?.object_id.as_ref()?.parse().ok()
    }

    async fn existing(
        &mut self,
        ground: Ground,
        wanted: Wanted,
        guid: MailboxGuid,
    ) -> Result<Ending, Outcome> {
        let desired = self.desired(&ground, &wanted);
        let read = self
            .fetch(&ground)
            .mailbox(guid, self.account(), &desired, &ground.record)
            .await;
        let seen = match read {
            Err(error) if error.class == ErrorClass::NotFound => return Err(self.missing(&ground, guid)),
            other => other.map_err(|error| Outcome::of_error(&error))?,
        };
        self.context
            .remember(self.key, |memory| memory.missing_since = None);
        let alive = |uid: &str| self.context.index().uid_is_alive(uid);
        match plan::standing(&ground.owner, &seen.observed, &ground.record, alive) {
            Standing::Ours | Standing::JustCreated => {}
            Standing::Reattached => self.reattached = true,
            Standing::NotOurs(why) => {
                return Err(Outcome::Stalled(Stall::NotOurs(format!(
                    "the mailbox {guid} is not ours: {why}; nothing is written to it. Put the marker attribute back \
                     as it was, or remove status.mailboxGuid so that the mailbox is looked for again"
                ))));
            }
        }
        if seen.kind != "SharedMailbox" {
            return Err(Outcome::Stalled(Stall::NotSharedMailbox(format!(
                "the mailbox {guid} is a {} now: nothing is written until it is a SharedMailbox again \
                 (Set-Mailbox -Type Shared) or this resource is deleted",
                seen.kind
            ))));
        }
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
        let now = self.context.clock.instant();
        let mut kept = wanted.kept.clone();
        let unreadable = self
            .context
            .index()
            .has_unreadable_permissions(&self.key.namespace);
        if unreadable {
            // Nobody knows what such a permission declares, so nothing counts as undeclared.
            let grants = &ground.record.grants;
            kept.extend(grants.iter().map(|grant| (grant.member.clone(), grant.right)));
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
            kept,
            policy: GrantPolicy {
                // Nor does anything count as declared nowhere.
                exclusive: ground.admitted.exclusive && !unreadable,
                remove_orphans: ground.refusal.is_none() && self.wants_orphans_removed(),
                ignore: ground.admitted.ignore.clone(),
                protected: ground.tenant.protected.clone(),
                departed: ground.tenant.departed.clone(),
            },
            now: report::whole_seconds(self.context.clock.now()).0,
            expired: wanted.expired.clone(),
            groups: wanted.groups.clone(),
            stuck: self.context.remember(self.key, |memory| memory.stuck(now)),
        }
    }
}

impl Pass<'_> {
    /// Somebody asked for it and it was not done yet.
    fn wants_orphans_removed(&self) -> bool {
        let asked = self.object.annotations().get(REMOVE_ORPHANS);
        let status = self.object.status.as_ref();
        let done = status.and_then(|status| status.last_handled_orphan_removal.as_ref());
        asked.is_some() && asked != done
    }
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
