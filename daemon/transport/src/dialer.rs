//! The endpoint of a site or host: one UDP socket for the lifetime of the daemon, and client handshakes with servers
//! or gateways.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connecting, ConnectionError, Endpoint, TokenMemoryCache, VarInt};
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;

use crate::clock::{TlsClock, WallClock};
use crate::dial_error::DialError;
use crate::endpoint::site_endpoint;
use crate::error::{Cause, TransportError};
use crate::expected::Expected;
use crate::identity::SiteCredentials;
use crate::link_settings::LinkSettings;
use crate::platform::Platform;
use crate::random::RandomSource;
use crate::server_verifier::{Roots, ServerVerifier, Trust};
use crate::session::{Session, truncate_reason};
use crate::socket::open_socket;
use crate::tls;

/// Connects one site to servers, or one host to gateways.
#[derive(Debug)]
pub struct Dialer {
    endpoint: Endpoint,
    settings: LinkSettings,
    clock: Arc<dyn WallClock>,
    random: RandomSource,
    provider: Arc<CryptoProvider>,
    /// Proofs of this address from earlier sessions: with one, a handshake needs no additional round trip.
    tokens: Arc<TokenMemoryCache>,
    /// Whether the socket is one of this machine, and its routes apply.
    uses_routes: bool,
}

impl Dialer {
    /// Opens a socket, for both address families where the machine has both.
    ///
    /// # Errors
    /// [`TransportError`] if the socket cannot be opened.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind(settings: LinkSettings, platform: Platform) -> Result<Self, TransportError> {
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let bind_error = |source| TransportError::Bind { address, source };
        let uses_routes = platform.socket.is_none();
        let socket = match platform.socket {
            Some(socket) => socket,
            None => open_socket(address, None).map_err(bind_error)?,
        };
        let config = site_endpoint(&platform.random)?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = Endpoint::new_with_abstract_socket(config, None, socket, runtime).map_err(bind_error)?;
        let provider = tls::link_provider(&platform.random);
        Ok(Self {
            endpoint,
            settings,
            clock: platform.clock,
            random: platform.random,
            provider,
            tokens: Arc::default(),
            uses_routes,
        })
    }

    /// Connects to `server`, verifies that it is the `expected` server or gateway, and opens the message stream.
    ///
    /// The peer learns of the session from the first message, so send one immediately. A peer that rejects the
    /// credentials ends the session.
    ///
    /// # Errors
    /// [`DialError`] describes what was tried and what to do.
    pub async fn dial(
        &self,
        server: SocketAddr,
        credentials: SiteCredentials<'_>,
        trust: &Trust,
        expected: Expected,
    ) -> Result<Session, DialError> {
        let verifier = ServerVerifier::new(
            Roots::of(trust),
            expected.name(),
            credentials.expiry_floor(),
            Arc::clone(&self.clock),
            Arc::clone(&self.provider),
        );
        let verifier = Arc::new(verifier.of_parent(expected.parent()).naming_authorities());
        let shared = Arc::<ServerVerifier>::clone(&verifier);
        let config = self.client_config(credentials, shared).map_err(|error| DialError::local(server, error))?;
        let connecting = self.connecting(config, server, &verifier.name)?;
        let limit = self.settings.handshake_limit;
        let established = tokio::time::timeout(limit, async {
            let connection = connecting.await?;
            let streams = connection.open_bi().await?;
            Ok(Session::new(&connection, streams, self.settings.idle_timeout))
        });
        let error = match established.await {
            Ok(Ok(session)) => return Ok(session),
            Ok(Err(error)) => error,
            Err(_) => ConnectionError::TimedOut,
        };
        Err(dial_error(server, &verifier, limit, error))
    }

    /// Closes every session with this code and reason.
    pub fn close(&self, code: u32, reason: &[u8]) {
        self.endpoint.close(VarInt::from_u32(code), truncate_reason(reason));
    }

    /// Waits until the peer of every closed session has been notified, or the attempt has timed out.
    pub async fn wait_idle(&self) {
        self.endpoint.wait_idle().await;
    }

    /// Starts a handshake.
    pub(crate) fn connecting(
        &self,
        config: ClientConfig,
        server: SocketAddr,
        name: &ServerName<'_>,
    ) -> Result<Connecting, DialError> {
        let failed = |source| DialError::Local { server: server.to_string(), source };
        // QUIC ignores send errors, so an address without a route would look silent.
        if self.uses_routes {
            check_route(server).map_err(|error| failed(error.into()))?;
        }
        self.endpoint.connect_with(config, server, &name.to_str()).map_err(|error| failed(error.into()))
    }

    /// Returns the time limit for a handshake.
    pub(crate) const fn handshake_limit(&self) -> Duration {
        self.settings.handshake_limit
    }

    /// Returns the configuration of a handshake with these credentials.
    pub(crate) fn client_config(
        &self,
        credentials: SiteCredentials<'_>,
        verifier: Arc<dyn ServerCertVerifier>,
    ) -> Result<ClientConfig, TransportError> {
        let tls_error = |source: Cause| TransportError::Tls { what: "the link", source };
        let chain = credentials.client_chain(&self.random)?;
        let mut crypto =
            tls::client_config(Arc::clone(&self.provider), TlsClock(Arc::clone(&self.clock)), verifier, Some(chain))
                .map_err(|error| tls_error(error.into()))?;
        crypto.alpn_protocols = vec![tls::LINK_PROTOCOL.to_vec()];
        let crypto = QuicClientConfig::try_from(crypto).map_err(|error| tls_error(error.into()))?;
        let mut config = self.random.client(crypto);
        config.transport_config(self.settings.transport()).token_store(Arc::<TokenMemoryCache>::clone(&self.tokens));
        Ok(config)
    }
}

/// Fails if this machine has no route to `server`. Sends nothing.
fn check_route(server: SocketAddr) -> io::Result<()> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    UdpSocket::bind((any, 0))?.connect(server)
}

/// Returns why a handshake failed.
pub(crate) fn dial_error(
    server: SocketAddr,
    verifier: &ServerVerifier,
    limit: Duration,
    error: ConnectionError,
) -> DialError {
    let server = server.to_string();
    if let Some(refusal) = verifier.refusal() {
        return DialError::from_refusal(server, verifier.parent, refusal);
    }
    match error {
        ConnectionError::TimedOut => DialError::Silent { server, limit, transport: "UDP" },
        other => DialError::Handshake { server, source: other.into() },
    }
}
