//! The secrets of QUIC that outlive a server process.
//!
//! With the same reset key *and* the same connection-id key, a restarted server answers a packet of an
//! old session with a stateless reset, and the site dials again at once. With either of them new, every
//! site waits for its idle timeout.

use ring::{hkdf, hmac};

use crate::chance::Chance;
use crate::error::TransportError;

const RESET_KEY_BYTES: usize = 64;
const CID_KEY_BYTES: usize = 8;
const TOKEN_KEY_BYTES: usize = 64;
const BYTES: usize = RESET_KEY_BYTES + CID_KEY_BYTES + TOKEN_KEY_BYTES;

/// The three keys, as they lie in their file: reset, connection id, token.
pub(crate) struct QuicSecrets([u8; BYTES]);

impl QuicSecrets {
    /// Draws new ones.
    pub(crate) fn draw(chance: &Chance) -> Result<Self, TransportError> {
        let mut bytes = [0; BYTES];
        chance.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Takes the bytes of a file; `None` if their number is wrong.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Returns the bytes for the file.
    pub(crate) const fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// Returns the key that stateless reset tokens are made with.
    pub(crate) fn reset_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0[..RESET_KEY_BYTES])
    }

    /// Returns the key that tells our connection ids from others.
    pub(crate) fn cid_key(&self) -> u64 {
        let (_, rest) = self.0.split_at(RESET_KEY_BYTES);
        let (key, _) = rest.split_first_chunk().expect("the file's length was checked");
        u64::from_be_bytes(*key)
    }

    /// Returns the key that address tokens are sealed with.
    pub(crate) fn token_key(&self) -> hkdf::Prk {
        hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&self.0[RESET_KEY_BYTES + CID_KEY_BYTES..])
    }
}
