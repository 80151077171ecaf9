//! The time a run of the tests took: a line for each part, and whether the tier exceeds its limit.
//!
//! CPU time is what the operating system accounts to the processes that the part started and waited for. Unlike wall
//! time, it does not depend on other load.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use linecamp_table::{Align, Table};
use rustix::param::clock_ticks_per_second;

use crate::commands::say;

/// One line.
#[derive(Debug)]
struct Line {
    part: String,
    tests: Option<u32>,
    took: Duration,
    /// CPU time; `None` for a suite, which runs in parallel with others.
    computed: Option<Duration>,
}

/// The lines of a run.
#[derive(Debug)]
pub(super) struct Ledger {
    started: Instant,
    lines: Vec<Line>,
}

impl Ledger {
    /// Creates an empty ledger and starts its clock.
    pub(super) fn begin() -> Self {
        Self { started: Instant::now(), lines: Vec::new() }
    }

    /// Runs a part and records its time.
    pub(super) fn part<T>(&mut self, name: &str, run: impl FnOnce() -> T) -> T {
        let (started, before) = (Instant::now(), cpu_time());
        let returned = run();
        let computed = cpu_time().zip(before).map(|(after, before)| after.saturating_sub(before));
        self.lines.push(Line { part: name.to_owned(), tests: None, took: started.elapsed(), computed });
        returned
    }

    /// Adds a line for each suite of the test runner's report.
    pub(super) fn suites(&mut self, junit: &Path) -> anyhow::Result<()> {
        let report = fs::read_to_string(junit).with_context(|| format!("failed to read {}", junit.display()))?;
        self.lines.extend(suites(&report));
        Ok(())
    }

    /// Returns the elapsed time of the run.
    pub(super) fn took(&self) -> Duration {
        self.started.elapsed()
    }

    /// Prints the ledger, and a warning if the run took longer than `limit`.
    pub(super) fn print(&self, tier: &str, limit: Duration) {
        table(&self.lines).lines().for_each(say);
        if limit < self.took() {
            say(&format!(
                "OUTGROWN: the {tier} tier took {:.0} min; its limit is {:.0} min. See the table above for what grew",
                minutes(self.took()),
                minutes(limit)
            ));
        }
    }
}

fn table(lines: &[Line]) -> String {
    let seconds = |took: Duration| format!("{:.1}", took.as_secs_f64());
    let cpu = |computed: Duration| format!("{:.1}", minutes(computed));
    let row = |line: &Line| {
        let tests = line.tests.map(|tests| tests.to_string()).unwrap_or_default();
        let computed = line.computed.map(cpu).unwrap_or_default();
        [line.part.as_str().into(), tests.into(), seconds(line.took).into(), computed.into()]
    };
    let computed = lines.iter().filter_map(|line| line.computed).sum();
    let took = lines.iter().filter(|line| line.computed.is_some()).map(|line| line.took).sum();
    Table::new(["part or suite", "tests", "seconds", "CPU min"])
        .align([Align::Left, Align::Right, Align::Right, Align::Right])
        .empty("")
        .with(lines.iter().map(row))
        .with([["all parts".into(), "".into(), seconds(took).into(), cpu(computed).into()]])
        .render(false)
}

/// Parses a JUnit report: a suite's seconds are the sum of its tests'.
fn suites(report: &str) -> Vec<Line> {
    let mut found: Vec<Line> = Vec::new();
    for tag in report.split('<') {
        let attribute = |name: &str| tag.split_once(&format!(" {name}=\""))?.1.split_once('"').map(|(value, _)| value);
        if tag.starts_with("testsuite ") {
            let part = format!("  {}", attribute("name").unwrap_or_default());
            found.push(Line { part, tests: Some(0), took: Duration::ZERO, computed: None });
        } else if let (true, Some(suite)) = (tag.starts_with("testcase "), found.last_mut()) {
            let seconds = attribute("time").and_then(|time| time.parse().ok()).unwrap_or(0.0);
            suite.tests = suite.tests.map(|tests| tests + 1);
            suite.took += Duration::try_from_secs_f64(seconds).unwrap_or_default();
        }
    }
    found
}

/// Returns the CPU time of all terminated and waited-for children: fields 16 and 17 of `/proc/self/stat` (proc(5)), in
/// ticks.
fn cpu_time() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(13);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / clock_ticks_per_second()))
}

fn minutes(time: Duration) -> f64 {
    time.as_secs_f64() / 60.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_has_parts_suites_and_a_sum() {
        let report = "<testsuites><testsuite name=\"core\" tests=\"2\"><testcase name=\"a\" time=\"1.25\"></testcase>\
                      <testcase name=\"b\" time=\"0.5\"/></testsuite><testsuite name=\"it\"></testsuite></testsuites>";
        let mut lines = vec![Line {
            part: "building".into(),
            tests: None,
            took: Duration::from_secs(90),
            computed: Some(Duration::from_secs(120)),
        }];
        lines.extend(suites(report));
        let expected = "\
part or suite  tests  seconds  CPU min
building                 90.0      2.0
  core             2      1.8
  it               0      0.0
all parts                90.0      2.0
";
        assert_eq!(table(&lines), expected);
    }

    #[test]
    fn cpu_time_of_a_child_is_counted_once_it_has_ended() {
        let before = cpu_time().unwrap();
        let spin = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
        assert!(std::process::Command::new("sh").args(["-c", spin]).status().unwrap().success());
        assert!(before < cpu_time().unwrap());
    }
}
