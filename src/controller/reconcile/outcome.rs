//! The one mapping from what happened to condition + event + requeue + metric label.
//!
//! Longer than others: each outcome has its row in one table, and whoever looks for one finds it here.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::condition::{Kind, Truth, Verdict};
use crate::api::reason::Reason;
use crate::controller::metrics::ReconcileResult;
use crate::exchange::{Ends, ExchangeError};
use crate::lane::Lane;
use crate::words::counted;

/// How a reconcile of one mailbox ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Everything is as declared.
    UpToDate,
    /// Nothing differs, and nothing would be written if it did.
    Observed,
    /// Something differs and nothing may be written: what would be done.
    Drift(Vec<String>),
    /// Paused, and by whom.
    Paused(PausedBy),
    /// Under way; nothing is wrong.
    Progressing(Progress),
    /// Exchange or Kubernetes could not be reached; what was reported before stays.
    Unavailable(String),
    /// Somebody has to do something.
    Stalled(Stall),
    /// Too much would be taken away, or given, at once: it waits for approval.
    Held(String),
    /// Somebody else changed the object meanwhile; it is reconciled again.
    Conflict,
    /// Nothing to report: the tenant has not been checked yet.
    TenantPending,
    /// Too early to know what is to be done: nothing is read, written or reported before then.
    TooEarly(Later),
    /// What is around the mailbox is being deleted, and that takes long: what was reported before stays.
    Deleting,
    /// Nothing is to be done for the mailbox of a resource that is gone.
    Released,
    /// The same, and when something will be.
    Resting(Option<Later>),
    /// There is no resource and nothing is remembered of one.
    Absent(Option<Later>),
}

/// A time at which a mailbox is reconciled again, and in which lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Later {
    pub after: Duration,
    pub lane: Lane,
}

/// Whose `management` says Paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PausedBy {
    /// The SharedMailbox's: what protects is done, and what is read goes on being reported.
    Team,
    /// The ExchangeTenant's: nothing is read.
    Tenant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// New-Mailbox is announced and about to be sent.
    Creating(String),
    /// Exchange does not show yet what it acknowledged.
    WaitingForExchange(String),
    /// Some of it is done, and the rest follows at once.
    Applying(String),
    /// The answer to a create was lost; its mailbox is searched for before anything is repeated.
    LookingForMailbox(String),
    /// The mailbox was not there; rechecked before that is accepted.
    ConfirmingLoss,
    /// A group changed all at once; read again before anything follows.
    ConfirmingMembership,
}

/// Why nothing is written until somebody acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stall {
    InvalidSpec(String),
    /// Its namespace has more than it may.
    OverLimit(String),
    AccessDenied(String),
    AddressClaimed(String),
    /// A mailbox whose resource is gone has the address.
    AddressHeldByRetained(String),
    DomainNotAccepted(String),
    AddressInUse(String),
    NotOurs(String),
    /// It is the mailbox of the resource of the same name in another cluster.
    TakenOver(String),
    NotSharedMailbox(String),
    MailboxGone(String),
    /// A mailbox that is there already is not taken over.
    AdoptionRefused(String),
    /// The attribute for the marker holds somebody else's text.
    MarkerAttributeInUse(String),
    /// Nobody has said whether people may sign in to an adopted mailbox, and they can.
    DecisionNeeded(String),
    /// What the deletion policy asks for can't be done now.
    DeletionWaiting(String),
    TenantNotFound(String),
    TenantNotReady(String),
    TenantChanged(String),
    NotAuthorized(String),
    SettingRefused(String),
    /// Exchange acknowledges a setting and shows something else.
    NotConverging(String),
    Contested(String),
    /// Neither API brings about what is declared of sign-in.
    SignInNotEffective(String),
    /// Exchange shows an entry and says that it does not exist.
    GrantStuck(String),
    /// Exchange acknowledged grants and shows no entry of theirs.
    GrantUnverified(String),
    LedgerUnreadable(String),
    /// What is remembered of the mailbox is another cluster's.
    LedgerOfAnotherCluster(String),
    /// The API server takes no ledger of this size.
    LedgerRefused(String),
}

/// What kind of end it is, for the questions that are asked of ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nature {
    Conflict,
    Failure,
    /// Nothing else happens until somebody acts.
    NeedsSomebody,
    Other,
}

