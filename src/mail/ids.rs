//! Identities. An id is never display text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}")]
pub struct InvalidId {
    text: String,
    kind: &'static str,
}

macro_rules! guid_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl FromStr for $name {
            type Err = InvalidId;

            /// The nil GUID is refused: Exchange shows it where there is none.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match Uuid::try_parse(text) {
                    Ok(id) if !id.is_nil() => Ok(Self(id)),
                    _ => Err(InvalidId { text: text.to_owned(), kind: $kind }),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    };
}

guid_type!(
    /// The `ExchangeGuid` of a mailbox: stays the same through renames and restores.
    MailboxGuid,
    "mailbox GUID"
);
guid_type!(
    /// The Entra object id (`ExternalDirectoryObjectId`) of a user or group.
    ObjectId,
    "directory object id"
);
guid_type!(
    /// The id of an Entra tenant.
    TenantGuid,
    "tenant id"
);

/// A security identifier as permission rows carry it (`UserSid`, `TrusteeSidString`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sid(String);

impl Sid {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `S-1-5-10`, the mailbox's own `NT AUTHORITY\SELF`; its display text may be localised.
    pub fn is_self(&self) -> bool {
        self.0 == "S-1-5-10"
    }
}

impl FromStr for Sid {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = text.len() <= 184
            && text.strip_prefix("S-1-").is_some_and(|rest| {
                rest.split('-')
                    .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
            });
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId {
                text: text.to_owned(),
                kind: "security identifier",
            })
        }
    }
}

impl TryFrom<String> for Sid {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Sid> for String {
    fn from(sid: Sid) -> Self {
        sid.0
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The display name a mailbox is created under: `smo-` and 128 random bits in hex.
///
/// New-Mailbox can't set the marker, and newer tenants replace `Name`; this name, recorded before the call,
/// is what proves afterwards that a mailbox came from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OneTimeName(String);

impl OneTimeName {
    pub fn from_random_bits(bits: u128) -> Self {
        Self(format!("smo-{bits:032x}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OneTimeName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix("smo-").unwrap_or_default();
        if hex.len() == 32
            && hex
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId {
                text: text.to_owned(),
                kind: "one-time name",
            })
        }
    }
}

impl TryFrom<String> for OneTimeName {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<OneTimeName> for String {
    fn from(name: OneTimeName) -> Self {
        name.0
    }
}

impl fmt::Display for OneTimeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nil_guid_is_no_identity() {
        assert!(
            "00000000-0000-0000-0000-000000000000"
                .parse::<MailboxGuid>()
                .is_err()
        );
        assert!("".parse::<ObjectId>().is_err());
        let id: ObjectId = "66666666-7777-8888-9999-AAAAAAAAAAAA".parse().unwrap();
        assert_eq!(id.to_string(), "66666666-7777-8888-9999-aaaaaaaaaaaa");
    }

    #[test]
    fn a_sid_is_digits_between_dashes() {
        assert!("S-1-5-10".parse::<Sid>().unwrap().is_self());
        assert!(!"S-1-5-21-1-2-3-1104".parse::<Sid>().unwrap().is_self());
        for bad in ["", "NT AUTHORITY\\SELF", "S-1-", "S-1-5-x", "S-1--5"] {
            assert!(bad.parse::<Sid>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_one_time_name_carries_128_bits() {
        let name = OneTimeName::from_random_bits(0xabc);
        assert_eq!(name.as_str(), "smo-00000000000000000000000000000abc");
        assert_eq!(name.to_string().parse::<OneTimeName>().unwrap(), name);
        assert!("smo-xyz".parse::<OneTimeName>().is_err());
    }
}
