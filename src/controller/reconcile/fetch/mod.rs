//! What Exchange and the directory show. Reads only.

mod holding;
mod identities;
mod locate;
mod members;
mod reads;
mod rows;

use std::future::Future;
use std::time::Duration;

use super::begin::Reconcile;
use super::observation::{Found, Observation, Seen};
use super::outcome::{Outcome, Progress, Stall};
use super::prepared::Prepared;
use super::report;
use super::validate;
use crate::api::Record;
use crate::exchange::{ErrorClass, ExchangeError};
use crate::mail::MailboxGuid;
use crate::plan::{Desired, Purpose};

use locate::Located;
use reads::Reads;

/// How long a mailbox that Exchange does not find is looked up again before it counts as gone. Longer than the
/// minutes by which replicas lag.
const LOSS_CONFIRMED: Duration = Duration::from_mins(5);

/// Tools that wait take a resource without a status for one that is done (kstatus does): it has a first status
/// within a second, however slow Exchange is.
const FIRST_STATUS: Duration = Duration::from_millis(950);

impl Reconcile<'_> {
    pub(super) async fn fetch(&mut self, prepared: &Prepared) -> Result<Observation, Outcome> {
        let reads = self.reads(prepared);
        let of_error = |error: ExchangeError| Outcome::of_error(&error);
        let known = self.known_mailbox(&prepared.record);
        let members = reads.directory(&prepared.admitted);
        let mailbox = async {
            match known {
                Some(guid) => Ok(Located::Mailbox(guid)),
                None => reads.locate(prepared).await,
            }
        };
        let (directory, located) = self
            .with_first_status(async { futures::join!(members, mailbox) })
            .await?;
        let wanted = validate::resolve(
            &prepared.admitted,
            &self.key.namespace,
            self.account(),
            &prepared.tenant.rules,
            &prepared.tenant.departed,
            &directory.map_err(of_error)?,
        );
        let desired = validate::desired(prepared, &wanted);
        let found = match located.map_err(of_error)? {
            Located::Mailbox(guid) => {
                Found::Mailbox(Box::new(self.read(prepared, &reads, guid, &desired).await?))
            }
            Located::Nowhere(nickname) => Found::Nowhere(nickname),
            Located::Taken(why) => return Err(Outcome::Stalled(Stall::AddressInUse(why))),
        };
        Ok(Observation {
            wanted,
            desired,
            found,
        })
    }

    pub(super) fn reads<'b>(&self, prepared: &'b Prepared) -> Reads<'b> {
        Reads {
            tenant: &prepared.tenant,
            lane: self.lane,
            now: self.context.clock.instant(),
        }
    }

    /// Waits for the first reads; when they take long, a first status says so meanwhile.
    async fn with_first_status<T>(&mut self, reads: impl Future<Output = T>) -> Result<T, Outcome> {
        let mut reads = std::pin::pin!(reads);
        if self.object.status.is_none() {
            let left = FIRST_STATUS.saturating_sub(self.known_for());
            if let Ok(answer) = tokio::time::timeout(left, &mut reads).await {
                return Ok(answer);
            }
            let text = "waiting for Exchange to answer the first look-up".to_owned();
            let waiting = Outcome::Progressing(Progress::WaitingForExchange(text)).disposition();
            let status = report::mailbox(&self.object, &waiting, None, None, self.context.clock.now());
            self.write_status(status).await?;
        }
        Ok(reads.await)
    }

    async fn read(
        &mut self,
        prepared: &Prepared,
        reads: &Reads<'_>,
        guid: MailboxGuid,
        desired: &Desired,
    ) -> Result<Seen, Outcome> {
        if matches!(prepared.purpose, Purpose::Release(_)) {
            self.remember_found(prepared, guid).await?;
        }
        match reads
            .mailbox(guid, self.account(), desired, &prepared.record)
            .await
        {
            Ok(seen) => {
                self.context
                    .state
                    .remember(self.key, |memory| memory.was_read(desired, &seen.observed));
                Ok(seen)
            }
            Err(error) if error.class == ErrorClass::NotFound => Err(self.missing(&prepared.record, guid)),
            Err(error) => Err(Outcome::of_error(&error)),
        }
    }

    /// Exchange does not find a mailbox that it had: looked up again before that is accepted.
    fn missing(&self, record: &Record, guid: MailboxGuid) -> Outcome {
        if record.intent.is_some() {
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
            "Exchange has not found the mailbox {guid} for {} minutes; it is not created again by itself: restore it in \
             Exchange, or delete and apply this resource for a new and empty one",
            LOSS_CONFIRMED.as_secs() / 60
        )))
    }
}
