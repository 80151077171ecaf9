//! Formatting a report for a terminal.

use std::fmt::Write as _;

use crate::finding::{Report, Verdict};
use crate::run::Progress;

/// Names shown of the checks being waited for; the rest are counted.
const WAITS_SHOWN: usize = 4;

/// Formats a report for people: a line for each check with its remedy below it, and a summary line.
pub fn table(report: &Report) -> String {
    let called = |name: &str, subject: &str| match subject {
        "" => name.to_owned(),
        subject => format!("{name} {subject}"),
    };
    let names: Vec<_> = report.checks.iter().map(|finding| called(finding.name, &finding.subject)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (finding, name) in report.checks.iter().zip(names) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{:<7}  {name:<width$}  {}", finding.verdict.word(), finding.evidence);
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "{:<7}  {:<width$}  do: {remedy}", "", "");
        }
    }
    text + &summary(report) + "\n"
}

fn summary(report: &Report) -> String {
    let count = |verdict| report.count(verdict);
    let all = report.checks.len();
    let (ok, skipped) = (count(Verdict::Ok), count(Verdict::Skipped));
    let head = match (count(Verdict::Fail), count(Verdict::Warn)) {
        (0, 0) => "nothing is amiss".to_owned(),
        (0, warnings) => format!("nothing fails, {warnings} to look at"),
        (failed, 0) => format!("{failed} failed"),
        (failed, warnings) => format!("{failed} failed, {warnings} more to look at"),
    };
    format!("{all} checks: {head} ({ok} ok, {skipped} skipped)")
}

/// Formats progress on one line.
pub fn progress_line(progress: &Progress) -> String {
    let shown: Vec<_> = progress.waits_for.iter().take(WAITS_SHOWN).copied().collect();
    let more = progress.waits_for.len() - shown.len();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{} s, waiting for {}{more}", progress.elapsed.as_secs(), shown.join(", "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::finding::CheckResult;

    #[test]
    fn a_report_is_a_table_with_remedies_and_a_sum() {
        let checks = vec![
            CheckResult::ok("fine").of("disk"),
            CheckResult::fail("nobody answers", "start it").about("udp", "a:1"),
            CheckResult::skipped("no systemd here").of("service"),
        ];
        let text = table(&Report::new("linecampd", "0.1.0", checks));
        let expected = "\
ok       disk     fine
FAIL     udp a:1  nobody answers
                  do: start it
skipped  service  no systemd here
3 checks: 1 failed (1 ok, 1 skipped)
";
        assert_eq!(text, expected);
    }

    #[test]
    fn progress_names_a_few_and_counts_the_rest() {
        let waits_for = vec!["a", "b", "c", "d", "e", "f"];
        let progress = Progress { waits_for, elapsed: Duration::from_millis(2500) };
        assert_eq!(progress_line(&progress), "2 s, waiting for a, b, c, d and 2 more");
    }
}
