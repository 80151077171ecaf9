//! Retry delays: random, growing, bounded.
//!
//! Full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): each delay is drawn
//! uniformly from zero to a ceiling that doubles, so that clients that failed together do not return together. The
//! caller sets the first ceiling: a server spreads its whole fleet over it.

use std::time::Duration;

use crate::rng::Rng;

/// The state of one sequence of retries.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// Starts a sequence of retries.
    pub(crate) const fn new() -> Self {
        Self { tries: 0 }
    }

    /// Returns the delay before the next attempt. `spread` is the ceiling of the first delay, `ceiling_max` that of
    /// all.
    pub(crate) fn next(&mut self, spread: Duration, ceiling_max: Duration, rng: &mut Rng) -> Duration {
        let doubled = spread.saturating_mul(1 << self.tries.min(20));
        self.tries = self.tries.saturating_add(1);
        let ceiling = doubled.min(ceiling_max);
        rng.delay_up_to(ceiling)
    }

    /// Resets the sequence: the next delay is a first one.
    pub(crate) const fn reset(&mut self) {
        self.tries = 0;
    }

    /// Returns the number of delays since the last reset.
    pub(crate) const fn tries(&self) -> u32 {
        self.tries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_up_to_their_ceiling() {
        let (mut backoff, mut rng) = (Backoff::new(), Rng::new(1));
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let delays: Vec<_> = (0..200).map(|_| backoff.next(second, minute, &mut rng)).collect();
        assert!(delays[0] <= second);
        assert!(delays.iter().all(|delay| *delay <= Duration::from_secs(60)));
        assert!(delays[10..].iter().any(|delay| Duration::from_secs(30) < *delay));
        backoff.reset();
        assert!(backoff.next(second, minute, &mut rng) <= second);
    }
}
