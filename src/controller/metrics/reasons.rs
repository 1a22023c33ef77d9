//! The reasons that may become a label. A status can be edited by whoever may edit it: what it says is no label as
//! it stands.

/// Reasons of Ready with which an object is stalled, as docs/status.md lists them.
const KNOWN: [&str; 56] = [
    "AccessDenied",
    "AddressClaimed",
    "AddressHeldByRetained",
    "AddressInUse",
    "AdoptionRefused",
    "AppDisabled",
    "AppUnknown",
    "ApprovalPending",
    "CertificateUnknown",
    "CertificateUnusable",
    "ClientSecretExpired",
    "ClientSecretWrong",
    "ClockSkew",
    "ConditionalAccess",
    "ConsentMissing",
    "Contested",
    "CredentialsRefused",
    "DecisionNeeded",
    "DomainNotAccepted",
    "DuplicateTenant",
    "EndpointNotAllowed",
    "FederationUnknown",
    "GrantStuck",
    "GrantUnverified",
    "Held",
    "InvalidSpec",
    "LeaseForbidden",
    "LedgerOfAnotherCluster",
    "LedgerRefused",
    "LedgerUnreadable",
    "MailboxGone",
    "MailboxNotFound",
    "MailboxNotReady",
    "MarkerAttributeInUse",
    "MembersRefused",
    "NotAuthorized",
    "NotConverging",
    "NotOurs",
    "NotSharedMailbox",
    "OverLimit",
    "PartiallyGranted",
    "Paused",
    "PolicyViolation",
    "SecretForbidden",
    "SecretKeyNotFound",
    "SecretNotFound",
    "ServedByAnother",
    "SettingRefused",
    "SignInNotEffective",
    "TakenOver",
    "TenantChanged",
    "TenantNotFound",
    "TenantNotReady",
    "TenantUnknown",
    "Unreadable",
    "WorkloadIdentityNotMounted",
];

/// The label for a reason.
pub fn label(reason: &str) -> &'static str {
    KNOWN
        .into_iter()
        .find(|known| *known == reason)
        .unwrap_or("Other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_a_stall_in_the_documentation_is_a_label() {
        let page = include_str!("../../../docs/status.md");
        let rows = page
            .lines()
            .filter(|line| line.starts_with("| ") && line.contains("Stalled"));
        let mut found = 0;
        for row in rows {
            let reasons = row.split('|').nth(2).unwrap_or_default();
            for reason in reasons.split('`').skip(1).step_by(2) {
                assert_eq!(label(reason), reason, "add it to the list");
                found += 1;
            }
        }
        assert!(found > 20, "the tables of docs/status.md have another form now");
    }

    #[test]
    fn what_somebody_wrote_into_a_status_is_no_label() {
        assert_eq!(label("AnythingElse"), "Other");
    }
}