/// When a mailbox is reconciled again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// With the tenant's drift interval.
    Interval,
    /// Soon, later with each try, at most after this long.
    Backoff { first: Duration, cap: Duration },
    /// After this long, later with each try, at most with the tenant's drift interval.
    Sooner(Duration),
    /// Exactly then.
    At(Later),
    /// When the tenant has been checked.
    WithTenant,
    /// Not by itself.
    OnChange,
}

/// The event when Ready gets another reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadyEvent {
    /// None: another one follows at once.
    Silent,
    Normal,
    Warning,
}

/// What follows from an outcome, for conditions, events and the queue.
pub struct Disposition {
    /// None: conditions stay as they are.
    pub ready: Option<Verdict>,
    /// `Reconciling` or `Stalled`, while it holds.
    pub progress: Option<Verdict>,
    /// What lowers nothing, while it holds.
    pub advisory: Option<Verdict>,
    pub event: ReadyEvent,
    /// The access rules refuse it: counted when that is new.
    pub is_denial: bool,
    pub requeue: Requeue,
    /// How it is counted.
    pub result: ReconcileResult,
    /// Reconciles in a row with the same label wait longer and longer. None: it was no try, and those before it count on.
    pub label: Option<&'static str>,
}

/// What an event on the mailbox says.
#[derive(Debug, PartialEq, Eq)]
pub struct Published<'a> {
    pub warning: bool,
    pub reason: &'static str,
    pub action: &'static str,
    pub note: &'a str,
}

const SLOW: Duration = Duration::from_mins(10);
/// Somebody wrote meanwhile, or our own watch lags: soon, but no hot loop.
const SOON: Requeue = Requeue::Backoff {
    first: Duration::from_millis(100),
    cap: Duration::from_secs(30),
};
const WAIT: Requeue = Requeue::Backoff {
    first: Duration::from_secs(1),
    cap: Duration::from_secs(30),
};
const RETRY: Requeue = Requeue::Backoff {
    first: Duration::from_secs(5),
    cap: Duration::from_mins(5),
};
/// As long as the directory's "nobody" holds.
const NEWCOMER: Requeue = Requeue::Sooner(Duration::from_secs(30));
const STALLED: Requeue = Requeue::Backoff {
    first: Duration::from_mins(1),
    cap: SLOW,
};

