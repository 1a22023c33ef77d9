//! Values of settings, in the form in which they are compared.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};

use jiff::Timestamp;

use super::html;
use crate::mail::{ObjectId, SmtpAddress};

/// How many characters of a value are shown to people at most.
const SHOWN: usize = 60;

/// Seconds.
pub(super) const DAY: u64 = 86_400;

/// The value of one property. `==` is the comparison that decides about a write.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// Null, "" or an empty list.
    Nothing,
    Unlimited,
    Flag(bool),
    Count(u32),
    Bytes(u64),
    Seconds(u64),
    /// Minutes since 1970, UTC.
    Minute(i64),
    Text(String),
    Name(Name),
    Words(Words),
    Address(SmtpAddress),
    /// One or more recipients. Nobody is [`Self::Nothing`]; an empty set is another way of writing it.
    Recipients(BTreeSet<Who>),
}

/// A recipient, as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// As a manifest names them; not looked up yet.
    Written(SmtpAddress),
    Id(ObjectId),
    /// As Exchange shows them: the name of an older object.
    Shown(String),
}

impl Value {
    /// A text, or nothing when it is empty.
    pub fn text(text: &str) -> Self {
        if text.is_empty() {
            Self::Nothing
        } else {
            Self::Text(text.to_owned())
        }
    }

    /// A text that is compared without case, or nothing when it is empty.
    pub fn name(text: &str) -> Self {
        if text.trim().is_empty() {
            Self::Nothing
        } else {
            Self::Name(Name::new(text))
        }
    }

    /// A text that is compared by its words; nothing when it has none.
    pub fn words(text: &str) -> Self {
        let words = Words::plain(text);
        if words.is_empty() {
            Self::Nothing
        } else {
            Self::Words(words)
        }
    }

    pub fn as_flag(&self) -> Option<bool> {
        if let Self::Flag(flag) = self {
            Some(*flag)
        } else {
            None
        }
    }

    pub(super) fn as_count(&self) -> Option<u32> {
        if let Self::Count(count) = self {
            Some(*count)
        } else {
            None
        }
    }

    pub(super) fn as_bytes(&self) -> Option<u64> {
        if let Self::Bytes(bytes) = self {
            Some(*bytes)
        } else {
            None
        }
    }

    pub(super) fn as_seconds(&self) -> Option<u64> {
        if let Self::Seconds(seconds) = self {
            Some(*seconds)
        } else {
            None
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }

    pub(super) fn as_name(&self) -> Option<&Name> {
        if let Self::Name(name) = self {
            Some(name)
        } else {
            None
        }
    }

    pub(super) fn as_minute(&self) -> Option<i64> {
        if let Self::Minute(minute) = self {
            Some(*minute)
        } else {
            None
        }
    }

    pub fn as_address(&self) -> Option<&SmtpAddress> {
        if let Self::Address(address) = self {
            Some(address)
        } else {
            None
        }
    }

    pub fn as_recipients(&self) -> Option<&BTreeSet<Who>> {
        if let Self::Recipients(who) = self {
            Some(who)
        } else {
            None
        }
    }

    pub(super) fn as_words(&self) -> Option<&Words> {
        if let Self::Words(words) = self {
            Some(words)
        } else {
            None
        }
    }

    /// A text for people who write to the mailbox: HTML, or plain text, which is sent as HTML.
    pub fn html(text: &str) -> Self {
        let words = if text.contains('<') {
            Words::of_markup(text)
        } else {
            Words::of_markup(&html::of_plain(text))
        };
        if words.is_empty() {
            Self::Nothing
        } else {
            Self::Words(words)
        }
    }

    /// Seconds don't count.
    pub fn minute(time: Timestamp) -> Self {
        Self::Minute(time.as_second().div_euclid(60))
    }

    /// Recipients as a manifest names them; nothing when there are none.
    pub fn recipients(addresses: impl IntoIterator<Item = SmtpAddress>) -> Self {
        let who: BTreeSet<Who> = addresses.into_iter().map(Who::Written).collect();
        if who.is_empty() {
            Self::Nothing
        } else {
            Self::Recipients(who)
        }
    }

    /// A size of a manifest: digits and `Ki`, `Mi`, `Gi` or `Ti`. None: not a size, or above 64 bits.
    pub fn size(text: &str) -> Option<Self> {
        let units = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40)];
        let (digits, shift) = units
            .into_iter()
            .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))?;
        let number: u64 = digits.parse().ok()?;
        number.checked_mul(1 << shift).map(Self::Bytes)
    }

    /// A time of a manifest: days as in `30d`, or `Unlimited`. None: neither of them.
    pub fn days(text: &str) -> Option<Self> {
        if text == "Unlimited" {
            return Some(Self::Unlimited);
        }
        let days: u64 = text.strip_suffix('d')?.parse().ok()?;
        days.checked_mul(DAY).map(Self::Seconds)
    }

    /// What a size or a time is compared by in checks: Unlimited is above everything; None is neither.
    pub fn bound(&self) -> Option<u64> {
        match self {
            Self::Bytes(number) | Self::Seconds(number) => Some(*number),
            Self::Count(count) => Some(u64::from(*count)),
            Self::Unlimited => Some(u64::MAX),
            Self::Nothing
            | Self::Flag(_)
            | Self::Minute(_)
            | Self::Text(_)
            | Self::Name(_)
            | Self::Words(_)
            | Self::Address(_)
            | Self::Recipients(_) => None,
        }
    }
}

