//! Violations of a rule, and their report.

use std::fmt::Write as _;

/// All violations of one rule.
#[derive(Debug, Default)]
pub(crate) struct Report {
    places: Vec<String>,
}

impl Report {
    /// Adds a violation: a file, a line counted from 1, and what is wrong there.
    pub(crate) fn add(&mut self, path: &str, line: usize, what: impl Into<String>) {
        self.places.push(format!("{path}:{line}: {}", what.into()));
    }

    /// Fails if there are violations. `advice` says what to do.
    pub(crate) fn finish(self, advice: &str) {
        if self.places.is_empty() {
            return;
        }
        let mut text = format!("\n{} violation(s):\n", self.places.len());
        for place in &self.places {
            writeln!(text, "  {place}").expect("writing to a string cannot fail");
        }
        panic!("{text}What to do: {advice}\n");
    }
}
