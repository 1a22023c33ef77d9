//! How urgent a piece of work is. The queue and the gateway serve the most urgent lane first.

/// Lanes in the order in which they are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Lane {
    /// Somebody must lose access.
    Revocation,
    /// Somebody just changed a manifest and waits for it.
    Edit,
    /// What was true has drifted.
    Repair,
    /// Everything is rechecked regularly.
    Sweep,
}

impl Lane {
    pub const ALL: [Self; 4] = [Self::Revocation, Self::Edit, Self::Repair, Self::Sweep];

    /// The metric label.
    pub fn label(self) -> &'static str {
        self.into()
    }
}
