//! The reconnect storm after each outage that affected many sites at once.

use std::ops::Range;

use maud::{Markup, html};

use crate::outcome::Storm;
use crate::report::html::over_time::figure;
use crate::report::html::plot::{Axis, Plot, Point};
use crate::report::sanitize::plain;
use crate::report::units::{count, duration, duration_or_nothing};

/// Maximum storms with a plot: the worst ones.
const PLOTS_MAX: usize = 6;
/// Maximum rows; the rest are counted.
const ROWS_MAX: usize = 50;
/// Maximum steps of a curve; each step has two points.
const STEPS_MAX: usize = 300;
/// Hover slices per plot.
const SLICES: usize = 60;
/// Factor by which the plot extends past the last reconnect and above the highest value.
const TAIL: f64 = 1.1;

/// Returns the storms: a table of all, and the curves of the worst.
pub(crate) fn list(storms: &[Storm]) -> Markup {
    let is_felt = |storm: &Storm| storm.dials_per_second.iter().any(|dials| *dials > 0);
    let mut worst: Vec<_> = (1_usize..).zip(storms).filter(|(_, storm)| is_felt(storm)).collect();
    worst.sort_by_key(|(_, storm)| std::cmp::Reverse((storm.first_peak, storm.lost)));
    worst.truncate(PLOTS_MAX);
    worst.sort_by_key(|(number, _)| *number);
    html! {
        @if !storms.is_empty() {
            h3 { "Storms" }
            (table(storms))
        }
        @if !worst.is_empty() {
            div.charts {
                @for (number, storm) in worst { (curve(storm, number)) }
            }
        }
    }
}

fn table(storms: &[Storm]) -> Markup {
    let left = storms.len().saturating_sub(ROWS_MAX);
    html! {
        div.scroll {
            table {
                thead {
                    tr {
                        th {}
                        th { "outage" }
                        @for title in ["at", "links lost", "linked 50 %", "90 %", "99 %", "first peak", "second peak"] {
                            th.n { (title) }
                        }
                    }
                }
                tbody {
                    @for (storm, number) in storms.iter().take(ROWS_MAX).zip(1..) { (row(storm, number)) }
                }
            }
        }
        @if left > 0 { p.none { "and " (count(left as u64)) " more storms" } }
    }
}

fn row(storm: &Storm, number: usize) -> Markup {
    html! {
        tr {
            td { (sign(number)) }
            td.text { (plain(&storm.what)) }
            td.n { (duration(storm.at_seconds)) }
            td.n { (count(storm.lost.into())) }
            td.n { (duration_or_nothing(storm.back_50_seconds)) }
            td.n { (duration_or_nothing(storm.back_90_seconds)) }
            td.n { (duration_or_nothing(storm.back_99_seconds)) }
            td.n { (count(storm.first_peak.into())) "/s" }
            td.n { (count(storm.second_peak.into())) "/s" }
        }
    }
}

/// Returns the number of a storm, as the flags of the plots show it.
fn sign(number: usize) -> Markup {
    html! { i.sign.storm { (number) } }
}

fn curve(storm: &Storm, number: usize) -> Markup {
    let dials = &storm.dials_per_second;
    let back = [("50 %", storm.back_50_seconds), ("90 %", storm.back_90_seconds), ("99 %", storm.back_99_seconds)];
    let back: Vec<(&str, f64)> = back
        .into_iter()
        .filter_map(|(share, at)| at.filter(|at| at.is_finite() && *at >= 0.0).map(|at| (share, at)))
        .collect();
    let busy = dials.iter().rposition(|dials| *dials > 0).map_or(0, |last| last + 1);
    let end = back.iter().map(|(_, at)| *at).fold(busy as f64, f64::max) * TAIL;
    let most = f64::from(dials.iter().copied().max().unwrap_or_default());
    let label = format!("dials per second after storm {number}");
    let mut plot = Plot::new(Axis::time(end), Axis::count(most * TAIL), &label);
    let (points, seconds) = steps(&dials[..busy]);
    plot.area("dials", &points, &[(0.0, 0.0), (busy as f64, 0.0)]);
    plot.line("dials", &points);
    for slice in slices(busy) {
        let high = dials[slice.clone()].iter().copied().max().unwrap_or_default();
        let words = format!("{} s: {} dials per second", slice.start, count(high.into()));
        plot.slice(slice.start as f64, slice.end as f64, &words);
    }
    let rules: Vec<_> = back.iter().map(|(share, at)| (*at, format!("{share} linked, {}", duration(*at)))).collect();
    plot.rules("back", &rules);
    peaks(&mut plot, storm);
    let note = if seconds > 1 { format!(", the highest of each {seconds} seconds") } else { String::new() };
    let title = html! {
        (sign(number)) " " b { (plain(&storm.what)) }
        " " span { "dials per second" (note) "; links lost: " (count(storm.lost.into())) }
    };
    figure("half storm", &title, &[], plot.svg("since the end of the outage"))
}

