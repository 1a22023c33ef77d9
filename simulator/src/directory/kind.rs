//! What Exchange calls each kind of group and of recipient without a mailbox, and what it can do.

use serde::Serialize;

use crate::seed::GroupKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum OutsideKind {
    /// An account of this tenant with its mailbox elsewhere.
    MailUser,
    /// An account that was invited from outside.
    Guest,
    /// An entry of the address book without an account.
    Contact,
}

impl GroupKind {
    pub(crate) fn has_mail(self) -> bool {
        !matches!(self, Self::PlainSecurity | Self::Role)
    }

    /// Can stand in an access control list.
    pub(crate) fn is_security(self) -> bool {
        match self {
            Self::MailEnabledSecurity | Self::PlainSecurity | Self::Role => true,
            Self::Distribution | Self::Microsoft365 | Self::Dynamic => false,
        }
    }

    /// Its members are listed by Get-DistributionGroupMember.
    pub(crate) fn has_listed_members(self) -> bool {
        match self {
            Self::MailEnabledSecurity | Self::Distribution => true,
            Self::PlainSecurity | Self::Microsoft365 | Self::Dynamic | Self::Role => false,
        }
    }

    pub(crate) fn recipient_type(self) -> &'static str {
        match self {
            Self::MailEnabledSecurity => "MailUniversalSecurityGroup",
            Self::PlainSecurity | Self::Role => "Group",
            Self::Distribution | Self::Microsoft365 => "MailUniversalDistributionGroup",
            Self::Dynamic => "DynamicDistributionGroup",
        }
    }

    pub(crate) fn recipient_type_details(self) -> &'static str {
        match self {
            Self::MailEnabledSecurity => "MailUniversalSecurityGroup",
            Self::PlainSecurity => "UniversalSecurityGroup",
            Self::Role => "RoleGroup",
            Self::Distribution => "MailUniversalDistributionGroup",
            Self::Microsoft365 => "GroupMailbox",
            Self::Dynamic => "DynamicDistributionGroup",
        }
    }
}

impl OutsideKind {
    pub fn recipient_type(self) -> &'static str {
        match self {
            Self::MailUser | Self::Guest => "MailUser",
            Self::Contact => "MailContact",
        }
    }

    pub fn recipient_type_details(self) -> &'static str {
        match self {
            Self::MailUser => "MailUser",
            Self::Guest => "GuestMailUser",
            Self::Contact => "MailContact",
        }
    }
}
