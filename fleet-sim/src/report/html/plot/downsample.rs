//! Reduces the points of a plot without losing its features.

use std::collections::BinaryHeap;

/// Approximate maximum points of a plot: there are no more pixels to show them.
const POINTS_MAX: usize = 600;
/// Maximum candidate points. More would take noticeable time, in the worst case this times the number selected, and
/// change the plot by less than a pixel.
const CANDIDATES_MAX: usize = 10 * POINTS_MAX;
/// A band has three points for each bucket: low, mean and high.
const BUCKETS_MAX: usize = POINTS_MAX / 3;

/// A series: its value at each point.
pub(crate) type Series<'a> = &'a dyn Fn(usize) -> f64;

/// Returns which of `len` evenly spaced points to draw, in order; all of them if they are few.
///
/// The first, the last, and the lowest and highest of every series are always included. The others are chosen one by
/// one: each is the point furthest, in any series, from the line drawn so far (Ramer, 1972; Douglas and Peucker, 1973).
/// So edges stay sharp, and spikes stay in place.
pub(crate) fn keep_shape(len: usize, series: &[Series<'_>]) -> Vec<usize> {
    if len <= POINTS_MAX {
        return (0..len).collect();
    }
    let points = candidates(len, series);
    let mut kept = vec![0, points.len() - 1];
    for value in series {
        let order = |a: &usize, b: &usize| value(points[*a]).total_cmp(&value(points[*b]));
        kept.extend((0..points.len()).min_by(order));
        kept.extend((0..points.len()).max_by(order));
    }
    kept.sort_unstable();
    kept.dedup();
    let widest = |from, to| widest(&points, from, to, series);
    let mut gaps: BinaryHeap<Gap> = kept.windows(2).filter_map(|pair| widest(pair[0], pair[1])).collect();
    while kept.len() < POINTS_MAX
        && let Some(Gap { from, at, to, .. }) = gaps.pop()
    {
        kept.push(at);
        gaps.extend(widest(from, at));
        gaps.extend(widest(at, to));
    }
    kept.sort_unstable();
    kept.into_iter().map(|at| points[at]).collect()
}

/// Returns the first point, the last, and the lowest and highest of every series in many ranges.
fn candidates(len: usize, series: &[Series<'_>]) -> Vec<usize> {
    let stretches = len.min(CANDIDATES_MAX / (2 * series.len().max(1)));
    let mut points = vec![0, len - 1];
    for number in 0..stretches {
        let stretch = stretch(number, stretches, len);
        for value in series {
            let order = |a: &usize, b: &usize| value(*a).total_cmp(&value(*b));
            points.extend(stretch.clone().min_by(order));
            points.extend(stretch.clone().max_by(order));
        }
    }
    points.sort_unstable();
    points.dedup();
    points
}

/// Returns the point furthest from the line between two points, unless all are on it.
fn widest(points: &[usize], from: usize, to: usize, series: &[Series<'_>]) -> Option<Gap> {
    let (start, end) = (points[from], points[to]);
    let distance = |at: usize, value: &Series<'_>| {
        let part = (at - start) as f64 / (end - start) as f64;
        (value(at) - value(start) - part * (value(end) - value(start))).abs()
    };
    let furthest = |at: usize| series.iter().map(|value| distance(points[at], value)).fold(0.0, f64::max);
    let gap = |at| Gap { distance_bits: furthest(at).to_bits(), from, at, to };
    (from + 1..to).map(gap).max().filter(|gap| gap.distance_bits > 0)
}

/// A range of candidates of which none is selected yet, with the candidate furthest from the line across it. Ordered by
/// that distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Gap {
    /// The bits of the distance: for non-negative floats, bits sort like the numbers.
    distance_bits: u64,
    from: usize,
    at: usize,
    to: usize,
}

/// A range of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    /// Its midpoint.
    pub(crate) at: f64,
    /// The lowest value.
    pub(crate) low: f64,
    /// The mean value.
    pub(crate) mean: f64,
    /// The highest value.
    pub(crate) high: f64,
}

/// Returns points in as many ranges as can be drawn; one for each point if they are few.
pub(crate) fn buckets(points: &[(f64, f64)]) -> Vec<Bucket> {
    let stretches = points.len().min(BUCKETS_MAX);
    let bucket = |points: &[(f64, f64)]| {
        let (first, last) = (points.first()?, points.last()?);
        let values = points.iter().map(|(_, value)| *value);
        Some(Bucket {
            at: f64::midpoint(first.0, last.0),
            low: values.clone().fold(f64::INFINITY, f64::min),
            mean: values.clone().sum::<f64>() / points.len() as f64,
            high: values.fold(f64::NEG_INFINITY, f64::max),
        })
    };
    (0..stretches).filter_map(|number| bucket(&points[stretch(number, stretches, points.len())])).collect()
}

/// Returns one of several equal ranges.
fn stretch(number: usize, of: usize, len: usize) -> std::ops::Range<usize> {
    number * len / of..(number + 1) * len / of
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_points_are_all_kept() {
        assert_eq!(keep_shape(0, &[]), Vec::<usize>::new());
        assert_eq!(keep_shape(3, &[&|at| at as f64]), [0, 1, 2]);
        assert_eq!(buckets(&[]), []);
        assert_eq!(buckets(&[(1.0, 5.0)]), [Bucket { at: 1.0, low: 5.0, mean: 5.0, high: 5.0 }]);
    }

    #[test]
    fn every_spike_and_dip_is_kept_in_place() {
        let spike = |at: usize| if at == 61_803 { 9.0 } else { 1.0 };
        let dip = |at: usize| if at == 7 { -9.0 } else { (at % 5) as f64 };
        let kept = keep_shape(100_000, &[&spike, &dip]);
        assert!(kept.len() <= POINTS_MAX, "{}", kept.len());
        assert!(kept.is_sorted_by(|a, b| a < b), "{kept:?}");
        assert!([0, 7, 61_803, 99_999].iter().all(|at| kept.contains(at)), "{kept:?}");
    }

    #[test]
    fn a_plateau_keeps_its_edges_and_a_line_needs_no_points() {
        let plateau = |at: usize| if (1_500..2_000).contains(&at) { 5.0 } else { 0.0 };
        assert_eq!(keep_shape(3_000, &[&plateau]), [0, 1_499, 1_500, 1_999, 2_000, 2_999]);
    }

    #[test]
    fn a_band_holds_every_point() {
        let points: Vec<_> = (0..10_000).map(|at| (f64::from(at), if at == 5_001 { 70.0 } else { 1.0 })).collect();
        let buckets = buckets(&points);
        assert_eq!(buckets.len(), BUCKETS_MAX);
        let high: Vec<_> = buckets.iter().filter(|bucket| bucket.high == 70.0).collect();
        assert_eq!(high, [&Bucket { at: 5_024.5, low: 1.0, mean: 2.38, high: 70.0 }]);
    }
}
