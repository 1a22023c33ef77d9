//! What a setting's values are: how they are given, stored and shown.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::{language, mail_tip, size};
use crate::directory::smtp_part;
use crate::error::CmdletError;
use crate::parameters::Takes;
use crate::quirks::{HtmlForm, Quirks, TimeForm};

/// The kind of a setting's values, with what it is when nobody wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// On or off.
    Flag(bool),
    /// On, off, or `null` for what the organisation has.
    FlagOrDefault,
    /// A text of at most this many characters; cleared by `null`.
    Text { most: usize, usual: &'static str },
    /// A recipient of the tenant, shown by its name.
    Recipient,
    /// An address outside, shown with `smtp:` before it.
    ForwardingAddress,
    /// A text, shown inside the HTML in which Exchange keeps it.
    MailTip,
    /// A size in bytes.
    Size { most: u64, usual: u64 },
    /// A size that depends on how large the mailbox may grow.
    Quota { small: u64, large: u64 },
    /// Whole days, shown as a time span.
    Span { most: u32, usual: u32 },
    /// Whole days, shown as a time span, or `Unlimited`, which is usual.
    Days,
    /// A number, shown as text, or `Unlimited`.
    Count { most: u32, usual: u32 },
    /// The name of one of the tenant's policies; the first one is usual.
    Policy(&'static [&'static str]),
    /// A language of a region.
    Language,
    /// A time zone by its Windows name.
    TimeZone,
    /// A format of dates or times; which ones there are depends on the language.
    Format,
    /// One of these words.
    Word {
        words: &'static [&'static str],
        usual: &'static str,
    },
    /// A text for people, kept as HTML.
    Html,
    /// A time.
    Time,
    /// Recipients of the tenant, shown by their names. Only the whole list can be written.
    Recipients,
}

const UNLIMITED: &str = "Unlimited";

/// What Exchange calls a number that may be `Unlimited`.
const NUMBER: &str = "Microsoft.Exchange.Data.Unlimited`1[System.Int32]";

impl Kind {
    /// What a parameter of this kind takes.
    pub fn takes(self) -> Takes {
        match self {
            Self::Flag(_) | Self::FlagOrDefault => Takes::Switch,
            Self::Text { .. }
            | Self::Recipient
            | Self::ForwardingAddress
            | Self::MailTip
            | Self::Size { .. }
            | Self::Quota { .. }
            | Self::Span { .. }
            | Self::Days
            | Self::Count { .. }
            | Self::Policy(_)
            | Self::Language
            | Self::TimeZone
            | Self::Format
            | Self::Word { .. }
            | Self::Html
            | Self::Time => Takes::Text,
            Self::Recipients => Takes::Texts,
        }
    }

