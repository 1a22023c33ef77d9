//! Languages with their formats, and time zones: some of those that a server has.

use serde_json::{Value, json};

use crate::quirks::LanguageForm;

/// A language of a region. A language without a region is none.
#[derive(Debug)]
pub struct Culture {
    pub name: &'static str,
    number: u32,
    /// The first one is the language's own.
    dates: &'static [&'static str],
    times: &'static [&'static str],
}

static CULTURES: &[Culture] = &[
    Culture {
        name: "en-US",
        number: 1033,
        dates: &["M/d/yyyy", "MM/dd/yyyy", "yyyy-MM-dd"],
        times: &["h:mm tt", "HH:mm"],
    },
    Culture {
        name: "en-GB",
        number: 2057,
        dates: &["dd/MM/yyyy", "yyyy-MM-dd"],
        times: &["HH:mm", "hh:mm tt"],
    },
    Culture {
        name: "de-DE",
        number: 1031,
        dates: &["dd.MM.yyyy", "dd.MM.yy", "yyyy-MM-dd"],
        times: &["HH:mm", "H:mm"],
    },
    Culture {
        name: "fr-CH",
        number: 4108,
        dates: &["dd.MM.yyyy", "yyyy-MM-dd"],
        times: &["HH:mm"],
    },
];

static TIME_ZONES: &[&str] = &[
    "UTC",
    "GMT Standard Time",
    "W. Europe Standard Time",
    "Pacific Standard Time",
];

pub fn culture(name: &str) -> Option<&'static Culture> {
    CULTURES
        .iter()
        .find(|culture| culture.name.eq_ignore_ascii_case(name))
}

pub fn time_zone(name: &str) -> Option<&'static str> {
    TIME_ZONES
        .iter()
        .find(|zone| zone.eq_ignore_ascii_case(name))
        .copied()
}

impl Culture {
    /// Whether it has a format of this name: `DateFormat` or `TimeFormat`.
    pub fn has_format(&self, setting: &str, format: &str) -> bool {
        let formats = if setting == "DateFormat" {
            self.dates
        } else {
            self.times
        };
        formats.contains(&format)
    }

    pub fn shown(&self, form: LanguageForm) -> Value {
        match form {
            LanguageForm::Text => self.name.into(),
            LanguageForm::Object => json!({ "Name": self.name, "LCID": self.number }),
            LanguageForm::Number => self.number.into(),
        }
    }
}
