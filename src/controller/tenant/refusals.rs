//! What Entra's refusals mean, and what to do.

use crate::api::reason::Reason;
use crate::exchange::ExchangeError;

struct Refusal {
    /// Entra's codes, without their prefix AADSTS.
    codes: &'static [u32],
    /// None: it may pass, as issuers are slow at times.
    reason: Option<Reason>,
    advice: &'static str,
}

/// Codes as in learn.microsoft.com/entra/identity-platform/reference-error-codes, those of federation as
/// azure/azure-workload-identity meets them. Microsoft may change them: what is not listed is `CredentialsRefused`, with
/// Entra's own words.
const REFUSALS: [Refusal; 11] = [
    Refusal {
        codes: &[90_002, 900_021, 900_023],
        reason: Some(Reason::TenantUnknown),
        advice: "Entra knows no such tenant: check spec.tenantId and spec.cloud",
    },
    Refusal {
        codes: &[700_016],
        reason: Some(Reason::AppUnknown),
        advice: "the tenant has no app with spec.credentials.clientId: check the id, and that the app is registered in \
                 this tenant",
    },
    Refusal {
        codes: &[7_000_112],
        reason: Some(Reason::AppDisabled),
        advice: "the app is disabled in Entra: enable sign-in of its enterprise application",
    },
    Refusal {
        codes: &[7_000_229, 500_011, 65_001],
        reason: Some(Reason::ConsentMissing),
        advice: "nobody has consented to the app in this tenant: grant it Exchange.ManageAsApp with admin consent; it takes \
                 minutes to work",
    },
    Refusal {
        codes: &[7_000_215],
        reason: Some(Reason::ClientSecretWrong),
        advice: "the client secret is not one of the app's: the Secret must hold its value, not its id",
    },
    Refusal {
        codes: &[7_000_222],
        reason: Some(Reason::ClientSecretExpired),
        advice: "the client secret has ended: make a new one",
    },
    Refusal {
        codes: &[700_027],
        reason: Some(Reason::CertificateUnknown),
        advice: "the certificate is not one of the app's, or has ended: upload its public half to the app registration",
    },
    Refusal {
        codes: &[70_021, 700_211, 700_212, 700_213, 7_002_137, 7_002_138],
        reason: Some(Reason::FederationUnknown),
        advice: "no federated credential of the app matches the operator's service account: its issuer, subject \
                 (system:serviceaccount:NAMESPACE:NAME) and audience must be equal, in upper and lower case too",
    },
    Refusal {
        codes: &[50_166, 501_661, 90_061],
        reason: None,
        advice: "Entra can't read the keys of the cluster's issuer: it must be reachable over the internet",
    },
    Refusal {
        codes: &[700_024],
        reason: Some(Reason::ClockSkew),
        advice: "Entra finds the proof outside its time: the clock of the operator's node is wrong",
    },
    Refusal {
        codes: &[53_003, 530_035, 53_000, 53_001, 53_002, 53_004],
        reason: Some(Reason::ConditionalAccess),
        advice: "a conditional access policy for workload identities blocks the app: exclude it, or allow the place that \
                 the operator runs at",
    },
];

fn refusal(error: &ExchangeError) -> Option<&'static Refusal> {
    let code: u32 = error.exception.as_deref()?.strip_prefix("AADSTS")?.parse().ok()?;
    REFUSALS.iter().find(|refusal| refusal.codes.contains(&code))
}

/// Whether it may go away by itself.
pub fn may_pass(error: &ExchangeError) -> bool {
    refusal(error).is_some_and(|refusal| refusal.reason.is_none())
}

/// The reason of the condition.
pub fn reason(error: &ExchangeError) -> Reason {
    refusal(error)
        .and_then(|refusal| refusal.reason)
        .unwrap_or(Reason::CredentialsRefused)
}

/// What is wrong and what to do, the same text as long as it is the same thing.
pub fn advice(error: &ExchangeError) -> String {
    let code = error.exception.as_deref();
    match (refusal(error), code) {
        (Some(refusal), Some(code)) => format!("{} ({code})", refusal.advice),
        (None, Some(code)) => format!("Entra refuses it ({code})"),
        (Some(_) | None, None) => error.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::exchange::{ErrorClass, Stage};

    #[test]
    fn each_misconfiguration_has_a_reason_and_an_advice_of_its_own() {
        let refused = |code: &str| ExchangeError {
            exception: Some(code.to_owned()),
            ..ExchangeError::new(
                ErrorClass::Denied,
                Stage::Token,
                "Token request",
                "words of Entra",
            )
        };
        for (code, expected) in [
            ("AADSTS90002", Reason::TenantUnknown),
            ("AADSTS700016", Reason::AppUnknown),
            ("AADSTS7000112", Reason::AppDisabled),
            ("AADSTS7000229", Reason::ConsentMissing),
            ("AADSTS7000215", Reason::ClientSecretWrong),
            ("AADSTS7000222", Reason::ClientSecretExpired),
            ("AADSTS700027", Reason::CertificateUnknown),
            ("AADSTS700213", Reason::FederationUnknown),
            ("AADSTS700024", Reason::ClockSkew),
            ("AADSTS53003", Reason::ConditionalAccess),
        ] {
            let error = refused(code);
            assert_eq!(reason(&error), expected);
            let advice = advice(&error);
            assert!(
                advice.contains(code) && !advice.contains("words of Entra"),
                "{advice}"
            );
        }
        let unknown = refused("AADSTS1");
        assert_eq!(
            (reason(&unknown), &*advice(&unknown)),
            (Reason::CredentialsRefused, "Entra refuses it (AADSTS1)")
        );
    }

    #[test]
    fn every_code_has_one_meaning() {
        let codes: Vec<u32> = REFUSALS
            .iter()
            .flat_map(|refusal| refusal.codes)
            .copied()
            .collect();
        let distinct: BTreeSet<u32> = codes.iter().copied().collect();
        assert_eq!(distinct.len(), codes.len());
    }
}
