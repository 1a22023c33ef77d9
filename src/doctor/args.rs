//! The arguments of `doctor`, and what they come to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use secrecy::SecretString;
use uuid::Uuid;

use super::Scratch;
use crate::exchange::{ClientCertificate, Cloud, Connection, Credential, Endpoints};
use crate::mail::{SmtpAddress, TenantGuid};

/// Checks on a real tenant what the operator assumes of Exchange and Graph, by reads alone.
///
/// Exit codes: 0 nothing stands in the operator's way; 1 something that it needs is missing or otherwise; 2 the tenant
/// could not be checked, or nothing could be created; 3 the scratch mailbox could not be removed, and standard error says
/// how to do it by hand.
#[derive(Debug, Parser)]
pub struct Arguments {
    /// The Entra tenant's id, a GUID.
    #[arg(long, env = "SMO_TENANT_ID", value_name = "GUID")]
    pub tenant: TenantGuid,

    /// Application (client) id of the app registration, a GUID.
    #[arg(long, env = "SMO_CLIENT_ID", value_name = "GUID")]
    pub client_id: Uuid,

    /// A file that holds the client secret, and nothing else. Without it the environment variable SMO_CLIENT_SECRET does:
    /// what stands in arguments can be seen by everybody on the machine.
    #[arg(long, env = "SMO_CLIENT_SECRET_FILE", value_name = "FILE")]
    pub client_secret_file: Option<PathBuf>,

    /// A file that holds the app's certificate and its private key (RSA, PEM). It is tried before the client secret.
    #[arg(long, env = "SMO_CERTIFICATE_FILE", value_name = "FILE")]
    pub certificate: Option<PathBuf>,

    /// The service account token of workload identity federation, such as the operator's pod has. It is tried first.
    #[arg(long, env = "AZURE_FEDERATED_TOKEN_FILE", value_name = "FILE")]
    pub federated_token_file: Option<PathBuf>,

    /// The Microsoft cloud in which the tenant lives.
    #[arg(long, env = "SMO_CLOUD", value_enum, default_value_t = CloudName::Worldwide)]
    pub cloud: CloudName,

    /// Also writes: creates a shared mailbox with this address, which nobody may have, tries everything on it and removes
    /// it. Exchange keeps what is removed for 30 days.
    #[arg(long, value_name = "ADDRESS")]
    pub scratch: Option<SmtpAddress>,

    /// A person who gets Full Access, Send As and Send on Behalf on the scratch mailbox for a moment, without automapping.
    #[arg(long, value_name = "ADDRESS", requires = "scratch")]
    pub member: Option<SmtpAddress>,

    /// Writes what was found to a file that can be attached to an issue: no names, addresses, ids or tokens.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Certificates (PEM) of authorities that are trusted beside the system's, such as a proxy's that inspects TLS.
    #[arg(long, env = "SMO_EXTRA_CA", value_name = "FILE")]
    pub extra_ca: Option<PathBuf>,

    /// Another place for tokens, Exchange and Graph alike, such as a simulator: https://HOST, or http:// on this machine.
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CloudName {
    Worldwide,
    #[value(name = "GCCHigh")]
    GccHigh,
    #[value(name = "DoD")]
    Dod,
    China,
    Germany,
}

impl From<CloudName> for Cloud {
    fn from(name: CloudName) -> Self {
        match name {
            CloudName::Worldwide => Self::Worldwide,
            CloudName::GccHigh => Self::GccHigh,
            CloudName::Dod => Self::Dod,
            CloudName::China => Self::China,
            CloudName::Germany => Self::Germany,
        }
    }
}

/// Requests in flight, and writes a minute: as many as the operator's defaults allow.
const MAX_CONCURRENT: usize = 4;
const WRITES_PER_MINUTE: u32 = 120;

impl Arguments {
    /// `from_environment` is the value of SMO_CLIENT_SECRET. `Err`: which argument can't be used, and why.
    pub fn connection(&self, from_environment: Option<String>) -> Result<Connection, String> {
        let credentials = self.credentials(from_environment)?;
        let mut endpoints = Endpoints::for_cloud(self.cloud.into());
        if let Some(url) = &self.endpoint {
            let base = elsewhere(url)?;
            endpoints.authority.clone_from(&base);
            endpoints.exchange.clone_from(&base);
            endpoints.graph = base;
        }
        Ok(Connection {
            tenant: self.tenant,
            endpoints,
            client_id: self.client_id,
            credentials,
            max_concurrent: MAX_CONCURRENT,
            writes_per_minute: WRITES_PER_MINUTE,
        })
    }

