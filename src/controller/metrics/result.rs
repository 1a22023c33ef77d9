//! How a reconcile went, as it is counted.

/// Controller-runtime's results, with the errors kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconcileResult {
    Success,
    /// Somebody wrote meanwhile: it is reconciled again.
    Requeue,
    /// Something is under way: it is reconciled again later.
    RequeueAfter,
    /// Something could not be reached.
    Error,
    /// Somebody has to act.
    Stalled,
    /// It panicked: a bug.
    Panic,
    Timeout,
}

impl ReconcileResult {
    /// Those with a label of their own.
    pub const ALL: [Self; 4] = [Self::Success, Self::Requeue, Self::RequeueAfter, Self::Error];

    /// The metric label, one of controller-runtime's.
    pub fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Requeue => "requeue",
            Self::RequeueAfter => "requeue_after",
            Self::Error | Self::Stalled | Self::Panic | Self::Timeout => "error",
        }
    }
}
