//! The source of random numbers.
//!
//! In production this is always the operating system: [`Chance::System`] is the only variant, unless the feature
//! `simulation` adds one for a simulator that needs reproducible runs.

#[cfg(feature = "simulation")]
mod seeded;

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, EndpointConfig};
use rcgen::{KeyPair, PKCS_ED25519};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::crypto::CryptoProvider;

use crate::connection_ids::ConnectionIds;
use crate::error::TransportError;
use crate::tls;

#[cfg(feature = "simulation")]
pub use seeded::Draws;

/// Bytes of the key for the stateless reset tokens of a site's endpoint: the output size of its hash.
const RESET_KEY_BYTES: usize = 32;

/// The source of random numbers of an endpoint, an authority or a key. The default is the operating system.
///
/// Clones of a seeded source continue the same sequence. A machine therefore creates one source and passes clones to
/// everything that runs on it, and draws of other machines do not affect its sequence.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Chance {
    /// The operating system.
    #[default]
    System,
    /// A sequence that is fully determined by its seed, including every key: never used in production.
    #[cfg(feature = "simulation")]
    Seeded(Draws),
}

impl Chance {
    /// Creates a separate sequence for each seed.
    #[cfg(feature = "simulation")]
    pub fn seeded(seed: [u8; 32]) -> Self {
        Self::Seeded(Draws::new(seed))
    }

    /// Fills `bytes` with random bytes.
    pub(crate) fn fill(&self, bytes: &mut [u8]) -> Result<(), TransportError> {
        match self {
            Self::System => SystemRandom::new()
                .fill(bytes)
                .map_err(|_| TransportError::Make { what: "random bytes", source: "the system gave none".into() }),
            #[cfg(feature = "simulation")]
            Self::Seeded(draws) => {
                draws.fill(bytes);
                Ok(())
            }
        }
    }

    /// Generates an Ed25519 key pair.
    pub(crate) fn new_key(&self, what: &'static str) -> Result<KeyPair, TransportError> {
        let made = match self {
            Self::System => KeyPair::generate_for(&PKCS_ED25519),
            #[cfg(feature = "simulation")]
            Self::Seeded(draws) => draws.new_key(),
        };
        made.map_err(|source| TransportError::Make { what, source: source.into() })
    }

    /// Creates the configuration of a site's endpoint. Its reset key and connection ID key are random, because nothing
    /// needs to recognize them after the endpoint is gone.
    pub(crate) fn site_endpoint(&self) -> Result<EndpointConfig, TransportError> {
        let (mut reset_key, mut cid_key) = ([0; RESET_KEY_BYTES], [0; 8]);
        self.fill(&mut reset_key)?;
        self.fill(&mut cid_key)?;
        let config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &reset_key)));
        Ok(self.endpoint(config, u64::from_be_bytes(cid_key)))
    }

    /// Completes the configuration of an endpoint, which recognizes its own connection IDs by `cid_key`.
    pub(crate) fn endpoint(&self, mut config: EndpointConfig, cid_key: u64) -> EndpointConfig {
        let chance = self.clone();
        config.cid_generator(move || Box::new(ConnectionIds::new(cid_key, chance.clone())));
        match self {
            Self::System => {}
            #[cfg(feature = "simulation")]
            Self::Seeded(draws) => draws.decide_endpoint(&mut config),
        }
        config
    }

    /// Returns the cryptography provider of the link.
    pub(crate) fn link_provider(&self) -> Arc<CryptoProvider> {
        let provider = tls::link_provider();
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
            Self::Seeded(draws) => draws.client(crypto),
        }
    }

    /// Returns the crypto configuration of a QUIC server.
    pub(crate) fn server(&self, crypto: QuicServerConfig) -> Arc<dyn quinn::crypto::ServerConfig> {
        match self {
            Self::System => Arc::new(crypto),
            #[cfg(feature = "simulation")]
            Self::Seeded(draws) => draws.server(crypto),
        }
    }
}
