//! Idempotency keys: with one, a request that is sent again takes effect once, and gets the answer of the first time.
//!
//! The fleet keeps the answer with the change itself (`linecamp_core`, `kept_answers`). Only hashes of keys are stored;
//! what was asked for is stored as a digest that has the key in it, so that nobody can try passwords against it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use linecamp_model::limits::{IDEMPOTENCY_KEY_LENGTH_MAX, IDEMPOTENCY_KEY_LENGTH_MIN};
use linecamp_model::{IdempotencyKeyHash, RequestDigest, Text};

/// The idempotency key of a request, and what the request asks for.
#[derive(Clone, Debug)]
pub(crate) struct RequestKey {
    pub(crate) hash: IdempotencyKeyHash,
    pub(crate) operation: Text,
    pub(crate) digest: RequestDigest,
    is_replayed: Arc<AtomicBool>,
}

impl RequestKey {
    /// Creates the key of a request to an operation: `target` is its path and query. `None` if the key is malformed.
    pub(crate) fn new(key: &[u8], operation: &'static str, target: &str, body: &[u8]) -> Option<Self> {
        let is_length = (IDEMPOTENCY_KEY_LENGTH_MIN..=IDEMPOTENCY_KEY_LENGTH_MAX).contains(&key.len());
        if !is_length || !key.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let mut text = Vec::new();
        for part in [key, operation.as_bytes(), target.as_bytes(), body] {
            // Each part with its length, so that no two requests have the same text.
            text.extend_from_slice(&(part.len() as u64).to_be_bytes());
            text.extend_from_slice(part);
        }
        Some(Self {
            hash: IdempotencyKeyHash::of(key),
            operation: Text::lossy(operation),
            digest: RequestDigest::of(&text),
            is_replayed: Arc::default(),
        })
    }

    /// Notes that the answer is that of an earlier request.
    pub(crate) fn set_replayed(&self) {
        self.is_replayed.store(true, Ordering::Relaxed);
    }

    /// Whether the answer is that of an earlier request.
    pub(crate) fn is_replayed(&self) -> bool {
        self.is_replayed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"6f1d2c3b-0000-4000-8000-000000000000";

    #[test]
    fn a_digest_is_of_everything_that_is_asked_for() {
        let digest = |key: &[u8], operation, target: &str, body: &[u8]| {
            RequestKey::new(key, operation, target, body).expect("well-formed").digest
        };
        let first = digest(KEY, "user.create", "/api/v1/users", b"{}");
        assert_eq!(digest(KEY, "user.create", "/api/v1/users", b"{}"), first);
        for other in [
            digest(b"6f1d2c3b-0000-4000-8000-000000000001", "user.create", "/api/v1/users", b"{}"),
            digest(KEY, "token.create", "/api/v1/users", b"{}"),
            digest(KEY, "user.create", "/api/v1/users?", b"{}"),
            digest(KEY, "user.create", "/api/v1/users", b"{ }"),
            digest(KEY, "user.create", "/api/v1/users{", b"}"),
        ] {
            assert_ne!(other, first);
        }
    }

    #[test]
    fn a_key_is_random_and_bounded() {
        let check = |key: &[u8]| RequestKey::new(key, "x", "", b"").is_some();
        assert!(check(KEY) && check(&[b'a'; IDEMPOTENCY_KEY_LENGTH_MIN]) && check(&[b'~'; IDEMPOTENCY_KEY_LENGTH_MAX]));
        assert!(
            !check(b"")
                && !check(&[b'a'; IDEMPOTENCY_KEY_LENGTH_MIN - 1])
                && !check(&[b'a'; IDEMPOTENCY_KEY_LENGTH_MAX + 1])
        );
        assert!(!check(b"with a space in it") && !check(&[0xe4; IDEMPOTENCY_KEY_LENGTH_MIN]));
    }
}
