//! The mail nickname (`Alias` in Exchange).

use std::fmt;
use std::str::FromStr;

/// A mail nickname: 1 to 64 of the letters that New-Mailbox takes in `Alias` without replacing them by `?`, less
/// the asterisk, which is a wildcard in identities.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nickname(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a mail nickname: use 1 to 64 letters, digits, !#%+-/=?^_~ and inner single dots")]
pub struct InvalidNickname {
    text: String,
}

impl Nickname {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nickname that follows from a local part: letters Exchange would refuse become `-`.
    pub fn derived_from(local_part: &str) -> Self {
        let kept: String = local_part
            .chars()
            .take(64)
            .map(|c| if is_allowed(c) || c == '.' { c } else { '-' })
            .collect();
        // A cut after 64 characters may leave a dot at the end.
        let trimmed = kept.trim_matches('.');
        Self(if trimmed.is_empty() {
            "mailbox".to_owned()
        } else {
            trimmed.to_owned()
        })
    }

    /// The `number`th nickname to try when this one is taken: `sales`, `sales2`, `sales3`, …
    pub fn numbered(&self, number: u32) -> Self {
        if number < 2 {
            return self.clone();
        }
        let suffix = number.to_string();
        let kept: String = self.0.chars().take(64 - suffix.len()).collect();
        Self(format!("{}{suffix}", kept.trim_end_matches('.')))
    }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#%+-/=?^_~".contains(c)
}

impl FromStr for Nickname {
    type Err = InvalidNickname;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let good = (1..=64).contains(&text.len())
            && text
                .split('.')
                .all(|part| !part.is_empty() && part.chars().all(is_allowed));
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidNickname {
                text: text.to_owned(),
            })
        }
    }
}

impl fmt::Display for Nickname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_nickname_follows_from_the_local_part() {
        assert_eq!(Nickname::derived_from("sales.emea").as_str(), "sales.emea");
        assert_eq!(Nickname::derived_from("r&d").as_str(), "r-d");
    }

    #[test]
    fn a_taken_nickname_is_numbered() {
        let sales: Nickname = "sales".parse().unwrap();
        assert_eq!(sales.numbered(1).as_str(), "sales");
        assert_eq!(sales.numbered(2).as_str(), "sales2");
    }

    proptest! {
        #[test]
        fn every_derived_and_numbered_nickname_is_one(local in "[ -~]{1,80}", number in 1u32..2000) {
            let derived = Nickname::derived_from(&local);
            let again = derived.numbered(number).as_str().parse::<Nickname>();
            // A local part never holds two dots in a row; other input may.
            if !local.contains("..") {
                prop_assert!(again.is_ok(), "{:?}", derived);
            }
        }
    }
}
