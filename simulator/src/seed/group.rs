//! Groups and contacts that a tenant starts with.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A group of one of the kinds that matter to mail permissions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedGroup {
    /// `name@domain`. A plain security group has no mail address; the part before the `@` becomes its name.
    pub address: String,
    pub display_name: String,
    pub kind: GroupKind,
    /// Any identity of people, contacts and groups in this seed; groups nest, also in circles.
    #[serde(default)]
    pub members: Vec<String>,
    #[serde(default)]
    pub object_id: Option<Uuid>,
    /// Mastered on premises.
    #[serde(default)]
    pub dir_synced: bool,
    /// Who is in it is hidden.
    #[serde(default)]
    pub hidden_membership: bool,
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
    /// With a mailbox and files of its own; is no security principal here.
    Microsoft365,
    /// Receives mail; a filter decides who is in it, and Entra doesn't know it.
    Dynamic,
    /// A role group of Exchange's own, such as "Discovery Management", which Entra doesn't know.
    Role,
}

/// Somebody outside in the address book: a mail contact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedContact {
    /// Where the mail goes; also the contact's primary address.
    pub external_address: String,
    pub display_name: String,
    #[serde(default)]
    pub object_id: Option<Uuid>,
}

impl SeedGroup {
    pub fn new(address: &str, display_name: &str, kind: GroupKind, members: &[&str]) -> Self {
        Self {
            address: address.to_owned(),
            display_name: display_name.to_owned(),
            kind,
            members: members.iter().map(|member| (*member).to_owned()).collect(),
            object_id: None,
            dir_synced: false,
            hidden_membership: false,
        }
    }
}

impl SeedContact {
    pub fn new(external_address: &str, display_name: &str) -> Self {
        Self {
            external_address: external_address.to_owned(),
            display_name: display_name.to_owned(),
            object_id: None,
        }
    }
}
