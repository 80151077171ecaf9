//! Presents the server's certificate in handshakes.

use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::authority::Authority;
use crate::clock::WallClock;
use crate::error_chain::error_chain;

/// Presents the authority's current leaf in every handshake.
#[derive(Debug)]
pub(crate) struct LeafResolver {
    pub(crate) authority: Arc<Authority>,
    pub(crate) clock: Arc<dyn WallClock>,
}

impl ResolvesServerCert for LeafResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.authority
            .server_leaf(hello.certificate_authorities(), self.clock.now())
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
