//! The connection to a tenant, and the gateway behind it.

use kube::ResourceExt;
use secrecy::ExposeSecret;

use super::credentials;
use super::endpoints;
use super::fault::Fault;
use crate::api::ExchangeTenant;
use crate::api::reason::Reason;
use crate::controller::context::Context;
use crate::controller::state::tenants::Connected;
use crate::exchange::{Connection, Credential, Gateway};
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
    .map_err(|message| Fault::stalled(Reason::EndpointNotAllowed, message))?;
    let name = object.name_any();
    let connection = Connection {
        tenant: guid,
        endpoints,
        client_id: spec
            .credentials
            .client_id
            .parse()
            .map_err(|_| Fault::stalled(Reason::InvalidSpec, "spec.credentials.clientId is no GUID"))?,
        credentials: credentials::read(context, object).await?,
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

/// Changes whenever the connection does; says nothing about a secret.
fn fingerprint(connection: &Connection) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let Connection {
        tenant,
        endpoints,
        client_id,
        credentials,
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
    for credential in credentials {
        match credential {
            Credential::WorkloadIdentity { token_file } => (0, token_file).hash(&mut hasher),
            Credential::Certificate(certificate) => (1, certificate.thumbprint()).hash(&mut hasher),
            Credential::ClientSecret(secret) => (2, secret.expose_secret()).hash(&mut hasher),
        }
    }
    (max_concurrent, writes_per_minute).hash(&mut hasher);
    hasher.finish()
}
