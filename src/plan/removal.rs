//! Why a right that we granted is removed, and what may veto that: [`VETOES`] is the whole list.
//!
//! A manifest that is refused, and somebody else who contests settings, stop no removal.

use super::desired::{Desired, TakeUp};
use super::{Cause, removed};
use crate::ledger::{self, RecordedGrant};

/// The step of a reconcile that finds what stops a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum FoundIn {
    Begin,
    Prepare,
    Fetch,
    Validate,
    Plan,
    Apply,
}

/// Everything that can stop or delay a removal, and where it is found. docs/how-it-works.md says what each of them stops, and
/// for how long.
pub const VETOES: [(&str, FoundIn); 22] = [
    ("Another permission still declares it", FoundIn::Validate),
    ("Somebody can't be resolved or is refused now", FoundIn::Validate),
    ("An unreadable MailboxPermission", FoundIn::Prepare),
    (
        "A MailboxPermission [over the limit](status.md#limits)",
        FoundIn::Prepare,
    ),
    ("`protectedTrustees`", FoundIn::Plan),
    ("The breaker", FoundIn::Apply),
    ("A sudden change of a group", FoundIn::Apply),
    ("Cascading deletion", FoundIn::Begin),
    ("Who holds which right can't be read", FoundIn::Fetch),
    ("`management` of the mailbox", FoundIn::Prepare),
    ("`management` of the tenant", FoundIn::Prepare),
    ("The tenant can't be used", FoundIn::Prepare),
    ("The mailbox can't be read", FoundIn::Fetch),
    ("A marker that is not ours", FoundIn::Validate),
    ("Taken up again", FoundIn::Plan),
    ("A row that can't be tied to a person for sure", FoundIn::Plan),
    ("A stuck row", FoundIn::Plan),
    ("Acknowledged a moment ago", FoundIn::Apply),
    ("The ledger is not acknowledged", FoundIn::Apply),
    (
        "Another installation serves the tenant, or this process is not the leader",
        FoundIn::Apply,
    ),
    (
        "The budget of the tenant is used up, or Exchange asked for a pause",
        FoundIn::Apply,
    ),
    ("An earlier write of the same reconcile failed", FoundIn::Apply),
];

/// What stops the removal of a grant that no manifest names by its object id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::EnumIter))]
pub(super) enum Veto {
    /// Exchange shows the row and says that it does not exist. Tried again once an hour, when it no longer counts as stuck.
    Stuck,
    /// `protectedTrustees` of the ExchangeTenant names the trustee.
    Protected,
    /// A manifest names the member and they can't be granted to now, be it that they are unknown or refused.
    StillDeclared,
    /// A manifest can't be read, and perhaps names them. What was announced before is finished, and an end that is
    /// remembered comes.
    PerhapsDeclared,
    /// The mailbox was taken up again less than an hour ago, and not all the permissions are back that declared it.
    TakenUp,
}

/// `is_announced`: the removal was admitted before, and is perhaps under way.
pub(super) fn removal(grant: &RecordedGrant, desired: &Desired, is_announced: bool) -> Result<Cause, Veto> {
    let is_kept = |written| desired.kept.contains(&(written, grant.right));
    let permissions_ended =
        !grant.by.is_empty() && grant.by.iter().all(|name| desired.expired.contains(name));
    let has_ended = permissions_ended || grant.until.is_some_and(|until| until <= desired.now);
    let take_up = desired
        .take_up
        .as_ref()
        .filter(|take_up| desired.now < take_up.until);
    let is_restored = take_up.is_some_and(|take_up| take_up.restored);
    if removed::is_stuck(grant, desired) {
        Err(Veto::Stuck)
    } else if desired.policy.departed.include_holder_of(grant) {
        Ok(Cause::Departed)
    } else if desired.policy.protected.include_holder_of(grant) {
        Err(Veto::Protected)
    } else if grant.written_as().cloned().any(is_kept) || desired.kept_people.contains(&grant.key()) {
        Err(Veto::StillDeclared)
    } else if is_restored {
        Err(Veto::TakenUp)
    } else if has_ended {
        Ok(Cause::Expired)
    } else if desired.purpose.revokes_everything() {
        Ok(Cause::Deleted)
    } else if !is_announced && desired.has_unread_permissions {
        Err(Veto::PerhapsDeclared)
    } else if !is_announced && take_up.is_some_and(|take_up| !take_up.has_all_of(grant)) {
        Err(Veto::TakenUp)
    } else {
        Ok(Cause::Undeclared)
    }
}

impl TakeUp {
    /// Whether every permission that declared the grant exists again, and says so no longer. Of as many as a ledger keeps
    /// nobody knows whether they were all.
    fn has_all_of(&self, grant: &RecordedGrant) -> bool {
        (1..ledger::BY).contains(&grant.by.len())
            && grant.by.iter().all(|name| self.permissions.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use strum::IntoEnumIterator;

    use crate::ledger::Ledger;
    use crate::mail::Right;
    use crate::plan::plan;
    use crate::plan::testing::{desired, our_mailbox, wants};

    fn granted_by(names: &[&str]) -> RecordedGrant {
        let mut wanted = desired();
        wants(&mut wanted, 1, Right::SendAs, false);
        let settled = plan(&wanted, &our_mailbox(), &Ledger::default()).settled;
        let mut grants = settled.grants.into_iter();
        let mut grant = grants.next().unwrap();
        grant.by = names.iter().map(|name| (*name).to_owned()).collect();
        grant
    }

    #[test]
    fn a_right_ends_with_all_its_permissions_whatever_else_cannot_be_read() {
        let mut desired = desired();
        desired.has_unread_permissions = true;
        let grant = granted_by(&["team", "helpers"]);
        desired.expired = ["team".to_owned()].into();
        assert_eq!(removal(&grant, &desired, false), Err(Veto::PerhapsDeclared));
        desired.expired.insert("helpers".to_owned());
        assert_eq!(removal(&grant, &desired, false), Ok(Cause::Expired));
    }

    /// A new veto of the planner is a row of the table.
    #[test]
    fn what_the_planner_leaves_is_in_the_table() {
        let row = |veto: Veto| match veto {
            Veto::Stuck => "A stuck row",
            Veto::Protected => "`protectedTrustees`",
            Veto::StillDeclared => "Somebody can't be resolved or is refused now",
            Veto::PerhapsDeclared => "An unreadable MailboxPermission",
            Veto::TakenUp => "Taken up again",
        };
        for veto in Veto::iter() {
            let named = VETOES.iter().filter(|(name, _)| *name == row(veto));
            assert_eq!(named.count(), 1, "{veto:?}");
        }
    }

    #[test]
    fn the_documentation_lists_the_same_vetoes() {
        let page = include_str!("../../docs/how-it-works.md");
        let (_, table) = page
            .split_once("| what | what it stops | for how long | found in |")
            .unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let shown: Vec<(&str, &str)> = rows
            .map(|row| {
                let name = row.split("**").nth(1).unwrap();
                let found_in = row.trim_end_matches([' ', '|']).rsplit(" | ").next().unwrap();
                (name, found_in)
            })
            .collect();
        let here: Vec<(&str, &str)> = VETOES.iter().map(|(name, step)| (*name, step.into())).collect();
        assert_eq!(shown, here);
    }
}
