//! Rest of answers that did not fit on one page, kept for the link that continues them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

/// A link is good for this long.
const VALID: Duration = Duration::from_mins(10);

/// Answers kept at a time; the oldest make room.
const CAPACITY: usize = 128;

#[derive(Debug, Default)]
pub struct Pages {
    answers: VecDeque<(Uuid, Duration, Arc<[Value]>)>,
}

/// One page and the token that continues it.
#[derive(Debug, PartialEq)]
pub struct Page {
    pub rows: Vec<Value>,
    pub next: Option<String>,
}

impl Pages {
    /// The first page; keeps the rest when there is one.
    pub fn first(&mut self, rows: Vec<Value>, size: usize, id: Uuid, now: Duration) -> Page {
        if rows.len() <= size {
            return Page { rows, next: None };
        }
        if self.answers.len() >= CAPACITY {
            self.answers.pop_front();
        }
        let rows: Arc<[Value]> = rows.into();
        self.answers.push_back((id, now + VALID, Arc::clone(&rows)));
        page(&rows, 0, size, id)
    }

    /// The page a token stands for; asking twice gives it twice. `None` when it has expired.
    pub fn next(&self, token: &str, size: usize, now: Duration) -> Option<Page> {
        let (id, offset) = token.split_once('.')?;
        let (id, offset) = (id.parse::<Uuid>().ok()?, offset.parse::<usize>().ok()?);
        let (_, _, rows) = self
            .answers
            .iter()
            .find(|(known, due, _)| *known == id && *due > now)?;
        Some(page(rows, offset, size, id))
    }
}

fn page(rows: &[Value], offset: usize, size: usize, id: Uuid) -> Page {
    let end = offset.saturating_add(size).min(rows.len());
    Page {
        rows: rows.get(offset..end).unwrap_or_default().to_vec(),
        next: (end < rows.len()).then(|| format!("{id}.{end}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;
    use uuid::Uuid;

    use super::Pages;

    #[test]
    fn pages_follow_each_other_until_all_is_rows() {
        let mut pages = Pages::default();
        let rows: Vec<Value> = (0..5).map(Value::from).collect();
        let first = pages.first(rows, 2, Uuid::nil(), Duration::ZERO);
        let second = pages
            .next(&first.next.clone().unwrap(), 2, Duration::ZERO)
            .unwrap();
        let third = pages
            .next(&second.next.clone().unwrap(), 2, Duration::ZERO)
            .unwrap();
        let rows: Vec<Value> = [first.rows, second.rows, third.rows].concat();
        assert_eq!(rows, (0..5).map(Value::from).collect::<Vec<_>>());
        assert_eq!(third.next, None);
    }

    #[test]
    fn a_link_expires_after_ten_minutes() {
        let mut pages = Pages::default();
        let first = pages.first(vec![1.into(), 2.into()], 1, Uuid::nil(), Duration::ZERO);
        let token = first.next.unwrap();
        assert!(pages.next(&token, 1, Duration::from_secs(599)).is_some());
        assert_eq!(pages.next(&token, 1, Duration::from_mins(10)), None);
    }
}
