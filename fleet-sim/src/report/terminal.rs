//! The terminal summary after a run: the verdict, the figures, and how to reproduce violations.
//!
//! The verdict is the first line; violations come last, where the reader looks when a run ends.

use crate::outcome::{Outcome, SlowSite, Storm, Verdict, Violation};
use crate::report::sanitize::plain;
use crate::report::summary::{lines, sites, verdict};
use crate::report::units::{count, counted, duration, duration_or_nothing, moment, ratio};

/// Maximum violations listed: more would hide the first, which matters most; the rest are counted.
const VIOLATIONS_MAX: usize = 10;
/// Maximum storms listed: only endurance runs have more; the rest are counted.
const STORMS_MAX: usize = 20;
/// Enough to see a pattern.
const SLOWEST_MAX: usize = 10;
/// Gap between two columns.
const GAP: &str = "  ";

/// Returns the summary of a run: verdict, figures, storms, slowest sites, and every violation with its replay command.
///
/// Lines end in `\n`. With `paint` the text is colored (SGR sequences of ECMA-48).
pub fn summary(outcome: &Outcome, paint: bool) -> String {
    let brush = Brush { paint };
    let mut text = headline(outcome, brush);
    text += &figures(outcome, brush);
    text += &storms(&outcome.storms, brush);
    text += &slowest(&outcome.slowest, brush);
    for (violation, number) in outcome.violations.iter().take(VIOLATIONS_MAX).zip(1..) {
        text += &violation_text(violation, number, outcome.violations.len(), brush);
    }
    text + &more(outcome.violations.len(), VIOLATIONS_MAX, "violations")
}

fn headline(outcome: &Outcome, brush: Brush) -> String {
    let verdict = match verdict(outcome) {
        Verdict::Passed => brush.paint("passed", "1;32"),
        Verdict::Failed => brush.paint("FAILED", "1;31"),
        Verdict::Interrupted => brush.paint("interrupted", "1;33"),
    };
    let broken = match outcome.violations.len() {
        0 => String::new(),
        some => format!(", {}", brush.paint(&counted(some, "violation", "violations"), "31")),
    };
    format!(
        "{verdict}  {}  {}, seed {}, {} sites: {} in {}, {} events ({}){broken}\n",
        brush.paint(&plain(&outcome.scenario), "1"),
        plain(&outcome.mode),
        outcome.seed,
        count(outcome.sites.into()),
        duration(outcome.virtual_seconds),
        duration(outcome.wall_seconds),
        count(outcome.events),
        ratio(outcome.events as f64, outcome.wall_seconds, "/s"),
    )
}

fn figures(outcome: &Outcome, brush: Brush) -> String {
    let mut rows: Vec<Vec<String>> =
        lines(outcome).into_iter().map(|line| vec![line.name.into(), line.value, line.note]).collect();
    rows.push(vec!["trace".into(), String::new(), plain(&outcome.trace_hash)]);
    rows.extend(outcome.wire_hash.iter().map(|hash| vec!["wire".into(), String::new(), plain(hash)]));
    rows.retain(|row| row.iter().skip(1).any(|cell| !cell.is_empty()));
    titled("Figures", &table(&rows, &[Side::Left, Side::Right, Side::Left], brush), brush)
}

fn storms(storms: &[Storm], brush: Brush) -> String {
    if storms.is_empty() {
        return String::new();
    }
    let headings = ["AT", "LINKS LOST", "RECONNECTED 50 %", "90 %", "99 %", "PEAK/s", "2ND PEAK/s", "OUTAGE"];
    let mut rows = vec![headings.map(String::from).to_vec()];
    for storm in storms.iter().take(STORMS_MAX) {
        rows.push(vec![
            duration(storm.at_seconds),
            count(storm.lost.into()),
            duration_or_nothing(storm.back_50_seconds),
            duration_or_nothing(storm.back_90_seconds),
            duration_or_nothing(storm.back_99_seconds),
            count(storm.first_peak.into()),
            count(storm.second_peak.into()),
            plain(&storm.what),
        ]);
    }
    let mut sides = [Side::Right; 8];
    sides[7] = Side::Left;
    let more = more(storms.len(), STORMS_MAX, "storms");
    titled("Storms", &(headed(&rows, &sides, brush) + &more), brush)
}

fn slowest(slowest: &[SlowSite], brush: Brush) -> String {
    if slowest.is_empty() {
        return String::new();
    }
    let mut rows = vec![["TOOK", "SITE", "LINE", "WHY"].map(String::from).to_vec()];
    for slow in slowest.iter().take(SLOWEST_MAX) {
        rows.push(vec![duration(slow.seconds), plain(&slow.site), plain(&slow.profile), plain(&slow.why)]);
    }
    let more = more(slowest.len(), SLOWEST_MAX, "sites");
    let table = headed(&rows, &[Side::Right, Side::Left, Side::Left, Side::Left], brush);
    titled("Slowest sites", &(table + &more), brush)
}

