//! The fleet over virtual time.

use std::ops::Range;

use maud::{Markup, html};

use crate::outcome::{Outcome, Sample};
use crate::report::html::plot::{Axis, Plot, Point, buckets, keep_shape};
use crate::report::units::{bytes, count, duration, short};

/// Hover slices per plot: as narrow as a finger or a mouse can hit.
const SLICES: usize = 90;
/// With more storms than this, flags have no numbers, since those would overlap.
const STORMS_NUMBERED: usize = 12;
/// Maximum number of flags.
const FLAGS_MAX: usize = 60;
/// No run lasts 30,000 years: a later sample is an error, and would squeeze all others into the first pixel.
const SECONDS_MAX: f64 = 1e12;
/// The label of the time axis.
const ABOUT: &str = "simulated time";

pub(crate) fn plots(outcome: &Outcome) -> Markup {
    let is_usable = |sample: &&Sample| (0.0..SECONDS_MAX).contains(&sample.at_seconds);
    let mut samples: Vec<Sample> = outcome.samples.iter().filter(is_usable).copied().collect();
    samples.sort_by(|a, b| a.at_seconds.total_cmp(&b.at_seconds));
    samples.dedup_by(|a, b| a.at_seconds <= b.at_seconds);
    html! {
        h3 { "Over time" }
        @if samples.len() < 2 {
            p.none { "There are too few samples to plot." }
        } @else {
            (signs(outcome))
            div.charts {
                (converged(outcome, &samples))
                (links(outcome, &samples))
                (traffic(outcome, &samples, &MESSAGES))
                (traffic(outcome, &samples, &BYTES))
            }
        }
    }
}

/// Returns a plot with its title and legend.
pub(crate) fn figure(class: &str, title: &Markup, legend: &[(&str, &str)], plot: Markup) -> Markup {
    html! {
        figure class=(class) {
            figcaption {
                (title)
                @if !legend.is_empty() {
                    ul.legend {
                        @for (class, name) in legend { li { i class=(class) {} (name) } }
                    }
                }
            }
            div.frame { (plot) }
        }
    }
}

/// Returns the legend of the flags above the plots.
fn signs(outcome: &Outcome) -> Markup {
    let (storms, violations) = (outcome.storms.len(), outcome.violations.len());
    html! {
        @if storms + violations > 0 {
            ul.legend {
                @if storms > 0 {
                    li { i.sign.storm { @if storms <= STORMS_NUMBERED { "1" } } "reachable again: see storms" }
                }
                @if violations > 0 { li { i.wedge {} "a violation" } }
            }
        }
    }
}

fn flags(plot: &mut Plot, outcome: &Outcome) {
    let is_numbered = outcome.storms.len() <= STORMS_NUMBERED;
    for (storm, number) in outcome.storms.iter().zip(1..).take(FLAGS_MAX) {
        if (0.0..SECONDS_MAX).contains(&storm.at_seconds) {
            let words = format!("{}: {}", duration(storm.at_seconds), storm.what);
            plot.flag("storm", storm.at_seconds, Some(number).filter(|_| is_numbered), &words);
        }
    }
    for violation in outcome.violations.iter().take(FLAGS_MAX) {
        if (0.0..SECONDS_MAX).contains(&violation.at_seconds) {
            let words = format!("{}: {}", duration(violation.at_seconds), violation.checker);
            plot.flag("broken", violation.at_seconds, None, &words);
        }
    }
}

fn converged(outcome: &Outcome, samples: &[Sample]) -> Markup {
    let most = samples.iter().map(|sample| sample.converged).max().unwrap_or_default().max(outcome.sites);
    let mut plot = Plot::new(time(outcome, samples), Axis::all(most), "converged sites over time");
    let kept = keep_shape(samples.len(), &[&|at| samples[at].converged.into()]);
    let line: Vec<Point> = kept.iter().map(|at| (samples[*at].at_seconds, samples[*at].converged.into())).collect();
    plot.area("converged", &line, &floor(&line));
    plot.line("converged", &line);
    for slice in slices(samples.len()) {
        let part = &samples[slice.clone()];
        let low = part.iter().map(|sample| sample.converged).min().unwrap_or_default();
        let high = part.iter().map(|sample| sample.converged).max().unwrap_or_default();
        let words =
            format!("{}: {} converged", duration(part[0].at_seconds), range(low.into(), high.into(), short_count));
        point_out(&mut plot, samples, &slice, &words);
    }
    flags(&mut plot, outcome);
    let title = html! { b { "Converged sites" } " " span { "match everything they were asked for" } };
    figure("wide", &title, &[], plot.svg(ABOUT))
}