/// Returns the curve as steps, and the length of a step in seconds.
fn steps(dials: &[u32]) -> (Vec<Point>, usize) {
    let seconds = dials.len().div_ceil(STEPS_MAX).max(1);
    let step = |(number, dials): (usize, &[u32])| {
        let height = f64::from(dials.iter().copied().max().unwrap_or_default());
        let from = number * seconds;
        [(from as f64, height), ((from + dials.len()) as f64, height)]
    };
    (dials.chunks(seconds).enumerate().flat_map(step).collect(), seconds)
}

fn slices(len: usize) -> impl Iterator<Item = Range<usize>> {
    let of = len.min(SLICES);
    (0..of).map(move |number| number * len / of..(number + 1) * len / of)
}

/// Marks the peaks. A second peak that matches no second is not marked.
fn peaks(plot: &mut Plot, storm: &Storm) {
    let dials = &storm.dials_per_second;
    let Some(first) = dials.iter().position(|dials| *dials == storm.first_peak && *dials > 0) else {
        return;
    };
    let mark = |plot: &mut Plot, at: usize, name: &str| {
        let words = format!("{name} {}/s", count(dials[at].into()));
        plot.dot("peak", (at as f64 + 0.5, dials[at].into()), &words);
    };
    mark(plot, first, "first peak");
    let is_low = |dials: &u32| u64::from(*dials) * 4 < u64::from(storm.first_peak);
    let low = dials.iter().skip(first).position(is_low).map_or(dials.len(), |low| first + low);
    let is_second = |dials: &u32| *dials == storm.second_peak && *dials > 0;
    if let Some(second) = dials.iter().skip(low).position(is_second) {
        mark(plot, low + second, "second peak");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_are_marked_in_place() {
        let storm = Storm {
            dials_per_second: vec![2, 40, 12, 9, 3, 9, 11, 0],
            first_peak: 40,
            second_peak: 11,
            back_50_seconds: Some(2.0),
            back_90_seconds: Some(f64::NAN),
            ..Storm::default()
        };
        let text = curve(&storm, 1).into_string();
        assert!(text.contains("first peak 40/s") && text.contains("second peak 11/s"), "{text}");
        assert!(text.contains("50 % linked, 2.0 s") && !text.contains("90 % linked"), "{text}");
        let missing = curve(&Storm { second_peak: 99, ..storm }, 1).into_string();
        assert!(!missing.contains("second peak"));
    }

    #[test]
    fn a_long_curve_keeps_its_peaks() {
        let mut dials = vec![1; 7_200];
        dials[4_001] = 77;
        let (points, seconds) = steps(&dials);
        assert_eq!((points.len(), seconds), (600, 24));
        assert!(points.iter().any(|(_, height)| *height == 77.0));
    }

    #[test]
    fn the_worst_storms_have_plots_and_all_are_counted() {
        let storm = |first_peak| Storm { first_peak, dials_per_second: vec![first_peak], ..Storm::default() };
        let storms: Vec<Storm> = (0..60).map(storm).collect();
        let text = list(&storms).into_string();
        assert_eq!(text.matches("<figure").count(), PLOTS_MAX);
        assert!(text.contains("storm 60\"") && text.contains("and 10 more storms"));
    }
}
