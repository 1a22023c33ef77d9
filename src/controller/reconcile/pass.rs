//! What the steps of a reconcile work on, from the first to the last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use tokio::time::Instant;

use super::fetch::Fetch;
use super::outcome::{Outcome, Stall};
use super::report;
use super::validate::{Admitted, MEMBER_NOT_FOUND, MemberVerdict, NO_MAILBOX, Wanted};
use crate::api::{MailboxPermission, REMOVE_ORPHANS, Record, RecordedGrant, SharedMailbox};
use crate::controller::context::Context;
use crate::controller::state::key::MailboxKey;
use crate::controller::state::tenants::Tenant;
use crate::lane::Lane;
use crate::mail::{MailboxGuid, MarkerOwner, ObjectId, Right};
use crate::plan::{Desired, GrantPolicy, Observed, Plan};

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
    /// By its GUID in status, or as this process remembers it from the create that the record announces.
    pub(super) fn known_mailbox(&self, record: &Record) -> Option<MailboxGuid> {
        let status = self.object.status.as_ref();
        let written = status.and_then(|status| status.mailbox_guid.as_ref()?.parse().ok());
        let created = self
            .context
            .state
            .remember(self.key, |memory| memory.created.clone());
        let announced = record.intent.as_ref().map(|intent| &intent.one_time_name);
        written.or(created
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

    pub fn desired(&self, ground: &Ground, wanted: &Wanted) -> Desired {
        let now = self.context.clock.instant();
        let mut kept = wanted.kept.clone();
        let unreadable = self
            .context
            .state
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
            stuck: self.context.state.remember(self.key, |memory| memory.stuck(now)),
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

#[expect(clippy::wildcard_enum_match_arm, reason = "kube may know more errors one day")]
pub fn of_kube(error: &kube::Error) -> Outcome {
    match error {
        kube::Error::Api(status) if status.is_conflict() || status.is_not_found() => Outcome::Conflict,
        other => Outcome::Unavailable(format!("Kubernetes API: {other}")),
    }
}

/// Monotonic time of the first look at `key`, for waits after which something counts as settled.
pub fn seen_for(context: &Context, key: &MailboxKey) -> Duration {
    let now = context.clock.instant();
    let first: Option<Instant> = context.state.index().first_seen(key);
    first.map_or(Duration::MAX, |first| now.saturating_duration_since(first))
}
