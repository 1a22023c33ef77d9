//! Versions of one value, each with the time from which a replica shows it.

use std::collections::VecDeque;
use std::time::Duration;

/// Through whose eyes the directory is read. Times count from the tenant's start.
#[derive(Clone, Copy, Debug)]
pub enum View {
    /// The master copy: what writes check for conflicts, and what the admin's hand sees.
    Newest,
    /// One replica behind the Exchange admin API.
    Exchange { replica: usize, now: Duration },
    /// Microsoft Graph.
    Graph { now: Duration },
}

/// From when a version can be seen, counted from the tenant's start.
#[derive(Clone, Debug, Default)]
pub struct Visibility {
    /// By replica; a replica past the end sees it at once.
    pub exchange: Box<[Duration]>,
    pub graph: Duration,
}

impl Visibility {
    fn covers(&self, view: View) -> bool {
        match view {
            View::Newest => true,
            View::Exchange { replica, now } => self.exchange.get(replica).is_none_or(|from| *from <= now),
            View::Graph { now } => self.graph <= now,
        }
    }

    fn everywhere(&self, now: Duration) -> bool {
        self.graph <= now && self.exchange.iter().all(|from| *from <= now)
    }
}

/// The versions of a value that some replica may still show.
#[derive(Clone, Debug)]
pub struct History<T> {
    versions: VecDeque<(T, Visibility)>,
}

impl<T> History<T> {
    pub fn starting_with(value: T, visibility: Visibility) -> Self {
        Self {
            versions: VecDeque::from([(value, visibility)]),
        }
    }

    /// Adds a version and forgets those that no replica shows any more.
    pub fn push(&mut self, value: T, visibility: Visibility, now: Duration) {
        if let Some(settled) = self.versions.iter().rposition(|(_, seen)| seen.everywhere(now)) {
            self.versions.drain(..settled);
        }
        self.versions.push_back((value, visibility));
    }

    /// The newest version that this view shows; `None` before the first one has arrived.
    pub fn seen(&self, view: View) -> Option<&T> {
        self.versions
            .iter()
            .rev()
            .find(|(_, from)| from.covers(view))
            .map(|(value, _)| value)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{History, View, Visibility};

    fn lagging(seconds: &[u64]) -> Visibility {
        Visibility {
            exchange: seconds.iter().map(|s| Duration::from_secs(*s)).collect(),
            graph: Duration::ZERO,
        }
    }

    fn exchange(replica: usize, seconds: u64) -> View {
        View::Exchange {
            replica,
            now: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn a_replica_shows_the_old_version_until_the_new_one_has_arrived() {
        let mut history = History::starting_with("old", Visibility::default());
        history.push("new", lagging(&[30]), Duration::ZERO);
        assert_eq!(history.seen(exchange(0, 29)), Some(&"old"));
        assert_eq!(history.seen(exchange(0, 30)), Some(&"new"));
        assert_eq!(history.seen(View::Newest), Some(&"new"));
        assert_eq!(history.seen(View::Graph { now: Duration::ZERO }), Some(&"new"));
    }

    #[test]
    fn a_first_version_that_has_not_arrived_is_not_there() {
        let history = History::starting_with("new", lagging(&[5]));
        assert_eq!(history.seen(exchange(0, 4)), None);
        assert_eq!(history.seen(exchange(0, 5)), Some(&"new"));
    }

    #[test]
    fn replicas_disagree_while_a_version_travels() {
        let mut history = History::starting_with("old", Visibility::default());
        history.push("new", lagging(&[1, 60]), Duration::ZERO);
        assert_eq!(history.seen(exchange(0, 2)), Some(&"new"));
        assert_eq!(history.seen(exchange(1, 2)), Some(&"old"));
    }

    #[test]
    fn versions_nobody_shows_are_forgotten() {
        let mut history = History::starting_with(0, Visibility::default());
        for version in 1..100 {
            history.push(version, Visibility::default(), Duration::from_secs(1));
        }
        assert!(history.versions.len() <= 2);
    }
}
