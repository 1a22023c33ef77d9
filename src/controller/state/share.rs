//! What one namespace may have in memory: beyond that, its objects are known by name and size only.
//!
//! Whoever may create objects in a namespace could otherwise fill the memory and the time of everybody. Older objects come
//! first, so that a new one takes nothing away from those that were there, and a restart comes to the same.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

/// How much of one kind a namespace may have.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub objects: usize,
    /// Members of MailboxPermissions, addresses of SharedMailboxes.
    pub parts: usize,
}

/// MailboxPermissions: 500 of them are more than one namespace has had anywhere; 25,000 members take some 10 MB.
pub const PERMISSIONS: Limit = Limit {
    objects: 500,
    parts: 25_000,
};

/// SharedMailboxes: each of them is compared with the others of its namespace, and with those that claim the same address.
pub const MAILBOXES: Limit = Limit {
    objects: 2_000,
    parts: 25_000,
};

/// By age, then by name.
type Rank = (Option<Timestamp>, String);

/// Objects of one kind in one namespace, by name and size.
#[derive(Debug, Default)]
pub struct Share {
    sizes: BTreeMap<Rank, usize>,
    ranks: HashMap<String, Rank>,
    parts: usize,
    /// The first that is beyond the limit, and so are all after it.
    cut: Option<Rank>,
}

/// Other objects for which there is no room any more, or room again, by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Moved {
    pub out: Vec<String>,
    pub again: Vec<String>,
}

impl Share {
    /// Takes note of an object that is there, or that is there in another size.
    pub fn set(&mut self, name: &str, created: Option<Timestamp>, size: usize, limit: Limit) -> Moved {
        self.take_out(name);
        let rank = (created, name.to_owned());
        self.parts = self.parts.saturating_add(size);
        self.sizes.insert(rank.clone(), size);
        self.ranks.insert(name.to_owned(), rank);
        self.cut_anew(name, limit)
    }

    pub fn remove(&mut self, name: &str, limit: Limit) -> Moved {
        self.take_out(name);
        self.cut_anew(name, limit)
    }

    /// Whether the object is known by name and size only.
    pub fn is_out(&self, name: &str) -> bool {
        let (Some(cut), Some(rank)) = (&self.cut, self.ranks.get(name)) else {
            return false;
        };
        rank >= cut
    }

    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    fn take_out(&mut self, name: &str) {
        if let Some(rank) = self.ranks.remove(name) {
            let size = self.sizes.remove(&rank).unwrap_or_default();
            self.parts = self.parts.saturating_sub(size);
        }
    }

    /// Costs no more than the limit allows, however many objects there are.
    fn cut_anew(&mut self, changed: &str, limit: Limit) -> Moved {
        let before = self.cut.take();
        if self.sizes.len() > limit.objects || self.parts > limit.parts {
            let mut parts = 0_usize;
            let mut objects = 0_usize;
            let beyond = self.sizes.iter().find(|(_, size)| {
                objects += 1;
                parts = parts.saturating_add(**size);
                objects > limit.objects || parts > limit.parts
            });
            self.cut = beyond.map(|(rank, _)| rank.clone());
        }
        let between = |from: &Option<Rank>, to: &Option<Rank>| -> Vec<String> {
            let Some(from) = from else {
                return Vec::new();
            };
            let rest = self.sizes.range(from.clone()..).map(|(rank, _)| rank);
            let moved = rest.take_while(|rank| to.as_ref().is_none_or(|to| *rank < to));
            let others = moved.filter(|(_, name)| name != changed);
            others.map(|(_, name)| name.clone()).collect()
        };
        Moved {
            out: between(&self.cut, &before),
            again: between(&before, &self.cut),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Limit = Limit {
        objects: 3,
        parts: 10,
    };

    fn at(second: i64) -> Option<Timestamp> {
        Timestamp::from_second(second).ok()
    }

    fn share(sizes: &[usize]) -> Share {
        let mut share = Share::default();
        for (position, size) in (1..).zip(sizes) {
            share.set(&format!("p{position}"), at(position), *size, SMALL);
        }
        share
    }

    fn out(share: &Share) -> Vec<String> {
        let names = share.ranks.keys().filter(|name| share.is_out(name));
        let mut names: Vec<String> = names.cloned().collect();
        names.sort();
        names
    }

    #[test]
    fn objects_and_their_parts_are_limited_and_older_ones_come_first() {
        assert_eq!(out(&share(&[1, 1, 1])), Vec::<String>::new());
        assert_eq!(out(&share(&[1, 1, 1, 1, 1])), ["p4", "p5"]);
        assert_eq!(out(&share(&[4, 6, 1])), ["p3"]);
        assert_eq!(out(&share(&[4, 6, 1, 1])), ["p3", "p4"]);
    }

    #[test]
    fn the_order_in_which_they_are_seen_counts_nothing() {
        let mut share = Share::default();
        for position in [5, 3, 1, 4, 2] {
            share.set(&format!("p{position}"), at(position), 1, SMALL);
        }
        assert_eq!(out(&share), ["p4", "p5"]);
    }

    #[test]
    fn whoever_grows_is_out_or_puts_younger_ones_out_and_nobody_older() {
        let mut grown = share(&[2, 2, 2]);
        assert_eq!(grown.set("p3", at(3), 50, SMALL), Moved::default());
        assert_eq!(out(&grown), ["p3"]);
        let mut older = share(&[2, 2, 2]);
        let moved = older.set("p1", at(1), 7, SMALL);
        assert_eq!((moved.out, moved.again), (vec!["p3".to_owned()], vec![]));
    }

    #[test]
    fn room_is_found_again_by_those_who_come_next() {
        let mut share = share(&[1, 1, 1, 1, 1]);
        let moved = share.remove("p1", SMALL);
        assert_eq!((moved.out, moved.again), (vec![], vec!["p4".to_owned()]));
        let moved = share.set("p2", at(2), 10, SMALL);
        assert_eq!(moved.out, ["p3", "p4"]);
        let moved = share.set("p2", at(2), 1, SMALL);
        assert_eq!(moved.again, ["p3", "p4"]);
        for name in ["p2", "p3", "p4", "p5"] {
            share.remove(name, SMALL);
        }
        assert!(share.is_empty() && share.cut.is_none());
    }
}
