//! A server or gateway and a site or host, each with its own clock, in temporary directories.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use linecamp_model::limits::FIRST_FRAME_BYTES_MAX;
use linecamp_model::{HostId, IdentityGrant, KnownServers, MemberKind, Name, ServerAddress, SiteId, WallTime};
use quinn::crypto::rustls::QuicServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::{
    Authority, DialError, Dialer, Expected, LinkSettings, Listener, ListenerSettings, Peer, Platform, RandomSource,
    Session, SiteCredentials, SiteIdentity, SiteKey, TransportError, Trust, WallClock, tls,
};

/// 2026-11-22, in whole seconds.
pub(super) const SITE: SiteId = SiteId::from_bytes([0x11; 16]);
pub(super) const GATEWAY: HostId = HostId::from_bytes([0x22; 16]);
pub(super) const START: WallTime = WallTime::from_unix_millis(1_795_314_424_000);

pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

/// Nothing here takes a second; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct ManualClock(AtomicU64);

impl ManualClock {
    pub(super) fn at(time: WallTime) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(time.unix_millis())))
    }

    pub(super) fn set(&self, time: WallTime) {
        self.0.store(time.unix_millis(), Ordering::Relaxed);
    }
}

impl WallClock for ManualClock {
    fn now(&self) -> WallTime {
        WallTime::from_unix_millis(self.0.load(Ordering::Relaxed))
    }
}

pub(super) fn platform(clock: &Arc<ManualClock>) -> Platform {
    Platform { clock: Arc::<ManualClock>::clone(clock), ..Platform::default() }
}

pub(super) fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// Waits with a time limit.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it happens within the patience of a test")
}

pub(super) type Arrival = Result<(Peer, Session), TransportError>;

/// A server, or the gateway of a site.
pub(super) struct Server {
    pub(super) authority: Arc<Authority>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) listener: Arc<Listener>,
    expected: Expected,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    _dir: TempDir,
}

impl Server {
    pub(super) fn start() -> Self {
        Self::start_with(ListenerSettings::default())
    }

    pub(super) fn start_with(settings: ListenerSettings) -> Self {
        Self::start_as(Expected::Server, settings, authority)
    }

    pub(super) fn start_gateway(site: SiteId) -> Self {
        let create = |dir: &Path| Authority::create_gateway(dir, site, START).unwrap();
        Self::start_as(Expected::Gateway(Some(site)), ListenerSettings::default(), create)
    }

    fn start_as(expected: Expected, settings: ListenerSettings, create: impl FnOnce(&Path) -> Authority) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Arc::new(create(&dir.path().join("ca")));
        let clock = ManualClock::at(START);
        let listener = Listener::bind(loopback(), Arc::clone(&authority), settings, platform(&clock)).unwrap();
        let listener = Arc::new(listener);
        let (sender, arrivals) = mpsc::unbounded_channel();
        tokio::spawn(establish_all(Arc::clone(&listener), sender));
        Self { authority, clock, listener, expected, arrivals, _dir: dir }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    pub(super) fn pin(&self) -> Trust {
        Trust::Pin(self.authority.pin())
    }

    pub(super) async fn arrival(&mut self) -> Arrival {
        soon(self.arrivals.recv()).await.expect("the server runs")
    }

    /// Connects `site` with its credentials to what this is, up to its first message.
    pub(super) async fn link(
        &mut self,
        site: &Site,
        credentials: SiteCredentials<'_>,
        trust: &Trust,
    ) -> Result<Linked, DialError> {
        let dialed = site.dialer.dial(self.address(), credentials, trust, self.expected);
        let (mut sender, receiver) = soon(dialed).await?.split();
        sender.send(b"hello").await.expect("a new session takes a message");
        let (peer, session) = self.arrival().await.expect("the server lets everybody in");
        let (server_sender, mut server_receiver) = session.split();
        let hello = soon(server_receiver.recv(FIRST_FRAME_BYTES_MAX)).await;
        assert_eq!(hello.as_deref(), Ok(&b"hello"[..]));
        Ok(Linked { peer, site: (sender, receiver), server: (server_sender, server_receiver) })
    }
}

