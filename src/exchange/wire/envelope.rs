//! `InvokeCommand` and `$batch`: requests out, rows in.

use bytes::Bytes;
use http::{HeaderName, Method, Request, Uri};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::mail::TenantGuid;

use super::parameters::Parameters;

/// What repeating a cmdlet does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Read,
    /// Changes something; a repeat leads to the same end (Set-, Add-, Remove-: "already there" is a warning).
    Repeatable,
    /// Creates an object; a repeat may create a second one.
    Create,
}

impl Effect {
    pub fn is_write(self) -> bool {
        self != Self::Read
    }
}

/// One cmdlet, ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Cmdlet {
    pub name: &'static str,
    pub effect: Effect,
    parameters: Parameters,
    /// The output properties wanted; empty for all.
    select: Vec<&'static str>,
}

impl Cmdlet {
    pub fn new(name: &'static str, effect: Effect) -> Self {
        Self {
            name,
            effect,
            parameters: Parameters::default(),
            select: Vec::new(),
        }
    }

    pub fn read(name: &'static str, select: &[&'static str]) -> Self {
        Self {
            select: select.to_vec(),
            ..Self::new(name, Effect::Read)
        }
    }

    pub fn with(mut self, parameter: &str, value: impl Into<Value>) -> Self {
        self.parameters.set(parameter, value);
        self
    }

    /// With all of these beside what it has.
    pub fn with_all(mut self, parameters: &Parameters) -> Self {
        self.parameters.extend(parameters);
        self
    }

    fn body(&self) -> Value {
        json!({"CmdletInput": {"CmdletName": self.name, "Parameters": self.parameters.to_json()}})
    }
}

/// The rows and warnings of one answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub rows: Vec<Map<String, Value>>,
    pub warnings: Vec<String>,
    /// By which Microsoft's support finds the request.
    pub request_id: Option<String>,
    /// Where the next page is.
    pub next: Option<String>,
}

/// Builds requests to one tenant's admin API.
#[derive(Clone, Debug)]
pub struct AdminApi {
    base: String,
    tenant: TenantGuid,
    /// One connection id for the life of the gateway, for Microsoft's support.
    connection_id: Uuid,
}

/// The system mailbox that app-only clients anchor to. One anchor for everything in a tenant makes reads follow
/// writes on the same back end.
const ANCHOR: &str = "APP:SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}";

/// 1,000 rows is the service's maximum.
const PREFER: &str = "odata.maxpagesize=1000";

/// Without it a batch ends with the first of its calls that fails (OData JSON Format 4.01, 19.1). Microsoft's own module
/// sends it with the batch and with each call.
const PREFER_OF_BATCH: &str = "odata.maxpagesize=1000, odata.continue-on-error";

impl AdminApi {
    pub fn new(base: &str, tenant: TenantGuid) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            tenant,
            connection_id: Uuid::new_v4(),
        }
    }

    /// Where `cmdlet` is posted to.
    pub fn invoke_url(&self, cmdlet: &Cmdlet) -> String {
        let url = format!("{}/adminapi/beta/{}/InvokeCommand", self.base, self.tenant);
        if cmdlet.select.is_empty() {
            url
        } else {
            format!("{url}?$select={}", cmdlet.select.join(","))
        }
    }

    /// One cmdlet as a request of its own.
    pub fn invoke(
        &self,
        url: &str,
        cmdlet: &Cmdlet,
        token: &SecretString,
        id: Uuid,
    ) -> Result<Request<Bytes>, http::Error> {
        let mut request = self.request(url, &cmdlet.body(), PREFER, token, id)?;
        request.headers_mut().insert(
            HeaderName::from_static("x-cmdletname"),
            http::HeaderValue::from_static(cmdlet.name),
        );
        Ok(request)
    }

    /// Several cmdlets as one `$batch`. The ids of the items are their places in the list.
    pub fn batch<'a>(
        &self,
        items: impl Iterator<Item = (&'a str, &'a Cmdlet)>,
        token: &SecretString,
        id: Uuid,
    ) -> Result<Request<Bytes>, http::Error> {
        let requests: Vec<Value> = items
            .enumerate()
            .map(|(place, (url, cmdlet))| {
                json!({
                    "id": place.to_string(),
                    "method": "POST",
                    "url": url,
                    "headers": {
                        "Content-Type": "application/json",
                        "Accept": "application/json",
                        "Authorization": format!("Bearer {}", token.expose_secret()),
                        "X-AnchorMailbox": self.anchor(),
                        "X-CmdletName": cmdlet.name,
                        "Prefer": PREFER_OF_BATCH,
                    },
                    "body": cmdlet.body(),
                })
            })
            .collect();
        let url = format!("{}/adminapi/beta/{}/$batch", self.base, self.tenant);
        let body = json!({ "requests": requests });
        self.request(&url, &body, PREFER_OF_BATCH, token, id)
    }

    fn request(
        &self,
        url: &str,
        body: &Value,
        prefer: &'static str,
        token: &SecretString,
        id: Uuid,
    ) -> Result<Request<Bytes>, http::Error> {
        let mut authorization = http::HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))?;
        authorization.set_sensitive(true);
        Request::builder()
            .method(Method::POST)
            .uri(url)
            .header(http::header::AUTHORIZATION, authorization)
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::ACCEPT, "application/json")
            .header("prefer", prefer)
            .header("x-anchormailbox", self.anchor())
            .header("x-clientapplication", "shared-mailbox-operator")
            .header("connection-id", self.connection_id.to_string())
            .header("client-request-id", id.to_string())
            .body(Bytes::from(body.to_string()))
    }

    fn anchor(&self) -> String {
        format!("{ANCHOR}@{}", self.tenant)
    }

    /// True when `url` has our scheme, host and port, so that the token may be sent there.
    pub fn is_ours(&self, url: &str) -> bool {
        let (Ok(ours), Ok(theirs)) = (self.base.parse::<Uri>(), url.parse::<Uri>()) else {
            return false;
        };
        origin(&ours).is_some_and(|origin_of_ours| origin(&theirs) == Some(origin_of_ours))
    }
}

