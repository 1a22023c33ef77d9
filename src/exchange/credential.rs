//! How the operator proves to Entra which app it is.

mod certificate;

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use crate::clock::Clock;

pub use certificate::{ClientCertificate, UnusableCertificate};

/// What marks an assertion in a token request (RFC 7523).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Tokens of service accounts have one or two kilobytes.
const LONGEST_TOKEN: usize = 64 * 1024;

/// One way to prove it. Debug shows nothing secret.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A service account token that Kubernetes projects into a file, which Entra accepts as it is (workload identity
    /// federation). Kubernetes rotates it, so it is read for each request.
    WorkloadIdentity {
        token_file: PathBuf,
    },
    Certificate(Arc<ClientCertificate>),
    ClientSecret(SecretString),
}

/// In the order in which they are tried: what can't leak first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumIter)]
pub enum CredentialKind {
    WorkloadIdentity,
    Certificate,
    ClientSecret,
}

impl CredentialKind {
    /// As a message names it.
    pub fn words(self) -> &'static str {
        match self {
            Self::WorkloadIdentity => "workload identity",
            Self::Certificate => "certificate",
            Self::ClientSecret => "client secret",
        }
    }
}

/// What one token request proves it with. Wiped when dropped.
pub(super) enum Proof {
    Assertion(SecretString),
    Secret(SecretString),
}

impl Proof {
    /// The fields of the form beside client id, scope and grant type.
    pub fn fields(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Assertion(token) => vec![
                ("client_assertion_type", ASSERTION_TYPE),
                ("client_assertion", token.expose_secret()),
            ],
            Self::Secret(secret) => vec![("client_secret", secret.expose_secret())],
        }
    }

    /// `text` without the proof: Entra never shows it; a test double or a proxy may.
    pub fn hidden_in(&self, text: &str) -> String {
        let (Self::Assertion(secret) | Self::Secret(secret)) = self;
        let secret = secret.expose_secret();
        if secret.is_empty() {
            text.to_owned()
        } else {
            text.replace(secret, "[secret]")
        }
    }
}

impl Credential {
    pub fn kind(&self) -> CredentialKind {
        match self {
            Self::WorkloadIdentity { .. } => CredentialKind::WorkloadIdentity,
            Self::Certificate(_) => CredentialKind::Certificate,
            Self::ClientSecret(_) => CredentialKind::ClientSecret,
        }
    }

    /// Proves it to the token endpoint `url`. `Err`: what is wrong on this side.
    pub(super) async fn proof(&self, client_id: Uuid, url: &str, clock: Clock) -> Result<Proof, String> {
        match self {
            Self::WorkloadIdentity { token_file } => {
                let shown = token_file.display();
                // A small file in memory, as Kubernetes projects it; still nothing that the runtime should wait for.
                let path = token_file.clone();
                let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path));
                let text = match read.await {
                    Ok(Ok(text)) => text,
                    Ok(Err(error)) => {
                        return Err(format!(
                            "the service account token {shown} can't be read: {error}"
                        ));
                    }
                    Err(error) => {
                        return Err(format!("the service account token {shown} was not read: {error}"));
                    }
                };
                let token = text.trim();
                if token.is_empty() || token.len() > LONGEST_TOKEN {
                    return Err(format!("{shown} holds no service account token"));
                }
                Ok(Proof::Assertion(SecretString::from(token.to_owned())))
            }
            Self::Certificate(certificate) => certificate
                .assertion(client_id, url, clock.now())
                .map(Proof::Assertion),
            Self::ClientSecret(secret) => Ok(Proof::Secret(secret.clone())),
        }
    }
}
