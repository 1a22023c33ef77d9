//! `InvokeCommand` and `$batch`: requests out, rows in.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, Method, Request, Uri};
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::parameters::Parameters;
use crate::exchange::learned::Anchor;
use crate::mail::{Domain, TenantGuid};

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
    /// Rows of a page at most, 1 to 1,000.
    page: u16,
}

impl Cmdlet {
    pub fn new(name: &'static str, effect: Effect) -> Self {
        Self {
            name,
            effect,
            parameters: Parameters::default(),
            select: Vec::new(),
            page: LARGEST_PAGE,
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

    /// In pages of so many rows, at most 1,000.
    pub fn in_pages_of(mut self, rows: u16) -> Self {
        self.page = rows.clamp(1, LARGEST_PAGE);
        self
    }

    /// The names of what it is given.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.parameters.names()
    }

    fn prefer(&self) -> String {
        format!("odata.maxpagesize={}", self.page)
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
    anchoring: Arc<Mutex<Anchoring>>,
}

/// What requests are anchored at.
#[derive(Debug, Default)]
struct Anchoring {
    anchor: Anchor,
    initial_domain: Option<Domain>,
}

/// The system mailbox that app-only clients anchor to. One anchor for everything in a tenant makes reads follow
/// writes on the same back end.
const ANCHOR: &str = "APP:SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}";

/// What the service gives at most, and without being asked.
const LARGEST_PAGE: u16 = 1000;

/// Without it a batch ends with the first of its calls that fails (OData JSON Format 4.01, 19.1). Microsoft's own module
/// sends it with the batch and with each call.
const CONTINUE: &str = "odata.continue-on-error";

/// The version of Microsoft's module whose requests these are like.
const MODULE: &str = "3.5.1";

impl AdminApi {
    pub fn new(base: &str, tenant: TenantGuid) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            tenant,
            connection_id: Uuid::new_v4(),
            anchoring: Arc::default(),
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
        let mut request = self.request(url, &cmdlet.body(), &cmdlet.prefer(), token, id)?;
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
                        "X-AnchorMailbox": self.anchor_header(),
                        "X-CmdletName": cmdlet.name,
                        "Prefer": format!("{}, {CONTINUE}", cmdlet.prefer()),
                    },
                    "body": cmdlet.body(),
                })
            })
            .collect();
        let url = format!("{}/adminapi/beta/{}/$batch", self.base, self.tenant);
        let body = json!({ "requests": requests });
        let prefer = format!("odata.maxpagesize={LARGEST_PAGE}, {CONTINUE}");
        self.request(&url, &body, &prefer, token, id)
    }

    fn request(
        &self,
        url: &str,
        body: &Value,
        prefer: &str,
        token: &SecretString,
        id: Uuid,
    ) -> Result<Request<Bytes>, http::Error> {
        self.addressed(Method::POST, url, token, id)?
            .header(http::header::CONTENT_TYPE, "application/json")
            .header("prefer", prefer)
            .body(Bytes::from(body.to_string()))
    }

    /// What every request carries.
    fn addressed(
        &self,
        method: Method,
        url: &str,
        token: &SecretString,
        id: Uuid,
    ) -> Result<http::request::Builder, http::Error> {
        let mut authorization = http::HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))?;
        authorization.set_sensitive(true);
        Ok(Request::builder()
            .method(method)
            .uri(url)
            .header(http::header::AUTHORIZATION, authorization)
            .header(http::header::ACCEPT, "application/json")
            .header("x-anchormailbox", self.anchor_header())
            .header("x-clientapplication", "shared-mailbox-operator")
            .header("connection-id", self.connection_id.to_string())
            .header("client-request-id", id.to_string()))
    }

    /// Which cmdlets the app's role has, as Microsoft's own module asks for it when it connects.
    pub fn cmdlets_of_role(&self, token: &SecretString, id: Uuid) -> Result<Request<Bytes>, http::Error> {
        let url = format!(
            "{}/adminapi/v1.0/{}/EXOModuleFile?Version={MODULE}",
            self.base, self.tenant
        );
        self.addressed(Method::GET, &url, token, id)?
            .header("commandname", "*")
            .body(Bytes::new())
    }

    /// Which anchor requests carry now.
    pub fn anchor(&self) -> Anchor {
        self.anchoring.lock().anchor
    }

    /// The domain under which the organisation began, `….onmicrosoft.com`.
    pub fn know_initial_domain(&self, domain: &Domain) {
        self.anchoring.lock().initial_domain = Some(domain.clone());
    }

    /// From now on requests are anchored at the initial domain. False when it is not known, or when they were already.
    pub fn anchor_at_initial_domain(&self) -> bool {
        let mut anchoring = self.anchoring.lock();
        let is_new = anchoring.initial_domain.is_some() && anchoring.anchor == Anchor::TenantId;
        if is_new {
            anchoring.anchor = Anchor::InitialDomain;
        }
        is_new
    }

    fn anchor_header(&self) -> String {
        let anchoring = self.anchoring.lock();
        match (anchoring.anchor, &anchoring.initial_domain) {
            (Anchor::InitialDomain, Some(domain)) => format!("{ANCHOR}@{domain}"),
            (Anchor::TenantId, _) | (Anchor::InitialDomain, None) => format!("{ANCHOR}@{}", self.tenant),
        }
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
