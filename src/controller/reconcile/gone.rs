//! A mailbox whose resource is gone and which stays, as Retain wants it.
//!
//! Nobody waits for it: the resource has no finalizer, and Exchange is not asked. What outlives the resource is carried
//! out by its ledger: the first settings of a mailbox that was just created, removals that were announced before and the
//! recheck of those that are done, a change of automapping that was cut in half, people who have left, and rights whose
//! time is over.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::core::PartialObjectMeta;

use super::applied::Applied;
use super::ledger::{LedgerFile, Unusable, delete};
use super::outcome::{Later, Outcome, Progress, Stall};
use super::permission;
use super::prepared::Prepared;
use super::requeue::RECHECK;
use super::stand_in;
use super::task::{Reconcile, Standing};
use super::validate::{Admitted, admitted_sign_in, declared_settings};
use crate::api::condition::whole_seconds;
use crate::api::reason::Reason;
use crate::api::{DISOWN, LedgerTenant, MailboxLedger, MailboxLedgerSpec, Management, SignIn};
use crate::controller::events::Event;
use crate::controller::state::tenants::{Tenant, TenantState};
use crate::lane::Lane;
use crate::ledger::{self, Ledger, RecordedGrant};
use crate::mail::SmtpAddress;
use crate::plan::{People, Purpose};
use crate::words::counted;

/// What Exchange acknowledged lately is rechecked so often: once at least after the last replica shows what was written, and
/// before it is no longer remembered.
const RECHECKED: Duration = Duration::from_mins(5);
/// How often mailboxes without a resource are rechecked for people who have left.
const SWEEP: Duration = Duration::from_hours(24);

