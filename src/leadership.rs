//! Whether this process may write: judged by its own monotonic clock right before each external write.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// A claim to be the one that works. Cheap to clone; all clones see the same claim.
#[derive(Clone, Debug)]
pub struct Leadership {
    /// None: this process works alone and nobody is asked.
    claim: Option<Arc<Mutex<Option<Instant>>>>,
}

impl Leadership {
    /// For a process that works alone.
    pub fn alone() -> Self {
        Self { claim: None }
    }

    /// Not leading until [`Self::hold_until`] says so.
    pub fn contested() -> Self {
        Self {
            claim: Some(Arc::default()),
        }
    }

    /// The claim holds until `deadline`, whatever happens to whoever extends it.
    pub fn hold_until(&self, deadline: Instant) {
        self.set(Some(deadline));
    }

    pub fn give_up(&self) {
        self.set(None);
    }

    pub fn is_current(&self) -> bool {
        match &self.claim {
            None => true,
            Some(claim) => {
                let deadline = *claim.lock().unwrap_or_else(PoisonError::into_inner);
                deadline.is_some_and(|deadline| Instant::now() < deadline)
            }
        }
    }

    fn set(&self, deadline: Option<Instant>) {
        if let Some(claim) = &self.claim {
            *claim.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_claim_ends_by_itself_at_its_deadline() {
        let leadership = Leadership::contested();
        let seen_elsewhere = leadership.clone();
        assert!(!seen_elsewhere.is_current());
        leadership.hold_until(Instant::now() + Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(seen_elsewhere.is_current());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!seen_elsewhere.is_current());
        assert!(Leadership::alone().is_current());
    }
}
