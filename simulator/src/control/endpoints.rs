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
//! | `POST /_simulator/directory/contacts` | a contact as in the seed | `{"objectId"}` |
//! | `POST /_simulator/directory/members` | `{"group", "member", "present"}` | |
//! | `POST /_simulator/directory/rename` | `{"user", "upn", "address", "displayName"}` | |
//! | `POST /_simulator/directory/change-sid` | `{"user"}` | `{"sid"}` |
//! | `POST /_simulator/directory/licence` | `{"user", "licensed"}` | |
//! | `POST /_simulator/directory/delete`, `restore`, `purge` | `{"user"}` | |
//! | `POST /_simulator/permissions/full-access` | `{"mailbox", "row"}`, see [`AccessRow`] | `{"objectId"}` |
//! | `POST /_simulator/permissions/send-as` | `{"mailbox", "row"}`, see [`SendAsRow`] | `{"objectId"}` |
//! | `POST /_simulator/permissions/undeletable` | `{"mailbox", "trustee", "undeletable"}` | |
//! | `GET`, `PUT /_simulator/grants` | the app's grants | |
//! | `GET`, `PUT /_simulator/quirks` | how it answers where nobody knows | |
//! | `POST /_simulator/parameters` | `{"cmdlet", "parameter", "rule"}`, see [`ParameterRule`] | |
//! | `POST /_simulator/settings` | `{"mailbox", "name", "value"}` | |
//! | `PUT /_simulator/client-secret` | `{"secret"}` | |
//! | `PUT /_simulator/certificates` | `{"certificates"}`: each in DER, base64 | |
//! | `PUT /_simulator/federation` | `{"issuer", "subject", "audience"}` or null | |
//! | `POST /_simulator/revoke-tokens` | | |
//! | `GET`, `PUT /_simulator/faults` | all faults | |
//! | `POST /_simulator/faults` | one more fault rule | |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::entries::{AccessRow, SendAsRow};
use super::handle::{Control, UnknownObject};
use super::people::Rename;
use crate::grants::ParameterRule;
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
struct RuleChange {
    cmdlet: String,
    parameter: String,
    rule: ParameterRule,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SettingChange {
    mailbox: String,
    name: String,
    value: Value,
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
struct Membership {
    group: String,
    member: String,
    present: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LicenceChange {
    user: String,
    licensed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Injection<R> {
    mailbox: String,
    row: R,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Undeletability {
    mailbox: String,
    trustee: String,
    undeletable: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Secret {
    secret: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Certificates {
    certificates: Vec<String>,
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
        ("GET", "quirks") => Ok(json!(control.quirks())),
        ("PUT", "quirks") => {
            control.set_quirks(body(request)?);
            Ok(done)
        }
        ("POST", "parameters") => {
            let RuleChange {
                cmdlet,
                parameter,
                rule,
            } = body(request)?;
            control.set_parameter_rule(&cmdlet, &parameter, rule);
            Ok(done)
        }
        ("POST", "settings") => {
            let SettingChange { mailbox, name, value } = body(request)?;
            control
                .set_setting(&mailbox, &name, &value)
                .map_err(|error| (error.status, error.to_string()))?;
            Ok(done)
        }
        ("PUT", "client-secret") => {
            let Secret { secret } = body(request)?;
            control.set_client_secret(&secret);
            Ok(done)
        }
        ("PUT", "certificates") => {
            let Certificates { certificates } = body(request)?;
            let decoded: Result<Vec<_>, _> = certificates.iter().map(|text| STANDARD.decode(text)).collect();
            let decoded = decoded.map_err(|error| (400, format!("certificates: {error}")))?;
            control.set_certificates(&decoded);
            Ok(done)
        }
        ("PUT", "federation") => {
            control.set_federation(body(request)?);
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
        ("POST", path) => match path.split_once('/') {
            Some(("directory", what)) => directory(control, what, request),
            Some(("permissions", what)) => permissions(control, what, request),
            _ => Err(nowhere()),
        },
        _ => Err(nowhere()),
    }
}

fn nowhere() -> Refusal {
    (404, "there is no such control endpoint".to_owned())
}

fn unknown(error: &UnknownObject) -> Refusal {
    (404, error.to_string())
}

fn directory(control: &Control, what: &str, request: &Request<Bytes>) -> Result<Value, Refusal> {
    match what {
        "sign-in" => {
            let SignIn { user, enabled } = body(request)?;
            control
                .set_account_enabled(&user, enabled)
                .map_err(|error| unknown(&error))?;
        }
        "users" => return Ok(json!({"objectId": control.add_user(&body(request)?)})),
        "groups" => return Ok(json!({"objectId": control.add_group(&body(request)?)})),
        "contacts" => return Ok(json!({"objectId": control.add_contact(&body(request)?)})),
        "members" => {
            let Membership {
                group,
                member,
                present,
            } = body(request)?;
            let changed = if present {
                control.add_group_member(&group, &member)
            } else {
                control.remove_group_member(&group, &member)
            };
            changed.map_err(|error| unknown(&error))?;
        }
        "licence" => {
            let LicenceChange { user, licensed } = body(request)?;
            control
                .set_licensed(&user, licensed)
                .map_err(|error| unknown(&error))?;
        }
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
            control
                .rename_user(&user, &rename)
                .map_err(|error| unknown(&error))?;
        }
        "change-sid" => {
            let User { user } = body(request)?;
            let sid = control.change_sid(&user).map_err(|error| unknown(&error))?;
            return Ok(json!({"sid": sid}));
        }
        "delete" => {
            let User { user } = body(request)?;
            control.delete_user(&user).map_err(|error| unknown(&error))?;
        }
        "restore" => {
            let User { user } = body(request)?;
            control.restore_user(&user).map_err(|error| unknown(&error))?;
        }
        "purge" => {
            let User { user } = body(request)?;
            control.purge_user(&user).map_err(|error| unknown(&error))?;
        }
        _ => return Err(nowhere()),
    }
    Ok(json!({}))
}

fn permissions(control: &Control, what: &str, request: &Request<Bytes>) -> Result<Value, Refusal> {
    match what {
        "full-access" => {
            let Injection::<AccessRow> { mailbox, row } = body(request)?;
            let id = control
                .inject_access(&mailbox, &row)
                .map_err(|error| unknown(&error))?;
            Ok(json!({"objectId": id}))
        }
        "send-as" => {
            let Injection::<SendAsRow> { mailbox, row } = body(request)?;
            let id = control
                .inject_send_as(&mailbox, &row)
                .map_err(|error| unknown(&error))?;
            Ok(json!({"objectId": id}))
        }
        "undeletable" => {
            let Undeletability {
                mailbox,
                trustee,
                undeletable,
            } = body(request)?;
            control
                .set_undeletable(&mailbox, &trustee, undeletable)
                .map_err(|error| unknown(&error))?;
            Ok(json!({}))
        }
        _ => Err(nowhere()),
    }
}

fn body<T: DeserializeOwned>(request: &Request<Bytes>) -> Result<T, Refusal> {
    serde_json::from_slice(request.body()).map_err(|error| (400, error.to_string()))
}
