//! The server's clock as the site knows it, and whether the site's own clock agrees.
//!
//! The server's time arrives in the handshake. After that it is continued by the monotonic clock, which nobody sets and
//! which counts the time that the machine is suspended. A step of the wall clock is therefore seen while the link is
//! up, at the next collection of facts: within [`FACTS_PERIOD`](super::config::FACTS_PERIOD). A correction that the
//! kernel makes slowly (slewing) changes both clocks alike and is seen only at the next handshake.

use std::time::Duration;

use linecamp_model::{ConditionKind, Now, Text, WallTime};

use super::config::{CLOCK_SKEW_MAX, CLOCK_STEP_MIN};
use super::effects::Effects;
use super::text::coarse;

/// The server's clock, from the last handshake.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerClock(Option<Reading>);

/// What both clocks showed at one moment.
#[derive(Clone, Copy, Debug)]
struct Reading {
    own: Now,
    server: WallTime,
}

impl ServerClock {
    /// Starts without a reading.
    pub(super) const fn new() -> Self {
        Self(None)
    }

    /// Notes the server's time in a handshake, and whether the own clock is wrong.
    pub(super) fn handle_welcome(&mut self, server: WallTime, now: Now, effects: &mut Effects) {
        self.compare(Reading { own: now, server }, effects);
    }

    /// Checks whether the own clock was set since the last reading. A smaller change than [`CLOCK_STEP_MIN`] is the
    /// monotonic clock that drifts, and the wall clock that is kept correct: the difference to the server stays.
    pub(super) fn handle_tick(&mut self, now: Now, effects: &mut Effects) {
        let Some(Reading { own, server }) = self.0 else { return };
        let elapsed = now.instant.saturating_since(own.instant);
        let (expected, server) = (own.wall + elapsed, server + elapsed);
        if CLOCK_STEP_MIN <= now.wall.distance(expected) {
            return self.compare(Reading { own: now, server }, effects);
        }
        let (ahead, behind) = (now.wall.saturating_since(expected), expected.saturating_since(now.wall));
        self.0 = Some(Reading { own: now, server: before(server + ahead, behind) });
    }

    /// Returns what the server's clock shows now; the own clock before the first handshake.
    pub(super) fn now(&self, now: Now) -> WallTime {
        self.0.map_or(now.wall, |Reading { own, server }| server + now.instant.saturating_since(own.instant))
    }

    fn compare(&mut self, reading: Reading, effects: &mut Effects) {
        let Reading { own, server } = reading;
        self.0 = Some(reading);
        let skew = own.wall.distance(server);
        let detail = (CLOCK_SKEW_MAX < skew).then(|| {
            let side = if own.wall < server { "behind" } else { "ahead of" };
            Text::lossy(&format!(
                "the site's clock is {} {side} the server's: set it, or enable time sync",
                coarse(skew)
            ))
        });
        effects.set_condition(ConditionKind::ClockSkew, detail, own);
    }
}

/// Returns the time `span` before `time`.
fn before(time: WallTime, span: Duration) -> WallTime {
    WallTime::EPOCH + time.saturating_since(WallTime::EPOCH + span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::testing::{NOW, effects};

    const MINUTE: Duration = Duration::from_secs(60);

    fn later(minutes: u32, wall_seconds: u64) -> Now {
        Now { instant: NOW.instant + MINUTE * minutes, wall: NOW.wall + Duration::from_secs(wall_seconds) }
    }

    #[test]
    fn a_step_raises_the_condition_and_its_correction_clears_it() {
        let (mut clock, mut effects) = (ServerClock::new(), effects());
        clock.handle_tick(NOW, &mut effects);
        clock.handle_welcome(NOW.wall, NOW, &mut effects);
        for (minutes, wall, is_wrong) in
            [(1, 60, false), (2, 210, false), (3, 300, true), (4, 240, false), (5, 0, true)]
        {
            clock.handle_tick(later(minutes, wall), &mut effects);
            assert_eq!(effects.conditions().has(ConditionKind::ClockSkew), is_wrong, "minute {minutes}");
            assert_eq!(clock.now(later(minutes, wall)), NOW.wall + MINUTE * minutes);
        }
    }

    #[test]
    fn a_monotonic_clock_that_drifts_is_not_a_step() {
        for second in [999, 1_001] {
            let (mut clock, mut effects) = (ServerClock::new(), effects());
            clock.handle_welcome(NOW.wall, NOW, &mut effects);
            for minutes in 1..10_000 {
                let wall = NOW.wall + Duration::from_millis(u64::from(minutes) * 60 * second);
                clock.handle_tick(Now { wall, ..later(minutes, 0) }, &mut effects);
            }
            assert!(!effects.conditions().has(ConditionKind::ClockSkew));
        }
    }
}
