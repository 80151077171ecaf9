//! Time as an input.
//!
//! The state machines read no clock. Their driver passes the time with every input: a monotonic [`Instant`] for timers,
//! and a [`WallTime`] for people. The wall clock may jump; the instant never goes back.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

/// A point on a monotonic clock, relative to an origin that the driver chooses.
///
/// Only instants of the same driver and process can be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(Duration);

impl Instant {
    /// The driver's origin.
    pub const ORIGIN: Self = Self(Duration::ZERO);

    /// Returns the instant `elapsed` after the driver's origin.
    pub const fn after_origin(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// Returns the time since the driver's origin.
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// Returns the time from `earlier` to this instant, or zero if `earlier` is later.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(delay))
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z, from a wall clock. It may jump in either direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime(u64);

impl WallTime {
    /// The earliest representable time.
    pub const EPOCH: Self = Self(0);

    /// Creates the time `millis` milliseconds after the Unix epoch.
    pub const fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since the Unix epoch.
    pub const fn unix_millis(self) -> u64 {
        self.0
    }

    /// Returns the absolute difference of two times.
    pub const fn distance(self, other: Self) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }

    /// Returns the time from `earlier` to this one, or zero if `earlier` is later.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Returns the time this long before, or the earliest representable one.
    #[must_use]
    pub fn saturating_sub(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Add<Duration> for WallTime {
    type Output = Self;

    fn add(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// The last second that RFC 3339 can represent: 9999-12-31T23:59:59Z.
const WRITABLE_SECONDS_MAX: u64 = 253_402_300_799;

impl fmt::Display for WallTime {
    /// Writes RFC 3339 in UTC with whole seconds, such as `2026-11-22T02:27:04Z`. A time after the year 9999, which
    /// only a peer can send, is written as the last representable second.
    ///
    /// The civil date is computed from the day number as in Howard Hinnant, "chrono-Compatible Low-Level Date
    /// Algorithms".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = (self.0 / 1000).min(WRITABLE_SECONDS_MAX);
        let (days, of_day) = (seconds / 86_400, seconds % 86_400);
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        // Lists have thousands of times, and each `{:02}` takes longer than all of this.
        let mut text = *b"0000-00-00T00:00:00Z";
        let places = [(0, year / 100), (2, year), (5, month), (8, day), (11, hour), (14, minute), (17, second)];
        for (place, number) in places {
            text[place] += u8::try_from(number / 10 % 10).unwrap_or_default();
            text[place + 1] += u8::try_from(number % 10).unwrap_or_default();
        }
        f.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

/// The time passed with every input to a state machine: both clocks, read at the same moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock, for timers.
    pub instant: Instant,
    /// The wall clock, for people and for certificates.
    pub wall: WallTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_time_is_formatted_as_rfc_3339() {
        let check = |millis, text: &str| {
            assert_eq!(WallTime::from_unix_millis(millis).to_string(), text);
        };
        check(0, "1970-01-01T00:00:00Z");
        check(951_782_400_000, "2000-02-29T00:00:00Z");
        check(1_795_314_424_999, "2026-11-22T02:27:04Z");
        check(4_107_542_399_000, "2100-02-28T23:59:59Z");
        check(253_402_300_799_000, "9999-12-31T23:59:59Z");
        check(u64::MAX, "9999-12-31T23:59:59Z");
    }
}
