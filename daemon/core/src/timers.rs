//! A table of deadlines: at most one for each timer of a machine.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::Instant;

/// Deadlines by timer. Setting a timer again moves it.
#[derive(Clone, Debug)]
pub(crate) struct Timers<T> {
    deadlines: BTreeMap<T, Instant>,
    order: BTreeSet<(Instant, T)>,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { deadlines: BTreeMap::new(), order: BTreeSet::new() }
    }
}

impl<T: Copy + Ord> Timers<T> {
    /// Sets `timer` to expire at `deadline`.
    pub(crate) fn set(&mut self, timer: T, deadline: Instant) {
        self.clear(timer);
        self.deadlines.insert(timer, deadline);
        self.order.insert((deadline, timer));
    }

    /// Clears `timer`, if it is set.
    pub(crate) fn clear(&mut self, timer: T) {
        if let Some(deadline) = self.deadlines.remove(&timer) {
            self.order.remove(&(deadline, timer));
        }
    }

    /// Removes and returns the earliest expired timer.
    pub(crate) fn pop_expired(&mut self, now: Instant) -> Option<T> {
        let (deadline, timer) = *self.order.first()?;
        if now < deadline {
            return None;
        }
        self.clear(timer);
        Some(timer)
    }

    /// Returns the next deadline and its timer.
    pub(crate) fn next(&self) -> Option<(Instant, T)> {
        self.order.first().copied()
    }

    /// Returns the deadline of `timer`, if it is set.
    pub(crate) fn deadline(&self, timer: T) -> Option<Instant> {
        self.deadlines.get(&timer).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const fn at(seconds: u64) -> Instant {
        Instant::after_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn timers_fire_in_the_order_of_their_deadlines() {
        let mut timers = Timers::default();
        timers.set('b', at(2));
        timers.set('a', at(3));
        timers.set('b', at(4));
        assert_eq!(timers.pop_expired(at(2)), None, "b was moved");
        assert_eq!(timers.next(), Some((at(3), 'a')));
        assert_eq!(timers.pop_expired(at(9)), Some('a'));
        assert_eq!(timers.pop_expired(at(9)), Some('b'));
        assert_eq!(timers.next(), None);
    }
}
