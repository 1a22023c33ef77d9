//! The tables. One more setting is one more row here, and nothing else.

use super::kind::Kind;
use super::setting::{Pair, Setting};
use super::size::{GB, MB};

const fn row(name: &'static str, kind: Kind) -> Setting {
    Setting { name, kind }
}

const fn text(most: usize, usual: &'static str) -> Kind {
    Kind::Text { most, usual }
}

/// A quota of small and of large mailboxes, in bytes.
const fn quota(small: u64, large: u64) -> Kind {
    Kind::Quota { small, large }
}

/// The largest message that is sent or received.
const fn message(usual: u64) -> Kind {
    Kind::Size {
        most: 150 * MB,
        usual,
    }
}

/// What the tenant has.
const RETENTION_POLICIES: &[&str] = &["Default MRM Policy", "Five Years", "Forever"];

/// Get-Mailbox and Set-Mailbox.
pub static MAILBOX: Pair = Pair {
    get: "Get-Mailbox",
    set: "Set-Mailbox",
    settings: &[
        row("HiddenFromAddressListsEnabled", Kind::Flag(false)),
        row("DeliverToMailboxAndForward", Kind::Flag(false)),
        row("MessageCopyForSentAsEnabled", Kind::Flag(false)),
        row("MessageCopyForSendOnBehalfEnabled", Kind::Flag(false)),
        row("MessageCopyForSMTPClientSubmissionEnabled", Kind::Flag(true)),
        row("RequireSenderAuthenticationEnabled", Kind::Flag(false)),
        row("LitigationHoldEnabled", Kind::Flag(false)),
        row("LitigationHoldDuration", Kind::Days),
        row("LitigationHoldOwner", text(1024, "")),
        row("AuditEnabled", Kind::Flag(true)),
        row(
            "RecipientLimits",
            Kind::Count {
                most: 1000,
                usual: 500,
            },
        ),
        row("RetainDeletedItemsFor", Kind::Span { most: 30, usual: 14 }),
        row("ForwardingAddress", Kind::Recipient),
        row("ForwardingSmtpAddress", Kind::ForwardingAddress),
        row("AcceptMessagesOnlyFromSendersOrMembers", Kind::Recipients),
        row("RejectMessagesFromSendersOrMembers", Kind::Recipients),
        row("MailTip", Kind::MailTip),
        row("SingleItemRecoveryEnabled", Kind::Flag(true)),
        row("RetentionPolicy", Kind::Policy(RETENTION_POLICIES)),
        row("SharingPolicy", text(64, "Default Sharing Policy")),
        row("RoleAssignmentPolicy", text(64, "Default Role Assignment Policy")),
        row("IssueWarningQuota", quota(49 * GB, 98 * GB)),
        row("ProhibitSendQuota", quota(49 * GB + GB / 2, 99 * GB)),
        row("ProhibitSendReceiveQuota", quota(50 * GB, 100 * GB)),
        row("MaxSendSize", message(35 * MB)),
        row("MaxReceiveSize", message(36 * MB)),
    ],
};

/// Get-CASMailbox and Set-CASMailbox: the protocols through which clients reach a mailbox.
pub static CLIENT_ACCESS: Pair = Pair {
    get: "Get-CASMailbox",
    set: "Set-CASMailbox",
    settings: &[
        row("OWAEnabled", Kind::Flag(true)),
        row("MAPIEnabled", Kind::Flag(true)),
        row("EwsEnabled", Kind::Flag(true)),
        row("ActiveSyncEnabled", Kind::Flag(true)),
        row("ImapEnabled", Kind::Flag(true)),
        row("PopEnabled", Kind::Flag(true)),
        row("SmtpClientAuthenticationDisabled", Kind::FlagOrDefault),
        row("OneWinNativeOutlookEnabled", Kind::Flag(true)),
        row("OutlookMobileEnabled", Kind::Flag(true)),
        row("MacOutlookEnabled", Kind::Flag(true)),
    ],
};

/// Get- and Set-MailboxRegionalConfiguration: kept in the mailbox itself, and empty until somebody sets it.
pub static REGIONAL: Pair = Pair {
    get: "Get-MailboxRegionalConfiguration",
    set: "Set-MailboxRegionalConfiguration",
    settings: &[
        row("Language", Kind::Language),
        row("TimeZone", Kind::TimeZone),
        row("DateFormat", Kind::Format),
        row("TimeFormat", Kind::Format),
    ],
};

const fn word(words: &'static [&'static str], usual: &'static str) -> Kind {
    Kind::Word { words, usual }
}

/// Get- and Set-MailboxAutoReplyConfiguration: kept in the mailbox itself.
pub static AUTO_REPLY: Pair = Pair {
    get: "Get-MailboxAutoReplyConfiguration",
    set: "Set-MailboxAutoReplyConfiguration",
    settings: &[
        row(
            "AutoReplyState",
            word(&["Disabled", "Enabled", "Scheduled"], "Disabled"),
        ),
        row("ExternalAudience", word(&["None", "Known", "All"], "All")),
        row("InternalMessage", Kind::Html),
        row("ExternalMessage", Kind::Html),
        row("StartTime", Kind::Time),
        row("EndTime", Kind::Time),
    ],
};

static PAIRS: [&Pair; 4] = [&MAILBOX, &CLIENT_ACCESS, &REGIONAL, &AUTO_REPLY];

/// Every setting of every pair. Their names are unique.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    PAIRS.iter().flat_map(|pair| pair.settings)
}

/// The pair whose cmdlets show and write this setting.
pub fn pair_of(name: &str) -> Option<&'static Pair> {
    PAIRS.into_iter().find(|pair| pair.setting(name).is_some())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::all;

    #[test]
    fn no_two_settings_have_the_same_name() {
        let names: BTreeSet<String> = all().map(|setting| setting.name.to_lowercase()).collect();
        assert_eq!(names.len(), all().count());
    }
}
