//! What all cmdlets answer alike: rows, addresses, custom attributes and warnings.

use crate::exchange::error::{ErrorClass, ExchangeError, Stage};
use crate::exchange::wire::{Answer, Row, Unreadable};
use crate::mail::{Sid, SmtpAddress};

pub const CUSTOM_ATTRIBUTES: &[&str; 15] = with_custom_attributes![];

/// One entry of `EmailAddresses`: `SMTP:` marks the primary address, `smtp:` the others; `SIP:`, `SPO:` and
/// `X500:` entries are the service's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProxyAddress {
    pub prefix: String,
    pub text: String,
}

impl ProxyAddress {
    fn parse(entry: &str) -> Self {
        let (prefix, text) = entry.split_once(':').unwrap_or(("smtp", entry));
        Self {
            prefix: prefix.to_owned(),
            text: text.to_owned(),
        }
    }

    /// The SMTP address of the entry; None for entries of other types.
    pub fn smtp(&self) -> Option<SmtpAddress> {
        self.prefix
            .eq_ignore_ascii_case("smtp")
            .then(|| self.text.parse().ok())
            .flatten()
    }

    pub fn is_primary(&self) -> bool {
        self.prefix == "SMTP"
    }
}

pub fn addresses(row: Row<'_>) -> Result<Vec<ProxyAddress>, Unreadable> {
    Ok(row
        .texts("EmailAddresses")?
        .iter()
        .map(|entry| ProxyAddress::parse(entry))
        .collect())
}

/// All fifteen; one that is missing from the row makes it unreadable, for the marker may be in it.
pub fn custom_attributes(row: Row<'_>) -> Result<[String; 15], Unreadable> {
    let mut attributes: [String; 15] = Default::default();
    for (value, name) in attributes.iter_mut().zip(CUSTOM_ATTRIBUTES) {
        *value = row.text(name)?;
    }
    Ok(attributes)
}

/// What Exchange said beside its success. Repeats are warnings there, not errors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    warnings: Vec<String>,
    /// By which Microsoft's support finds the request.
    pub request_id: Option<String>,
    /// The SID in the entry that was added. None: the answer shows no entry, or several people's.
    pub holder: Option<Sid>,
}

impl Receipt {
    /// Of a cmdlet that adds an entry and answers it.
    pub fn of_added(answer: Answer, sid: &str) -> Self {
        let shown = answer.rows.iter().map(|row| Row(row).optional::<Sid>(sid));
        let mut sids: Vec<Option<Sid>> = shown
            .filter(|sid| !sid.as_ref().is_some_and(Sid::is_self))
            .collect();
        sids.dedup();
        let holder = match sids.as_slice() {
            [one] => one.clone(),
            _ => None,
        };
        Self {
            holder,
            ..Self::from(answer)
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.warnings.iter().map(String::as_str)
    }

    pub fn is_empty(&self) -> bool {
        self.warnings.is_empty()
    }

    /// The permission was there before, so its AutoMapping was not changed by this call.
    pub fn say_already_present(&self) -> bool {
        self.any(|text| text.contains("already present"))
    }

    /// The permission to remove was not there.
    pub fn say_not_present(&self) -> bool {
        self.any(|text| text.contains("ace doesn't exist") || text.contains("ace isn't present"))
    }

    /// The settings were as wished before.
    pub fn say_no_change(&self) -> bool {
        self.any(|text| text.contains("completed successfully but no settings of"))
    }

    fn any(&self, test: impl Fn(&str) -> bool) -> bool {
        self.warnings
            .iter()
            .any(|text| test(&text.to_lowercase().replace('\u{2019}', "'")))
    }
}

impl From<Answer> for Receipt {
    fn from(answer: Answer) -> Self {
        Self {
            warnings: answer.warnings,
            request_id: answer.request_id,
            holder: None,
        }
    }
}

/// An answer of which nothing can be concluded.
fn useless(operation: &str, message: impl Into<String>) -> ExchangeError {
    ExchangeError::new(ErrorClass::Transient, Stage::Exchange, operation, message)
}

/// Every row of an answer, or an error when one of them can't be read: a row skipped would read as absent.
pub fn all<T>(
    operation: &str,
    answer: &Answer,
    read: impl Fn(Row<'_>) -> Result<T, Unreadable>,
) -> Result<Vec<T>, ExchangeError> {
    answer
        .rows
        .iter()
        .map(|row| read(Row(row)))
        .collect::<Result<_, _>>()
        .map_err(|unreadable| useless(operation, unreadable.to_string()))
}

/// The one row that a look-up by identity must give.
pub fn exactly_one<T>(operation: &str, mut rows: Vec<T>) -> Result<T, ExchangeError> {
    match (rows.pop(), rows.len()) {
        (Some(row), 0) => Ok(row),
        (None, _) => Err(ExchangeError::new(
            ErrorClass::NotFound,
            Stage::Exchange,
            operation,
            "the service answered no object for the identity",
        )),
        (Some(_), others) => Err(ExchangeError::new(
            ErrorClass::Invalid,
            Stage::Exchange,
            operation,
            format!("the identity matches {} objects", others + 1),
        )),
    }
}

/// The start of an error's sentence for a row that is not the one asked for.
pub fn answered_another(operation: &str, kind: &str) -> ExchangeError {
    useless(
        operation,
        format!("the service answered another {kind} than the one asked for"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_addresses_are_taken_apart() {
        let primary = ProxyAddress::parse("SMTP:Sales@Contoso.com");
        assert!(primary.is_primary());
        assert_eq!(primary.smtp().unwrap().as_str(), "sales@contoso.com");
        let alias = ProxyAddress::parse("smtp:info@contoso.com");
        assert!(!alias.is_primary() && alias.smtp().is_some());
        assert_eq!(ProxyAddress::parse("X500:/o=First/ou=x:y").smtp(), None);
        assert_eq!(ProxyAddress::parse("SIP:sales@contoso.com").smtp(), None);
    }

    #[test]
    fn known_warnings_are_recognised() {
        let warning = |text: &str| Receipt {
            warnings: vec![text.to_owned()],
            ..Receipt::default()
        };
        assert!(
            warning("The appropriate access control entry is already present on the object \"x\" for account \"y\".")
                .say_already_present()
        );
        assert!(
            warning("Can't remove … because the ACE doesn\u{2019}t exist on the object.").say_not_present()
        );
        assert!(warning("… because the ACE isn't present on the object").say_not_present());
        assert!(
            warning("The command completed successfully but no settings of 'x' have been modified.")
                .say_no_change()
        );
        let other = warning("Something else");
        assert!(!other.say_already_present() && !other.say_not_present() && !other.say_no_change());
    }
}
