//! The largest ledger fits into etcd, with room for what others add to the object.

use jiff::SignedDuration;
use serde_json::json;

use super::encode;
use super::history::BYTES;
use super::tests::{RIGHTS, at, empty};
use super::{Ledger, RecordedGrant, Removed, WeighedRemoval, Why, Withdrawn, note, outgrows, write};
use crate::api::MailboxLedgerSpec;
use crate::mail::{Sid, SmtpAddress};

const LIMIT: usize = 1024 * 1024;
/// Of a request to etcd.
const STORED: usize = 3 * LIMIT / 2;

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

/// So many people with every right, of the usual lengths.
fn usual(people: usize) -> Ledger {
    let grants = (0..people).flat_map(|number| {
        RIGHTS.into_iter().map(move |right| RecordedGrant {
            object_id: format!("00000000-0000-4000-8000-{number:012}").parse().unwrap(),
            right,
            pending: false,
            sid: Some(
                format!("S-1-5-21-1111111111-2222222222-3333333333-{number}")
                    .parse()
                    .unwrap(),
            ),
            auto_mapping: (right == crate::mail::Right::FullAccess).then_some(true),
            remapping: false,
            member: format!("firstname.lastname{number}@contoso.com").parse().unwrap(),
            also: Vec::new(),
            by: vec!["sales-team".to_owned()],
            at: Some(at(0)),
            until: None,
        })
    });
    Ledger {
        grants: grants.collect(),
        ..Ledger::default()
    }
}

#[test]
fn two_thousand_people_with_every_right_fit_and_removals_always_do() {
    let mut before = empty();
    write(&mut before, &usual(1999));
    let mut ledger = usual(2000);
    let mut spec = before.clone();
    write(&mut spec, &ledger);
    assert!(
        !outgrows(Some(&before), &spec),
        "{}",
        serde_json::to_vec(&spec).unwrap().len()
    );

    let most = (2000..4000).step_by(100).take_while(|people| {
        let mut spec = empty();
        write(&mut spec, &usual(*people));
        !outgrows(Some(&before), &spec)
    });
    ledger = usual(most.last().unwrap());
    let mut largest = empty();
    write(&mut largest, &ledger);
    assert!(serde_json::to_vec(&largest).unwrap().len() > encode::BYTES - 60_000);
    ledger.weighed = ledger
        .grants
        .iter()
        .map(|grant| WeighedRemoval {
            what: grant.right_of(),
            at: at(1),
            with_resource: false,
        })
        .collect();
    let mut spec = largest.clone();
    write(&mut spec, &ledger);
    full_history(&mut spec);
    let bytes = serde_json::to_vec(&spec).unwrap().len();
    assert!(
        bytes > LIMIT && !outgrows(Some(&largest), &spec),
        "what lists no more is sent"
    );
    assert!(bytes < STORED, "{bytes}: everybody at once, with a full history");
}