pub(super) struct Linked {
    pub(super) peer: Peer,
    pub(super) site: (crate::SessionSender, crate::SessionReceiver),
    pub(super) server: (crate::SessionSender, crate::SessionReceiver),
}

pub(super) struct Site {
    pub(super) key: SiteKey,
    pub(super) clock: Arc<ManualClock>,
    pub(super) dialer: Dialer,
    pub(super) dir: PathBuf,
    _dir: TempDir,
}

impl Site {
    pub(super) fn start() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("identity");
        let clock = ManualClock::at(START);
        Self {
            key: SiteKey::load_or_create(&dir).unwrap(),
            dialer: Dialer::bind(LinkSettings::default(), platform(&clock)).unwrap(),
            clock,
            dir,
            _dir: temporary,
        }
    }

    /// Joins `authority` with a certificate that is valid for thirty days from `START`.
    pub(super) fn adopt(&self, authority: &Authority) -> SiteIdentity {
        SiteIdentity::adopt(&self.dir, &grant(authority, issue(authority, &self.key)), &servers()).unwrap()
    }

    pub(super) fn self_made(&self) -> SiteCredentials<'_> {
        SiteCredentials::SelfMade(&self.key)
    }
}

pub(super) fn authority(dir: &Path) -> Authority {
    Authority::create(dir, &["localhost".to_owned(), "127.0.0.1".to_owned()], START).unwrap()
}

pub(super) fn issue(authority: &Authority, key: &SiteKey) -> Vec<u8> {
    authority.issue_member(key.public_key(), SITE.into(), START..START + 30 * DAY).unwrap()
}

/// What a server answers to a join, with this certificate.
pub(super) fn grant(authority: &Authority, certificate: Vec<u8>) -> IdentityGrant {
    IdentityGrant {
        name: Name::parse("camp-042").unwrap(),
        environment: Name::parse("default").unwrap(),
        site: SITE,
        host: GATEWAY,
        kind: MemberKind::Site,
        gateway_chain: Vec::new(),
        certificate,
        authorities: vec![authority.certificate_der().to_vec()],
    }
}

pub(super) fn servers() -> KnownServers {
    KnownServers::of_token(ServerAddress::parse_list("camp.example:4433,[::1]:444").unwrap())
}

/// Starts an endpoint that presents this certificate, and returns its address.
pub(super) fn impostor(certified: CertifiedKey) -> SocketAddr {
    let mut crypto = rustls::ServerConfig::builder_with_provider(tls::link_provider(&RandomSource::System))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    crypto.alpn_protocols = vec![tls::LINK_PROTOCOL.to_vec()];
    let crypto = QuicServerConfig::try_from(crypto).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let impostor = quinn::Endpoint::server(config, loopback()).unwrap();
    let address = impostor.local_addr().unwrap();
    tokio::spawn(async move {
        while let Some(incoming) = impostor.accept().await {
            drop(incoming.await);
        }
    });
    address
}

/// Returns what presents this certificate with the certificates above it, for the key of `site`.
pub(super) fn certified(certificate: Vec<u8>, above: Vec<Vec<u8>>, site: &Site) -> CertifiedKey {
    let (_, key) = site.self_made().client_chain(&RandomSource::System).unwrap();
    let chain = std::iter::once(certificate).chain(above).map(CertificateDer::from).collect();
    CertifiedKey::from_der(chain, key, &tls::link_provider(&RandomSource::System)).unwrap()
}

pub(super) async fn establish_all(listener: Arc<Listener>, arrivals: mpsc::UnboundedSender<Arrival>) {
    while let Some(incoming) = listener.accept().await {
        let arrivals = arrivals.clone();
        tokio::spawn(async move { arrivals.send(incoming.establish().await).ok() });
    }
}
