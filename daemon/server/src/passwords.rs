//! Passwords: their rules, their hashes, and how many are hashed at a time.
//!
//! A password has 12 to 256 characters and is not one of the commonest; there are no other rules. It is compared in
//! Unicode normalization form C, so that it does not matter which keyboard composes its characters. A hash takes 19 MiB
//! and tens of milliseconds: two are computed at a time, on threads of their own, and a bounded number waits.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use icu_normalizer::ComposingNormalizerBorrowed;
use linecamp_model::PasswordHash;
use linecamp_transport::{TransportError, random_bytes};
use tokio::sync::Semaphore;

/// The fewest characters of a password (NIST SP 800-63B asks for 8, and for 15 without a second factor).
const CHARACTERS_MIN: usize = 12;

/// The most characters of a password.
const CHARACTERS_MAX: usize = 256;

/// The commonest passwords of 12 characters and more, in lower case. Shorter ones are too short anyway.
const COMMON: &str = include_str!("passwords/common.txt");

/// Memory of a hash in KiB, its passes and its lanes (OWASP Password Storage Cheat Sheet).
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

const SALT_BYTES: usize = 16;

/// How many hashes are computed at a time: 38 MiB.
const HASHES_MAX: usize = 2;

/// How many more hashes wait. Further ones are rejected.
const WAITING_MAX: usize = 32;

/// Characters of a generated password: no two look alike.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// How many characters a generated password has: 100 random bits.
const GENERATED_CHARACTERS: usize = 20;

/// A password that its user chose, in normal form. `Debug` hides it.
pub(crate) struct Password(String);

/// A password that does not fulfill the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordError {
    #[error("a password has {CHARACTERS_MIN} to {CHARACTERS_MAX} characters, not {0}")]
    Length(usize),
    #[error("this password is one of the commonest; choose another one")]
    Common,
}

/// Why a hash was not computed.
#[derive(Debug)]
pub(crate) enum HashError {
    /// Too many others wait.
    Busy,
    /// No random bytes, or a bug.
    Failed,
}

/// The result of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    /// The password is wrong.
    No,
    /// It is right.
    Yes,
    /// It is right, and its hash has parameters of an earlier release.
    YesOutdated,
}

/// Computes hashes, a few at a time.
#[derive(Clone, Debug)]
pub(crate) struct PasswordHashing {
    queue: Arc<Semaphore>,
    workers: Arc<Semaphore>,
    /// The hash that a password is compared with if there is none: it takes as long.
    stand_in: Arc<str>,
}

impl Password {
    /// Checks a new password.
    pub(crate) fn parse(text: &str) -> Result<Self, PasswordError> {
        let text = normalized(text);
        let count = text.chars().count();
        if !(CHARACTERS_MIN..=CHARACTERS_MAX).contains(&count) {
            return Err(PasswordError::Length(count));
        }
        let lower = text.to_lowercase();
        let is_repeated = lower.chars().all(|found| lower.starts_with(found));
        if is_repeated || COMMON.lines().any(|common| common == lower) {
            return Err(PasswordError::Common);
        }
        Ok(Self(text))
    }

    /// Generates a password that is used once.
    pub(crate) fn generate() -> Result<Self, TransportError> {
        let bytes: [u8; GENERATED_CHARACTERS] = random_bytes()?;
        let groups = bytes.chunks(5).map(|group| {
            let letters = group.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)]));
            letters.collect::<String>()
        });
        Ok(Self(groups.collect::<Vec<_>>().join("-")))
    }

    /// Returns the text.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Computes the hash on this thread, which takes tens of milliseconds.
    pub(crate) fn hash(&self) -> Result<PasswordHash, HashError> {
        let salt: [u8; SALT_BYTES] = random_bytes().map_err(|_| HashError::Failed)?;
        hash(&self.0, &salt)
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

impl PasswordHashing {
    /// Prepares the hashing.
    pub(crate) fn new() -> Self {
        // Built from the parameters alone, so that no hash is computed: any password is wrong for it.
        let (salt, output) = ("A".repeat(SALT_BYTES * 4 / 3 + 1), "A".repeat(43));
        let stand_in = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${output}");
        Self {
            queue: Arc::new(Semaphore::new(HASHES_MAX + WAITING_MAX)),
            workers: Arc::new(Semaphore::new(HASHES_MAX)),
            stand_in: stand_in.into(),
        }
    }

    /// Compares a password with a hash. Without a hash the result is always `No`, after the same work.
    pub(crate) async fn verify(&self, password: &str, hash: Option<&PasswordHash>) -> Result<Verified, HashError> {
        let (exists, password) = (hash.is_some(), normalized(password));
        let hash = hash.map_or_else(|| self.stand_in.to_string(), |hash| hash.as_str().to_owned());
        let verified = self.run(move || Ok(verify(&password, &hash))).await?;
        Ok(if exists { verified } else { Verified::No })
    }

    /// Computes the hash of a password.
    pub(crate) async fn hash(&self, password: Password) -> Result<PasswordHash, HashError> {
        self.run(move || password.hash()).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let place = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| HashError::Busy)?;
        let worker = Arc::clone(&self.workers).acquire_owned().await.map_err(|_| HashError::Failed)?;
        // The permits go along: a client that disconnects does not make room before the hash is computed.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop((place, worker));
            result
        });
        done.await.unwrap_or(Err(HashError::Failed))
    }
}

