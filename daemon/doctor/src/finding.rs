//! What a doctor says: one finding for each check, and the report they make.

use serde::Serialize;

/// The longest text of a finding. What an error of somebody else's says beyond it is cut.
const TEXT_CHARS_MAX: usize = 1000;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It does not apply here, or cannot be looked at; the evidence says why.
    Skipped,
    /// It is as it should be.
    Ok,
    /// It works, and somebody should look.
    Warn,
    /// It does not work.
    Fail,
}

impl Verdict {
    /// Returns the word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// A verdict with its evidence and its remedy, before it is said of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// How it came out.
    pub verdict: Verdict,
    /// What was tried, and what was seen.
    pub evidence: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl CheckResult {
    /// It is as it should be.
    pub fn ok(evidence: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, evidence: evidence.into(), remedy: None }
    }

    /// It does not apply, or cannot be looked at.
    pub fn skipped(evidence: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skipped, evidence: evidence.into(), remedy: None }
    }

    /// It works, and somebody should look.
    pub fn warn(evidence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, evidence: evidence.into(), remedy: Some(remedy.into()) }
    }

    /// It does not work.
    pub fn fail(evidence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, evidence: evidence.into(), remedy: Some(remedy.into()) }
    }

    /// Makes a failure a warning, where something else does the same work; `why` says what.
    #[must_use]
    pub fn tempered(mut self, why: &str) -> Self {
        if self.verdict == Verdict::Fail {
            self.verdict = Verdict::Warn;
            self.evidence = format!("{}; {why}", self.evidence);
        }
        self
    }

    /// Says of which check it is.
    pub fn of(self, name: &'static str) -> Finding {
        self.about(name, "")
    }

    /// Says of which check it is, and of which of several things it looked at.
    pub fn about(self, name: &'static str, subject: &str) -> Finding {
        Finding {
            name,
            subject: printable(subject),
            verdict: self.verdict,
            evidence: printable(&self.evidence),
            remedy: self.remedy.map(|remedy| printable(&remedy)),
        }
    }
}

/// What one check found. No text of it holds a control character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check. Stable.
    pub name: &'static str,
    /// Of what, where a check looks at several things, such as servers; otherwise empty.
    pub subject: String,
    /// How it came out.
    pub verdict: Verdict,
    /// What was tried, and what was seen.
    pub evidence: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// All that one run of a doctor found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Which program said so.
    pub program: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The worst of all verdicts.
    pub verdict: Verdict,
    /// In the order in which the checks are listed, whichever came first.
    pub checks: Vec<Finding>,
}

impl Report {
    /// Takes what was found.
    pub fn new(program: &'static str, version: &'static str, checks: Vec<Finding>) -> Self {
        let verdict = checks.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Skipped);
        Self { program, version, verdict, checks }
    }

    /// Says whether anything does not work.
    pub fn has_failed(&self) -> bool {
        self.verdict == Verdict::Fail
    }

    /// Returns how many checks came out like this.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|finding| finding.verdict == verdict).count()
    }

    /// Renders it for programs.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and words") + "\n"
    }
}

/// Makes a text of somebody else's fit for a terminal.
fn printable(text: &str) -> String {
    let kept = text.chars().take(TEXT_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c });
    let mut kept: String = kept.collect();
    if TEXT_CHARS_MAX < text.chars().count() {
        kept += "…";
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_is_the_reports() {
        let report =
            |remarks: Vec<CheckResult>| Report::new("p", "1", remarks.into_iter().map(|r| r.of("c")).collect());
        assert_eq!(report(vec![]).verdict, Verdict::Skipped);
        assert_eq!(report(vec![CheckResult::ok(""), CheckResult::skipped("")]).verdict, Verdict::Ok);
        let mixed = report(vec![CheckResult::fail("", ""), CheckResult::warn("", "")]);
        assert!(mixed.has_failed());
        assert_eq!((mixed.count(Verdict::Warn), mixed.count(Verdict::Ok)), (1, 0));
    }

    #[test]
    fn what_others_say_does_not_steer_the_terminal() {
        let finding = CheckResult::ok(format!("a\u{1b}[31m\nb{}", "x".repeat(2000))).about("c", "d\r");
        assert!(!finding.evidence.contains('\u{1b}') && !finding.evidence.contains('\n'));
        assert_eq!(finding.evidence.chars().count(), TEXT_CHARS_MAX + 1);
        assert_eq!(finding.subject, "d ");
    }
}
