//! SMTP addresses, domains and the patterns of access rules.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A primary or secondary SMTP address, lower-cased: Exchange compares addresses without case.
///
/// At most 320 characters: 64 before the `@`, 255 after it. Only ASCII: Exchange Online refuses
/// internationalised local parts for mailboxes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SmtpAddress(String);

/// A mail domain, lower-cased.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an SMTP address: {rule}")]
pub struct InvalidAddress {
    text: String,
    rule: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is neither an address nor *@domain: {rule}")]
pub struct InvalidPattern {
    text: String,
    rule: &'static str,
}

impl SmtpAddress {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the `@`.
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }

    pub fn domain(&self) -> Domain {
        Domain(
            self.0
                .rsplit_once('@')
                .map_or("", |(_, domain)| domain)
                .to_owned(),
        )
    }

    /// The address that `local` has in `domain`, when that is one.
    pub fn of(local: &str, domain: &Domain) -> Result<Self, InvalidAddress> {
        format!("{local}@{domain}").parse()
    }
}

impl Domain {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Domain {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match domain_fault(text) {
            None => Ok(Self(text.to_ascii_lowercase())),
            Some(rule) => Err(InvalidAddress {
                text: text.to_owned(),
                rule,
            }),
        }
    }
}

impl FromStr for SmtpAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        #[cfg(test)]
        parsed::count();
        match address_fault(text) {
            None => Ok(Self(text.to_ascii_lowercase())),
            Some(rule) => Err(InvalidAddress {
                text: text.to_owned(),
                rule,
            }),
        }
    }
}

impl TryFrom<String> for SmtpAddress {
    type Error = InvalidAddress;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SmtpAddress> for String {
    fn from(address: SmtpAddress) -> Self {
        address.0
    }
}

impl fmt::Display for SmtpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How many texts were parsed in this thread, for tests of work that must not be done under a lock.
#[cfg(test)]
pub mod parsed {
    use std::cell::Cell;

    thread_local! {
        static COUNT: Cell<usize> = const { Cell::new(0) };
    }

    pub fn count() {
        COUNT.with(|count| count.set(count.get() + 1));
    }

    /// Since the last call.
    pub fn take() -> usize {
        COUNT.with(Cell::take)
    }
}

/// The first rule that `text` breaks. Two characters are excluded although SMTP allows them: the quote would have
/// to be escaped in every filter and path the address is put into, and the asterisk is a wildcard in identities.
fn address_fault(text: &str) -> Option<&'static str> {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return Some("it has no @");
    };
    if local.is_empty() || local.len() > 64 {
        return Some("the part before the @ must have 1 to 64 characters");
    }
    if !local
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"!#$%&+-/=?^_`{|}~.".contains(&b))
    {
        return Some("the part before the @ may hold letters, digits and !#$%&+-/=?^_`{|}~. only");
    }
    if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
        return Some("the part before the @ may not start or end with a dot or hold two in a row");
    }
    domain_fault(domain)
}

fn domain_fault(domain: &str) -> Option<&'static str> {
    if domain.len() > 255 {
        return Some("the domain may have 255 characters at most");
    }
    if !domain.contains('.') {
        return Some("the domain needs a dot");
    }
    let label_is_good = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (!domain.split('.').all(label_is_good))
        .then_some("a domain is made of letters, digits and inner hyphens between dots")
}

/// What an access rule names: one address or every address of one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressPattern {
    Address(SmtpAddress),
    Domain(Domain),
}

impl AddressPattern {
    pub fn matches(&self, address: &SmtpAddress) -> bool {
        match self {
            Self::Address(wanted) => wanted == address,
            Self::Domain(wanted) => *wanted == address.domain(),
        }
    }
}

impl FromStr for AddressPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = match text.strip_prefix("*@") {
            Some(domain) => domain.parse().map(Self::Domain),
            None => text.parse().map(Self::Address),
        };
        parsed.map_err(|InvalidAddress { text: _, rule }| InvalidPattern {
            text: text.to_owned(),
            rule,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_is_lower_cased_and_taken_apart() {
        let address: SmtpAddress = "Sales.Team@Contoso.COM".parse().unwrap();
        assert_eq!(address.as_str(), "sales.team@contoso.com");
        assert_eq!(address.local_part(), "sales.team");
        assert_eq!(address.domain().as_str(), "contoso.com");
    }

    #[test]
    fn an_address_that_breaks_a_rule_is_refused_with_the_rule() {
        for (text, rule) in [
            ("sales", "no @"),
            ("@contoso.com", "1 to 64"),
            ("a b@contoso.com", "letters, digits"),
            ("o'neil@contoso.com", "letters, digits"),
            ("a..b@contoso.com", "dot"),
            (".a@contoso.com", "dot"),
            ("a@contoso", "needs a dot"),
            ("a@-contoso.com", "inner hyphens"),
            ("a@con..com", "inner hyphens"),
            ("sales@contoso.com\n", "inner hyphens"),
            ("säles@contoso.com", "letters, digits"),
            ("*@contoso.com", "letters, digits"),
        ] {
            let error = text.parse::<SmtpAddress>().unwrap_err().to_string();
            assert!(error.contains(rule), "{text:?}: {error}");
        }
        assert!(
            format!("{}@contoso.com", "x".repeat(65))
                .parse::<SmtpAddress>()
                .is_err()
        );
    }

    #[test]
    fn a_pattern_is_an_address_or_a_whole_domain_and_never_a_subdomain() {
        let sales: SmtpAddress = "sales@contoso.com".parse().unwrap();
        let below: SmtpAddress = "sales@x.contoso.com".parse().unwrap();
        let domain: AddressPattern = "*@Contoso.com".parse().unwrap();
        assert!(domain.matches(&sales) && !domain.matches(&below));
        let exact: AddressPattern = "SALES@contoso.com".parse().unwrap();
        assert!(exact.matches(&sales) && !exact.matches(&below));
        for bad in ["*", "*@", "*@*", "s*@contoso.com", "*contoso.com", ""] {
            assert!(bad.parse::<AddressPattern>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_parses_is_safe_inside_a_quoted_filter(text in ".{0,40}@.{0,40}") {
            if let Ok(address) = text.parse::<SmtpAddress>() {
                prop_assert!(!address.as_str().contains(['\'', '"', '*', ' ', '\\', '\n', '\0']));
                prop_assert_eq!(address.to_string().parse::<SmtpAddress>().unwrap(), address);
            }
        }
    }
}
