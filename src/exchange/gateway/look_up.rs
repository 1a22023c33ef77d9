//! Filtered reads: alone, or in one round with whoever looks something up at the same moment ([`super::gather`]).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::try_join_all;

use super::Gateway;
use super::gather::{Asked, Failed, Found, MOST_CONDITIONS, Round};
use super::queue::GATHER;
use super::shared::Core;
use crate::exchange::error::{ErrorClass, ExchangeError, Stage};
use crate::exchange::trail;
use crate::exchange::wire::{Answer, Cmdlet};
use crate::fair::{self, Owner};
use crate::lane::Lane;

/// Whose turn a shared read waits for. No namespace has this name.
const TOGETHER: &str = "look-ups of several";

/// The cmdlet that reads what a filter matches.
type Reader = fn(&str) -> Cmdlet;

impl Gateway {
    /// Answers with everything that matches one of these conditions, perhaps among others. All pages, or an error. Without
    /// conditions nothing is asked.
    pub(in crate::exchange) async fn look_up_together(
        &self,
        lane: Lane,
        conditions: Vec<String>,
        reader: Reader,
    ) -> Result<Arc<Vec<Answer>>, ExchangeError> {
        if conditions.is_empty() {
            return Ok(Arc::default());
        }
        let core = &self.core;
        // What takes access away waits for nobody's look-ups, and who asks for more than fits takes nobody's turn.
        if lane == Lane::Revocation || conditions.len() > MOST_CONDITIONS {
            return core.look_up_alone(lane, &conditions, reader).await.map(Arc::new);
        }
        let run = |round| Core::run(Arc::clone(core), round, reader);
        let round = core.gather.join(reader("").name, lane, &conditions, run);
        let Failed { error, is_shared } = match round.await {
            Ok(answers) => return Ok(answers),
            Err(failed) => failed,
        };
        if is_shared && error.class.is_permanent() {
            let alone = self.core.look_up_alone(lane, &conditions, reader).await;
            return alone.map(Arc::new);
        }
        // It may be another caller's work in which it happened.
        trail::note(&error);
        Err(error)
    }
}

impl Core {
    async fn run(core: Arc<Self>, round: Round, reader: Reader) -> Found {
        // Whoever was woken by the same event joins.
        core.clock.sleep(GATHER).await;
        let Some((_turn, asked)) = round.begin().await else {
            let text = "the look-up was begun twice";
            let error = ExchangeError::new(ErrorClass::Transient, Stage::Exchange, reader("").name, text);
            return Err(Failed {
                error,
                is_shared: true,
            });
        };
        let Asked {
            lane,
            callers,
            conditions,
        } = asked;
        let conditions: Vec<String> = conditions.into_iter().collect();
        let is_shared = callers > 1;
        let found = if is_shared {
            // Whoever happens to wait for it, it has a turn of its own.
            let together = reader(&any_of(&conditions));
            let found = fair::for_owner(Owner::from(TOGETHER), core.list(lane, &together)).await;
            let is_refused = |error: &ExchangeError| error.class.is_permanent();
            if conditions.len() > 1 && found.as_ref().is_err_and(is_refused) {
                core.gather.take_at_most(conditions.len().div_ceil(2));
            }
            found.map(|answer| vec![answer])
        } else {
            core.look_up_alone(lane, &conditions, reader).await
        };
        found.map(Arc::new).map_err(|error| Failed { error, is_shared })
    }

    /// The same by cmdlets that nobody else shares, in filters as long as the tenant takes them.
    pub(in crate::exchange) async fn look_up_alone(
        &self,
        lane: Lane,
        conditions: &[String],
        reader: Reader,
    ) -> Result<Vec<Answer>, ExchangeError> {
        if conditions.is_empty() {
            return Ok(Vec::new());
        }
        let mut most = self.conditions.load(Ordering::Relaxed);
        let answers = loop {
            let calls = conditions.chunks(most).map(|part| {
                let cmdlet = reader(&any_of(part));
                async move { self.list(lane, &cmdlet).await }
            });
            let longest = most.min(conditions.len());
            match try_join_all(calls).await {
                // Nobody knows how long a filter may be.
                Err(error) if error.class.is_permanent() && longest > 1 => most = longest.div_ceil(2),
                Err(error) => return Err(error),
                Ok(answers) => break answers,
            }
        };
        self.conditions.fetch_min(most, Ordering::Relaxed);
        self.gather.take_at_most(most);
        Ok(answers)
    }
}

fn any_of(conditions: &[String]) -> String {
    match conditions {
        [one] => one.clone(),
        many => many
            .iter()
            .map(|condition| format!("({condition})"))
            .collect::<Vec<_>>()
            .join(" -or "),
    }
}
