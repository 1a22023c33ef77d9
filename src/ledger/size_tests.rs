//! The largest ledger fits into etcd, with room for what others add to the object.

use jiff::SignedDuration;
use serde_json::json;

use super::history::BYTES;
use super::tests::{RIGHTS, at, empty};
use super::{Ledger, RecordedGrant, Removed, Why, Withdrawn, note, write};
use crate::api::MailboxLedgerSpec;
use crate::mail::{Sid, SmtpAddress};

const LIMIT: usize = 1024 * 1024;

/// Of 320 characters.
fn longest_address(number: usize) -> SmtpAddress {
    let label = "d".repeat(63);
    let domain = format!("{label}.{label}.{label}.{label}");
    let text = format!("{number:0>64}@{domain}");
    assert_eq!(text.len(), 320);
    text.parse().unwrap()
}

/// Of 184 characters, which no real one has.
fn longest_sid(number: usize) -> Sid {
    format!("S-1-5-21-{number:0>175}").parse().unwrap()
}

/// Of 500 people with every right; `by`: how many permissions declare each.
fn largest(permissions: usize) -> Ledger {
    let names: Vec<String> = (0..permissions).map(|number| format!("{number:0>253}")).collect();
    let late = "2026-11-28T04:35:59Z".parse().unwrap();
    let removed = (0..500).flat_map(|number| {
        let names = names.clone();
        RIGHTS.into_iter().map(move |right| Removed {
            until: late,
            weighed_at: Some(late),
            what: Withdrawn::Grant(RecordedGrant {
                object_id: format!("00000000-0000-4000-8000-{number:012}").parse().unwrap(),
                right,
                pending: false,
                sid: Some(longest_sid(number)),
                auto_mapping: Some(false),
                remapping: true,
                member: longest_address(number),
                also: Vec::new(),
                by: names.clone(),
                at: Some(late),
                until: Some(late),
            }),
        })
    });
    Ledger {
        addresses: (0..400).map(longest_address).collect(),
        removed: removed.collect(),
        ..Ledger::default()
    }
}

fn full_history(spec: &mut MailboxLedgerSpec) {
    let before = spec.clone();
    note(spec, Some(&before), &Why::default(), at(0));
    for number in 0..600 {
        let line = json!({ "at": at(number), "ids": [format!("00000000-0000-4000-8000-{number:012}")],
            "right": "SendOnBehalf", "before": "Granted", "after": "Removed", "cause": "no longer declared" });
        spec.history.push(serde_json::from_value(line).unwrap());
    }
    let before = spec.clone();
    note(
        spec,
        Some(&before),
        &Why::default(),
        at(600) + SignedDuration::from_hours(1),
    );
    let bytes = serde_json::to_vec(&spec.history).unwrap().len();
    assert!(bytes > BYTES - 300 && bytes <= BYTES, "{bytes}");
}

#[test]
fn the_largest_ledger_is_under_a_mebibyte() {
    let mut spec = empty();
    write(&mut spec, &largest(20));
    let without_history = serde_json::to_vec(&spec).unwrap().len();
    full_history(&mut spec);
    let bytes = serde_json::to_vec(&spec).unwrap().len();
    assert!(
        bytes < LIMIT,
        "{bytes}, of which without history {without_history}"
    );
}
