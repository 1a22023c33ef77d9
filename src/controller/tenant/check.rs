//! Checks one ExchangeTenant: credentials, tenant id, roles, domains.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use secrecy::{ExposeSecret, SecretString};

use super::endpoints;
use super::people::{self, Named};
use super::timing::Timing;
use crate::api::condition::{self, Kind, Truth, Verdict};
use crate::api::{EXPIRES_AT, ExchangeTenant, ExchangeTenantStatus, last_reconcile_request};
use crate::controller::context::Context;
use crate::controller::events::Happening;
use crate::controller::reconcile::outcome::PassResult;
use crate::controller::state::tenants::{Connected, Tenant, TenantState};
use crate::exchange::{AcceptedDomain, Connection, ErrorClass, ExchangeError, Gateway, Stage};
use crate::lane::Lane;
use crate::mail::{ClusterId, Domain, TenantGuid};
use crate::plan::People;
use crate::rules::AccessRules;

/// A working connection is looked at again this often, a broken one sooner: nobody tells us of a new Secret.
const CHECKED: Duration = Duration::from_mins(5);
const BROKEN: Duration = Duration::from_secs(20);
/// Domains listed in status; a tenant may have 900.
const SHOWN_DOMAINS: usize = 50;
/// People listed in status to whom nobody answers.
const SHOWN_PEOPLE: usize = 50;

/// Why a tenant can't be used.
enum Fault {
    /// Somebody has to do something.
    Stalled {
        reason: &'static str,
        message: String,
        authenticated: bool,
    },
    /// It may go away by itself.
    Unreachable(String),
}

impl Fault {
    fn stalled(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Stalled {
            reason,
            message: message.into(),
            authenticated: false,
        }
    }
}

/// Looks at the tenant named `name`: how it went, and when to look again.
pub async fn run(context: &Arc<Context>, name: &str) -> (PassResult, Option<Duration>) {
    let api: Api<ExchangeTenant> = Api::all(context.client.clone());
    let object = match api.get_opt(name).await {
        Ok(Some(object)) if object.metadata.deletion_timestamp.is_none() => object,
        Ok(_) => {
            context.tenants.remove(name);
            context.enqueue_mailboxes_of(name, Some(Lane::Edit));
            return (PassResult::Success, None);
        }
        Err(error) => {
            tracing::warn!(%error, tenant = name, "the ExchangeTenant could not be read; trying again");
            return (PassResult::Error, Some(BROKEN));
        }
    };
    let before = context.tenants.get(name);
    let checked = check(context, &object, before.as_ref()).await;
    let (result, again) = match &checked {
        Ok(_) => (PassResult::Success, CHECKED),
        Err(Fault::Unreachable(_)) => (PassResult::Error, BROKEN),
        Err(Fault::Stalled { .. }) => (PassResult::Stalled, BROKEN),
    };
    if matches!(checked, Err(Fault::Stalled { .. }))
        && let Some(connected) = context.tenants.connection(name)
    {
        // Somebody is about to change something: an old token may know nothing of a role that is granted then.
        connected.gateway.forget_tokens().await;
    }
    let state = match &checked {
        Ok((tenant, _)) => Some(TenantState::Ready(Arc::clone(tenant))),
        // A connection that worked is kept: each call finds out for itself whether it works again.
        Err(Fault::Unreachable(_)) if matches!(before, Some(TenantState::Ready(_))) => None,
        Err(fault @ (Fault::Stalled { message: why, .. } | Fault::Unreachable(why))) => {
            Some(TenantState::NotReady {
                why: why.clone(),
                passing: matches!(fault, Fault::Unreachable(_)),
            })
        }
    };
    if let Some(state) = state {
        let changed = changes_something(before.as_ref(), &state);
        let is_ready = matches!(state, TenantState::Ready(_));
        let left = newly_departed(before.as_ref(), &state);
        context.tenants.set(name, state);
        // Whoever has left loses what we know of at once, and whatever else there is with the look at every mailbox.
        let held_by_them = context.index().held_by(&left);
        context.enqueue(held_by_them);
        if changed {
            // After a restart what waits for the first check keeps its place.
            let lane = if before.is_none() { Lane::Sweep } else { Lane::Edit };
            context.enqueue_mailboxes_of(name, Some(lane));
        } else if is_ready {
            context.enqueue_mailboxes_of(name, None);
        }
    }
    match report(context, &api, &object, &checked).await {
        Ok(()) => (result, Some(again)),
        Err(error) => {
            tracing::warn!(%error, tenant = name, "the status of an ExchangeTenant could not be written");
            (PassResult::Error, Some(Duration::from_secs(2)))
        }
    }
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
    }
    left
}

