//! What is worked on: the keys of the queue, and the custom resources they stand for.

use std::fmt;

use kube::ResourceExt;
use tracing::Span;

use crate::api::SharedMailbox;
use crate::fair::{Owned, Owner};
use crate::lane::Lane;

/// The custom resources, as the API server names them.
pub const MAILBOX: &str = "SharedMailbox";
pub const PERMISSION: &str = "MailboxPermission";
pub const TENANT: &str = "ExchangeTenant";
pub const LEDGER: &str = "MailboxLedger";
pub const KINDS: [&str; 4] = [LEDGER, MAILBOX, PERMISSION, TENANT];

/// Work that a change requests.
pub type Changes = Vec<(Work, Lane)>;

/// A mailbox by namespace and name. It need not exist: a permission may name one that does not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxKey {
    pub namespace: String,
    pub name: String,
}

/// One unit of work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    /// A mailbox with all its permissions.
    Mailbox(MailboxKey),
    /// An ExchangeTenant, by name.
    Tenant(String),
}

impl Work {
    /// Of both sorts of work, as controller-runtime names a controller: its kind in lower case.
    pub const CONTROLLERS: [&str; 2] = ["sharedmailbox", "exchangetenant"];

    /// What the log lines and spans of one reconcile have in common.
    pub fn span(&self, lane: Lane) -> Span {
        let (kind, namespace, name) = match self {
            Self::Mailbox(MailboxKey { namespace, name }) => (MAILBOX, namespace.as_str(), name),
            Self::Tenant(name) => (TENANT, "", name),
        };
        tracing::info_span!("reconcile", kind, namespace, name, lane = lane.label())
    }

    /// The metric label.
    pub fn controller(&self) -> &'static str {
        let [mailbox, tenant] = Self::CONTROLLERS;
        match self {
            Self::Mailbox(_) => mailbox,
            Self::Tenant(_) => tenant,
        }
    }
}

impl Owned for Work {
    /// The namespace of a mailbox; a tenant is everybody's.
    fn owner(&self) -> Owner {
        match self {
            Self::Mailbox(key) => Owner::from(key.namespace.as_str()),
            Self::Tenant(_) => Owner::from(""),
        }
    }
}

impl MailboxKey {
    pub fn of(mailbox: &SharedMailbox) -> Option<Self> {
        Some(Self {
            namespace: mailbox.namespace()?,
            name: mailbox.metadata.name.clone()?,
        })
    }
}

impl fmt::Display for MailboxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(key) => write!(f, "mailbox {key}"),
            Self::Tenant(name) => write!(f, "tenant {name}"),
        }
    }
}
