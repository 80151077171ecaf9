//! Looking at a server without being anybody to it: a handshake alone, and what was shown in it.
//!
//! A [`LinkProbe`] shakes hands over QUIC with a key that was made for it and is forgotten with it, and hangs up
//! without having said a word. So the server has no session, no site is greeted for, and a daemon that holds a link at
//! the same time is not disturbed. An API probe ([`probe_api`]) does the same over TLS, and hands the connection over.
//!
//! Both say what the other end showed even where it was not believed: whoever looks for the cause wants to know who
//! answers there.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use linecamp_model::{Pin, WallTime};
use quinn::{ConnectionError, VarInt};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::chance::Chance;
use crate::dial_error::DialError;
use crate::dialer::{Dialer, dial_error};
use crate::error::{Cause, TransportError};
use crate::https::ClientTlsStream;
use crate::identity::{CertificateFacts, LEAF_AGE_MAX, LEAF_SLACK, SERVER_NAME, SiteCredentials, SiteKey};
use crate::outside::{Outside, SystemClock, TlsClock};
use crate::settings::LinkSettings;
use crate::tls;
use crate::trust::{Roots, ServerJudge, Trust};

/// What the server is told when a probe hangs up, for its log.
const FAREWELL: &[u8] = b"only looking";

/// How long to wait until a server was told that a probe is over. A probe that ends untold is dropped by its silence.
const FAREWELL_LIMIT: Duration = Duration::from_millis(300);

/// Certificates of a chain that are read. Ours has two; the rest says nothing to us.
const CHAIN_MAX: usize = 4;

/// What an end showed in a handshake, believed or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The keys of the authorities above its certificate, the nearest first.
    pub authorities: Vec<Pin>,
    /// The first and the last moment of its certificate.
    pub validity: Range<WallTime>,
}

impl Shown {
    /// Returns the moments in which a server of ours that shows this certificate may be, by its own clock: it makes
    /// a new one each day. Only a certificate that is believed says so.
    pub fn server_time(&self) -> Range<WallTime> {
        let issued = self.validity.start + LEAF_SLACK;
        issued..issued + LEAF_AGE_MAX
    }

    fn of(leaf: &CertificateDer<'_>, above: &[CertificateDer<'_>]) -> Option<Self> {
        let pin = |der| CertificateFacts::read(der).ok().map(|facts| Pin::of(&facts.public_key));
        let validity = CertificateFacts::read(leaf).ok()?.validity;
        Some(Self { authorities: above.iter().take(CHAIN_MAX).filter_map(|der| pin(der)).collect(), validity })
    }
}

/// What came of a probe.
#[derive(Debug)]
pub struct Probed<T> {
    /// What was shown, if it came that far.
    pub shown: Option<Shown>,
    /// How long it took.
    pub took: Duration,
    /// What was reached, or why not.
    pub result: Result<T, DialError>,
}

/// Shakes hands with servers for nobody.
#[derive(Debug)]
pub struct LinkProbe {
    dialer: Dialer,
    key: SiteKey,
}

impl LinkProbe {
    /// Opens a socket and makes a key. A handshake may take `limit`.
    ///
    /// # Errors
    /// [`TransportError`] if the socket refuses or there is no chance to draw from.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn bind(limit: Duration) -> Result<Self, TransportError> {
        let settings = LinkSettings { handshake_limit: limit, ..LinkSettings::default() };
        Ok(Self { dialer: Dialer::bind(settings, Outside::default())?, key: SiteKey::generate(&Chance::System)? })
    }

    /// Shakes hands with `server`, believes it or not, and hangs up.
    pub async fn look(&self, server: SocketAddr, trust: &Trust) -> Probed<()> {
        let began = Instant::now();
        let watch = Arc::new(Watch::of(trust, server_name()));
        let result = self.shake_hands(server, &watch).await;
        Probed { shown: watch.shown.get().cloned(), took: began.elapsed(), result }
    }

    /// Waits for a moment until the servers were told that it is over.
    pub async fn part(self) {
        drop(tokio::time::timeout(FAREWELL_LIMIT, self.dialer.wait_idle()).await);
    }

    async fn shake_hands(&self, server: SocketAddr, watch: &Arc<Watch>) -> Result<(), DialError> {
        let credentials = SiteCredentials::SelfMade(&self.key);
        let verifier = Arc::<Watch>::clone(watch);
        let config =
            self.dialer.client_config(credentials, verifier).map_err(|error| DialError::local(server, error))?;
        let connecting = self.dialer.connecting(config, server)?;
        let limit = self.dialer.handshake_limit();
        let error = match tokio::time::timeout(limit, connecting).await {
            Ok(Ok(connection)) => {
                connection.close(VarInt::from_u32(0), FAREWELL);
                return Ok(());
            }
            Ok(Err(error)) => error,
            Err(_) => ConnectionError::TimedOut,
        };
        Err(dial_error(server, &watch.judge, limit, error))
    }
}

/// Shakes hands over TLS with the API at `server`. With a `host`, its certificate has to be for that name or address;
/// without, for a server of ours. The caller bounds the time.
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
    let watch = Arc::new(Watch::of(trust, name.clone()));
    let result = match api_config(&watch) {
        Ok(config) => shake_tls_hands(server, name, config).await.map_err(|source| match watch.judge.refusal() {
            Some(refusal) => DialError::of_refusal(server.to_string(), refusal),
            None => DialError::Handshake { server: server.to_string(), source: source.into() },
        }),
        Err(error) => Err(local(error.into())),
    };
    Probed { shown: watch.shown.get().cloned(), took: began.elapsed(), result }
}

async fn shake_tls_hands(
    server: SocketAddr,
    name: ServerName<'static>,
    config: rustls::ClientConfig,
) -> std::io::Result<ClientTlsStream> {
    let stream = TcpStream::connect(server).await?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn api_config(watch: &Arc<Watch>) -> Result<rustls::ClientConfig, Error> {
    let (provider, verifier) = (Arc::new(tls::api_provider()), Arc::<Watch>::clone(watch));
    let mut config = tls::client_config(provider, TlsClock(Arc::new(SystemClock)), verifier, None)?;
    config.alpn_protocols = vec![tls::HTTPS_PROTOCOL.to_vec()];
    Ok(config)
}

fn server_name() -> ServerName<'static> {
    ServerName::try_from(SERVER_NAME).expect("a constant that is a DNS name")
}

/// A judge who remembers what he was shown.
#[derive(Debug)]
struct Watch {
    judge: ServerJudge,
    shown: OnceLock<Shown>,
}

impl Watch {
    fn of(trust: &Trust, name: ServerName<'static>) -> Self {
        let provider = Arc::new(tls::api_provider());
        let judge = ServerJudge::new(Roots::of(trust), name, Arc::new(SystemClock), provider);
        Self { judge, shown: OnceLock::new() }
    }
}

impl ServerCertVerifier for Watch {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(shown) = Shown::of(leaf, intermediates) {
            self.shown.get_or_init(|| shown);
        }
        self.judge.verify_server_cert(leaf, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}
