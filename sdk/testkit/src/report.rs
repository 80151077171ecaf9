//! The test report: a table for people, JSON for machines.

use std::fmt;

use serde::Serialize;

/// Maximum length of a row's evidence in characters. Longer evidence is truncated: the table is for reading, and the
/// full text is in the output of the tests.
const EVIDENCE_CHARS_MAX: usize = 240;

/// The result of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The provider passes this test.
    Pass,
    /// The provider fails it.
    Fail,
    /// The test does not apply to this provider.
    Skip,
    /// Neither a pass nor a failure, but worth knowing.
    Note,
}

impl Verdict {
    const fn label(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::Skip => "skip",
            Self::Note => "note",
        }
    }

    /// The verdict's color, as a terminal escape sequence.
    const fn color(self) -> &'static str {
        match self {
            Self::Pass => "\x1b[32m",
            Self::Fail => "\x1b[1;31m",
            Self::Skip => "\x1b[2m",
            Self::Note => "\x1b[36m",
        }
    }
}

/// One test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TestResult {
    /// The tested property, as a sentence without its subject.
    pub name: String,
    /// Its result.
    pub verdict: Verdict,
    /// What was observed.
    pub evidence: String,
}

/// All tests of one provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Name and version of the provider, and how it was run.
    pub subject: String,
    /// In the order in which they ran.
    pub tests: Vec<TestResult>,
}

impl Report {
    pub(crate) const fn new(subject: String) -> Self {
        Self { subject, tests: Vec::new() }
    }

    pub(crate) fn push(&mut self, name: &str, verdict: Verdict, evidence: impl Into<String>) {
        let evidence: String = evidence.into();
        let line: String = evidence.split_whitespace().collect::<Vec<_>>().join(" ");
        // Text from a plugin must not move the terminal's cursor.
        let shown = |letter: char| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter };
        let line: String = line.chars().map(shown).collect();
        let mut evidence: String = line.chars().take(EVIDENCE_CHARS_MAX).collect();
        if evidence.len() < line.len() {
            evidence.push('…');
        }
        self.tests.push(TestResult { name: name.to_owned(), verdict, evidence });
    }

    /// Whether no test failed.
    pub fn passed(&self) -> bool {
        self.count(Verdict::Fail) == 0
    }

    /// Returns the number of tests with this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.tests.iter().filter(|test| test.verdict == verdict).count()
    }

    /// Returns the report as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report consists of strings")
    }

    /// Returns the table with colored verdicts, for a terminal.
    pub fn colored(&self) -> String {
        self.table(|verdict| format!("{}{}\x1b[0m", verdict.color(), verdict.label()))
    }

    /// Ends a `#[test]`: prints the table, and panics if a test of the report failed.
    ///
    /// # Panics
    /// If a test of the report failed; the table is in the message.
    pub fn assert(&self) {
        assert!(self.passed(), "the provider does not conform to the contract\n{self}");
        // Captured test output: shown by `cargo test -- --nocapture`, or when the test fails.
        #[expect(clippy::print_stdout, reason = "the report is for the author of the provider")]
        {
            println!("{self}");
        }
    }

    fn table(&self, label: impl Fn(Verdict) -> String) -> String {
        let width = self.tests.iter().map(|test| test.name.chars().count()).max().unwrap_or_default();
        let mut table = format!("{}\n", self.subject);
        for test in &self.tests {
            let line = format!("  {:<width$}  {}  {}", test.name, label(test.verdict), test.evidence);
            table.push_str(line.trim_end());
            table.push('\n');
        }
        let count = |verdict| self.count(verdict);
        let (passed, failed, skipped) = (count(Verdict::Pass), count(Verdict::Fail), count(Verdict::Skip));
        table.push_str(&format!("  {passed} passed, {failed} failed, {skipped} skipped\n"));
        table
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table(|verdict| verdict.label().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::new("dns-x 1.0".to_owned());
        report.push("sees", Verdict::Pass, "3 records");
        report.push("honors Retry-After", Verdict::Fail, "line one\nline two");
        report
    }

    #[test]
    fn a_report_is_an_aligned_table() {
        let table = "dns-x 1.0\n  sees                pass  3 records\n  honors Retry-After  FAIL  line one line two\n  \
                     1 passed, 1 failed, 0 skipped\n";
        assert_eq!(report().to_string(), table);
        assert!(report().colored().contains("\x1b[32mpass\x1b[0m"));
    }

    #[test]
    fn control_characters_of_a_plugin_are_replaced() {
        let mut report = report();
        report.push("says", Verdict::Fail, "\u{1b}[2Jnothing");
        assert!(report.to_string().contains("FAIL  \u{fffd}[2Jnothing"), "{report}");
    }

    #[test]
    fn a_report_is_serialized_as_json() {
        let value: serde_json::Value = serde_json::from_str(&report().to_json()).unwrap();
        assert_eq!(value["tests"][1]["verdict"], "fail");
    }

    #[test]
    #[should_panic(expected = "honors Retry-After")]
    fn a_failed_check_fails_the_test() {
        report().assert();
    }
}
