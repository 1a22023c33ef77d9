//! People, as far as sign-in and licences go.

use serde_json::{Map, Value, json};

use super::reply::{Acted, error, not_there, permit};
use crate::directory::{ObjectView, OutsideKind, SignInStore};
use crate::faults::Origin;
use crate::grants::AppGrants;
use crate::wire::{Http, Reply, selected};
use crate::world::World;

/// `User.Read.All`, or a role that includes it.
pub fn may_read(roles: AppGrants) -> bool {
    roles.graph_user_read || roles.graph_user_write
}

/// `GET /v1.0/users/{user}`.
pub fn read(world: &mut World, http: &Http, user: &str) -> Acted {
    permit(world, http, may_read)?;
    let user = find(world, user)?;
    let select = selected(&http.query).unwrap_or_else(default);
    let context = format!(
        "https://graph.microsoft.com/v1.0/$metadata#users({})/$entity",
        select.join(",")
    );
    let mut body = Map::from_iter([("@odata.context".to_owned(), context.into())]);
    body.extend(properties(&user, &select));
    Ok((Reply::json(200, body.into()), false))
}

/// `POST /v1.0/users/{user}/revokeSignInSessions`.
pub fn sign_out(world: &mut World, http: &Http, user: &str) -> Acted {
    permit(world, http, |roles| roles.graph_sign_out)?;
    let user = find(world, user)?;
    let had_sessions = world.directory.sign_out(user.handle);
    let context = format!("{}/v1.0/$metadata#Edm.Boolean", http.base_url);
    let body = json!({"@odata.context": context, "value": true});
    Ok((Reply::json(200, body), had_sessions))
}

/// Finds a user by object id or user principal name.
fn find(world: &mut World, user: &str) -> Result<ObjectView, Reply> {
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
    found.ok_or_else(|| not_there(world, user))
}

/// The properties given without `$select`; `accountEnabled` is not one of them.
pub fn default() -> Vec<String> {
    ["id", "displayName", "mail", "userPrincipalName"]
        .map(str::to_owned)
        .to_vec()
}

/// Those of the selected properties that are simulated.
pub fn properties(user: &ObjectView, select: &[String]) -> Map<String, Value> {
    let mut fields = Map::new();
    for name in select {
        let value: Value = match name.as_str() {
            "id" => user.id.to_string().into(),
            "displayName" => user.display_name.clone().into(),
            "mail" => user.primary_address().into(),
            "mailNickname" => user.alias.clone().into(),
            "userPrincipalName" => user.upn.clone().into(),
            "userType" if user.is_outside(OutsideKind::Guest) => "Guest".into(),
            "userType" => "Member".into(),
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
        fields.insert(name.clone(), value);
    }
    fields
}

/// `PATCH /v1.0/users/{user}`.
pub fn patch(world: &mut World, http: &Http, user: &str) -> Acted {
    permit(world, http, |roles| roles.graph_user_write)?;
    let user = find(world, user)?;
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
        // Acknowledged, and nothing follows.
        Some(Value::Bool(_)) if world.quirks.sign_in.graph_has_no_effect => {}
        Some(Value::Bool(enabled)) => {
            let store = SignInStore::Entra;
            changed |= world.set_account_enabled(user.handle, store, *enabled, Origin::Directory);
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
