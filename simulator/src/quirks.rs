//! What nobody outside knows of the service, as switches: clients have to bear every position.

mod unkind;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use unkind::{
    AccessQuirks, BadWord, GroupQuirks, HiddenMembers, Linked, ListQuirks, NextLink, OrganizationRows,
    QuotaOrder, RefusalQuirks, UnknownParameter, UserFilter,
};

/// How this tenant answers where no source says how the real service does. The default is what is likeliest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Quirks {
    pub mail_tip: MailTipForm,
    /// Flags read as `null` until somebody writes them.
    pub flags_null_until_set: bool,
    /// A Set- cmdlet that changes nothing says so in a warning.
    pub says_unmodified: bool,
    /// The refusal of a quota above the licence names the property.
    pub limits_name_the_property: bool,
    /// How long Get- and Set-CASMailbox don't know a mailbox that was just created, in milliseconds.
    pub client_access_after_create_ms: u64,
    /// How long the cmdlets that open the mailbox itself fail for one that was just created, in milliseconds.
    pub store_after_create_ms: u64,
    /// How Get-MailboxRegionalConfiguration shows a language.
    pub language: LanguageForm,
    /// How Get-MailboxAutoReplyConfiguration shows a text.
    pub html: HtmlForm,
    /// How it shows a time.
    pub times: TimeForm,
    /// What empties a list of recipients; the other one changes nothing.
    pub lists_are_emptied_by: EmptyList,
    /// What a batch does after the first of its calls that fails.
    pub batch_errors: BatchErrors,
    pub role_list: RoleList,
    pub sign_in: SignInForm,
    /// Properties that no row has, whatever is selected.
    pub missing: BTreeSet<String>,
    /// Properties that always read as this, whatever was written.
    pub shown_instead: BTreeMap<String, Value>,
    pub access: AccessQuirks,
    pub refusals: RefusalQuirks,
    pub lists: ListQuirks,
    pub groups: GroupQuirks,
}

/// What Exchange's `AccountDisabled` and Entra's `accountEnabled` have to do with each other. Only Entra's decides who
/// can sign in. The default is the service as it was: both follow each other, and new accounts are open. Since 2024 people
/// find that they don't (CIPP, issue 2572), since October 2025 that new accounts are disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "switches, each by itself")]
pub struct SignInForm {
    /// The account of a new mailbox is disabled.
    pub new_accounts_disabled: bool,
    /// What is written through Exchange shows in Entra.
    pub exchange_shows_in_entra: bool,
    /// What is written in Entra shows in Exchange.
    pub entra_shows_in_exchange: bool,
    /// The app's writes through Graph are acknowledged and change nothing.
    pub graph_has_no_effect: bool,
}

impl Default for SignInForm {
    fn default() -> Self {
        Self {
            new_accounts_disabled: false,
            exchange_shows_in_entra: true,
            entra_shows_in_exchange: true,
            graph_has_no_effect: false,
        }
    }
}

impl SignInForm {
    /// As people find it since 2024: neither follows the other.
    pub fn apart() -> Self {
        Self {
            exchange_shows_in_entra: false,
            entra_shows_in_exchange: false,
            ..Self::default()
        }
    }
}

/// How Get-Mailbox shows a mail tip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct MailTipForm {
    /// Around the text and the tags.
    pub line_ends: LineEnds,
    pub entities: Entities,
    pub when_empty: EmptyMailTip,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LineEnds {
    #[default]
    CrLf,
    Lf,
    None,
}

/// How characters that mean something in HTML come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Entities {
    /// As they were written.
    #[default]
    Kept,
    /// `&amp;`
    Named,
    /// `&#38;`
    Numbered,
}

/// What stands in the row when there is no mail tip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EmptyMailTip {
    #[default]
    Null,
    /// "".
    Empty,
    /// HTML without text.
    Wrapper,
}

/// How a language of a region comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LanguageForm {
    /// `"de-DE"`
    #[default]
    Text,
    /// `{"Name": "de-DE", …}`
    Object,
    /// 1031
    Number,
}

/// How a text in HTML comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HtmlForm {
    /// Inside of a page.
    #[default]
    Wrapped,
    /// With what an editor adds besides.
    Dressed,
}

/// How a time comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TimeForm {
    /// With `Z`.
    #[default]
    Utc,
    /// With `+00:00`.
    Offset,
    WithoutZone,
}

/// What empties a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EmptyList {
    #[default]
    Null,
    /// `[]`
    Empty,
}

/// What a batch does after the first of its calls that fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BatchErrors {
    /// As OData has it: it goes on when the request prefers `odata.continue-on-error`, and else answers the others with
    /// 424.
    #[default]
    AsAsked,
    /// It answers the others with 424, whatever is asked.
    Stops,
    /// It leaves the others out of its answer, whatever is asked.
    LeavesOut,
}

/// Whether the service lists the cmdlets of the app's role (`EXOModuleFile`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RoleList {
    #[default]
    Listed,
    /// The front door sends to another host.
    Redirected,
    NotThere,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            mail_tip: MailTipForm::default(),
            flags_null_until_set: false,
            says_unmodified: true,
            limits_name_the_property: true,
            client_access_after_create_ms: 0,
            store_after_create_ms: 0,
            language: LanguageForm::default(),
            html: HtmlForm::default(),
            times: TimeForm::default(),
            lists_are_emptied_by: EmptyList::default(),
            batch_errors: BatchErrors::default(),
            role_list: RoleList::default(),
            sign_in: SignInForm::default(),
            missing: BTreeSet::new(),
            shown_instead: BTreeMap::new(),
            access: AccessQuirks::default(),
            refusals: RefusalQuirks::default(),
            lists: ListQuirks::default(),
            groups: GroupQuirks::default(),
        }
    }
}

impl Quirks {
    /// Takes out of a row what this tenant never shows, with the type side-keys, and puts in what it shows instead.
    pub(crate) fn alter(&self, row: &mut Map<String, Value>) {
        row.retain(|key, _| {
            let name = key.split('@').next().unwrap_or(key);
            name.is_empty() || !self.missing.contains(name)
        });
        for (name, instead) in &self.shown_instead {
            if let Some(shown) = row.get_mut(name) {
                shown.clone_from(instead);
            }
        }
    }
}
