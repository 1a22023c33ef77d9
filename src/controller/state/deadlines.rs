//! Ends of permissions: when one comes, its revocations are first in line.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::key::{Changes, MailboxKey, Work};
use crate::api::MailboxPermission;
use crate::lane::Lane;

/// So long before its end a permission says that it will end.
pub const WARNED_BEFORE: SignedDuration = SignedDuration::from_hours(24);

type PermissionName = (MailboxKey, String);

/// When which mailbox has to be reconciled because a permission of it ends, or will.
#[derive(Default)]
pub struct Deadlines {
    by_time: BTreeSet<(Timestamp, PermissionName, Lane)>,
    by_permission: HashMap<PermissionName, Known>,
}

pub(super) struct Known {
    end: Timestamp,
    /// What has not come yet.
    waiting: Vec<(Timestamp, Lane)>,
}

impl Deadlines {
    /// What is ahead of this version of a permission, and what has come since the version before and was not due yet. What
    /// its status says does not count: others may write there. Of one that is seen first when its end is over, the mailbox is
    /// reconciled anyway.
    pub fn set(
        &mut self,
        mailbox: &MailboxKey,
        name: &str,
        object: &MailboxPermission,
        (is_new, now): (bool, Timestamp),
    ) {
        let before = self.forget(mailbox, name);
        let Some(end) = object.spec.expires_at.as_ref().map(|end| end.0) else {
            return;
        };
        let is_moved = !is_new && before.as_ref().is_none_or(|before| before.end != end);
        let waited = before.map(|before| before.waiting).unwrap_or_default();
        let early = end.checked_sub(WARNED_BEFORE).unwrap_or(Timestamp::MIN);
        let all = [(early, Lane::Edit), (end, Lane::Revocation)].into_iter();
        let waiting: Vec<(Timestamp, Lane)> = all
            .filter(|one| one.0 > now || waited.contains(one) || (is_moved && one.0 == end))
            .collect();
        let key = (mailbox.clone(), name.to_owned());
        for (time, lane) in &waiting {
            self.by_time.insert((*time, key.clone(), *lane));
        }
        self.by_permission.insert(key, Known { end, waiting });
    }

    pub(super) fn forget(&mut self, mailbox: &MailboxKey, name: &str) -> Option<Known> {
        let key = (mailbox.clone(), name.to_owned());
        let known = self.by_permission.remove(&key)?;
        for (time, lane) in &known.waiting {
            self.by_time.remove(&(*time, key.clone(), *lane));
        }
        Some(known)
    }

    pub fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(time, ..)| *time)
    }

    pub fn due(&mut self, now: Timestamp) -> Changes {
        let mut changes = Changes::new();
        while self.by_time.first().is_some_and(|(time, ..)| *time <= now) {
            if let Some((time, permission, lane)) = self.by_time.pop_first() {
                if let Some(known) = self.by_permission.get_mut(&permission) {
                    known.waiting.retain(|one| *one != (time, lane));
                }
                changes.push((Work::Mailbox(permission.0), lane));
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

    /// A version of the permission `p` that is seen at this time.
    fn set(deadlines: &mut Deadlines, object: &MailboxPermission, is_new: bool, now: &str) {
        deadlines.set(&sales(), "p", object, (is_new, at(now)));
    }

    fn revocation() -> Changes {
        vec![(Work::Mailbox(sales()), Lane::Revocation)]
    }

    #[test]
    fn an_end_is_reported_a_day_ahead_and_then_revoked_and_nothing_is_due_twice() {
        let mut deadlines = Deadlines::default();
        let object = permission("2026-11-24T09:00:00Z");
        set(&mut deadlines, &object, true, "2026-11-22T09:00:00Z");
        assert_eq!(deadlines.next(), Some(at("2026-11-23T09:00:00Z")));
        assert_eq!(deadlines.due(at("2026-11-23T08:59:59Z")), vec![]);
        assert_eq!(
            deadlines.due(at("2026-11-23T09:00:00Z")),
            vec![(Work::Mailbox(sales()), Lane::Edit)]
        );
        set(&mut deadlines, &object, false, "2026-11-23T09:00:01Z");
        assert_eq!(deadlines.due(at("2026-11-25T09:00:00Z")), revocation());
        set(&mut deadlines, &object, false, "2026-11-25T09:00:01Z");
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn an_end_that_moves_or_is_removed_is_forgotten() {
        let mut deadlines = Deadlines::default();
        let now = "2026-11-22T09:00:00Z";
        set(&mut deadlines, &permission("2026-11-24T09:00:00Z"), true, now);
        set(&mut deadlines, &permission("2026-12-24T09:00:00Z"), false, now);
        assert_eq!(deadlines.due(at("2026-12-01T09:00:00Z")), vec![]);
        deadlines.forget(&sales(), "p");
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn no_status_makes_an_end_forgotten() {
        let mut forged = permission("2026-11-24T09:00:00Z");
        let status = json!({ "observedGeneration": 1, "summary": "Expired" });
        forged.status = Some(serde_json::from_value(status).unwrap());
        for seen in ["2026-11-22T09:00:00Z", "2026-11-24T09:00:01Z"] {
            let mut deadlines = Deadlines::default();
            let plain = permission("2026-11-24T09:00:00Z");
            set(&mut deadlines, &plain, true, "2026-11-22T09:00:00Z");
            set(&mut deadlines, &forged, false, seen);
            assert_eq!(
                deadlines.due(at("2026-11-24T09:00:02Z")).last(),
                revocation().last()
            );
        }
    }

    #[test]
    fn an_end_is_due_again_when_the_clock_was_set_back_and_at_once_when_it_is_moved_into_the_past() {
        let mut deadlines = Deadlines::default();
        let object = permission("2026-11-24T09:00:00Z");
        set(&mut deadlines, &object, true, "2026-11-23T10:00:00Z");
        assert_eq!(deadlines.due(at("2026-12-24T09:00:00Z")), revocation());
        set(&mut deadlines, &object, false, "2026-11-23T11:00:00Z");
        assert_eq!(deadlines.due(at("2026-11-24T09:00:00Z")), revocation());
        let moved = permission("2026-11-20T09:00:00Z");
        set(&mut deadlines, &moved, false, "2026-11-24T10:00:00Z");
        assert_eq!(deadlines.due(at("2026-11-24T10:00:00Z")), revocation());
    }
}
