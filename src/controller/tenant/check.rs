//! Checks one ExchangeTenant: credentials, tenant id, roles, domains.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::{Api, ResourceExt};

use super::capabilities;
use super::connection::connected;
use super::fault::Fault;
use super::people::{self, Named};
use super::report::{Checked, report};
use super::serving;
use super::timing::Timing;
use crate::api::ExchangeTenant;
use crate::api::reason::Reason;
use crate::controller::context::Context;
use crate::controller::events::Event;
use crate::controller::metrics::ReconcileResult;
use crate::controller::state::tenants::{Connected, Tenant, TenantState};
use crate::lane::Lane;
use crate::mail::{ClusterId, Domain, TenantGuid};
use crate::plan::{self, People};
use crate::rules::AccessRules;

/// A working connection is checked again this often, a broken one sooner: a new Secret is not noticed otherwise.
const CHECKED: Duration = Duration::from_mins(5);
const BROKEN: Duration = Duration::from_secs(20);
/// Checks the tenant named `name`: how it went, and when to check again.
pub async fn run(context: &Arc<Context>, name: &str) -> (ReconcileResult, Option<Duration>) {
    let api: Api<ExchangeTenant> = Api::all(context.client.clone());
    let object = match api.get_opt(name).await {
        Ok(Some(object)) if object.metadata.deletion_timestamp.is_none() => object,
        Ok(_) => {
            context.state.tenants.remove(name);
            context.enqueue_mailboxes_of(name, Some(Lane::Edit));
            return (ReconcileResult::Success, None);
        }
        Err(error) => {
            tracing::warn!(%error, tenant = name, "the ExchangeTenant could not be read; trying again");
            return (ReconcileResult::Error, Some(BROKEN));
        }
    };
    let before = context.state.tenants.get(name);
    let checked = check(context, &object, before.as_ref()).await;
    let (result, again) = match &checked {
        Ok(_) => (ReconcileResult::Success, CHECKED),
        Err(Fault::Unreachable(_)) => (ReconcileResult::Error, BROKEN),
        Err(Fault::Stalled { .. } | Fault::ServedByAnother { .. }) => (ReconcileResult::Stalled, BROKEN),
    };
    if let Err(Fault::ServedByAnother {
        holder,
        message,
        is_late,
    }) = &checked
    {
        let is_news = context.state.tenants.leave_to(name, holder);
        // A condition brings its own event.
        if is_news && !is_late {
            report_other(context, &object, message).await;
        }
    }
    if matches!(checked, Err(Fault::Stalled { .. }))
        && let Some(connected) = context.state.tenants.connection(name)
    {
        // Somebody is about to change something: an old token may know nothing of a role that is granted then.
        connected.gateway.forget_tokens().await;
    }
    let state = match &checked {
        Ok((tenant, _)) => Some(TenantState::Ready(Arc::clone(tenant))),
        // A connection that worked is kept: each call finds out for itself whether it works again.
        Err(Fault::Unreachable(_)) if is_served(context, before.as_ref()) => None,
        // Mailboxes wait in silence: their statuses are the other's to write.
        Err(Fault::ServedByAnother { .. }) => None,
        Err(fault @ (Fault::Stalled { message: why, .. } | Fault::Unreachable(why))) => {
            Some(TenantState::NotReady {
                why: why.clone(),
                passing: matches!(fault, Fault::Unreachable(_)),
            })
        }
    };
    if let Some(state) = state {
        take_over(context, name, before.as_ref(), state);
    }
    let not_written = |error: kube::Error| {
        tracing::warn!(%error, tenant = name, "the status of an ExchangeTenant could not be written");
        (ReconcileResult::Error, Some(Duration::from_secs(2)))
    };
    let object = match report(context, &api, &object, &checked).await {
        Ok(object) => object,
        Err(error) => return not_written(error),
    };
    // Mailboxes are worked on already: what a probe finds only explains and advises.
    if checked.is_ok()
        && capabilities::probe_if_due(context, &object).await
        && let Err(error) = report(context, &api, &object, &checked).await
    {
        return not_written(error);
    }
    (result, Some(again))
}