impl Outcome {
    /// An error of the API server that ended the reconcile.
    #[expect(clippy::wildcard_enum_match_arm, reason = "kube may know more errors one day")]
    pub fn of_kube(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.is_conflict() || status.is_not_found() => Self::Conflict,
            other => Self::Unavailable(format!("Kubernetes API: {other}")),
        }
    }

    /// An error of Exchange that ended the reconcile.
    pub fn of_error(error: &ExchangeError) -> Self {
        let text = error.to_string();
        match error.class.ends() {
            Ends::Unavailable => Self::Unavailable(text),
            Ends::NotAuthorized => Self::Stalled(Stall::NotAuthorized(text)),
            Ends::Refused => Self::Stalled(Stall::SettingRefused(text)),
            Ends::NotShownYet => Self::Progressing(Progress::WaitingForExchange(text)),
            Ends::LookItUp => Self::Progressing(Progress::LookingForMailbox(text)),
        }
    }

    /// As it is reported of a resource of which nothing was ever reported that could stay as it is.
    pub fn of_unreported(self) -> Self {
        match self {
            Self::Unavailable(why) => Self::Progressing(Progress::WaitingForExchange(why)),
            Self::TenantPending => {
                let why = "the ExchangeTenant has not been checked yet".to_owned();
                Self::Progressing(Progress::WaitingForExchange(why))
            }
            Self::UpToDate
            | Self::Observed
            | Self::Drift(_)
            | Self::Paused(_)
            | Self::Progressing(_)
            | Self::Stalled(_)
            | Self::Held(_)
            | Self::Conflict
            | Self::TooEarly(_)
            | Self::Deleting
            | Self::Released
            | Self::Resting(_)
            | Self::Absent(_) => self,
        }
    }

    /// How a reconcile ends that could do little, because the manifest is refused or paused: `always`. Once that is
    /// reported, a failure of Exchange's is tried again as soon as any other. Nothing takes the place of a conflict: it is
    /// reconciled again, and nothing is reported.
    pub fn restrained(self, always: Self, is_reported: bool) -> Self {
        if self.stands(is_reported) { self } else { always }
    }

    /// Whether this end is reported, whatever holds the reconcile back.
    pub fn stands(&self, is_reported: bool) -> bool {
        match self.nature() {
            Nature::Conflict => true,
            Nature::Failure => is_reported,
            Nature::NeedsSomebody | Nature::Other => false,
        }
    }

    /// Whether a resource that ends so takes nothing up, until somebody acts.
    pub fn leaves_the_mailbox_alone(&self) -> bool {
        self.nature() == Nature::NeedsSomebody
    }

    fn nature(&self) -> Nature {
        match self {
            Self::Conflict => Nature::Conflict,
            Self::Unavailable(_) => Nature::Failure,
            Self::Observed | Self::Drift(_) | Self::Paused(_) | Self::Stalled(_) => Nature::NeedsSomebody,
            Self::UpToDate
            | Self::Progressing(_)
            | Self::Held(_)
            | Self::TenantPending
            | Self::TooEarly(_)
            | Self::Deleting
            | Self::Released
            | Self::Resting(_)
            | Self::Absent(_) => Nature::Other,
        }
    }

    pub fn disposition(&self) -> Disposition {
        match self {
            Self::UpToDate => settled(Reason::UpToDate, "the mailbox is as declared"),
            Self::Observed => settled(
                Reason::Observed,
                "the mailbox is as declared; management is Observe",
            ),
            Self::Drift(steps) => {
                let text = format!("management is Observe; Enforce would {}", steps.join("; "));
                let count = counted(steps.len(), "change is left undone", "changes are left undone");
                let drifted = format!("{count}: {text}");
                // Who only observes wants to see the difference, and no tool that waits to fail.
                Disposition {
                    advisory: Some(Verdict::new(Kind::Drifted, true, Reason::Observed, drifted)),
                    ..settled(Reason::Observed, &text)
                }
            }
            Self::Paused(by) => {
                let text = match by {
                    PausedBy::Team => {
                        "management is Paused by spec.management: only what protects is done (people who have left and \
                         rights that have ended are revoked, removals that were announced are finished, sign-in is kept \
                         blocked), and everything else waits"
                    }
                    PausedBy::Tenant => {
                        "management is Paused by the ExchangeTenant's spec.management: nothing is read and nothing is written"
                    }
                };
                Disposition {
                    ready: Some(Verdict::new(Kind::Ready, Truth::Unknown, Reason::Paused, text)),
                    progress: Some(Verdict::new(Kind::Stalled, true, Reason::Paused, text)),
                    label: Some("paused"),
                    // What somebody else wrote into a status is corrected, with the interval.
                    ..settled(Reason::Paused, text)
                }
            }
            Self::Progressing(progress) => progressing(progress),
            Self::Unavailable(_) => quiet(RETRY, ReconcileResult::Error, "unavailable"),
            Self::Conflict => quiet(SOON, ReconcileResult::Requeue, "conflict"),
            Self::TenantPending => quiet(Requeue::WithTenant, ReconcileResult::Success, "tenant_pending"),
            Self::Deleting => quiet(Requeue::Interval, ReconcileResult::RequeueAfter, "deleting"),
            Self::TooEarly(later) => Disposition {
                label: None,
                ..quiet(Requeue::At(*later), ReconcileResult::RequeueAfter, "")
            },
            Self::Released => quiet(Requeue::OnChange, ReconcileResult::Success, "released"),
            Self::Resting(next) => quiet(at(*next), ReconcileResult::Success, "released"),
            Self::Absent(next) => Disposition {
                label: None,
                ..quiet(at(*next), ReconcileResult::Success, "")
            },
            Self::Held(text) => stalled(Reason::Held, text, STALLED),
            Self::Stalled(stall) => {
                let (reason, text) = stall.words();
                Disposition {
                    is_denial: matches!(stall, Stall::AccessDenied(_)),
                    ..stalled(reason, text, STALLED)
                }
            }
        }
    }
}

