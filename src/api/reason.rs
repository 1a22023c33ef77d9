//! Why: the reasons of conditions, and of members who get nothing. docs/status.md lists them all, and a test compares both.
//! What is read back from a status becomes one of these at once; a reason of another version is none of them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use strum::{EnumString, IntoStaticStr, VariantArray};

/// The reason of a condition, in Kubernetes' form.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumString, IntoStaticStr, VariantArray,
)]
pub enum Reason {
    AccessDenied,
    AddressClaimed,
    AddressHeldByRetained,
    AddressInUse,
    Adopted,
    AdoptionRefused,
    Allowed,
    AllowedBySpec,
    AnotherIsUsed,
    AppDisabled,
    AppUnknown,
    Applying,
    ApprovalNeeded,
    Blocked,
    CertificateUnknown,
    CertificateUnusable,
    ClientSecretExpired,
    ClientSecretWrong,
    ClockSkew,
    ConditionalAccess,
    ConfirmingLoss,
    ConfirmingMembership,
    Connected,
    ConsentMissing,
    Contested,
    Created,
    Creating,
    CredentialsRefused,
    DecisionNeeded,
    DeletionWaiting,
    DomainNotAccepted,
    DuplicateTenant,
    EndpointNotAllowed,
    EndsSoon,
    EndsWithinADay,
    Expired,
    Expiring,
    FederationUnknown,
    GrantStuck,
    GrantUnverified,
    Granted,
    Granting,
    Held,
    Hidden,
    InvalidSpec,
    LastTokenIsUsed,
    LeaseForbidden,
    LedgerOfAnotherCluster,
    LedgerRefused,
    LedgerUnreadable,
    LookingForMailbox,
    MailboxGone,
    MailboxNotFound,
    MailboxNotReady,
    MarkerAttributeInUse,
    MembersRefused,
    MoreThanSupported,
    NearLimit,
    NoLicence,
    NotAuthorized,
    NotConverging,
    NotGranted,
    NotOurs,
    NotSharedMailbox,
    Observe,
    Observed,
    Open,
    OverLimit,
    PartiallyGranted,
    Paused,
    Propagating,
    SecretForbidden,
    SecretKeyNotFound,
    SecretNotFound,
    ServedByAnother,
    SettingRefused,
    SettingsUnread,
    SignInNotEffective,
    SignInUnverified,
    Synced,
    Syncing,
    TakenOver,
    TakenUp,
    TenantChanged,
    TenantNotFound,
    TenantNotReady,
    TenantUnknown,
    TokenIssued,
    Unreachable,
    Unread,
    Unreadable,
    Unverified,
    UpToDate,
    WaitingForExchange,
    Withheld,
    WorkloadIdentityNotMounted,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// None: this version knows no such reason, or somebody else wrote it.
    pub fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    pub fn of(condition: &Condition) -> Option<Self> {
        Self::read(&condition.reason)
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a member gets nothing. The message on a member starts with it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumString, IntoStaticStr, VariantArray,
)]
pub enum RefusalReason {
    /// No access rule admits them.
    AccessDenied,
    /// They have left, as the ExchangeTenant says.
    Departed,
    /// Exchange would take the grant to such a group and ignore it.
    GroupCannotHoldRights,
    GroupTooLarge,
    /// Who is in the group could not be read.
    GroupUnreadable,
    /// The group hides who is in it.
    HiddenMembership,
    InvalidAddress,
    MemberCannotHoldRights,
    /// A person who may get a mailbox yet.
    MemberHasNoMailbox,
    MemberIsExternal,
    MemberIsGroup,
    MemberIsMailbox,
    MemberIsUser,
    /// Nobody has the address; an account may be created yet.
    MemberNotFound,
    /// Who they are could not be read.
    MemberUnread,
    /// The permission names another tenant than its mailbox.
    TenantMismatch,
    TooManyMembers,
}

impl RefusalReason {
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The one with which the message on a member starts, if any.
    pub fn of_message(message: &str) -> Option<Self> {
        message.split_once(": ")?.0.parse().ok()
    }

    /// Ends by itself when the account is created, or gets a mailbox.
    pub fn may_end_by_itself(self) -> bool {
        self.consequence() == Consequence::MayEndByItself
    }

    /// Whoever is declared and refused keeps what they hold, but for those who have left.
    pub fn takes_everything(self) -> bool {
        self.consequence() == Consequence::TakesEverything
    }

    /// Somebody in a group for whom the mailbox has no room.
    pub fn lacks_room(self) -> bool {
        self.consequence() == Consequence::LacksRoom
    }

    /// What failed is the read of a group.
    pub fn is_of_a_group(self) -> bool {
        self.consequence() == Consequence::GroupIsUnread
    }

    fn consequence(self) -> Consequence {
        match self {
            Self::MemberNotFound | Self::MemberHasNoMailbox => Consequence::MayEndByItself,
            Self::Departed => Consequence::TakesEverything,
            Self::TooManyMembers => Consequence::LacksRoom,
            Self::GroupUnreadable => Consequence::GroupIsUnread,
            Self::AccessDenied
            | Self::GroupCannotHoldRights
            | Self::GroupTooLarge
            | Self::HiddenMembership
            | Self::InvalidAddress
            | Self::MemberCannotHoldRights
            | Self::MemberIsExternal
            | Self::MemberIsGroup
            | Self::MemberIsMailbox
            | Self::MemberIsUser
            | Self::MemberUnread
            | Self::TenantMismatch => Consequence::Nothing,
        }
    }
}

/// What follows from a refusal, beside that nothing is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consequence {
    Nothing,
    MayEndByItself,
    TakesEverything,
    LacksRoom,
    GroupIsUnread,
}

impl std::fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PAGE: &str = include_str!("../../docs/status.md");

    fn quoted(text: &str) -> impl Iterator<Item = &str> {
        text.split('`').skip(1).step_by(2)
    }

    #[test]
    fn every_reason_in_the_tables_of_the_documentation_is_one_of_ours() {
        let rows = PAGE.lines().filter(|line| {
            line.starts_with("| True |") || line.starts_with("| False") || line.starts_with("| Unknown")
        });
        let mut found = 0;
        for reason in rows.flat_map(|row| quoted(row.split('|').nth(2).unwrap_or_default())) {
            assert!(
                Reason::read(reason).is_some(),
                "{reason}: add it, or take it out of docs/status.md"
            );
            found += 1;
        }
        assert!(found > 60, "the tables of docs/status.md have another form now");
    }

    #[test]
    fn the_documentation_knows_every_reason() {
        let known: BTreeSet<&str> = PAGE.lines().flat_map(quoted).collect();
        let reasons = Reason::VARIANTS.iter().map(|reason| reason.as_str());
        let refusals = RefusalReason::VARIANTS.iter().map(|reason| reason.as_str());
        let unknown: Vec<&str> = reasons
            .chain(refusals)
            .filter(|reason| !known.contains(reason))
            .collect();
        assert_eq!(unknown, Vec::<&str>::new(), "docs/status.md lacks them");
    }

    #[test]
    fn a_message_on_a_member_says_which_reason_it_has() {
        for reason in RefusalReason::VARIANTS {
            assert_eq!(
                RefusalReason::of_message(&format!("{reason}: words: more")),
                Some(*reason)
            );
        }
        assert_eq!(RefusalReason::of_message("Exchange does not show it yet"), None);
        assert_eq!(RefusalReason::of_message("AccessDeniedByPolicy: words"), None);
    }
}
