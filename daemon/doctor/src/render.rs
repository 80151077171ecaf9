//! Formatting a report for a terminal.

use linecamp_table::Table;

use crate::finding::{Report, Verdict};
use crate::run::Progress;

/// Names shown of the checks being waited for; the rest are counted.
const WAITS_SHOWN: usize = 4;

/// Formats a report for people: a line for each check with its remedy below it, and a summary line.
pub fn table(report: &Report) -> String {
    let rows = report.checks.iter().flat_map(|finding| {
        let name = format!("{} {}", finding.name, finding.subject);
        let check = [finding.verdict.label().into(), name.trim_end().into(), (&finding.evidence).into()];
        let remedy = finding.remedy.as_ref().map(|remedy| ["".into(), "".into(), format!("fix: {remedy}").into()]);
        [Some(check), remedy].into_iter().flatten()
    });
    let text = Table::bare().empty("").with(rows).render(false);
    text + &summary(report) + "\n"
}

fn summary(report: &Report) -> String {
    let all = report.checks.len();
    let count = |verdict: Verdict, one: &str, many: &str| match report.count(verdict) {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {many}")),
    };
    let parts = [
        count(Verdict::Ok, "ok", "ok"),
        count(Verdict::Warn, "warning", "warnings"),
        count(Verdict::Fail, "failed", "failed"),
        count(Verdict::Skipped, "skipped", "skipped"),
    ];
    let counts = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    match report.count(Verdict::Ok) {
        ok if ok == all => format!("all {all} checks passed"),
        _ => format!("{all} checks: {counts}"),
    }
}

/// Formats progress on one line.
pub fn progress_line(progress: &Progress) -> String {
    let shown: Vec<_> = progress.waiting_for.iter().take(WAITS_SHOWN).copied().collect();
    let more = progress.waiting_for.len() - shown.len();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{} s, waiting for {}{more}", progress.elapsed.as_secs(), shown.join(", "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::code::FindingCode;
    use crate::finding::CheckResult;

    #[test]
    fn a_report_is_a_table_with_remedies_and_a_summary() {
        let checks = vec![
            CheckResult::ok("fine").of("disk"),
            CheckResult::fail(FindingCode::ServerSilent, "no answer", "start it").about("udp", "a:1"),
            CheckResult::skipped(FindingCode::NoSystemd, "no systemd here").of("service"),
        ];
        let text = table(&Report::new("linecampd", "0.1.0", checks));
        let expected = "\
ok       disk     fine
FAIL     udp a:1  no answer
                  fix: start it
skipped  service  no systemd here
3 checks: 1 ok, 1 failed, 1 skipped
";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_summary_counts_each_verdict() {
        let summary = |checks: Vec<CheckResult>| {
            let checks = checks.into_iter().map(|check| check.of("c")).collect();
            summary(&Report::new("linecampd", "0.1.0", checks))
        };
        let (ok, warning) = (CheckResult::ok(""), CheckResult::warn(FindingCode::DiskSlow, "", ""));
        assert_eq!(summary(vec![ok.clone(), ok.clone()]), "all 2 checks passed");
        assert_eq!(summary(vec![ok.clone(), warning.clone()]), "2 checks: 1 ok, 1 warning");
        assert_eq!(summary(vec![ok, warning.clone(), warning]), "3 checks: 1 ok, 2 warnings");
    }

    #[test]
    fn progress_names_a_few_and_counts_the_rest() {
        let waiting_for = vec!["a", "b", "c", "d", "e", "f"];
        let progress = Progress { waiting_for, elapsed: Duration::from_millis(2500) };
        assert_eq!(progress_line(&progress), "2 s, waiting for a, b, c, d and 2 more");
    }
}
