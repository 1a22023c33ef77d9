//! Where the service is less kind than a client would like: access lists, refusals, long lists, groups.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::{CmdletError, Envelope};

/// The permission cmdlets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessQuirks {
    /// Add-MailboxPermission and Add-RecipientPermission answer the entry that they made.
    pub adding_answers_the_row: bool,
    /// People sign in with an account of another forest (`MasterAccountSid`): their entries carry its SID, which no
    /// other cmdlet shows. Decided when somebody is added to the tenant.
    pub linked: Linked,
    /// Everybody had another SID before (`SidHistory`). Decided when somebody is added to the tenant.
    pub former_sids: bool,
    /// What Get-MailboxPermission shows of one person.
    pub user_filter: UserFilter,
    /// Removals by name warn of each former SID that has no entry, also when the entry of the present one was removed.
    pub warns_of_former_sids: bool,
    pub organization_rows: OrganizationRows,
}

/// Accounts with a master account elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Linked {
    /// There are none.
    #[default]
    None,
    /// Whoever names the account finds its entries.
    Found,
    /// Entries are created for the master account, and neither filters nor removals by name find them.
    NotFound,
}

/// Entries that Get-MailboxPermission shows for `User`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UserFilter {
    /// Those of the SID that the account has now.
    #[default]
    PresentSid,
    /// Those of its former SIDs too.
    EverySid,
}

/// What Get-MailboxPermission shows of the organisation's own groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OrganizationRows {
    /// "Organization Management" and "Exchange Servers", inherited.
    #[default]
    Inherited,
    /// "Discovery Management", as if it were granted on the mailbox itself.
    OnTheMailbox,
}

impl Default for AccessQuirks {
    fn default() -> Self {
        Self {
            adding_answers_the_row: true,
            linked: Linked::default(),
            former_sids: false,
            user_filter: UserFilter::default(),
            warns_of_former_sids: false,
            organization_rows: OrganizationRows::default(),
        }
    }
}

/// What is refused, and in which words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RefusalQuirks {
    pub unknown_parameter: UnknownParameter,
    pub bad_word: BadWord,
    /// What the app's role lacks: a cmdlet (`Get-User`), or a parameter of one (`Set-Mailbox/MailTip`).
    pub not_in_role: BTreeSet<String>,
    /// Mailboxes, by address, that the app's role may not write to.
    pub out_of_scope: BTreeSet<String>,
    /// Set- cmdlets refuse a mailbox that is mastered on premises.
    pub synced: bool,
    pub quota_order: QuotaOrder,
}

/// How a parameter is refused that the cmdlet, or the app's role, does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UnknownParameter {
    /// `AmbiguousParameterSetException`
    #[default]
    AmbiguousSet,
    /// `ParameterBindingException`
    NotBound,
}

/// How a word is refused that an enumeration does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BadWord {
    /// `ParameterTransformationException`, without details: nothing names the parameter.
    #[default]
    Unnamed,
    /// `ParameterBindingArgumentTransformationException`, which names it.
    Named,
}

/// What the service asks of the quotas of a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum QuotaOrder {
    /// Warning and send are at most receive.
    #[default]
    BelowReceive,
    /// Besides, the warning is at most send.
    WarningBelowSend,
}

impl RefusalQuirks {
    /// The error in the words of this tenant.
    pub(crate) fn retell(&self, error: CmdletError) -> CmdletError {
        let is = |name: &str| error.exception.ends_with(name);
        if is(".AmbiguousParameterSetException") && self.unknown_parameter == UnknownParameter::NotBound {
            let name = error.message.rsplit(' ').next().unwrap_or_default();
            CmdletError::binding(format!(
                "A parameter cannot be found that matches parameter name '{name}'."
            ))
        } else if is(".ParameterTransformationException") && self.bad_word == BadWord::Named {
            CmdletError {
                exception: "System.Management.Automation.ParameterBindingArgumentTransformationException"
                    .to_owned(),
                envelope: Envelope::Executed,
                ..error
            }
        } else {
            error
        }
    }
}

/// Lists: filters and pages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuirks {
    pub next_link: NextLink,
    /// Pages are no larger than this, whatever is asked for; 0 for the service's usual limit.
    pub largest_page: usize,
    /// Get-Group finds no group by its object id.
    pub groups_have_no_id_filter: bool,
    /// Get-Group shows no object id.
    pub group_rows_lack_ids: bool,
    /// A filter may have so many conditions; 0 for as many as fit.
    pub most_conditions: usize,
}

/// Whose links to a next page are good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NextLink {
    /// Everybody's.
    #[default]
    AnyAnchor,
    /// Those of requests that are anchored at the tenant's initial domain.
    InitialDomain,
    /// Nobody's.
    Nobody,
}

/// What Graph shows of groups whose membership is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupQuirks {
    /// To an app without `Member.Read.Hidden`.
    pub hidden_members: HiddenMembers,
    /// Groups say of themselves that their membership is hidden.
    pub show_visibility: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HiddenMembers {
    /// As if there were none.
    #[default]
    Empty,
    Shown,
}

impl Default for GroupQuirks {
    fn default() -> Self {
        Self {
            hidden_members: HiddenMembers::default(),
            show_visibility: true,
        }
    }
}
