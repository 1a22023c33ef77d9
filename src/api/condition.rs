//! Conditions: their types and how they are merged.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::reason::Reason;

/// Longest message of a condition; Kubernetes allows 32768, people read less.
const MESSAGE_LIMIT: usize = 2048;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr)]
pub enum Kind {
    Ready,
    Provisioned,
    SignInBlocked,
    SettingsSynced,
    PermissionsSynced,
    Granted,
    Authenticated,
    Authorized,
    /// Advisory: the rights of a permission end within a day.
    ExpiresSoon,
    /// Advisory: Exchange takes 500 entries a mailbox.
    EntryLimitNear,
    /// Advisory: more people than Microsoft supports at once.
    ManyUsers,
    /// Advisory: members can't add a hidden mailbox to Outlook.
    HiddenFromMembers,
    /// Advisory: something is not as declared, and nothing is done because it is only observed.
    Drifted,
    /// Advisory: a declared setting needs a licence that the mailbox does not have.
    LicenseRequired,
    /// Advisory: something that explains could not be read.
    LimitedView,
    /// Advisory: rights are revoked soon that no permission declares since the mailbox was taken up again.
    RevocationDue,
    /// Advisory: the app may not use something that the operator uses.
    CapabilityMissing,
    /// Advisory: a credential of a tenant ends within 30 days.
    CredentialExpiring,
    /// Advisory: a credential of a tenant does not work, and another one is used.
    CredentialRefused,
    /// Advisory: removals wait for approval on some mailboxes of a tenant.
    RevocationsHeld,
    /// Advisory: the tenant's owner allows no writes, those that protect included.
    ProtectionSuspended,
    Reconciling,
    Stalled,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr)]
pub enum Truth {
    True,
    False,
    Unknown,
}

impl Truth {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// What a condition should say now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub kind: Kind,
    pub truth: Truth,
    pub reason: Reason,
    pub message: String,
}

impl Verdict {
    pub fn new(kind: Kind, truth: impl Into<Truth>, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            kind,
            truth: truth.into(),
            reason,
            message: message.into(),
        }
    }

    /// The same, and further words, unless it ends with them already: it may be what a status had.
    #[must_use]
    pub fn adding(mut self, words: &str) -> Self {
        if !self.message.ends_with(words) {
            self.message = format!("{}; {words}", self.message);
        }
        self
    }
}

/// The conditions that replace `old`: exactly those of `verdicts`. The transition time moves only when the
/// status flips, so that an unchanged verdict is an unchanged object.
pub fn merge(old: &[Condition], verdicts: &[Verdict], generation: i64, now: Timestamp) -> Vec<Condition> {
    verdicts
        .iter()
        .map(|verdict| {
            let status = verdict.truth.as_str();
            let since = find(old, verdict.kind)
                .filter(|previous| previous.status == status)
                .map_or_else(
                    || Time(whole_seconds(now)),
                    |previous| previous.last_transition_time.clone(),
                );
            Condition {
                type_: verdict.kind.as_str().to_owned(),
                status: status.to_owned(),
                reason: verdict.reason.to_string(),
                message: cut(&verdict.message, MESSAGE_LIMIT),
                observed_generation: Some(generation),
                last_transition_time: since,
            }
        })
        .collect()
}

/// The conditions of an object that is not read: it is stalled for `reason`, and the others stay as they were.
pub fn of_unread(
    old: &[Condition],
    reason: Reason,
    text: &str,
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let verdicts = [
        Verdict::new(Kind::Ready, false, reason, text),
        Verdict::new(Kind::Stalled, true, reason, text),
    ];
    let replaced = [Kind::Ready, Kind::Stalled, Kind::Reconciling].map(Kind::as_str);
    let others = old.iter().filter(|old| !replaced.contains(&old.type_.as_str()));
    let mut conditions = merge(old, &verdicts, generation, now);
    conditions.extend(others.cloned());
    conditions
}

pub fn find(conditions: &[Condition], kind: Kind) -> Option<&Condition> {
    conditions
        .iter()
        .find(|condition| condition.type_ == kind.as_str())
}

/// At most `limit` bytes of `text`, cut between characters.
pub fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// Kubernetes keeps seconds: a fraction would be a difference for ever.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_transition_time_moves_only_when_the_status_flips() {
        let ready = |truth, reason| [Verdict::new(Kind::Ready, truth, reason, "m")];
        let first = merge(
            &[],
            &ready(Truth::False, Reason::Creating),
            1,
            at("2026-11-22T09:00:00.5Z"),
        );
        let same = merge(
            &first,
            &ready(Truth::False, Reason::WaitingForExchange),
            1,
            at("2026-11-22T09:10:00Z"),
        );
        assert_eq!(same[0].last_transition_time, first[0].last_transition_time);
        assert_eq!(same[0].reason, "WaitingForExchange");
        let flipped = merge(
            &same,
            &ready(Truth::True, Reason::UpToDate),
            1,
            at("2026-11-22T09:20:00Z"),
        );
        assert_eq!(flipped[0].last_transition_time.0, at("2026-11-22T09:20:00Z"));
    }

    #[test]
    fn a_condition_that_no_longer_holds_is_gone() {
        let old = merge(
            &[],
            &[Verdict::new(Kind::Stalled, true, Reason::AccessDenied, "m")],
            1,
            at("2026-11-22T09:00:00Z"),
        );
        assert!(merge(&old, &[], 1, at("2026-11-22T09:00:00Z")).is_empty());
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let text = "ä".repeat(3000);
        let shortened = cut(&text, 2048);
        assert!(shortened.len() <= 2048 && shortened.ends_with('…'));
        assert_eq!(cut("short", 10), "short");
    }
}
