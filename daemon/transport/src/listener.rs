//! The server's end: one UDP port, many handshakes, each bounded in time. Whom to let in is the caller's to decide.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, EndpointConfig, VarInt};
use rustls::pki_types::CertificateDer;

use crate::chance::Chance;
use crate::error::{Cause, TransportError};
use crate::identity::{Authority, LeafResolver};
use crate::peer::{AnyKeyHolder, ClientVerifier, Peer};
use crate::platform::{Platform, TlsClock, WallClock};
use crate::session::{Session, canonical, cut};
use crate::settings::ListenerSettings;
use crate::socket::open_socket;
use crate::tls;

/// Between two stateless resets. A restarted server owes one to every site, and the sites' packets come in
/// bunches: with quinn's 20 ms, the last of 2,000 would wait for its idle timeout instead. A reset is never
/// larger than what it answers, so that nobody is flooded by way of us.
const RESET_INTERVAL: Duration = Duration::ZERO;

/// Newcomers that nobody has looked at yet. The caller takes them as fast as they come; past it they are refused.
const INCOMING_MAX: usize = 1024;

/// Bytes of early packets that quinn keeps for handshakes nobody has looked at yet. Past it they are
/// dropped, and sent again by whoever sent them.
const INCOMING_BYTES_MAX: u64 = 1024 * 1024;

/// Bytes of kernel buffer to ask for: its default of 208 KB holds a few hundred small packets. The kernel
/// gives what its administrator allows.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Accepts the sites of one server.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
    local_addr: SocketAddr,
    settings: ListenerSettings,
    judge: Arc<ClientVerifier>,
    clock: Arc<dyn WallClock>,
}

impl Listener {
    /// Opens `address` for the sites of `authority`. The unspecified IPv6 address listens to IPv4 as well.
    ///
    /// # Errors
    /// [`TransportError`] if the clock is before the authority's first moment, or the socket refuses.
    ///
    /// # Panics
    /// Platform a tokio runtime.
    pub fn bind(
        address: SocketAddr,
        authority: Arc<Authority>,
        settings: ListenerSettings,
        outside: Platform,
    ) -> Result<Self, TransportError> {
        authority.check_clock(outside.clock.now())?;
        let provider = outside.chance.link_provider();
        let judge = Arc::new(ClientVerifier::new(&authority, Arc::clone(&provider))?);
        let endpoint_config = endpoint_config(&authority, &outside.chance);
        let server_config = server_config(authority, &settings, provider, &outside)?;
        let bind_error = |source| TransportError::Bind { address, source };
        let socket = match outside.socket {
            Some(socket) => socket,
            None => open_socket(address, Some(SOCKET_BUFFER_BYTES)).map_err(bind_error)?,
        };
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = Endpoint::new_with_abstract_socket(endpoint_config, Some(server_config), socket, runtime)
            .map_err(bind_error)?;
        Ok(Self {
            local_addr: endpoint.local_addr().map_err(bind_error)?,
            endpoint,
            settings,
            judge,
            clock: outside.clock,
        })
    }

    /// Returns the address it listens on, with the port that the system chose if none was asked for.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Returns the next peer that wants in, or `None` once the listener is closed. Cancel-safe.
    ///
    /// Give each one to a task of its own: nobody waits for a slow one.
    pub async fn accept(&self) -> Option<Incoming> {
        let incoming = self.endpoint.accept().await?;
        Some(Incoming {
            remote: canonical(incoming.remote_address()),
            incoming,
            settings: self.settings,
            judge: Arc::clone(&self.judge),
            clock: Arc::clone(&self.clock),
        })
    }

    /// Closes every session with this code and reason, and takes no more.
    pub fn close(&self, code: u32, reason: &[u8]) {
        self.endpoint.close(VarInt::from_u32(code), cut(reason));
    }

    /// Waits until every closed session has told its peer, or given up on it.
    pub async fn wait_idle(&self) {
        self.endpoint.wait_idle().await;
    }
}

/// A peer that sent its first packet. Dropping it refuses the peer.
#[derive(Debug)]
pub struct Incoming {
    incoming: quinn::Incoming,
    remote: SocketAddr,
    settings: ListenerSettings,
    judge: Arc<ClientVerifier>,
    clock: Arc<dyn WallClock>,
}

impl Incoming {
    /// Returns where the peer says it is.
    pub const fn remote_address(&self) -> SocketAddr {
        self.remote
    }

    /// Whether the peer has proved that it is there. Until then the address may be anybody's.
    pub fn is_address_proven(&self) -> bool {
        self.incoming.remote_address_validated()
    }

    /// Asks the peer to prove its address (a Retry packet) and to come again.
    pub fn ask_for_proof(self) {
        if let Err(error) = self.incoming.retry() {
            error.into_incoming().ignore();
        }
    }

    /// Answers nothing: the peer tries again by itself.
    pub fn ignore(self) {
        self.incoming.ignore();
    }

    /// Shakes hands and waits for the peer's first bytes: who it is, and its session.
    ///
    /// # Errors
    /// [`TransportError::Handshake`] or [`TransportError::HandshakeLate`]; the peer is gone then.
    pub async fn establish(self) -> Result<(Peer, Session), TransportError> {
        let (remote, limit) = (self.remote, self.settings.handshake_limit);
        match tokio::time::timeout(limit, self.shake_hands()).await {
            Ok(Ok(established)) => Ok(established),
            Ok(Err(source)) => Err(TransportError::Handshake { remote, source }),
            Err(_) => Err(TransportError::HandshakeLate { remote, limit }),
        }
    }

    async fn shake_hands(self) -> Result<(Peer, Session), Cause> {
        let connection = self.incoming.accept()?.await?;
        let chain = connection
            .peer_identity()
            .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok())
            .ok_or("the peer showed no certificate")?;
        let certificate = chain.first().ok_or("the peer showed no certificate")?;
        let peer = self.judge.judge(certificate, self.clock.now())?;
        let streams = connection.accept_bi().await?;
        Ok((peer, Session::new(&connection, streams, self.settings.idle_timeout_max)))
    }
}

fn endpoint_config(authority: &Authority, chance: &Chance) -> EndpointConfig {
    let secrets = authority.secrets();
    let mut config = EndpointConfig::new(Arc::new(secrets.reset_key()));
    config.min_reset_interval(RESET_INTERVAL);
    chance.endpoint(config, secrets.cid_key())
}

fn server_config(
    authority: Arc<Authority>,
    settings: &ListenerSettings,
    provider: Arc<rustls::crypto::CryptoProvider>,
    outside: &Platform,
) -> Result<quinn::ServerConfig, TransportError> {
    let tls_error = |source: Cause| TransportError::Tls { what: "the link", source };
    let token_key = Arc::new(authority.secrets().token_key());
    let clients = Arc::new(AnyKeyHolder { provider: Arc::clone(&provider) });
    let leaf = Arc::new(LeafResolver { authority, clock: Arc::clone(&outside.clock) });
    let tls_clock = TlsClock(Arc::clone(&outside.clock));
    let mut crypto =
        tls::server_config(provider, tls_clock.clone(), clients, leaf).map_err(|error| tls_error(error.into()))?;
    crypto.alpn_protocols = vec![tls::LINK_PROTOCOL.to_vec()];
    let crypto = QuicServerConfig::try_from(crypto).map_err(|error| tls_error(error.into()))?;
    let mut config = quinn::ServerConfig::new(outside.chance.server(crypto), token_key);
    config
        .transport_config(settings.transport())
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size_total(INCOMING_BYTES_MAX)
        .time_source(Arc::new(tls_clock));
    Ok(config)
}
