//! Ends of permissions: when one comes, its revocations are first in line.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::key::{Changes, MailboxKey, Work};
use crate::api::MailboxPermission;
use crate::api::condition::{self, Kind};
use crate::lane::Lane;

/// So long before its end a permission says that it will end.
pub const WARNED_BEFORE: SignedDuration = SignedDuration::from_hours(24);

type PermissionName = (MailboxKey, String);

/// When which mailbox has to be reconciled because a permission of it ends, or will.
#[derive(Default)]
pub struct Deadlines {
    by_time: BTreeSet<(Timestamp, PermissionName, Lane)>,
    by_permission: HashMap<PermissionName, Vec<(Timestamp, Lane)>>,
}

impl Deadlines {
    /// What is ahead of this version of a permission; what was reported already is not.
    pub fn set(&mut self, mailbox: &MailboxKey, name: &str, object: &MailboxPermission) {
        self.forget(mailbox, name);
        let Some(end) = object.spec.expires_at.as_ref().map(|end| end.0) else {
            return;
        };
        let status = object.status.as_ref();
        let current = status.filter(|status| status.observed_generation == object.metadata.generation);
        let ended = current.is_some_and(|status| status.summary.as_deref() == Some("Expired"));
        let warned =
            current.is_some_and(|status| condition::find(&status.conditions, Kind::ExpiresSoon).is_some());
        let mut times = Vec::new();
        if !ended {
            times.push((end, Lane::Revocation));
            if !warned {
                let early = end.checked_sub(WARNED_BEFORE).unwrap_or(Timestamp::MIN);
                times.push((early, Lane::Edit));
            }
        }
        let key = (mailbox.clone(), name.to_owned());
        for (time, lane) in &times {
            self.by_time.insert((*time, key.clone(), *lane));
        }
        self.by_permission.insert(key, times);
    }

    pub fn forget(&mut self, mailbox: &MailboxKey, name: &str) {
        let key = (mailbox.clone(), name.to_owned());
        for (time, lane) in self.by_permission.remove(&key).unwrap_or_default() {
            self.by_time.remove(&(time, key.clone(), lane));
        }
    }

    pub fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(time, ..)| *time)
    }

    pub fn due(&mut self, now: Timestamp) -> Changes {
        let mut changes = Changes::new();
        while self.by_time.first().is_some_and(|(time, ..)| *time <= now) {
            if let Some((_, (mailbox, _), lane)) = self.by_time.pop_first() {
                changes.push((Work::Mailbox(mailbox), lane));
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn permission(ends: &str) -> MailboxPermission {
        serde_json::from_value(json!({
            "apiVersion": "sharedmailbox.dev/v1alpha1", "kind": "MailboxPermission",
            "metadata": { "namespace": "team", "name": "p", "uid": "p", "generation": 1 },
            "spec": { "mailboxRef": { "name": "sales" }, "members": [], "rights": ["SendAs"], "expiresAt": ends }
        }))
        .unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn sales() -> MailboxKey {
        MailboxKey {
            namespace: "team".into(),
            name: "sales".into(),
        }
    }

    #[test]
    fn an_end_is_reported_a_day_ahead_and_then_revoked_and_nothing_is_due_twice() {
        let mut deadlines = Deadlines::default();
        deadlines.set(&sales(), "p", &permission("2026-11-24T09:00:00Z"));
        assert_eq!(deadlines.next(), Some(at("2026-11-23T09:00:00Z")));
        assert_eq!(deadlines.due(at("2026-11-23T08:59:59Z")), vec![]);
        assert_eq!(
            deadlines.due(at("2026-11-23T09:00:00Z")),
            vec![(Work::Mailbox(sales()), Lane::Edit)]
        );
        assert_eq!(
            deadlines.due(at("2026-11-25T09:00:00Z")),
            vec![(Work::Mailbox(sales()), Lane::Revocation)]
        );
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn an_end_that_moves_or_is_removed_is_forgotten() {
        let mut deadlines = Deadlines::default();
        deadlines.set(&sales(), "p", &permission("2026-11-24T09:00:00Z"));
        deadlines.set(&sales(), "p", &permission("2026-12-24T09:00:00Z"));
        assert_eq!(deadlines.due(at("2026-12-01T09:00:00Z")), vec![]);
        deadlines.forget(&sales(), "p");
        assert_eq!(deadlines.next(), None);
    }
}
