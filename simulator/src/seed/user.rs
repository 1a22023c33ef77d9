//! People and mailboxes that a tenant starts with.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A person or an existing mailbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedUser {
    /// User principal name; also the primary address, except for a guest.
    pub upn: String,
    pub display_name: String,
    #[serde(default)]
    pub mailbox: SeedMailbox,
    /// The directory name. Objects from before 2022 carry a friendly one; newer ones their object id,
    /// which is used when this is left out.
    #[serde(default)]
    pub name: Option<String>,
    /// Mail nickname; the part before the `@` when left out.
    #[serde(default)]
    pub alias: Option<String>,
    /// Further addresses, without the `smtp:` prefix.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Where the mail of a mail user or guest goes; the UPN when left out.
    #[serde(default)]
    pub external_address: Option<String>,
    /// A fixed object id; one is made up when left out.
    #[serde(default)]
    pub object_id: Option<Uuid>,
    #[serde(default)]
    pub licensed: bool,
    /// Sign-in of the account is blocked.
    #[serde(default)]
    pub account_disabled: bool,
    /// Mastered on premises.
    #[serde(default)]
    pub dir_synced: bool,
    /// `CustomAttribute1` to `CustomAttribute15`, by number.
    #[serde(default)]
    pub custom_attributes: BTreeMap<u8, String>,
    /// The tenant's start when left out. A mailbox from before July 2018 has 100 GB without a licence.
    #[serde(default)]
    pub created: Option<Timestamp>,
}

/// Whether and which mailbox a seeded user has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SeedMailbox {
    None,
    #[default]
    User,
    Shared,
    Room,
    Equipment,
    /// None here, but one elsewhere: a mail user.
    MailUser,
    /// None here: somebody from outside who was invited.
    Guest,
}

impl SeedUser {
    /// A licensed person with a mailbox of their own.
    pub fn person(upn: &str, display_name: &str) -> Self {
        Self {
            upn: upn.to_owned(),
            display_name: display_name.to_owned(),
            mailbox: SeedMailbox::User,
            name: None,
            alias: None,
            addresses: Vec::new(),
            external_address: None,
            object_id: None,
            licensed: true,
            account_disabled: false,
            dir_synced: false,
            custom_attributes: BTreeMap::new(),
            created: None,
        }
    }

    /// A person in the directory who has no mailbox.
    pub fn without_mailbox(upn: &str, display_name: &str) -> Self {
        Self {
            mailbox: SeedMailbox::None,
            licensed: false,
            ..Self::person(upn, display_name)
        }
    }

    /// A shared mailbox that somebody created before; its account can sign in.
    pub fn shared_mailbox(address: &str, display_name: &str) -> Self {
        Self {
            mailbox: SeedMailbox::Shared,
            licensed: false,
            ..Self::person(address, display_name)
        }
    }

    /// An account of the organisation whose mailbox is elsewhere.
    pub fn mail_user(address: &str, display_name: &str, external_address: &str) -> Self {
        Self {
            mailbox: SeedMailbox::MailUser,
            external_address: Some(external_address.to_owned()),
            licensed: false,
            ..Self::person(address, display_name)
        }
    }

    /// Somebody from outside, invited into Contoso: `anna@fabrikam.com` signs in as
    /// `anna_fabrikam.com#EXT#@contoso.onmicrosoft.com`.
    pub fn guest(external_address: &str, display_name: &str) -> Self {
        let local = external_address.replace('@', "_");
        Self {
            mailbox: SeedMailbox::Guest,
            external_address: Some(external_address.to_owned()),
            licensed: false,
            ..Self::person(&format!("{local}#EXT#@contoso.onmicrosoft.com"), display_name)
        }
    }
}
