//! The Exchange admin API: `InvokeCommand` and `$batch`.

mod module;
mod request;

use serde_json::{Map, Value, json};

use request::{Invocation, Item, batch_items, single_item};

use crate::cmdlets::{self, Call, Done};
use crate::error::CmdletError;
use crate::faults::{Fault, Origin, Surface};
use crate::journal::{Actor, JournalKind, Outcome};
use crate::quirks::{BatchErrors, NextLink};
use crate::token::Resource;
use crate::wire::{Delivery, Http, Reply};
use crate::world::World;

/// Answers `POST /adminapi/{version}/{tenant}/{endpoint}`.
pub fn answer(world: &mut World, http: &Http, version: &str, tenant: &str, endpoint: &str) -> Delivery {
    if version == "v1.0" && http.method == http::Method::GET && endpoint.eq_ignore_ascii_case("EXOModuleFile")
    {
        let refusal = unauthorized(world, http);
        return module::answer(world, http, tenant, refusal);
    }
    let batch = endpoint.eq_ignore_ascii_case("$batch");
    let refused = if version != "beta" || http.method != http::Method::POST {
        Some(Reply::error(
            405,
            "The requested resource does not support this method.",
        ))
    } else if !batch && !endpoint.eq_ignore_ascii_case("InvokeCommand") {
        Some(Reply::error(404, "Resource not found."))
    } else if !world.tenant.is_named(tenant) {
        Some(Reply::error(404, "The tenant was not found."))
    } else {
        None
    };
    if let Some(reply) = refused {
        return world.answer_other(http, reply);
    }
    let items = if batch {
        batch_items(http)
    } else {
        single_item(http)
    };
    let items = match items {
        Ok(items) => items,
        Err(reply) => return world.answer_other(http, reply),
    };
    if let Some(reply) = unauthorized(world, http) {
        return whole(world, http, &items, reply, false);
    }
    let now = world.elapsed();
    let early = world.faults.on_arrival(http.in_flight, now);
    let outer = early.or_else(|| world.faults.on_request(Surface::Exchange));
    world.faults.note(outer.as_ref(), now);
    match &outer {
        Some(Fault::LostRequest) => return lost_request(world, http, &items),
        Some(fault) => {
            if let Some(reply) = crate::inject::reply(fault) {
                return whole(world, http, &items, reply, true);
            }
        }
        None => {}
    }
    run(world, http, batch, items, outer.as_ref())
}

/// Runs every item and says how the answer travels.
fn run(world: &mut World, http: &Http, batch: bool, items: Vec<Item>, outer: Option<&Fault>) -> Delivery {
    let faults: Vec<Option<Fault>> = items
        .iter()
        .map(|item| {
            let invocation = item.invocation.as_ref().ok()?;
            world.faults.on_cmdlet(&invocation.name, &invocation.parameters)
        })
        .collect();
    let now = world.elapsed();
    for fault in &faults {
        world.faults.note(fault.as_ref(), now);
    }
    if faults.contains(&Some(Fault::LostRequest)) {
        return lost_request(world, http, &items);
    }
    let struck = |fault: &Fault| outer == Some(fault) || faults.contains(&Some(fault.clone()));
    let is_forgotten = |fault: Option<&Fault>| [outer, fault].contains(&Some(&Fault::Forgotten));
    let (lost, cut) = (struck(&Fault::LostAnswer), struck(&Fault::CutAnswer));
    let stops = batch.then(|| stopping(world, http)).flatten();
    let mut replies = Vec::with_capacity(items.len());
    for (item, fault) in items.into_iter().zip(&faults) {
        if let Some(stops) = stops
            && replies.iter().any(|(_, reply): &(_, Reply)| reply.status >= 400)
        {
            if stops == Stop::Answered {
                let text = "The request was not run, because an earlier one of its batch failed.";
                replies.push((item.id, Reply::error(424, text)));
            }
            continue;
        }
        let made_up = fault.as_ref().and_then(crate::inject::reply);
        let injected = made_up.is_some() || lost || cut || is_forgotten(fault.as_ref());
        let kind = kind(http, &item);
        let (reply, outcome) = match (item.invocation, made_up) {
            (Ok(invocation), None) if is_forgotten(fault.as_ref()) => forgetting(world, http, &invocation),
            (Ok(invocation), None) => invoke(world, http, &invocation),
            (Ok(_), Some(reply)) | (Err(reply), _) => {
                let status = reply.status;
                (
                    reply,
                    Outcome {
                        status,
                        ..Outcome::default()
                    },
                )
            }
        };
        let outcome = Outcome {
            answer_lost: lost || cut,
            injected,
            ..outcome
        };
        world.record(Actor::App, Some(http.number), kind, outcome);
        replies.push((item.id, reply));
    }
    let reply = if batch {
        batch_reply(replies)
    } else {
        first(replies)
    };
    match (lost, cut) {
        (true, _) => Delivery::Lost,
        (false, true) => Delivery::Cut(reply),
        (false, false) => Delivery::Whole(reply),
    }
}

