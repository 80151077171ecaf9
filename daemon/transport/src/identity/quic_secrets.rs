//! The QUIC secrets that outlive a server process.
//!
//! With the same reset key *and* the same connection ID key, a restarted server answers a packet of an old session with
//! a stateless reset, and the site reconnects immediately. If either of them is new, every site waits for its idle
//! timeout.

use ring::{hkdf, hmac};

use crate::error::TransportError;
use crate::random::RandomSource;

const RESET_KEY_BYTES: usize = 64;
const CID_KEY_BYTES: usize = 8;
const TOKEN_KEY_BYTES: usize = 64;
const BYTES: usize = RESET_KEY_BYTES + CID_KEY_BYTES + TOKEN_KEY_BYTES;

/// The three keys, in the order of their file: reset, connection ID, token.
pub(crate) struct QuicSecrets([u8; BYTES]);

impl QuicSecrets {
    /// Generates new secrets.
    pub(crate) fn generate(random: &RandomSource) -> Result<Self, TransportError> {
        let mut bytes = [0; BYTES];
        random.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Creates the secrets from the content of the file; `None` if its length is wrong.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Returns the content of the file.
    pub(crate) const fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// Returns the key for stateless reset tokens.
    pub(crate) fn reset_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0[..RESET_KEY_BYTES])
    }

    /// Returns the key that identifies the server's own connection IDs.
    pub(crate) fn cid_key(&self) -> u64 {
        let (_, rest) = self.0.split_at(RESET_KEY_BYTES);
        let (key, _) = rest.split_first_chunk().expect("the file's length was checked");
        u64::from_be_bytes(*key)
    }

    /// Returns the key that encrypts address validation tokens.
    pub(crate) fn token_key(&self) -> hkdf::Prk {
        hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&self.0[RESET_KEY_BYTES + CID_KEY_BYTES..])
    }
}
