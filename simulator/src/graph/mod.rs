//! Microsoft Graph: people (sign-in, licences), groups and who is in them, and `$batch`.

mod batch;
mod groups;
mod users;

use serde_json::json;

use crate::faults::{Fault, Surface};
use crate::journal::{Actor, JournalKind, Outcome};
use crate::token::Resource;
use crate::wire::{Delivery, Http, Reply};
use crate::world::{AppGrants, World};

/// What came of a call: the answer, and whether the directory is different now.
type Acted = Result<(Reply, bool), Reply>;

/// Answers everything below `/v1.0/`.
pub fn answer(world: &mut World, http: &Http) -> Delivery {
    if http.route() == ["v1.0", "$batch"] {
        return batch::answer(world, http);
    }
    let (reply, fault) = one(world, http);
    deliver(reply, fault.as_ref())
}

/// One call, alone or out of a batch, with the fault that struck it.
fn one(world: &mut World, http: &Http) -> (Reply, Option<Fault>) {
    let fault = world.faults.on_request(Surface::Graph);
    let made_up = fault.as_ref().and_then(crate::inject::reply);
    let (reply, changed) = match (&fault, made_up) {
        (Some(Fault::LostRequest), _) => (Reply::empty(0), false),
        (_, Some(reply)) => (reply, false),
        (_, None) => act(world, http).unwrap_or_else(|refusal| (refusal, false)),
    };
    let kind = JournalKind::Graph {
        method: http.method.to_string(),
        path: http.path.clone(),
        body: serde_json::from_slice(&http.body).ok(),
    };
    let outcome = Outcome {
        status: reply.status,
        changed,
        answer_lost: matches!(
            fault,
            Some(Fault::LostRequest | Fault::LostAnswer | Fault::CutAnswer)
        ),
        exception: None,
        injected: fault.is_some(),
    };
    world.record(Actor::App, Some(http.number), kind, outcome);
    (reply, fault)
}

fn deliver(reply: Reply, fault: Option<&Fault>) -> Delivery {
    match fault {
        Some(Fault::LostRequest | Fault::LostAnswer) => Delivery::Lost,
        Some(Fault::CutAnswer) => Delivery::Cut(reply),
        _ => Delivery::Whole(reply),
    }
}

fn act(world: &mut World, http: &Http) -> Acted {
    let route = http.route();
    let path = route.get(1..).unwrap_or_default();
    match (http.method.as_str(), path) {
        ("GET", ["users", user]) => users::read(world, http, user),
        ("PATCH", ["users", user]) => users::patch(world, http, user),
        ("POST", ["users", user, "revokeSignInSessions"]) => users::sign_out(world, http, user),
        ("GET", ["groups", group]) => groups::read(world, http, group),
        ("GET", ["groups", group, relation]) => groups::members(world, http, group, relation, None),
        ("GET", ["groups", group, relation, cast]) => {
            groups::members(world, http, group, relation, Some(cast))
        }
        (_, ["users" | "groups", ..]) => {
            let text = "The method is not supported here.";
            Err(error(world, 405, "Request_BadRequest", text))
        }
        (_, [segment, ..]) => Err(no_segment(world, segment)),
        (_, []) => Err(no_segment(world, "")),
    }
}

fn no_segment(world: &mut World, segment: &str) -> Reply {
    let text = format!("Resource not found for the segment '{segment}'.");
    error(world, 400, "BadRequest", &text)
}

fn permit(world: &mut World, http: &Http, may: impl Fn(AppGrants) -> bool) -> Result<(), Reply> {
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

fn not_there(world: &mut World, resource: &str) -> Reply {
    let text = format!(
        "Resource '{resource}' does not exist or one of its queried reference-property objects are not present."
    );
    error(world, 404, "Request_ResourceNotFound", &text)
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
