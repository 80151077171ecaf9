//! Presents the certificate of a server or gateway in handshakes.

use std::sync::Arc;

use rustls::DistinguishedName;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::authority::Authority;
use super::gateway_certificate::CurrentGatewayCertificate;
use crate::clock::WallClock;
use crate::error_chain::error_chain;

/// Presents the authority's current leaf, or the gateway certificate to clients that trust other authorities only.
#[derive(Debug)]
pub(crate) struct LeafResolver {
    pub(crate) authority: Arc<Authority>,
    pub(crate) gateway: CurrentGatewayCertificate,
    pub(crate) clock: Arc<dyn WallClock>,
}

impl LeafResolver {
    /// Returns the certificate for a client that trusts the authorities `named`, if it says so.
    fn certified(&self, named: Option<&[DistinguishedName]>) -> Option<Arc<CertifiedKey>> {
        let is_foreign = named.is_some_and(|named| !self.authority.is_named(named));
        if is_foreign && let Some(gateway) = self.gateway.certified() {
            return Some(gateway);
        }
        self.authority
            .server_leaf(named, self.clock.now())
            .inspect_err(|error| {
                let error = error_chain(error);
                tracing::error!(
                    name: "peer: no server certificate",
                    error,
                    "cannot issue the server certificate: the handshake fails"
                );
            })
            .ok()
    }
}

impl ResolvesServerCert for LeafResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.certified(hello.certificate_authorities())
    }
}
