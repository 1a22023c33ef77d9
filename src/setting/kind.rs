//! How a value is written as JSON, and read back from the form in which the service shows it.

use serde_json::Value as Json;

use super::value::{Name, Value, Words};

/// What a property holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Flag,
    /// A flag that is true when something is blocked; null is a value of its own: as the organisation has it.
    BlockedOrDefault,
    /// Written as `"49GB"`, shown as `49 GB (52,613,349,376 bytes)`, or `Unlimited` both ways.
    Size,
    /// Compared exactly.
    Text,
    /// Compared without case.
    Name,
    /// A text that comes back wrapped in HTML; compared by its words.
    MailTip,
}

impl Kind {
    /// Whether the service may show a value in another form than it was written.
    pub fn has_forms(self) -> bool {
        match self {
            Self::Text | Self::MailTip => true,
            Self::Flag | Self::BlockedOrDefault | Self::Size | Self::Name => false,
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
            return Some(Value::Nothing);
        }
        match self {
            Self::Flag | Self::BlockedOrDefault => read_flag(shown).map(Value::Flag),
            Self::Size => read_size(shown.as_str()?),
            Self::Text => shown.as_str().map(Value::text),
            Self::Name => shown.as_str().map(|text| Value::Name(Name::new(text))),
            Self::MailTip => {
                let words = Words::of_markup(shown.as_str()?);
                Some(if words.is_empty() {
                    Value::Nothing
                } else {
                    Value::Words(words)
                })
            }
        }
    }

    /// None: not a value of this kind, which is a mistake in the table of families; a test finds it.
    pub fn write(self, value: &Value) -> Option<Json> {
        match (self, value) {
            (Self::Flag | Self::BlockedOrDefault, Value::Flag(flag)) => Some(Json::Bool(*flag)),
            (
                Self::BlockedOrDefault | Self::Size | Self::Text | Self::Name | Self::MailTip,
                Value::Nothing,
            ) => Some(Json::Null),
            (Self::Size, Value::Unlimited) => Some("Unlimited".into()),
            (Self::Size, Value::Bytes(bytes)) => Some(written_size(*bytes).into()),
            (Self::Text, Value::Text(text)) => Some(text.as_str().into()),
            (Self::Name, Value::Name(name)) => Some(name.written().into()),
            (Self::MailTip, Value::Words(words)) => Some(words.written().into()),
            (
                Self::Flag | Self::BlockedOrDefault | Self::Size | Self::Text | Self::Name | Self::MailTip,
                Value::Nothing
                | Value::Unlimited
                | Value::Flag(_)
                | Value::Bytes(_)
                | Value::Text(_)
                | Value::Name(_)
                | Value::Words(_),
            ) => None,
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

    impl Kind {
        pub const ALL: [Self; 6] = [
            Self::Flag,
            Self::BlockedOrDefault,
            Self::Size,
            Self::Text,
            Self::Name,
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
                Self::Size => size().boxed(),
                Self::Text => "[a-z&;.]{1,12}".prop_map(|text| Value::text(&text)).boxed(),
                Self::Name => "[a-z]{1,12}".prop_map(|text| Value::name(&text)).boxed(),
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
                    prop_assert_eq!(&read, &Some(Value::Nothing));
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
