//! How text is rendered: colors, ages and remaining times.

use std::time::SystemTime;

use linecamp_model::printable;
use linecamp_table::Color;

/// How to render text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextStyle {
    /// Whether to use colors.
    pub(crate) colors: bool,
    /// The reference time for ages.
    pub(crate) now: SystemTime,
}

impl TextStyle {
    /// Returns the age of an RFC 3339 timestamp in its largest unit: `42s`, `12m`, `5h`, `400d`.
    ///
    /// A timestamp in the future is `0s`: the server's clock may be slightly ahead. An invalid timestamp is `?`.
    pub(crate) fn age(&self, since: &str) -> String {
        let Ok(since) = humantime::parse_rfc3339(since) else {
            return "?".into();
        };
        let seconds = self.now.duration_since(since).unwrap_or_default().as_secs();
        in_largest_unit(seconds)
    }

    /// Returns the time until an RFC 3339 timestamp, like [`age`](Self::age) but rounded up to a minute, so that a
    /// token just created for 24 hours shows `1d`.
    pub(crate) fn until(&self, moment: &str) -> String {
        let Ok(moment) = humantime::parse_rfc3339(moment) else {
            return "?".into();
        };
        let seconds = moment.duration_since(self.now).unwrap_or_default().as_secs();
        in_largest_unit(seconds.next_multiple_of(60))
    }

    /// Returns `text` in a color if colors are enabled. Control characters are replaced.
    pub(crate) fn paint(&self, text: &str, color: Color) -> String {
        color.paint(&printable(text), self.colors)
    }
}

/// Formats a duration in its largest unit.
pub(crate) fn in_largest_unit(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Returns a style without colors, at 2026-11-22T02:27:00Z.
#[cfg(test)]
pub(crate) fn plain() -> TextStyle {
    TextStyle { colors: false, now: humantime::parse_rfc3339("2026-11-22T02:27:00Z").expect("valid") }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn an_age_is_shown_in_its_largest_unit() {
        let check = |since, expected: &str| assert_eq!(plain().age(since), expected);
        check("2026-11-22T02:26:18Z", "42s");
        check("2026-11-22T02:14:30Z", "12m");
        check("2026-11-21T03:27:00Z", "23h");
        check("2026-11-19T02:27:00Z", "3d");
        check("2025-10-18T02:27:00Z", "400d");
        check("2026-11-22T02:28:00Z", "0s");
        check("yesterday", "?");
    }

    #[test]
    fn the_time_until_is_rounded_up_to_a_minute() {
        assert_eq!(plain().until("2026-11-23T02:26:59Z"), "1d");
        assert_eq!(plain().until("2026-11-22T02:28:01Z"), "2m");
        assert_eq!(plain().until("2026-11-21T02:28:01Z"), "0s");
    }
}
