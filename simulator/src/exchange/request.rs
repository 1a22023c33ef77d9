//! What a request to the admin API asks for, taken out of its body.

use serde_json::{Map, Value};

use crate::row::Select;
use crate::wire::{Http, Reply, option, query, segments, selected};

/// Most cmdlets in one `$batch`: where Microsoft's own module cuts.
const BATCH: usize = 10;

/// Rows of a page when nothing else is asked for, and the most that can be.
const PAGE: usize = 1000;

/// One cmdlet as it was asked for.
#[derive(Debug)]
pub struct Invocation {
    pub name: String,
    pub parameters: Map<String, Value>,
    pub select: Select,
    pub page_size: usize,
    pub continuation: Option<String>,
    /// `X-AnchorMailbox`: which back end is asked.
    pub anchor: Option<String>,
}

/// One cmdlet of a request, or what is wrong with it.
pub struct Item {
    pub id: Option<String>,
    pub invocation: Result<Invocation, Reply>,
}

pub fn single_item(http: &Http) -> Result<Vec<Item>, Reply> {
    let body: Value = serde_json::from_slice(&http.body)
        .map_err(|error| Reply::error(400, &format!("The request body is not valid JSON: {error}")))?;
    let headers = (http.header("prefer"), http.header("x-anchormailbox"));
    let invocation = invocation(&body, &http.query, headers)?;
    Ok(vec![Item {
        id: None,
        invocation: Ok(invocation),
    }])
}

pub fn batch_items(http: &Http) -> Result<Vec<Item>, Reply> {
    let body: Value = serde_json::from_slice(&http.body)
        .map_err(|error| Reply::error(400, &format!("The request body is not valid JSON: {error}")))?;
    let Some(requests) = body.get("requests").and_then(Value::as_array) else {
        return Err(Reply::error(400, "The batch has no array 'requests'."));
    };
    if requests.is_empty() || requests.len() > BATCH {
        let text = format!(
            "A batch takes 1 to {BATCH} requests; this one has {}.",
            requests.len()
        );
        return Err(Reply::error(400, &text));
    }
    let mut items: Vec<Item> = Vec::with_capacity(requests.len());
    for request in requests {
        let Some(id) = request.get("id").and_then(Value::as_str) else {
            return Err(Reply::error(
                400,
                "Every request of a batch needs an 'id' of its own.",
            ));
        };
        if items.iter().any(|item| item.id.as_deref() == Some(id)) {
            return Err(Reply::error(
                400,
                "Every request of a batch needs an 'id' of its own.",
            ));
        }
        items.push(Item {
            id: Some(id.to_owned()),
            invocation: batch_invocation(request),
        });
    }
    Ok(items)
}

fn batch_invocation(request: &Value) -> Result<Invocation, Reply> {
    let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
    let (path, options) = text("url").split_once('?').unwrap_or((text("url"), ""));
    let last = segments(path).pop().unwrap_or_default();
    if !last.eq_ignore_ascii_case("InvokeCommand") || !text("method").eq_ignore_ascii_case("POST") {
        return Err(Reply::error(404, "Resource not found."));
    }
    let headers = request.get("headers").and_then(Value::as_object);
    let header = |wanted: &str| {
        let mut all = headers.into_iter().flatten();
        let (_, value) = all.find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
        value.as_str()
    };
    invocation(
        request.get("body").unwrap_or(&Value::Null),
        &query(options),
        (header("prefer"), header("x-anchormailbox")),
    )
}

fn invocation(
    body: &Value,
    options: &[(String, String)],
    (prefer, anchor): (Option<&str>, Option<&str>),
) -> Result<Invocation, Reply> {
    let missing = || Reply::error(400, "The request has no CmdletInput with a CmdletName.");
    let input = body.get("CmdletInput").ok_or_else(missing)?;
    let name = input
        .get("CmdletName")
        .and_then(Value::as_str)
        .ok_or_else(missing)?;
    let parameters = match input.get("Parameters") {
        None => Map::new(),
        Some(Value::Object(parameters)) => parameters.clone(),
        Some(_) => return Err(Reply::error(400, "CmdletInput.Parameters must be an object.")),
    };
    Ok(Invocation {
        name: name.to_owned(),
        parameters,
        select: selected(options).map_or_else(Select::all, Select::only),
        page_size: page_size(prefer),
        continuation: option(options, "$skiptoken").map(str::to_owned),
        anchor: anchor.map(str::to_owned),
    })
}

fn page_size(prefer: Option<&str>) -> usize {
    prefer
        .unwrap_or_default()
        .split([';', ','])
        .find_map(|preference| preference.trim().strip_prefix("odata.maxpagesize="))
        .and_then(|size| size.trim().parse().ok())
        .map_or(PAGE, |size: usize| size.clamp(1, PAGE))
}
