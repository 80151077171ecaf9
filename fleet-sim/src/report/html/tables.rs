//! Tables: all runs, the slowest sites, all figures.

use crate::outcome::{Outcome, SlowSite};
use crate::report::escape::markup;
use crate::report::figures::{Line, lines};
use crate::report::html::chip;
use crate::report::units::{bytes, count, duration};

/// Enough to see a pattern; the rest are counted.
const SLOWEST_MAX: usize = 20;

/// Returns a table of all runs, with links to the sections shown.
pub(crate) fn index(outcomes: &[Outcome], shown: &[usize]) -> String {
    let mut text = String::from(
        "<nav class=\"scroll\"><table><thead><tr><th>run</th><th>scenario</th><th>mode</th><th class=\"n\">seed</th>\
         <th class=\"n\">sites</th><th class=\"n\">simulated</th><th class=\"n\">in</th><th class=\"n\">violations</th>\
         <th class=\"n\">agreed after</th><th class=\"n\">site and month</th></tr></thead><tbody>\n",
    );
    for (outcome, run) in outcomes.iter().zip(0..) {
        text += &row(outcome, run + 1, shown.contains(&run));
    }
    text + "</tbody></table></nav>\n"
}

fn row(outcome: &Outcome, run: usize, is_shown: bool) -> String {
    let link = |to: &str, name: &str| match is_shown {
        true => format!("<a href=\"#run-{run}{to}\">{name}</a>"),
        false => name.to_owned(),
    };
    let scenario = if outcome.scenario.is_empty() { format!("run {run}") } else { markup(&outcome.scenario) };
    let broken = match outcome.violations.len() {
        0 => "0".into(),
        some => link("-violations", &count(some as u64)),
    };
    let (chip, scenario, mode) = (chip(outcome), link("", &scenario), markup(&outcome.mode));
    let mut text = format!("<tr><td>{chip}</td><td class=\"text\">{scenario}</td><td class=\"mode\">{mode}</td>");
    let cells = [
        outcome.seed.to_string(),
        count(outcome.sites.into()),
        duration(outcome.virtual_seconds),
        duration(outcome.wall_seconds),
        broken,
        duration(outcome.figures.converged_after_seconds),
        bytes(outcome.figures.bytes_per_site_month as f64),
    ];
    text.extend(cells.map(|cell| format!("<td class=\"n\">{cell}</td>")));
    text + "</tr>\n"
}

/// Returns the slowest sites as bars, each with its reason.
pub(crate) fn slowest(slowest: &[SlowSite]) -> String {
    let most = slowest.iter().map(|slow| slow.seconds).filter(|seconds| seconds.is_finite()).fold(0.0, f64::max);
    if slowest.is_empty() {
        return String::new();
    }
    let mut text = String::from("<h3>Slowest sites</h3>\n<ol class=\"bars\">\n");
    for slow in slowest.iter().take(SLOWEST_MAX) {
        let part = slow.seconds / most;
        let part = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 };
        text += &format!(
            "<li><span class=\"name\"><code>{}</code> <small>{}</small></span><span class=\"bar\"><svg width=\"100%\" \
             height=\"12\" aria-hidden=\"true\"><rect width=\"{:.2}%\" height=\"12\" rx=\"2\"/></svg><b>{}</b></span>\
             <span class=\"why\">{}</span></li>\n",
            markup(&slow.site),
            markup(&slow.profile),
            part * 100.0,
            duration(slow.seconds),
            markup(&slow.why),
        );
    }
    text += "</ol>\n";
    match slowest.len().saturating_sub(SLOWEST_MAX) {
        0 => text,
        left => text + &format!("<p class=\"none\">and {} more sites</p>\n", count(left as u64)),
    }
}

/// Returns all figures, and the digests that identify equal runs.
pub(crate) fn figures(outcome: &Outcome) -> String {
    let lines = lines(outcome);
    let mut text = String::from("<h3>Figures</h3>\n<div class=\"figures\">\n");
    for half in lines.chunks(lines.len().div_ceil(2)) {
        text += "<table><tbody>\n";
        for Line { name, value, note } in half {
            text += &format!("<tr><th>{name}</th><td class=\"n\">{value}</td><td class=\"note\">{note}</td></tr>\n");
        }
        text += "</tbody></table>\n";
    }
    text += "</div>\n<dl class=\"digests\">";
    let wire = outcome.wire_hash.as_ref().map(|hash| ("wire", hash));
    for (name, hash) in [("trace", &outcome.trace_hash)].into_iter().chain(wire) {
        text += &format!("<dt>{name}</dt><dd><code>{}</code></dd>", markup(hash));
    }
    text + "</dl>\n"
}
