//! Settings that manifests of the simulation declare, and what the tenant must show of them.
//!
//! Which settings there are, and of which kind each is, comes from the operator's table: a new one is declared and judged
//! here without an edit. What a kind shows when it was declared is judged by code of its own, for the operator's may be
//! wrong. Which ones a manifest declares follows from the manifest itself, so that the meaning of a kept seed depends on no
//! further random number.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use shared_mailbox_operator::plan::{FAMILIES, Family};
use shared_mailbox_operator::setting::{Kind, Property};
use simulator::{MailboxView, Profile, Quirks, Seed};

const TIPS: [&str; 3] = ["We answer within a day.", "R&D: see \"status\"", ""];

/// How this tenant answers where nobody knows what the real service does. Every property can be read: what can't is
/// never written, and flows of its own test that.
pub fn quirks(seed: u64) -> Quirks {
    Quirks {
        missing: BTreeSet::new(),
        ..Quirks::drawn(seed)
    }
}

/// The same tenant, of this kind.
pub fn in_profile(mut seed: Seed, profile: Option<Profile>) -> Seed {
    if let Some(profile) = profile {
        profile.apply(&mut seed);
    }
    seed
}

/// The settings of the `number`th kind of manifest.
pub fn some_settings(number: u64) -> Value {
    let mut settings = with_demands(number);
    for (position, property) in (0..).zip(simple()) {
        let kind = number + position;
        let values = samples(property.kind);
        let turn = usize::try_from(number / DRAWN_EVERY + position).unwrap_or_default();
        if kind.is_multiple_of(DRAWN_EVERY)
            && let Some(value) = values.get(turn % values.len().max(1))
        {
            declare(&mut settings, property.field, value);
        }
    }
    settings
}

/// One manifest of so many declares a simple setting.
const DRAWN_EVERY: u64 = 3;

/// Settings that need nothing else: no power, no licence, no other setting.
fn simple() -> impl Iterator<Item = &'static Property> {
    let families = FAMILIES.iter().filter(|family| is_simple(family));
    families
        .flat_map(|family| family.properties)
        .filter(|property| property.shown_as.is_some() && !samples(property.kind).is_empty())
}

fn is_simple(family: &Family) -> bool {
    let is_alone =
        |property: &Property| !matches!(property.kind, Kind::Word(_)) || family.properties.len() == 1;
    family.demands.is_empty() && family.choice.is_none() && family.properties.iter().all(is_alone)
}

/// What a manifest may say of a simple setting of this kind; nothing where that depends on the setting.
fn samples(kind: Kind) -> Vec<Value> {
    match kind {
        Kind::Flag => vec![json!(true), json!(false)],
        Kind::BlockedOrDefault => vec![json!("Blocked"), json!("TenantDefault")],
        Kind::Count => vec![json!(100), json!(250)],
        Kind::Size => vec![json!("20Mi"), json!("25Mi")],
        Kind::Word(words) => words.iter().map(|word| json!(word)).collect(),
        Kind::MailTip => TIPS.iter().map(|tip| json!(tip)).collect(),
        Kind::Span
        | Kind::Days
        | Kind::Text
        | Kind::Name
        | Kind::Culture
        | Kind::Html
        | Kind::Minute
        | Kind::Address
        | Kind::Recipient
        | Kind::Recipients
        | Kind::Made => Vec::new(),
    }
}

/// Writes a value at `sentItems.copySentAs`, unless something is declared there.
fn declare(settings: &mut Value, field: &str, value: &Value) {
    let mut at = settings;
    for part in field.split('.') {
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        at = &mut at[part];
    }
    if at.is_null() {
        *at = value.clone();
    }
}

/// Settings that need a power, or each other.
fn with_demands(number: u64) -> Value {
    let quota = json!({ "warning": "40Gi", "prohibitSend": "45Gi", "prohibitSendReceive": "48Gi" });
    match number % 8 {
        1 => json!({ "quota": quota }),
        2 => json!({ "quota": { "warning": "30Gi" }, "clientAccess": { "smtpAuth": "Blocked" } }),
        3 => json!({ "clientAccess": { "smtpAuth": "TenantDefault" } }),
        4 => json!({
            "customAttributes": { "2": "Cost centre 7" }, "deletedItemRetention": "30d", "singleItemRecovery": true
        }),
        5 => json!({ "retentionPolicy": "Five Years", "customAttributes": { "2": "" } }),
        6 => json!({
            "regional": { "language": "de-DE", "timeZone": "W. Europe Standard Time", "dateFormat": "dd.MM.yy" },
            "clientAccess": { "imap": false, "pop": false },
            "automaticReplies": { "state": "Enabled", "internal": "<p>Away</p>", "audience": "None" }
        }),
        7 => json!({ "forwarding": { "mode": "External", "externalAddress": "partner@partner.example" } }),
        _ => json!({}),
    }
}

