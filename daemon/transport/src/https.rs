//! TLS over TCP for the API: the same authority, and ordinary clients.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, DnsName, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::address_schedule::{Pace, dial_order};
use crate::clock::{SystemClock, TlsClock, WallClock};
use crate::connect_first::connect_first;
use crate::dial_error::DialError;
use crate::error::{Cause, TransportError};
use crate::identity::{
    ApiResolver, Authority, CurrentGatewayCertificate, HttpsCertificates, LeafResolver, SERVER_NAME,
};
use crate::resolve::resolve_host;
use crate::server_verifier::{ApiTrust, ExpiryFloor, Roots, ServerVerifier};
use crate::session::canonical;
use crate::socket::ipv4_instead;
use crate::tls;

/// An established connection, on the server's side.
pub type ServerTlsStream = tokio_rustls::server::TlsStream<TcpStream>;

/// An established connection, on the client's side.
pub type ClientTlsStream = tokio_rustls::client::TlsStream<TcpStream>;

/// Time limit for a handshake, on either side. After that the connection is dropped.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Delay after a failed accept. The likely cause is a lack of file descriptors, and retrying immediately would
/// busy-loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The largest file of authorities, in bytes: ten times what operating systems ship. A larger file is not read.
const CA_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Accepts TCP connections.
#[derive(Debug)]
pub struct TcpAcceptor {
    local_addr: SocketAddr,
    listener: TcpListener,
}

impl TcpAcceptor {
    /// Opens `address`. A kernel without IPv6 opens the unspecified IPv6 address for IPv4.
    ///
    /// # Errors
    /// [`TransportError::Bind`] if the socket cannot be opened.
    pub async fn bind(address: SocketAddr) -> Result<Self, TransportError> {
        let bind_error = |source| TransportError::Bind { address, source };
        let listener = match TcpListener::bind(address).await {
            Ok(listener) => listener,
            Err(error) => match ipv4_instead(address, &error) {
                Some(address) => TcpListener::bind(address).await.map_err(bind_error)?,
                None => return Err(bind_error(error)),
            },
        };
        let local_addr = listener.local_addr().map_err(bind_error)?;
        Ok(Self { local_addr, listener })
    }

    /// Returns the local address.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Returns the next connection and the client's address. Cancel-safe.
    ///
    /// The caller limits the number of concurrent connections.
    pub async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, remote)) => return (stream, canonical(remote)),
                Err(error) => {
                    tracing::warn!(name: "peer: accept failed", %error, "failed to accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Accepts TLS connections.
#[derive(Debug)]
pub struct TlsListener {
    acceptor: TcpAcceptor,
    config: Arc<ServerConfig>,
    /// The same without HTTP/2.
    config_http1: Arc<ServerConfig>,
}

impl TlsListener {
    /// Opens `address` with a server certificate of `authority`.
    ///
    /// # Errors
    /// [`TransportError`] if the clock is before the start of the authority's validity, or the socket cannot be opened.
    pub async fn bind(
        address: SocketAddr,
        authority: Arc<Authority>,
        clock: Arc<dyn WallClock>,
    ) -> Result<Self, TransportError> {
        Self::bind_with(address, authority, clock, HttpsCertificates::default()).await
    }

    /// Like [`TlsListener::bind`], with a certificate for clients that verify names, which may change at any time.
    ///
    /// # Errors
    /// As for [`TlsListener::bind`].
    pub async fn bind_with(
        address: SocketAddr,
        authority: Arc<Authority>,
        clock: Arc<dyn WallClock>,
        supplied: HttpsCertificates,
    ) -> Result<Self, TransportError> {
        authority.check_clock(clock.now())?;
        let mut config = server_config(authority, clock, supplied)
            .map_err(|source| TransportError::Tls { what: "the API", source: source.into() })?;
        config.alpn_protocols = vec![tls::HTTPS_PROTOCOL.to_vec()];
        let config_http1 = Arc::new(config.clone());
        config.alpn_protocols = vec![tls::HTTP2_PROTOCOL.to_vec(), tls::HTTPS_PROTOCOL.to_vec()];
        Ok(Self { acceptor: TcpAcceptor::bind(address).await?, config: Arc::new(config), config_http1 })
    }

    /// Returns the local address.
    pub const fn local_addr(&self) -> SocketAddr {
        self.acceptor.local_addr()
    }

    /// Returns the next client connection, before its handshake. Cancel-safe.
    ///
    /// The caller limits the number of concurrent connections. Handle each one in its own task, so that a slow client
    /// does not delay others.
    pub async fn accept(&self) -> TlsIncoming {
        let (stream, remote) = self.acceptor.accept().await;
        let (config, config_http1) = (Arc::clone(&self.config), Arc::clone(&self.config_http1));
        TlsIncoming { stream, remote, config, config_http1 }
    }
}

/// A connected client. Dropping it closes the connection.
#[derive(Debug)]
pub struct TlsIncoming {
    stream: TcpStream,
    remote: SocketAddr,
    config: Arc<ServerConfig>,
    config_http1: Arc<ServerConfig>,
}

impl TlsIncoming {
    /// Returns the client's address.
    pub const fn remote_address(&self) -> SocketAddr {
        self.remote
    }

    /// Does not offer HTTP/2 to this client.
    pub fn without_http2(mut self) -> Self {
        self.config = Arc::clone(&self.config_http1);
        self
    }

    /// Performs the handshake, within 10 s.
    ///
    /// # Errors
    /// [`TransportError::Handshake`] or [`TransportError::HandshakeLate`]; the client is disconnected then.
    pub async fn establish(self) -> Result<ServerTlsStream, TransportError> {
        let Self { stream, remote, config, .. } = self;
        let handshake = async {
            stream.set_nodelay(true)?;
            TlsAcceptor::from(config).accept(stream).await
        };
        match tokio::time::timeout(HANDSHAKE_LIMIT, handshake).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(TransportError::Handshake { remote, source: error.into() }),
            Err(_) => Err(TransportError::HandshakeLate { remote, limit: HANDSHAKE_LIMIT }),
        }
    }
}

/// Returns whether the client of a connection chose HTTP/2.
pub fn is_http2(stream: &ServerTlsStream) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(tls::HTTP2_PROTOCOL)
}

