//! In which language the mailbox names its folders and shows times.

use super::family::{Company, Family};
use crate::api::Regional;
use crate::setting::{Call, Kind, Property, Value, Values};

const LANGUAGE: &str = "Language";
const TIME_ZONE: &str = "TimeZone";
const DATE_FORMAT: &str = "DateFormat";
const TIME_FORMAT: &str = "TimeFormat";
const RENAME_FOLDERS: &str = "LocalizeDefaultFolderName";

pub const REGIONAL: Family = Family {
    name: "regional",
    call: Call::Regional,
    company: Company::Alone,
    properties: &[
        Property::new("regional.language", LANGUAGE, Kind::Culture),
        Property::new("regional.timeZone", TIME_ZONE, Kind::Name),
        Property::new("regional.dateFormat", DATE_FORMAT, Kind::Text).off("\"\""),
        Property::new("regional.timeFormat", TIME_FORMAT, Kind::Text).off("\"\""),
        Property::never_shown("regional.language", RENAME_FOLDERS, Kind::Flag),
    ],
    declared: |spec| {
        let Regional {
            language,
            time_zone,
            date_format,
            time_format,
        } = &spec.plain.regional;
        Ok(Values::of([
            (LANGUAGE, language.as_deref().map(Value::name)),
            (TIME_ZONE, time_zone.as_deref().map(Value::name)),
            (DATE_FORMAT, date_format.as_deref().map(Value::text)),
            (TIME_FORMAT, time_format.as_deref().map(Value::text)),
        ]))
    },
    // The formats of the old language may be none of the new one; then Exchange refuses the language.
    sends: |step, mut differing| {
        if differing.get(LANGUAGE).is_some() {
            let format = |name| step.wish.get(name).cloned().unwrap_or(Value::Nothing);
            differing.extend([
                (DATE_FORMAT, format(DATE_FORMAT)),
                (TIME_FORMAT, format(TIME_FORMAT)),
                (RENAME_FOLDERS, Value::Flag(true)),
            ]);
        }
        differing
    },
    ..Family::PLAIN
};