/// What the mailbox shows otherwise than its manifest declares.
pub fn differ(mailbox: &Value, view: &MailboxView) -> Vec<String> {
    let spec = &mailbox["spec"];
    let mut found = Vec::new();
    let mut judge = |parameter: &str, shown: &Value, is_right: bool| {
        if !is_right {
            found.push(format!("{parameter} is {shown}"));
        }
    };
    let properties = FAMILIES.iter().filter(|family| !is_judged_elsewhere(family));
    for property in properties.flat_map(|family| family.properties) {
        let path = format!("/{}", property.field.replace('.', "/"));
        if let (Some(declared), true) = (spec.pointer(&path), property.shown_as.is_some()) {
            let shown = shown(view, property.parameter);
            judge(property.parameter, &shown, shows(property.kind, declared, &shown));
        }
    }
    // Mail that goes elsewhere is kept here, too, unless the manifest says otherwise.
    if spec["forwarding"]["externalAddress"].is_string() && spec["forwarding"]["keepCopy"].is_null() {
        let shown = shown(view, "DeliverToMailboxAndForward");
        judge("DeliverToMailboxAndForward", &shown, shown == json!(true));
    }
    found
}

/// The model knows the names.
fn is_judged_elsewhere(family: &Family) -> bool {
    ["displayName", "alias"].contains(&family.name)
}

fn shown(view: &MailboxView, parameter: &str) -> Value {
    let number = parameter
        .strip_prefix("CustomAttribute")
        .and_then(|number| number.parse().ok());
    match number {
        Some(number) => json!(view.custom_attributes.get(&number).map_or("", String::as_str)),
        None => view.settings.get(parameter).unwrap_or_default(),
    }
}

/// Whether this is how the service shows what a manifest says.
fn shows(kind: Kind, declared: &Value, shown: &Value) -> bool {
    let text = declared.as_str().unwrap_or_default();
    match kind {
        Kind::Flag => shown == declared,
        Kind::BlockedOrDefault => match text {
            "Blocked" => *shown == json!(true),
            "Allowed" => *shown == json!(false),
            _ => shown.is_null(),
        },
        Kind::Count => *shown == json!(declared.to_string()) || shown == declared,
        Kind::Size => bytes_of(shown) == Some(in_bytes(text)),
        Kind::Span | Kind::Days => *shown == json!(format!("{}.00:00:00", text.trim_end_matches('d'))),
        Kind::Text | Kind::Name | Kind::Word(_) => shown.as_str().unwrap_or_default() == text,
        Kind::Culture => is_language(shown, text),
        Kind::MailTip => says(shown, text),
        // Within a page of the service's own.
        Kind::Html => shown.as_str().is_some_and(|shown| shown.contains(text)),
        Kind::Address => *shown == json!(format!("smtp:{text}")),
        // No manifest of the simulation declares one: its people come and go.
        Kind::Minute | Kind::Recipient | Kind::Recipients | Kind::Made => false,
    }
}

/// In each form in which the service may show it.
fn is_language(shown: &Value, name: &str) -> bool {
    *shown == json!(name) || shown["Name"] == json!(name) || (name == "de-DE" && *shown == json!(1031))
}

/// Whatever stands around the words, and however the service writes an ampersand or a quotation mark.
fn says(shown: &Value, tip: &str) -> bool {
    let text = shown.as_str().unwrap_or_default();
    let text = ["<html>", "</html>", "<body>", "</body>"]
        .iter()
        .fold(text.to_owned(), |text, tag| text.replace(tag, " "));
    let text = [("&quot;", "\""), ("&#34;", "\""), ("&#38;", "&"), ("&amp;", "&")]
        .iter()
        .fold(text, |text, (entity, character)| text.replace(entity, character));
    text.split_whitespace().eq(tip.split_whitespace())
}

fn in_bytes(size: &str) -> u64 {
    let shift = if size.ends_with("Gi") { 30 } else { 20 };
    let digits = size.trim_end_matches(char::is_alphabetic);
    digits.parse::<u64>().unwrap() << shift
}

fn bytes_of(shown: &Value) -> Option<u64> {
    let (_, inside) = shown.as_str()?.split_once('(')?;
    inside.split(' ').next()?.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the kinds of manifest that the sequences and the day have.
    const NUMBERS: std::ops::Range<u64> = 0..12;

    #[test]
    fn every_simple_setting_is_declared_with_two_values() {
        for property in simple() {
            let path = format!("/{}", property.field.replace('.', "/"));
            let values = NUMBERS
                .map(some_settings)
                .filter_map(|spec| spec.pointer(&path).map(Value::to_string));
            let values: BTreeSet<String> = values.collect();
            assert!(values.len() > 1, "{}: {values:?}", property.field);
        }
        assert!(simple().count() > 15, "what is simple?");
    }

    #[test]
    fn a_value_shows_itself_and_no_other() {
        for property in simple() {
            for (one, other) in samples(property.kind)
                .iter()
                .zip(samples(property.kind).iter().skip(1))
            {
                let shown = match property.kind {
                    Kind::BlockedOrDefault => json!(one == "Blocked"),
                    Kind::Size => json!(format!("20 MB ({} bytes)", in_bytes(one.as_str().unwrap()))),
                    Kind::Flag
                    | Kind::Count
                    | Kind::Span
                    | Kind::Days
                    | Kind::Text
                    | Kind::Name
                    | Kind::Culture
                    | Kind::Word(_)
                    | Kind::MailTip
                    | Kind::Html
                    | Kind::Minute
                    | Kind::Address
                    | Kind::Recipient
                    | Kind::Recipients
                    | Kind::Made => one.clone(),
                };
                assert!(
                    shows(property.kind, one, &shown),
                    "{} {one} {shown}",
                    property.field
                );
                assert!(
                    !shows(property.kind, other, &shown),
                    "{} {other} {shown}",
                    property.field
                );
            }
        }
    }
}
