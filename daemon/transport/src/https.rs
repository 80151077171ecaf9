//! TLS over TCP, for the API: the same authority, and an ordinary client on the other side.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, DnsName, ServerName};
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::dial_error::DialError;
use crate::error::{Cause, TransportError};
use crate::identity::{Authority, LeafResolver, SERVER_NAME};
use crate::outside::{SystemClock, TlsClock, WallClock};
use crate::session::canonical;
use crate::tls;
use crate::trust::{ApiTrust, Roots, ServerJudge};

/// An established connection of a client, at the server.
pub type ServerTlsStream = tokio_rustls::server::TlsStream<TcpStream>;

/// An established connection to a server, at the client.
pub type ClientTlsStream = tokio_rustls::client::TlsStream<TcpStream>;

/// Handshakes in flight. Past it new connections wait in the kernel until one is done or late.
const HANDSHAKES_MAX: usize = 256;

/// Established connections that nobody has accepted yet. Past it handshakes wait, and then no new ones begin.
const ESTABLISHED_MAX: usize = 16;

/// Time for a handshake, on either side. Past it the connection is dropped.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Pause after a failed accept: out of file descriptors, most likely, and trying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts TLS connections; slow clients do not hold up others.
#[derive(Debug)]
pub struct TlsListener {
    local_addr: SocketAddr,
    established: mpsc::Receiver<(ServerTlsStream, SocketAddr)>,
    accepting: JoinHandle<()>,
}

impl TlsListener {
    /// Opens `address` with the certificate of `authority`'s server.
    ///
    /// # Errors
    /// [`TransportError`] if the clock is before the authority's first moment, or the socket refuses.
    pub async fn bind(
        address: SocketAddr,
        authority: Arc<Authority>,
        clock: Arc<dyn WallClock>,
    ) -> Result<Self, TransportError> {
        authority.check_clock(clock.now())?;
        let acceptor = acceptor(authority, clock)
            .map_err(|source| TransportError::Tls { what: "the API", source: source.into() })?;
        let bind_error = |source| TransportError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind_error)?;
        let local_addr = listener.local_addr().map_err(bind_error)?;
        let (sender, established) = mpsc::channel(ESTABLISHED_MAX);
        Ok(Self { local_addr, established, accepting: tokio::spawn(accept_all(listener, acceptor, sender)) })
    }

    /// Returns the address it listens on.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Returns the next established connection, and where it comes from. Cancel-safe.
    pub async fn accept(&mut self) -> (ServerTlsStream, SocketAddr) {
        match self.established.recv().await {
            Some(established) => established,
            // The accepting task ends with the runtime, and then nobody is to be woken.
            None => std::future::pending().await,
        }
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Reaches the API at `host`, a DNS name or an address, and believes it or not.
///
/// # Errors
/// [`DialError`] says what was tried and what to do.
pub async fn connect(host: &str, port: u16, trust: &ApiTrust) -> Result<ClientTlsStream, DialError> {
    let server = format!("{host}:{port}");
    match tokio::time::timeout(HANDSHAKE_LIMIT, connect_in_time(host, port, trust)).await {
        Ok(connected) => connected,
        Err(_) => Err(DialError::Silent { server, limit: HANDSHAKE_LIMIT, transport: "TCP" }),
    }
}

async fn connect_in_time(host: &str, port: u16, trust: &ApiTrust) -> Result<ClientTlsStream, DialError> {
    let server = format!("{host}:{port}");
    let provider = Arc::new(tls::api_provider());
    let clock: Arc<dyn WallClock> = Arc::new(SystemClock);
    let local_error = |source: Cause| DialError::Local { server: server.clone(), source };
    let (roots, name) = match trust {
        ApiTrust::Pin(pin) => {
            let name = DnsName::try_from(SERVER_NAME).expect("a constant that is a DNS name");
            (Roots::Pin(*pin), ServerName::DnsName(name))
        }
        ApiTrust::CaFile(path) => {
            let store = read_ca_file(path).map_err(|source| DialError::CaFile { path: path.clone(), source })?;
            let name = ServerName::try_from(host.to_owned()).map_err(|error| local_error(error.into()))?;
            (Roots::Store(store), name)
        }
    };
    let judge = Arc::new(ServerJudge::new(roots, name.clone(), Arc::clone(&clock), Arc::clone(&provider)));
    let mut config = tls::client_config(provider, TlsClock(clock), Arc::<ServerJudge>::clone(&judge), None)
        .map_err(|error| local_error(error.into()))?;
    config.alpn_protocols = vec![tls::HTTPS_PROTOCOL.to_vec()];

    let shake_hands = async {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    shake_hands.await.map_err(|source: io::Error| match judge.refusal() {
        Some(refusal) => DialError::of_refusal(server.clone(), refusal),
        None => DialError::Handshake { server: server.clone(), source: source.into() },
    })
}

pub(crate) fn read_ca_file(path: &std::path::Path) -> Result<RootCertStore, Cause> {
    let pem = std::fs::read(path)?;
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        store.add(certificate?)?;
    }
    if store.is_empty() {
        return Err("there is no certificate in it".into());
    }
    Ok(store)
}

fn acceptor(authority: Arc<Authority>, clock: Arc<dyn WallClock>) -> Result<TlsAcceptor, rustls::Error> {
    let leaf = Arc::new(LeafResolver { authority, clock: Arc::clone(&clock) });
    let anonymous = WebPkiClientVerifier::no_client_auth();
    let mut config = tls::server_config(Arc::new(tls::api_provider()), TlsClock(clock), anonymous, leaf)?;
    config.alpn_protocols = vec![tls::HTTPS_PROTOCOL.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

type Established = mpsc::Sender<(ServerTlsStream, SocketAddr)>;

async fn accept_all(listener: TcpListener, acceptor: TlsAcceptor, established: Established) {
    // Dropping the set ends its handshakes, so this task leaves nothing behind.
    let mut handshakes = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = handshakes.join_next() => {}
            accepted = listener.accept(), if handshakes.len() < HANDSHAKES_MAX => match accepted {
                Ok((stream, remote)) => {
                    handshakes.spawn(shake_hands(stream, canonical(remote), acceptor.clone(), established.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn shake_hands(stream: TcpStream, remote: SocketAddr, acceptor: TlsAcceptor, established: Established) {
    let handshake = async {
        stream.set_nodelay(true)?;
        acceptor.accept(stream).await
    };
    match tokio::time::timeout(HANDSHAKE_LIMIT, handshake).await {
        // Nobody accepts any more once the listener is gone.
        Ok(Ok(stream)) => drop(established.send((stream, remote)).await),
        Ok(Err(error)) => tracing::debug!(%remote, %error, "a client's handshake failed"),
        Err(_) => tracing::debug!(%remote, "a client's handshake was late"),
    }
}
