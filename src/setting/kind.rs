//! How a value is written as JSON, and read back from the form in which the service shows it.
//!
//! Longer than others: each kind is its writing and its reading side by side, and they are compared line by line.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::culture;
use super::value::{DAY, Value, Who, Words, written_minute};

/// What a property holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Flag,
    /// A flag that is true when something is blocked; null is a value of its own: as the organisation has it.
    BlockedOrDefault,
    /// A number, or `Unlimited`.
    Count,
    /// Written as `"49GB"`, shown as `49 GB (52,613,349,376 bytes)`, or `Unlimited` both ways.
    Size,
    /// A time, written and shown as `"30.00:00:00"`; a bare number is days.
    Span,
    /// Whole days, written as a number and shown as a time or a number, or `Unlimited` both ways.
    Days,
    /// Compared exactly.
    Text,
    /// Compared without case.
    Name,
    /// A language and region such as `de-DE`, which may come back as a text, an object or a number.
    Culture,
    /// One of these words, whatever their case.
    Word(&'static [&'static str]),
    /// A text that comes back wrapped in HTML; compared by its words.
    MailTip,
    /// A text in HTML, compared by its words and by what its links lead to.
    Html,
    /// A time to the minute, in UTC.
    Minute,
    /// An address, shown with `smtp:` before it.
    Address,
    /// One recipient, written by their object id and shown by it or by their name.
    Recipient,
    /// Any number of recipients, written as a whole list.
    Recipients,
    /// Something that can be made and not be taken away: shown by its id, or by a flag.
    Made,
}

impl Kind {
    /// Whether the service may show a value in another form than it was written.
    pub fn has_forms(self) -> bool {
        match self {
            // A name may come back as the id of what it names, a time in the time zone of a server.
            Self::Text | Self::Name | Self::Culture | Self::MailTip | Self::Html | Self::Minute => true,
            Self::Flag
            | Self::BlockedOrDefault
            | Self::Count
            | Self::Size
            | Self::Span
            | Self::Days
            | Self::Word(_)
            | Self::Address
            | Self::Recipient
            | Self::Recipients
            | Self::Made => false,
        }
    }

    /// The value as a manifest says it, for people.
    pub fn words(self, value: &Value) -> String {
        match (self, value) {
            (Self::BlockedOrDefault, Value::Flag(true)) => "Blocked".to_owned(),
            (Self::BlockedOrDefault, Value::Flag(false)) => "Allowed".to_owned(),
            (Self::BlockedOrDefault, Value::Nothing) => "TenantDefault".to_owned(),
            (_, other) => other.to_string(),
        }
    }

    /// None: not understood, so unread. Never a default.
    pub fn read(self, shown: &Json) -> Option<Value> {
        let is_nothing = match shown {
            Json::Null => true,
            Json::String(text) => text.is_empty(),
            Json::Array(items) => items.is_empty(),
            Json::Bool(_) | Json::Number(_) | Json::Object(_) => false,
        };
        if is_nothing {
            return Some(if self == Self::Made {
                Value::Flag(false)
            } else {
                Value::Nothing
            });
        }
        match self {
            Self::Flag | Self::BlockedOrDefault => read_flag(shown).map(Value::Flag),
            Self::Count => read_count(shown),
            Self::Size => read_size(shown.as_str()?),
            Self::Days if is_unlimited(shown) => Some(Value::Unlimited),
            Self::Span | Self::Days => read_span(shown),
            Self::Culture => culture::read(shown).map(|name| Value::name(&name)),
            Self::Text => shown.as_str().map(Value::text),
            Self::Name => shown.as_str().map(Value::name),
            Self::Word(words) => {
                let shown = shown.as_str()?;
                let word = words.iter().find(|word| word.eq_ignore_ascii_case(shown));
                word.map(|word| Value::name(word))
            }
            Self::MailTip | Self::Html => {
                let words = Words::of_markup(shown.as_str()?);
                Some(if words.is_empty() {
                    Value::Nothing
                } else {
                    Value::Words(words)
                })
            }
            Self::Minute => read_minute(shown.as_str()?),
            Self::Address => {
                let text = shown.as_str()?;
                let prefix = text
                    .get(..5)
                    .filter(|prefix| prefix.eq_ignore_ascii_case("smtp:"));
                let address = text.get(prefix.map_or(0, str::len)..)?;
                address.parse().ok().map(Value::Address)
            }
            Self::Recipient => Some(Value::Recipients(BTreeSet::from([who(shown.as_str()?)]))),
            Self::Recipients => read_recipients(shown),
            Self::Made => read_made(shown).map(Value::Flag),
        }
    }

