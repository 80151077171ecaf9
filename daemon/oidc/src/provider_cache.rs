//! What is known of a provider, how long it is used, and when it may be read again.
//!
//! Metadata and keys are read when they are needed, and used for [`DOCUMENT_LIFE`]. A token with an unknown key reads
//! the keys again, because they may have been rotated, at most every [`KEYS_AGAIN_AFTER`]: tokens that are made up must
//! not cause traffic. After a failure, nothing is read for [`FAILURE_PAUSE`], so that logins do not queue at a provider
//! that does not answer.

use std::time::Duration;

use linecamp_model::Instant;

use crate::keys::KeySet;
use crate::metadata::ProviderMetadata;

/// How long metadata and keys are used before they are read again.
pub const DOCUMENT_LIFE: Duration = Duration::from_secs(3600);

/// How often unknown keys may cause the keys to be read again.
pub const KEYS_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// How long a provider that failed is left alone. Logins that begin meanwhile get the same error.
pub const FAILURE_PAUSE: Duration = Duration::from_secs(5);

/// The documents of a provider.
#[derive(Clone, Debug, Default)]
pub struct ProviderCache {
    metadata: Option<(ProviderMetadata, Instant)>,
    keys: Option<(KeySet, Instant)>,
    failure: Option<(String, Instant)>,
}

impl ProviderCache {
    /// Returns the metadata, unless it has to be read.
    pub fn metadata(&self, now: Instant) -> Option<&ProviderMetadata> {
        fresh(self.metadata.as_ref(), DOCUMENT_LIFE, now)
    }

    /// Returns the keys, unless they have to be read.
    pub fn keys(&self, now: Instant) -> Option<&KeySet> {
        fresh(self.keys.as_ref(), DOCUMENT_LIFE, now)
    }

    /// Whether the keys may be read again because a token has an unknown one.
    pub fn may_read_keys_again(&self, now: Instant) -> bool {
        fresh(self.keys.as_ref(), KEYS_AGAIN_AFTER, now).is_none()
    }

    /// Returns why the provider is left alone, if it is.
    pub fn failure(&self, now: Instant) -> Option<&str> {
        fresh(self.failure.as_ref(), FAILURE_PAUSE, now).map(String::as_str)
    }

    /// Notes the metadata that was read.
    pub fn set_metadata(&mut self, metadata: ProviderMetadata, now: Instant) {
        // Keys are those of the metadata before it only if they are at the same place.
        if self.metadata.as_ref().is_some_and(|(before, _)| before.jwks != metadata.jwks) {
            self.keys = None;
        }
        (self.metadata, self.failure) = (Some((metadata, now)), None);
    }

    /// Notes the keys that were read.
    pub fn set_keys(&mut self, keys: KeySet, now: Instant) {
        (self.keys, self.failure) = (Some((keys, now)), None);
    }

    /// Notes that the provider could not be read.
    pub fn set_failure(&mut self, problem: String, now: Instant) {
        self.failure = Some((problem, now));
    }
}

fn fresh<T>(noted: Option<&(T, Instant)>, life: Duration, now: Instant) -> Option<&T> {
    noted.filter(|(_, at)| now.saturating_since(*at) < life).map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::provider;

    #[test]
    fn documents_are_used_for_an_hour() {
        let (mut cache, begin) = (ProviderCache::default(), Instant::ORIGIN);
        assert!(cache.metadata(begin).is_none() && cache.keys(begin).is_none());
        cache.set_metadata(provider(), begin);
        cache.set_keys(KeySet::default(), begin);
        let last = begin + (DOCUMENT_LIFE - Duration::from_secs(1));
        assert!(cache.metadata(last).is_some() && cache.keys(last).is_some());
        let over = begin + DOCUMENT_LIFE;
        assert!(cache.metadata(over).is_none() && cache.keys(over).is_none());
    }

    #[test]
    fn an_unknown_key_reads_the_keys_again_once_a_minute_at_most() {
        let (mut cache, begin) = (ProviderCache::default(), Instant::ORIGIN);
        cache.set_keys(KeySet::default(), begin);
        assert!(!cache.may_read_keys_again(begin + (KEYS_AGAIN_AFTER - Duration::from_secs(1))));
        assert!(cache.may_read_keys_again(begin + KEYS_AGAIN_AFTER));
        cache.set_keys(KeySet::default(), begin + KEYS_AGAIN_AFTER);
        assert!(!cache.may_read_keys_again(begin + KEYS_AGAIN_AFTER));
    }

    #[test]
    fn a_provider_that_failed_is_left_alone_for_a_moment() {
        let (mut cache, begin) = (ProviderCache::default(), Instant::ORIGIN);
        cache.set_failure("no answer".to_owned(), begin);
        assert_eq!(cache.failure(begin + FAILURE_PAUSE / 2), Some("no answer"));
        assert_eq!(cache.failure(begin + FAILURE_PAUSE), None);
        cache.set_failure("no answer".to_owned(), begin);
        cache.set_metadata(provider(), begin);
        assert_eq!(cache.failure(begin), None, "it answered");
    }

    #[test]
    fn keys_that_moved_are_read_again() {
        let (mut cache, begin) = (ProviderCache::default(), Instant::ORIGIN);
        cache.set_metadata(provider(), begin);
        cache.set_keys(KeySet::default(), begin);
        cache.set_metadata(provider(), begin);
        assert!(cache.keys(begin).is_some());
        let mut moved = provider();
        moved.jwks = crate::Endpoint::parse("https://id.example/other").unwrap();
        cache.set_metadata(moved, begin);
        assert!(cache.keys(begin).is_none());
    }
}
