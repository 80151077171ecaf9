//! Medians and percentiles of timings.

use std::time::Duration;

/// Returns the value below which the share `part` (0 to 1) of `values` lies; the nearest rank.
///
/// # Panics
/// If `values` is empty.
pub(crate) fn percentile(values: &[Duration], part: f64) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank among a few thousand values"
    )]
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// Returns the median.
///
/// # Panics
/// If `values` is empty.
pub(crate) fn median(values: &[Duration]) -> Duration {
    percentile(values, 0.5)
}

/// Returns the median of numbers.
///
/// # Panics
/// If `values` is empty.
pub(crate) fn median_of(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Returns milliseconds with a fraction.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Returns microseconds with a fraction.
pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Converts a count to a float.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
pub(crate) const fn count(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        let values: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&values, 0.99), Duration::from_millis(99));
        assert_eq!(median(&values), Duration::from_millis(50));
        assert_eq!(percentile(&values[..1], 0.99), Duration::from_millis(100));
        assert!((median_of(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
    }
}
