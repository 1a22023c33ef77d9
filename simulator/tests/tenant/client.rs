//! A client of its own, so that the tests see what is on the wire.

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use simulator::{Dropped, Seed, Simulator};

pub const TENANT: &str = "11111111-2222-3333-4444-555555555555";
pub const CLIENT: &str = "66666666-7777-8888-9999-000000000000";
pub const EXCHANGE: &str = "https://outlook.office365.com/.default";
pub const GRAPH: &str = "https://graph.microsoft.com/.default";

pub struct Client {
    pub tenant: Simulator,
    pub exchange: String,
    pub graph: String,
}

/// An answer, with its body as JSON where it is JSON.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub bytes: Bytes,
    pub json: Value,
}

/// What an error answer says.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure<'a> {
    pub status: u16,
    /// The last part of the .NET type.
    pub kind: &'a str,
}

pub fn failure(status: u16, kind: &str) -> Failure<'_> {
    Failure { status, kind }
}

impl Answer {
    pub fn of(response: Response<Bytes>) -> Self {
        let json = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
        let (parts, bytes) = response.into_parts();
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            bytes,
            json,
        }
    }

    pub fn rows(&self) -> &[Value] {
        assert_eq!(self.status, 200, "{self:?}");
        self.json["value"].as_array().unwrap()
    }

    pub fn one(&self) -> &Value {
        assert_eq!(self.rows().len(), 1, "{self:?}");
        &self.rows()[0]
    }

    pub fn warnings(&self) -> Vec<&str> {
        assert_eq!(self.status, 200, "{self:?}");
        self.json["@adminapi.warnings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|w| w.as_str().unwrap())
            .collect()
    }

    pub fn failure(&self) -> Failure<'_> {
        let kind = self.json["error"]["innererror"]["internalexception"]["type"].as_str();
        failure(self.status, kind.unwrap_or_default().rsplit('.').next().unwrap())
    }

    pub fn message(&self) -> &str {
        self.json["error"]["innererror"]["internalexception"]["message"]
            .as_str()
            .unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub fn form(fields: &[(&str, &str)]) -> Bytes {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    form.finish().into()
}

pub async fn ask_token(tenant: &Simulator, path: &str, fields: &[(&str, &str)]) -> Answer {
    let request = Request::post(format!("https://login.microsoftonline.com{path}"))
        .body(form(fields))
        .unwrap();
    Answer::of(tenant.handle(request).await.unwrap())
}

pub async fn token(tenant: &Simulator, scope: &str) -> String {
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT),
        ("client_secret", "simulated-secret"),
        ("scope", scope),
    ];
    let answer = ask_token(tenant, &format!("/{TENANT}/oauth2/v2.0/token"), &fields).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json["access_token"].as_str().unwrap().to_owned()
}

impl Client {
    pub async fn contoso() -> Self {
        Self::of(Seed::contoso()).await
    }

    pub async fn of(seed: Seed) -> Self {
        let tenant = Simulator::new(seed);
        let exchange = token(&tenant, EXCHANGE).await;
        let graph = token(&tenant, GRAPH).await;
        tenant.control().clear_journal();
        Self {
            tenant,
            exchange,
            graph,
        }
    }

    pub async fn post(&self, url: &str, body: &Value, headers: &[(&str, &str)]) -> Result<Answer, Dropped> {
        let url = if url.starts_with("http") {
            url.to_owned()
        } else {
            format!("https://outlook.office365.com/adminapi/beta/{TENANT}/{url}")
        };
        let mut request = Request::post(url).header("authorization", format!("Bearer {}", self.exchange));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::from(body.to_string())).unwrap();
        Ok(Answer::of(self.tenant.handle(request).await?))
    }

    pub async fn try_run(&self, cmdlet: &str, parameters: Value) -> Result<Answer, Dropped> {
        self.post("InvokeCommand", &input(cmdlet, parameters), &[]).await
    }

    pub async fn run(&self, cmdlet: &str, parameters: Value) -> Answer {
        self.try_run(cmdlet, parameters).await.unwrap()
    }

    /// Makes a shared mailbox and answers its row.
    pub async fn new_mailbox(&self, address: &str) -> Value {
        let local = address.split('@').next().unwrap();
        let parameters =
            json!({"Name": local, "Shared": true, "Alias": local, "PrimarySmtpAddress": address});
        self.run("New-Mailbox", parameters).await.one().clone()
    }

    pub async fn graph(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.graph_with(method, path, body, &[]).await
    }

    pub async fn graph_with(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("https://graph.microsoft.com/v1.0{path}"))
            .header("authorization", format!("Bearer {}", self.graph));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(body.map(|body| Bytes::from(body.to_string())).unwrap_or_default())
            .unwrap();
        Answer::of(self.tenant.handle(request).await.unwrap())
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a `json!` literal is handed over at every call"
)]
pub fn input(cmdlet: &str, parameters: Value) -> Value {
    json!({"CmdletInput": {"CmdletName": cmdlet, "Parameters": parameters}})
}

pub fn table(add: &[&str], remove: &[&str]) -> Value {
    let mut table = json!({"@odata.type": "#Exchange.GenericHashTable"});
    if !add.is_empty() {
        table["add"] = add.into();
    }
    if !remove.is_empty() {
        table["remove"] = remove.into();
    }
    table
}
