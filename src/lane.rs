//! How urgent a piece of work is. The queue and the gateway serve the most urgent lane first.

/// Lanes in the order in which they are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Somebody must lose access.
    Revocation,
    /// Somebody just changed a manifest and waits for it.
    Edit,
    /// What was true has drifted.
    Repair,
    /// The regular look at everything.
    Sweep,
}

impl Lane {
    pub const ALL: [Self; 4] = [Self::Revocation, Self::Edit, Self::Repair, Self::Sweep];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Revocation => "revocation",
            Self::Edit => "edit",
            Self::Repair => "repair",
            Self::Sweep => "sweep",
        }
    }
}