/// What was found holds from now on, for every mailbox of the tenant.
fn take_over(context: &Context, name: &str, before: Option<&TenantState>, state: TenantState) {
    let changed = changes_something(before, &state);
    let is_ready = matches!(state, TenantState::Ready(_));
    let left = newly_departed(before, &state);
    context.state.tenants.set(name, state);
    // Whoever has left loses what we know of at once, and everything else when their mailbox is reconciled.
    let held_by_them = context.state.index().held_by(&left);
    context.enqueue(held_by_them);
    if changed {
        // After a restart what waits for the first check keeps its place.
        let lane = if before.is_none() { Lane::Sweep } else { Lane::Edit };
        context.enqueue_mailboxes_of(name, Some(lane));
    } else if is_ready {
        context.enqueue_mailboxes_of(name, None);
    }
}

/// Whether the connection worked, and nobody else may have taken the tenant over since.
fn is_served(context: &Context, before: Option<&TenantState>) -> bool {
    match before {
        Some(TenantState::Ready(tenant)) => context.state.tenants.claim(tenant.guid).is_current(),
        Some(TenantState::NotReady { .. }) | None => false,
    }
}

/// Nothing is done here as long as another installation serves the tenant, which is reported once.
async fn report_other(context: &Context, object: &ExchangeTenant, message: &str) {
    tracing::warn!(tenant = object.name_any(), "not served here: {message}");
    let event = Event {
        warning: true,
        reason: Reason::ServedByAnother.as_str(),
        action: "Check",
        note: message,
    };
    context.events.publish(object, event).await;
}

/// Who was not said to have left before.
fn newly_departed(before: Option<&TenantState>, after: &TenantState) -> People {
    let TenantState::Ready(after) = after else {
        return People::default();
    };
    let mut left = after.departed.clone();
    if let Some(TenantState::Ready(before)) = before {
        left.ids.retain(|id| !before.departed.ids.contains(id));
        left.addresses
            .retain(|address| !before.departed.addresses.contains(address));
        left.sids.retain(|sid| !before.departed.sids.contains(sid));
    }
    left
}

/// Whether mailboxes may come to another end with `after`.
fn changes_something(before: Option<&TenantState>, after: &TenantState) -> bool {
    match (before, after) {
        (Some(TenantState::NotReady { why: old, .. }), TenantState::NotReady { why: new, .. }) => old != new,
        (Some(TenantState::Ready(old)), TenantState::Ready(new)) => {
            let Tenant {
                generation: _,
                gateway: _,
                guid,
                rules,
                management,
                cluster,
                succeeds,
                marker_attribute,
                defaults,
                sign_in_control,
                interval,
                accepted_domains,
                initial_domain,
                directory: _,
                protected,
                departed,
                unresolved: _,
                safety,
                propagation,
            } = &**new;
            old.guid != *guid
                || old.rules != *rules
                || old.management != *management
                || old.cluster != *cluster
                || old.succeeds != *succeeds
                || old.marker_attribute != *marker_attribute
                || old.defaults != *defaults
                || old.sign_in_control != *sign_in_control
                || old.interval != *interval
                || old.accepted_domains != *accepted_domains
                || old.initial_domain != *initial_domain
                || old.protected != *protected
                || old.departed != *departed
                || old.safety != *safety
                || old.propagation != *propagation
        }
        (None | Some(TenantState::Ready(_) | TenantState::NotReady { .. }), _) => true,
    }
}

