//! Assigns reconnect times, at a steady rate, to members that are told to reconnect later.

use std::time::Duration;

use linecamp_model::Instant;

/// Reconnect slots, assigned at a steady rate.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    per_second: u32,
    next: Instant,
}

impl Slots {
    /// Creates slots at a rate.
    pub(crate) const fn new(per_second: u32) -> Self {
        Self { per_second, next: Instant::ORIGIN }
    }

    /// Assigns the next slot and returns the delay until then.
    pub(crate) fn take(&mut self, now: Instant) -> Duration {
        let slot = self.next.max(now);
        self.next = slot + Duration::from_secs(1) / self.per_second;
        slot.saturating_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_consecutive_and_unused_time_is_not_saved() {
        let (mut slots, second) = (Slots::new(2), Duration::from_secs(1));
        let start = Instant::ORIGIN + second;
        assert_eq!([slots.take(start), slots.take(start), slots.take(start)], [Duration::ZERO, second / 2, second]);
        assert_eq!(slots.take(start + second * 60), Duration::ZERO);
        assert_eq!(slots.take(start + second * 60), second / 2);
    }
}