/// Whether mailboxes may come to another end with `after`.
fn changes_something(before: Option<&TenantState>, after: &TenantState) -> bool {
    match (before, after) {
        (Some(TenantState::NotReady { why: old, .. }), TenantState::NotReady { why: new, .. }) => old != new,
        (Some(TenantState::Ready(old)), TenantState::Ready(new)) => {
            old.rules != new.rules
                || old.management != new.management
                || old.sign_in_control != new.sign_in_control
                || old.interval != new.interval
                || old.accepted_domains != new.accepted_domains
                || old.protected != new.protected
                || old.departed != new.departed
                || old.safety != new.safety
                || old.propagation != new.propagation
        }
        _ => true,
    }
}

type Checked = Result<(Arc<Tenant>, Vec<AcceptedDomain>), Fault>;

async fn check(context: &Context, object: &ExchangeTenant, before: Option<&TenantState>) -> Checked {
    let spec = &object.spec;
    let guid: TenantGuid = spec
        .tenant_id
        .parse()
        .map_err(|e| Fault::stalled("InvalidSpec", format!("spec.tenantId: {e}")))?;
    let pinned = object
        .status
        .as_ref()
        .and_then(|status| status.tenant_guid.clone());
    if let Some(pinned) = pinned.filter(|pinned| *pinned != guid.to_string()) {
        return Err(changed(&pinned, &guid.to_string()));
    }
    if let Some(first) = rival(context, object) {
        let text = format!("the ExchangeTenant {first:?} is for the same tenant {guid}: keep one of the two");
        return Err(Fault::stalled("DuplicateTenant", text));
    }
    let Timing {
        interval,
        propagation,
        safety,
    } = Timing::of(spec).map_err(|message| Fault::stalled("InvalidSpec", message))?;
    let Connected {
        fingerprint: _,
        gateway,
        directory,
    } = connected(context, object, guid).await?;
    let answered = gateway.tenant_guid().await.map_err(|error| of_error(&error))?;
    if answered != guid {
        return Err(changed(&guid.to_string(), &answered.to_string()));
    }
    let domains = gateway
        .accepted_domains(Lane::Edit)
        .await
        .map_err(|error| of_error(&error))?;
    let initial = domains
        .iter()
        .find(|domain| domain.initial)
        .map(|domain| domain.name.clone())
        .ok_or_else(|| Fault::Unreachable("Get-AcceptedDomain shows no initial domain".to_owned()))?;
    let old = match before {
        Some(TenantState::Ready(old)) => Some(old),
        _ => None,
    };
    let Named {
        protected,
        departed,
        unresolved,
    } = people::of(&gateway, spec, old.map(|old| (&old.protected, &old.departed)))
        .await
        .map_err(|message| Fault::stalled("InvalidSpec", message))?;
    let tenant = Tenant {
        generation: object.metadata.generation,
        gateway,
        guid,
        rules: AccessRules::parse(&spec.access),
        management: spec.management,
        cluster: ClusterId {
            name: spec.ownership.cluster_id.clone(),
            uid_part: context.cluster_uid.clone(),
        },
        marker_attribute: spec.ownership.marker_attribute.number(),
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

/// The gateway of an unchanged connection, with what it knows, or a new one.
async fn connected(context: &Context, object: &ExchangeTenant, guid: TenantGuid) -> Result<Connected, Fault> {
    let spec = &object.spec;
    let endpoints = endpoints::resolve(
        spec.cloud,
        spec.endpoints.as_ref(),
        &context.settings.allowed_endpoints,
    )
    .map_err(|message| Fault::stalled("EndpointNotAllowed", message))?;
    let name = object.name_any();
    let Credential { secret, expires } = credential(context, object).await?;
    context.tenants.set_credential_expiry(&name, expires);
    let connection = Connection {
        tenant: guid,
        endpoints,
        client_id: spec
            .credentials
            .client_id
            .parse()
            .map_err(|_| Fault::stalled("InvalidSpec", "spec.credentials.clientId is no GUID"))?,
        secret,
        max_concurrent: usize::try_from(spec.limits.max_concurrent_requests).unwrap_or(1),
        writes_per_minute: u32::try_from(spec.limits.writes_per_minute).unwrap_or(1),
    };
    let fingerprint = fingerprint(&connection);
    let connect = || {
        Gateway::led_by(
            context.leadership.clone(),
            connection,
            context.http.clone(),
            context.clock,
            context.gateway_metrics.clone(),
        )
    };
    Ok(context.tenants.connected(&name, fingerprint, connect))
}

fn changed(pinned: &str, shown: &str) -> Fault {
    Fault::Stalled {
        reason: "TenantChanged",
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
    let tenants = context.index().tenants();
    let same = |other: &&Arc<ExchangeTenant>| {
        other.uid() != object.uid()
            && other.spec.tenant_id.eq_ignore_ascii_case(&object.spec.tenant_id)
            && age(other) < age(object)
    };
    tenants.iter().find(same).map(|other| other.name_any())
}

/// What lies in the Secret.
struct Credential {
    secret: SecretString,
    /// When it ends, where the Secret says so.
    expires: Option<Timestamp>,
}

async fn credential(context: &Context, object: &ExchangeTenant) -> Result<Credential, Fault> {
    let reference = &object.spec.credentials.client_secret_ref;
    let namespace = &context.settings.operator_namespace;
    let place = format!("the Secret {namespace}/{}", reference.name);
    let api: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
    let found = match api.get_opt(&reference.name).await {
        Ok(found) => found,
        Err(kube::Error::Api(status)) if status.is_forbidden() => {
            let text =
                format!("{place} may not be read: name it in the operator's role (credentials.secretNames)");
            return Err(Fault::stalled("SecretForbidden", text));
        }
        Err(error) => return Err(Fault::Unreachable(format!("{place} could not be read: {error}"))),
    };
    let Some(secret) = found else {
        let text =
            format!("{place}, which spec.credentials.clientSecretRef names, does not exist: create it");
        return Err(Fault::stalled("SecretNotFound", text));
    };
    let key = &reference.key;
    let bytes = secret.data.as_ref().and_then(|data| data.get(key));
    let Some(bytes) = bytes else {
        return Err(Fault::stalled(
            "SecretKeyNotFound",
            format!("{place} has no key {key:?}"),
        ));
    };
    match std::str::from_utf8(&bytes.0).map(str::trim) {
        Ok(text) if !text.is_empty() => Ok(Credential {
            secret: SecretString::from(text.to_owned()),
            expires: secret.annotations().get(EXPIRES_AT).and_then(|text| expiry(text)),
        }),
        _ => Err(Fault::stalled(
            "SecretKeyNotFound",
            format!("{place}, key {key:?}: empty or not text"),
        )),
    }
}

/// A point in time, or a day, which counts from its start. Anything else is told in the log and is no expiry.
fn expiry(text: &str) -> Option<Timestamp> {
    let day = || {
        Some(
            text.parse::<Date>()
                .ok()?
                .to_zoned(TimeZone::UTC)
                .ok()?
                .timestamp(),
        )
    };
    let found = text.parse().ok().or_else(day);
    if found.is_none() {
        tracing::warn!(
            annotation = EXPIRES_AT,
            "is neither a date (2027-01-31) nor a time (RFC 3339)"
        );
    }
    found
}

/// Changes whenever the connection does; tells nothing about the secret.
fn fingerprint(connection: &Connection) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let Connection {
        tenant,
        endpoints,
        client_id,
        secret,
        max_concurrent,
        writes_per_minute,
    } = connection;
    let mut hasher = DefaultHasher::new();
    (
        tenant,
        &endpoints.authority,
        &endpoints.exchange,
        &endpoints.graph,
        client_id,
    )
        .hash(&mut hasher);
    (secret.expose_secret(), max_concurrent, writes_per_minute).hash(&mut hasher);
    hasher.finish()
}

fn of_error(error: &ExchangeError) -> Fault {
    let message = error.to_string();
    match (error.class, error.stage) {
        (ErrorClass::Throttled | ErrorClass::Transient | ErrorClass::Ambiguous, _) => {
            Fault::Unreachable(message)
        }
        (_, Stage::Token) if is_unknown_tenant(error) => {
            let text = format!("Entra knows no such tenant; check spec.tenantId and spec.cloud: {message}");
            Fault::stalled("TenantUnknown", text)
        }
        (_, Stage::Token) => {
            let text =
                format!("Entra refuses the credentials; check spec.credentials and the Secret: {message}");
            Fault::stalled("CredentialsRefused", text)
        }
        (_, Stage::Exchange | Stage::Graph) => Fault::Stalled {
            reason: "NotAuthorized",
            message: format!(
                "the app may not manage Exchange; it needs the app role Exchange.ManageAsApp with admin consent and \
                 the role Exchange Recipient Administrator or a role group (a new role takes up to hours): {message}"
            ),
            authenticated: true,
        },
    }
}

/// AADSTS90002: tenant not found; AADSTS900023 and 900021: no valid tenant identifier.
fn is_unknown_tenant(error: &ExchangeError) -> bool {
    let code = error.exception.as_deref().unwrap_or_default();
    ["AADSTS90002", "AADSTS900023", "AADSTS900021"].contains(&code)
}

async fn report(
    context: &Context,
    api: &Api<ExchangeTenant>,
    object: &ExchangeTenant,
    checked: &Checked,
) -> Result<(), kube::Error> {
    let generation = object.metadata.generation.unwrap_or_default();
    let old = object.status.clone().unwrap_or_default();
    let mut verdicts = verdicts(checked);
    verdicts.extend(removals_held(context.index().held_mailboxes(&object.name_any())));
    let mut status = ExchangeTenantStatus {
        observed_generation: Some(generation),
        conditions: condition::merge(&old.conditions, &verdicts, generation, context.clock.now()),
        summary: verdicts.first().map(|ready| ready.reason.to_string()),
        last_handled_reconcile_at: last_reconcile_request(object.annotations()).cloned(),
        ..old.clone()
    };
    if let Ok((tenant, domains)) = checked {
        status.tenant_guid = Some(tenant.guid.to_string());
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
    if object.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let mut next = object.clone();
    next.status = Some(status);
    api.replace_status(&object.name_any(), &PostParams::default(), &next)
        .await?;
    if let Some(ready) = verdicts.first() {
        let before = condition::find(&old.conditions, Kind::Ready);
        if before.is_none_or(|before| before.reason != ready.reason || before.status != ready.truth.as_str())
        {
            let warning = ready.truth != Truth::True;
            let happening = Happening {
                warning,
                reason: &ready.reason,
                action: "Check",
                note: &ready.message,
            };
            context.events.publish(object, happening).await;
        }
    }
    Ok(())
}

/// The advisory that somebody has something to approve.
fn removals_held(mailboxes: usize) -> Option<Verdict> {
    (mailboxes > 0).then(|| {
        let text = format!(
            "on {mailboxes} SharedMailboxes changes wait for approval (spec.safety): kubectl get sharedmailboxes -A shows \
             them as Held"
        );
        Verdict::new(Kind::RevocationsHeld, true, "ApprovalNeeded", text)
    })
}

/// Ready first.
fn verdicts(checked: &Checked) -> Vec<Verdict> {
    match checked {
        Ok((tenant, domains)) => vec![
            Verdict::new(
                Kind::Ready,
                true,
                "Connected",
                format!(
                    "connected to tenant {} with {} accepted domains",
                    tenant.guid,
                    domains.len()
                ),
            ),
            Verdict::new(
                Kind::Authenticated,
                true,
                "TokenIssued",
                "Entra accepts the credentials",
            ),
            Verdict::new(Kind::Authorized, true, "Allowed", "Exchange accepts the app"),
        ],
        Err(Fault::Unreachable(message)) => vec![
            Verdict::new(Kind::Ready, Truth::Unknown, "Unreachable", message.as_str()),
            Verdict::new(Kind::Reconciling, true, "Unreachable", message.as_str()),
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
                if *authenticated { "TokenIssued" } else { reason },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_day_or_a_time_and_nothing_else() {
        let midnight = "2027-01-31T00:00:00Z".parse().unwrap();
        assert_eq!(expiry("2027-01-31"), Some(midnight));
        assert_eq!(expiry("2027-01-31T02:00:00+02:00"), Some(midnight));
        assert_eq!(expiry("next year"), None);
    }
}