/// How a batch leaves off after an error.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// With an answer for each call that is not run.
    Answered,
    /// Without one.
    Silent,
}

/// None: it goes on after an error.
fn stopping(world: &World, http: &Http) -> Option<Stop> {
    let prefer = http.header("prefer").unwrap_or_default();
    let is_asked = prefer
        .split(',')
        .any(|preference| preference.trim() == "odata.continue-on-error");
    match world.quirks.batch_errors {
        BatchErrors::AsAsked => (!is_asked).then_some(Stop::Answered),
        BatchErrors::Stops => Some(Stop::Answered),
        BatchErrors::LeavesOut => Some(Stop::Silent),
    }
}

fn first(replies: Vec<(Option<String>, Reply)>) -> Reply {
    replies
        .into_iter()
        .next()
        .map_or_else(|| Reply::error(400, "Nothing was asked for."), |(_, reply)| reply)
}

fn batch_reply(replies: Vec<(Option<String>, Reply)>) -> Reply {
    let responses: Vec<Value> = replies
        .into_iter()
        .map(|(id, reply)| {
            let headers: Map<String, Value> = reply
                .headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone().into()))
                .collect();
            json!({"id": id, "status": reply.status, "headers": headers, "body": reply.nested_body()})
        })
        .collect();
    Reply::json(200, json!({"responses": responses}))
}

/// Answers as if it were done.
fn forgetting(world: &mut World, http: &Http, invocation: &Invocation) -> (Reply, Outcome) {
    let before = world.directory.clone();
    let (reply, outcome) = invoke(world, http, invocation);
    world.directory = before;
    (
        reply,
        Outcome {
            changed: false,
            ..outcome
        },
    )
}

/// Runs one cmdlet and puts its rows into the envelope.
fn invoke(world: &mut World, http: &Http, invocation: &Invocation) -> (Reply, Outcome) {
    if let Some(token) = &invocation.continuation {
        let page = may_continue(world, invocation)
            .then(|| {
                world
                    .pages
                    .next(token, page_size(world, invocation), world.elapsed())
            })
            .flatten();
        return match page {
            Some(page) => {
                let done = Done {
                    rows: page.rows,
                    ..Done::default()
                };
                (
                    envelope(world, http, done, page.next),
                    Outcome {
                        status: 200,
                        ..Outcome::default()
                    },
                )
            }
            None => failed(&CmdletError::new(
                400,
                "Microsoft.Exchange.Admin.OData.Core.ODataServiceException",
                "Expired or Invalid pagination request. Default Expiry time is 00:30:00",
            )),
        };
    }
    let view = world.exchange_view();
    let mut call = Call {
        world,
        actor: Actor::App,
        view,
        origin: Origin::Exchange,
        select: invocation.select.clone(),
    };
    match cmdlets::run(&mut call, &invocation.name, &invocation.parameters) {
        Ok(mut done) => {
            let changed = done.changed;
            let rows = std::mem::take(&mut done.rows);
            let id = world.random.uuid();
            let now = world.elapsed();
            let size = page_size(world, invocation);
            let page = world.pages.first(rows, size, id, now);
            done.rows = page.rows;
            let reply = envelope(world, http, done, page.next);
            (
                reply,
                Outcome {
                    status: 200,
                    changed,
                    ..Outcome::default()
                },
            )
        }
        Err(error) => failed(&error),
    }
}