fn links(outcome: &Outcome, samples: &[Sample]) -> Markup {
    let sum =
        |sample: &Sample| f64::from(sample.connected) + f64::from(sample.reconnecting) + f64::from(sample.disconnected);
    let all =
        |sample: &Sample| sample.connected.saturating_add(sample.reconnecting).saturating_add(sample.disconnected);
    let most = samples.iter().map(all).max().unwrap_or_default().max(outcome.sites);
    let mut plot = Plot::new(time(outcome, samples), Axis::all(most), "sites by the state of their link over time");
    let kept = keep_shape(
        samples.len(),
        &[&|at| samples[at].connected.into(), &|at| samples[at].reconnecting.into(), &|at| {
            samples[at].disconnected.into()
        }],
    );
    let line = |height: &dyn Fn(&Sample) -> f64| -> Vec<Point> {
        kept.iter().map(|at| (samples[*at].at_seconds, height(&samples[*at]))).collect()
    };
    let connected = line(&|sample| sample.connected.into());
    let linked = line(&|sample| f64::from(sample.connected) + f64::from(sample.reconnecting));
    plot.area("connected", &connected, &floor(&connected));
    for run in apart(&connected, &linked) {
        plot.area("reconnecting", &linked[run.clone()], &connected[run]);
    }
    let all = line(&sum);
    for run in apart(&linked, &all) {
        plot.area("disconnected", &all[run.clone()], &linked[run]);
    }
    for slice in slices(samples.len()) {
        let part = &samples[slice.clone()];
        let worst = part.iter().min_by_key(|sample| sample.connected).unwrap_or(&part[0]);
        let words = format!(
            "{}: {} connected, {} reconnecting, {} disconnected",
            duration(worst.at_seconds),
            count(worst.connected.into()),
            count(worst.reconnecting.into()),
            count(worst.disconnected.into()),
        );
        point_out(&mut plot, samples, &slice, &words);
    }
    flags(&mut plot, outcome);
    let legend = ["disconnected", "reconnecting", "connected"].map(|state| (state, state));
    let title = html! { b { "Links" } " " span { "as the server calls them" } };
    figure("wide", &title, &legend, plot.svg(ABOUT))
}

/// A counter that accumulates between samples.
struct Flow {
    name: &'static str,
    count: fn(&Sample) -> u64,
    axis: fn(f64) -> Axis,
    shown: fn(f64) -> String,
}

const MESSAGES: Flow = Flow { name: "Messages", count: |sample| sample.messages, axis: Axis::count, shown: short };
const BYTES: Flow = Flow { name: "Bytes", count: |sample| sample.bytes, axis: Axis::bytes, shown: bytes };

fn traffic(outcome: &Outcome, samples: &[Sample], flow: &Flow) -> Markup {
    let rate = |pair: &[Sample]| {
        (pair[1].at_seconds, (flow.count)(&pair[1]) as f64 / (pair[1].at_seconds - pair[0].at_seconds))
    };
    let rates: Vec<Point> = samples.windows(2).map(rate).filter(|(_, rate)| rate.is_finite()).collect();
    let most = rates.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
    let label = format!("{} a second over time", flow.name);
    let mut plot = Plot::new(time(outcome, samples), (flow.axis)(most), &label);
    let band = buckets(&rates);
    let line =
        |value: &dyn Fn(usize) -> f64| -> Vec<Point> { (0..band.len()).map(|at| (band[at].at, value(at))).collect() };
    let is_band = band.len() < rates.len();
    if is_band {
        plot.area("flow", &line(&|at| band[at].high), &line(&|at| band[at].low));
    }
    plot.line("flow", &line(&|at| band[at].mean));
    for slice in slices(rates.len()) {
        let part = &rates[slice.clone()];
        let low = part.iter().map(|(_, rate)| *rate).fold(f64::INFINITY, f64::min);
        let high = part.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        let words = format!("{}: {} a second", duration(part[0].0), range(low, high, flow.shown));
        plot.slice(part[0].0, rates.get(slice.end).unwrap_or(&part[part.len() - 1]).0, &words);
    }
    flags(&mut plot, outcome);
    let legend: &[_] = if is_band { &[("flow line", "mean"), ("flow", "lowest to highest")] } else { &[] };
    let title = html! { b { (flow.name) } " " span { "a second, all sites" } };
    figure("half", &title, legend, plot.svg(ABOUT))
}

fn time(outcome: &Outcome, samples: &[Sample]) -> Axis {
    let last = samples.last().map_or(0.0, |sample| sample.at_seconds);
    // An interrupted run ends early: the rest of the axis stays visibly empty.
    Axis::time(if outcome.virtual_seconds < SECONDS_MAX { last.max(outcome.virtual_seconds) } else { last })
}

fn floor(line: &[Point]) -> Vec<Point> {
    match line {
        [] => Vec::new(),
        [first, .., last] => vec![(first.0, 0.0), (last.0, 0.0)],
        [only] => vec![(only.0, 0.0)],
    }
}

/// Returns the ranges of points in which one line is above another, each with its neighbors: a layer of a stack is
/// drawn only where it has height, because even a layer without height has an edge.
fn apart(lower: &[Point], upper: &[Point]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for at in (0..lower.len()).filter(|at| upper[*at].1 > lower[*at].1) {
        let (from, to) = (at.saturating_sub(1), (at + 2).min(lower.len()));
        match runs.last_mut() {
            Some(run) if from <= run.end => run.end = to,
            _ => runs.push(from..to),
        }
    }
    runs
}

/// Returns the ranges of a series that share a hover slice.
fn slices(len: usize) -> impl Iterator<Item = Range<usize>> {
    let of = len.min(SLICES);
    (0..of).map(move |number| number * len / of..(number + 1) * len / of)
}

fn point_out(plot: &mut Plot, samples: &[Sample], slice: &Range<usize>, words: &str) {
    let end = samples.get(slice.end).unwrap_or(&samples[samples.len() - 1]);
    plot.slice(samples[slice.start].at_seconds, end.at_seconds, words);
}

fn range(low: f64, high: f64, shown: impl Fn(f64) -> String) -> String {
    let (low, high) = (shown(low), shown(high));
    if low == high { low } else { format!("{low} to {high}") }
}

fn short_count(sites: f64) -> String {
    format!("{sites:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_drawn_only_where_it_has_height() {
        let line = |heights: [f64; 8]| heights.map(|height| (0.0, height));
        let runs = apart(&line([1.0; 8]), &line([1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 3.0]));
        assert_eq!(runs, [1..4, 6..8]);
    }

    #[test]
    fn slices_contain_every_sample_once() {
        for len in [0, 1, 89, 90, 91, 4_321] {
            assert!(slices(len).flatten().eq(0..len), "{len}");
        }
    }
}
