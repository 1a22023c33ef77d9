//! Settings that manifests of the simulation declare, and what the tenant must show of them.
//!
//! Which ones follows from the manifest itself, so that the meaning of a kept seed depends on no further random number.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use simulator::{MailboxView, Profile, Quirks, Seed};

/// Settings that are on or off, by their path in the manifest.
const FLAGS: [(&str, &str); 10] = [
    ("/hiddenFromAddressLists", "HiddenFromAddressListsEnabled"),
    ("/sentItems/copySentAs", "MessageCopyForSentAsEnabled"),
    ("/sentItems/copySentOnBehalf", "MessageCopyForSendOnBehalfEnabled"),
    (
        "/sentItems/copySmtpSubmission",
        "MessageCopyForSMTPClientSubmissionEnabled",
    ),
    ("/singleItemRecovery", "SingleItemRecoveryEnabled"),
    (
        "/delivery/requireSenderAuthentication",
        "RequireSenderAuthenticationEnabled",
    ),
    ("/clientAccess/imap", "ImapEnabled"),
    ("/clientAccess/pop", "PopEnabled"),
    ("/clientAccess/activeSync", "ActiveSyncEnabled"),
    ("/clientAccess/outlookMac", "MacOutlookEnabled"),
];

/// Settings that are shown as they were written.
const TEXTS: [(&str, &str); 4] = [
    ("/automaticReplies/state", "AutoReplyState"),
    ("/retentionPolicy", "RetentionPolicy"),
    ("/regional/timeZone", "TimeZone"),
    ("/regional/dateFormat", "DateFormat"),
];

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
    let quota = json!({ "warning": "40Gi", "prohibitSend": "45Gi", "prohibitSendReceive": "48Gi" });
    match number % 8 {
        0 => json!({ "hiddenFromAddressLists": true, "mailTip": TIPS[0] }),
        1 => json!({ "hiddenFromAddressLists": false, "mailTip": TIPS[1], "quota": quota }),
        2 => json!({ "quota": { "warning": "30Gi" }, "clientAccess": { "smtpAuth": "Blocked" } }),
        3 => json!({ "clientAccess": { "smtpAuth": "TenantDefault" }, "mailTip": TIPS[2] }),
        4 => json!({
            "customAttributes": { "2": "Cost centre 7" }, "deletedItemRetention": "30d", "singleItemRecovery": true,
            "sentItems": { "copySentAs": true, "copySentOnBehalf": true, "copySmtpSubmission": false }
        }),
        5 => json!({
            "delivery": {
                "requireSenderAuthentication": true, "maxSendSize": "20Mi", "maxReceiveSize": "25Mi", "recipientLimit": 100
            },
            "retentionPolicy": "Five Years", "customAttributes": { "2": "" }
        }),
        6 => json!({
            "regional": { "language": "de-DE", "timeZone": "W. Europe Standard Time", "dateFormat": "dd.MM.yy" },
            "clientAccess": { "imap": false, "pop": false, "activeSync": false, "outlookMac": false },
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
    let mut check = |parameter: &str, is_right: &dyn Fn(&Value) -> bool| {
        let shown = view.settings.get(parameter).unwrap_or_default();
        if !is_right(&shown) {
            found.push(format!("{parameter} is {shown}"));
        }
    };
    for (path, parameter) in FLAGS {
        if let Some(flag) = spec.pointer(path).and_then(Value::as_bool) {
            check(parameter, &|shown| *shown == json!(flag));
        }
    }
    for (path, parameter) in TEXTS {
        if let Some(text) = spec.pointer(path).and_then(Value::as_str) {
            check(parameter, &|shown| shown.as_str().unwrap_or_default() == text);
        }
    }
    if let Some(days) = spec["deletedItemRetention"].as_str() {
        let days = days.trim_end_matches('d');
        check("RetainDeletedItemsFor", &|shown| {
            *shown == json!(format!("{days}.00:00:00"))
        });
    }
    if let Some(limit) = spec["delivery"]["recipientLimit"].as_u64() {
        check("RecipientLimits", &|shown| *shown == json!(limit.to_string()));
    }
    if let Some(address) = spec["forwarding"]["externalAddress"].as_str() {
        check("ForwardingSmtpAddress", &|shown| {
            *shown == json!(format!("smtp:{address}"))
        });
        check("DeliverToMailboxAndForward", &|shown| *shown == json!(true));
    }
    if let Some(language) = spec["regional"]["language"].as_str() {
        check("Language", &|shown| is_language(shown, language));
    }
    if let Some(tip) = spec["mailTip"].as_str() {
        check("MailTip", &|shown| says(shown, tip));
    }
    for (field, parameter) in [
        ("warning", "IssueWarningQuota"),
        ("prohibitSend", "ProhibitSendQuota"),
        ("prohibitSendReceive", "ProhibitSendReceiveQuota"),
        ("maxSendSize", "MaxSendSize"),
        ("maxReceiveSize", "MaxReceiveSize"),
    ] {
        let size = spec["quota"][field].as_str();
        if let Some(size) = size.or(spec["delivery"][field].as_str()) {
            check(parameter, &|shown| bytes_of(shown) == Some(in_bytes(size)));
        }
    }
    match spec["clientAccess"]["smtpAuth"].as_str() {
        Some("Blocked") => check("SmtpClientAuthenticationDisabled", &|shown| *shown == json!(true)),
        Some("TenantDefault") => check("SmtpClientAuthenticationDisabled", &Value::is_null),
        _ => {}
    }
    if let Some(text) = spec["customAttributes"]["2"].as_str() {
        let shown = view.custom_attributes.get(&2).map_or("", String::as_str);
        if shown != text {
            found.push(format!("CustomAttribute2 is {shown:?}"));
        }
    }
    found
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
