//! Wall clocks that may be wrong.

use std::time::Duration;

use linecamp_model::{Instant, Now, WallTime};

/// What a correct clock shows when a run starts: 2026-11-22T00:00:00Z. The date is arbitrary.
const STARTED_AT_MILLIS: u64 = 1_795_305_600_000;

/// A wall clock with an offset in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clock {
    pub(crate) ahead_millis: i64,
}

impl Clock {
    /// Returns a clock that shows 1970 at `elapsed`.
    pub(crate) fn lost(elapsed: Duration) -> Self {
        let correct = Self::default().wall(elapsed).unix_millis();
        Self { ahead_millis: i64::try_from(correct).map_or(i64::MIN, |millis| -millis) }
    }

    /// Returns what the clock shows after `elapsed` of the run.
    pub(crate) fn wall(self, elapsed: Duration) -> WallTime {
        let correct = STARTED_AT_MILLIS + u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX / 2);
        WallTime::from_unix_millis(correct.saturating_add_signed(self.ahead_millis))
    }

    /// Returns both clocks of a machine.
    pub(crate) fn now(self, elapsed: Duration) -> Now {
        Now { instant: Instant::after_origin(elapsed), wall: self.wall(elapsed) }
    }
}