/// Links lead to one back end; a request with another anchor reaches another one.
fn may_continue(world: &World, invocation: &Invocation) -> bool {
    let end = format!("@{}", world.tenant.initial_domain);
    let anchor = invocation.anchor.as_deref().unwrap_or_default();
    match world.quirks.lists.next_link {
        NextLink::AnyAnchor => true,
        NextLink::InitialDomain => anchor.to_lowercase().ends_with(&end.to_lowercase()),
        NextLink::Nobody => false,
    }
}

fn page_size(world: &World, invocation: &Invocation) -> usize {
    match world.quirks.lists.largest_page {
        0 => invocation.page_size,
        largest => largest.min(invocation.page_size),
    }
}

fn failed(error: &CmdletError) -> (Reply, Outcome) {
    let exception = Some(error.exception.clone());
    (
        Reply::cmdlet_error(error),
        Outcome {
            status: error.status,
            exception,
            ..Outcome::default()
        },
    )
}

fn envelope(world: &World, http: &Http, done: Done, next: Option<String>) -> Reply {
    let base = format!("{}/adminapi/beta/{}", http.base_url, world.tenant.id);
    let mut body = json!({
        "@odata.context": format!("{base}/$metadata#Collection(Exchange.GenericHashTable)"),
        "adminapi.warnings@odata.type": "#Collection(String)",
        "@adminapi.warnings": done.warnings,
        "value": done.rows,
    });
    if let Value::Object(fields) = &mut body {
        if let Some(next) = next {
            let host = world
                .faults
                .current()
                .next_link_base
                .as_ref()
                .unwrap_or(&http.base_url);
            let tenant = world.tenant.id;
            let link = format!("{host}/adminapi/beta/{tenant}/InvokeCommand?%24skiptoken={next}");
            fields.insert("@odata.nextLink".to_owned(), link.into());
        }
        if let Some(question) = done.confirmation {
            fields.insert("@adminapi.confirmationmessage".to_owned(), question.into());
        }
    }
    Reply::json(200, body)
}

/// What keeps the caller out, if anything does.
fn unauthorized(world: &World, http: &Http) -> Option<Reply> {
    let challenge = || {
        Reply::empty(401).with(
            "www-authenticate",
            "Bearer client_id=\"00000002-0000-0ff1-ce00-000000000000\", error=\"invalid_token\"",
        )
    };
    let Some(grant) = world.tokens.grant(http, world.elapsed()) else {
        return Some(challenge());
    };
    let held = (grant.roles, world.grants);
    if grant.resource != Resource::Exchange || !held.0.exchange_app_role || !held.1.exchange_app_role {
        Some(challenge())
    } else if !held.0.directory_role || !held.1.directory_role {
        Some(Reply::denied())
    } else {
        None
    }
}

fn kind(http: &Http, item: &Item) -> JournalKind {
    match &item.invocation {
        Ok(invocation) => JournalKind::Cmdlet {
            name: invocation.name.clone(),
            parameters: invocation.parameters.clone().into(),
            batch_item: item.id.clone(),
        },
        Err(_) => JournalKind::Other {
            method: http.method.to_string(),
            path: http.path.clone(),
        },
    }
}

/// One answer to the whole request, whatever was in it.
fn whole(world: &mut World, http: &Http, items: &[Item], reply: Reply, injected: bool) -> Delivery {
    for item in items {
        let outcome = Outcome {
            status: reply.status,
            injected,
            ..Outcome::default()
        };
        world.record(Actor::App, Some(http.number), kind(http, item), outcome);
    }
    Delivery::Whole(reply)
}

fn lost_request(world: &mut World, http: &Http, items: &[Item]) -> Delivery {
    for item in items {
        let outcome = Outcome {
            answer_lost: true,
            injected: true,
            ..Outcome::default()
        };
        world.record(Actor::App, Some(http.number), kind(http, item), outcome);
    }
    Delivery::Lost
}