/// Scheme, host (hosts have no case) and port.
fn origin(uri: &Uri) -> Option<(String, String, u16)> {
    let scheme = uri.scheme_str()?.to_owned();
    let authority = uri.authority()?;
    if authority.as_str().contains('@') {
        return None;
    }
    let port = authority
        .port_u16()
        .unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some((scheme, authority.host().to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api() -> AdminApi {
        AdminApi::new(
            "https://outlook.office365.com",
            "11111111-2222-3333-4444-555555555555".parse().unwrap(),
        )
    }

    #[test]
    fn a_cmdlet_is_posted_with_the_anchor_of_its_tenant() {
        let cmdlet = Cmdlet::read("Get-Mailbox", &["Alias", "Guid"]).with("Identity", "x");
        let url = api().invoke_url(&cmdlet);
        assert_eq!(
            url,
            "https://outlook.office365.com/adminapi/beta/11111111-2222-3333-4444-555555555555/InvokeCommand?$select=Alias,Guid"
        );
        let request = api()
            .invoke(&url, &cmdlet, &SecretString::from("abc"), Uuid::nil())
            .unwrap();
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(
            body,
            json!({"CmdletInput": {"CmdletName": "Get-Mailbox", "Parameters": {"Identity": "x"}}})
        );
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(
            header("x-anchormailbox"),
            "APP:SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}@11111111-2222-3333-4444-555555555555"
        );
        assert_eq!(header("authorization"), "Bearer abc");
        assert_eq!(header("prefer"), "odata.maxpagesize=1000");
        assert_eq!(header("x-clientapplication"), "shared-mailbox-operator");
        assert!(
            !format!("{:?}", request.headers()).contains("Bearer"),
            "the token would be logged"
        );
    }

    #[test]
    fn a_cmdlet_without_parameters_sends_an_object_not_null() {
        assert_eq!(
            Cmdlet::read("Get-AcceptedDomain", &[]).body(),
            json!({"CmdletInput": {"CmdletName": "Get-AcceptedDomain", "Parameters": {}}})
        );
    }

    #[test]
    fn a_batch_item_carries_url_headers_and_body_of_its_own() {
        let one = Cmdlet::read("Get-Mailbox", &["Alias"]).with("Identity", "x");
        let url = api().invoke_url(&one);
        let request = api()
            .batch(
                [(url.as_str(), &one), (url.as_str(), &one)].into_iter(),
                &SecretString::from("abc"),
                Uuid::nil(),
            )
            .unwrap();
        assert!(request.uri().path().ends_with("/$batch"));
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        let item = &body["requests"][1];
        assert_eq!(item["id"], "1");
        assert_eq!(item["method"], "POST");
        assert_eq!(item["url"], url);
        assert_eq!(item["headers"]["Authorization"], "Bearer abc");
        let prefer = request.headers()["prefer"].to_str().unwrap();
        assert!(prefer.contains("odata.continue-on-error"), "{prefer}");
        assert_eq!(item["headers"]["Prefer"], prefer);
        assert_eq!(item["body"], one.body());
    }

    #[test]
    fn only_the_very_same_origin_is_ours() {
        for ours in [
            "https://outlook.office365.com/x?y",
            "https://OUTLOOK.office365.com:443/x",
        ] {
            assert!(api().is_ours(ours), "{ours}");
        }
        for other in [
            "http://outlook.office365.com/x",
            "https://outlook.office365.com:8443/x",
            "https://outlook.office365.com.example/x",
            "https://outlook.office365.com@example.com/x",
            "https://example.com/outlook.office365.com",
            "/x",
            "",
        ] {
            assert!(!api().is_ours(other), "{other}");
        }
    }
}
