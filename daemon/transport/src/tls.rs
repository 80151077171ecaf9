//! The TLS configuration of Linecamp: version 1.3, ring, and for the link only Ed25519 and X25519.
//!
//! No tickets, no resumption, no early data: a resumed session does not run the verifiers again, so a revoked site
//! could reconnect with a ticket.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerifier};
use rustls::crypto::ring::cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::version::TLS13;
use rustls::{ClientConfig, NamedGroup, ServerConfig, SignatureScheme};

use crate::clock::TlsClock;
use crate::random::RandomSource;

/// The ALPN protocol of the link; other QUIC clients are rejected in the handshake.
pub(crate) const LINK_PROTOCOL: &[u8] = b"linecamp";

/// The ALPN protocol of HTTP/2.
pub(crate) const HTTP2_PROTOCOL: &[u8] = b"h2";

/// The ALPN protocol of the API.
pub(crate) const HTTPS_PROTOCOL: &[u8] = b"http/1.1";

/// Returns the cryptography of the link, where both ends are Linecamp.
///
/// AES-128 first: QUIC needs it for its first packets anyway, and it saves 8 % of a handshake compared to
/// AES-256-SHA384. `ChaCha20` second, for edge processors without AES instructions.
pub(crate) fn link_provider(random: &RandomSource) -> Arc<CryptoProvider> {
    let mut provider = api_provider();
    provider.kx_groups.retain(|group| group.name() == NamedGroup::X25519);
    provider.signature_verification_algorithms = ed25519_only(provider.signature_verification_algorithms);
    random.provider(provider)
}

/// Returns the cryptography of the API, where the peer may be any client or server.
pub(crate) fn api_provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256],
        ..rustls::crypto::ring::default_provider()
    }
}

fn ed25519_only(supported: WebPkiSupportedAlgorithms) -> WebPkiSupportedAlgorithms {
    let mapping: &'static [_] = supported.mapping;
    let position =
        mapping.iter().position(|(scheme, _)| *scheme == SignatureScheme::ED25519).expect("ring verifies Ed25519");
    WebPkiSupportedAlgorithms { all: mapping[position].1, mapping: &mapping[position..=position] }
}

/// The answer of both verifiers to a TLS 1.2 signature: no configuration here offers that version.
pub(crate) fn reject_tls12() -> Result<HandshakeSignatureValid, rustls::Error> {
    Err(rustls::Error::General("TLS 1.2 is not supported".to_owned()))
}

/// Builds the server's configuration.
pub(crate) fn server_config(
    provider: Arc<CryptoProvider>,
    clock: TlsClock,
    clients: Arc<dyn ClientCertVerifier>,
    leaf: Arc<dyn ResolvesServerCert>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_details(provider, Arc::new(clock))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(leaf);
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// The certificate chain and key that a client presents.
pub(crate) type ClientChain = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Builds the client's configuration; without `client` it is anonymous.
pub(crate) fn client_config(
    provider: Arc<CryptoProvider>,
    clock: TlsClock,
    servers: Arc<dyn ServerCertVerifier>,
    client: Option<ClientChain>,
) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_details(provider, Arc::new(clock))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(servers);
    let mut config = match client {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}
