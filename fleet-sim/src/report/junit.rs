//! Runs as tests, in the most widely supported JUnit XML dialect.
//!
//! A scenario in a mode is a suite, a run is a case, a violation is a failure of its case. An interrupted run is
//! skipped: no violation was found, but not everything was tried.

use std::collections::BTreeMap;

use crate::outcome::{Outcome, Verdict, Violation};
use crate::report::escape::markup;
use crate::report::figures::{lines, sites, verdict};
use crate::report::units::{count, duration, moment};

/// Maximum failures per case, since no reader shows more; the rest are counted.
const FAILURES_MAX: usize = 100;

/// Returns the runs as one JUnit document, suites sorted by name, cases in the order of `outcomes`.
pub fn junit(outcomes: &[Outcome]) -> String {
    let mut suites: BTreeMap<(&str, &str), Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        suites.entry((&outcome.scenario, &outcome.mode)).or_default().push(outcome);
    }
    let all: Vec<&Outcome> = outcomes.iter().collect();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    text += &format!("<testsuites name=\"linecamp-sim\" {}>\n", totals(&all));
    for ((scenario, mode), runs) in suites {
        text += &format!("  <testsuite name=\"{} ({})\" {}>\n", markup(scenario), markup(mode), totals(&runs));
        text.extend(runs.into_iter().map(case));
        text += "  </testsuite>\n";
    }
    text + "</testsuites>\n"
}

fn totals(runs: &[&Outcome]) -> String {
    let ended = |end: Verdict| runs.iter().filter(|run| verdict(run) == end).count();
    format!(
        "tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{}\"",
        runs.len(),
        ended(Verdict::Failed),
        ended(Verdict::Interrupted),
        seconds(runs.iter().map(|run| run.wall_seconds).filter(|seconds| seconds.is_finite()).sum()),
    )
}

fn case(outcome: &Outcome) -> String {
    let mut text = format!(
        "    <testcase classname=\"linecamp-sim.{}\" name=\"{}, seed {}, {} sites\" time=\"{}\">\n",
        markup(&outcome.scenario),
        markup(&outcome.mode),
        outcome.seed,
        outcome.sites,
        seconds(outcome.wall_seconds),
    );
    match verdict(outcome) {
        Verdict::Passed => {}
        Verdict::Failed if outcome.violations.is_empty() => {
            text += "      <failure message=\"failed without a violation\" type=\"failed\"/>\n";
        }
        Verdict::Failed => text.extend(outcome.violations.iter().take(FAILURES_MAX).map(failure)),
        Verdict::Interrupted => {
            let after = duration(outcome.virtual_seconds);
            text += &format!("      <skipped message=\"interrupted after {after} of simulated time\"/>\n");
        }
    }
    text += "      <system-out>";
    text += &format!("{}\ntrace {}\n", markup(&outcome.about), markup(&outcome.trace_hash));
    for line in lines(outcome) {
        text += &markup(format!("{} {} {}", line.name, line.value, line.note).trim_end());
        text.push('\n');
    }
    let left = outcome.violations.len().saturating_sub(FAILURES_MAX);
    if left > 0 {
        text += &format!("and {} more violations\n", count(left as u64));
    }
    text + "</system-out>\n    </testcase>\n"
}

fn failure(violation: &Violation) -> String {
    let what = markup(&violation.what);
    let mut text = format!("      <failure message=\"{what}\" type=\"{}\">", markup(&violation.checker));
    text += &format!("{what}\nstep {}, {}\n", violation.step, moment(violation.at_seconds));
    let sites = sites(violation).join(", ");
    text += &format!("sites: {}\nreplay: {}\n", markup(&sites), markup(&violation.replay));
    for input in &violation.inputs {
        text += &format!("  {}\n", markup(input));
    }
    text + "</failure>\n"
}

/// Formats seconds for JUnit.
fn seconds(seconds: f64) -> String {
    // Not `max`: an empty sum is minus zero.
    let seconds = if seconds.is_finite() && seconds > 0.0 { seconds } else { 0.0 };
    format!("{seconds:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::report::wellformed::elements;

    #[test]
    fn a_case_per_run_and_a_failure_per_violation() {
        let stopped = Outcome { outcome: Verdict::Interrupted, virtual_seconds: 7_200.0, ..sample::passed() };
        let text = junit(&[sample::failed(), sample::passed(), stopped]);
        let elements = elements(&text);
        let of = |name: &str| elements.iter().filter(|element| element.as_str() == name).count();
        assert_eq!((of("testsuites"), of("testsuite"), of("testcase"), of("failure"), of("skipped")), (1, 2, 3, 2, 1));
        assert!(text.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\""), "{text}");
        assert!(text.contains("interrupted after 2 h of simulated time"), "{text}");
    }

    #[test]
    fn hostile_text_stays_text_and_mad_numbers_stay_out() {
        let text = junit(&[sample::malicious(), Outcome::default()]);
        let elements = elements(&text);
        assert!(!elements.iter().any(|element| element == "script"), "{text}");
        assert!(!text.contains("NaN") && !text.contains("time=\"inf") && !text.contains("time=\"-"), "{text}");
        assert!(text.chars().all(|letter| letter == '\n' || !letter.is_control()));
    }

    #[test]
    fn no_run_is_a_document() {
        assert_eq!(elements(&junit(&[])), ["testsuites"]);
    }
}
