//! The rows as people and as programs read them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::bounds::Row;
use super::scenario::{Phase, Phases, Scenario};

/// A table in Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut lines: Vec<[String; 7]> = vec![
        [
            "phase",
            "what",
            "measured",
            "lower bound",
            "object by object",
            "without batches",
            "must be",
        ]
        .map(str::to_owned),
    ];
    for row in rows {
        let beside = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), short);
        let must_be = match (row.at_least, row.at_most) {
            (Some(least), Some(most)) if (least - most).abs() < f64::EPSILON => short(least),
            (None, Some(most)) => format!("≤ {}", short(most)),
            (Some(least), None) => format!("≥ {}", short(least)),
            (Some(least), Some(most)) => format!("{} to {}", short(least), short(most)),
            (None, None) => String::new(),
        };
        let mark = if row.holds() { "" } else { " (BROKEN)" };
        lines.push([
            row.phase.to_owned(),
            row.what.to_owned(),
            short(row.measured),
            beside(row.lower_bound),
            beside(row.object_by_object),
            beside(row.without_batches),
            format!("{must_be}{mark}"),
        ]);
    }
    let mut widths = [0; 7];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(widths) {
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
        if number == 0 {
            text.push_str(&"| --- ".repeat(7));
            text.push_str("|\n");
        }
    }
    text
}

/// Whole numbers as such, others with two digits behind the point.
fn short(value: f64) -> String {
    if value.fract().abs() < 0.005 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

/// Everything that was counted, with the rows.
pub fn json(scenario: &Scenario, phases: &Phases, rows: &[Row]) -> Value {
    let Phases {
        create_one,
        create_together,
        create_rest,
        pass,
        edit,
    } = phases;
    let phase = |phase: &Phase| json!({ "mailboxes": phase.mailboxes, "simulatedSeconds": phase.took.as_secs(), "counted": phase.tally });
    json!({
        "mailboxes": scenario.mailboxes,
        "writesPerMinute": scenario.writes_per_minute,
        "rows": rows,
        "phases": {
            "createOne": phase(create_one),
            "createTogether": phase(create_together),
            "createRest": phase(create_rest),
            "pass": phase(pass),
            "edit": phase(edit),
        },
    })
}
