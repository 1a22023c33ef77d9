//! The end of a resource whose mailbox is not marked yet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::apply::Target;
use super::create::AMBIGUOUS;
use super::fetch::Located;
use super::outcome::{Outcome, Progress};
use super::pass::{Ground, Pass};
use super::validate::Wanted;
use crate::api::Record;
use crate::controller::state::tenants::TenantState;
use crate::mail::MailboxGuid;
use crate::plan::{self, Change, Desired, GrantPolicy, Standing};

/// A mailbox that surely was made is looked for so long while its resource waits to go; one whose create was
/// never answered for as long as that stays ambiguous.
const LOOKED_FOR_WHEN_MADE: Duration = Duration::from_hours(1);

impl Pass<'_> {
    /// Before a resource is let go: a mailbox that it made gets marker, name and block, for nobody could tell
    /// afterwards whose it is, and anybody could sign in to it. Nobody is called when it has them. `Err`: not yet,
    /// and when to try again. A tenant that can't be used until somebody acts holds a deletion up for minutes only: it
    /// may be no more than a token that was refused.
    pub(in crate::controller) async fn close(&mut self) -> Result<(), Outcome> {
        let status = self.object.status.as_ref();
        let known = status.and_then(|status| status.mailbox_guid.as_ref()?.parse().ok());
        let record = status.and_then(|status| status.record.as_ref()?.read().ok());
        let Some(intent) = record.and_then(|record| record.intent) else {
            return Ok(());
        };
        let patience = if known.is_some() {
            LOOKED_FOR_WHEN_MADE
        } else {
            AMBIGUOUS
        };
        let unsent = self
            .context
            .state
            .remember(self.key, |memory| memory.unsent.clone());
        let age = self.context.clock.since(intent.at);
        if age >= patience || unsent == Some(intent.one_time_name) {
            return Ok(());
        }
        let tenant = &self.object.spec.tenant_ref.name;
        if let Some(TenantState::NotReady { why, passing }) = self.context.state.tenants.get(tenant)
            && (passing || age < AMBIGUOUS)
        {
            return Err(waiting(&why));
        }
        let ground = match self.prepare() {
            Ok(ground) if ground.writes && ground.refusal.is_none() => ground,
            // The tenant is there and was not looked at yet.
            Err(Outcome::TenantPending) => {
                return Err(waiting("the ExchangeTenant has not been checked yet"));
            }
            Ok(_) | Err(_) => return Ok(()),
        };
        let guid = match known {
            Some(guid) => guid,
            None => self.find(&ground).await?,
        };
        self.mark(&ground, guid).await
    }

    /// Looks for a mailbox that was perhaps made. Once it was seen it surely was, whatever a replica shows later.
    async fn find(&mut self, ground: &Ground) -> Result<MailboxGuid, Outcome> {
        let located = self
            .fetch(ground)
            .locate(&ground.admitted, &ground.owner, &ground.record)
            .await;
        let guid = match located {
            Ok(Ok(Located::Mailbox(guid))) => guid,
            Ok(Ok(Located::Nowhere(_)) | Err(_)) => return Err(waiting("its mailbox is not shown yet")),
            Err(error) => return Err(waiting(&error.to_string())),
        };
        let mut status = self.object.status.clone().unwrap_or_default();
        status.mailbox_guid = Some(guid.to_string());
        status.tenant_guid = Some(ground.tenant.guid.to_string());
        self.write_status(status).await?;
        Ok(guid)
    }

    async fn mark(&self, ground: &Ground, guid: MailboxGuid) -> Result<(), Outcome> {
        // Nothing else is begun for a resource that goes.
        let desired = Desired {
            grants: BTreeMap::new(),
            aliases: BTreeSet::new(),
            policy: GrantPolicy::default(),
            ..self.desired(ground, &Wanted::default())
        };
        let seen = self
            .fetch(ground)
            .mailbox(guid, self.account(), &desired, &Record::default())
            .await
            .map_err(|error| waiting(&error.to_string()))?;
        let alive = |uid: &str| self.context.state.index().uid_is_alive(uid);
        if plan::standing(&ground.owner, &seen.observed, &ground.record, alive) != Standing::JustCreated {
            return Ok(());
        }
        let now = self.context.clock.instant();
        let acknowledged = self
            .context
            .state
            .remember(self.key, |memory| memory.acknowledged(now));
        if acknowledged.contains(&Change::Marker) {
            return Err(waiting("Exchange does not show the marker yet"));
        }
        let target = Target {
            gateway: &ground.tenant.gateway,
            lane: self.lane,
            guid,
            object_id: seen.observed.object_id,
            record: &ground.record,
        };
        let plan = plan::plan(&desired, &seen.observed, &Record::default());
        let applied = target.apply(&plan).await;
        self.context.state.remember(self.key, |memory| {
            memory.acknowledge(applied.acknowledged, now);
        });
        if let Some(error) = applied.error {
            return Err(waiting(&error.to_string()));
        }
        // An answer is not enough: once the resource is gone, nobody looks again.
        let seen = self
            .fetch(ground)
            .mailbox(guid, seen.observed.object_id, &desired, &Record::default())
            .await
            .map_err(|error| waiting(&error.to_string()))?;
        let left = plan::plan(&desired, &seen.observed, &Record::default()).changes();
        if left.is_empty() {
            Ok(())
        } else {
            Err(waiting("Exchange does not show the marker yet"))
        }
    }
}

fn waiting(why: &str) -> Outcome {
    Outcome::Progressing(Progress::WaitingForExchange(why.to_owned()))
}
