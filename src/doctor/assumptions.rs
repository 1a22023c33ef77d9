//! What is checked. docs/exchange-interface.md has the same names and grades.

/// How sure an assumption is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Grade {
    /// Seen live or in a production client, and documented.
    Confirmed,
    /// One of these.
    Likely,
    /// Known of older versions only.
    Old,
    /// No source.
    None,
}

/// Where it can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// In reads.
    Reads,
    /// On a mailbox of its own (--scratch).
    Scratch,
    /// In rights of somebody on it (--member).
    Member,
}

#[derive(Clone, Copy, Debug)]
pub struct Assumption {
    pub name: &'static str,
    pub text: &'static str,
    pub grade: Grade,
    pub needs: Needs,
    /// What it means when it is otherwise.
    pub otherwise: &'static str,
    /// Without it the operator breaks a promise, and somebody has to do something.
    pub is_needed: bool,
}

const fn works_either_way(
    name: &'static str,
    text: &'static str,
    grade: Grade,
    needs: Needs,
    otherwise: &'static str,
) -> Assumption {
    Assumption {
        name,
        text,
        grade,
        needs,
        otherwise,
        is_needed: false,
    }
}

const fn needed(
    name: &'static str,
    text: &'static str,
    grade: Grade,
    needs: Needs,
    otherwise: &'static str,
) -> Assumption {
    Assumption {
        is_needed: true,
        ..works_either_way(name, text, grade, needs, otherwise)
    }
}

use Grade::{Confirmed, Likely, None, Old};
use Needs::{Member, Reads, Scratch};

