//! Numbers formatted for people. Invalid or impossible numbers are shown as `-`.

use std::time::Duration;

/// Shown where there is no value.
pub(crate) const NOTHING: &str = "-";

/// Limit for durations shown in seconds with one decimal; larger ones would round to `60.0 s`.
const SECONDS_UNTIL: Duration = Duration::from_millis(59_950);

/// Returns a duration in its two largest units: `350 ms`, `12.4 s`, `3 min 20 s`, `4 h 5 min`, `30 d`.
pub(crate) fn duration(seconds: f64) -> String {
    let Ok(exact) = Duration::try_from_secs_f64(seconds) else {
        return NOTHING.into();
    };
    let seconds = exact.saturating_add(Duration::from_millis(500)).as_secs();
    let (minutes, hours) = (seconds.saturating_add(30) / 60, seconds.saturating_add(1_800) / 3_600);
    if exact.is_zero() {
        "0 s".into()
    } else if exact < Duration::from_secs(1) {
        format!("{} ms", exact.as_millis().max(1))
    } else if exact < SECONDS_UNTIL {
        format!("{:.1} s", exact.as_secs_f64())
    } else if seconds < 3_600 {
        pair((seconds / 60, "min"), (seconds % 60, "s"))
    } else if minutes < 24 * 60 {
        pair((minutes / 60, "h"), (minutes % 60, "min"))
    } else {
        pair((hours / 24, "d"), (hours % 24, "h"))
    }
}

/// Returns a duration, or [`NOTHING`] if there is none.
pub(crate) fn duration_or_nothing(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| NOTHING.into(), duration)
}

/// Returns a time to the millisecond: `04:12:07.250`, `3 d 04:12:07.250`.
pub(crate) fn moment(seconds: f64) -> String {
    let Ok(exact) = Duration::try_from_secs_f64(seconds) else {
        return NOTHING.into();
    };
    let (days, rest) = (exact.as_secs() / 86_400, exact.as_secs() % 86_400);
    let day = if days == 0 { String::new() } else { format!("{} d ", count(days)) };
    format!("{day}{:02}:{:02}:{:02}.{:03}", rest / 3_600, rest / 60 % 60, rest % 60, exact.subsec_millis())
}

/// Returns a count with thousands separators: `1,234,567`.
pub(crate) fn count(count: u64) -> String {
    grouped(&count.to_string())
}

/// Returns a count with its noun, singular if it is one.
pub(crate) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(&number.to_string()), if number == 1 { one } else { many })
}

/// Returns the ratio of two values with its unit: `12,400/s`, `3.5 per day`.
pub(crate) fn ratio(count: f64, by: f64, unit: &str) -> String {
    let ratio = count / by;
    if !ratio.is_finite() || ratio < 0.0 {
        NOTHING.into()
    } else if ratio < 9.95 {
        format!("{ratio:.1}{unit}")
    } else {
        format!("{}{unit}", grouped(&format!("{ratio:.0}")))
    }
}

/// Returns a number with three significant digits and the letter of its power of a thousand: `1.5 k`, `31.2 M`.
pub(crate) fn short(number: f64) -> String {
    scaled(number, &["", "k", "M", "G", "T", "P", "E"])
}

/// Returns a number of bytes, in powers of a thousand as on a bill: `1.23 MB`.
pub(crate) fn bytes(bytes: f64) -> String {
    scaled(bytes, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

fn scaled(number: f64, units: &[&str]) -> String {
    if !number.is_finite() {
        return NOTHING.into();
    }
    let (mut left, mut units) = (number, units.iter());
    let mut unit = units.next().copied().unwrap_or_default();
    while left.abs() >= 999.5
        && let Some(next) = units.next()
    {
        left /= 1_000.0;
        unit = next;
    }
    let digits = match left.abs() {
        0.0..9.995 => format!("{left:.2}"),
        9.995..99.95 => format!("{left:.1}"),
        _ => format!("{left:.0}"),
    };
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { &digits };
    format!("{digits} {unit}").trim_end().to_owned()
}

fn pair((large, large_unit): (u64, &str), (small, small_unit): (u64, &str)) -> String {
    match small {
        0 => format!("{} {large_unit}", count(large)),
        _ => format!("{} {large_unit} {small} {small_unit}", count(large)),
    }
}

fn grouped(digits: &str) -> String {
    let separator = |at: usize| if at > 0 && (digits.len() - at).is_multiple_of(3) { "," } else { "" };
    digits.char_indices().map(|(at, digit)| format!("{}{digit}", separator(at))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_shown_in_its_two_largest_units() {
        let check = |seconds, expected: &str| assert_eq!(duration(seconds), expected, "{seconds}");
        check(0.0, "0 s");
        check(0.000_2, "1 ms");
        check(0.35, "350 ms");
        check(12.44, "12.4 s");
        check(59.97, "1 min");
        check(200.0, "3 min 20 s");
        check(3_599.6, "1 h");
        check(14_700.0, "4 h 5 min");
        check(86_399.0, "1 d");
        check(30.0 * 86_400.0, "30 d");
        check(400.0 * 86_400.0 + 7_200.0, "400 d 2 h");
        check(f64::NAN, "-");
        check(f64::INFINITY, "-");
        check(-1.0, "-");
        check(1e19, "115,740,740,740,740 d 18 h");
        check(1e300, "-");
    }

    #[test]
    fn a_time_is_shown_to_the_millisecond() {
        assert_eq!(moment(15_127.25), "04:12:07.250");
        assert_eq!(moment(3.0 * 86_400.0 + 1.0), "3 d 00:00:01.000");
        assert_eq!(moment(f64::NAN), "-");
    }

    #[test]
    fn numbers_are_grouped_or_scaled() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "site", "sites"), "1 site");
        assert_eq!(counted(2_000, "site", "sites"), "2,000 sites");
        assert_eq!(ratio(7.0, 2.0, "×"), "3.5×");
        assert_eq!(ratio(24_800.0, 2.0, "/s"), "12,400/s");
        assert_eq!(ratio(1.0, 0.0, "/s"), "-");
        assert_eq!(ratio(0.0, 0.0, "/s"), "-");
        assert_eq!(short(0.0), "0");
        assert_eq!(short(1_500.0), "1.5 k");
        assert_eq!(short(999_700.0), "1 M");
        assert_eq!(bytes(640.0), "640 B");
        assert_eq!(bytes(12_345_678.0), "12.3 MB");
        assert_eq!(bytes(100_000.0), "100 kB");
        assert_eq!(bytes(f64::INFINITY), "-");
    }
}
