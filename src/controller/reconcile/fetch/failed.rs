//! Wanted reads that failed: what they would have shown is unknown, and everything else goes on.

use std::collections::BTreeMap;

use crate::exchange::{Concerns, ExchangeError};
use crate::mail::ObjectId;
use crate::plan::{Read, Unread, UnreadReads};

#[derive(Default)]
pub struct Failed {
    pub reads: UnreadReads,
    /// About whom a question was not answered.
    pub unanswered: BTreeMap<ObjectId, Unread>,
}

impl Failed {
    pub fn note(&mut self, read: Read, error: &ExchangeError) {
        self.reads.entry(read).or_insert_with(|| unread(error));
    }

    /// The rows, or none where they could not be read.
    pub fn or_nothing<T>(&mut self, read: Read, rows: Result<Vec<T>, ExchangeError>) -> Vec<T> {
        rows.unwrap_or_else(|error| {
            self.note(read, &error);
            Vec::new()
        })
    }

    /// The questions that were answered. Nothing of a list is unknown because one of them was not.
    pub fn answered<T>(
        &mut self,
        answers: Vec<(ObjectId, Result<Vec<T>, ExchangeError>)>,
    ) -> impl Iterator<Item = (ObjectId, Vec<T>)> {
        let answered: Vec<(ObjectId, Vec<T>)> = answers
            .into_iter()
            .filter_map(|(id, answer)| match answer {
                Ok(rows) => Some((id, rows)),
                Err(error) => {
                    self.unanswered.insert(id, unread(&error));
                    None
                }
            })
            .collect();
        answered.into_iter()
    }
}

/// Why something was not read. What depends on the service, or on a mailbox that is not shown yet, may pass.
pub fn unread(error: &ExchangeError) -> Unread {
    Unread {
        why: error.to_string(),
        may_pass: error.class.is_absence() || error.class.concerns() == Concerns::Service,
    }
}