    /// What is stored for a value of the parameter `name`; `None` for `null` and "".
    pub fn parse(self, name: &str, value: &Value) -> Result<Option<Value>, CmdletError> {
        if self == Self::Recipients {
            return recipients(value, name);
        }
        let text = match value {
            Value::Null => None,
            Value::String(text) => Some(text.trim().to_owned()),
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Some(other.to_string())
            }
        };
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return match self {
                Self::Flag(_) => Err(not_a(name, "System.Boolean")),
                Self::Word { .. } => Err(not_a(name, name)),
                Self::FlagOrDefault
                | Self::Text { .. }
                | Self::Recipient
                | Self::ForwardingAddress
                | Self::MailTip
                | Self::Size { .. }
                | Self::Quota { .. }
                | Self::Span { .. }
                | Self::Days
                | Self::Count { .. }
                | Self::Policy(_)
                | Self::Language
                | Self::TimeZone
                | Self::Format
                | Self::Html
                | Self::Time
                | Self::Recipients => Ok(None),
            };
        };
        let unlimited = text.eq_ignore_ascii_case(UNLIMITED);
        let stored = match self {
            Self::Flag(_) | Self::FlagOrDefault => flag(name, value)?,
            Self::Text { most, .. } => at_most(name, text, most, |text| text.chars().count())?,
            Self::ForwardingAddress => address(&text)?,
            Self::MailTip => at_most(name, text, mail_tip::MOST, mail_tip::displayed)?,
            Self::Quota { .. } | Self::Days | Self::Count { .. } if unlimited => UNLIMITED.into(),
            Self::Size { most, .. } => {
                let bytes = bytes(name, &text)?;
                if bytes > most {
                    let why = format!("It is above {}.", size::shown(most));
                    return Err(CmdletError::invalid_value(name, &text, &why));
                }
                bytes.into()
            }
            Self::Quota { .. } => bytes(name, &text)?.into(),
            Self::Span { most, .. } => {
                let days = whole(&text);
                let days = days.ok_or_else(|| not_a(name, "Microsoft.Exchange.Data.EnhancedTimeSpan"))?;
                within(name, days, 0, most)?
            }
            Self::Days => whole(&text).ok_or_else(|| not_a(name, NUMBER))?.into(),
            Self::Count { most, .. } => {
                let count = whole(&text).ok_or_else(|| not_a(name, NUMBER))?;
                within(name, count, 1, most)?
            }
            Self::Policy(known) => {
                let policy = known.iter().find(|policy| policy.eq_ignore_ascii_case(&text));
                (*policy.ok_or_else(|| CmdletError::not_found(&text))?).into()
            }
            Self::Language => {
                let culture = language::culture(&text);
                let culture = culture.ok_or_else(|| not_a(name, "System.Globalization.CultureInfo"))?;
                culture.name.into()
            }
            Self::TimeZone => {
                let zone = language::time_zone(&text);
                let why = "It is no time zone of this server.";
                zone.ok_or_else(|| CmdletError::invalid_value(name, &text, why))?
                    .into()
            }
            Self::Recipient | Self::Format | Self::Html => text.into(),
            Self::Word { words, .. } => {
                let word = words.iter().find(|word| word.eq_ignore_ascii_case(&text));
                (*word.ok_or_else(|| not_a(name, name))?).into()
            }
            Self::Time => time(&text).ok_or_else(|| not_a(name, "System.DateTime"))?.into(),
            // Dealt with above: it is no text.
            Self::Recipients => Value::Null,
        };
        Ok(Some(stored))
    }

    /// What holds while nobody has written it, in the form in which values are stored. A `large` mailbox has
    /// 100 GB.
    pub fn usual(self, large: bool) -> Value {
        match self {
            Self::Flag(usual) => usual.into(),
            Self::FlagOrDefault
            | Self::Recipient
            | Self::ForwardingAddress
            | Self::MailTip
            | Self::Language
            | Self::TimeZone
            | Self::Format => Value::Null,
            Self::Html => "".into(),
            Self::Time => "2026-01-05T08:00:00Z".into(),
            Self::Recipients => Value::Array(Vec::new()),
            Self::Text { usual, .. } | Self::Word { usual, .. } => usual.into(),
            Self::Size { usual, .. } => usual.into(),
            Self::Quota { small, large: most } => if large { most } else { small }.into(),
            Self::Span { usual, .. } | Self::Count { usual, .. } => usual.into(),
            Self::Days => UNLIMITED.into(),
            Self::Policy(known) => known.first().copied().into(),
        }
    }

    /// What is shown while nobody has written it.
    pub fn shown_unset(self, large: bool, quirks: &Quirks) -> Value {
        if self == Self::MailTip {
            mail_tip::shown_empty(quirks.mail_tip)
        } else if matches!(self, Self::Flag(_)) && quirks.flags_null_until_set {
            Value::Null
        } else {
            self.shown(&self.usual(large), quirks)
        }
    }

    /// How a stored value is shown.
    pub fn shown(self, stored: &Value, quirks: &Quirks) -> Value {
        let text = match self {
            Self::Flag(_)
            | Self::FlagOrDefault
            | Self::Text { .. }
            | Self::Recipient
            | Self::ForwardingAddress
            | Self::Policy(_)
            | Self::TimeZone
            | Self::Format
            | Self::Word { .. }
            | Self::Recipients => None,
            Self::Html => stored
                .as_str()
                .filter(|text| !text.is_empty())
                .map(|text| html(text, quirks.html)),
            Self::Time => stored.as_str().map(|time| shown_time(time, quirks.times)),
            Self::Language => {
                let culture = stored.as_str().and_then(language::culture);
                return culture.map_or(Value::Null, |culture| culture.shown(quirks.language));
            }
            Self::MailTip => stored.as_str().map(|text| mail_tip::shown(text, quirks.mail_tip)),
            Self::Size { .. } | Self::Quota { .. } => stored.as_u64().map(size::shown),
            Self::Span { .. } | Self::Days => stored.as_u64().map(|days| format!("{days}.00:00:00")),
            Self::Count { .. } => stored.as_u64().map(|count| count.to_string()),
        };
        text.map_or_else(|| stored.clone(), Value::from)
    }
}

