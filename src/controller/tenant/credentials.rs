//! The credentials that an ExchangeTenant names: read from Secrets, and what there is to say about them.

use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Api, ResourceExt};
use secrecy::SecretString;

use super::fault::Fault;
use super::refusals;
use crate::api::condition::{Kind, Verdict, whole_seconds};
use crate::api::reason::Reason;
use crate::api::{CertificateRef, CredentialInUse, CredentialName, EXPIRES_AT, ExchangeTenant, SecretKeyRef};
use crate::controller::context::Context;
use crate::controller::state::tenants::CredentialFacts;
use crate::exchange::{ClientCertificate, Credential, CredentialKind, Tried};

/// Keys of a kubernetes.io/tls Secret.
const CERTIFICATE_KEY: &str = "tls.crt";
const PRIVATE_KEY: &str = "tls.key";
/// From here on it is worth saying that a credential ends.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// One that can be used, and when it ends, where that is known.
struct Usable {
    credential: Credential,
    ends: Option<Timestamp>,
}

/// Every credential that can be used, in the order in which they are tried. One that can't be is reported beside the others,
/// and is an error only when there is no other.
pub async fn read(context: &Context, object: &ExchangeTenant) -> Result<Vec<Credential>, Fault> {
    let spec = &object.spec.credentials;
    let mut found = Vec::new();
    if spec.workload_identity.is_some() {
        found.push((CredentialKind::WorkloadIdentity, workload_identity(context)));
    }
    if let Some(reference) = &spec.certificate_secret_ref {
        found.push((CredentialKind::Certificate, certificate(context, reference).await));
    }
    if let Some(reference) = &spec.client_secret_ref {
        found.push((
            CredentialKind::ClientSecret,
            client_secret(context, reference).await,
        ));
    }
    let mut facts = CredentialFacts::default();
    let (mut usable, mut first_reason) = (Vec::new(), None);
    for (kind, read) in found {
        match read {
            Ok(Usable { credential, ends }) => {
                facts.ends.extend(ends.map(|ends| (kind, ends)));
                usable.push(credential);
            }
            // The Secret may be there in a moment, and which one would be used instead must not depend on that.
            Err(fault @ (Fault::Unreachable(_) | Fault::ServedByAnother { .. })) => return Err(fault),
            Err(Fault::Stalled {
                reason,
                message,
                authenticated: _,
            }) => {
                facts.unusable.push((kind, message));
                first_reason.get_or_insert(reason);
            }
        }
    }
    let unusable: Vec<String> = facts.unusable.iter().map(|(_, why)| why.clone()).collect();
    context.state.tenants.set_credentials(&object.name_any(), facts);
    if usable.is_empty() {
        let reason = first_reason.unwrap_or(Reason::InvalidSpec);
        return Err(Fault::stalled(reason, unusable.join("; ")));
    }
    Ok(usable)
}

fn workload_identity(context: &Context) -> Result<Usable, Fault> {
    let Some(token_file) = context.settings.federated_token_file.clone() else {
        return Err(Fault::stalled(
            Reason::WorkloadIdentityNotMounted,
            "spec.credentials.workloadIdentity needs a service account token in the operator's pod: set \
             workloadIdentity.enabled=true in the operator's chart (or --federated-token-file)",
        ));
    };
    Ok(Usable {
        credential: Credential::WorkloadIdentity { token_file },
        ends: None,
    })
}

async fn certificate(context: &Context, reference: &CertificateRef) -> Result<Usable, Fault> {
    let CertificateRef { name, key } = reference;
    let (secret, place) = secret(context, name, "certificateSecretRef").await?;
    let (certificates, private) = match key {
        Some(key) => (key.as_str(), key.as_str()),
        None => (CERTIFICATE_KEY, PRIVATE_KEY),
    };
    let certificates = value(&secret, &place, certificates)?;
    let private = value(&secret, &place, private)?;
    let certificate = ClientCertificate::parse(certificates, private).map_err(|error| {
        Fault::stalled(
            Reason::CertificateUnusable,
            format!("{place} can't be used: {error}"),
        )
    })?;
    Ok(Usable {
        ends: Some(certificate.not_after()),
        credential: Credential::Certificate(Arc::new(certificate)),
    })
}

async fn client_secret(context: &Context, reference: &SecretKeyRef) -> Result<Usable, Fault> {
    let SecretKeyRef { name, key } = reference;
    let (secret, place) = secret(context, name, "clientSecretRef").await?;
    let bytes = value(&secret, &place, key)?;
    match std::str::from_utf8(bytes).map(str::trim) {
        Ok(text) if !text.is_empty() => Ok(Usable {
            credential: Credential::ClientSecret(SecretString::from(text.to_owned())),
            ends: secret.annotations().get(EXPIRES_AT).and_then(|text| expiry(text)),
        }),
        _ => Err(Fault::stalled(
            Reason::SecretKeyNotFound,
            format!("{place}, key {key:?}: empty or not text"),
        )),
    }
}