impl Reconcile<'_> {
    /// The resource is gone, or is there and says nothing (it is being deleted, or nobody can read it): its ledger is
    /// read. The permissions of one that is gone say so.
    pub(super) async fn begin_without_resource(mut self, is_there: bool) -> Result<Self, Outcome> {
        let (context, key) = (self.context, self.key);
        let known = !context.state.index().ledgers().of(key).is_empty();
        let again = if is_there {
            None
        } else {
            permission::report_missing_mailbox(context, key).await
        };
        let lane = Lane::Sweep;
        let again = again.map(|after| Later { after, lane });
        if !known {
            context.state.forget(key);
            return Err(self.absent(again));
        }
        self.find_ledger().await?;
        let Some(spec) = self.ledger.spec() else {
            match self.ledger.unusable.take() {
                None => context.state.forget(key),
                Some(unusable) => self.report_unusable(unusable).await,
            }
            return Err(self.absent(again));
        };
        self.object = stand_in::of_ledger(key, spec);
        if is_there {
            self.seal().await?;
        } else {
            self.release().await?;
        }
        Ok(self)
    }

    /// What an earlier resource of this name left, while the present one is refused, paused or only observed and has not
    /// taken the mailbox up: what outlives a resource is carried out all the same.
    pub(super) fn for_the_earlier_resource(&self) -> Option<Self> {
        let object = self.ledger.object()?;
        if self.standing != Standing::Serves || self.has_own_ledger() {
            return None;
        }
        Some(Self {
            context: self.context,
            key: self.key,
            lane: self.lane,
            object: stand_in::of_ledger(self.key, &object.spec),
            standing: Standing::Gone,
            is_finalizer_owed: false,
            ledger: LedgerFile::of(object.clone()),
            permissions: Vec::new(),
            last_word: Some(self.object.spec.sign_in.unwrap_or(SignIn::Blocked)),
            restraint: None,
            seen_account: None,
            created: false,
            reattached: false,
        })
    }

    /// No resource has a condition that would say so. What another cluster remembers is nobody's business here.
    async fn report_unusable(&self, unusable: Unusable) {
        let Unusable::Unreadable { metadata, why } = unusable else {
            return;
        };
        let name = metadata.name.clone().unwrap_or_default();
        tracing::error!(
            ledger = name,
            why,
            "the ledger of a mailbox without a resource can't be read"
        );
        let ledger = PartialObjectMeta::<MailboxLedger> {
            types: None,
            metadata: *metadata,
            _phantom: PhantomData,
        };
        let event = Event {
            warning: true,
            reason: Reason::LedgerUnreadable.as_str(),
            action: "Read",
            note: "the SharedMailbox is gone, and this version of the operator can't read what is remembered of the mailbox: \
                   people who have left, and rights that end, keep what they have. Start the version again that wrote it",
        };
        self.context.events.publish(&ledger, event).await;
    }

    /// That a ledger was restored or edited is written down before anything follows from what it says.
    pub(super) async fn seal(&mut self) -> Result<(), Outcome> {
        if self.ledger.object().is_none_or(ledger::is_intact) {
            return Ok(());
        }
        let remembered = self.remembered_ledger().unwrap_or_default();
        self.announce(&remembered).await
    }

    /// Writes down that the resource is gone, once. It is reported before: a crash in between reports it twice, and never
    /// not at all.
    pub(super) async fn release(&mut self) -> Result<(), Outcome> {
        let now = whole_seconds(self.context.clock.now());
        let is_known = self.ledger.spec().is_some_and(|spec| spec.released_at.is_some());
        let is_intact = self.ledger.object().is_some_and(ledger::is_intact);
        if is_known && is_intact {
            return Ok(());
        }
        if let Some(draft) = self.ledger.draft_mut() {
            draft.released_at.get_or_insert(now);
        }
        let remembered = self.remembered_ledger().unwrap_or_default();
        if !is_known {
            self.report_release(&remembered).await;
        }
        // That it was restored or edited is written down, too, before anything follows from it.
        self.announce(&remembered).await
    }

    async fn report_release(&self, remembered: &Ledger) {
        tracing::info!(
            target: "audit",
            reason = "Released",
            namespace = self.key.namespace,
            resource = self.key.name,
            rights = remembered.grants.len(),
            "the SharedMailbox is gone and the mailbox stays with its permissions"
        );
        let people: BTreeSet<_> = remembered.grants.iter().map(|grant| grant.object_id).collect();
        let ends = remembered
            .grants
            .iter()
            .filter(|grant| grant.until.is_some())
            .count();
        let note = format!(
            "the SharedMailbox is gone and the mailbox stays as it is: {} {}, of which {}",
            counted(people.len(), "person keeps", "people keep"),
            counted(remembered.grants.len(), "right", "rights"),
            counted(ends, "ends by itself", "end by themselves"),
        );
        self.report_on_ledger("Released", "Release", &note).await;
    }

    /// An event on the ledger: it lies in the namespace `default`, so it names nobody and nothing.
    async fn report_on_ledger(&self, reason: &str, action: &str, note: &str) {
        if let Some(ledger) = self.ledger.object() {
            let event = Event {
                warning: false,
                reason,
                action,
                note,
            };
            self.context.events.publish(ledger, event).await;
        }
    }

    /// `Outcome::Released`: nothing is to be done for the mailbox now.
    pub(super) fn prepare_without_resource(&mut self) -> Result<Prepared, Outcome> {
        let remembered = self.remembered_without_resource();
        let Some(spec) = self.ledger.spec() else {
            return Err(Outcome::Released);
        };
        let tenant = match self.tenant_of_ledger(&spec.tenant) {
            Some(TenantState::Ready(tenant)) => tenant,
            None => return Err(Outcome::Released),
            Some(TenantState::NotReady { .. }) if !self.owes(&remembered, None) => {
                return Err(Outcome::Released);
            }
            Some(TenantState::NotReady { why, .. }) => {
                return Err(Outcome::Progressing(Progress::WaitingForExchange(why)));
            }
        };
        if !self.owes(&remembered, Some(&tenant)) || tenant.management != Management::Enforce {
            return Err(Outcome::Released);
        }
        self.begin_withheld_hour();
        let purpose = if self.is_still_there() {
            Purpose::HeldUp
        } else if self.is_disowned() {
            Purpose::HandedBack
        } else {
            Purpose::Released
        };
        self.prepared_without_resource(&tenant, remembered, purpose)
    }

    /// What is known of a mailbox that no resource serves: of what is declared no more than what a new mailbox needs.
    pub(super) fn prepared_without_resource(
        &self,
        tenant: &Arc<Tenant>,
        remembered: Ledger,
        purpose: Purpose,
    ) -> Result<Prepared, Outcome> {
        let Some(spec) = self.ledger.spec() else {
            return Err(Outcome::Released);
        };
        let known = stand_in::of_ledger(self.key, spec).spec;
        let address: Result<SmtpAddress, _> = known.email_address.parse();
        let address = address.map_err(|_| Outcome::Released)?;
        let owner = self.owner(tenant);
        let settings = declared_settings(&known).map_err(Outcome::Stalled)?;
        let addresses = BTreeSet::from([address.clone()]);
        let rules = tenant.rules.of(&self.key.namespace, &addresses);
        let sign_in = admitted_sign_in(self.last_word.unwrap_or(SignIn::Blocked), &rules);
        Ok(Prepared {
            purpose,
            writes: true,
            ledger: remembered,
            owner,
            admitted: Admitted::without_resource(address, settings, sign_in),
            tenant: tenant.clone(),
            remembered: self.remembered(),
            take_up: self.taken_up(),
            remove_orphans: false,
            has_unread_permissions: false,
            now: whole_seconds(self.context.clock.now()),
        })
    }

    /// The tenant in which the mailbox is, by whatever ExchangeTenant that is reached now. Another tenant has other mailboxes
    /// and other people.
    pub(super) fn tenant_of_ledger(&self, of: &LedgerTenant) -> Option<TenantState> {
        let tenants = &self.context.state.tenants;
        match tenants.get(&of.name) {
            Some(TenantState::Ready(tenant)) if tenant.guid == of.guid => Some(TenantState::Ready(tenant)),
            Some(state @ TenantState::NotReady { .. }) => Some(state),
            Some(TenantState::Ready(_)) | None => tenants.ready(of.guid).map(TenantState::Ready),
        }
    }

    /// Whether anything of what outlives the resource is due.
    fn owes(&self, ledger: &Ledger, tenant: Option<&Tenant>) -> bool {
        if self.ledger.spec().is_some_and(|spec| spec.gone_at.is_some()) {
            // Whatever is due is done once it is back.
            return tenant.is_some_and(|tenant| self.is_to_be_swept(tenant));
        }
        let now = self.context.clock.now();
        let ended = |grant: &RecordedGrant| grant.until.is_some_and(|until| until <= now);
        let announced = |grant: &RecordedGrant| ledger.announces(&grant.right_of());
        let is_due = |grant: &RecordedGrant| {
            ended(grant) || announced(grant) || tenant.is_some_and(|tenant| names(&tenant.departed, grant))
        };
        ledger.intent.is_some()
            || ledger.adopting.is_some()
            || self.is_disowned()
            || self.is_still_there()
            || ledger.grants.iter().any(is_due)
            || is_to_be_rechecked(ledger, now)
            || tenant.is_some_and(|tenant| self.is_to_be_swept(tenant))
    }

    /// Whether somebody asked for this very mailbox to be handed back. While a resource has it, nothing follows.
    pub(super) fn is_disowned(&self) -> bool {
        let Some(object) = self.ledger.object() else {
            return false;
        };
        let asked = object
            .annotations()
            .get(DISOWN)
            .and_then(|asked| asked.parse().ok());
        let MailboxLedgerSpec {
            mailbox, released_at, ..
        } = &object.spec;
        let is_meant = released_at.is_some() && ledger::is_our_version(object);
        is_meant && asked.is_some() && asked == mailbox.as_ref().map(|mailbox| mailbox.guid)
    }

    /// Whether the resource is held up by somebody, or another one stands in its place, and the mailbox is marked: then its
    /// sign-in is kept blocked.
    fn is_still_there(&self) -> bool {
        let has_mailbox = self.ledger.draft().is_some_and(|spec| {
            spec.mailbox.is_some()
                && spec.gone_at.is_none()
                && spec.intent.is_none()
                && spec.adopting.is_none()
        });
        self.last_word.is_some() && has_mailbox
    }

    /// People who have left may have got something from somebody else; or somebody waits for an address of the mailbox.
    fn is_to_be_swept(&self, tenant: &Tenant) -> bool {
        // It may have been restored.
        let is_gone = self.ledger.spec().is_some_and(|spec| spec.gone_at.is_some());
        let now = self.context.clock.instant();
        self.context.state.remember(self.key, |memory| {
            let has_departed = tenant.departed != People::default() || is_gone;
            let swept = memory.swept.filter(|(generation, at)| {
                *generation == tenant.generation && now.saturating_duration_since(*at) < SWEEP
            });
            memory.address_is_wanted || (has_departed && swept.is_none())
        })
    }

    /// How the reconcile of a mailbox without a resource ends.
    pub(super) async fn finish_without_resource(&mut self, applied: Applied) -> Outcome {
        let Applied {
            outcome,
            ledger,
            snapshot,
            revoked,
            done: _,
        } = applied;
        let of = self.ledger.spec().map(|spec| spec.tenant.clone());
        let tenant = match of.and_then(|of| self.tenant_of_ledger(&of)) {
            Some(TenantState::Ready(tenant)) => Some(tenant.generation),
            Some(TenantState::NotReady { .. }) | None => None,
        };
        let was_read = snapshot.is_some() || self.ledger.is_unseen;
        if let (true, Some(generation)) = (was_read, tenant) {
            let now = self.context.clock.instant();
            self.context.state.remember(self.key, |memory| {
                memory.swept = Some((generation, now));
                memory.address_is_wanted = false;
            });
        }
        if matches!(outcome, Outcome::Stalled(Stall::NotOurs(_) | Stall::TakenOver(_))) {
            self.ledger.is_somebody_elses();
        }
        self.keep_withheld_hour();
        let outcome = match self.keep_or_delete(ledger).await {
            Ok(()) => outcome,
            Err(failed) => failed,
        };
        self.report_due_without_resource().await;
        if !revoked.is_empty() {
            let note = format!(
                "{} on a mailbox without a resource",
                counted(revoked.len(), "right was revoked", "rights were revoked")
            );
            self.report_on_ledger("RightsRevoked", "Revoke", &note).await;
        }
        outcome
    }

    async fn keep_or_delete(&mut self, ledger: Option<Ledger>) -> Result<(), Outcome> {
        let is_disowned = self.is_disowned();
        if self.is_over(is_disowned) {
            if is_disowned {
                let note = "the mailbox was handed back: it carries no marker of this cluster any more, and nothing is \
                            remembered of it";
                self.report_on_ledger("HandedBack", "HandBack", note).await;
            }
            return self.delete_ledger().await;
        }
        if self.ledger.object().is_none() {
            return Ok(());
        }
        let ledger = ledger.unwrap_or_else(|| self.remembered_without_resource());
        self.announce(&ledger).await
    }

    pub(super) async fn delete_ledger(&mut self) -> Result<(), Outcome> {
        let Some(object) = self.ledger.object() else {
            return Ok(());
        };
        let deleted = delete(&self.context.client, object).await;
        deleted.map_err(|error| Outcome::of_kube(&error))?;
        self.ledger = LedgerFile::default();
        Ok(())
    }

    /// What ends like this rests until the next duty.
    pub(super) fn resting(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Released
            | Outcome::UpToDate
            | Outcome::Stalled(Stall::NotOurs(_) | Stall::TakenOver(_) | Stall::MailboxGone(_)) => {
                Outcome::Resting(self.next_duty())
            }
            other @ (Outcome::Conflict
            | Outcome::Observed
            | Outcome::Drift(_)
            | Outcome::Paused(_)
            | Outcome::Progressing(_)
            | Outcome::Unavailable(_)
            | Outcome::Stalled(_)
            | Outcome::Held(_)
            | Outcome::Deleting
            | Outcome::TooEarly(_)
            | Outcome::Resting(_)
            | Outcome::Absent(_)
            | Outcome::TenantPending) => other,
        }
    }

    /// When the next right ends, or the mailbox is rechecked for people who have left.
    fn next_duty(&self) -> Option<Later> {
        let spec = self.ledger.draft()?;
        let now = self.context.clock.now();
        let remembered = self.remembered_without_resource();
        let ends = remembered.grants.iter().filter_map(|grant| grant.until);
        // What came meanwhile waits until a restored ledger is believed.
        let has_waiting =
            !remembered.weighed.is_empty() || remembered.grants.iter().any(|grant| grant.until.is_some());
        let believed = self
            .taken_up()
            .filter(|_| has_waiting)
            .map(|take_up| take_up.until);
        let next = ends.chain(believed).filter(|until| *until > now).min();
        let wait = next.map(|next| Duration::try_from(next.duration_since(now)).unwrap_or_default());
        let is_awaited = is_to_be_rechecked(&remembered, now) || self.is_disowned();
        let rechecked = is_awaited.then_some(RECHECKED);
        let wait = wait.into_iter().chain(rechecked).min();
        let tenant = match self.tenant_of_ledger(&spec.tenant) {
            Some(TenantState::Ready(tenant)) => Some(tenant),
            Some(TenantState::NotReady { .. }) | None => None,
        };
        let has_departed = tenant
            .as_ref()
            .is_some_and(|tenant| tenant.departed != People::default());
        let is_kept = spec.gone_at.is_some() || has_departed;
        if self.is_still_there() {
            let interval = tenant.map_or(RECHECK, |tenant| tenant.interval);
            let wait = wait.map_or(interval, |wait| wait.min(interval));
            return Some(Later {
                after: wait,
                lane: Lane::Sweep,
            });
        }
        let (after, lane) = match (wait, is_kept) {
            (Some(wait), true) if wait > SWEEP => (SWEEP, Lane::Sweep),
            (Some(wait), true | false) => (wait, Lane::Revocation),
            (None, true) => (SWEEP, Lane::Sweep),
            (None, false) => return None,
        };
        Some(Later { after, lane })
    }
}

/// Whether people include the holder of a grant, by any of their names.
fn names(people: &People, grant: &RecordedGrant) -> bool {
    let by_sid = grant.sid.as_ref().is_some_and(|sid| people.sids.contains(sid));
    by_sid || people.include_holder_of(grant)
}

/// Whether a right was removed so lately that a replica may hide that it is there, or automapping was being changed.
fn is_to_be_rechecked(ledger: &Ledger, now: Timestamp) -> bool {
    ledger.may_hide_a_right(now)
        || ledger.adopting.is_some()
        || ledger.grants.iter().any(|grant| grant.remapping)
}
