//! Positions on an axis, and its ticks.

use crate::report::units::{bytes, count, short};

/// Number of ticks that fit beside a plot without crowding it.
const TICKS_ASIDE: f64 = 5.0;
/// Number of ticks that fit below a plot on a screen; on a phone, every other one is omitted.
const TICKS_BELOW: f64 = 7.0;
/// Minimum distance of two ticks, as a fraction of the axis.
const TICK_GAP: f64 = 0.12;
/// Units of time in seconds, with the multiples that count as round.
const CLOCK: [(f64, &str, &[f64]); 4] = [
    (1.0, "s", &[1.0, 2.0, 5.0, 10.0, 20.0, 30.0]),
    (60.0, "min", &[1.0, 2.0, 5.0, 10.0, 20.0, 30.0]),
    (3_600.0, "h", &[1.0, 2.0, 3.0, 6.0, 12.0]),
    (DAY, "d", &[1.0, 2.0, 5.0]),
];
const DAY: f64 = 86_400.0;

/// An axis that starts at zero.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    end: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Creates a time axis up to `end`, in seconds.
    pub(crate) fn time(end: f64) -> Self {
        let end = checked(end);
        let rough = end / TICKS_BELOW;
        let round = CLOCK.iter().find_map(|(unit, name, steps)| {
            steps.iter().map(|step| step * unit).find(|step| rough <= *step).map(|step| (step, *unit, *name))
        });
        let (step, unit, name) = round.unwrap_or_else(|| (nice(rough / DAY) * DAY, DAY, "d"));
        let label = |at: f64| if at == 0.0 { "0".into() } else { format!("{} {name}", short(at / unit)) };
        Self { end, ticks: steps(step, end).map(|at| (at, label(at))).collect() }
    }

    /// Creates an axis for numbers up to `most`, rounded up.
    pub(crate) fn count(most: f64) -> Self {
        Self::rounded(most, short)
    }

    /// Creates an axis for bytes up to `most`, rounded up.
    pub(crate) fn bytes(most: f64) -> Self {
        Self::rounded(most, |value| if value == 0.0 { "0".into() } else { bytes(value) })
    }

    /// Creates an axis that ends at exactly `all`, with a tick there.
    pub(crate) fn all(all: u32) -> Self {
        let end = checked(all.into());
        let is_clear = |at: &f64| end - at >= TICK_GAP * end;
        let mut ticks: Vec<_> =
            steps(nice(end / TICKS_ASIDE).max(1.0), end).filter(is_clear).map(|at| (at, short(at))).collect();
        ticks.push((end, count(all.max(1).into())));
        Self { end, ticks }
    }

    fn rounded(most: f64, label: impl Fn(f64) -> String) -> Self {
        let most = checked(most);
        let step = nice(most / TICKS_ASIDE);
        let end = (most / step).ceil() * step;
        Self { end, ticks: steps(step, end).map(|at| (at, label(at))).collect() }
    }

    /// Returns the ticks with their labels.
    pub(crate) fn ticks(&self) -> &[(f64, String)] {
        &self.ticks
    }

    /// Returns the position of a value, from 0 to 1. Values beyond an end are clamped; NaN is at the start.
    pub(crate) fn fraction(&self, value: f64) -> f64 {
        let fraction = value / self.end;
        if fraction.is_nan() { 0.0 } else { fraction.clamp(0.0, 1.0) }
    }

    /// Returns the position of a value, from the left.
    pub(crate) fn percent(&self, value: f64) -> String {
        percent(self.fraction(value))
    }

    /// Returns the position of a value, from the top.
    pub(crate) fn percent_from_top(&self, value: f64) -> String {
        percent(1.0 - self.fraction(value))
    }
}

/// Returns `end` if it is a valid end of an axis, or else 1.
fn checked(end: f64) -> f64 {
    if end.is_finite() && end > 0.0 { end } else { 1.0 }
}

/// Returns the next number that is 1, 2 or 5 times a power of ten.
fn nice(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    let digit = [1.0, 2.0, 5.0].into_iter().find(|digit| rough <= digit * power * 1.000_001).unwrap_or(10.0);
    digit * power
}

/// Returns zero and every multiple of a step up to an end.
fn steps(step: f64, end: f64) -> impl Iterator<Item = f64> {
    // A limit for any axis, in case the step is too small.
    (0..=16_u32).map(move |number| f64::from(number) * step).take_while(move |at| *at <= end * 1.000_001)
}

fn percent(fraction: f64) -> String {
    let digits = format!("{:.2}", fraction * 100.0);
    format!("{}%", digits.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks().iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn time_is_labeled_in_a_suitable_unit() {
        let check = |end, expected: &[&str]| assert_eq!(labels(&Axis::time(end)), expected, "{end}");
        check(5.0, &["0", "1 s", "2 s", "3 s", "4 s", "5 s"]);
        check(200.0, &["0", "30 s", "60 s", "90 s", "120 s", "150 s", "180 s"]);
        check(3_600.0, &["0", "10 min", "20 min", "30 min", "40 min", "50 min", "60 min"]);
        check(DAY, &["0", "6 h", "12 h", "18 h", "24 h"]);
        check(30.0 * DAY, &["0", "5 d", "10 d", "15 d", "20 d", "25 d", "30 d"]);
        check(400.0 * DAY, &["0", "100 d", "200 d", "300 d", "400 d"]);
    }

    #[test]
    fn axes_end_at_round_numbers_or_the_number_of_sites() {
        assert_eq!(labels(&Axis::count(37.0)), ["0", "10", "20", "30", "40"]);
        assert_eq!(labels(&Axis::count(1_800.0)), ["0", "500", "1 k", "1.5 k", "2 k"]);
        assert_eq!(labels(&Axis::bytes(3_100.0)), ["0", "1 kB", "2 kB", "3 kB", "4 kB"]);
        assert_eq!(labels(&Axis::all(487)), ["0", "100", "200", "300", "400", "487"]);
        assert_eq!(labels(&Axis::all(500)), ["0", "100", "200", "300", "400", "500"]);
        assert_eq!(labels(&Axis::all(0)), ["0", "1"]);
    }

    #[test]
    fn every_axis_can_be_drawn() {
        for end in [f64::NAN, f64::INFINITY, -3.0, 0.0, 1e-300, 1e300, u64::MAX as f64] {
            for axis in [Axis::time(end), Axis::count(end), Axis::bytes(end)] {
                assert!((1..=17).contains(&axis.ticks().len()), "{axis:?}");
                assert!(axis.fraction(f64::NAN) == 0.0 && axis.fraction(f64::INFINITY) == 1.0, "{axis:?}");
                assert!(axis.percent(axis.end) == "100%" && axis.percent_from_top(axis.end) == "0%", "{axis:?}");
            }
        }
    }
}
