//! How far it is proven, over all mailboxes of a tenant, that nobody can sign in.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;

use crate::api::condition::{self, Kind, Verdict, whole_seconds};
use crate::api::reason::Reason;
use crate::api::{ExchangeTenant, SignInProof};
use crate::controller::context::Context;
use crate::controller::state::sign_in::{TenantSignIn, Unverified};
use crate::words::counted;

/// The advisory that somebody has to grant a permission. Right after a start nobody knows, and what was said stays.
pub fn limited_view(known: &TenantSignIn, old: &[Condition]) -> Option<Verdict> {
    if let Some(why) = &known.why {
        let (why, advice) = match why {
            Unverified::NotPermitted(why) => (why, "Grant the app User.Read.All"),
            Unverified::NoAnswer(why) => (why, "It is asked again all the time"),
        };
        let text = format!(
            "on {} it can't be verified whether people can sign in: {}. {advice}",
            counted(known.unverified, "SharedMailbox", "SharedMailboxes"),
            why.trim_end_matches('.')
        );
        return Some(Verdict::new(
            Kind::LimitedView,
            true,
            Reason::SignInUnverified,
            text,
        ));
    }
    let before = condition::find(old, Kind::LimitedView).filter(|_| known.is_incomplete)?;
    let (reason, message) = (Reason::of(before)?, before.message.clone());
    Some(Verdict::new(Kind::LimitedView, true, reason, message))
}

/// The next proof in the status: the old one until an interval is over, or while some mailboxes were not read yet.
pub fn proof(
    context: &Context,
    object: &ExchangeTenant,
    interval: Duration,
    known: &TenantSignIn,
) -> Option<SignInProof> {
    let old = object
        .status
        .as_ref()
        .and_then(|status| status.sign_in_proof.clone());
    let next = next(old.as_ref(), known);
    let name = object.name_any();
    let is_due = || {
        context
            .state
            .tenants
            .may_write_proof(&name, interval, context.clock.instant())
    };
    if next == old || !is_due() { old } else { next }
}

fn next(old: Option<&SignInProof>, known: &TenantSignIn) -> Option<SignInProof> {
    let TenantSignIn {
        oldest,
        has_unproven,
        unverified,
        why: _,
        is_incomplete,
    } = known;
    if *is_incomplete {
        return old.cloned();
    }
    if oldest.is_none() && !has_unproven {
        return None;
    }
    // What this process never saw proven was so, at the best, when the old proof was written.
    let before = old.and_then(|old| old.proven_at.as_ref()).map(|time| time.0);
    let proven = match (*oldest, before) {
        (Some(oldest), Some(before)) if *has_unproven => Some(oldest.min(before)),
        // Of some it was never proven, by nobody.
        (Some(_), None) if *has_unproven => None,
        (Some(oldest), Some(_) | None) => Some(oldest),
        (None, before) => before,
    };
    Some(SignInProof {
        proven_at: proven.map(|time| Time(whole_seconds(time))),
        unverified: i32::try_from(*unverified).unwrap_or(i32::MAX),
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    fn known(oldest: Option<i64>, has_unproven: bool, unverified: usize) -> TenantSignIn {
        TenantSignIn {
            oldest: oldest.map(at),
            has_unproven,
            unverified,
            ..TenantSignIn::default()
        }
    }

    fn said(minute: Option<i64>, unverified: i32) -> SignInProof {
        SignInProof {
            proven_at: minute.map(|minute| Time(at(minute))),
            unverified,
        }
    }

    #[test]
    fn what_was_never_proven_since_the_start_is_as_old_as_what_was_said_before() {
        let old = said(Some(10), 0);
        let next = |known: &TenantSignIn| next(Some(&old), known);
        assert_eq!(next(&known(Some(20), false, 0)), Some(said(Some(20), 0)));
        assert_eq!(next(&known(Some(20), true, 1)), Some(said(Some(10), 1)));
        assert_eq!(next(&known(None, true, 2)), Some(said(Some(10), 2)));
        assert_eq!(next(&known(None, false, 0)), None, "there is no mailbox");
    }

    #[test]
    fn a_mailbox_that_nobody_ever_saw_proven_leaves_no_time_since_when_all_are() {
        assert_eq!(next(None, &known(Some(20), true, 0)), Some(said(None, 0)));
        assert_eq!(next(None, &known(Some(20), false, 0)), Some(said(Some(20), 0)));
    }

    #[test]
    fn nothing_is_said_before_every_mailbox_was_read() {
        let incomplete = TenantSignIn {
            is_incomplete: true,
            ..known(Some(20), false, 0)
        };
        let old = said(Some(10), 0);
        assert_eq!(next(Some(&old), &incomplete), Some(old));
        assert_eq!(next(None, &incomplete), None);
    }
}
