//! The configuration of QUIC endpoints: connection IDs, and the keys that recognize an endpoint's own packets.

use std::sync::Arc;

use quinn::EndpointConfig;
use ring::hmac;

use crate::connection_ids::ConnectionIds;
use crate::error::TransportError;
use crate::random::RandomSource;

/// Bytes of the key for the stateless reset tokens of a site's endpoint: the output size of its hash.
const RESET_KEY_BYTES: usize = 32;

/// Creates the configuration of a site's endpoint. Its reset key and connection ID key are random, because nothing
/// needs to recognize them after the endpoint is gone.
pub(crate) fn site_endpoint(random: &RandomSource) -> Result<EndpointConfig, TransportError> {
    let (mut reset_key, mut cid_key) = ([0; RESET_KEY_BYTES], [0; 8]);
    random.fill(&mut reset_key)?;
    random.fill(&mut cid_key)?;
    let config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &reset_key)));
    Ok(with_connection_ids(config, u64::from_be_bytes(cid_key), random))
}

/// Completes the configuration of an endpoint, which recognizes its own connection IDs by `cid_key`.
pub(crate) fn with_connection_ids(mut config: EndpointConfig, cid_key: u64, random: &RandomSource) -> EndpointConfig {
    let source = random.clone();
    config.cid_generator(move || Box::new(ConnectionIds::new(cid_key, source.clone())));
    random.seed_endpoint(config)
}
