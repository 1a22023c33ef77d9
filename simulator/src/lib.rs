//! A simulated Microsoft 365 tenant for tests and demonstrations of clients that manage mailboxes.
//!
//! It answers what such a client asks over HTTP, in process without sockets
//! ([`Simulator::handle`]) or as the binary `simulator serve`:
//!
//! - the token endpoint (client credentials with a secret, a certificate or a federated token);
//! - the Exchange admin API, `InvokeCommand` and `$batch`, with the cmdlets around mailboxes and
//!   their permissions;
//! - Graph: users, as far as sign-in and licences go, and who is in a group.
//!
//! It follows the wire, not any one client: warnings for repeats, SELF rows, comma-joined rights,
//! names where one would like addresses, entries of deleted people that hide, 403 bodies full of NUL
//! bytes, replicas that lag. What is not known of the real service is chosen so that a client that
//! trusts too much fails.
//! [`Control`] is the other side: the admin's hand, faults at run time, and a journal of everything
//! that was asked. All time is tokio's, so paused time works.
//!
//! ```
//! use serde_json::json;
//! use simulator::{Seed, Simulator};
//!
//! let tenant = Simulator::new(Seed::contoso());
//! let admin = tenant.control();
//! admin
//!     .admin_cmdlet("New-Mailbox", json!({"Name": "sales", "Shared": true, "PrimarySmtpAddress": "sales@contoso.com"}))
//!     .expect("the address is free");
//! let sales = admin.mailbox("sales@contoso.com").expect("it was just created");
//! assert_eq!(sales.type_details, "SharedMailbox");
//! assert!(!sales.account_disabled, "sign-in is open until somebody blocks it");
//! ```

// One more variant is considered everywhere: no match over an enum of ours ends in `_`.
#![warn(clippy::wildcard_enum_match_arm)]

mod clock;
mod cmdlets;
mod control;
mod credentials;
mod directory;
mod error;
mod exchange;
mod faults;
mod filter;
mod grants;
mod graph;
mod inject;
mod journal;
mod paging;
mod parameters;
mod profile;
mod quirks;
mod quirks_drawn;
mod random;
mod row;
mod seed;
mod seeding;
mod server;
mod settings;
mod shared;
mod simulator;
mod token;
mod token_endpoint;
mod view;
mod wire;
mod world;

pub use control::{AccessRow, Control, Rename, SendAsRow, UnknownObject};
pub use credentials::Federation;
pub use directory::{AccessRight, Standing};
pub use error::{CmdletError, Envelope};
pub use faults::{Delay, Fault, FaultRule, Faults, Lag, Surface};
pub use grants::{AppGrants, ParameterRule};
pub use journal::{Actor, JournalEntry, JournalKind};
pub use profile::{OUT_OF_SCOPE, Profile};
pub use quirks::{
    AccessQuirks, BadWord, BatchErrors, EmptyList, EmptyMailTip, Entities, GroupQuirks, HiddenMembers,
    HtmlForm, LanguageForm, LineEnds, Linked, ListQuirks, MailTipForm, NextLink, OrganizationRows, Quirks,
    QuotaOrder, RefusalQuirks, RoleList, SignInForm, TimeForm, UnknownParameter, UserFilter,
};
pub use seed::{GroupKind, Seed, SeedContact, SeedGroup, SeedMailbox, SeedUser};
pub use server::{Observer, serve};
pub use settings::ShownSettings;
pub use simulator::{Dropped, Simulator};
pub use view::{FullAccessView, MailboxView, SendAsView};
