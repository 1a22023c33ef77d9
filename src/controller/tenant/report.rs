//! The status of an ExchangeTenant, and the event when it changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::PostParams;
use kube::{Api, ResourceExt};

use super::capabilities;
use super::credentials;
use super::fault::Fault;
use super::sign_in;
use crate::api::condition::{self, Kind, Truth, Verdict};
use crate::api::reason::Reason;
use crate::api::{ExchangeTenant, ExchangeTenantStatus, Management, last_reconcile_request};
use crate::controller::context::Context;
use crate::controller::events::Event;
use crate::controller::state::tenants::Tenant;
use crate::exchange::{AcceptedDomain, Tried};
use crate::words::counted;

/// Domains listed in status; a tenant may have 900.
const SHOWN_DOMAINS: usize = 50;
/// People listed in status to whom nobody answers.
const SHOWN_PEOPLE: usize = 50;

/// What a check found: a tenant with its accepted domains, or why it can't be used.
pub type Checked = Result<(Arc<Tenant>, Vec<AcceptedDomain>), Fault>;

/// Writes the status when it differs; the object as it is now.
pub async fn report(
    context: &Context,
    api: &Api<ExchangeTenant>,
    object: &ExchangeTenant,
    checked: &Checked,
) -> Result<ExchangeTenant, kube::Error> {
    if let Err(Fault::ServedByAnother { is_late: false, .. }) = checked {
        // The status is the other's to write: it works on this very object.
        return Ok(object.clone());
    }
    let generation = object.metadata.generation.unwrap_or_default();
    let old = object.status.clone().unwrap_or_default();
    let mut verdicts = verdicts(checked);
    verdicts.extend(removals_held(
        context.state.index().held_mailboxes(&object.name_any()),
    ));
    verdicts.extend(protection_suspended(context, object, checked));
    let known = checked
        .as_ref()
        .ok()
        .and_then(|_| capabilities::known(context, object));
    let missing = match &known {
        Some(known) => capabilities::advisory(known),
        None => capabilities::as_before(&old.conditions),
    };
    let facts = context.state.tenants.credentials(&object.name_any());
    let tried = tried(context, &object.name_any()).await;
    verdicts.extend(credentials::expiring(&facts, context.clock.now()));
    if checked.is_ok() {
        verdicts.extend(credentials::refused(&facts, &tried));
    }
    let proven = context.state.sign_in_of(&object.name_any());
    let limited = sign_in::limited_view(&proven, &old.conditions);
    let is_of_graph = known.as_ref().is_some_and(capabilities::lacks_permissions_only);
    verdicts.extend(match (limited, missing) {
        // What the one says is the reason for the other: one thing to do, one advisory.
        (Some(limited), Some(missing)) if is_of_graph => vec![limited.adding(&missing.message)],
        (limited, missing) => missing.into_iter().chain(limited).collect(),
    });
    let mut status = ExchangeTenantStatus {
        observed_generation: Some(generation),
        conditions: condition::merge(&old.conditions, &verdicts, generation, context.clock.now()),
        summary: verdicts.first().map(|ready| ready.reason.to_string()),
        last_handled_reconcile_at: last_reconcile_request(object.annotations()).cloned(),
        ..old.clone()
    };
    if let Ok((tenant, domains)) = checked {
        status.tenant_guid = Some(tenant.guid.to_string());
        if let Some(kind) = tried.accepted {
            status.credential = Some(credentials::in_use(&facts, kind));
        }
        status.sign_in_proof = sign_in::proof(context, object, tenant.interval, &proven);
        status.initial_domain = Some(tenant.initial_domain.to_string());
        let names: BTreeSet<String> = domains.iter().map(|domain| domain.name.to_string()).collect();
        status.accepted_domains = names.into_iter().take(SHOWN_DOMAINS).collect();
        status.unresolved = tenant
            .unresolved
            .iter()
            .take(SHOWN_PEOPLE)
            .map(ToString::to_string)
            .collect();
    }
    if let Some(known) = &known {
        status.capabilities = Some(capabilities::shown(known));
    }
    if object.status.as_ref() == Some(&status) {
        return Ok(object.clone());
    }
    let mut next = object.clone();
    next.status = Some(status);
    let written = api
        .replace_status(&object.name_any(), &PostParams::default(), &next)
        .await?;
    report_news(context, object, &old.conditions, &verdicts).await;
    Ok(written)
}

