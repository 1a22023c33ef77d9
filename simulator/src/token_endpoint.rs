//! The token endpoint: OAuth client credentials with a client secret or an assertion.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use uuid::Uuid;

use crate::credentials::{App, Refused};
use crate::faults::{Arrival, Fault, Surface};
use crate::journal::{Actor, JournalKind, Outcome};
use crate::token::Resource;
use crate::wire::{Delivery, Http, Reply, option, query};
use crate::world::World;

/// Answers `POST /{tenant}/oauth2/v2.0/token`.
pub fn answer(world: &mut World, http: &Http, tenant: &str) -> Delivery {
    let form = query(std::str::from_utf8(&http.body).unwrap_or_default());
    let resource = Resource::of_scope(option(&form, "scope").unwrap_or_default());
    let fault = world.faults.on_request(Surface::Token);
    let lost = matches!(fault, Some(Fault::LostRequest | Fault::LostAnswer));
    let injected = fault.as_ref().and_then(crate::inject::reply);
    let reply = match (&fault, injected) {
        (Some(Fault::LostRequest), _) => Reply::empty(0),
        (_, Some(ref reply)) => reply.clone(),
        (_, None) => issue(world, tenant, &form, resource).unwrap_or_else(|refusal| refusal),
    };
    let outcome = Outcome {
        status: reply.status,
        answer_lost: lost,
        injected: fault.is_some(),
        ..Outcome::default()
    };
    let kind = JournalKind::Token {
        resource: resource.name().to_owned(),
    };
    world.record(Actor::App, Some(http.number), kind, outcome);
    match fault.as_ref().map_or(Arrival::Whole, Fault::arrival) {
        Arrival::Never => Delivery::Lost,
        Arrival::Cut => Delivery::Cut(reply),
        // Only Graph falls silent.
        Arrival::Silent | Arrival::Whole => Delivery::Whole(reply),
    }
}

fn issue(
    world: &mut World,
    tenant: &str,
    form: &[(String, String)],
    resource: Resource,
) -> Result<Reply, Reply> {
    let field = |name: &str| option(form, name).unwrap_or_default();
    if !world.tenant.is_named(tenant) {
        let text = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
        );
        return Err(refusal(world, 400, "invalid_request", 90_002, &text));
    }
    if field("grant_type") != "client_credentials" {
        let text = "The app requested an unsupported grant type.";
        return Err(refusal(world, 400, "unsupported_grant_type", 70_003, text));
    }
    if field("client_id") != world.tenant.client_id.to_string() {
        let text = format!(
            "Application with identifier '{}' was not found in the directory.",
            field("client_id")
        );
        return Err(refusal(world, 400, "unauthorized_client", 700_016, &text));
    }
    let app = App {
        client_id: world.tenant.client_id,
        endpoint: format!("/{tenant}/oauth2/v2.0/token"),
        now: world.now(),
    };
    if let Err(Refused { code, text }) = world.tokens.credentials().check(&app, &field) {
        return Err(refusal(world, 401, "invalid_client", code, &text));
    }
    let Some(audience) = field("scope")
        .strip_suffix("/.default")
        .filter(|aud| !aud.is_empty())
    else {
        let text = "The provided value for scope is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier.";
        return Err(refusal(world, 400, "invalid_scope", 1_002_012, text));
    };
    let token = new_token(world, audience, resource);
    let seconds = world.tokens.lifetime().as_secs();
    Ok(Reply::json(
        200,
        json!({"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}),
    )
    .with("cache-control", "no-store, no-cache"))
}

fn new_token(world: &mut World, audience: &str, resource: Resource) -> String {
    let now = world.elapsed();
    let expires = now + world.tokens.lifetime();
    let roles = world.grants;
    let names: Vec<&str> = match resource {
        Resource::Exchange => [(roles.exchange_app_role, "Exchange.ManageAsApp")].to_vec(),
        Resource::Graph => vec![
            (roles.graph_user_read, "User.Read.All"),
            (roles.graph_user_write, "User.EnableDisableAccount.All"),
            (roles.graph_sign_out, "User.RevokeSessions.All"),
            (roles.graph_group_read, "GroupMember.Read.All"),
        ],
    }
    .into_iter()
    .filter_map(|(granted, name)| granted.then_some(name))
    .collect();
    let issued_at = world.clock.at(now).as_second();
    // The template id of Exchange Administrator.
    let directory_roles: &[&str] = if roles.directory_role {
        &["29232cdf-9323-42fd-ade2-1d097af3e4de"]
    } else {
        &[]
    };
    let payload = json!({
        "aud": audience,
        "iss": format!("https://sts.windows.net/{}/", world.tenant.id),
        "iat": issued_at,
        "nbf": issued_at,
        "exp": world.clock.at(expires).as_second(),
        "appid": world.tenant.client_id,
        "tid": world.tenant.id,
        "roles": names,
        "wids": directory_roles,
        "uti": world.random.uuid(),
        "ver": "1.0",
    });
    let signature = world.random.uuid();
    let token = [
        json!({"typ": "JWT", "alg": "none"}).to_string(),
        payload.to_string(),
        signature.to_string(),
    ]
    .map(|part| URL_SAFE_NO_PAD.encode(part))
    .join(".");
    world.tokens.issue(token.clone(), resource, roles, now);
    token
}

fn refusal(world: &mut World, status: u16, error: &str, code: u32, text: &str) -> Reply {
    let (trace, correlation): (Uuid, Uuid) = (world.random.uuid(), world.random.uuid());
    let at = world.now().strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    Reply::json(
        status,
        json!({
            "error": error,
            "error_description": format!(
                "AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {at}"
            ),
            "error_codes": [code],
            "timestamp": at,
            "trace_id": trace,
            "correlation_id": correlation,
        }),
    )
}
