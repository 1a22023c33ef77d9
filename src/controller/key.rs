//! The keys of the queue.

use std::fmt;

use kube::ResourceExt;

use crate::api::SharedMailbox;

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