fn normalized(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(text).into_owned()
}

fn argon2() -> Option<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &str, salt: &[u8]) -> Result<PasswordHash, HashError> {
    let argon2 = argon2().ok_or(HashError::Failed)?;
    let phc = argon2.hash_password_with_salt(password.as_bytes(), salt).map_err(|_| HashError::Failed)?;
    PasswordHash::parse(&phc.to_string()).map_err(|_| HashError::Failed)
}

fn verify(password: &str, hash: &str) -> Verified {
    let (Ok(phc), Some(argon2)) = (Phc::new(hash), argon2()) else { return Verified::No };
    if argon2.verify_password(password.as_bytes(), &phc).is_err() {
        return Verified::No;
    }
    let current = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$");
    if hash.starts_with(&current) { Verified::Yes } else { Verified::YesOutdated }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_and_not_common() {
        assert_eq!(Password::parse("short").unwrap_err(), PasswordError::Length(5));
        assert_eq!(Password::parse(&"ab".repeat(129)).unwrap_err(), PasswordError::Length(258));
        for common in ["Password1234", "qwertyuiop123", "aaaaaaaaaaaaaa"] {
            assert_eq!(Password::parse(common).unwrap_err(), PasswordError::Common, "{common}");
        }
        for good in ["correct horse", "ありがとうございましたね", &"ab".repeat(128)] {
            assert!(Password::parse(good).is_ok(), "{good}");
        }
        let generated = Password::generate().unwrap();
        assert!(Password::parse(generated.reveal()).is_ok() && generated.reveal().len() == 23);
        assert_eq!(format!("{generated:?}"), "(hidden)");
    }

    #[test]
    fn the_commonest_passwords_are_in_lower_case_and_long_enough() {
        for common in COMMON.lines() {
            assert!(common == common.to_lowercase() && CHARACTERS_MIN <= common.chars().count(), "{common}");
        }
    }

    #[tokio::test]
    async fn a_password_matches_its_hash_in_every_normal_form() {
        let hashing = PasswordHashing::new();
        let composed = "caf\u{e9} au lait s'il vous plait";
        let hash = hashing.hash(Password::parse(composed).unwrap()).await.unwrap();
        let decomposed = "cafe\u{301} au lait s'il vous plait";
        assert_eq!(hashing.verify(decomposed, Some(&hash)).await.unwrap(), Verified::Yes);
        assert_eq!(hashing.verify("cafe au lait s'il vous plait", Some(&hash)).await.unwrap(), Verified::No);
        assert_eq!(hashing.verify(composed, None).await.unwrap(), Verified::No);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let weak = argon2.hash_password_with_salt(composed.as_bytes(), b"0123456789abcdef").unwrap();
        let weak = PasswordHash::parse(&weak.to_string()).unwrap();
        assert_eq!(hashing.verify(composed, Some(&weak)).await.unwrap(), Verified::YesOutdated);
    }

    #[test]
    fn the_stand_in_is_a_hash_with_the_same_parameters() {
        let hashing = PasswordHashing::new();
        let phc = Phc::new(&hashing.stand_in).unwrap();
        assert_eq!(Params::try_from(&phc).unwrap(), Params::new(MEMORY_KIB, PASSES, LANES, Some(32)).unwrap());
    }

    #[tokio::test]
    async fn further_hashes_are_rejected_while_too_many_wait() {
        let hashing = PasswordHashing::new();
        let count = u32::try_from(HASHES_MAX + WAITING_MAX).unwrap();
        let all = Arc::clone(&hashing.queue).acquire_many_owned(count).await.unwrap();
        assert!(matches!(hashing.verify("a password", None).await, Err(HashError::Busy)));
        drop(all);
        assert!(matches!(hashing.verify("a password", None).await, Ok(Verified::No)));
    }
}
