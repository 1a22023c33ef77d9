//! MailboxLedgers as an operator writes them, for tests of what guards and stores them.

use serde_json::{Value, json};
use shared_mailbox_operator::api::MailboxLedger;

/// Of the people on one mailbox.
const MOST_PEOPLE: usize = 500;
/// Of the history, in bytes.
const LONGEST_HISTORY: usize = 64 * 1024;

/// The ledger of a mailbox that a SharedMailbox has: two people hold what one MailboxPermission declares.
pub fn ledger(name: &str) -> Value {
    json!({
        "apiVersion": "sharedmailbox.dev/v1alpha1", "kind": "MailboxLedger",
        "metadata": { "name": name },
        "spec": {
            "format": 1,
            "seal": { "generation": 1 },
            "cluster": "production-1/0f7a", "tenant": { "name": "default", "guid": guid(0, 1) },
            "resourceRef": { "namespace": "team-sales", "name": "sales", "uid": guid(1, 1) },
            "mailbox": { "guid": guid(2, 1), "objectId": guid(3, 1), "address": "sales@contoso.com" },
            "permissions": ["sales-team"],
            "people": [
                person(1, "first.member@contoso.com", &[0]), person(2, "second.member@contoso.com", &[0]),
            ],
            "shown": { "state": "Serving", "people": 2 },
        },
    })
}

/// The largest one: so many people, each with all rights and the longest address, wanted by as many permissions as are
/// counted; every alias; and a full history.
pub fn largest_ledger(name: &str) -> Value {
    let by: Vec<usize> = (0..20).collect();
    let mut ledger = ledger(name);
    let spec = &mut ledger["spec"];
    spec["seal"]["uid"] = json!(guid(4, 1));
    spec["resourceRef"] = json!({ "namespace": "n".repeat(63), "name": "n".repeat(253), "uid": guid(1, 1) });
    spec["mailbox"]["address"] = json!(longest_address(0));
    spec["addresses"] = (0..300).map(|number| json!(longest_address(number))).collect();
    spec["permissions"] = by.iter().map(|number| json!(format!("{number:p>253}"))).collect();
    spec["people"] = (0..MOST_PEOPLE)
        .map(|number| person(number, &longest_address(number), &by))
        .collect();
    spec["historyFrom"] = json!("2026-09-01T08:00:00Z");
    spec["history"] = history();
    spec["shown"]["people"] = json!(MOST_PEOPLE);
    assert_is_readable(&ledger);
    ledger
}

fn person(number: usize, address: &str, by: &[usize]) -> Value {
    let right = json!({
        "state": "Granted", "at": "2026-11-22T09:00:00.123456Z", "by": by, "as": [0],
        "until": "2027-11-22T09:00:00Z",
    });
    let mut full_access = right.clone();
    full_access["autoMapping"] = json!(false);
    json!({
        "id": guid(5, number),
        "sid": format!("S-1-5-21-1111111111-2222222222-3333333333-{number:0>10}"),
        "writtenAs": [address],
        "rights": { "FullAccess": full_access, "SendAs": right, "SendOnBehalf": right },
    })
}

fn history() -> Value {
    let line = |number: usize| {
        json!({
            "at": "2026-11-22T09:00:00.123456Z", "ids": [guid(5, number)], "right": "SendOnBehalf",
            "before": "Pending", "after": "Granted", "cause": "Declared", "by": [format!("{number:p>253}")],
            "request": guid(6, number), "n": 3,
        })
    };
    let mut size = 0;
    let mut lines: Vec<Value> = Vec::new();
    loop {
        let next = line(lines.len());
        size += next.to_string().len();
        if size > LONGEST_HISTORY {
            return Value::from(lines);
        }
        lines.push(next);
    }
}

fn assert_is_readable(ledger: &Value) {
    let object: MailboxLedger = serde_json::from_value(ledger.clone()).expect("it is a MailboxLedger");
    shared_mailbox_operator::ledger::read(&object.spec).expect("its rights say all that they must");
}

fn guid(kind: usize, number: usize) -> String {
    format!("{kind:0>8}-0000-4000-8000-{number:0>12}")
}

/// An address of the greatest length, another one for each number.
pub fn longest_address(number: usize) -> String {
    let label = "d".repeat(63);
    let address = format!("{number:m>64}@{label}.{label}.{label}.{label}");
    assert_eq!(address.len(), 320);
    address
}