/// An event for each condition that is new, or says something new.
async fn report_news(context: &Context, object: &ExchangeTenant, before: &[Condition], verdicts: &[Verdict]) {
    for verdict in verdicts.iter().filter(|verdict| has_event(verdict.kind)) {
        let shown = condition::find(before, verdict.kind);
        let truth = verdict.truth.as_str();
        if shown.is_none_or(|shown| shown.reason != verdict.reason.as_str() || shown.status != truth) {
            let event = Event {
                warning: verdict.kind != Kind::Ready || verdict.truth != Truth::True,
                reason: if verdict.kind == Kind::Ready {
                    verdict.reason.as_str()
                } else {
                    verdict.kind.as_str()
                },
                action: "Check",
                note: &verdict.message,
            };
            context.events.publish(object, event).await;
        }
    }
}

/// Conditions whose change is an event too: those that somebody has to act on before anything stops.
fn has_event(kind: Kind) -> bool {
    [
        Kind::Ready,
        Kind::CredentialExpiring,
        Kind::CredentialRefused,
        Kind::ProtectionSuspended,
    ]
    .contains(&kind)
}

/// How the credentials did when a token was asked for last.
async fn tried(context: &Context, name: &str) -> Tried {
    match context.state.tenants.connection(name) {
        Some(connected) => connected.gateway.tried_credentials().await,
        None => Tried::default(),
    }
}

/// The advisory that somebody has something to approve.
fn removals_held(mailboxes: usize) -> Option<Verdict> {
    (mailboxes > 0).then(|| {
        let text = format!(
            "on {} changes wait for approval (spec.safety): kubectl get sharedmailboxes -A shows them as Held",
            counted(mailboxes, "SharedMailbox", "SharedMailboxes")
        );
        Verdict::new(Kind::RevocationsHeld, true, Reason::ApprovalNeeded, text)
    })
}

/// The advisory that the tenant's owner stops what protects, too. Counts only: the object is read by everybody who may read
/// ExchangeTenants.
fn protection_suspended(context: &Context, object: &ExchangeTenant, checked: &Checked) -> Option<Verdict> {
    let (tenant, _) = checked.as_ref().ok()?;
    let reason = match tenant.management {
        Management::Enforce => return None,
        Management::Observe => Reason::Observe,
        Management::Paused => Reason::Paused,
    };
    let index = context.state.index();
    let (mailboxes, departed) = index.ledgers().counted(&object.name_any(), &tenant.departed);
    let text = format!(
        "spec.management is {reason}: sign-in is not blocked again, rights do not end and owed revocations wait on \
         {}, and on {departed} of them people in spec.departed hold rights. Set spec.management to Enforce to go on",
        counted(mailboxes, "mailbox", "mailboxes")
    );
    Some(Verdict::new(Kind::ProtectionSuspended, true, reason, text))
}

/// Ready first.
fn verdicts(checked: &Checked) -> Vec<Verdict> {
    match checked {
        Ok((tenant, domains)) => vec![
            Verdict::new(
                Kind::Ready,
                true,
                Reason::Connected,
                format!(
                    "connected to tenant {} with {}",
                    tenant.guid,
                    counted(domains.len(), "accepted domain", "accepted domains")
                ),
            ),
            Verdict::new(
                Kind::Authenticated,
                true,
                Reason::TokenIssued,
                "Entra accepts the credentials",
            ),
            Verdict::new(
                Kind::Authorized,
                true,
                Reason::Allowed,
                "Exchange accepts the app",
            ),
        ],
        Err(Fault::Unreachable(message)) => vec![
            Verdict::new(Kind::Ready, Truth::Unknown, Reason::Unreachable, message.as_str()),
            Verdict::new(Kind::Reconciling, true, Reason::Unreachable, message.as_str()),
        ],
        Err(Fault::ServedByAnother { message, .. }) => vec![
            Verdict::new(Kind::Ready, false, Reason::ServedByAnother, message.as_str()),
            Verdict::new(Kind::Stalled, true, Reason::ServedByAnother, message.as_str()),
        ],
        Err(Fault::Stalled {
            reason,
            message,
            authenticated,
        }) => vec![
            Verdict::new(Kind::Ready, false, *reason, message.as_str()),
            Verdict::new(
                Kind::Authenticated,
                *authenticated,
                if *authenticated {
                    Reason::TokenIssued
                } else {
                    *reason
                },
                if *authenticated {
                    "Entra accepts the credentials"
                } else {
                    message.as_str()
                },
            ),
            Verdict::new(Kind::Stalled, true, *reason, message.as_str()),
        ],
    }
}