impl Disposition {
    /// What is published because Ready differs from `before`. `wrote`: an event says already what was done, and that all is
    /// well; only a recovery without a write needs words of its own.
    pub fn ready_event(&self, before: Option<&Condition>, wrote: bool) -> Option<Published<'_>> {
        let ready = self.ready.as_ref()?;
        let warning = match self.event {
            ReadyEvent::Silent => return None,
            ReadyEvent::Normal => false,
            ReadyEvent::Warning => true,
        };
        let is_news = before
            .is_none_or(|old| Reason::of(old) != Some(ready.reason) || old.status != ready.truth.as_str());
        let is_said = ready.truth == Truth::True && wrote;
        (is_news && !is_said).then(|| Published {
            warning,
            reason: ready.reason.as_str(),
            action: "Reconcile",
            note: &ready.message,
        })
    }

    /// That something differs which is only observed, once.
    pub fn advisory_event(&self, before: Option<&Condition>) -> Option<Published<'_>> {
        let advisory = self.advisory.as_ref().filter(|_| before.is_none())?;
        Some(Published {
            warning: true,
            reason: advisory.kind.as_str(),
            action: "Observe",
            note: &advisory.message,
        })
    }

    /// Something may soon be known: people are named before their accounts and mailboxes exist, and then they wait for
    /// their rights; or Entra did not show the account.
    pub fn awaiting_somebody(self) -> Self {
        match self.requeue {
            Requeue::Interval => Self {
                requeue: NEWCOMER,
                label: Some("awaiting_somebody"),
                ..self
            },
            Requeue::Backoff { .. }
            | Requeue::Sooner(_)
            | Requeue::At(_)
            | Requeue::WithTenant
            | Requeue::OnChange => self,
        }
    }
}

fn at(next: Option<Later>) -> Requeue {
    next.map_or(Requeue::OnChange, Requeue::At)
}

fn quiet(requeue: Requeue, result: ReconcileResult, label: &'static str) -> Disposition {
    Disposition {
        ready: None,
        progress: None,
        advisory: None,
        event: ReadyEvent::Silent,
        is_denial: false,
        requeue,
        result,
        label: Some(label),
    }
}

fn settled(reason: Reason, text: &str) -> Disposition {
    Disposition {
        ready: Some(Verdict::new(Kind::Ready, true, reason, text)),
        event: ReadyEvent::Normal,
        ..quiet(Requeue::Interval, ReconcileResult::Success, "settled")
    }
}

fn progressing(progress: &Progress) -> Disposition {
    let (reason, text) = match progress {
        Progress::Creating(text) => (Reason::Creating, text.as_str()),
        Progress::WaitingForExchange(text) => (Reason::WaitingForExchange, text.as_str()),
        Progress::Applying(text) => (Reason::Applying, text.as_str()),
        Progress::LookingForMailbox(text) => (Reason::LookingForMailbox, text.as_str()),
        Progress::ConfirmingLoss => (
            Reason::ConfirmingLoss,
            "Exchange did not find the mailbox; the operator rechecks before it accepts that",
        ),
        Progress::ConfirmingMembership => (
            Reason::ConfirmingMembership,
            "many people joined or left a group at once; the group is read again before anything follows",
        ),
    };
    let event = match progress {
        // The rest follows at once, and has an event then.
        Progress::Applying(_) => ReadyEvent::Silent,
        Progress::Creating(_)
        | Progress::WaitingForExchange(_)
        | Progress::LookingForMailbox(_)
        | Progress::ConfirmingLoss
        | Progress::ConfirmingMembership => ReadyEvent::Normal,
    };
    Disposition {
        ready: Some(Verdict::new(Kind::Ready, false, reason, text)),
        progress: Some(Verdict::new(Kind::Reconciling, true, reason, text)),
        event,
        ..quiet(WAIT, ReconcileResult::RequeueAfter, "progressing")
    }
}

fn stalled(reason: Reason, text: &str, requeue: Requeue) -> Disposition {
    Disposition {
        ready: Some(Verdict::new(Kind::Ready, false, reason, text)),
        progress: Some(Verdict::new(Kind::Stalled, true, reason, text)),
        event: ReadyEvent::Warning,
        ..quiet(requeue, ReconcileResult::Stalled, "stalled")
    }
}

