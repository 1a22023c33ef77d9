//! What the operator uses of Exchange and Graph, and for what.

use std::collections::BTreeSet;

/// A cmdlet that the operator calls.
#[derive(Debug)]
pub struct UsedCmdlet {
    pub name: &'static str,
    /// What does not work without it, as the end of "without it …".
    pub without: &'static str,
}

const fn cmdlet(name: &'static str, without: &'static str) -> UsedCmdlet {
    UsedCmdlet { name, without }
}

/// Every cmdlet that the gateway can send. A test compares it with the source.
pub const USED_CMDLETS: &[UsedCmdlet] = &[
    cmdlet("Get-AcceptedDomain", "the tenant can't be used"),
    cmdlet("Get-Mailbox", "no mailbox can be read, and nothing is written"),
    cmdlet(
        "Get-Recipient",
        "no address can be looked up, and nothing is written",
    ),
    cmdlet(
        "Get-MailboxPermission",
        "Full Access can't be read, and nothing is written",
    ),
    cmdlet(
        "Get-RecipientPermission",
        "Send As can't be read, and nothing is written",
    ),
    cmdlet(
        "Get-User",
        "holders of foreign rights and people without a mailbox are not recognised",
    ),
    cmdlet("Get-Group", "groups that hold foreign rights are not recognised"),
    cmdlet("Get-CASMailbox", "clientAccess settings can't be compared"),
    cmdlet("New-Mailbox", "no mailbox can be created"),
    cmdlet("Set-Mailbox", "no mailbox can be marked or changed"),
    cmdlet("Set-CASMailbox", "clientAccess settings can't be changed"),
    cmdlet(
        "Get-MailboxAutoReplyConfiguration",
        "automaticReplies can't be compared",
    ),
    cmdlet(
        "Set-MailboxAutoReplyConfiguration",
        "automaticReplies can't be changed",
    ),
    cmdlet(
        "Get-MailboxRegionalConfiguration",
        "regional settings can't be compared",
    ),
    cmdlet(
        "Set-MailboxRegionalConfiguration",
        "regional settings can't be changed",
    ),
    cmdlet("Enable-Mailbox", "no archive can be turned on"),
    cmdlet("Add-MailboxPermission", "Full Access can't be granted"),
    cmdlet("Remove-MailboxPermission", "Full Access can't be revoked"),
    cmdlet("Add-RecipientPermission", "Send As can't be granted"),
    cmdlet("Remove-RecipientPermission", "Send As can't be revoked"),
];

pub fn is_used(cmdlet: &str) -> bool {
    USED_CMDLETS.iter().any(|used| used.name == cmdlet)
}

/// A permission on Microsoft Graph that the operator can use.
#[derive(Debug)]
pub struct Permission {
    /// The least that is enough.
    pub name: &'static str,
    /// Larger ones that include it (permission tables of Microsoft Graph).
    includes: &'static [&'static str],
    pub without: &'static str,
}

impl Permission {
    /// Whether one of the token's `roles` is enough.
    pub fn is_among(&self, roles: &BTreeSet<String>) -> bool {
        roles.contains(self.name) || self.includes.iter().any(|larger| roles.contains(*larger))
    }
}

pub const READ_USERS: &str = "User.Read.All";
pub const BLOCK_USERS: &str = "User.EnableDisableAccount.All";
pub const REVOKE_SESSIONS: &str = "User.RevokeSessions.All";
pub const READ_MEMBERS: &str = "GroupMember.Read.All";

pub const USED_PERMISSIONS: &[Permission] = &[
    Permission {
        name: READ_USERS,
        includes: &[
            "User.ReadWrite.All",
            "Directory.Read.All",
            "Directory.ReadWrite.All",
        ],
        without: "nobody can verify whether sign-in is blocked",
    },
    Permission {
        name: BLOCK_USERS,
        includes: &["User.ReadWrite.All", "Directory.ReadWrite.All"],
        without: "sign-in can't be blocked through Graph, unless a role such as User Administrator allows it",
    },
    Permission {
        name: REVOKE_SESSIONS,
        includes: &["User.ReadWrite.All", "Directory.ReadWrite.All"],
        without: "whoever is signed in when sign-in is blocked stays so until their session ends, unless a role such as User \
                  Administrator allows it",
    },
    Permission {
        name: READ_MEMBERS,
        includes: &[
            "GroupMember.ReadWrite.All",
            "Group.Read.All",
            "Group.ReadWrite.All",
            "Directory.Read.All",
            "Directory.ReadWrite.All",
        ],
        without: "groups can't be granted person by person (expand)",
    },
];

pub fn reads_users(roles: &BTreeSet<String>) -> bool {
    USED_PERMISSIONS
        .iter()
        .any(|used| used.name == READ_USERS && used.is_among(roles))
}

/// Without `Member.Read.Hidden` Graph may answer an empty list for a group with hidden membership.
pub fn reads_hidden_members(roles: &BTreeSet<String>) -> bool {
    roles.contains("Member.Read.Hidden")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    /// Names in quotes that look like cmdlets, in the code above the tests of each file.
    fn cmdlets(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                cmdlets(&path, found);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let quoted = code.split('"').skip(1).step_by(2);
            let verbs = ["Get-", "Set-", "New-", "Add-", "Remove-", "Enable-"];
            let is_name = |text: &&str| {
                verbs.iter().any(|verb| text.starts_with(verb))
                    && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            };
            found.extend(quoted.filter(is_name).map(str::to_owned));
        }
    }

    #[test]
    fn every_cmdlet_that_is_sent_is_in_the_table() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut sent = BTreeSet::new();
        cmdlets(&root.join("exchange/cmdlets"), &mut sent);
        cmdlets(&root.join("setting"), &mut sent);
        let table: BTreeSet<String> = USED_CMDLETS.iter().map(|used| used.name.to_owned()).collect();
        assert_eq!(sent, table);
    }
}
