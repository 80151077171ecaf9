//! The endpoint of a server or gateway: one UDP port, many handshakes, each with a time limit. The caller decides which
//! peers to accept.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{AsyncUdpSocket, Endpoint, EndpointConfig, VarInt};
use rustls::pki_types::CertificateDer;

use crate::client_verifier::{AnyEd25519Client, ClientVerifier, Peer};
use crate::clock::{TlsClock, WallClock};
use crate::endpoint::with_connection_ids;
use crate::error::{Cause, TransportError};
use crate::identity::{Authority, CurrentGatewayCertificate, GatewayCertificate, LeafResolver};
use crate::link_settings::ListenerSettings;
use crate::platform::Platform;
use crate::random::RandomSource;
use crate::session::{Session, canonical, truncate_reason};
use crate::socket::open_socket;
use crate::tls;

/// Minimum interval between two stateless resets. A restarted server sends one to every site, and the sites' packets
/// come in bursts: with quinn's 20 ms, the last of 2,000 sites would wait for its idle timeout. A reset is never larger
/// than the packet it answers, so it cannot be used for amplification.
const RESET_INTERVAL: Duration = Duration::ZERO;

/// Maximum number of incoming connections not accepted yet. The caller accepts them as fast as they arrive; more are
/// rejected.
const INCOMING_MAX: usize = 1024;

/// Maximum bytes of early packets that quinn buffers for connections not accepted yet. More are dropped, and the sender
/// retransmits them.
const INCOMING_BYTES_MAX: u64 = 1024 * 1024;

/// Requested size of the kernel's socket buffers: the default of 208 KB holds a few hundred small packets. The kernel
/// applies its configured maximum.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Accepts the connections of the members of a server or gateway.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
    socket: Weak<dyn AsyncUdpSocket>,
    local_addr: SocketAddr,
    settings: ListenerSettings,
    verifier: Arc<ClientVerifier>,
    gateway: CurrentGatewayCertificate,
    clock: Arc<dyn WallClock>,
}