impl Stall {
    /// The reason of the condition and the message.
    fn words(&self) -> (Reason, &str) {
        match self {
            Self::InvalidSpec(text) => (Reason::InvalidSpec, text),
            Self::OverLimit(text) => (Reason::OverLimit, text),
            Self::AccessDenied(text) => (Reason::AccessDenied, text),
            Self::AddressClaimed(text) => (Reason::AddressClaimed, text),
            Self::AddressHeldByRetained(text) => (Reason::AddressHeldByRetained, text),
            Self::DomainNotAccepted(text) => (Reason::DomainNotAccepted, text),
            Self::AddressInUse(text) => (Reason::AddressInUse, text),
            Self::NotOurs(text) => (Reason::NotOurs, text),
            Self::TakenOver(text) => (Reason::TakenOver, text),
            Self::NotSharedMailbox(text) => (Reason::NotSharedMailbox, text),
            Self::MailboxGone(text) => (Reason::MailboxGone, text),
            Self::AdoptionRefused(text) => (Reason::AdoptionRefused, text),
            Self::MarkerAttributeInUse(text) => (Reason::MarkerAttributeInUse, text),
            Self::DecisionNeeded(text) => (Reason::DecisionNeeded, text),
            Self::DeletionWaiting(text) => (Reason::DeletionWaiting, text),
            Self::TenantNotFound(text) => (Reason::TenantNotFound, text),
            Self::TenantNotReady(text) => (Reason::TenantNotReady, text),
            Self::TenantChanged(text) => (Reason::TenantChanged, text),
            Self::NotAuthorized(text) => (Reason::NotAuthorized, text),
            Self::SettingRefused(text) => (Reason::SettingRefused, text),
            Self::NotConverging(text) => (Reason::NotConverging, text),
            Self::Contested(text) => (Reason::Contested, text),
            Self::SignInNotEffective(text) => (Reason::SignInNotEffective, text),
            Self::GrantStuck(text) => (Reason::GrantStuck, text),
            Self::GrantUnverified(text) => (Reason::GrantUnverified, text),
            Self::LedgerUnreadable(text) => (Reason::LedgerUnreadable, text),
            Self::LedgerOfAnotherCluster(text) => (Reason::LedgerOfAnotherCluster, text),
            Self::LedgerRefused(text) => (Reason::LedgerRefused, text),
        }
    }
}

impl Requeue {
    /// How long to wait after the `failures`th reconcile in a row that ended like this one; None: not by itself.
    pub fn delay(self, interval: Duration, failures: u32) -> Option<Duration> {
        match self {
            Self::Interval => Some(interval),
            Self::WithTenant | Self::OnChange => None,
            Self::At(Later { after, lane: _ }) => Some(after),
            Self::Backoff { first, cap } => Some(doubled(first, failures).min(cap)),
            Self::Sooner(first) => Some(doubled(first, failures).min(interval)),
        }
    }
}

fn doubled(first: Duration, tries: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1).min(16)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_that_lowers_ready_says_whether_to_wait_or_to_act() {
        for outcome in [
            Outcome::Paused(PausedBy::Team),
            Outcome::Paused(PausedBy::Tenant),
            Outcome::Progressing(Progress::ConfirmingLoss),
            Outcome::Stalled(Stall::AddressInUse("x".into())),
        ] {
            let disposition = outcome.disposition();
            let ready = disposition.ready.unwrap();
            assert_ne!(ready.truth, Truth::True, "{outcome:?}");
            let progress = disposition.progress.unwrap();
            assert!(matches!(progress.kind, Kind::Reconciling | Kind::Stalled));
            assert_eq!(progress.truth, Truth::True);
        }
    }

    #[test]
    fn what_is_only_observed_is_no_failure() {
        let disposition = Outcome::Drift(vec!["block sign-in".into()]).disposition();
        assert_eq!(disposition.ready.unwrap().truth, Truth::True);
        assert!(disposition.progress.is_none());
        assert_eq!(disposition.advisory.unwrap().kind, Kind::Drifted);
    }

    #[test]
    fn an_outage_leaves_the_object_as_it_was() {
        assert!(Outcome::Unavailable("x".into()).disposition().ready.is_none());
    }

    #[test]
    fn waiting_doubles_up_to_its_cap() {
        let interval = Duration::from_mins(10);
        let seconds: Vec<u64> = (1..8)
            .filter_map(|n| WAIT.delay(interval, n))
            .map(|delay| delay.as_secs())
            .collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(WAIT.delay(interval, u32::MAX), Some(Duration::from_secs(30)));
        assert_eq!(Requeue::OnChange.delay(interval, 1), None);
    }
}
