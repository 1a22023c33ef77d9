//! Who lost a right a short while ago. It is reported from the history of the ledger: a status that is lost is written anew.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::findings::whole_seconds;
use crate::api::{LedgerPerson, MailboxLedgerSpec, Revoked};
use crate::ledger::{is_removal, last_changes};
use crate::mail::{ObjectId, Right};

/// Lost rights that a status lists at most, and for how long.
const SHOWN_REVOKED: usize = 100;
const SHOWN_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Who lost a right within a day and has not got it again, the newest last; `shown` is what this process reported before.
pub fn revoked(known: Option<&MailboxLedgerSpec>, shown: &[Revoked], now: Timestamp) -> Vec<Revoked> {
    let is_recent = |at: Timestamp| now.duration_since(at) < SHOWN_FOR;
    let Some(known) = known else {
        // Nothing says otherwise.
        let recent = shown.iter().filter(|entry| is_recent(entry.revoked_at.0));
        return recent.cloned().collect();
    };
    let names = Names {
        people: known.people.iter().map(|person| (person.id, person)).collect(),
        shown: shown
            .iter()
            .map(|entry| (entry.object_id.as_str(), entry))
            .collect(),
    };
    let mut lost: Vec<_> = last_changes(known)
        .into_iter()
        .filter(|(_, line)| is_removal(line) && is_recent(line.at))
        .collect();
    lost.sort_by_key(|(_, line)| line.at);
    let over = lost.len().saturating_sub(SHOWN_REVOKED);
    let newest = lost.into_iter().skip(over);
    newest
        .map(|((id, right), line)| Revoked {
            address: names.of(id, right),
            object_id: id.to_string(),
            right,
            revoked_at: whole_seconds(line.at),
            by: line.by.clone(),
        })
        .collect()
}

/// How people were written. The history has ids alone.
struct Names<'a> {
    people: BTreeMap<ObjectId, &'a LedgerPerson>,
    shown: BTreeMap<&'a str, &'a Revoked>,
}

impl Names<'_> {
    /// As a manifest wrote them, as long as the ledger knows it; later as they were reported, or their id.
    fn of(&self, id: ObjectId, right: Right) -> String {
        let id_text = id.to_string();
        let in_ledger = self.people.get(&id).and_then(|person| {
            let named = person.rights.get(&right).and_then(|entry| entry.named.first());
            let place = named.and_then(|place| usize::try_from(*place).ok());
            person.written_as.get(place.unwrap_or_default())
        });
        let reported = || {
            self.shown
                .get(id_text.as_str())
                .map(|entry| entry.address.clone())
        };
        in_ledger
            .map(ToString::to_string)
            .or_else(reported)
            .unwrap_or(id_text)
    }
}

/// Of what the mailbox lost, what the permission of this name had declared.
pub(super) fn revoked_from(name: &str, list: &[Revoked]) -> Vec<Revoked> {
    let here = list.iter().filter(|entry| entry.by.iter().any(|by| by == name));
    here.map(|entry| Revoked {
        by: Vec::new(),
        ..entry.clone()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: &str = "00000000-0000-4000-8000-000000000001";

    fn known(after: &str) -> MailboxLedgerSpec {
        let line = |at: &str, after: &str| json!({ "at": at, "ids": [ID], "right": "SendAs", "after": after, "cause": after, "by": ["team"] });
        serde_json::from_value(json!({
            "format": 1, "cluster": "c/1", "tenant": { "name": "default", "guid": ID },
            "resourceRef": { "namespace": "team", "name": "sales", "uid": "u" },
            "history": [line("2026-11-22T10:00:00Z", "Removed"), line("2026-11-22T11:00:00Z", after)],
        }))
        .unwrap()
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test]
    fn somebody_whom_nobody_can_name_any_longer_is_listed_by_their_id() {
        let now = at("2026-11-22T12:00:00Z");
        let listed = revoked(Some(&known("Removed")), &[], now);
        let [one] = listed.as_slice() else {
            panic!("{listed:?}")
        };
        assert_eq!((one.address.as_str(), one.object_id.as_str()), (ID, ID));
        assert_eq!(
            (one.revoked_at.0, &one.by[..]),
            (at("2026-11-22T11:00:00Z"), &["team".to_owned()][..])
        );
        let shown = [Revoked {
            address: "anna@contoso.com".to_owned(),
            ..one.clone()
        }];
        assert_eq!(
            revoked(Some(&known("Removed")), &shown, now),
            shown,
            "as they were reported"
        );
        assert_eq!(
            revoked(Some(&known("Removed")), &shown, at("2026-11-23T11:00:00Z")),
            [],
            "a day later"
        );
        assert_eq!(
            revoked(Some(&known("Granted")), &shown, now),
            [],
            "they have it again"
        );
    }
}