    /// None: not a value of this kind, which is a mistake in the table of families; a test finds it.
    pub fn write(self, value: &Value) -> Option<Json> {
        match self {
            Self::BlockedOrDefault
            | Self::Count
            | Self::Size
            | Self::Span
            | Self::Days
            | Self::Text
            | Self::Name
            | Self::Culture
            | Self::MailTip
            | Self::Html
            | Self::Minute
            | Self::Address
            | Self::Recipient
            | Self::Recipients
                if *value == Value::Nothing =>
            {
                Some(Json::Null)
            }
            Self::Flag | Self::BlockedOrDefault => value.as_flag().map(Json::Bool),
            Self::Count | Self::Size | Self::Days if *value == Value::Unlimited => Some("Unlimited".into()),
            Self::Count => value.as_count().map(Json::from),
            Self::Size => value.as_bytes().map(|bytes| written_size(bytes).into()),
            Self::Span => value.as_seconds().map(|seconds| written_span(seconds).into()),
            // Part of a day can't be said.
            Self::Days => value
                .as_seconds()
                .filter(|seconds| seconds.is_multiple_of(DAY))
                .map(|seconds| (seconds / DAY).into()),
            Self::Text => value.as_text().map(Json::from),
            Self::Name | Self::Culture => value.as_name().map(|name| name.written().into()),
            Self::Word(words) => {
                let name = value.as_name()?.written();
                words.contains(&name).then(|| name.into())
            }
            Self::Minute => written_minute(value.as_minute()?).map(Json::from),
            Self::Address => value.as_address().map(|address| address.as_str().into()),
            Self::Recipient => written_recipients(value)?.pop(),
            Self::Recipients => written_recipients(value).map(Json::from),
            // To take it away is another call, which nobody declares.
            Self::Made => value.as_flag().filter(|is_wished| *is_wished).map(Json::Bool),
            Self::MailTip | Self::Html => value.as_words().map(|words| words.written().into()),
        }
    }
}

fn read_flag(shown: &Json) -> Option<bool> {
    let Some(text) = shown.as_str() else {
        return shown.as_bool();
    };
    [true, false]
        .into_iter()
        .find(|flag| text.eq_ignore_ascii_case(&flag.to_string()))
}

/// With `Z` or an offset; without one it is taken for UTC.
fn read_minute(shown: &str) -> Option<Value> {
    let time = shown.parse::<Timestamp>().ok().or_else(|| {
        let local: DateTime = shown.parse().ok()?;
        Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })?;
    Some(Value::minute(time))
}

fn who(text: &str) -> Who {
    text.parse().map_or_else(|_| Who::Shown(text.to_owned()), Who::Id)
}

fn read_recipients(shown: &Json) -> Option<Value> {
    let texts: Vec<&str> = match shown {
        Json::Array(items) => items.iter().map(Json::as_str).collect::<Option<_>>()?,
        Json::String(text) => vec![text],
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => return None,
    };
    Some(Value::Recipients(texts.into_iter().map(who).collect()))
}

/// None unless each of them is known by their id.
fn written_recipients(value: &Value) -> Option<Vec<Json>> {
    let ids = value.as_recipients()?.iter().map(|who| match who {
        Who::Id(id) => Some(id.to_string().into()),
        Who::Written(_) | Who::Shown(_) => None,
    });
    ids.collect()
}

/// An id that is not nil, or a flag.
fn read_made(shown: &Json) -> Option<bool> {
    if let Some(flag) = read_flag(shown) {
        return Some(flag);
    }
    let id: uuid::Uuid = shown.as_str()?.parse().ok()?;
    Some(!id.is_nil())
}

fn is_unlimited(shown: &Json) -> bool {
    shown
        .as_str()
        .is_some_and(|text| text.eq_ignore_ascii_case("unlimited"))
}

fn read_count(shown: &Json) -> Option<Value> {
    if is_unlimited(shown) {
        return Some(Value::Unlimited);
    }
    let number = shown.as_u64().or_else(|| digits(shown.as_str()?))?;
    u32::try_from(number).ok().map(Value::Count)
}

/// `[days.]hours:minutes:seconds`, or days alone.
fn read_span(shown: &Json) -> Option<Value> {
    let seconds = match shown.as_u64() {
        Some(days) => days.checked_mul(DAY)?,
        None => parse_span(shown.as_str()?)?,
    };
    Some(Value::Seconds(seconds))
}