/// In the order in which they are printed.
pub const ASSUMPTIONS: &[Assumption] = &[
    works_either_way(
        "token-claims",
        "the access token names its permissions",
        Confirmed,
        Reads,
        "permissions are known from refusals only",
    ),
    works_either_way(
        "role-list",
        "Exchange lists the cmdlets of the app's role",
        Likely,
        Reads,
        "a missing cmdlet is named after its first refusal",
    ),
    needed(
        "cmdlets-granted",
        "the role has every cmdlet and parameter that is used",
        None,
        Reads,
        "add a role that has it to the app's role group",
    ),
    works_either_way(
        "not-found-is-typed",
        "an id that names nothing is answered with a type that says so",
        Confirmed,
        Reads,
        "a mailbox that is gone is not recognised; nothing is written",
    ),
    works_either_way(
        "unknown-parameter-is-named",
        "an unknown parameter is refused by its name",
        Confirmed,
        Reads,
        "a role that lacks a parameter looks like a refused value",
    ),
    works_either_way(
        "unknown-cmdlet-is-denied",
        "a cmdlet outside the role is denied",
        Confirmed,
        Reads,
        "a role that lacks a cmdlet looks like a refused value",
    ),
    works_either_way(
        "batch-goes-on",
        "a batch goes on after an error",
        Likely,
        Reads,
        "calls behind an error are sent again one by one: slower",
    ),
    works_either_way(
        "second-page",
        "a second page is answered to the tenant's id",
        Likely,
        Reads,
        "requests are anchored at the initial domain instead",
    ),
    needed(
        "initial-domain",
        "the initial domain is marked",
        Confirmed,
        Reads,
        "the tenant can't be used",
    ),
    needed(
        "mailbox-by-guid",
        "a mailbox is found by its ExchangeGuid and shows all that is decided on",
        Likely,
        Reads,
        "mailboxes can't be read; nothing is written",
    ),
    needed(
        "recipient-by-object-id",
        "a recipient is found by its object id",
        Likely,
        Reads,
        "members can't be looked up by id",
    ),
    needed(
        "full-access-row",
        "rows of Full Access carry a SID",
        Confirmed,
        Reads,
        "rights can't be tied to people: all are unknown and left alone",
    ),
    needed(
        "send-as-row",
        "rows of Send As carry a SID",
        Confirmed,
        Reads,
        "rights can't be tied to people: all are unknown and left alone",
    ),
    works_either_way(
        "user-row",
        "Get-User shows SID and object id",
        Confirmed,
        Reads,
        "holders of foreign rights are not recognised",
    ),
    works_either_way(
        "group-row",
        "Get-Group shows SID and object id",
        None,
        Reads,
        "the object id of a group is looked up by its address",
    ),
    works_either_way(
        "deleted-accounts",
        "rows of deleted accounts can be asked for",
        Likely,
        Reads,
        "rights of deleted accounts are not seen",
    ),
    needed(
        "filter-by-address",
        "a filter on EmailAddresses finds whoever has the address",
        Confirmed,
        Reads,
        "taken addresses are not seen; do not create mailboxes",
    ),
    works_either_way(
        "filter-by-sid",
        "accounts and groups can be filtered by SID",
        Confirmed,
        Reads,
        "holders of foreign rights are not recognised",
    ),
    works_either_way(
        "filter-of-eighty",
        "a filter may have 80 conditions",
        None,
        Reads,
        "look-ups are sent in smaller parts",
    ),
    works_either_way(
        "filter-by-prefix",
        "a filter finds a marker by its beginning",
        Confirmed,
        Scratch,
        "a mailbox is not found by its marker when its ledger is lost",
    ),
    needed(
        "accounts-readable",
        "Graph shows whether an account is enabled",
        Confirmed,
        Reads,
        "grant User.Read.All: the sign-in block can't be verified",
    ),
    works_either_way(
        "exchange-agrees-with-entra",
        "Exchange's AccountDisabled says what Entra says",
        Old,
        Reads,
        "as known: Exchange's word is never taken for proof",
    ),
    works_either_way(
        "group-members",
        "Graph shows who is in a group",
        Confirmed,
        Reads,
        "members with expand are GroupUnreadable",
    ),
    works_either_way(
        "hidden-members",
        "Graph shows who is in a group with hidden membership",
        Confirmed,
        Reads,
        "such groups can't be expanded",
    ),
    works_either_way(
        "clock-in-step",
        "this machine's clock is within a minute of Exchange's",
        Confirmed,
        Reads,
        "set the clock: ends of rights come as much too early or late",
    ),
    works_either_way(
        "create-answers-ids",
        "New-Mailbox answers with the ids of the mailbox",
        Likely,
        Scratch,
        "a new mailbox is looked up by its one-time name",
    ),
    works_either_way(
        "new-account-state",
        "the account of a new shared mailbox is disabled in Entra",
        None,
        Scratch,
        "each new mailbox costs one write more",
    ),
    works_either_way(
        "first-write-lag",
        "Exchange shows a new mailbox within five minutes",
        Confirmed,
        Scratch,
        "new mailboxes stay Reconciling for longer",
    ),
    needed(
        "long-attribute",
        "a custom attribute holds 1,024 characters",
        Confirmed,
        Scratch,
        "the marker may be cut: mailboxes would not be ours",
    ),
    works_either_way(
        "no-change-is-a-warning",
        "a write that changes nothing says so",
        Likely,
        Scratch,
        "the read after the write decides",
    ),
    works_either_way(
        "exchange-blocks-sign-in",
        "a block through Exchange shows in Entra within two minutes",
        Old,
        Scratch,
        "use signInControl: Graph",
    ),
    works_either_way(
        "graph-blocks-sign-in",
        "Graph takes the block",
        Confirmed,
        Scratch,
        "signInControl: Graph needs User.EnableDisableAccount.All",
    ),
    needed(
        "member-by-object-id",
        "rights are granted and revoked by object id",
        Likely,
        Member,
        "rights can't be granted or revoked",
    ),
    needed(
        "grant-shows-its-sid",
        "a granted right shows one SID, the same for both rights",
        Likely,
        Member,
        "granted rights are not reported as granted",
    ),
    works_either_way(
        "asked-for-one-user",
        "rights of one person are found by object id",
        Old,
        Member,
        "the SID of a member is learned from the whole list",
    ),
    works_either_way(
        "repeat-is-a-warning",
        "granting again is a warning",
        Confirmed,
        Member,
        "the read after the write decides",
    ),
    works_either_way(
        "removed-by-sid",
        "a right is removed by its SID",
        Likely,
        Member,
        "rights of deleted accounts can't be removed",
    ),
    works_either_way(
        "on-behalf-is-an-id",
        "GrantSendOnBehalfTo reads back as object ids",
        Confirmed,
        Reads,
        "names are looked up",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and the first word of their grades, as the page has them.
    fn documented() -> Vec<(String, String)> {
        let page = include_str!("../../docs/exchange-interface.md");
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
        let assumptions = cells.filter(|cells| cells.len() == 6);
        let first_word = |text: &str| text.split([',', ':', ' ']).next().unwrap_or_default().to_owned();
        let named = |cells: Vec<&str>| (cells[1].trim_matches('`').to_owned(), first_word(cells[3]));
        assumptions.map(named).collect()
    }

    #[test]
    fn the_page_about_the_interface_has_the_same_assumptions_and_grades() {
        let grade = |assumption: &Assumption| -> &'static str { assumption.grade.into() };
        let mut checked: Vec<_> = ASSUMPTIONS
            .iter()
            .map(|assumption| (assumption.name.to_owned(), grade(assumption).to_owned()))
            .collect();
        let mut page = documented();
        checked.sort();
        page.sort();
        assert_eq!(checked, page);
    }
}