/// Connects to the API at `host`, a DNS name or an address, and verifies the server. Tries the addresses of the name at
/// the pace [`Pace::TCP`], each for 10 s at most.
///
/// # Errors
/// [`DialError`] describes what was tried and what to do.
pub async fn connect(host: &str, port: u16, trust: &ApiTrust) -> Result<ClientTlsStream, DialError> {
    let (store, name, floor) = trusted_roots(host, port, trust)?;
    let order = dial_order(&resolve_host(host, port).await?, None);
    let attempt = |address: SocketAddr| {
        let (name, roots) = (name.clone(), store.clone());
        async move {
            match tokio::time::timeout(HANDSHAKE_LIMIT, connect_to(address, name, roots, floor)).await {
                Ok(connected) => connected,
                Err(_) => {
                    let server = address.to_string();
                    Err(DialError::Silent { server, limit: HANDSHAKE_LIMIT, transport: "TCP" })
                }
            }
        }
    };
    match connect_first(order, Pace::TCP, attempt).await {
        Ok((_, stream)) => Ok(stream),
        Err(failures) => Err(DialError::of_addresses(host, port, failures)),
    }
}

/// Returns the trust anchors, the name that the certificate must have, and what judges its end.
fn trusted_roots(
    host: &str,
    port: u16,
    trust: &ApiTrust,
) -> Result<(Roots, ServerName<'static>, ExpiryFloor), DialError> {
    match trust {
        ApiTrust::Pin(pin) => {
            let name = DnsName::try_from(SERVER_NAME).expect("a constant that is a DNS name");
            Ok((Roots::Pin(*pin), ServerName::DnsName(name), ExpiryFloor::Unknown))
        }
        ApiTrust::CaFile(path) => {
            let store = read_ca_file(path).map_err(|source| DialError::CaFile { path: path.clone(), source })?;
            let name = ServerName::try_from(host.to_owned())
                .map_err(|error| DialError::Local { server: format!("{host}:{port}"), source: error.into() })?;
            Ok((Roots::Store(store), name, ExpiryFloor::LocalClock))
        }
    }
}

async fn connect_to(
    address: SocketAddr,
    name: ServerName<'static>,
    roots: Roots,
    floor: ExpiryFloor,
) -> Result<ClientTlsStream, DialError> {
    let provider = Arc::new(tls::api_provider());
    let clock: Arc<dyn WallClock> = Arc::new(SystemClock);
    let verifier = ServerVerifier::new(roots, name.clone(), floor, Arc::clone(&clock), Arc::clone(&provider));
    let verifier = Arc::new(verifier);
    let mut config = tls::client_config(provider, TlsClock(clock), Arc::<ServerVerifier>::clone(&verifier), None)
        .map_err(|error| DialError::Local { server: address.to_string(), source: error.into() })?;
    config.alpn_protocols = vec![tls::HTTPS_PROTOCOL.to_vec()];

    let handshake = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    handshake.await.map_err(|source: io::Error| match verifier.refusal() {
        Some(refusal) => DialError::from_refusal(address.to_string(), verifier.parent, refusal),
        None => DialError::Handshake { server: address.to_string(), source: source.into() },
    })
}

/// Reads the authorities in the PEM file at `path`.
pub(crate) fn read_ca_file(path: &std::path::Path) -> Result<RootCertStore, Cause> {
    let pem = linecamp_files::read(path, CA_FILE_BYTES_MAX)?;
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        store.add(certificate?)?;
    }
    if store.is_empty() {
        return Err("no certificate found".into());
    }
    Ok(store)
}

fn server_config(
    authority: Arc<Authority>,
    clock: Arc<dyn WallClock>,
    supplied: HttpsCertificates,
) -> Result<ServerConfig, rustls::Error> {
    let gateway = CurrentGatewayCertificate::default();
    let own = LeafResolver { authority, gateway, clock: Arc::clone(&clock) };
    let resolver = Arc::new(ApiResolver { supplied, own });
    let anonymous = WebPkiClientVerifier::no_client_auth();
    tls::server_config(Arc::new(tls::api_provider()), TlsClock(clock), anonymous, resolver)
}
