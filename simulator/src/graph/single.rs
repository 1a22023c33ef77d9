//! One Graph call, alone or out of a batch.

use super::reply::{Acted, error, no_segment};
use super::{groups, users};
use crate::faults::{Arrival, Fault, Surface};
use crate::journal::{Actor, JournalKind, Outcome};
use crate::wire::{Delivery, Http, Reply};
use crate::world::World;

/// One call, alone or out of a batch, with the fault that struck it.
pub fn one(world: &mut World, http: &Http) -> (Reply, Option<Fault>) {
    let fault = world.faults.on_request(Surface::Graph);
    let made_up = fault.as_ref().and_then(crate::inject::reply);
    let (reply, changed) = match (&fault, made_up) {
        (Some(Fault::LostRequest | Fault::Silent), _) => (Reply::empty(0), false),
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
            Some(Fault::LostRequest | Fault::LostAnswer | Fault::CutAnswer | Fault::Silent)
        ),
        exception: None,
        injected: fault.is_some(),
    };
    world.record(Actor::App, Some(http.number), kind, outcome);
    (reply, fault)
}

pub fn deliver(reply: Reply, fault: Option<&Fault>) -> Delivery {
    match fault.map_or(Arrival::Whole, Fault::arrival) {
        Arrival::Never => Delivery::Lost,
        Arrival::Cut => Delivery::Cut(reply),
        Arrival::Silent => Delivery::Silent,
        Arrival::Whole => Delivery::Whole(reply),
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
