//! Queues in which owners take turns: however much one of them asks for, the others are served with every round.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::Arc;

use futures::{StreamExt as _, stream};

/// Whose work it is: a namespace. Nobody's, for what concerns a whole tenant.
pub type Owner = Arc<str>;

tokio::task_local! {
    static OWNER: Owner;
}

/// Does `work` for this owner: what it asks of a gateway waits in their turn.
pub async fn for_owner<T>(owner: Owner, work: impl Future<Output = T>) -> T {
    OWNER.scope(owner, work).await
}

/// Whose work is done around this call.
pub fn owner() -> Owner {
    OWNER.try_with(Arc::clone).unwrap_or_else(|_| Arc::from(""))
}

/// Calls that one piece of work has under way at a time: enough for four batches. Whatever else it asks for waits with it,
/// and takes no room in a queue that all share.
const AT_ONCE: usize = 40;

/// Does all of this, some at once. The results are in the order of the work.
pub async fn some_at_once<F: Future>(work: Vec<F>) -> Vec<F::Output> {
    stream::iter(work).buffered(AT_ONCE).collect().await
}

/// What belongs to somebody.
pub trait Owned {
    fn owner(&self) -> Owner;
}

/// What becomes of an item that is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    Take,
    /// It stays where it is; the owner's next one may be taken.
    Skip,
    /// Nothing more of this owner is taken now.
    NextOwner,
    /// Nothing more is taken.
    Stop,
}

/// Items by owner, first in, first out for each.
#[derive(Debug)]
pub struct Fair<T> {
    waiting: HashMap<Owner, VecDeque<T>>,
    /// Owners of whom something waits, in the order in which they are served.
    turns: VecDeque<Owner>,
    len: usize,
}

impl<T> Default for Fair<T> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            turns: VecDeque::new(),
            len: 0,
        }
    }
}

impl<T> Fair<T> {
    pub fn push(&mut self, owner: Owner, item: T) {
        let items = self.waiting.entry(owner.clone()).or_default();
        if items.is_empty() {
            self.turns.push_back(owner);
        }
        items.push_back(item);
        self.len += 1;
    }

    /// The next one of the first owner whose turn it may be.
    pub fn pop(&mut self, may: impl Fn(&Owner) -> bool) -> Option<T> {
        let position = self.turns.iter().position(may)?;
        let owner = self.turns.remove(position)?;
        let items = self.waiting.get_mut(&owner)?;
        let item = items.pop_front();
        if items.is_empty() {
            self.waiting.remove(&owner);
        } else {
            self.turns.push_back(owner);
        }
        self.len = self.len.saturating_sub(usize::from(item.is_some()));
        item
    }

    pub fn count(&self) -> usize {
        self.len
    }

    /// Owners of whom something waits, and how much.
    pub fn owners(&self) -> impl Iterator<Item = (&Owner, usize)> {
        self.waiting.iter().map(|(owner, items)| (owner, items.len()))
    }

    /// Gives back what this owner asked for last.
    pub fn take_back(&mut self, owner: &Owner) -> Option<T> {
        let newest = self.waiting.get_mut(owner)?.pop_back();
        self.tidy();
        newest
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.waiting.values().flatten()
    }

    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        for items in self.waiting.values_mut() {
            items.retain(&keep);
        }
        self.tidy();
    }

    /// Everything, in no order.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.turns.clear();
        self.len = 0;
        std::mem::take(&mut self.waiting).into_values().flatten()
    }

    /// Takes what `choose` wants, one of each owner in turn. Who was served is last the next time.
    pub fn take(&mut self, mut choose: impl FnMut(&Owner, &T) -> Choice) -> Vec<T> {
        let mut taken = Vec::new();
        let mut round: VecDeque<(Owner, usize)> = self.turns.iter().map(|owner| (owner.clone(), 0)).collect();
        'round: while let Some((owner, mut position)) = round.pop_front() {
            let Some(items) = self.waiting.get_mut(&owner) else {
                continue;
            };
            while let Some(item) = items.get(position) {
                match choose(&owner, item) {
                    Choice::Take => {
                        taken.extend(items.remove(position));
                        if let Some(at) = self.turns.iter().position(|other| *other == owner) {
                            self.turns.remove(at);
                            self.turns.push_back(owner.clone());
                        }
                        round.push_back((owner, position));
                        continue 'round;
                    }
                    Choice::Skip => position += 1,
                    Choice::NextOwner => continue 'round,
                    Choice::Stop => break 'round,
                }
            }
        }
        self.tidy();
        taken
    }

    fn tidy(&mut self) {
        self.waiting.retain(|_, items| !items.is_empty());
        self.turns.retain(|owner| self.waiting.contains_key(owner));
        self.len = self.waiting.values().map(VecDeque::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(items: &[(&str, u32)]) -> Fair<u32> {
        let mut queue = Fair::default();
        for (owner, item) in items {
            queue.push(Arc::from(*owner), *item);
        }
        queue
    }

    /// Takes so many at a time.
    fn take(queue: &mut Fair<u32>, count: usize) -> Vec<u32> {
        let mut left = count;
        queue.take(|_, _| {
            if left == 0 {
                return Choice::Stop;
            }
            left -= 1;
            Choice::Take
        })
    }

    #[test]
    fn owners_take_turns_and_each_is_served_in_order() {
        let mut queue = queue(&[("a", 1), ("a", 2), ("a", 3), ("b", 10), ("c", 20), ("c", 21)]);
        assert_eq!(take(&mut queue, 10), [1, 10, 20, 2, 21, 3]);
        assert_eq!(queue.count(), 0);
    }

    #[test]
    fn whoever_was_served_is_last_the_next_time() {
        let mut queue = queue(&[("a", 1), ("a", 2), ("b", 10), ("b", 11)]);
        assert_eq!(take(&mut queue, 1), [1]);
        assert_eq!(take(&mut queue, 1), [10]);
        assert_eq!(take(&mut queue, 2), [2, 11]);
    }

    #[test]
    fn a_thousand_of_one_owner_are_no_longer_than_one_of_another() {
        let mut items: Vec<(&str, u32)> = (0..1000).map(|number| ("storm", number)).collect();
        items.push(("calm", 5000));
        let mut queue = queue(&items);
        assert!(take(&mut queue, 2).contains(&5000));
    }

    #[test]
    fn an_owner_who_has_enough_is_passed_over_and_keeps_their_place() {
        let mut queue = queue(&[("a", 1), ("a", 2), ("b", 10)]);
        assert_eq!(queue.pop(|owner| &**owner != "a"), Some(10));
        assert_eq!(queue.pop(|owner| &**owner != "a"), None);
        assert_eq!((queue.pop(|_| true), queue.count()), (Some(1), 1));
        assert_eq!((queue.pop(|_| true), queue.pop(|_| true)), (Some(2), None));
    }

    #[test]
    fn what_is_skipped_stays_in_its_place() {
        let mut queue = queue(&[("a", 1), ("a", 2), ("a", 3), ("b", 5)]);
        let all_but_one = |_: &Owner, item: &u32| {
            if *item == 2 { Choice::Skip } else { Choice::Take }
        };
        assert_eq!(queue.take(all_but_one), [1, 5, 3]);
        queue.push(Arc::from("a"), 7);
        queue.retain(|item| *item != 7);
        assert_eq!((take(&mut queue, 9), queue.drain().count()), (vec![2], 0));
    }

    #[tokio::test]
    async fn each_piece_of_work_has_its_owner() {
        let theirs = for_owner(Arc::from("team"), async { owner() }).await;
        assert_eq!((&*theirs, &*owner()), ("team", ""));
    }
}
