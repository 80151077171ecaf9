//! What a doctor reports: one finding per check, and the report they make up.

use linecamp_model::printable;
use serde::Serialize;

use crate::code::FindingCode;

/// The longest text of a finding, in characters. A longer external error message is truncated.
const TEXT_CHARS_MAX: usize = 1000;

/// The verdict of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It does not apply here, or cannot be checked; the evidence says why.
    Skipped,
    /// It passed.
    Ok,
    /// It works, but needs attention.
    Warn,
    /// It does not work.
    Fail,
}

impl Verdict {
    /// Returns its label in a table.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// A verdict with its evidence and its remedy, before it is assigned to a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// The verdict.
    pub verdict: Verdict,
    /// What was found, for programs.
    pub code: FindingCode,
    /// What was tried, and what was observed.
    pub evidence: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl CheckResult {
    /// Creates the result of a check that passed.
    pub fn ok(evidence: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, code: FindingCode::Ok, evidence: evidence.into(), remedy: None }
    }

    /// Creates the result of a check that does not apply, or cannot be made.
    pub fn skipped(code: FindingCode, evidence: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skipped, code, evidence: evidence.into(), remedy: None }
    }

    /// Creates the result of a check of something that works, but needs attention.
    pub fn warn(code: FindingCode, evidence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, code, evidence: evidence.into(), remedy: Some(remedy.into()) }
    }

    /// Creates the result of a check that failed.
    pub fn fail(code: FindingCode, evidence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, code, evidence: evidence.into(), remedy: Some(remedy.into()) }
    }

    /// Downgrades a failure to a warning; `why` names what does the same work.
    #[must_use]
    pub fn downgraded(mut self, why: &str) -> Self {
        if self.verdict == Verdict::Fail {
            self.verdict = Verdict::Warn;
            self.evidence = format!("{}; {why}", self.evidence);
        }
        self
    }

    /// Assigns the result to a check.
    pub fn of(self, name: &'static str) -> Finding {
        self.about(name, "")
    }

    /// Assigns the result to a check, and to one of several subjects that it examined.
    pub fn about(self, name: &'static str, subject: &str) -> Finding {
        Finding {
            name,
            subject: shortened(subject),
            verdict: self.verdict,
            code: self.code,
            evidence: shortened(&self.evidence),
            remedy: self.remedy.map(|remedy| shortened(&remedy)),
        }
    }
}

/// The finding of one check. Its texts contain no invisible characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the check. Stable.
    pub name: &'static str,
    /// What it examined, if a check examines several subjects, such as servers; otherwise empty.
    pub subject: String,
    /// The verdict.
    pub verdict: Verdict,
    /// What was found, for programs. Stable.
    pub code: FindingCode,
    /// What was tried, and what was observed.
    pub evidence: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// All findings of one run of a doctor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The program that made the report.
    pub program: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The worst of all verdicts.
    pub verdict: Verdict,
    /// In the order in which the checks are listed, whichever finished first.
    pub checks: Vec<Finding>,
}

impl Report {
    /// Creates the report of these findings.
    pub fn new(program: &'static str, version: &'static str, checks: Vec<Finding>) -> Self {
        let verdict = checks.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Skipped);
        Self { program, version, verdict, checks }
    }

    /// Whether any check failed.
    pub fn has_failed(&self) -> bool {
        self.verdict == Verdict::Fail
    }

    /// Returns the number of checks with this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|finding| finding.verdict == verdict).count()
    }

    /// Formats the report as JSON.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and enums serialize") + "\n"
    }
}

/// Makes an external text safe for a terminal, and truncates it.
fn shortened(text: &str) -> String {
    let text = printable(text);
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_its_worst_verdict() {
        let report =
            |results: Vec<CheckResult>| Report::new("p", "1", results.into_iter().map(|r| r.of("c")).collect());
        assert_eq!(report(vec![]).verdict, Verdict::Skipped);
        assert_eq!(
            report(vec![CheckResult::ok(""), CheckResult::skipped(FindingCode::NoSystemd, "")]).verdict,
            Verdict::Ok
        );
        let mixed = report(vec![
            CheckResult::fail(FindingCode::DiskFull, "", ""),
            CheckResult::warn(FindingCode::DiskSlow, "", ""),
        ]);
        assert!(mixed.has_failed());
        assert_eq!((mixed.count(Verdict::Warn), mixed.count(Verdict::Ok)), (1, 0));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let finding = CheckResult::ok(format!("a\u{1b}[31m\nb{}", "x".repeat(2000))).about("c", "d\r");
        assert!(!finding.evidence.contains('\u{1b}') && !finding.evidence.contains('\n'));
        assert_eq!(finding.evidence.chars().count(), TEXT_CHARS_MAX + 1);
        assert_eq!(finding.subject, "d ");
    }
}