async fn check(context: &Context, object: &ExchangeTenant, before: Option<&TenantState>) -> Checked {
    let spec = &object.spec;
    let guid: TenantGuid = spec
        .tenant_id
        .parse()
        .map_err(|e| Fault::stalled(Reason::InvalidSpec, format!("spec.tenantId: {e}")))?;
    // The status proves nothing: the API server keeps spec.tenantId, the token names the tenant, and each ledger its own.
    if let Some(first) = rival(context, object) {
        let text = format!("the ExchangeTenant {first:?} is for the same tenant {guid}: keep one of the two");
        return Err(Fault::stalled(Reason::DuplicateTenant, text));
    }
    let Timing {
        interval,
        propagation,
        safety,
    } = Timing::of(spec).map_err(|message| Fault::stalled(Reason::InvalidSpec, message))?;
    let cluster = ClusterId {
        name: spec.ownership.cluster_id.clone(),
        uid_part: context.cluster_uid.clone(),
    };
    serving::claim(context, guid, &cluster).await?;
    let Connected {
        fingerprint: _,
        gateway,
        directory,
    } = connected(context, object, guid).await?;
    gateway.retry_refused_credentials().await;
    let answered = gateway.tenant_guid().await.map_err(|error| {
        let facts = context.state.tenants.credentials(&object.name_any());
        Fault::of_error(&error).beside(&facts.unusable)
    })?;
    if answered != guid {
        return Err(changed(&guid.to_string(), &answered.to_string()));
    }
    let domains = match gateway.accepted_domains(Lane::Edit).await {
        Ok(domains) => domains,
        Err(error) => return Err(Fault::of_exchange(&error, gateway.may_manage_exchange().await)),
    };
    let initial = domains
        .iter()
        .find(|domain| domain.initial)
        .map(|domain| domain.name.clone())
        .ok_or_else(|| Fault::Unreachable("Get-AcceptedDomain shows no initial domain".to_owned()))?;
    let old = match before {
        Some(TenantState::Ready(old)) => Some(old),
        Some(TenantState::NotReady { .. }) | None => None,
    };
    let Named {
        protected,
        departed,
        unresolved,
    } = people::of(&gateway, spec, old.map(|old| (&old.protected, &old.departed)))
        .await
        .map_err(|message| Fault::stalled(Reason::InvalidSpec, message))?;
    let tenant = Tenant {
        generation: object.metadata.generation,
        gateway,
        guid,
        rules: AccessRules::parse(&spec.access),
        management: spec.management,
        cluster,
        // The CRD admits nothing that can't be parsed.
        succeeds: spec
            .ownership
            .succeeds
            .iter()
            .flat_map(|text| text.parse())
            .collect(),
        marker_attribute: spec.ownership.marker_attribute.number(),
        defaults: plan::of_defaults(&spec.defaults),
        sign_in_control: spec.sign_in_control,
        interval,
        accepted_domains: domains
            .iter()
            .map(|domain| domain.name.clone())
            .collect::<BTreeSet<Domain>>(),
        initial_domain: initial,
        directory,
        protected,
        departed,
        unresolved,
        safety,
        propagation,
    };
    Ok((Arc::new(tenant), domains))
}

fn changed(pinned: &str, shown: &str) -> Fault {
    Fault::Stalled {
        reason: Reason::TenantChanged,
        message: format!(
            "this ExchangeTenant stands for tenant {pinned} and its credentials lead to {shown}: nothing is read as \
             absence and nothing is written; make another ExchangeTenant for the other tenant"
        ),
        authenticated: true,
    }
}

/// An older ExchangeTenant for the same tenant.
fn rival(context: &Context, object: &ExchangeTenant) -> Option<String> {
    let age = |t: &ExchangeTenant| {
        (
            t.metadata.creation_timestamp.as_ref().map(|time| time.0),
            t.name_any(),
        )
    };
    let tenants = context.state.index().tenants();
    let same = |other: &&Arc<ExchangeTenant>| {
        other.uid() != object.uid()
            && other.spec.tenant_id.eq_ignore_ascii_case(&object.spec.tenant_id)
            && age(other) < age(object)
    };
    tenants.iter().find(same).map(|other| other.name_any())
}
