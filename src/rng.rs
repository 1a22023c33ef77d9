//! The one source of random bits that decides anything: names created once, and how waits are spread. The simulated tenant
//! has its own, for it shares no code with the operator.
//!
//! Injected like the clock, so that a run of the tests can be repeated bit by bit. Ids that only appear in logs and
//! headers of requests are drawn elsewhere: nothing depends on them.
//!
//! The generator is our own because the stream of a seed may never change: seeds that once found a fault are kept in
//! tests/flows/regressions.txt. Outside of tests the bits come from the operating system, for a one-time name is part
//! of the proof that a mailbox is ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use uuid::Uuid;

/// Random bits. Clones draw from the same source.
#[derive(Clone, Debug)]
pub struct Rng(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Seeded(Arc<AtomicU64>),
}

impl Rng {
    /// The machine's own randomness.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// Always the same sequence for the same seed: for tests.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(AtomicU64::new(seed))))
    }

    /// 128 random bits.
    pub fn bits(&self) -> u128 {
        match &self.0 {
            // One random UUID has six fixed bits.
            Source::System => Uuid::new_v4().as_u128() ^ Uuid::new_v4().as_u128().rotate_left(64),
            Source::Seeded(state) => (u128::from(next(state)) << 64) | u128::from(next(state)),
        }
    }

    /// A version 4 UUID.
    pub fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.bits().to_be_bytes()).into_uuid()
    }

    /// `wait` and up to as long again, so that clients that failed together don't come back together.
    pub fn spread(&self, wait: Duration) -> Duration {
        let thousandths = u32::try_from(self.bits() % 1_001).unwrap_or_default();
        wait + wait * thousandths / 1_000
    }
}

/// splitmix64
fn next(state: &AtomicU64) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut z = state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence_and_the_machine_another_each_time() {
        let draw = |rng: &Rng| (rng.bits(), rng.uuid());
        assert_eq!(draw(&Rng::seeded(7)), draw(&Rng::seeded(7)));
        assert_ne!(draw(&Rng::seeded(7)), draw(&Rng::seeded(8)));
        let one = Rng::seeded(7);
        assert_ne!(
            draw(&one),
            draw(&one.clone()),
            "clones go on where the other stopped"
        );
        assert_ne!(draw(&Rng::system()), draw(&Rng::system()));
    }

    #[test]
    fn a_wait_is_at_most_doubled() {
        let rng = Rng::seeded(1);
        let second = Duration::from_secs(1);
        assert!((0..1_000).all(|_| (second..=2 * second).contains(&rng.spread(second))));
    }
}