/// One line of at most 60 characters, for people.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Unlimited => f.write_str("unlimited"),
            Self::Flag(flag) => flag.fmt(f),
            Self::Count(count) => count.fmt(f),
            Self::Bytes(bytes) => write_size(*bytes, f),
            Self::Seconds(seconds) => write_time(*seconds, f),
            Self::Text(text) => write_quoted(text, f),
            Self::Name(name) => write_quoted(&name.written, f),
            Self::Words(words) => write_quoted(&words.written, f),
            Self::Minute(minute) => write_minute(*minute, f),
            Self::Address(address) => write_short(address.as_str(), f),
            Self::Recipients(who) if who.len() > 1 => write!(f, "{} recipients", who.len()),
            Self::Recipients(who) => match who.first() {
                Some(Who::Written(address)) => write_short(address.as_str(), f),
                Some(Who::Id(id)) => id.fmt(f),
                Some(Who::Shown(name)) => write_quoted(name, f),
                None => f.write_str("nobody"),
            },
        }
    }
}

fn write_quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // Escapes make a text longer, so the quoted one is measured.
    let quoted = format!("{text:?}");
    if quoted.chars().count() <= SHOWN {
        return f.write_str(&quoted);
    }
    let start: String = quoted.chars().take(SHOWN - 2).collect();
    write!(f, "{start}…\"")
}

fn write_short(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if text.chars().count() <= SHOWN {
        return f.write_str(text);
    }
    let start: String = text.chars().take(SHOWN - 1).collect();
    write!(f, "{start}…")
}

fn write_minute(minute: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match written_minute(minute) {
        Some(time) => f.write_str(&time),
        None => write!(f, "minute {minute}"),
    }
}

/// As ISO 8601 in UTC. None: outside of all calendars.
pub(super) fn written_minute(minute: i64) -> Option<String> {
    let time = Timestamp::from_second(minute.checked_mul(60)?).ok()?;
    Some(format!("{time:.0}"))
}

/// With one digit after the point, as the admin center shows it.
fn write_size(bytes: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let units = [
        (1_u64 << 40, "TB"),
        (1 << 30, "GB"),
        (1 << 20, "MB"),
        (1 << 10, "KB"),
    ];
    let Some((unit, name)) = units.into_iter().find(|(unit, _)| bytes >= *unit) else {
        return write!(f, "{bytes} bytes");
    };
    let tenths = u128::from(bytes) * 10 / u128::from(unit);
    match (tenths / 10, tenths % 10) {
        (whole, 0) => write!(f, "{whole} {name}"),
        (whole, tenth) => write!(f, "{whole}.{tenth} {name}"),
    }
}

fn write_time(seconds: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (seconds / DAY, seconds % DAY) {
        (1, 0) => f.write_str("1 day"),
        (days, 0) => write!(f, "{days} days"),
        _ => write!(f, "{seconds} seconds"),
    }
}

/// A text that keeps how it was written and is compared by what it means.
#[derive(Clone, Debug)]
pub struct Alike<Meaning> {
    meaning: Meaning,
    written: String,
}

/// Compared without case and without blanks around it.
pub type Name = Alike<String>;

/// Compared by its words: a service that wraps a text in markup, or changes its white space, changes nothing.
pub type Words = Alike<Vec<String>>;

impl<Meaning> Alike<Meaning> {
    pub fn written(&self) -> &str {
        &self.written
    }
}

impl Name {
    pub fn new(text: &str) -> Self {
        Self {
            meaning: text.trim().to_lowercase(),
            written: text.to_owned(),
        }
    }
}