fn parse_span(text: &str) -> Option<u64> {
    let Some((front, rest)) = text.split_once(':') else {
        return digits(text)?.checked_mul(DAY);
    };
    let (days, hours) = front.split_once('.').unwrap_or(("0", front));
    let (minutes, seconds) = rest.split_once(':')?;
    let part = |text: &str, below: u64| digits(text).filter(|number| *number < below);
    let within = part(hours, 24)? * 3600 + part(minutes, 60)? * 60 + part(seconds, 60)?;
    digits(days)?.checked_mul(DAY)?.checked_add(within)
}

/// Without a sign, which `parse` would take.
fn digits(text: &str) -> Option<u64> {
    let is_plain = text.chars().all(|c| c.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

fn written_span(seconds: u64) -> String {
    let (days, rest) = (seconds / DAY, seconds % DAY);
    format!("{days}.{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Only the bytes in the brackets count: what stands before them is rounded.
fn read_size(shown: &str) -> Option<Value> {
    if shown.eq_ignore_ascii_case("unlimited") {
        return Some(Value::Unlimited);
    }
    let (rounded, exact) = shown.split_once(" (")?;
    let (number, unit) = rounded.split_once(' ')?;
    let is_number = number.chars().all(|c| c.is_ascii_digit() || c == '.') && !number.is_empty();
    let is_unit = ["B", "KB", "MB", "GB", "TB"].contains(&unit);
    let digits = exact.strip_suffix(" bytes)")?.replace(',', "");
    let is_plain = digits.chars().all(|c| c.is_ascii_digit());
    (is_number && is_unit && is_plain).then_some(())?;
    digits.parse().ok().map(Value::Bytes)
}

/// With the largest unit that divides it, so that nothing is rounded.
fn written_size(bytes: u64) -> String {
    let units = [(1_u64 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")];
    units
        .into_iter()
        .find(|(unit, _)| bytes.is_multiple_of(*unit) && bytes > 0)
        .map_or_else(
            || format!("{bytes}B"),
            |(unit, name)| format!("{}{name}", bytes / unit),
        )
}

#[cfg(test)]
pub mod testing {
    use proptest::prelude::*;

    use super::*;

    fn some_address() -> impl Strategy<Value = Value> {
        "[a-z]{1,9}".prop_map(|name| Value::Address(format!("{name}@fabrikam.com").parse().unwrap()))
    }

    fn some_recipients(most: usize) -> impl Strategy<Value = Value> {
        let id = (1_u8..9).prop_map(|number| {
            Who::Id(
                format!("00000000-0000-4000-8000-00000000000{number}")
                    .parse()
                    .unwrap(),
            )
        });
        proptest::collection::btree_set(id, 1..=most).prop_map(Value::Recipients)
    }

    impl Kind {
        pub const ALL: [Self; 17] = [
            Self::Word(&["None", "Known", "All"]),
            Self::Html,
            Self::Minute,
            Self::Address,
            Self::Recipient,
            Self::Recipients,
            Self::Made,
            Self::Flag,
            Self::BlockedOrDefault,
            Self::Count,
            Self::Size,
            Self::Span,
            Self::Days,
            Self::Text,
            Self::Name,
            Self::Culture,
            Self::MailTip,
        ];

        /// Any value that a manifest can wish.
        pub fn any_wish(self) -> BoxedStrategy<Value> {
            let size =
                || prop_oneof![1_u64..200, Just(49 * 1024), Just(50688)].prop_map(|n| Value::Bytes(n << 20));
            match self {
                Self::Flag => any::<bool>().prop_map(Value::Flag).boxed(),
                Self::BlockedOrDefault => {
                    prop_oneof![Just(Value::Nothing), any::<bool>().prop_map(Value::Flag)].boxed()
                }
                Self::Count => (1_u32..1000).prop_map(Value::Count).boxed(),
                Self::Size => size().boxed(),
                Self::Span => (1_u64..31).prop_map(|days| Value::Seconds(days * DAY)).boxed(),
                Self::Days => prop_oneof![
                    Just(Value::Unlimited),
                    (1_u64..24856).prop_map(|days| Value::Seconds(days * DAY))
                ]
                .boxed(),
                Self::Culture => prop_oneof![Just("de-DE"), Just("en-US"), Just("fr-CH")]
                    .prop_map(Value::name)
                    .boxed(),
                Self::Text => "[a-z&;.]{1,12}".prop_map(|text| Value::text(&text)).boxed(),
                Self::Name => "[a-z]{1,12}".prop_map(|text| Value::name(&text)).boxed(),
                Self::Word(words) => proptest::sample::select(words).prop_map(Value::name).boxed(),
                Self::Html => "(<p>)?[a-z&; ]{0,12}(<a href='x'>y</a>)?"
                    .prop_map(|text| Value::html(&text))
                    .boxed(),
                Self::Minute => (0_i64..50_000_000).prop_map(Value::Minute).boxed(),
                Self::Address => some_address().boxed(),
                Self::Recipient => prop_oneof![Just(Value::Nothing), some_recipients(1)].boxed(),
                Self::Recipients => prop_oneof![Just(Value::Nothing), some_recipients(3)].boxed(),
                Self::Made => Just(Value::Flag(true)).boxed(),
                Self::MailTip => "[a-z&; ]{0,12}".prop_map(|text| Value::words(&text)).boxed(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn any_json() -> impl Strategy<Value = Json> {
        prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
            "[0-9.:]{0,12}".prop_map(Into::into),
            "[0-9., ]{0,6}(KB|MB|GB|B)? ?\\(?[0-9,]{0,8}( bytes\\))?".prop_map(Into::into),
            proptest::collection::vec(any::<String>(), 0..3).prop_map(Into::into),
            Just(json!({"a": 1})),
        ]
    }

    /// As the service shows what it was given, in its kindest form.
    fn shown(kind: Kind, written: &Json) -> Json {
        match (kind, written.as_str()) {
            (Kind::Size, Some(text)) => {
                let digits: u64 = text.trim_end_matches(char::is_alphabetic).parse().unwrap();
                let shift = match text.trim_start_matches(char::is_numeric) {
                    "KB" => 10,
                    "MB" => 20,
                    "GB" => 30,
                    _ => 0,
                };
                json!(format!("1.5 GB ({} bytes)", digits << shift))
            }
            (Kind::Days, None) if written.is_u64() => json!(format!("{written}.00:00:00")),
            (Kind::Count, None) => json!(written.to_string()),
            (Kind::Address, Some(text)) => json!(format!("smtp:{text}")),
            (Kind::Made, None) => json!("66666666-7777-8888-9999-aaaaaaaaaaaa"),
            (Kind::Minute, Some(text)) => json!(text.replace('Z', "+00:00")),
            (Kind::MailTip, Some(text)) => {
                json!(format!(
                    "<html>\r\n<body>\r\n{}\r\n</body></html>",
                    text.replace('&', "&amp;")
                ))
            }
            _ => written.clone(),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_as_the_same_value(
            (kind, wish) in proptest::sample::select(Kind::ALL.to_vec()).prop_flat_map(|kind| (Just(kind), kind.any_wish()))
        ) {
            let written = kind.write(&wish).unwrap();
            prop_assert_eq!(kind.read(&shown(kind, &written)), Some(wish));
        }

        #[test]
        fn reading_is_total_and_never_invents_a_value(json in any_json()) {
            for kind in Kind::ALL {
                let read = kind.read(&json);
                let is_nothing = json.is_null() || json == json!("") || json == json!([]);
                if is_nothing {
                    let nothing = if kind == Kind::Made { Value::Flag(false) } else { Value::Nothing };
                    prop_assert_eq!(&read, &Some(nothing));
                }
                if let Some(Value::Bytes(_)) = read {
                    prop_assert!(json.as_str().unwrap().ends_with(" bytes)"), "{}", json);
                }
            }
        }
    }

    #[test]
    fn what_is_not_understood_is_unread_and_not_a_default() {
        for shown in [
            json!("49GB"),
            json!("49 GB"),
            json!("lots (1 bytes)"),
            json!("1 GB (-5 bytes)"),
            json!(5),
        ] {
            assert_eq!(Kind::Size.read(&shown), None, "{shown}");
        }
        for shown in [json!("yes"), json!(1), json!({})] {
            assert_eq!(Kind::Flag.read(&shown), None, "{shown}");
        }
        assert_eq!(Kind::Flag.read(&json!("False")), Some(Value::Flag(false)));
        assert_eq!(Kind::Text.read(&json!(5)), None);
    }

    #[test]
    fn times_are_understood_with_and_without_days_and_as_a_number_of_days() {
        let day = 86_400;
        for (shown, seconds) in [
            (json!("30.00:00:00"), 30 * day),
            (json!("14:30:05"), 14 * 3600 + 30 * 60 + 5),
            (json!("00:00:00"), 0),
            (json!("365"), 365 * day),
            (json!(365), 365 * day),
        ] {
            assert_eq!(Kind::Span.read(&shown), Some(Value::Seconds(seconds)), "{shown}");
            assert_eq!(Kind::Days.read(&shown), Some(Value::Seconds(seconds)), "{shown}");
        }
        for shown in [
            json!("1.25:00:00"),
            json!("00:60:00"),
            json!("1:2"),
            json!(-1),
            json!("30 days"),
            json!(1.5),
        ] {
            assert_eq!(Kind::Span.read(&shown), None, "{shown}");
        }
        assert_eq!(Kind::Days.read(&json!("unlimited")), Some(Value::Unlimited));
        assert_eq!(
            Kind::Span.write(&Value::Seconds(30 * day)),
            Some(json!("30.00:00:00"))
        );
        assert_eq!(Kind::Days.write(&Value::Seconds(30 * day)), Some(json!(30)));
        assert_eq!(
            Kind::Days.write(&Value::Seconds(90)),
            None,
            "part of a day can't be said"
        );
    }

    #[test]
    fn times_are_understood_in_any_zone_and_without_one() {
        let noon = Value::minute("2026-12-24T12:00:00Z".parse().unwrap());
        for shown in [
            "2026-12-24T12:00:00Z",
            "2026-12-24T13:00:30+01:00",
            "2026-12-24T12:00:00",
            "2026-12-24T12:00:00.0000000",
        ] {
            assert_eq!(Kind::Minute.read(&json!(shown)), Some(noon.clone()), "{shown}");
        }
        assert_eq!(Kind::Minute.read(&json!("12/24/2026 12:00")), None);
        assert_eq!(Kind::Minute.write(&noon), Some(json!("2026-12-24T12:00:00Z")));
    }

    #[test]
    fn what_was_made_is_shown_by_its_id_and_never_taken_away() {
        for (shown, is_there) in [
            (json!("00000000-0000-0000-0000-000000000000"), false),
            (json!(null), false),
            (json!(false), false),
            (json!("66666666-7777-8888-9999-aaaaaaaaaaaa"), true),
            (json!(true), true),
        ] {
            assert_eq!(Kind::Made.read(&shown), Some(Value::Flag(is_there)), "{shown}");
        }
        assert_eq!(Kind::Made.read(&json!("Active")), None);
        assert_eq!(Kind::Made.write(&Value::Flag(false)), None);
    }

    #[test]
    fn recipients_are_written_only_once_each_of_them_is_known() {
        let id = "66666666-7777-8888-9999-aaaaaaaaaaaa";
        let shown = Kind::Recipients.read(&json!([id, "Old Name"])).unwrap();
        let known = Who::Id(id.parse().unwrap());
        let both = BTreeSet::from([known.clone(), Who::Shown("Old Name".to_owned())]);
        assert_eq!(shown, Value::Recipients(both));
        assert_eq!(Kind::Recipients.write(&shown), None);
        let one = Value::Recipients(BTreeSet::from([known]));
        assert_eq!(Kind::Recipients.write(&one), Some(json!([id])));
        assert_eq!(Kind::Recipient.write(&one), Some(json!(id)));
        assert_eq!(Kind::Recipients.write(&Value::Nothing), Some(json!(null)));
        assert_eq!(
            Kind::Recipients.write(&Value::Recipients(BTreeSet::new())),
            Some(json!([]))
        );
    }

    #[test]
    fn sizes_are_written_without_rounding() {
        for (bytes, written) in [
            (49 << 30, "49GB"),
            (50688 << 20, "50688MB"),
            (3 << 10, "3KB"),
            (7, "7B"),
        ] {
            assert_eq!(Kind::Size.write(&Value::Bytes(bytes)), Some(json!(written)));
        }
        let shown = json!("49.5 GB (53,150,220,288 bytes)");
        assert_eq!(Kind::Size.read(&shown), Some(Value::Bytes(50688 << 20)));
        assert_eq!(Kind::Size.read(&json!("Unlimited")), Some(Value::Unlimited));
    }

    #[test]
    fn null_is_a_value_of_a_flag_that_has_a_default() {
        assert_eq!(Kind::BlockedOrDefault.read(&json!(null)), Some(Value::Nothing));
        assert_eq!(Kind::BlockedOrDefault.write(&Value::Nothing), Some(json!(null)));
        assert_eq!(Kind::Flag.write(&Value::Nothing), None);
    }
}
