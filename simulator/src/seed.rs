//! What a tenant starts with.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

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
}

fn default_token_lifetime() -> u32 {
    3599
}

/// A person or an existing mailbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedUser {
    /// User principal name; also the primary address when there is a mailbox.
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
}

/// A group of one of the three kinds that matter to mail permissions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedGroup {
    /// `name@domain`. A plain security group has no mail address; the part before the `@` becomes its name.
    pub address: String,
    pub display_name: String,
    pub kind: GroupKind,
    /// UPNs of users in this seed.
    #[serde(default)]
    pub members: Vec<String>,
    #[serde(default)]
    pub object_id: Option<Uuid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GroupKind {
    /// Can be given permissions and receive mail.
    MailEnabledSecurity,
    /// Can be given permissions, which then have no effect.
    PlainSecurity,
    /// Receives mail; is no security principal.
    Distribution,
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
            object_id: None,
            licensed: true,
            account_disabled: false,
            dir_synced: false,
            custom_attributes: BTreeMap::new(),
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

    /// A shared mailbox that somebody made before; its account can sign in.
    pub fn shared_mailbox(address: &str, display_name: &str) -> Self {
        Self {
            mailbox: SeedMailbox::Shared,
            licensed: false,
            ..Self::person(address, display_name)
        }
    }
}

impl SeedGroup {
    pub fn new(address: &str, display_name: &str, kind: GroupKind, members: &[&str]) -> Self {
        Self {
            address: address.to_owned(),
            display_name: display_name.to_owned(),
            kind,
            members: members.iter().map(|upn| (*upn).to_owned()).collect(),
            object_id: None,
        }
    }
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
        }
    }

    /// The same tenant with one more user or mailbox.
    pub fn with_user(mut self, user: SeedUser) -> Self {
        self.users.push(user);
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
