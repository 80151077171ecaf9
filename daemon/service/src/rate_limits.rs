//! Rate limits with token buckets. Time is passed as an argument; nothing here waits.
//!
//! A bucket is stored as the time at which it will be full again (the generic cell rate algorithm, ATM Forum TM 4.0,
//! 4.4.2): as long as that is less than a burst away, there is a token.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A rate limit: a burst, and then one token per interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The number of tokens in a full bucket.
    pub burst: u32,
    /// The time to refill one token.
    pub interval: Duration,
}

/// The bucket of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    full_at: Instant,
}

impl TokenBucket {
    /// Creates a full bucket.
    pub const fn full(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Takes `tokens`, if available.
    ///
    /// # Errors
    /// The time until they are available. Nothing is taken then.
    pub fn take(&mut self, tokens: u32, limit: RateLimit, now: Instant) -> Result<(), Duration> {
        let before = *self;
        match self.reserve(tokens, limit, now) {
            Duration::ZERO => Ok(()),
            wait => {
                *self = before;
                Err(wait)
            }
        }
    }

    /// Takes `tokens` unconditionally and returns how long to wait before using them: zero if they are available.
    pub fn reserve(&mut self, tokens: u32, limit: RateLimit, now: Instant) -> Duration {
        self.full_at = self.full_at.max(now) + limit.interval * tokens;
        (self.full_at - now).saturating_sub(limit.interval * limit.burst)
    }
}

/// The buckets of many sources, with one limit.
#[derive(Clone, Debug)]
pub struct TokenBuckets<S> {
    limit: RateLimit,
    sources_max: usize,
    buckets: BTreeMap<S, TokenBucket>,
    /// Shared by all sources beyond the maximum.
    shared: Option<TokenBucket>,
}

impl<S: Ord> TokenBuckets<S> {
    /// Creates buckets for at most `sources_max` sources. Further sources share one bucket until some of the others are
    /// full again.
    pub const fn new(limit: RateLimit, sources_max: usize) -> Self {
        Self { limit, sources_max, buckets: BTreeMap::new(), shared: None }
    }

    /// Takes `tokens` for a source, like [`TokenBucket::take`].
    ///
    /// # Errors
    /// The time until they are available.
    pub fn take(&mut self, source: S, tokens: u32, now: Instant) -> Result<(), Duration> {
        let limit = self.limit;
        self.bucket(source, now).take(tokens, limit, now)
    }

    /// Takes `tokens` for a source and returns how long to wait before using them.
    ///
    /// # Errors
    /// The wait, if it is longer than `wait_max`. Nothing is taken then.
    pub fn reserve_within(
        &mut self,
        source: S,
        tokens: u32,
        wait_max: Duration,
        now: Instant,
    ) -> Result<Duration, Duration> {
        let limit = self.limit;
        let bucket = self.bucket(source, now);
        let before = *bucket;
        let wait = bucket.reserve(tokens, limit, now);
        if wait_max < wait {
            *bucket = before;
            return Err(wait);
        }
        Ok(wait)
    }

    fn bucket(&mut self, source: S, now: Instant) -> &mut TokenBucket {
        if !self.buckets.contains_key(&source) && self.sources_max <= self.buckets.len() {
            // A full bucket is equivalent to none.
            self.buckets.retain(|_, bucket| now < bucket.full_at);
            if self.sources_max <= self.buckets.len() {
                return self.shared.get_or_insert_with(|| TokenBucket::full(now));
            }
        }
        self.buckets.entry(source).or_insert_with(|| TokenBucket::full(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit { burst: 10, interval: Duration::from_millis(100) };

    #[test]
    fn a_flood_gets_its_burst_and_then_the_rate() {
        let mut now = Instant::now();
        let mut bucket = TokenBucket::full(now);
        let mut taken = 0;
        for _ in 0..60_000 {
            taken += u32::from(bucket.take(1, LIMIT, now).is_ok());
            now += Duration::from_millis(1);
        }
        assert_eq!(taken, 10 + 599, "the burst, and ten in each second of the minute");
    }

    #[test]
    fn a_rejected_request_takes_no_token_and_states_the_wait() {
        let now = Instant::now();
        let mut bucket = TokenBucket::full(now);
        assert_eq!(bucket.take(10, LIMIT, now), Ok(()));
        assert_eq!(bucket.take(2, LIMIT, now), Err(Duration::from_millis(200)));
        assert_eq!(bucket.take(2, LIMIT, now + Duration::from_millis(199)), Err(Duration::from_millis(1)));
        assert_eq!(bucket.take(2, LIMIT, now + Duration::from_millis(200)), Ok(()));
    }

    #[test]
    fn reservations_queue_up_one_interval_after_the_other() {
        let now = Instant::now();
        let mut bucket = TokenBucket::full(now);
        assert_eq!(bucket.reserve(10, LIMIT, now), Duration::ZERO);
        assert_eq!(bucket.reserve(1, LIMIT, now), Duration::from_millis(100));
        assert_eq!(bucket.reserve(1, LIMIT, now), Duration::from_millis(200));

        let mut buckets = TokenBuckets::new(LIMIT, 1);
        let mut waits = Vec::new();
        for _ in 0..1_000 {
            waits.extend(buckets.reserve_within("flood", 1, Duration::from_secs(1), now));
        }
        assert_eq!((waits.len(), waits.last()), (20, Some(&Duration::from_secs(1))), "nobody waits for longer");
    }

    #[test]
    fn one_source_does_not_use_up_the_tokens_of_another_and_sources_are_bounded() {
        let mut now = Instant::now();
        let mut buckets = TokenBuckets::new(LIMIT, 2);
        for source in 0..2 {
            assert_eq!(buckets.take(source, 10, now), Ok(()));
        }
        for source in 2..1_000 {
            let expected = if source < 12 { Ok(()) } else { Err(LIMIT.interval) };
            assert_eq!(buckets.take(source, 1, now), expected, "{source} shares a bucket");
        }
        assert_eq!(buckets.buckets.len(), 2);
        now += Duration::from_secs(2);
        assert_eq!(buckets.take(1_000, 10, now), Ok(()), "what is full again is forgotten");
        assert_eq!(buckets.buckets.len(), 1);
    }
}
