//! What proves to Entra which app asks: client secret, certificates, and service accounts of another issuer.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Entra takes no assertion that lives longer.
const LONGEST_LIFE: i64 = 600;

/// What the app registration knows.
#[derive(Clone)]
pub struct Credentials {
    secret: String,
    certificates: Vec<Known>,
    federation: Option<Federation>,
}

/// The public half of a certificate.
#[derive(Clone)]
struct Known {
    thumbprint: String,
    key: Vec<u8>,
    not_after: i64,
}

/// A federated credential: whose tokens count as the app's. Compared with upper and lower case.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Federation {
    pub issuer: String,
    /// `system:serviceaccount:NAMESPACE:NAME`
    pub subject: String,
    pub audience: String,
}

/// Who asks, where and when.
pub struct App {
    pub client_id: Uuid,
    /// The path of the token endpoint.
    pub endpoint: String,
    pub now: Timestamp,
}

/// Entra's code, and its words.
pub struct Refused {
    pub code: u32,
    pub text: String,
}

fn refused<T>(code: u32, text: impl Into<String>) -> Result<T, Refused> {
    Err(Refused {
        code,
        text: text.into(),
    })
}

impl Credentials {
    pub fn new(secret: String) -> Self {
        Self {
            secret,
            certificates: Vec::new(),
            federation: None,
        }
    }

    pub fn set_secret(&mut self, secret: String) {
        self.secret = secret;
    }

    /// `certificates`: each in DER; one that can't be read is left out.
    pub fn set_certificates(&mut self, certificates: &[Vec<u8>]) {
        let known = |der: &Vec<u8>| {
            let tbs = Certificate::from_der(der).ok()?.tbs_certificate;
            Some(Known {
                thumbprint: URL_SAFE_NO_PAD.encode(digest(&SHA256, der)),
                key: tbs
                    .subject_public_key_info
                    .subject_public_key
                    .raw_bytes()
                    .to_vec(),
                not_after: i64::try_from(tbs.validity.not_after.to_unix_duration().as_secs()).ok()?,
            })
        };
        self.certificates = certificates.iter().filter_map(known).collect();
    }

    pub fn set_federation(&mut self, federation: Option<Federation>) {
        self.federation = federation;
    }

    /// Whether the form of a token request, of which `field` gives the values, comes from the app.
    pub fn check<'a>(&self, app: &App, field: &impl Fn(&str) -> &'a str) -> Result<(), Refused> {
        let assertion = field("client_assertion");
        if assertion.is_empty() && field("client_secret").is_empty() {
            return refused(
                7_000_218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            );
        }
        if assertion.is_empty() {
            if field("client_secret") == self.secret {
                return Ok(());
            }
            let text = format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, \
                 not the client secret ID, for a secret added to app '{}'.",
                app.client_id
            );
            return refused(7_000_215, text);
        }
        if field("client_assertion_type") != ASSERTION_TYPE {
            return refused(
                900_144,
                "The request body must contain the parameter 'client_assertion_type'.",
            );
        }
        let Some(jwt) = Jwt::read(assertion) else {
            return refused(50_027, "JWT token is invalid or malformed.");
        };
        if jwt.text("iss") == app.client_id.to_string() {
            self.check_certificate(app, &jwt)
        } else {
            self.check_federation(app, &jwt)
        }
    }

    fn check_certificate(&self, app: &App, jwt: &Jwt<'_>) -> Result<(), Refused> {
        let invalid = |why: &str| {
            refused(
                700_027,
                format!("Client assertion contains an invalid signature. [Reason - {why}]"),
            )
        };
        let named = |known: &&Known| jwt.header["x5t#S256"] == known.thumbprint.as_str();
        let Some(known) = self.certificates.iter().find(named) else {
            return invalid("The key was not found.");
        };
        if known.not_after <= app.now.as_second() {
            return invalid("The key used is expired.");
        }
        let key = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, &known.key);
        if jwt.header["alg"] != "PS256" || key.verify(jwt.signed.as_bytes(), &jwt.signature).is_err() {
            return invalid("The provided signature value did not match the expected signature value.");
        }
        if jwt.text("sub") != app.client_id.to_string() {
            return refused(
                700_021,
                "Client assertion application identifier doesn't match 'client_id' parameter.",
            );
        }
        if !jwt.text("aud").ends_with(&app.endpoint) {
            return refused(
                700_023,
                "Client assertion audience claim does not match Realm issuer.",
            );
        }
        jwt.check_time(app.now)
    }

    /// Whose signature it is is not checked: the simulated tenant can't ask the issuer for its keys.
    fn check_federation(&self, app: &App, jwt: &Jwt<'_>) -> Result<(), Refused> {
        let Some(Federation {
            issuer,
            subject,
            audience,
        }) = &self.federation
        else {
            return refused(
                70_021,
                "No matching federated identity record found for presented assertion.",
            );
        };
        for (claim, wanted, code) in [
            ("iss", issuer, 700_211),
            ("sub", subject, 700_213),
            ("aud", audience, 700_212),
        ] {
            let given = match &jwt.claims[claim] {
                // Kubernetes writes audiences as a list.
                Value::Array(all) => all.iter().any(|one| one == wanted.as_str()),
                one @ (Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Object(_)) => one == wanted.as_str(),
            };
            if !given {
                let text = format!(
                    "No matching federated identity record found for presented assertion {claim}: check your federated \
                     identity credential Subject, Audience and Issuer against the presented assertion."
                );
                return refused(code, text);
            }
        }
        let ends = jwt.claims["exp"].as_i64().unwrap_or_default();
        if ends <= app.now.as_second() {
            return refused(700_024, outside_its_time(app.now));
        }
        Ok(())
    }
}

/// Another text each time.
fn outside_its_time(now: Timestamp) -> String {
    format!(
        "Client assertion is not within its valid time range. Current time: {now}, expiry time of assertion"
    )
}

/// A signed token, taken apart.
struct Jwt<'a> {
    header: Value,
    claims: Value,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Jwt<'a> {
    fn read(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        Some(Self {
            header: json(header)?,
            claims: json(claims)?,
            signed,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    fn text(&self, claim: &str) -> &str {
        self.claims[claim].as_str().unwrap_or_default()
    }

    fn check_time(&self, at: Timestamp) -> Result<(), Refused> {
        let seconds = |claim: &str| self.claims[claim].as_i64().unwrap_or_default();
        let (from, to, now) = (seconds("nbf"), seconds("exp"), at.as_second());
        if from <= now && now < to && to - from <= LONGEST_LIFE {
            Ok(())
        } else {
            refused(700_024, outside_its_time(at))
        }
    }
}
