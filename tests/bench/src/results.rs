//! Measurements: one row per line, printed as a table and written as JSON.
//!
//! A missed bound is marked in the table and never a failure: the numbers are for people, who know what else the
//! machine was doing.

use std::fs;

use anyhow::Context as _;
use linecamp_table::{Align, Cell};
use serde::Serialize;

use crate::machine;
use crate::paths::Bench;

/// The bound of a measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

/// A number with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    value: f64,
    unit: &'static str,
}

impl Figure {
    pub(crate) const fn new(value: f64, unit: &'static str) -> Self {
        Self { value, unit }
    }
}

/// One row.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    group: String,
    line: String,
    measured: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    figure: Option<Figure>,
    bound: String,
    /// Measured value divided by the bound, if there is one: `ok` means at most 1 for [`Bound::AtMost`], at least 1 for
    /// [`Bound::AtLeast`].
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    verdict: Verdict,
    how: String,
}

/// The result of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// Within its bound.
    Ok,
    /// Not within its bound.
    Missed,
    /// Without a bound.
    Unbounded,
    /// Not measured.
    Missing,
}

/// All rows of a run.
#[derive(Debug, Default)]
pub(crate) struct Table {
    group: String,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Report<'a> {
    quick: bool,
    load_before: f64,
    load_after: f64,
    cores: usize,
    rows: &'a [Row],
}

impl Table {
    /// Sets the measurement that the next rows belong to.
    pub(crate) fn begin(&mut self, group: &str) {
        group.clone_into(&mut self.group);
    }

    /// Adds a row with a bound.
    pub(crate) fn compare(&mut self, line: &str, figure: Figure, bound: Bound, how: &str) {
        let (limit, sign, is_ok) = match bound {
            Bound::AtMost(limit) => (limit, "≤", figure.value <= limit),
            Bound::AtLeast(limit) => (limit, "≥", limit <= figure.value),
        };
        self.push(Row {
            group: self.group.clone(),
            line: line.to_owned(),
            measured: format_figure(figure),
            figure: Some(figure),
            bound: format!("{sign} {}", format_figure(Figure::new(limit, figure.unit))),
            ratio: (limit != 0.0).then_some(figure.value / limit),
            verdict: if is_ok { Verdict::Ok } else { Verdict::Missed },
            how: how.to_owned(),
        });
    }

    /// Adds a row without a bound.
    pub(crate) fn record(&mut self, line: &str, figure: Figure, how: &str) {
        self.push(Row {
            group: self.group.clone(),
            line: line.to_owned(),
            measured: format_figure(figure),
            figure: Some(figure),
            bound: "-".to_owned(),
            ratio: None,
            verdict: Verdict::Unbounded,
            how: how.to_owned(),
        });
    }

    /// Adds a line that could not be measured.
    pub(crate) fn record_missing(&mut self, line: &str, why: &str) {
        self.push(Row {
            group: self.group.clone(),
            line: line.to_owned(),
            measured: "-".to_owned(),
            figure: None,
            bound: "-".to_owned(),
            ratio: None,
            verdict: Verdict::Missing,
            how: why.to_owned(),
        });
    }

    /// Returns what could not be measured, and why.
    pub(crate) fn missing(&self) -> Vec<String> {
        let missing = self.rows.iter().filter(|row| row.verdict == Verdict::Missing);
        missing.map(|row| format!("{}: {}: {}", row.group, row.line, row.how)).collect()
    }

    /// Formats the table as text.
    pub(crate) fn text(&self) -> String {
        let row = |row: &Row| {
            let verdict = match (row.verdict, row.ratio) {
                (Verdict::Ok, Some(ratio)) => format!("{ratio:.2} ok"),
                (Verdict::Ok, None) => "ok".to_owned(),
                (Verdict::Missed, Some(ratio)) => format!("{ratio:.2} MISSED"),
                (Verdict::Missed, None) => "MISSED".to_owned(),
                (Verdict::Unbounded, _) => "no bound".to_owned(),
                (Verdict::Missing, _) => "NOT MEASURED".to_owned(),
            };
            let line = format!("{}: {}", row.group, row.line);
            [&line, &row.measured, &row.bound, &verdict, &row.how].map(Cell::from)
        };
        linecamp_table::Table::new(["line", "measured", "bound", "verdict", "how measured"])
            .align([Align::Left, Align::Right, Align::Right, Align::Left, Align::Left])
            .with(self.rows.iter().map(row))
            .render(false)
    }

    /// Writes the table of a run as JSON.
    pub(crate) fn save(&self, bench: &Bench, name: &str, load_before: f64) -> anyhow::Result<()> {
        let path = bench.results(name);
        let report = Report {
            quick: bench.is_quick,
            load_before,
            load_after: machine::load(),
            cores: bench.online,
            rows: &self.rows,
        };
        let text = serde_json::to_string_pretty(&report)?;
        fs::write(&path, text + "\n").with_context(|| format!("failed to write {}", path.display()))
    }

    fn push(&mut self, row: Row) {
        crate::say(&format!("  {}: {}: {} ({:?})", row.group, row.line, row.measured, row.verdict));
        self.rows.push(row);
    }
}

/// Formats a number with three significant digits.
fn format_figure(figure: Figure) -> String {
    let Figure { value, unit } = figure;
    let number = match value.abs() {
        0.0 => "0".to_owned(),
        size if 100.0 <= size => format!("{value:.0}"),
        size if 10.0 <= size => format!("{value:.1}"),
        size if 0.1 <= size => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    };
    match unit {
        "" => number,
        unit => format!("{number} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_three_digits() {
        let check = |value, expected: &str| assert_eq!(format_figure(Figure::new(value, "ms")), expected);
        check(1234.5, "1234 ms");
        check(31.41, "31.4 ms");
        check(4.567, "4.57 ms");
        check(0.0314, "0.031 ms");
        check(0.0, "0 ms");
    }

    #[test]
    fn a_bound_is_met_or_missed() {
        let mut table = Table::default();
        table.compare("rate", Figure::new(0.79, ""), Bound::AtLeast(0.8), "how");
        table.compare("memory", Figure::new(40.0, "KB"), Bound::AtMost(40.0), "how");
        table.compare("writes", Figure::new(0.0, ""), Bound::AtMost(0.0), "how");
        let verdicts: Vec<_> = table.rows.iter().map(|row| row.verdict).collect();
        assert_eq!(verdicts, [Verdict::Missed, Verdict::Ok, Verdict::Ok]);
        assert!(table.missing().is_empty());
    }
}
