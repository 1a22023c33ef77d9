//! A certificate whose public half the app registration knows.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PSS_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

/// An assertion is used at once; Entra accepts up to ten minutes.
const LIFETIME: SignedDuration = SignedDuration::from_mins(9);
/// The two clocks may differ by so much.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// An RSA key with its certificate. Debug shows the certificate's thumbprint only.
pub struct ClientCertificate {
    key: KeyPair,
    /// SHA-256 of the certificate, as `x5t#S256` has it.
    thumbprint: String,
    not_after: Timestamp,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key: _,
            thumbprint,
            not_after,
        } = self;
        f.debug_struct("ClientCertificate")
            .field("thumbprint", thumbprint)
            .field("not_after", not_after)
            .finish_non_exhaustive()
    }
}

/// Why nothing can be signed with it. Shows nothing of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableCertificate {
    #[error("it holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    #[error("the certificate can't be read")]
    Unreadable,
    #[error("it holds no private key in PEM form (-----BEGIN PRIVATE KEY-----), or an encrypted one")]
    NoKey,
    #[error("the private key is no RSA key of 2048 to 8192 bits, the only kind that Entra accepts of an app")]
    NotRsa,
    #[error("the private key is not the certificate's")]
    AnotherKey,
}

impl ClientCertificate {
    /// Of a kubernetes.io/tls Secret: `certificates`, in any order, and `key`; or twice the same text that holds both. The
    /// app's own certificate is the one of the key.
    pub fn parse(certificates: &[u8], key: &[u8]) -> Result<Self, UnusableCertificate> {
        let chain: Result<Vec<CertificateDer<'_>>, _> =
            CertificateDer::pem_slice_iter(certificates).collect();
        let chain = chain.map_err(|_| UnusableCertificate::NoCertificate)?;
        if chain.is_empty() {
            return Err(UnusableCertificate::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| UnusableCertificate::NoKey)?;
        let key = match &key {
            PrivateKeyDer::Pkcs8(key) => KeyPair::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(key) => KeyPair::from_der(key.secret_pkcs1_der()),
            PrivateKeyDer::Sec1(_) | _ => return Err(UnusableCertificate::NotRsa),
        }
        .map_err(|_| UnusableCertificate::NotRsa)?;
        let mut why = UnusableCertificate::AnotherKey;
        for der in chain {
            let Ok(certificate) = Certificate::from_der(&der) else {
                why = UnusableCertificate::Unreadable;
                continue;
            };
            let tbs = &certificate.tbs_certificate;
            let public = tbs.subject_public_key_info.subject_public_key.raw_bytes();
            if public != key.public_key().as_ref() {
                continue;
            }
            let seconds = tbs.validity.not_after.to_unix_duration().as_secs();
            let not_after = i64::try_from(seconds).map(Timestamp::from_second);
            return Ok(Self {
                key,
                thumbprint: URL_SAFE_NO_PAD.encode(digest(&SHA256, &der)),
                // One without an end has a date that is later than any here.
                not_after: not_after.ok().and_then(Result::ok).unwrap_or(Timestamp::MAX),
            });
        }
        Err(why)
    }

    /// When it ends.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Differs for each certificate. Nothing secret.
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// A signed assertion (RFC 7523) for the token endpoint `audience`, good for nine minutes. PS256 and `x5t#S256` are
    /// what Microsoft documents (learn.microsoft.com/entra/identity-platform/certificate-credentials).
    pub(super) fn assertion(
        &self,
        client_id: Uuid,
        audience: &str,
        now: Timestamp,
    ) -> Result<SecretString, String> {
        let header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint });
        let claims = json!({
            "aud": audience,
            "iss": client_id,
            "sub": client_id,
            "jti": Uuid::new_v4(),
            "nbf": (now - SKEW).as_second(),
            "iat": now.as_second(),
            "exp": (now + LIFETIME).as_second(),
        });
        let signed = [header, claims]
            .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
            .join(".");
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(
                &RSA_PSS_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .map_err(|_| "nothing could be signed with the certificate's key".to_owned())?;
        Ok(SecretString::from(format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(signature)
        )))
    }
}

#[cfg(test)]
mod tests;
