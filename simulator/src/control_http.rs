//! The admin's hand, faults and the journal over HTTP, for scripts and other processes.
//!
//! | call | body | answer |
//! | --- | --- | --- |
//! | `GET /_simulator/state` | | the whole tenant |
//! | `GET /_simulator/mailboxes` | | every mailbox as it truly is |
//! | `GET /_simulator/journal[?since=N]`, `DELETE` | | what was asked; forget it |
//! | `POST /_simulator/admin` | `{"cmdlet", "parameters"}` | the rows |
//! | `POST /_simulator/directory/sign-in` | `{"user", "enabled"}` | |
//! | `POST /_simulator/directory/users` | a user as in the seed | `{"objectId"}` |
//! | `POST /_simulator/directory/groups` | a group as in the seed | `{"objectId"}` |
//! | `POST /_simulator/directory/rename` | `{"user", "upn", "address", "displayName"}` | |
//! | `POST /_simulator/directory/delete` | `{"user"}` | |
//! | `GET`, `PUT /_simulator/grants` | the app's grants | |
//! | `PUT /_simulator/client-secret` | `{"secret"}` | |
//! | `POST /_simulator/revoke-tokens` | | |
//! | `GET`, `PUT /_simulator/faults` | all faults | |
//! | `POST /_simulator/faults` | one more fault rule | |

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::control::{Control, Rename, UnknownObject};
use crate::wire::{option, query};

/// Where the control endpoints begin.
pub const ROOT: &str = "/_simulator/";

/// Status and text of a refusal.
type Refusal = (u16, String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Admin {
    cmdlet: String,
    #[serde(default)]
    parameters: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignIn {
    user: String,
    enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct User {
    user: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Secret {
    secret: String,
}

/// `deny_unknown_fields` doesn't go with `flatten`, so the names are repeated here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Renaming {
    user: String,
    upn: Option<String>,
    address: Option<String>,
    display_name: Option<String>,
    #[serde(default)]
    drop_old_address: bool,
}

/// Answers a call below [`ROOT`].
pub fn answer(control: &Control, request: &Request<Bytes>) -> Response<Bytes> {
    let (status, body) = match act(control, request) {
        Ok(body) => (200, body),
        Err((status, message)) => (status, json!({"error": message})),
    };
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}

fn act(control: &Control, request: &Request<Bytes>) -> Result<Value, Refusal> {
    let path = request.uri().path().strip_prefix(ROOT).unwrap_or_default();
    let done = json!({});
    match (request.method().as_str(), path) {
        ("GET", "state") => Ok(control.state()),
        ("GET", "mailboxes") => Ok(json!(control.mailboxes())),
        ("GET", "journal") => {
            let options = query(request.uri().query().unwrap_or_default());
            match option(&options, "since").map(str::parse) {
                None => Ok(json!(control.journal())),
                Some(Ok(sequence)) => Ok(json!(control.journal_since(sequence))),
                Some(Err(_)) => Err((400, "since must be a number".to_owned())),
            }
        }
        ("DELETE", "journal") => {
            control.clear_journal();
            Ok(done)
        }
        ("POST", "admin") => {
            let admin: Admin = body(request)?;
            control
                .admin_cmdlet(&admin.cmdlet, admin.parameters)
                .map(|rows| json!({"value": rows}))
                .map_err(|error| (error.status, error.to_string()))
        }
        ("GET", "grants") => Ok(json!(control.grants())),
        ("PUT", "grants") => {
            control.set_grants(body(request)?);
            Ok(done)
        }
        ("PUT", "client-secret") => {
            let Secret { secret } = body(request)?;
            control.set_client_secret(&secret);
            Ok(done)
        }
        ("POST", "revoke-tokens") => {
            control.revoke_tokens();
            Ok(done)
        }
        ("GET", "faults") => Ok(json!(control.faults())),
        ("PUT", "faults") => {
            control.set_faults(body(request)?);
            Ok(done)
        }
        ("POST", "faults") => {
            control.add_fault(body(request)?);
            Ok(done)
        }
        ("POST", path) => match path.strip_prefix("directory/") {
            Some(what) => directory(control, what, request),
            None => Err((404, "there is no such control endpoint".to_owned())),
        },
        _ => Err((404, "there is no such control endpoint".to_owned())),
    }
}

fn directory(control: &Control, what: &str, request: &Request<Bytes>) -> Result<Value, Refusal> {
    let unknown = |error: UnknownObject| (404, error.to_string());
    match what {
        "sign-in" => {
            let SignIn { user, enabled } = body(request)?;
            control.set_account_enabled(&user, enabled).map_err(unknown)?;
        }
        "users" => return Ok(json!({"objectId": control.add_user(&body(request)?)})),
        "groups" => return Ok(json!({"objectId": control.add_group(&body(request)?)})),
        "rename" => {
            let Renaming {
                user,
                upn,
                address,
                display_name,
                drop_old_address,
            } = body(request)?;
            let rename = Rename {
                upn,
                address,
                display_name,
                drop_old_address,
            };
            control.rename_user(&user, &rename).map_err(unknown)?;
        }
        "delete" => {
            let User { user } = body(request)?;
            control.delete_user(&user).map_err(unknown)?;
        }
        _ => return Err((404, "there is no such control endpoint".to_owned())),
    }
    Ok(json!({}))
}

fn body<T: DeserializeOwned>(request: &Request<Bytes>) -> Result<T, Refusal> {
    serde_json::from_slice(request.body()).map_err(|error| (400, error.to_string()))
}
