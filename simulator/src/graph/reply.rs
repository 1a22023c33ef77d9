//! What Graph's answers have in common: who may ask, and how refusals read.

use serde_json::json;

use crate::grants::AppGrants;
use crate::token::Resource;
use crate::wire::{Http, Reply};
use crate::world::World;

/// What came of a call: the answer, and whether the directory is different now.
pub type Acted = Result<(Reply, bool), Reply>;

pub fn no_segment(world: &mut World, segment: &str) -> Reply {
    let text = format!("Resource not found for the segment '{segment}'.");
    error(world, 400, "BadRequest", &text)
}

pub fn permit(world: &mut World, http: &Http, may: impl Fn(AppGrants) -> bool) -> Result<(), Reply> {
    match world.tokens.grant(http, world.elapsed()) {
        Some(grant) if grant.resource == Resource::Graph => {
            if may(grant.roles) && may(world.grants) {
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

pub fn not_there(world: &mut World, resource: &str) -> Reply {
    let text = format!(
        "Resource '{resource}' does not exist or one of its queried reference-property objects are not present."
    );
    error(world, 404, "Request_ResourceNotFound", &text)
}

pub fn error(world: &mut World, status: u16, code: &str, message: &str) -> Reply {
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
