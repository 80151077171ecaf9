//! Probes of a server: a handshake without a session, and what the server presented in it.
//!
//! A [`LinkProbe`] performs a QUIC handshake with a temporary key and disconnects without sending a message. The server
//! therefore creates no session and does not treat the probe as a site, and a daemon that has a link at the same time
//! is not disturbed. An API probe ([`probe_api`]) does the same over TLS, and returns the connection.
//!
//! Both report what the server presented even if it was rejected, because that shows what answers at the address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::{ConnectionError, VarInt};
use rustls::Error;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::clock::{SystemClock, TlsClock};
use crate::dial_error::DialError;
use crate::dialer::{Dialer, dial_error};
use crate::error::{Cause, TransportError};
use crate::https::ClientTlsStream;
use crate::identity::{SERVER_NAME, SiteCredentials, SiteKey};
use crate::link_settings::LinkSettings;
use crate::platform::Platform;
use crate::random::RandomSource;
use crate::server_verifier::{ExpiryFloor, PresentedChain, Roots, ServerVerifier, Trust};
use crate::tls;

/// The close reason sent to the server, for its log.
const FAREWELL: &[u8] = b"probe completed";

/// How long to wait until the server has been notified that the probe is over. Otherwise its idle timeout drops the
/// probe.
const FAREWELL_LIMIT: Duration = Duration::from_millis(300);

/// The result of a probe.
#[derive(Debug)]
pub struct Probed<T> {
    /// What the server presented, if the handshake got that far.
    pub shown: Option<PresentedChain>,
    /// How long the probe took.
    pub took: Duration,
    /// The result of the handshake.
    pub result: Result<T, DialError>,
}

/// Performs handshakes with servers without the identity of a site.
#[derive(Debug)]
pub struct LinkProbe {
    dialer: Dialer,
    key: SiteKey,
}

impl LinkProbe {
    /// Opens a socket and generates a key. `limit` is the time limit of a handshake.
    ///
    /// # Errors
    /// [`TransportError`] if the socket cannot be opened or no random numbers are available.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind(limit: Duration) -> Result<Self, TransportError> {
        let settings = LinkSettings { handshake_limit: limit, ..LinkSettings::default() };
        Ok(Self {
            dialer: Dialer::bind(settings, Platform::default())?,
            key: SiteKey::generate(&RandomSource::System)?,
        })
    }

    /// Performs a handshake with `server`, verifies it as a site with this trust and floor does, and disconnects.
    pub async fn probe(&self, server: SocketAddr, trust: &Trust, floor: ExpiryFloor) -> Probed<()> {
        let began = Instant::now();
        let verifier = verifier_for(trust, server_name(), floor);
        let result = self.handshake(server, &verifier).await;
        Probed { shown: verifier.shown(), took: began.elapsed(), result }
    }

    /// Waits briefly until the servers have been notified that the probes are over.
    pub async fn close(self) {
        drop(tokio::time::timeout(FAREWELL_LIMIT, self.dialer.wait_idle()).await);
    }

    async fn handshake(&self, server: SocketAddr, verifier: &Arc<ServerVerifier>) -> Result<(), DialError> {
        let credentials = SiteCredentials::SelfMade(&self.key);
        let shared = Arc::<ServerVerifier>::clone(verifier);
        let config = self.dialer.client_config(credentials, shared).map_err(|error| DialError::local(server, error))?;
        let connecting = self.dialer.connecting(config, server, &verifier.name)?;
        let limit = self.dialer.handshake_limit();
        let error = match tokio::time::timeout(limit, connecting).await {
            Ok(Ok(connection)) => {
                connection.close(VarInt::from_u32(0), FAREWELL);
                return Ok(());
            }
            Ok(Err(error)) => error,
            Err(_) => ConnectionError::TimedOut,
        };
        Err(dial_error(server, verifier, limit, error))
    }
}

/// Performs a TLS handshake with the API at `server`. With a `host`, the certificate has to be for that name or
/// address; without, it has to be that of a Linecamp server. The caller limits the time.
pub async fn probe_api(server: SocketAddr, host: Option<&str>, trust: &Trust) -> Probed<ClientTlsStream> {
    let began = Instant::now();
    let local = |source: Cause| DialError::Local { server: server.to_string(), source };
    let name = match host.map(|host| ServerName::try_from(host.to_owned())) {
        None => server_name(),
        Some(Ok(name)) => name,
        Some(Err(error)) => {
            return Probed { shown: None, took: began.elapsed(), result: Err(local(error.into())) };
        }
    };
    let verifier = verifier_for(trust, name.clone(), ExpiryFloor::Unknown);
    let result = match api_config(&verifier) {
        Ok(config) => tls_handshake(server, name, config).await.map_err(|source| match verifier.refusal() {
            Some(refusal) => DialError::from_refusal(server.to_string(), verifier.parent, refusal),
            None => DialError::Handshake { server: server.to_string(), source: source.into() },
        }),
        Err(error) => Err(local(error.into())),
    };
    Probed { shown: verifier.shown(), took: began.elapsed(), result }
}

async fn tls_handshake(
    server: SocketAddr,
    name: ServerName<'static>,
    config: rustls::ClientConfig,
) -> std::io::Result<ClientTlsStream> {
    let stream = TcpStream::connect(server).await?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn api_config(verifier: &Arc<ServerVerifier>) -> Result<rustls::ClientConfig, Error> {
    let (provider, shared) = (Arc::new(tls::api_provider()), Arc::<ServerVerifier>::clone(verifier));
    let mut config = tls::client_config(provider, TlsClock(Arc::new(SystemClock)), shared, None)?;
    config.alpn_protocols = vec![tls::HTTPS_PROTOCOL.to_vec()];
    Ok(config)
}

fn server_name() -> ServerName<'static> {
    ServerName::try_from(SERVER_NAME).expect("a constant that is a DNS name")
}

fn verifier_for(trust: &Trust, name: ServerName<'static>, floor: ExpiryFloor) -> Arc<ServerVerifier> {
    let provider = Arc::new(tls::api_provider());
    Arc::new(ServerVerifier::new(Roots::of(trust), name, floor, Arc::new(SystemClock), provider))
}
