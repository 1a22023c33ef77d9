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
    /// Language and formats: Get-MailboxRegionalConfiguration.
    Regional,
    /// Get-MailboxAutoReplyConfiguration.
    AutoReply,
}

impl Source {
    /// Those beside the mailbox itself, which are read only when somebody declares something that they show.
    pub const FURTHER: [Self; 3] = [Self::Cas, Self::Regional, Self::AutoReply];

    pub fn cmdlet(self) -> &'static str {
        match self {
            Self::Mailbox => "Get-Mailbox",
            Self::Cas => "Get-CASMailbox",
            Self::Regional => "Get-MailboxRegionalConfiguration",
            Self::AutoReply => "Get-MailboxAutoReplyConfiguration",
        }
    }

    /// The property that says whose account a row is about, where there is one.
    pub fn owner(self) -> Option<&'static str> {
        match self {
            Self::Mailbox | Self::Cas => Some("ExternalDirectoryObjectId"),
            Self::Regional | Self::AutoReply => None,
        }
    }
}

/// A write of settings, in the order in which a plan sends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    Mailbox,
    /// Protocols: Set-CASMailbox.
    Cas,
    /// Language and formats: Set-MailboxRegionalConfiguration.
    Regional,
    /// Set-MailboxAutoReplyConfiguration.
    AutoReply,
    /// What a mailbox gets once: Enable-Mailbox.
    Archive,
}

impl Call {
    pub fn cmdlet(self) -> &'static str {
        match self {
            Self::Mailbox => "Set-Mailbox",
            Self::Cas => "Set-CASMailbox",
            Self::Regional => "Set-MailboxRegionalConfiguration",
            Self::AutoReply => "Set-MailboxAutoReplyConfiguration",
            Self::Archive => "Enable-Mailbox",
        }
    }

    /// Where its effect can be read.
    pub fn shown_by(self) -> Source {
        match self {
            Self::Mailbox | Self::Archive => Source::Mailbox,
            Self::Cas => Source::Cas,
            Self::Regional => Source::Regional,
            Self::AutoReply => Source::AutoReply,
        }
    }
}

/// One value that a cmdlet takes and another shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Property {
    /// The path in the manifest, for people.
    pub field: &'static str,
    /// The parameter of the write.
    pub parameter: &'static str,
    /// The property of the read; None: it can't be read, and goes along with something that can.
    pub shown_as: Option<&'static str>,
    pub kind: Kind,
    /// What to declare to switch it off, for the reference. Empty: nothing does.
    pub off: &'static str,
}

impl Property {
    pub const fn new(field: &'static str, parameter: &'static str, kind: Kind) -> Self {
        Self {
            field,
            parameter,
            shown_as: Some(parameter),
            kind,
            off: "",
        }
    }

    #[must_use]
    pub const fn off(self, off: &'static str) -> Self {
        Self { off, ..self }
    }

    /// Shown under another name than it is written.
    #[must_use]
    pub const fn shown_as(self, name: &'static str) -> Self {
        Self {
            shown_as: Some(name),
            ..self
        }
    }

    /// What only goes along with another property.
    pub const fn never_shown(field: &'static str, parameter: &'static str, kind: Kind) -> Self {
        Self {
            shown_as: None,
            ..Self::new(field, parameter, kind)
        }
    }
}