/// A Secret of the operator's namespace, and how a message names it.
async fn secret(context: &Context, name: &str, field: &str) -> Result<(Secret, String), Fault> {
    let namespace = &context.settings.operator_namespace;
    let place = format!("the Secret {namespace}/{name}");
    let api: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
    match api.get_opt(name).await {
        Ok(Some(found)) => Ok((found, place)),
        Ok(None) => {
            let text = format!("{place}, which spec.credentials.{field} names, does not exist: create it");
            Err(Fault::stalled(Reason::SecretNotFound, text))
        }
        Err(kube::Error::Api(status)) if status.is_forbidden() => {
            let text =
                format!("{place} may not be read: name it in the operator's role (credentials.secretNames)");
            Err(Fault::stalled(Reason::SecretForbidden, text))
        }
        Err(error) => Err(Fault::Unreachable(format!("{place} could not be read: {error}"))),
    }
}

fn value<'a>(secret: &'a Secret, place: &str, key: &str) -> Result<&'a [u8], Fault> {
    let bytes = secret.data.as_ref().and_then(|data| data.get(key));
    bytes
        .map(|bytes| bytes.0.as_slice())
        .ok_or_else(|| Fault::stalled(Reason::SecretKeyNotFound, format!("{place} has no key {key:?}")))
}

/// A point in time, or a day, which counts from its start. Anything else is logged and is no expiry.
fn expiry(text: &str) -> Option<Timestamp> {
    let day = || {
        Some(
            text.parse::<Date>()
                .ok()?
                .to_zoned(TimeZone::UTC)
                .ok()?
                .timestamp(),
        )
    };
    let found = text.parse().ok().or_else(day);
    if found.is_none() {
        tracing::warn!(
            annotation = EXPIRES_AT,
            "is neither a date (2027-01-31) nor a time (RFC 3339)"
        );
    }
    found
}

/// The credential in use, as the status shows it.
pub fn in_use(facts: &CredentialFacts, kind: CredentialKind) -> CredentialInUse {
    let ends = facts.ends.iter().find(|(of, _)| *of == kind);
    CredentialInUse {
        kind: match kind {
            CredentialKind::WorkloadIdentity => CredentialName::WorkloadIdentity,
            CredentialKind::Certificate => CredentialName::Certificate,
            CredentialKind::ClientSecret => CredentialName::ClientSecret,
        },
        not_after: ends.map(|(_, ends)| Time(whole_seconds(*ends))),
    }
}

/// The advisory that a credential ends within 30 days, or has ended. It names days, so that it stays as it is.
pub fn expiring(facts: &CredentialFacts, now: Timestamp) -> Option<Verdict> {
    let soon: Vec<String> = facts
        .ends
        .iter()
        .filter(|(_, ends)| ends.duration_since(now) <= SOON)
        .map(|(kind, ends)| {
            let verb = if *ends <= now { "ended" } else { "ends" };
            format!("the {} {verb} on {}", kind.words(), ends.strftime("%Y-%m-%d"))
        })
        .collect();
    (!soon.is_empty()).then(|| {
        let text = format!(
            "{}: make a new one (docs/operations.md, \"Renew the credential\")",
            soon.join(", and ")
        );
        Verdict::new(Kind::CredentialExpiring, true, Reason::EndsSoon, text)
    })
}

/// The advisory that a credential does not work, and another one is used in its place. Of Entra's words only the code is
/// reported: they hold the time.
pub fn refused(facts: &CredentialFacts, tried: &Tried) -> Option<Verdict> {
    let unusable = facts.unusable.iter().map(|(kind, why)| (*kind, why.clone()));
    let denied = tried
        .refused
        .iter()
        .map(|(kind, error)| (*kind, refusals::advice(error)));
    let each: Vec<String> = unusable
        .chain(denied)
        .map(|(kind, why)| format!("{}: {why}", kind.words()))
        .collect();
    let (reason, instead) = match tried.accepted {
        Some(kind) => (
            Reason::AnotherIsUsed,
            format!("the {} is used instead", kind.words()),
        ),
        None => (
            Reason::LastTokenIsUsed,
            "the last token is used until it ends".to_owned(),
        ),
    };
    (!each.is_empty()).then(|| {
        let text = format!("{}; {instead}", each.join("; "));
        Verdict::new(Kind::CredentialRefused, true, reason, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_day_or_a_time_and_nothing_else() {
        let midnight = "2027-01-31T00:00:00Z".parse().unwrap();
        assert_eq!(expiry("2027-01-31"), Some(midnight));
        assert_eq!(expiry("2027-01-31T02:00:00+02:00"), Some(midnight));
        assert_eq!(expiry("next year"), None);
    }

    #[test]
    fn a_credential_is_said_to_end_from_thirty_days_before_on() {
        let ends: Timestamp = "2027-01-31T00:00:00Z".parse().unwrap();
        let facts = CredentialFacts {
            ends: vec![(CredentialKind::Certificate, ends)],
            ..CredentialFacts::default()
        };
        let said = |now: &str| expiring(&facts, now.parse().unwrap()).map(|verdict| verdict.message);
        assert_eq!(said("2026-12-31T23:59:59Z"), None);
        let before = said("2027-01-01T00:00:01Z").unwrap();
        assert!(
            before.starts_with("the certificate ends on 2027-01-31"),
            "{before}"
        );
        assert_eq!(
            said("2027-01-30T00:00:00Z"),
            Some(before),
            "the status is not written daily"
        );
        assert!(said("2027-02-01T00:00:00Z").unwrap().contains("ended on"));
    }
}
