//! Tables: all runs, the slowest sites, all figures.

use maud::{Markup, html};

use crate::outcome::{Outcome, SlowSite};
use crate::report::html::chip;
use crate::report::sanitize::plain;
use crate::report::summary::{Line, lines};
use crate::report::units::{bytes, count, duration};

/// Enough to see a pattern; the rest are counted.
const SLOWEST_MAX: usize = 20;

/// The columns of the index that hold numbers.
const NUMBERS: [&str; 7] = ["seed", "sites", "simulated", "in", "violations", "converged after", "site and month"];

/// Returns a table of all runs, with links to the sections shown.
pub(crate) fn index(outcomes: &[Outcome], shown: &[usize]) -> Markup {
    html! {
        nav.scroll {
            table {
                thead {
                    tr {
                        th { "run" }
                        th { "scenario" }
                        th { "mode" }
                        @for title in NUMBERS { th.n { (title) } }
                    }
                }
                tbody {
                    @for (outcome, run) in outcomes.iter().zip(0..) { (row(outcome, run + 1, shown.contains(&run))) }
                }
            }
        }
    }
}

fn row(outcome: &Outcome, run: usize, is_shown: bool) -> Markup {
    let link = |to: &str, name: &str| {
        html! {
            @if is_shown { a href={ "#run-" (run) (to) } { (name) } } @else { (name) }
        }
    };
    let scenario = if outcome.scenario.is_empty() { format!("run {run}") } else { plain(&outcome.scenario) };
    let broken = match outcome.violations.len() {
        0 => html! { "0" },
        some => link("-violations", &count(some as u64)),
    };
    html! {
        tr {
            td { (chip(outcome)) }
            td.text { (link("", &scenario)) }
            td.mode { (plain(&outcome.mode)) }
            td.n { (outcome.seed) }
            td.n { (count(outcome.sites.into())) }
            td.n { (duration(outcome.virtual_seconds)) }
            td.n { (duration(outcome.wall_seconds)) }
            td.n { (broken) }
            td.n { (duration(outcome.figures.converged_after_seconds)) }
            td.n { (bytes(outcome.figures.bytes_per_site_month as f64)) }
        }
    }
}

/// Returns the slowest sites as bars, each with its reason.
pub(crate) fn slowest(slowest: &[SlowSite]) -> Markup {
    let most = slowest.iter().map(|slow| slow.seconds).filter(|seconds| seconds.is_finite()).fold(0.0, f64::max);
    let left = slowest.len().saturating_sub(SLOWEST_MAX);
    html! {
        @if !slowest.is_empty() {
            h3 { "Slowest sites" }
            ol.bars {
                @for slow in slowest.iter().take(SLOWEST_MAX) { (bar(slow, most)) }
            }
            @if left > 0 { p.none { "and " (count(left as u64)) " more sites" } }
        }
    }
}

fn bar(slow: &SlowSite, most: f64) -> Markup {
    let part = slow.seconds / most;
    let part = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 };
    html! {
        li {
            span.name { code { (plain(&slow.site)) } " " small { (plain(&slow.profile)) } }
            span.bar {
                svg width="100%" height="12" aria-hidden="true" {
                    rect width={ (format!("{:.2}", part * 100.0)) "%" } height="12" rx="2" {}
                }
                b { (duration(slow.seconds)) }
            }
            span.why { (plain(&slow.why)) }
        }
    }
}

/// Returns all figures, and the digests that identify equal runs.
pub(crate) fn figures(outcome: &Outcome) -> Markup {
    let lines = lines(outcome);
    let wire = outcome.wire_hash.as_ref().map(|hash| ("wire", hash));
    html! {
        h3 { "Figures" }
        div.figures {
            @for half in lines.chunks(lines.len().div_ceil(2)) {
                table {
                    tbody {
                        @for Line { name, value, note } in half {
                            tr { th { (name) } td.n { (value) } td.note { (note) } }
                        }
                    }
                }
            }
        }
        dl.digests {
            @for (name, hash) in [("trace", &outcome.trace_hash)].into_iter().chain(wire) {
                dt { (name) }
                dd { code { (plain(hash)) } }
            }
        }
    }
}
