//! One mailbox with all its permissions, brought from what is to what is declared.
//!
//! [`reconcile`] is the whole of it, for creating, taking up, keeping and deleting alike:
//!
//! | step | what it does | gives |
//! | --- | --- | --- |
//! | [`prepare`] | the manifests as written, the tenant, what is remembered; asks nobody | [`Prepared`] |
//! | [`fetch`] | what Exchange and the directory show | [`Observation`] |
//! | [`validate`] | guard rails: whose mailbox it is, and who may get what | [`Validated`] |
//! | [`crate::plan`] | desired × observed × ledger → steps; plain functions | [`Planned`] |
//! | [`apply`] | holds back, announces, sends, and reads again | [`Applied`] |
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
mod due;
mod encode;
mod execute;
mod execution;
mod executor;
mod fetch;
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

use super::context::Context;
use super::state::key::MailboxKey;
use crate::lane::Lane;

pub use requeue::Completed;

use applied::Applied;
use observation::Observation;
use outcome::Outcome;
use prepared::Prepared;
use requeue::requeue;
use task::Reconcile;
use validate::{Planned, Validated, validate};

/// Reconciles one mailbox, and says when it comes back.
pub async fn reconcile(context: &Context, key: &MailboxKey, lane: Lane) -> Completed {
    let mut reconcile = match Box::pin(Reconcile::begin(context, key, lane)).await {
        Ok(reconcile) => reconcile,
        Err(outcome) => return requeue(context, key, &outcome.disposition(), lane),
    };
    let left_behind = std::mem::take(&mut reconcile.ledger.left_behind);
    let applied = Box::pin(run(&mut reconcile)).await;
    // Nobody evades what was announced by putting another resource in the place of one that is gone.
    let is_taken_up = matches!(&applied, Ok(applied) if applied.ledger.is_some());
    let earlier = match reconcile.for_the_earlier_resource() {
        Some(mut earlier) if !is_taken_up => {
            let outcome = applied
                .as_ref()
                .map_or_else(|outcome| outcome, |applied| &applied.outcome);
            let begun = if outcome.leaves_the_mailbox_alone() {
                Box::pin(earlier.release()).await
            } else {
                Box::pin(earlier.seal()).await
            };
            let applied = once_begun(&mut earlier, begun).await;
            let completed = Box::pin(earlier.complete_earlier(applied)).await;
            reconcile.ledger.refreshed(earlier.ledger);
            completed.requeue
        }
        Some(_) | None => None,
    };
    let mut completed = Box::pin(reconcile.report(applied)).await;
    if let Some((after, lane)) = earlier {
        completed = completed.sooner(after, lane);
    }
    for ledger in left_behind {
        let own = left_behind::key(key, &ledger);
        let mut other = Reconcile::of_left_behind(context, key, (&own, lane), ledger);
        let begun = Box::pin(other.seal()).await;
        let applied = once_begun(&mut other, begun).await;
        let again = Box::pin(other.report(applied)).await;
        if other.ledger.object().is_none() {
            context.state.forget(&own);
        } else if let Some((after, lane)) = again.requeue {
            completed = completed.sooner(after, lane);
        }
    }
    completed
}

/// What outlives a resource is carried out by its ledger, once that says so.
async fn once_begun(reconcile: &mut Reconcile<'_>, begun: Result<(), Outcome>) -> Result<Applied, Outcome> {
    begun?;
    Box::pin(run(reconcile)).await
}

async fn run(reconcile: &mut Reconcile<'_>) -> Result<Applied, Outcome> {
    let mut prepared: Prepared = reconcile.prepare()?;
    let observation: Observation = reconcile.fetch(&mut prepared).await?;
    let validated: Validated = validate(prepared, observation, |uid| reconcile.is_alive(uid))?;
    reconcile.may_plan(&validated)?;
    let planned: Planned = validated.plan();
    Box::pin(reconcile.apply(planned)).await
}
