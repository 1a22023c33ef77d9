//! Settings that manifests of the simulation declare, and what the tenant must show of them.
//!
//! Which ones follows from the manifest itself, so that the meaning of a kept seed depends on no further random number.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use simulator::{MailboxView, Quirks};

const TIPS: [&str; 3] = ["We answer within a day.", "R&D: see \"status\"", ""];

/// How this tenant answers where nobody knows what the real service does. Every property can be read: what can't is
/// never written, and flows of its own test that.
pub fn quirks(seed: u64) -> Quirks {
    Quirks {
        missing: BTreeSet::new(),
        ..Quirks::drawn(seed)
    }
}

/// The settings of the `number`th kind of manifest.
pub fn some_settings(number: u64) -> Value {
    let quota = json!({ "warning": "40Gi", "prohibitSend": "45Gi", "prohibitSendReceive": "48Gi" });
    match number % 8 {
        0 => json!({ "hiddenFromAddressLists": true, "mailTip": TIPS[0] }),
        1 => json!({ "hiddenFromAddressLists": false, "mailTip": TIPS[1], "quota": quota }),
        2 => json!({ "quota": { "warning": "30Gi" }, "clientAccess": { "smtpAuth": "Blocked" } }),
        3 => json!({ "clientAccess": { "smtpAuth": "TenantDefault" }, "mailTip": TIPS[2] }),
        _ => json!({}),
    }
}

/// What the mailbox shows otherwise than its manifest declares.
pub fn differ(mailbox: &Value, view: &MailboxView) -> Vec<String> {
    let spec = &mailbox["spec"];
    let mut found = Vec::new();
    let mut check = |parameter: &str, is_right: &dyn Fn(&Value) -> bool| {
        let shown = view.settings.get(parameter).unwrap_or_default();
        if !is_right(&shown) {
            found.push(format!("{parameter} is {shown}"));
        }
    };
    if let Some(hidden) = spec["hiddenFromAddressLists"].as_bool() {
        check("HiddenFromAddressListsEnabled", &|shown| *shown == json!(hidden));
    }
    if let Some(tip) = spec["mailTip"].as_str() {
        check("MailTip", &|shown| says(shown, tip));
    }
    for (field, parameter) in [
        ("warning", "IssueWarningQuota"),
        ("prohibitSend", "ProhibitSendQuota"),
        ("prohibitSendReceive", "ProhibitSendReceiveQuota"),
    ] {
        if let Some(size) = spec["quota"][field].as_str() {
            check(parameter, &|shown| bytes_of(shown) == Some(gibibytes(size)));
        }
    }
    match spec["clientAccess"]["smtpAuth"].as_str() {
        Some("Blocked") => check("SmtpClientAuthenticationDisabled", &|shown| *shown == json!(true)),
        Some("TenantDefault") => check("SmtpClientAuthenticationDisabled", &Value::is_null),
        _ => {}
    }
    found
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

fn gibibytes(size: &str) -> u64 {
    size.trim_end_matches("Gi").parse::<u64>().unwrap() << 30
}

fn bytes_of(shown: &Value) -> Option<u64> {
    let (_, inside) = shown.as_str()?.split_once('(')?;
    inside.split(' ').next()?.replace(',', "").parse().ok()
}
