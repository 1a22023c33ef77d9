//! Filtered reads that several callers share: whoever looks something up while others do, is answered by the same cmdlet.
//!
//! A round is open until its turn has come; then it asks for everything that joined it, once. Callers drive it: a round that
//! nobody waits for any more ends. Each caller gets whole answers, so others' rows may be among them. What the service
//! refuses for one of them is asked for by each alone, so that nobody's odd value is anybody else's failure.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::queue::Urgency;
use crate::exchange::error::ExchangeError;
use crate::exchange::wire::Answer;
use crate::lane::Lane;

/// Rounds of one cmdlet and one urgency that are under way at a time; who comes later gathers in the next.
const ROUNDS: usize = 2;

/// Conditions in one filter: with addresses of full length it stays below 30 KiB.
pub const MOST_CONDITIONS: usize = 80;

pub type Found = Result<Arc<Vec<Answer>>, Failed>;
type Running = BoxFuture<'static, Found>;

/// Why a round has no answer.
#[derive(Clone, Debug)]
pub struct Failed {
    pub error: ExchangeError,
    /// Several callers had asked, so that it may be about another one's conditions.
    pub is_shared: bool,
}

/// The rounds of one tenant.
pub struct Gather {
    rounds: Mutex<HashMap<(&'static str, Urgency), Rounds>>,
    /// Conditions of one round, as far as the tenant has refused longer ones.
    most: AtomicUsize,
}

impl Default for Gather {
    fn default() -> Self {
        Self {
            rounds: Mutex::default(),
            most: AtomicUsize::new(MOST_CONDITIONS),
        }
    }
}

struct Rounds {
    turns: Arc<Semaphore>,
    /// The one that may be joined, while it is open and somebody waits for it.
    open: Option<Open>,
}

struct Open {
    /// None: it has begun.
    asked: Arc<Mutex<Option<Asked>>>,
    running: WeakShared<Running>,
}

/// A round that has not begun: whoever drives it asks for its turn.
pub struct Round {
    turns: Arc<Semaphore>,
    asked: Arc<Mutex<Option<Asked>>>,
}

/// What a round asks for.
#[derive(Debug)]
pub struct Asked {
    pub lane: Lane,
    pub callers: usize,
    pub conditions: BTreeSet<String>,
}

/// A round may ask now, until this is dropped.
pub struct Turn {
    /// Held for its drop.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Gather {
    /// Joins the open round of a cmdlet, or opens one, which `run` carries out.
    pub fn join<R>(
        &self,
        cmdlet: &'static str,
        lane: Lane,
        conditions: &[String],
        run: impl FnOnce(Round) -> R,
    ) -> Shared<Running>
    where
        R: Future<Output = Found> + Send + 'static,
    {
        let mut all = self.rounds.lock();
        let rounds = all.entry((cmdlet, Urgency::of(lane))).or_insert_with(|| Rounds {
            turns: Arc::new(Semaphore::new(ROUNDS)),
            open: None,
        });
        let most = self.most.load(Ordering::Relaxed);
        let open = rounds.open.as_ref();
        if let Some(running) = open.and_then(|open| open.join(lane, conditions, most)) {
            return running;
        }
        let asked = Arc::new(Mutex::new(Some(Asked {
            lane,
            callers: 1,
            conditions: conditions.iter().cloned().collect(),
        })));
        let round = Round {
            turns: Arc::clone(&rounds.turns),
            asked: Arc::clone(&asked),
        };
        let running = run(round).boxed().shared();
        rounds.open = running.downgrade().map(|running| Open { asked, running });
        running
    }

    /// The tenant takes no more conditions at once than these.
    pub fn take_at_most(&self, conditions: usize) {
        self.most.fetch_min(conditions.max(1), Ordering::Relaxed);
    }
}

impl Open {
    /// The round with these conditions in it; None when it has begun, is full, or nobody waits for it.
    fn join(&self, lane: Lane, conditions: &[String], most: usize) -> Option<Shared<Running>> {
        let running = self.running.upgrade()?;
        let mut asked = self.asked.lock();
        let round = asked.as_mut()?;
        let new = conditions.iter().filter(|one| !round.conditions.contains(*one));
        if round.conditions.len() + new.count() > most {
            return None;
        }
        round.lane = round.lane.min(lane);
        round.callers += 1;
        round.conditions.extend(conditions.iter().cloned());
        Some(running)
    }
}

impl Round {
    /// Waits for the turn of this round, and closes it. None: it had begun already, which nothing does twice.
    pub async fn begin(self) -> Option<(Turn, Asked)> {
        let turn = self.turns.acquire_owned().await;
        let asked = self.asked.lock().take()?;
        Some((Turn { _permit: turn.ok() }, asked))
    }
}
