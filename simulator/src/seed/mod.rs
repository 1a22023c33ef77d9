//! What a tenant starts with.

mod group;
mod user;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use group::{GroupKind, SeedContact, SeedGroup};
pub use user::{SeedMailbox, SeedUser};

use crate::quirks::Quirks;

/// The tenant as it is when the simulator starts. Reads from and writes to JSON.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Seed {
    /// The directory (tenant) id.
    pub tenant_id: Uuid,
    /// The app registration that may ask for tokens.
    pub client_id: Uuid,
    /// Its secret; kept out of `Debug`, the journal and the state dump.
    pub client_secret: String,
    /// `<something>.onmicrosoft.com`; every nickname claims an address here too.
    pub initial_domain: String,
    /// Verified mail domains besides the initial one; the first is the default domain.
    pub accepted_domains: Vec<String>,
    /// People, with or without a mailbox, and mailboxes that exist already.
    #[serde(default)]
    pub users: Vec<SeedUser>,
    /// Entries of the address book for people outside, without an account.
    #[serde(default)]
    pub contacts: Vec<SeedContact>,
    #[serde(default)]
    pub groups: Vec<SeedGroup>,
    /// Simulated wall time at the start; 2026-01-05T08:00:00Z when left out.
    #[serde(default)]
    pub start: Option<Timestamp>,
    /// Seeds the ids that are made up later.
    #[serde(default)]
    pub random_seed: u64,
    /// How long an access token lives, in seconds; Entra's usual 3599 when left out.
    #[serde(default = "default_token_lifetime")]
    pub token_lifetime_seconds: u32,
    /// Old tenants keep the `Name` given to New-Mailbox; newer ones replace it by the object id.
    #[serde(default)]
    pub keeps_given_names: bool,
    /// Rows of Get-RecipientPermission come without `IsInherited`, as some tenants show them.
    #[serde(default)]
    pub send_as_rows_lack_inheritance: bool,
    /// How it answers where nobody knows what the real service does.
    #[serde(default)]
    pub quirks: Quirks,
}

fn default_token_lifetime() -> u32 {
    3599
}

impl Seed {
    /// A small tenant for tests and demonstrations: Contoso, with six people, one of them less
    /// lucky without a mailbox, and one group of each kind.
    pub fn contoso() -> Self {
        let people = ["first", "second", "third", "fourth", "fifth", "sixth"];
        let mut users: Vec<SeedUser> = people.iter().map(|ordinal| contoso_member(ordinal)).collect();
        users.push(SeedUser::without_mailbox("no.mailbox@contoso.com", "No Mailbox"));
        let members = ["first.member@contoso.com", "second.member@contoso.com"];
        Self {
            tenant_id: Uuid::from_u128(0x1111_1111_2222_3333_4444_5555_5555_5555),
            client_id: Uuid::from_u128(0x6666_6666_7777_8888_9999_0000_0000_0000),
            client_secret: "simulated-secret".to_owned(),
            initial_domain: "contoso.onmicrosoft.com".to_owned(),
            accepted_domains: vec!["contoso.com".to_owned(), "sales.contoso.com".to_owned()],
            users,
            contacts: Vec::new(),
            groups: vec![
                SeedGroup::new(
                    "sales-team@contoso.com",
                    "Sales Team",
                    GroupKind::MailEnabledSecurity,
                    &members,
                ),
                SeedGroup::new(
                    "plain-group@contoso.com",
                    "Plain Group",
                    GroupKind::PlainSecurity,
                    &members,
                ),
                SeedGroup::new(
                    "all-staff@contoso.com",
                    "All Staff",
                    GroupKind::Distribution,
                    &members,
                ),
            ],
            start: None,
            random_seed: 0,
            token_lifetime_seconds: default_token_lifetime(),
            keeps_given_names: false,
            send_as_rows_lack_inheritance: false,
            quirks: Quirks::default(),
        }
    }

    /// The same tenant with one more user or mailbox.
    pub fn with_user(mut self, user: SeedUser) -> Self {
        self.users.push(user);
        self
    }

    /// The same tenant with one more contact.
    pub fn with_contact(mut self, contact: SeedContact) -> Self {
        self.contacts.push(contact);
        self
    }

    /// The same tenant with one more group.
    pub fn with_group(mut self, group: SeedGroup) -> Self {
        self.groups.push(group);
        self
    }
}

fn contoso_member(ordinal: &str) -> SeedUser {
    let mut chars = ordinal.chars();
    let capitalised: String = chars
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(chars)
        .collect();
    SeedUser::person(
        &format!("{ordinal}.member@contoso.com"),
        &format!("{capitalised} Member"),
    )
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seed")
            .field("tenant_id", &self.tenant_id)
            .field("initial_domain", &self.initial_domain)
            .field("users", &self.users.len())
            .field("groups", &self.groups.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Seed;

    #[test]
    fn a_seed_survives_a_round_trip_through_json() {
        let text = serde_json::to_string(&Seed::contoso()).unwrap();
        assert_eq!(serde_json::from_str::<Seed>(&text).unwrap(), Seed::contoso());
    }

    #[test]
    fn the_secret_is_not_in_debug_output() {
        assert!(!format!("{:?}", Seed::contoso()).contains("simulated-secret"));
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        let mut value = serde_json::to_value(Seed::contoso()).unwrap();
        value["tenantID"] = "x".into();
        assert!(serde_json::from_value::<Seed>(value).is_err());
    }
}
