//! The connection to a tenant: its credential, and the gateway behind it.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use secrecy::{ExposeSecret, SecretString};

use super::endpoints;
use super::fault::Fault;
use crate::api::{EXPIRES_AT, ExchangeTenant};
use crate::controller::context::Context;
use crate::controller::state::tenants::Connected;
use crate::exchange::{Connection, Gateway};
use crate::mail::TenantGuid;

/// The gateway of an unchanged connection, with what it knows, or a new one.
pub async fn connected(
    context: &Context,
    object: &ExchangeTenant,
    guid: TenantGuid,
) -> Result<Connected, Fault> {
    let spec = &object.spec;
    let endpoints = endpoints::resolve(
        spec.cloud,
        spec.endpoints.as_ref(),
        &context.settings.allowed_endpoints,
    )
    .map_err(|message| Fault::stalled("EndpointNotAllowed", message))?;
    let name = object.name_any();
    let Credential { secret, expires } = credential(context, object).await?;
    context.state.tenants.set_credential_expiry(&name, expires);
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
            context.leadership.over_tenant(context.state.tenants.claim(guid)),
            connection,
            context.http.clone(),
            context.clock,
            context.gateway_metrics.clone(),
        )
    };
    Ok(context.state.tenants.connected(&name, fingerprint, connect))
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

/// A point in time, or a day, which counts from its start. Anything else is logged and is no expiry.
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

/// Changes whenever the connection does; says nothing about the secret.
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
