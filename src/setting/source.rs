//! Which cmdlets show settings, and which write them.
//!
//! Two lists, because they are no pairs: what one cmdlet writes another may show.

use super::Kind;

/// A read that shows settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    Mailbox,
    /// Protocols: Get-CASMailbox.
    Cas,
}

impl Source {
    pub fn cmdlet(self) -> &'static str {
        match self {
            Self::Mailbox => "Get-Mailbox",
            Self::Cas => "Get-CASMailbox",
        }
    }
}

/// A write of settings, in the order in which a plan sends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    Mailbox,
    /// Protocols: Set-CASMailbox.
    Cas,
}

impl Call {
    pub fn cmdlet(self) -> &'static str {
        match self {
            Self::Mailbox => "Set-Mailbox",
            Self::Cas => "Set-CASMailbox",
        }
    }

    /// Where its effect can be read.
    pub fn shown_by(self) -> Source {
        match self {
            Self::Mailbox => Source::Mailbox,
            Self::Cas => Source::Cas,
        }
    }
}

/// One value that a cmdlet takes and another shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Property {
    /// The path in the manifest, for people.
    pub field: &'static str,
    /// The parameter of the write, which is the property of the read too.
    pub parameter: &'static str,
    pub kind: Kind,
}

impl Property {
    pub const fn new(field: &'static str, parameter: &'static str, kind: Kind) -> Self {
        Self {
            field,
            parameter,
            kind,
        }
    }
}
