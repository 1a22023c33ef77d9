//! One mailbox with all its permissions: fetch → validate → plan → apply → report.

mod act;
mod apply;
mod audit;
pub mod cascading_deletion;
mod close;
mod create;
mod fetch;
mod hold;
pub mod outcome;
pub mod pass;
pub mod permission;
mod prepare;
pub mod remaining;
mod remember;
mod report;
mod tell;
pub mod validate;

use std::future::Future;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::condition::{self, Kind};
use crate::exchange::ErrorClass;
use crate::mail::MailboxGuid;
use crate::plan::{self, Standing};
use fetch::Located;
use outcome::{Outcome, Progress, Stall};
use pass::{Ending, Ground, Pass, seen_for};
use validate::Wanted;

/// How long a mailbox that Exchange does not find is looked for before it counts as gone. Longer than the
/// minutes by which replicas lag.
const LOSS_CONFIRMED: Duration = Duration::from_mins(5);

/// Tools that wait take a resource without a status for one that is done (kstatus does): it has a first status
/// within a second, however slow Exchange is.
const FIRST_WORD: Duration = Duration::from_millis(950);

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
        let disposition = Outcome::Stalled(stall.clone()).disposition();
        let status = self.object.status.as_ref();
        let ready = status.and_then(|status| condition::find(&status.conditions, Kind::Ready));
        let same = |ready: &Condition| {
            disposition
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
            .state
            .remember(self.key, |memory| memory.missing_since = None);
        let alive = |uid: &str| self.context.state.index().uid_is_alive(uid);
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
            .state
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
}
