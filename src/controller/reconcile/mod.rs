//! One mailbox with all its permissions, brought from what is to what is declared.
//!
//! [`reconcile`] is the whole of it, for creating, taking up, keeping and deleting alike:
//!
//! | step | what it does | gives |
//! | --- | --- | --- |
//! | [`begin`] | reads the resource and its ledger from Kubernetes, and whether it is time | [`Reconcile`] |
//! | [`prepare`] | the manifests as written, the tenant, what is remembered; asks nobody | [`Prepared`] |
//! | [`fetch`] | what Exchange and the directory show, and who the members are by that | [`Observation`] |
//! | [`validate`] | guard rails: whose mailbox it is, and who may get what | [`Validated`] |
//! | [`crate::plan`] | desired × observed × ledger → steps; plain functions | [`Planned`] |
//! | [`apply`] | holds back, announces, creates ([`create`]), sends, and reads again | [`Applied`] |
//! | [`report`] | conditions, events, metrics, and when it is reconciled again | [`Completed`] |
//!
//! An [`Outcome`] may end it after any step; what an outcome means for everybody stands in [`outcome`] alone.

mod adopt;
mod applied;
mod apply;
mod audit;
mod begin;
mod carry_out;
mod cascading_deletion;
mod create;
mod deletion;
mod due;
mod encode;
mod execute;
mod execution;
mod executor;
mod fetch;
mod finalizer;
mod gone;
mod hold;
mod ledger;
mod left_behind;
mod object;
mod observation;
mod observe;
pub mod outcome;
mod over;
mod permission;
mod prepare;
mod prepared;
mod publish;
mod remaining;
mod remember;
mod report;
mod requeue;
mod resource;
mod set;
mod stand_in;
mod task;
pub mod validate;
mod verdict;

use std::time::Duration;

use super::context::Context;
use super::state::key::MailboxKey;
use crate::api::MailboxLedger;
use crate::lane::Lane;

pub use requeue::Completed;

use applied::Applied;
use observation::Observation;
use outcome::Outcome;
use prepared::Prepared;
use requeue::requeue;
use task::{Reconcile, Standing};
use validate::{Planned, Validated, validate};

/// Reconciles one mailbox, and says when it comes back.
pub async fn reconcile(context: &Context, key: &MailboxKey, lane: Lane) -> Completed {
    let mut reconcile = match Box::pin(Reconcile::begin(context, key, lane)).await {
        Ok(reconcile) => reconcile,
        Err(outcome) => return requeue(context, key, &outcome.disposition(), lane),
    };
    let left_behind = std::mem::take(&mut reconcile.ledger.left_behind);
    let applied = Box::pin(run(&mut reconcile)).await;
    let earlier = Box::pin(earlier_resource(&mut reconcile, &applied)).await;
    let completed = Box::pin(report(&mut reconcile, applied)).await;
    let others = Box::pin(lost_mailboxes(context, key, lane, left_behind)).await;
    let again = earlier.into_iter().chain(others);
    again.fold(completed, |completed, (after, lane)| {
        completed.sooner(after, lane)
    })
}

async fn run(reconcile: &mut Reconcile<'_>) -> Result<Applied, Outcome> {
    let mut prepared: Prepared = reconcile.prepare()?;
    let observation: Observation = reconcile.fetch(&mut prepared).await?;
    let validated: Validated = validate(prepared, observation, |uid| reconcile.is_alive(uid))?;
    reconcile.may_plan(&validated)?;
    let planned: Planned = validated.plan();
    Box::pin(reconcile.apply(planned)).await
}

/// Says what came of it: in status, in events, and by when the mailbox comes back.
async fn report(reconcile: &mut Reconcile<'_>, applied: Result<Applied, Outcome>) -> Completed {
    let applied = applied.unwrap_or_else(Applied::from);
    let completed = match reconcile.standing {
        Standing::Serves => Box::pin(reconcile.report_manifest(applied)).await,
        Standing::BeingDeleted(policy) => Box::pin(reconcile.report_deletion(applied, policy)).await,
        Standing::Gone => Box::pin(reconcile.report_without_resource(applied)).await,
    };
    reconcile.with_finalizer_soon(completed)
}

/// What an earlier resource of this name left is carried out as long as the present one has not taken the mailbox up: nobody
/// evades what was announced by putting another resource in its place. When that is to be done again.
async fn earlier_resource(
    reconcile: &mut Reconcile<'_>,
    applied: &Result<Applied, Outcome>,
) -> Option<(Duration, Lane)> {
    let outcome = match applied {
        Ok(taken_up) if taken_up.ledger.is_some() => return None,
        Ok(applied) => &applied.outcome,
        Err(outcome) => outcome,
    };
    let mut earlier = reconcile.for_the_earlier_resource()?;
    let begun = if outcome.leaves_the_mailbox_alone() {
        earlier.release().await
    } else {
        earlier.seal().await
    };
    let applied = once_begun(&mut earlier, begun).await;
    let completed = earlier.complete_earlier(applied).await;
    reconcile.ledger.refreshed(earlier.ledger);
    completed.requeue
}

/// The same for mailboxes that were lost and in whose place another one was created.
async fn lost_mailboxes(
    context: &Context,
    key: &MailboxKey,
    lane: Lane,
    ledgers: Vec<MailboxLedger>,
) -> Vec<(Duration, Lane)> {
    let mut again = Vec::new();
    for ledger in ledgers {
        let own = left_behind::key(key, &ledger);
        let mut lost = Reconcile::of_left_behind(context, key, (&own, lane), ledger);
        let begun = lost.seal().await;
        let applied = once_begun(&mut lost, begun).await;
        let completed = Box::pin(report(&mut lost, applied)).await;
        if lost.ledger.object().is_none() {
            context.state.forget(&own);
        } else {
            again.extend(completed.requeue);
        }
    }
    again
}

/// What outlives a resource is carried out by its ledger, once that says so.
async fn once_begun(reconcile: &mut Reconcile<'_>, begun: Result<(), Outcome>) -> Result<Applied, Outcome> {
    begun?;
    Box::pin(run(reconcile)).await
}
