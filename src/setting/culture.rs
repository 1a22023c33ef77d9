//! Languages of a region, in every form in which a service may show one.

use serde_json::Value as Json;

/// `de-DE`, whether it is shown as text, as an object with a name, or as its number. None: in no known form.
pub fn read(shown: &Json) -> Option<String> {
    match shown {
        Json::String(text) if is_name(text) => Some(text.clone()),
        Json::String(digits) => by_number(digits.parse().ok()?),
        Json::Number(number) => by_number(number.as_u64()?),
        Json::Object(object) => {
            let name = object.get("Name").or_else(|| object.get("name"))?;
            name.as_str().filter(|text| is_name(text)).map(str::to_owned)
        }
        Json::Null | Json::Bool(_) | Json::Array(_) => None,
    }
}

/// Letters, digits and hyphens, as in `zh-Hans-CN`.
fn is_name(text: &str) -> bool {
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic());
    starts_well && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn by_number(number: u64) -> Option<String> {
    let found = NUMBERS.iter().find(|(known, _)| *known == number)?;
    Some(found.1.to_owned())
}

/// Microsoft's numbers of languages ([MS-LCID]), as far as mailboxes are likely to have them. Any other one is unread.
const NUMBERS: [(u64, &str); 60] = [
    (0x0401, "ar-SA"),
    (0x0402, "bg-BG"),
    (0x0403, "ca-ES"),
    (0x0404, "zh-TW"),
    (0x0405, "cs-CZ"),
    (0x0406, "da-DK"),
    (0x0407, "de-DE"),
    (0x0408, "el-GR"),
    (0x0409, "en-US"),
    (0x040B, "fi-FI"),
    (0x040C, "fr-FR"),
    (0x040D, "he-IL"),
    (0x040E, "hu-HU"),
    (0x040F, "is-IS"),
    (0x0410, "it-IT"),
    (0x0411, "ja-JP"),
    (0x0412, "ko-KR"),
    (0x0413, "nl-NL"),
    (0x0414, "nb-NO"),
    (0x0415, "pl-PL"),
    (0x0416, "pt-BR"),
    (0x0418, "ro-RO"),
    (0x0419, "ru-RU"),
    (0x041A, "hr-HR"),
    (0x041B, "sk-SK"),
    (0x041D, "sv-SE"),
    (0x041E, "th-TH"),
    (0x041F, "tr-TR"),
    (0x0420, "ur-PK"),
    (0x0421, "id-ID"),
    (0x0422, "uk-UA"),
    (0x0424, "sl-SI"),
    (0x0425, "et-EE"),
    (0x0426, "lv-LV"),
    (0x0427, "lt-LT"),
    (0x0429, "fa-IR"),
    (0x042A, "vi-VN"),
    (0x042D, "eu-ES"),
    (0x0439, "hi-IN"),
    (0x043E, "ms-MY"),
    (0x043F, "kk-KZ"),
    (0x0441, "sw-KE"),
    (0x0456, "gl-ES"),
    (0x0464, "fil-PH"),
    (0x0804, "zh-CN"),
    (0x0807, "de-CH"),
    (0x0809, "en-GB"),
    (0x080A, "es-MX"),
    (0x080C, "fr-BE"),
    (0x0810, "it-CH"),
    (0x0813, "nl-BE"),
    (0x0816, "pt-PT"),
    (0x0C04, "zh-HK"),
    (0x0C07, "de-AT"),
    (0x0C09, "en-AU"),
    (0x0C0A, "es-ES"),
    (0x0C0C, "fr-CA"),
    (0x1009, "en-CA"),
    (0x100C, "fr-CH"),
    (0x1809, "en-IE"),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_language_is_understood_in_each_of_its_forms_and_in_no_other() {
        for shown in [
            json!("de-DE"),
            json!({"Name": "de-DE", "LCID": 1031}),
            json!({"name": "de-DE"}),
            json!(1031),
            json!("1031"),
        ] {
            assert_eq!(read(&shown).as_deref(), Some("de-DE"), "{shown}");
        }
        for shown in [
            json!(7),
            json!({"LCID": 1031}),
            json!(true),
            json!("German (Germany)"),
            json!({"Name": 7}),
        ] {
            assert_eq!(read(&shown), None, "{shown}");
        }
    }
}
