//! Measurements: one row per line, printed as a table and written as JSON.
//!
//! A missed bound is marked in the table and never a failure: the numbers are for people, who know what else the
//! machine was doing.

use std::fmt::Write as _;
use std::fs;

use anyhow::Context as _;
use serde::Serialize;

use crate::machine;
use crate::place::Bench;

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
    Short,
    /// Without a bound.
    Stated,
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
    pub(crate) fn judge(&mut self, line: &str, figure: Figure, bound: Bound, how: &str) {
        let (limit, sign, is_ok) = match bound {
            Bound::AtMost(limit) => (limit, "≤", figure.value <= limit),
            Bound::AtLeast(limit) => (limit, "≥", limit <= figure.value),
        };
        self.push(Row {
            group: self.group.clone(),
            line: line.to_owned(),
            measured: spell(figure),
            figure: Some(figure),
            bound: format!("{sign} {}", spell(Figure::new(limit, figure.unit))),
            ratio: (limit != 0.0).then_some(figure.value / limit),
            verdict: if is_ok { Verdict::Ok } else { Verdict::Short },
            how: how.to_owned(),
        });
    }

    /// Adds a row without a bound.
    pub(crate) fn state(&mut self, line: &str, figure: Figure, how: &str) {
        self.push(Row {
            group: self.group.clone(),
            line: line.to_owned(),
            measured: spell(figure),
            figure: Some(figure),
            bound: "-".to_owned(),
            ratio: None,
            verdict: Verdict::Stated,
            how: how.to_owned(),
        });
    }

    /// Adds a line that could not be measured.
    pub(crate) fn miss(&mut self, line: &str, why: &str) {
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
        let head = ["line", "measured", "bound", "verdict", "how measured"].map(str::to_owned);
        let cells = self.rows.iter().map(|row| {
            let verdict = match (row.verdict, row.ratio) {
                (Verdict::Ok, Some(ratio)) => format!("{ratio:.2} ok"),
                (Verdict::Ok, None) => "ok".to_owned(),
                (Verdict::Short, Some(ratio)) => format!("{ratio:.2} SHORT"),
                (Verdict::Short, None) => "SHORT".to_owned(),
                (Verdict::Stated, _) => "stated".to_owned(),
                (Verdict::Missing, _) => "NOT MEASURED".to_owned(),
            };
            let line = format!("{}: {}", row.group, row.line);
            [line, row.measured.clone(), row.bound.clone(), verdict, row.how.clone()]
        });
        let cells: Vec<_> = std::iter::once(head).chain(cells).collect();
        let mut widths = [0; 4];
        for row in &cells {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = String::new();
        for [line, measured, bound, verdict, how] in &cells {
            let [a, b, c, d] = widths;
            writeln!(text, "{line:<a$}  {measured:>b$}  {bound:>c$}  {verdict:<d$}  {how}")
                .expect("a string takes everything");
        }
        text
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
fn spell(figure: Figure) -> String {
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
        let check = |value, expected: &str| assert_eq!(spell(Figure::new(value, "ms")), expected);
        check(1234.5, "1234 ms");
        check(31.41, "31.4 ms");
        check(4.567, "4.57 ms");
        check(0.0314, "0.031 ms");
        check(0.0, "0 ms");
    }

    #[test]
    fn a_bound_is_kept_or_short() {
        let mut table = Table::default();
        table.judge("rate", Figure::new(0.79, ""), Bound::AtLeast(0.8), "how");
        table.judge("memory", Figure::new(40.0, "KB"), Bound::AtMost(40.0), "how");
        table.judge("writes", Figure::new(0.0, ""), Bound::AtMost(0.0), "how");
        let verdicts: Vec<_> = table.rows.iter().map(|row| row.verdict).collect();
        assert_eq!(verdicts, [Verdict::Short, Verdict::Ok, Verdict::Ok]);
        assert!(table.missing().is_empty());
    }
}
