//! `simulator admin`: one call to the control endpoints of a running tenant.

use std::io::{self, Write as _};

use bytes::Bytes;
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::arguments::{Action, Admin, Failure};

pub async fn run(arguments: Admin) -> Result<(), Failure> {
    let (method, path, body) = call(arguments.action)?;
    let answer = send(&arguments.server, method, &path, body.as_ref()).await?;
    if answer != json!({}) {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&answer)?)?;
    }
    Ok(())
}

/// Method, path below the root, and body.
fn call(action: Action) -> Result<(Method, String, Option<Value>), Failure> {
    let parse =
        |text: &str| serde_json::from_str::<Value>(text).map_err(|error| format!("not valid JSON: {error}"));
    let post = |path: &str, body: Value| (Method::POST, path.to_owned(), Some(body));
    let get = |path: &str| (Method::GET, path.to_owned(), None);
    Ok(match action {
        Action::SignIn { user, enabled } => {
            post("directory/sign-in", json!({"user": user, "enabled": enabled}))
        }
        Action::Cmdlet { name, parameters } => post(
            "admin",
            json!({"cmdlet": name, "parameters": parse(&parameters)?}),
        ),
        Action::Rename {
            user,
            upn,
            address,
            display_name,
            drop_old_address,
        } => post(
            "directory/rename",
            json!({"user": user, "upn": upn, "address": address, "displayName": display_name,
                   "dropOldAddress": drop_old_address}),
        ),
        Action::AddUser { user } => post("directory/users", parse(&user)?),
        Action::AddGroup { group } => post("directory/groups", parse(&group)?),
        Action::AddContact { contact } => post("directory/contacts", parse(&contact)?),
        Action::GroupMember {
            group,
            member,
            present,
        } => post(
            "directory/members",
            json!({"group": group, "member": member, "present": present}),
        ),
        Action::Licence { user, licensed } => {
            post("directory/licence", json!({"user": user, "licensed": licensed}))
        }
        Action::ChangeSid { user } => post("directory/change-sid", json!({"user": user})),
        Action::DeleteUser { user } => post("directory/delete", json!({"user": user})),
        Action::RestoreUser { user } => post("directory/restore", json!({"user": user})),
        Action::PurgeUser { user } => post("directory/purge", json!({"user": user})),
        Action::InjectAccess { mailbox, row } => post(
            "permissions/full-access",
            json!({"mailbox": mailbox, "row": parse(&row)?}),
        ),
        Action::InjectSendAs { mailbox, row } => post(
            "permissions/send-as",
            json!({"mailbox": mailbox, "row": parse(&row)?}),
        ),
        Action::Undeletable {
            mailbox,
            trustee,
            undeletable,
        } => post(
            "permissions/undeletable",
            json!({"mailbox": mailbox, "trustee": trustee, "undeletable": undeletable}),
        ),
        Action::State => get("state"),
        Action::Mailboxes => get("mailboxes"),
        Action::Journal { clear: true, .. } => (Method::DELETE, "journal".to_owned(), None),
        Action::Journal {
            since: Some(sequence),
            ..
        } => get(&format!("journal?since={sequence}")),
        Action::Journal { .. } => get("journal"),
        Action::Faults { set: Some(text) } => (Method::PUT, "faults".to_owned(), Some(parse(&text)?)),
        Action::Faults { set: None } => get("faults"),
        Action::Setting { mailbox, name, value } => post(
            "settings",
            json!({"mailbox": mailbox, "name": name, "value": parse(&value)?}),
        ),
        Action::Parameter {
            cmdlet,
            parameter,
            rule,
        } => post(
            "parameters",
            json!({"cmdlet": cmdlet, "parameter": parameter, "rule": rule}),
        ),
        Action::Quirks { set: Some(text) } => (Method::PUT, "quirks".to_owned(), Some(parse(&text)?)),
        Action::Quirks { set: None } => get("quirks"),
        Action::Grants { set: Some(text) } => (Method::PUT, "grants".to_owned(), Some(parse(&text)?)),
        Action::Grants { set: None } => get("grants"),
    })
}

async fn send(server: &str, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
    let uri: Uri = server.parse().map_err(|error| format!("{server}: {error}"))?;
    if uri.scheme_str() != Some("http") {
        return Err(format!("{server}: the simulator speaks plain http://").into());
    }
    let host = uri
        .host()
        .ok_or_else(|| format!("{server}: there is no host in it"))?;
    let port = uri.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port))
        .await
        .map_err(|error| format!("{server}: {error}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(format!("/_simulator/{path}"))
        .header(http::header::HOST, format!("{host}:{port}"))
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let bytes = response.into_body().collect().await?.to_bytes();
    driver.abort();
    let answer: Value = serde_json::from_slice(&bytes)?;
    if status.is_success() {
        return Ok(answer);
    }
    let text = answer
        .get("error")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    Err(format!("{}: {text}", status.as_u16()).into())
}
