//! What does not need to be known stops nothing: which reads each promise needs.
//!
//! Get-Mailbox shows the marker, without which nothing is written at all. Every other read is wanted: when the role lacks
//! it, or it fails, what it would show is unknown, and only the promises that need it wait. docs/how-it-works.md shows the
//! same table.

use std::collections::BTreeMap;

use super::Unread;

/// A read of one reconcile, beside Get-Mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::EnumIter)]
pub enum Read {
    /// Who holds Full Access.
    FullAccess,
    /// Who holds Send As.
    SendAs,
    /// Who the members of permissions are.
    Members,
    /// Who is in a group that is granted person by person.
    Groups,
    /// Which accounts are behind entries that no manifest declares.
    Accounts,
    /// Which groups are behind them.
    AccountGroups,
    /// Which other addresses they have, and who is behind entries of Send on Behalf.
    Recipients,
    /// Whether the account behind the mailbox can be signed in to.
    SignIn,
    /// Which protocols are allowed.
    Protocols,
    /// Language and formats.
    Regional,
    AutoReplies,
}

/// What a mailbox is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::EnumIter)]
pub enum Promise {
    /// Sign-in that somebody opened is blocked again.
    SignIn,
    /// Names, addresses, quotas and other settings of the mailbox are as declared.
    Settings,
    /// The same of settings that name people, such as where mail is forwarded to.
    NamedPeople,
    /// `clientAccess` is as declared.
    ClientAccess,
    /// `regional` is as declared.
    Regional,
    /// `automaticReplies` is as declared.
    AutoReplies,
    /// A right that no manifest declares any more is revoked.
    Revocations,
    /// A right whose end has come is revoked.
    Ends,
    /// People who have left lose what manifests gave them.
    Departed,
    /// Full Access is granted, and granted again when it was lost.
    FullAccess,
    SendAs,
    SendOnBehalf,
    /// People who join a group that is granted person by person are granted, and those who leave it are revoked.
    GroupMembers,
    /// Entries that nobody declares are removed: under Exclusive, when orphans are to go, or of people who have left. Where a
    /// group is expanded, who is in it must be known.
    Strangers,
}

/// The table.
pub const NEEDS: [(Promise, &[Read]); 14] = [
    (Promise::SignIn, &[Read::SignIn]),
    (Promise::Settings, &[]),
    (Promise::NamedPeople, &[Read::Members]),
    (Promise::ClientAccess, &[Read::Protocols]),
    (Promise::Regional, &[Read::Regional]),
    (Promise::AutoReplies, &[Read::AutoReplies]),
    (Promise::Revocations, &[]),
    (Promise::Ends, &[]),
    (Promise::Departed, &[]),
    (Promise::FullAccess, &[Read::Members, Read::FullAccess]),
    (Promise::SendAs, &[Read::Members, Read::SendAs]),
    (Promise::SendOnBehalf, &[Read::Members]),
    (
        Promise::GroupMembers,
        &[Read::Members, Read::Groups, Read::FullAccess, Read::SendAs],
    ),
    (
        Promise::Strangers,
        &[
            Read::FullAccess,
            Read::SendAs,
            Read::Groups,
            Read::Accounts,
            Read::AccountGroups,
            Read::Recipients,
        ],
    ),
];

impl Read {
    /// By which cmdlet, or through which API.
    pub fn source(self) -> &'static str {
        match self {
            Self::FullAccess => "Get-MailboxPermission",
            Self::SendAs => "Get-RecipientPermission",
            Self::Members | Self::Recipients => "Get-Recipient",
            Self::Groups => "Microsoft Graph (GroupMember.Read.All)",
            Self::Accounts => "Get-User",
            Self::AccountGroups => "Get-Group",
            Self::SignIn => "Microsoft Graph (User.Read.All)",
            Self::Protocols => "Get-CASMailbox",
            Self::Regional => "Get-MailboxRegionalConfiguration",
            Self::AutoReplies => "Get-MailboxAutoReplyConfiguration",
        }
    }

    /// What waits for it.
    pub fn waiting(self) -> impl Iterator<Item = Promise> {
        let waits = move |(promise, reads): &(Promise, &[Read])| reads.contains(&self).then_some(*promise);
        NEEDS.iter().filter_map(waits)
    }
}

impl Promise {
    /// As in "meanwhile … waits".
    pub fn words(self) -> &'static str {
        match self {
            Self::SignIn => "blocking sign-in",
            Self::Settings => "settings",
            Self::NamedPeople => "settings that name people",
            Self::ClientAccess => "clientAccess",
            Self::Regional => "regional",
            Self::AutoReplies => "automaticReplies",
            Self::Revocations => "revoking what is not declared any more",
            Self::Ends => "revoking what has ended",
            Self::Departed => "revoking from people who have left",
            Self::FullAccess => "granting FullAccess",
            Self::SendAs => "granting SendAs",
            Self::SendOnBehalf => "granting SendOnBehalf",
            Self::GroupMembers => "following groups with expand",
            Self::Strangers => "removing entries that nobody declares",
        }
    }
}

/// Wanted reads of one mailbox that failed.
pub type UnreadReads = BTreeMap<Read, Unread>;

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn every_promise_is_in_the_table_once_and_the_documentation_shows_it() {
        let page = include_str!("../../docs/how-it-works.md");
        for promise in Promise::iter() {
            let rows: Vec<_> = NEEDS.iter().filter(|(other, _)| *other == promise).collect();
            let [(_, reads)] = rows[..] else {
                panic!("{promise:?} is {} times in the table", rows.len())
            };
            let mut sources: Vec<String> = reads.iter().map(|read| format!("`{}`", read.source())).collect();
            sources.dedup();
            let needed = if sources.is_empty() {
                "nothing else".to_owned()
            } else {
                sources.join(", ")
            };
            let row = format!("| {} | {needed} |", promise.words());
            assert!(page.contains(&row), "docs/how-it-works.md lacks {row}");
        }
        assert!(
            Read::iter().all(|read| read.waiting().next().is_some()),
            "nothing waits for a read"
        );
    }
}
