//! What is printed, and what can be attached to an issue.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::assumptions::{ASSUMPTIONS, Assumption, Needs};
use super::finding::{Findings, State};
use crate::exchange::Capabilities;

/// Widths of the columns, in characters.
const WIDTHS: [usize; 4] = [7, 42, 34, 45];

/// Everything that was found. Names no person, no address and no tenant.
pub struct Report {
    pub findings: Findings,
    pub capabilities: Capabilities,
    /// Whether there was a scratch mailbox.
    pub tried: bool,
}

impl Report {
    /// Whether something that the operator can't do without is otherwise.
    pub fn breaks_a_promise(&self) -> bool {
        ASSUMPTIONS
            .iter()
            .any(|assumption| assumption.is_needed && self.of(assumption).0 == State::Differs)
    }

    fn of(&self, assumption: &Assumption) -> (State, &str) {
        self.findings.get(assumption.name).unwrap_or((
            State::NotSeen,
            match (assumption.needs, self.tried) {
                (Needs::Scratch, false) => "not tried: needs --scratch",
                (Needs::Member, _) => "not tried: needs --scratch and --member",
                (Needs::Reads, _) | (Needs::Scratch, true) => "not reached",
            },
        ))
    }

    /// The table, with a sentence below it.
    pub fn table(&self) -> String {
        let mut table = row(["", "ASSUMPTION", "SEEN", "WHAT IT MEANS"]);
        for assumption in ASSUMPTIONS {
            let (state, seen) = self.of(assumption);
            let (word, meaning) = match state {
                State::Holds => ("ok", "as expected"),
                State::Differs if assumption.is_needed => ("BROKEN", assumption.otherwise),
                State::Differs => ("differs", assumption.otherwise),
                State::NotSeen if assumption.is_needed => ("-", "unknown"),
                State::NotSeen => ("-", "unknown; the operator works either way"),
            };
            table.push_str(&row([word, assumption.text, seen, meaning]));
        }
        let count = |wanted: State| ASSUMPTIONS.iter().filter(|a| self.of(a).0 == wanted).count();
        let sentence = if self.breaks_a_promise() {
            "Something that the operator can't do without is otherwise: see BROKEN."
        } else {
            "Nothing stands in the operator's way."
        };
        // Writing to a String can't fail.
        let _ = writeln!(
            table,
            "\n{} hold, {} differ, {} were not seen. {sentence}",
            count(State::Holds),
            count(State::Differs),
            count(State::NotSeen),
        );
        table
    }

    /// The same for an issue.
    pub fn json(&self) -> Value {
        let assumptions: Vec<Value> = ASSUMPTIONS
            .iter()
            .map(|assumption| {
                let (state, seen) = self.of(assumption);
                let (state, grade): (&str, &str) = (state.into(), assumption.grade.into());
                json!({"name": assumption.name, "grade": grade, "state": state, "seen": seen})
            })
            .collect();
        let missing: Vec<String> = self
            .capabilities
            .missing
            .iter()
            .map(ToString::to_string)
            .collect();
        json!({
            "doctor": 1,
            "version": env!("CARGO_PKG_VERSION"),
            "scratch": self.tried,
            "assumptions": assumptions,
            "missing": missing,
            "permissions": self.capabilities.permissions,
        })
    }
}

/// One row of the table, as many lines as its longest cell needs.
fn row(cells: [&str; 4]) -> String {
    let columns: Vec<Vec<String>> = cells
        .iter()
        .zip(WIDTHS)
        .map(|(text, width)| wrapped(text, width))
        .collect();
    let height = columns.iter().map(Vec::len).max().unwrap_or_default();
    let mut text = String::new();
    for line in 0..height {
        let mut printed = String::new();
        for (column, width) in columns.iter().zip(WIDTHS) {
            let cell = column.get(line).map_or("", String::as_str);
            let _ = write!(printed, "{cell:width$}  ");
        }
        text.push_str(printed.trim_end());
        text.push('\n');
    }
    text
}

/// In lines of at most `width` characters, broken at spaces; a longer word has a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_cells_are_broken_at_spaces() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("unbreakable", 3), ["unbreakable"]);
        assert_eq!(wrapped("", 3), [""]);
        let text = row(["ok", "short", &"word ".repeat(12), "as expected"]);
        assert!(
            text.lines().count() == 2 && text.lines().all(|line| line.len() < 140),
            "{text}"
        );
    }

    #[test]
    fn only_what_is_needed_breaks_a_promise() {
        let mut report = Report {
            findings: Findings::default(),
            capabilities: Capabilities::default(),
            tried: false,
        };
        assert!(!report.breaks_a_promise(), "what was not seen breaks nothing");
        report.findings.differs("group-row", "no object id");
        assert!(!report.breaks_a_promise());
        report.findings.differs("full-access-row", "no SID");
        assert!(report.breaks_a_promise());
        let table = report.table();
        assert!(
            table.contains("BROKEN") && table.contains("differs") && table.contains("needs --scratch"),
            "{table}"
        );
    }
}