impl Words {
    /// A text without markup, as a manifest has it.
    pub fn plain(text: &str) -> Self {
        Self {
            meaning: text.split_whitespace().map(str::to_owned).collect(),
            written: text.to_owned(),
        }
    }

    /// A text with markup, of which only the words and the targets of links count.
    pub fn of_markup(text: &str) -> Self {
        Self {
            meaning: html::said(text),
            written: text.to_owned(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.meaning.is_empty()
    }
}

impl<Meaning: PartialEq> PartialEq for Alike<Meaning> {
    fn eq(&self, other: &Self) -> bool {
        self.meaning == other.meaning
    }
}

impl<Meaning: Eq> Eq for Alike<Meaning> {}

impl<Meaning: Ord> PartialOrd for Alike<Meaning> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<Meaning: Ord> Ord for Alike<Meaning> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.meaning.cmp(&other.meaning)
    }
}

impl<Meaning: Hash> Hash for Alike<Meaning> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.meaning.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_of_manifests_are_powers_of_two() {
        assert_eq!(Value::size("49Gi"), Some(Value::Bytes(49 << 30)));
        assert_eq!(Value::size("50688Mi"), Some(Value::Bytes(50688 << 20)));
        for text in ["", "Gi", "1", "1GB", "-1Gi", "99999999999Ti"] {
            assert_eq!(Value::size(text), None, "{text}");
        }
    }

    #[test]
    fn times_of_manifests_are_whole_days() {
        assert_eq!(Value::days("30d"), Some(Value::Seconds(30 * 86_400)));
        assert_eq!(Value::days("Unlimited"), Some(Value::Unlimited));
        for text in ["", "d", "30", "30h", "-1d", "999999999999999999d"] {
            assert_eq!(Value::days(text), None, "{text}");
        }
    }

    #[test]
    fn values_are_shown_to_people_in_a_few_words() {
        for (value, shown) in [
            (Value::Nothing, "nothing"),
            (Value::Flag(true), "true"),
            (Value::Bytes(50688 << 20), "49.5 GB"),
            (Value::Bytes(100 << 30), "100 GB"),
            (Value::Bytes(17), "17 bytes"),
            (Value::Count(500), "500"),
            (Value::Seconds(30 * 86_400), "30 days"),
            (Value::Seconds(86_400), "1 day"),
            (Value::Seconds(90), "90 seconds"),
            (Value::text("Sales"), "\"Sales\""),
        ] {
            assert_eq!(value.to_string(), shown);
        }
    }

    #[test]
    fn names_are_compared_without_case_and_texts_with_it() {
        assert_eq!(Value::name("Sales "), Value::name("sales"));
        assert_ne!(Value::text("Sales"), Value::text("sales"));
        assert_eq!(Name::new("Sales").written(), "Sales");
    }

    #[test]
    fn words_are_compared_whatever_stands_around_them() {
        let plain = Words::plain("Replies take  a day & more");
        let wrapped = "<html>\r\n<body>\r\nReplies take a day &amp; more\r\n</body>\r\n</html>\r\n";
        assert_eq!(Words::of_markup(wrapped), plain);
        assert_eq!(Words::of_markup("Replies&nbsp;take a day &#38;\r\nmore"), plain);
        assert_ne!(Words::of_markup("Replies take two days &amp; more"), plain);
        assert!(Words::of_markup("<html>\r\n<body>\r\n\r\n</body>\r\n</html>").is_empty());
        assert_eq!(Words::of_markup("a & b < c"), Words::plain("a & b < c"));
    }

    proptest! {
        #[test]
        fn a_shown_value_is_one_line_of_at_most_sixty_characters(text in any::<String>()) {
            for value in [Value::text(&text), Value::name(&text), Value::words(&text)] {
                let shown = value.to_string();
                prop_assert!(shown.chars().count() <= SHOWN, "{}", shown);
                prop_assert!(!shown.contains(['\n', '\r']), "{}", shown);
            }
        }

        #[test]
        fn what_is_equal_is_equal_in_every_way(one in "[a-bA-B ]{0,4}", other in "[a-bA-B ]{0,4}") {
            let state = RandomState::new();
            for (one, other) in [
                (Value::name(&one), Value::name(&other)),
                (Value::words(&one), Value::words(&other)),
            ] {
                let equal = one == other;
                prop_assert_eq!(equal, one.cmp(&other) == Ordering::Equal);
                if equal {
                    prop_assert_eq!(state.hash_one(&one), state.hash_one(&other));
                }
            }
        }

        #[test]
        fn any_markup_can_be_read(text in any::<String>()) {
            let _ = Words::of_markup(&text).is_empty();
        }
    }
}
