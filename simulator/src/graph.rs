//! Microsoft Graph, as far as users go: read one, block or unblock sign-in, sign out.

use serde_json::{Map, Value, json};

use crate::directory::Seen;
use crate::faults::{Fault, Origin, Surface};
use crate::journal::{Actor, JournalKind, Outcome};
use crate::token::Resource;
use crate::wire::{Delivery, Http, Reply, selected};
use crate::world::{AppGrants, World};

/// Answers `/v1.0/users/{user}` and `/v1.0/users/{user}/revokeSignInSessions`.
pub fn answer(world: &mut World, http: &Http, user: &str, action: Option<&str>) -> Delivery {
    let fault = world.faults.on_request(Surface::Graph);
    let made_up = fault.as_ref().and_then(crate::inject::reply);
    let (reply, changed) = match (&fault, made_up) {
        (Some(Fault::LostRequest), _) => (Reply::empty(0), false),
        (_, Some(reply)) => (reply, false),
        (_, None) => act(world, http, user, action).unwrap_or_else(|refusal| (refusal, false)),
    };
    let lost = matches!(
        fault,
        Some(Fault::LostRequest | Fault::LostAnswer | Fault::CutAnswer)
    );
    let kind = JournalKind::Graph {
        method: http.method.to_string(),
        path: http.path.clone(),
        body: serde_json::from_slice(&http.body).ok(),
    };
    let outcome = Outcome {
        status: reply.status,
        changed,
        answer_lost: lost,
        exception: None,
        injected: fault.is_some(),
    };
    world.record(Actor::App, Some(http.number), kind, outcome);
    match fault {
        Some(Fault::LostRequest | Fault::LostAnswer) => Delivery::Lost,
        Some(Fault::CutAnswer) => Delivery::Cut(reply),
        _ => Delivery::Whole(reply),
    }
}

fn act(world: &mut World, http: &Http, user: &str, action: Option<&str>) -> Result<(Reply, bool), Reply> {
    match (http.method.as_str(), action) {
        ("GET", None) => {
            permit(world, http, |roles| {
                roles.graph_user_read || roles.graph_user_write
            })?;
            let user = find(world, user)?;
            Ok((Reply::json(200, describe(&user, selected(&http.query))), false))
        }
        ("PATCH", None) => {
            permit(world, http, |roles| roles.graph_user_write)?;
            let user = find(world, user)?;
            patch(world, http, &user)
        }
        ("POST", Some("revokeSignInSessions")) => {
            permit(world, http, |roles| roles.graph_user_write)?;
            find(world, user)?;
            let context = format!("{}/v1.0/$metadata#Edm.Boolean", http.base_url);
            Ok((
                Reply::json(200, json!({"@odata.context": context, "value": true})),
                false,
            ))
        }
        _ => Err(error(
            world,
            405,
            "Request_BadRequest",
            "The method is not supported here.",
        )),
    }
}

fn permit(world: &mut World, http: &Http, may: impl Fn(&AppGrants) -> bool) -> Result<(), Reply> {
    match world.tokens.grant(http, world.elapsed()) {
        Some(grant) if grant.resource == Resource::Graph => {
            if may(&grant.roles) && may(&world.grants) {
                Ok(())
            } else {
                let text = "Insufficient privileges to complete the operation.";
                Err(error(world, 403, "Authorization_RequestDenied", text))
            }
        }
        Some(_) => {
            let text = "Access token validation failure. Invalid audience.";
            Err(error(world, 401, "InvalidAuthenticationToken", text))
        }
        None => {
            let text = "Lifetime validation failed, the token is expired or unknown.";
            Err(error(world, 401, "InvalidAuthenticationToken", text))
        }
    }
}

/// Finds a user by object id or user principal name.
fn find(world: &mut World, user: &str) -> Result<Seen, Reply> {
    let found = world
        .directory
        .matching(user, world.graph_view())
        .into_iter()
        .find(|seen| {
            let named = seen.id.to_string().eq_ignore_ascii_case(user)
                || seen
                    .upn
                    .as_ref()
                    .is_some_and(|upn| upn.eq_ignore_ascii_case(user));
            named && seen.is_user() && seen.is_live()
        });
    found.ok_or_else(|| {
        let text = format!(
            "Resource '{user}' does not exist or one of its queried reference-property objects are not present."
        );
        error(world, 404, "Request_ResourceNotFound", &text)
    })
}

/// The properties given without `$select`; `accountEnabled` is not one of them.
const DEFAULT: &[&str] = &["id", "displayName", "mail", "userPrincipalName"];

fn describe(user: &Seen, select: Option<Vec<String>>) -> Value {
    let select = select.unwrap_or_else(|| DEFAULT.iter().map(|name| (*name).to_owned()).collect());
    let mut fields = Map::new();
    fields.insert(
        "@odata.context".to_owned(),
        format!(
            "https://graph.microsoft.com/v1.0/$metadata#users({})/$entity",
            select.join(",")
        )
        .into(),
    );
    for name in select {
        let value: Value = match name.as_str() {
            "id" => user.id.to_string().into(),
            "displayName" => user.display_name.clone().into(),
            "mail" => user.primary_address().into(),
            "mailNickname" => user.alias.clone().into(),
            "userPrincipalName" => user.upn.clone().into(),
            "accountEnabled" => user.account_enabled.into(),
            "onPremisesSyncEnabled" => user.dir_synced.then_some(true).into(),
            "createdDateTime" => user.created.to_string().into(),
            "proxyAddresses" => user.addresses.clone().into(),
            "assignedLicenses" if user.licensed => {
                json!([{"skuId": "6fd2c87f-b296-42f0-b197-1e91e994b900", "disabledPlans": []}])
            }
            "assignedLicenses" => json!([]),
            _ => continue,
        };
        fields.insert(name, value);
    }
    fields.into()
}

fn patch(world: &mut World, http: &Http, user: &Seen) -> Result<(Reply, bool), Reply> {
    let body: Map<String, Value> = serde_json::from_slice(&http.body)
        .map_err(|_| error(world, 400, "BadRequest", "Unable to read JSON request payload."))?;
    let unknown = body
        .keys()
        .find(|name| !matches!(name.as_str(), "accountEnabled" | "displayName"));
    if let Some(unknown) = unknown {
        let text = format!("Property '{unknown}' cannot be changed here.");
        return Err(error(world, 400, "Request_BadRequest", &text));
    }
    if user.dir_synced {
        let text = "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.";
        return Err(error(world, 400, "Request_BadRequest", text));
    }
    let mut changed = false;
    match body.get("accountEnabled") {
        None => {}
        Some(Value::Bool(enabled)) => {
            changed |= world.set_account_enabled(user.handle, *enabled, Origin::Directory);
        }
        Some(_) => {
            let text = "Invalid value specified for property 'accountEnabled' of resource 'User'.";
            return Err(error(world, 400, "Request_BadRequest", text));
        }
    }
    if let Some(name) = body.get("displayName").and_then(Value::as_str) {
        changed |= world.update(user.handle, Origin::Directory, |object| {
            name.clone_into(&mut object.display_name);
        });
    }
    Ok((Reply::empty(204), changed))
}

fn error(world: &mut World, status: u16, code: &str, message: &str) -> Reply {
    let (request, client) = (world.random.uuid(), world.random.uuid());
    let date = world.now().strftime("%Y-%m-%dT%H:%M:%S").to_string();
    Reply::json(
        status,
        json!({"error": {
            "code": code,
            "message": message,
            "innerError": {"date": date, "request-id": request, "client-request-id": client},
        }}),
    )
}
