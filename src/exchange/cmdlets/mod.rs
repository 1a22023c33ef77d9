//! The operations: each is one cmdlet with its parameters, and its rows as values.
//!
//! Only value types reach filters and URLs; whatever else a caller hands in goes into JSON.

/// The names given, then CustomAttribute1 to 15.
macro_rules! with_custom_attributes {
    ($($name:literal),* $(,)?) => {
        &[
            $($name,)*
            "CustomAttribute1", "CustomAttribute2", "CustomAttribute3", "CustomAttribute4", "CustomAttribute5",
            "CustomAttribute6", "CustomAttribute7", "CustomAttribute8", "CustomAttribute9", "CustomAttribute10",
            "CustomAttribute11", "CustomAttribute12", "CustomAttribute13", "CustomAttribute14", "CustomAttribute15",
        ]
    };
}

mod answer;
mod mailbox;
mod permission;
mod recipient;

pub use answer::{ProxyAddress, Receipt};
pub use mailbox::{CreatedMailbox, MailboxRow, NewMailbox, SettingsRow};
pub use permission::{FullAccessRow, SendAsRow};
pub use recipient::{
    AcceptedDomain, GroupRow, RecipientIdentity, RecipientKind, RecipientName, RecipientQuery, RecipientRow,
    UserRow,
};

use answer::{addresses, all, answered_another, custom_attributes, exactly_one};