fn flag(name: &str, value: &Value) -> Result<Value, CmdletError> {
    match value {
        Value::Bool(flag) => Ok((*flag).into()),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            Err(not_a(name, "System.Boolean"))
        }
    }
}

fn at_most(
    name: &str,
    text: String,
    most: usize,
    length: impl Fn(&str) -> usize,
) -> Result<Value, CmdletError> {
    if length(&text) > most {
        let why = format!("It is longer than {most} characters.");
        return Err(CmdletError::invalid_value(name, &text, &why));
    }
    Ok(text.into())
}

fn address(text: &str) -> Result<Value, CmdletError> {
    let address = smtp_part(text).unwrap_or(text);
    match address.split_once('@') {
        Some((local, domain)) if !local.is_empty() && domain.contains('.') => {
            Ok(format!("smtp:{address}").into())
        }
        _ => Err(CmdletError::bad_address(address)),
    }
}

/// The names of recipients as they were given; `None` for none at all. The caller looks them up.
fn recipients(value: &Value, name: &str) -> Result<Option<Value>, CmdletError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => Ok(Some(vec![text.clone()].into())),
        Value::Array(items) if items.is_empty() => Ok(None),
        Value::Array(items) => Ok(Some(items.clone().into())),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            Err(not_a(name, "Microsoft.Exchange.Data.MultiValuedProperty"))
        }
    }
}

/// In UTC, to the second.
fn time(text: &str) -> Option<String> {
    let time: Timestamp = text.parse().ok().or_else(|| {
        let local: DateTime = text.parse().ok()?;
        Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })?;
    Some(format!("{time:.0}"))
}

fn shown_time(stored: &str, form: TimeForm) -> String {
    match form {
        TimeForm::Utc => stored.to_owned(),
        TimeForm::Offset => stored.replace('Z', "+00:00"),
        TimeForm::WithoutZone => stored.trim_end_matches('Z').to_owned(),
    }
}

fn html(text: &str, form: HtmlForm) -> String {
    match form {
        HtmlForm::Wrapped => format!("<html>\n<body>\n{text}\n</body>\n</html>\n"),
        HtmlForm::Dressed => format!(
            "<html>\n<head>\n<style type=\"text/css\">p {{ margin: 0 }}</style>\n</head>\n<body>\n<div dir=\"ltr\" \
             class=\"elementToProof\">{text}</div>\n</body>\n</html>\n"
        ),
    }
}

fn bytes(name: &str, text: &str) -> Result<u64, CmdletError> {
    size::parse(text).ok_or_else(|| not_a(name, "Microsoft.Exchange.Data.ByteQuantifiedSize"))
}

/// `30`, or the days of `30.00:00:00`.
fn whole(text: &str) -> Option<u32> {
    text.split('.').next()?.parse().ok()
}

fn within(name: &str, number: u32, least: u32, most: u32) -> Result<Value, CmdletError> {
    if (least..=most).contains(&number) {
        return Ok(number.into());
    }
    let why = format!("It must be {least} to {most}.");
    Err(CmdletError::invalid_value(name, &number.to_string(), &why))
}

fn not_a(name: &str, to: &str) -> CmdletError {
    CmdletError::conversion(name, "System.String", to)
}
