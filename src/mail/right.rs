use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a member may do. Exchange keeps the three in three different stores.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::IntoStaticStr,
)]
pub enum Right {
    /// Open the mailbox and act in it (Add-MailboxPermission).
    FullAccess,
    /// Send mail that shows the mailbox alone as its sender (Add-RecipientPermission).
    SendAs,
    /// Send mail as "member on behalf of mailbox" (Set-Mailbox -GrantSendOnBehalfTo).
    SendOnBehalf,
}

impl Right {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
