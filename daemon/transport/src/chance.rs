//! Where random numbers come from.
//!
//! In production from the operating system, always: [`Chance::System`] is the only kind there is, unless the
//! feature `simulation` adds another one for a simulator that has to be able to repeat itself.

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

/// Bytes of the key that a site's endpoint makes its reset tokens with: as many as its hash has.
const RESET_KEY_BYTES: usize = 32;

/// Where the random numbers of an endpoint, an authority or a key come from. The default is the operating system.
///
/// Clones of a seeded one go on with the same sequence of numbers, so a machine takes one for life and hands clones
/// to whatever runs on it: what another machine draws does not change what this one draws.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Chance {
    /// The operating system.
    #[default]
    System,
    /// A sequence that its seed decides, to the last byte of every key: never in production.
    #[cfg(feature = "simulation")]
    Seeded(Draws),
}

impl Chance {
    /// Begins a sequence of its own for each seed.
    #[cfg(feature = "simulation")]
    pub fn seeded(seed: [u8; 32]) -> Self {
        Self::Seeded(Draws::new(seed))
    }

    /// Fills `bytes`.
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

    /// Makes an Ed25519 key pair.
    pub(crate) fn new_key(&self, what: &'static str) -> Result<KeyPair, TransportError> {
        let made = match self {
            Self::System => KeyPair::generate_for(&PKCS_ED25519),
            #[cfg(feature = "simulation")]
            Self::Seeded(draws) => draws.new_key(),
        };
        made.map_err(|source| TransportError::Make { what, source: source.into() })
    }

    /// Begins the configuration of a site's endpoint. Nobody has to know its resets or its connection ids after it is
    /// gone.
    pub(crate) fn site_endpoint(&self) -> Result<EndpointConfig, TransportError> {
        let (mut reset_key, mut cid_key) = ([0; RESET_KEY_BYTES], [0; 8]);
        self.fill(&mut reset_key)?;
        self.fill(&mut cid_key)?;
        let config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &reset_key)));
        Ok(self.endpoint(config, u64::from_be_bytes(cid_key)))
    }

    /// Ends the configuration of an endpoint, which knows its own connection ids by `cid_key`.
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

    /// Returns the cryptography of the link.
    pub(crate) fn link_provider(&self) -> Arc<CryptoProvider> {
        let provider = tls::link_provider();
        Arc::new(match self {
            Self::System => provider,
            #[cfg(feature = "simulation")]
            Self::Seeded(_) => seeded::provider(provider),
        })
    }

    /// Returns what a dial starts its handshake with.
    pub(crate) fn client(&self, crypto: QuicClientConfig) -> ClientConfig {
        match self {
            Self::System => ClientConfig::new(Arc::new(crypto)),
            #[cfg(feature = "simulation")]
            Self::Seeded(draws) => draws.client(crypto),
        }
    }

    /// Returns what a server shakes hands with.
    pub(crate) fn server(&self, crypto: QuicServerConfig) -> Arc<dyn quinn::crypto::ServerConfig> {
        match self {
            Self::System => Arc::new(crypto),
            #[cfg(feature = "simulation")]
            Self::Seeded(draws) => draws.server(crypto),
        }
    }
}
