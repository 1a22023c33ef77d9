//! `POST /v1.0/$batch`.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};

use super::reply::error;
use super::single::{deliver, one};
use crate::wire::{Delivery, Http, Reply, query, segments};
use crate::world::World;

/// Most calls in one batch (Microsoft's page on JSON batching).
const MOST: usize = 20;

/// Runs the calls in order. A fault strikes a call; one that loses the answer loses all of it.
pub fn answer(world: &mut World, http: &Http) -> Delivery {
    let items = match items(http) {
        Ok(items) => items,
        Err(why) => return refused(world, http, why),
    };
    let mut responses = Vec::with_capacity(items.len());
    let mut broken = None;
    for (id, call) in items {
        let (reply, fault) = one(world, &call);
        let headers: Map<String, Value> = reply
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone().into()))
            .collect();
        responses
            .push(json!({"id": id, "status": reply.status, "headers": headers, "body": reply.nested_body()}));
        if !matches!(deliver(reply, fault.as_ref()), Delivery::Whole(_)) {
            broken = broken.or(fault);
        }
    }
    deliver(Reply::json(200, json!({"responses": responses})), broken.as_ref())
}

fn refused(world: &mut World, http: &Http, why: &str) -> Delivery {
    let reply = error(world, 400, "BadRequest", why);
    world.answer_other(http, reply)
}

fn items(http: &Http) -> Result<Vec<(String, Http)>, &'static str> {
    if http.method != Method::POST {
        return Err("A batch is sent with POST.");
    }
    let body: Value = serde_json::from_slice(&http.body).map_err(|_| "Invalid batch payload format.")?;
    let requests = body.get("requests").and_then(Value::as_array);
    let requests = requests.ok_or("Invalid batch payload format.")?;
    if requests.is_empty() || requests.len() > MOST {
        return Err("A batch takes 1 to 20 requests.");
    }
    let mut items: Vec<(String, Http)> = Vec::with_capacity(requests.len());
    for request in requests {
        let id = request.get("id").and_then(Value::as_str).unwrap_or_default();
        if id.is_empty() || items.iter().any(|(known, _)| known == id) {
            return Err("Every request of a batch needs an id of its own.");
        }
        if request.get("dependsOn").is_some() {
            return Err("dependsOn is not simulated.");
        }
        items.push((id.to_owned(), item(http, request)?));
    }
    Ok(items)
}

/// The call that an item stands for, made with the token of the whole batch.
fn item(http: &Http, request: &Value) -> Result<Http, &'static str> {
    let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
    let method = text("method").to_uppercase();
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| "A method of the batch is not one.")?;
    let (path, options) = text("url").split_once('?').unwrap_or((text("url"), ""));
    if path.is_empty() || path.contains("://") {
        return Err("Urls in a batch are relative to the version.");
    }
    let path = format!("/v1.0/{}", path.trim_start_matches('/'));
    let own = request.get("headers").and_then(Value::as_object);
    let mut headers = HeaderMap::new();
    for (name, value) in own.into_iter().flatten() {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_str(value.as_str().unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.insert(name, value);
        }
    }
    if let Some(token) = http.headers.get(http::header::AUTHORIZATION) {
        headers.insert(http::header::AUTHORIZATION, token.clone());
    }
    let body = request.get("body").map(|body| Bytes::from(body.to_string()));
    Ok(Http {
        number: http.number,
        method,
        segments: segments(&path),
        path,
        query: query(options),
        headers,
        body: body.unwrap_or_default(),
        base_url: http.base_url.clone(),
        in_flight: http.in_flight,
    })
}
