//! Runs as tests, in the most widely supported JUnit XML dialect.
//!
//! A scenario in a mode is a suite, a run is a case, a violation is a failure of its case. An interrupted run is
//! skipped: no violation was found, but not everything was tried.
//!
//! Written with `maud`: a run can have several failures, which crates for JUnit do not represent, and its escapes are
//! also those of XML.

use std::collections::BTreeMap;

use maud::{Markup, PreEscaped, html};

use crate::outcome::{Outcome, Verdict, Violation};
use crate::report::sanitize::plain;
use crate::report::summary::{lines, sites, verdict};
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
    let total = Totals::of(&all);
    let document = html! {
        (PreEscaped("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"))
        testsuites name="linecamp-sim" tests=(total.tests) failures=(total.failures) errors="0" skipped=(total.skipped)
            time=(total.time) {
            @for ((scenario, mode), runs) in &suites { "\n" (suite(scenario, mode, runs)) }
        }
        "\n"
    };
    document.into_string()
}

fn suite(scenario: &str, mode: &str, runs: &[&Outcome]) -> Markup {
    let (name, total) = (format!("{} ({})", plain(scenario), plain(mode)), Totals::of(runs));
    html! {
        testsuite name=(name) tests=(total.tests) failures=(total.failures) errors="0" skipped=(total.skipped)
            time=(total.time) {
            @for run in runs { "\n" (case(run)) }
        }
    }
}

/// What JUnit counts of some runs.
struct Totals {
    tests: usize,
    failures: usize,
    skipped: usize,
    time: String,
}

impl Totals {
    fn of(runs: &[&Outcome]) -> Self {
        let ended = |end: Verdict| runs.iter().filter(|run| verdict(run) == end).count();
        let time = runs.iter().map(|run| run.wall_seconds).filter(|seconds| seconds.is_finite()).sum();
        Self {
            tests: runs.len(),
            failures: ended(Verdict::Failed),
            skipped: ended(Verdict::Interrupted),
            time: seconds(time),
        }
    }
}

fn case(outcome: &Outcome) -> Markup {
    let class = format!("linecamp-sim.{}", plain(&outcome.scenario));
    let name = format!("{}, seed {}, {} sites", plain(&outcome.mode), outcome.seed, outcome.sites);
    let after = duration(outcome.virtual_seconds);
    html! {
        testcase classname=(class) name=(name) time=(seconds(outcome.wall_seconds)) {
            @match verdict(outcome) {
                Verdict::Passed => {}
                Verdict::Failed => {
                    @if outcome.violations.is_empty() {
                        failure message="failed without a violation" type="failed" {}
                    }
                    @for violation in outcome.violations.iter().take(FAILURES_MAX) { (failure(violation)) }
                }
                Verdict::Interrupted => { skipped message={ "interrupted after " (after) " of simulated time" } {} }
            }
            system-out { (output(outcome)) }
        }
    }
}

fn output(outcome: &Outcome) -> String {
    let mut text = format!("{}\ntrace {}\n", plain(&outcome.about), plain(&outcome.trace_hash));
    for line in lines(outcome) {
        text += plain(&format!("{} {} {}", line.name, line.value, line.note)).trim_end();
        text.push('\n');
    }
    match outcome.violations.len().saturating_sub(FAILURES_MAX) {
        0 => text,
        left => text + &format!("and {} more violations\n", count(left as u64)),
    }
}

fn failure(violation: &Violation) -> Markup {
    let what = plain(&violation.what);
    let mut text = format!("{what}\nstep {}, {}\n", violation.step, moment(violation.at_seconds));
    text += &format!("sites: {}\nreplay: {}\n", plain(&sites(violation).join(", ")), plain(&violation.replay));
    for input in &violation.inputs {
        text += &format!("  {}\n", plain(input));
    }
    html! { failure message=(what) type=(plain(&violation.checker)) { (text) } }
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
    use crate::report::fixtures;
    use crate::report::xml_check::elements;

    #[test]
    fn each_run_is_a_case_and_each_violation_a_failure() {
        let stopped = Outcome { outcome: Verdict::Interrupted, virtual_seconds: 7_200.0, ..fixtures::passed() };
        let text = junit(&[fixtures::failed(), fixtures::passed(), stopped]);
        let elements = elements(&text);
        let of = |name: &str| elements.iter().filter(|element| element.as_str() == name).count();
        assert_eq!((of("testsuites"), of("testsuite"), of("testcase"), of("failure"), of("skipped")), (1, 2, 3, 2, 1));
        assert!(text.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\""), "{text}");
        assert!(text.contains("interrupted after 2 h of simulated time"), "{text}");
    }

    #[test]
    fn hostile_text_is_escaped_and_invalid_numbers_are_omitted() {
        let text = junit(&[fixtures::malicious(), Outcome::default()]);
        let elements = elements(&text);
        assert!(!elements.iter().any(|element| element == "script"), "{text}");
        assert!(!text.contains("NaN") && !text.contains("time=\"inf") && !text.contains("time=\"-"), "{text}");
        assert!(text.chars().all(|letter| letter == '\n' || !letter.is_control()));
    }

    #[test]
    fn zero_runs_make_a_valid_document() {
        assert_eq!(elements(&junit(&[])), ["testsuites"]);
    }
}
