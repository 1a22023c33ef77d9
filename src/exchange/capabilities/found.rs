//! What was found out about one tenant, and what may be concluded from it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::SignedDuration;

use super::used::{USED_CMDLETS, USED_PERMISSIONS, UsedCmdlet, is_used, reads_hidden_members};
use crate::exchange::learned::{AfterError, Anchor, Learned, Missing};

/// What one probe heard. What was not answered is None or not among them.
#[derive(Debug, Default)]
pub struct Heard {
    /// The service's own list of the cmdlets that the app's role has.
    pub role: Option<BTreeSet<String>>,
    /// Cmdlets that answered, if only that there is no such object.
    pub answered: BTreeSet<&'static str>,
    /// The application permissions on Graph that the token carries.
    pub granted: Option<BTreeSet<String>>,
    pub columns: BTreeMap<Column, bool>,
}

/// A property of rows that designs differ by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::EnumIter, strum::IntoStaticStr)]
pub enum Column {
    #[strum(serialize = "Get-MailboxPermission UserSid")]
    FullAccessSid,
    #[strum(serialize = "Get-RecipientPermission TrusteeSidString")]
    SendAsSid,
    #[strum(serialize = "Get-User Sid")]
    UserSid,
    #[strum(serialize = "Get-User ExternalDirectoryObjectId")]
    UserId,
    #[strum(serialize = "Get-Group Sid")]
    GroupSid,
    #[strum(serialize = "Get-Group ExternalDirectoryObjectId")]
    GroupId,
}

impl Column {
    /// The cmdlet and its property, as a person knows them.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Our clock beside the service's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockState {
    InStep,
    Ahead,
    Behind,
}

/// A difference that the way of an answer and whole seconds in a header explain, and that no token minds.
const IN_STEP: Duration = Duration::from_mins(1);

impl ClockState {
    /// `ahead`: how far our clock is ahead.
    pub fn of(ahead: SignedDuration) -> Self {
        if ahead.unsigned_abs() <= IN_STEP {
            Self::InStep
        } else if ahead.is_positive() {
            Self::Ahead
        } else {
            Self::Behind
        }
    }
}

/// What was found out about one tenant. The default knows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// What the operator uses and the app surely may not.
    pub missing: BTreeSet<Missing>,
    /// Whether the service lists the cmdlets of the app's role. Otherwise only refusals show what is missing.
    pub role_is_listed: bool,
    /// The permissions on Microsoft Graph that the app has, of those that the operator can use. None: the token does not
    /// say.
    pub permissions: Option<BTreeSet<&'static str>>,
    /// Whether Graph shows who is in a group with hidden membership. None: the token does not say.
    pub hidden_members: Option<bool>,
    pub batches: Option<AfterError>,
    pub paging: Option<Anchor>,
    pub clock: Option<ClockState>,
    /// Whether rows have these; what no row showed is not among them.
    pub columns: BTreeMap<Column, bool>,
}

impl Capabilities {
    /// Whether nobody answered anything: whoever asked could not ask.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Puts together what a probe heard and what the gateway has seen.
    pub fn of(heard: Heard, learned: &Learned) -> Self {
        let Heard {
            role,
            answered,
            granted,
            columns,
        } = heard;
        let Learned {
            refused,
            batches,
            paging,
            ahead,
        } = learned;
        // A list that lacks what has just been answered is no list of what the app may use.
        let role = role.filter(|role| answered.iter().all(|name| role.contains(*name)));
        let listed = |name: &str| role.as_ref().is_some_and(|role| role.contains(name));
        let unlisted = role.iter().flat_map(|role| {
            let lacks = |used: &&UsedCmdlet| !role.contains(used.name);
            let missing = |used: &UsedCmdlet| Missing::Cmdlet(used.name.to_owned());
            USED_CMDLETS.iter().filter(lacks).map(missing)
        });
        let granted_here = |permission: &str| {
            USED_PERMISSIONS
                .iter()
                .filter(|used| used.name == permission)
                .any(|used| granted.as_ref().is_some_and(|names| used.is_among(names)))
        };
        let stands = |missing: &&Missing| match missing {
            // Refused at some time, and granted since.
            Missing::Cmdlet(name) => is_used(name) && !listed(name),
            Missing::Parameter { cmdlet, .. } => is_used(cmdlet),
            Missing::Permission(name) => !granted_here(name),
        };
        Self {
            missing: refused.iter().filter(stands).cloned().chain(unlisted).collect(),
            role_is_listed: role.is_some(),
            permissions: granted.as_ref().map(|names| {
                let had = USED_PERMISSIONS.iter().filter(|used| used.is_among(names));
                had.map(|used| used.name).collect()
            }),
            hidden_members: granted.as_ref().map(reads_hidden_members),
            batches: *batches,
            paging: *paging,
            clock: ahead.map(ClockState::of),
            columns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn all_cmdlets() -> BTreeSet<String> {
        USED_CMDLETS.iter().map(|used| used.name.to_owned()).collect()
    }

    fn missing(heard: Heard, learned: &Learned) -> Vec<String> {
        let found = Capabilities::of(heard, learned);
        found.missing.iter().map(ToString::to_string).collect()
    }

    fn refusing(missing: Missing) -> Learned {
        Learned {
            refused: BTreeSet::from([missing]),
            ..Learned::default()
        }
    }

    #[test]
    fn what_the_list_of_the_role_lacks_is_missing() {
        let mut role = all_cmdlets();
        role.remove("Add-RecipientPermission");
        let heard = || Heard {
            role: Some(role.clone()),
            ..Heard::default()
        };
        assert_eq!(missing(heard(), &Learned::default()), ["Add-RecipientPermission"]);
        let contradicted = Heard {
            answered: BTreeSet::from(["Add-RecipientPermission"]),
            ..heard()
        };
        let found = Capabilities::of(contradicted, &Learned::default());
        assert!(found.missing.is_empty() && !found.role_is_listed, "{found:?}");
    }

    #[test]
    fn a_refusal_holds_until_the_list_or_the_token_says_otherwise() {
        let cmdlet = refusing(Missing::Cmdlet("Set-Mailbox".to_owned()));
        assert_eq!(missing(Heard::default(), &cmdlet), ["Set-Mailbox"]);
        let listed = Heard {
            role: Some(all_cmdlets()),
            ..Heard::default()
        };
        assert!(missing(listed, &cmdlet).is_empty());
        let permission = refusing(Missing::Permission("User.Read.All"));
        assert_eq!(
            missing(Heard::default(), &permission),
            ["User.Read.All on Microsoft Graph"]
        );
        let granted = |role: &str| Heard {
            granted: Some(names(&[role])),
            ..Heard::default()
        };
        assert!(missing(granted("Directory.Read.All"), &permission).is_empty());
        assert!(!missing(granted("User.ReadBasic.All"), &permission).is_empty());
    }

    #[test]
    fn what_the_operator_does_not_use_is_not_missing() {
        let other = refusing(Missing::Cmdlet("Get-Something".to_owned()));
        assert!(missing(Heard::default(), &other).is_empty());
    }

    #[test]
    fn a_clock_is_in_step_within_a_minute() {
        let state = |seconds| ClockState::of(SignedDuration::from_secs(seconds));
        assert_eq!((state(60), state(-60)), (ClockState::InStep, ClockState::InStep));
        assert_eq!((state(61), state(-61)), (ClockState::Ahead, ClockState::Behind));
    }
}