impl Listener {
    /// Opens `address` for the members of `authority`. The unspecified IPv6 address also accepts IPv4.
    ///
    /// # Errors
    /// [`TransportError`] if the clock is before the start of the authority's validity, or the socket cannot be opened.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind(
        address: SocketAddr,
        authority: Arc<Authority>,
        settings: ListenerSettings,
        platform: Platform,
    ) -> Result<Self, TransportError> {
        authority.check_clock(platform.clock.now())?;
        let provider = tls::link_provider(&platform.random);
        let verifier = Arc::new(ClientVerifier::new(Arc::clone(&authority), Arc::clone(&provider)));
        let endpoint_config = endpoint_config(&authority, &platform.random);
        let gateway = CurrentGatewayCertificate::default();
        let leaf = LeafResolver { authority, gateway: gateway.clone(), clock: Arc::clone(&platform.clock) };
        let server_config = server_config(leaf, &settings, provider, &platform)?;
        let bind_error = |source| TransportError::Bind { address, source };
        let socket = match platform.socket {
            Some(socket) => socket,
            None => open_socket(address, Some(SOCKET_BUFFER_BYTES)).map_err(bind_error)?,
        };
        let runtime = Arc::new(quinn::TokioRuntime);
        let weak = Arc::downgrade(&socket);
        let endpoint = Endpoint::new_with_abstract_socket(endpoint_config, Some(server_config), socket, runtime)
            .map_err(bind_error)?;
        Ok(Self {
            local_addr: endpoint.local_addr().map_err(bind_error)?,
            endpoint,
            socket: weak,
            settings,
            verifier,
            gateway,
            clock: platform.clock,
        })
    }

    /// Sets or replaces what this listener presents to clients that name the authorities they trust, if the listener's
    /// own is not among them: the gateway certificate that the server issued. It holds for new handshakes. At first
    /// there is none, and a server's listener never has one.
    pub fn set_gateway_certificate(&self, certificate: Option<GatewayCertificate>) {
        self.gateway.set(certificate);
    }

    /// Returns the local address, with the port that the system chose if none was given.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Returns the next incoming connection of a peer that has proved its address, or `None` once the listener is
    /// closed. Cancel-safe.
    ///
    /// A peer that has not proved it receives a Retry packet, which is shorter than its own, and connects again. It
    /// keeps no state here. A peer that was connected from the same address within two weeks has a token for this and
    /// connects without the additional round trip. (quinn alone sends up to one packet more than the three times what
    /// it received that RFC 9000, 8.1, allows.)
    ///
    /// Handle each one in its own task, so that a slow peer does not delay others.
    pub async fn accept(&self) -> Option<Incoming> {
        let incoming = loop {
            let incoming = self.endpoint.accept().await?;
            if incoming.remote_address_validated() {
                break incoming;
            }
            if let Err(error) = incoming.retry() {
                error.into_incoming().ignore();
            }
        };
        Some(Incoming {
            remote: canonical(incoming.remote_address()),
            incoming,
            settings: self.settings,
            verifier: Arc::clone(&self.verifier),
            clock: Arc::clone(&self.clock),
        })
    }

    /// Closes every session with this code and reason, and accepts no more.
    pub fn close(&self, code: u32, reason: &[u8]) {
        self.endpoint.close(VarInt::from_u32(code), truncate_reason(reason));
    }

    /// Waits until the peer of every closed session has been notified, or the attempt has timed out.
    pub async fn wait_idle(&self) {
        self.endpoint.wait_idle().await;
    }

    /// Waits like [`wait_idle`](Self::wait_idle) for a listener that was closed, and then until its port is free: until
    /// every task that accepts or handles its connections has ended.
    pub async fn release(self: Arc<Self>) {
        self.wait_idle().await;
        let socket = self.socket.clone();
        drop(self);
        // The tasks of the endpoint end by themselves once they run.
        while socket.strong_count() != 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// A peer that starts a handshake. Dropping it rejects the peer.
#[derive(Debug)]
pub struct Incoming {
    incoming: quinn::Incoming,
    remote: SocketAddr,
    settings: ListenerSettings,
    verifier: Arc<ClientVerifier>,
    clock: Arc<dyn WallClock>,
}

impl Incoming {
    /// Returns the peer's address, which it has proved.
    pub const fn remote_address(&self) -> SocketAddr {
        self.remote
    }

    /// Drops the connection attempt without a reply: the peer retries on its own.
    pub fn ignore(self) {
        self.incoming.ignore();
    }

    /// Completes the handshake and waits for the peer's first bytes. Returns the peer and its session.
    ///
    /// # Errors
    /// [`TransportError::Handshake`] or [`TransportError::HandshakeLate`]; the peer is disconnected then.
    pub async fn establish(self) -> Result<(Peer, Session), TransportError> {
        let (remote, limit) = (self.remote, self.settings.handshake_limit);
        match tokio::time::timeout(limit, self.handshake()).await {
            Ok(Ok(established)) => Ok(established),
            Ok(Err(source)) => Err(TransportError::Handshake { remote, source }),
            Err(_) => Err(TransportError::HandshakeLate { remote, limit }),
        }
    }

    async fn handshake(self) -> Result<(Peer, Session), Cause> {
        let connection = self.incoming.accept()?.await?;
        let chain = connection
            .peer_identity()
            .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok())
            .ok_or("the peer presented no certificate")?;
        let certificate = chain.first().ok_or("the peer presented no certificate")?;
        let peer = self.verifier.evaluate(certificate, self.clock.now())?;
        let streams = connection.accept_bi().await?;
        Ok((peer, Session::new(&connection, streams, self.settings.idle_timeout_max)))
    }
}

fn endpoint_config(authority: &Authority, random: &RandomSource) -> EndpointConfig {
    let secrets = authority.secrets();
    let mut config = EndpointConfig::new(Arc::new(secrets.reset_key()));
    config.min_reset_interval(RESET_INTERVAL);
    with_connection_ids(config, secrets.cid_key(), random)
}

fn server_config(
    leaf: LeafResolver,
    settings: &ListenerSettings,
    provider: Arc<rustls::crypto::CryptoProvider>,
    platform: &Platform,
) -> Result<quinn::ServerConfig, TransportError> {
    let tls_error = |source: Cause| TransportError::Tls { what: "the link", source };
    let token_key = Arc::new(leaf.authority.secrets().token_key());
    let clients = Arc::new(AnyEd25519Client { provider: Arc::clone(&provider) });
    let tls_clock = TlsClock(Arc::clone(&platform.clock));
    let mut crypto = tls::server_config(provider, tls_clock.clone(), clients, Arc::new(leaf))
        .map_err(|error| tls_error(error.into()))?;
    crypto.alpn_protocols = vec![tls::LINK_PROTOCOL.to_vec()];
    let crypto = QuicServerConfig::try_from(crypto).map_err(|error| tls_error(error.into()))?;
    let mut config = quinn::ServerConfig::new(platform.random.server(crypto), token_key);
    config
        .transport_config(settings.transport())
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size_total(INCOMING_BYTES_MAX)
        .time_source(Arc::new(tls_clock));
    Ok(config)
}
