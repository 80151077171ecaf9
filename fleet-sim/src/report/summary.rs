//! Text that all reports share: the verdict, the sites of a violation, the figures.

use crate::outcome::{Outcome, Verdict, Violation};
use crate::report::units::{NOTHING, bytes, count, duration, ratio};

/// Maximum names listed; the rest are counted.
const SITES_MAX: usize = 8;

/// One figure, formatted.
#[derive(Debug)]
pub(crate) struct Line {
    /// What it counts.
    pub(crate) name: &'static str,
    /// The value.
    pub(crate) value: String,
    /// A value that puts it in context; may be empty.
    pub(crate) note: String,
}

/// Returns the verdict of a run. A violation fails a run, whatever its outcome says.
pub(crate) fn verdict(outcome: &Outcome) -> Verdict {
    if outcome.violations.is_empty() { outcome.outcome } else { Verdict::Failed }
}

/// Returns the sites of a violation, unescaped.
pub(crate) fn sites(violation: &Violation) -> Vec<String> {
    let left = violation.sites.len().saturating_sub(SITES_MAX);
    let more = (left > 0).then(|| format!("{} more", count(left as u64)));
    violation.sites.iter().take(SITES_MAX).cloned().chain(more).collect()
}

/// Returns the figures, most relevant first.
pub(crate) fn lines(outcome: &Outcome) -> Vec<Line> {
    let figures = &outcome.figures;
    let site_days = f64::from(outcome.sites) * outcome.virtual_seconds / 86_400.0;
    let noted = |count: u64, by: f64, unit: &str| match ratio(count as f64, by, unit) {
        none if none == NOTHING => String::new(),
        note => note,
    };
    let daily = |count: u64| noted(count, site_days, " per site and day");
    let line = |name, value, note| Line { name, value, note };
    let of_dials = noted(figures.sessions, figures.dials as f64 / 100.0, " % of dials");
    vec![
        line("converged after faults", duration(figures.converged_after_seconds), String::new()),
        line("faults", count(figures.faults), String::new()),
        line("dials", count(figures.dials), daily(figures.dials)),
        line("sessions", count(figures.sessions), of_dials),
        line("messages", count(figures.messages), daily(figures.messages)),
        line("traffic", bytes(figures.bytes as f64), String::new()),
        line(
            "per site and month",
            bytes(figures.bytes_per_site_month as f64),
            format!("{} at most", bytes(figures.bytes_per_site_month_max as f64)),
        ),
        line("writes at sites", count(figures.site_writes), daily(figures.site_writes)),
        line("writes at server", count(figures.server_writes), daily(figures.server_writes)),
        line("requests", count(figures.requests), format!("{} rejected", count(figures.requests_refused))),
        line("memory", bytes(figures.memory_bytes as f64), String::new()),
    ]
}
