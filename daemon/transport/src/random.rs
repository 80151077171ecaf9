//! The source of random numbers.
//!
//! In production this is always the operating system: [`RandomSource::System`] is the only variant, unless the feature
//! `simulation` adds one for a simulator that needs reproducible runs.

#[cfg(feature = "simulation")]
mod seeded;

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, EndpointConfig};
use rcgen::{KeyPair, PKCS_ED25519};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::crypto::CryptoProvider;

use crate::error::TransportError;

#[cfg(feature = "simulation")]
pub use seeded::SeededSequence;

/// Returns cryptographically secure random bytes of the operating system.
///
/// # Errors
/// [`TransportError::Make`] if there are none.
pub fn random_bytes<const BYTES: usize>() -> Result<[u8; BYTES], TransportError> {
    let mut bytes = [0; BYTES];
    RandomSource::System.fill(&mut bytes)?;
    Ok(bytes)
}

/// The source of random numbers of an endpoint, an authority or a key. The default is the operating system.
///
/// Clones of a seeded source continue the same sequence. A machine therefore creates one source and passes clones to
/// everything that runs on it, and draws of other machines do not affect its sequence.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum RandomSource {
    /// The operating system.
    #[default]
    System,
    /// A sequence that is fully determined by its seed, including every key: never used in production.
    #[cfg(feature = "simulation")]
    Seeded(SeededSequence),
}

impl RandomSource {
    /// Creates a separate sequence for each seed.
    #[cfg(feature = "simulation")]
    pub fn seeded(seed: [u8; 32]) -> Self {
        Self::Seeded(SeededSequence::new(seed))
    }

    /// Fills `bytes` with random bytes.
    pub(crate) fn fill(&self, bytes: &mut [u8]) -> Result<(), TransportError> {
        match self {
            Self::System => SystemRandom::new().fill(bytes).map_err(|_| TransportError::Make {
                what: "random bytes",
                source: "the operating system returned an error".into(),
            }),
            #[cfg(feature = "simulation")]
            Self::Seeded(sequence) => {
                sequence.fill(bytes);
                Ok(())
            }
        }
    }

    /// Generates an Ed25519 key pair.
    pub(crate) fn new_key(&self, what: &'static str) -> Result<KeyPair, TransportError> {
        let made = match self {
            Self::System => KeyPair::generate_for(&PKCS_ED25519),
            #[cfg(feature = "simulation")]
            Self::Seeded(sequence) => sequence.new_key(),
        };
        made.map_err(|source| TransportError::Make { what, source: source.into() })
    }

    /// Seeds an endpoint's own choices, such as packet numbers. quinn takes them from the operating system otherwise.
    pub(crate) fn seed_endpoint(&self, config: EndpointConfig) -> EndpointConfig {
        match self {
            Self::System => config,
            #[cfg(feature = "simulation")]
            Self::Seeded(sequence) => sequence.seed_endpoint(config),
        }
    }

    /// Returns `provider` with this source of random numbers.
    pub(crate) fn provider(&self, provider: CryptoProvider) -> Arc<CryptoProvider> {
        Arc::new(match self {
            Self::System => provider,
            #[cfg(feature = "simulation")]
            Self::Seeded(_) => seeded::provider(provider),
        })
    }

    /// Returns the QUIC client configuration for a handshake.
    pub(crate) fn client(&self, crypto: QuicClientConfig) -> ClientConfig {
        match self {
            Self::System => ClientConfig::new(Arc::new(crypto)),
            #[cfg(feature = "simulation")]
            Self::Seeded(sequence) => sequence.client(crypto),
        }
    }

    /// Returns the crypto configuration of a QUIC server.
    pub(crate) fn server(&self, crypto: QuicServerConfig) -> Arc<dyn quinn::crypto::ServerConfig> {
        match self {
            Self::System => Arc::new(crypto),
            #[cfg(feature = "simulation")]
            Self::Seeded(sequence) => sequence.server(crypto),
        }
    }
}