fn violation_text(violation: &Violation, number: usize, of: usize, brush: Brush) -> String {
    let checker = brush.paint(&plain(&violation.checker), "1");
    let title = brush.paint(&format!("Violation {number} of {of}"), "1;31");
    let names: Vec<String> = sites(violation).iter().map(|site| plain(site)).collect();
    let at = format!("step {}, {}", count(violation.step), moment(violation.at_seconds));
    let sites = if names.is_empty() { String::new() } else { format!(", {}", names.join(", ")) };
    let mut text = format!("\n{title}: {checker}, {at}{sites}\n  {}\n", plain(&violation.what));
    if !violation.inputs.is_empty() {
        text += &format!("  {}\n", brush.paint("the last inputs:", "2"));
    }
    for input in &violation.inputs {
        text += &format!("    {}\n", plain(input));
    }
    text + &format!("  {} {}\n", brush.paint("replay:", "2"), brush.paint(&plain(&violation.replay), "1"))
}

/// Returns a line with the number of omitted items.
fn more(all: usize, shown: usize, what: &str) -> String {
    match all.saturating_sub(shown) {
        0 => String::new(),
        left => format!("  and {} more {what}\n", count(left as u64)),
    }
}

fn titled(title: &str, text: &str, brush: Brush) -> String {
    format!("\n{}\n{text}", brush.paint(title, "1"))
}

/// Returns a table whose first row is the header.
fn headed(rows: &[Vec<String>], sides: &[Side], brush: Brush) -> String {
    let table = table(rows, sides, Brush { paint: false });
    let (headings, rest) = table.split_once('\n').unwrap_or((&table, ""));
    format!("{}\n{rest}", brush.paint(headings, "2"))
}

/// Returns an indented table whose first column is dim, since it labels the row.
fn table(rows: &[Vec<String>], sides: &[Side], brush: Brush) -> String {
    let chars = |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, side)) in row.iter().zip(sides).enumerate() {
            let width = rows.iter().map(|row| chars(row, column)).max().unwrap_or_default();
            let padded = match side {
                Side::Left => format!("{cell:<width$}"),
                Side::Right => format!("{cell:>width$}"),
            };
            line += GAP;
            line += &if column == 0 { brush.paint(&padded, "2") } else { padded };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Alignment of a column.
#[derive(Clone, Copy, Debug)]
enum Side {
    Left,
    Right,
}

/// Whether output is colored.
#[derive(Clone, Copy, Debug)]
struct Brush {
    paint: bool,
}

impl Brush {
    fn paint(self, text: &str, code: &str) -> String {
        if self.paint { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;

    #[test]
    fn a_failed_run_starts_with_the_verdict_and_ends_with_the_replay() {
        let text = summary(&fixtures::failed(), false);
        assert!(
            text.starts_with("FAILED  storms-and-partitions  quic, seed 42, 500 sites: 30 d in 41.2 s, "),
            "{text}"
        );
        assert!(text.lines().next().is_some_and(|line| line.ends_with(", 2 violations")), "{text}");
        let last = text.lines().last().unwrap_or_default();
        assert!(last.starts_with("  replay: linecamp-sim "), "{text}");
        for part in ["per site and month", "RECONNECTED 50 %", "the server restarted", "site-", "the last inputs:"] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(text.lines().all(|line| line.trim_end() == line), "{text}");
    }

    #[test]
    fn colors_are_optional_and_do_not_change_the_text() {
        let outcome = fixtures::failed();
        let (plain, painted) = (summary(&outcome, false), summary(&outcome, true));
        assert!(!plain.contains('\u{1b}'));
        let stripped: String = painted
            .split('\u{1b}')
            .map(|part| part.split_once('m').filter(|_| part.starts_with('[')).map_or(part, |(_, text)| text))
            .collect();
        assert_eq!(stripped, plain);
    }

    #[test]
    fn empty_and_invalid_outcomes_have_a_summary() {
        assert!(
            summary(&Outcome::default(), false).starts_with("passed    , seed 0, 0 sites: 0 s in 0 s, 0 events (-)\n")
        );
        let text = summary(&fixtures::malicious(), true);
        assert!(text.contains("FAILED"));
        assert!(!text.contains("\u{1b}[2J") && !text.contains("NaN") && !text.contains("inf"), "{text}");
    }

    #[test]
    fn many_violations_do_not_hide_the_first() {
        let mut outcome = fixtures::failed();
        outcome.violations = vec![outcome.violations[0].clone(); 1_000];
        let text = summary(&outcome, false);
        assert!(text.contains("Violation 10 of 1000") && !text.contains("Violation 11 of"));
        assert!(text.ends_with("  and 990 more violations\n"));
    }
}