    /// In the operator's order.
    fn credentials(&self, from_environment: Option<String>) -> Result<Vec<Credential>, String> {
        let mut credentials = Vec::new();
        if let Some(token_file) = self.federated_token_file.clone() {
            credentials.push(Credential::WorkloadIdentity { token_file });
        }
        if let Some(file) = &self.certificate {
            let text = text_of("--certificate", file)?;
            let certificate = ClientCertificate::parse(text.as_bytes(), text.as_bytes())
                .map_err(|error| format!("--certificate {}: {error}", file.display()))?;
            credentials.push(Credential::Certificate(Arc::new(certificate)));
        }
        let secret = match &self.client_secret_file {
            Some(file) => Some(text_of("--client-secret-file", file)?),
            None => from_environment,
        };
        match secret.as_deref().map(str::trim) {
            Some("") => return Err("the client secret is empty".to_owned()),
            Some(secret) => credentials.push(Credential::ClientSecret(SecretString::from(secret.to_owned()))),
            None => {}
        }
        if credentials.is_empty() {
            return Err(
                "name a file with --certificate, --client-secret-file or --federated-token-file, or set SMO_CLIENT_SECRET"
                    .to_owned(),
            );
        }
        Ok(credentials)
    }

    pub fn scratch(&self) -> Option<Scratch> {
        Some(Scratch {
            address: self.scratch.clone()?,
            member: self.member.clone(),
        })
    }
}

fn text_of(argument: &str, file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{argument} {}: {error}", file.display()))
}

/// The client secret would be readable on the way to plain http.
fn elsewhere(url: &str) -> Result<String, String> {
    let base = Endpoints::base_url(url).map_err(|error| format!("--endpoint: {error}"))?;
    let uri: http::Uri = base
        .parse()
        .map_err(|_| format!("--endpoint: {url:?} is no URL"))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if uri.scheme_str() == Some("https") || is_here {
        Ok(base)
    } else {
        Err("--endpoint: plain http only on this machine".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn parsed(more: &[&str]) -> Result<Arguments, clap::Error> {
        let given = [
            "doctor",
            "--tenant=11111111-2222-3333-4444-555555555555",
            "--client-id=66666666-7777-8888-9999-000000000000",
        ];
        Arguments::try_parse_from(given.iter().chain(more))
    }

    #[test]
    fn a_secret_comes_from_a_file_or_the_environment_and_from_no_argument() {
        let arguments = parsed(&[]).unwrap();
        let connection = arguments.connection(Some(" planted \n".to_owned())).unwrap();
        let [Credential::ClientSecret(secret)] = connection.credentials.as_slice() else {
            panic!("{:?}", connection.credentials)
        };
        assert_eq!(secret.expose_secret(), "planted");
        assert!(
            arguments
                .connection(None)
                .unwrap_err()
                .contains("SMO_CLIENT_SECRET")
        );
        assert!(arguments.connection(Some(" ".to_owned())).is_err());
        assert!(parsed(&["--client-secret=planted"]).is_err());
    }

    #[test]
    fn a_secret_leaves_over_tls_only() {
        let at = |url: &str| {
            parsed(&["--endpoint", url])
                .unwrap()
                .connection(Some("x".to_owned()))
        };
        assert_eq!(
            at("http://127.0.0.1:8800").unwrap().endpoints.graph,
            "http://127.0.0.1:8800"
        );
        assert!(at("https://simulator.example").is_ok());
        assert!(at("http://simulator.example").is_err() && at("http://127.0.0.1.example").is_err());
    }

    #[test]
    fn a_member_needs_a_scratch_mailbox() {
        assert!(parsed(&["--member=first.member@contoso.com"]).is_err());
        assert!(parsed(&["--scratch=x@contoso.com", "--member=first.member@contoso.com"]).is_ok());
    }
}
