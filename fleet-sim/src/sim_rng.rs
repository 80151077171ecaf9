//! All randomness of a run comes from its seed, in independent streams.
//!
//! Each site has its own streams, derived from the seed and the site's number. What happens to one site does not shift
//! the draws of another, so a run with fewer sites repeats the run of those sites.

use std::time::Duration;

use linecamp_core::Rng;

/// A random stream.
#[derive(Clone, Debug)]
pub(crate) struct SimRng(Rng);

/// The purpose of a stream: streams of one site with different purposes are independent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Plan = 1,
    Line = 2,
    Machine = 3,
    Key = 4,
    Profile = 5,
    Server = 6,
    Partition = 7,
    Wire = 8,
    Dns = 9,
    NameServer = 10,
    Members = 11,
    Hostile = 12,
}

impl SimRng {
    /// Returns the stream of `seed` for `purpose` and the subject's `number`.
    pub(crate) fn of(seed: u64, purpose: Purpose, number: u64) -> Self {
        let mut root = Rng::new(seed ^ 0x6c69_6e65_6361_6d70);
        let of_purpose = root.next_u64() ^ (purpose as u64).wrapping_mul(0x9e6c_63d0_876a_3f35);
        let mut of_number = Rng::new(of_purpose ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        of_number.next_u64();
        Self(of_number)
    }

    /// Returns 64 fresh bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Returns a number below `bound`, or zero if `bound` is zero.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound.max(1)
    }

    /// Returns a duration between `min` and `max`, inclusive.
    pub(crate) fn between(&mut self, min: Duration, max: Duration) -> Duration {
        min + self.0.delay_up_to(max.saturating_sub(min))
    }

    /// Returns true with a probability of `per_mille` in a thousand.
    pub(crate) fn happens(&mut self, per_mille: u32) -> bool {
        self.below(1_000) < u64::from(per_mille)
    }

    /// Returns a random count with mean `expected`: its integer part, plus one with the probability of its fraction. No
    /// logarithm is used, because results differ between machines.
    pub(crate) fn count(&mut self, expected: f64) -> u64 {
        let micros = (expected.clamp(0.0, 1e9) * 1e6).floor();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 to 1e15")]
        let micros = micros as u64;
        micros / 1_000_000 + u64::from(self.below(1_000_000) < micros % 1_000_000)
    }

    /// Returns `N` random bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.0.next_u64().to_le_bytes()[0])
    }

    /// Returns a generator for a state machine.
    pub(crate) fn core_rng(&mut self) -> Rng {
        Rng::new(self.bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_independent() {
        let draw = |purpose, number| SimRng::of(7, purpose, number).bits();
        assert_eq!(draw(Purpose::Plan, 1), draw(Purpose::Plan, 1));
        assert_ne!(draw(Purpose::Plan, 1), draw(Purpose::Plan, 2));
        assert_ne!(draw(Purpose::Plan, 1), draw(Purpose::Line, 1));
    }

    #[test]
    fn the_mean_of_counts_is_the_expected_value() {
        let mut rng = SimRng::of(1, Purpose::Plan, 0);
        let sum: u64 = (0..10_000).map(|_| rng.count(1.25)).sum();
        assert!((12_000..13_000).contains(&sum), "{sum}");
        assert_eq!(rng.count(0.0), 0);
    }
}
